/* memory_internal: what the cluster in memory and its clients share. */
#ifndef HEADRACE_CLIENT_MEMORY_INTERNAL_H
#define HEADRACE_CLIENT_MEMORY_INTERNAL_H

#include "base/list.h"
#include "client/memory.h"

#define MEMORY_MAGIC 0x6d656d6fU /* "memo" */

struct memory_partition {
    const struct client_message **messages; /* by offset, from 0 */
    size_t count;
    size_t capacity;
};

struct memory_topic {
    struct list link;
    const char *name;
    struct memory_partition *partitions;
    int32_t partition_count;
};

struct memory_group {
    struct list link;
    const char *name;
    struct list members;
    struct list offsets; /* of memory_offset */
    int32_t generation;  /* rises with every member that comes or goes */
};

struct memory_offset {
    struct list link;
    struct client_offset at;
};

struct memory_cluster {
    struct arena arena; /* of all that is kept: nothing goes before the cluster does */
    const struct os_clock *clock;
    struct list topics;
    struct list groups;
    uint64_t turn; /* of messages without a key */
    struct {
        uint32_t count; /* 0: none fails */
        enum err_code code;
    } faults[MEMORY_CALL_COUNT];
};

/* A partition that a client receives from. */
struct memory_place {
    const struct memory_topic *topic;
    int32_t partition;
    int64_t offset;    /* of the next message */
    int64_t told_end;  /* the end that was told last, -1: none */
    int64_t committed; /* by this member, or what it began with */
};

struct memory {
    struct client client; /* first: the vtable's functions get a pointer to it */
    uint32_t magic;
    struct memory_cluster *cluster;
    struct list link; /* among the group's members */
    const char *group_id;
    bool is_reset_to_end; /* auto.offset.reset=latest */
    struct memory_group *group;
    const char *subscribed;
    int32_t generation; /* of the group, when the places were given */
    struct memory_place *places;
    size_t place_count;
    size_t next_place;
    bool is_received; /* places[next_place] has given out a message that is not done with yet */
    struct client_counts counts;
    struct err failure; /* of the first message that failed */
};

/* The memory side of a client made by memory_cluster_connect. */
struct memory *memory_of(struct client *client);

/* NULL where there is none. */
struct memory_topic *memory_find_topic(const struct memory_cluster *cluster, const char *name);
struct memory_group *memory_find_group(const struct memory_cluster *cluster, const char *name);

/* Finds or makes. ERR_NO_MEMORY. */
MUST_USE struct err memory_make_group(struct memory_cluster *cluster, const char *name,
                                      struct memory_group **out);

/* The group's committed offset of a partition, -1: none; sets one (ERR_NO_MEMORY). */
int64_t memory_committed(const struct memory_group *group, const char *topic, int32_t partition);
MUST_USE struct err memory_set_committed(struct memory_cluster *cluster, struct memory_group *group,
                                         const struct client_offset *at);

/* Counts a call; the error it must fail with, if any. */
MUST_USE struct err memory_count_call(struct memory_cluster *cluster, enum memory_call call);

struct err memory_send(struct client *client, const struct client_message *message,
                       struct diag *diag);
struct err memory_flush(struct client *client, int32_t timeout_ms, struct client_counts *counts,
                        struct diag *diag);
struct err memory_assign(struct client *client, const struct client_offset *offsets, size_t count,
                         struct diag *diag);
struct err memory_subscribe(struct client *client, const char *topic, struct diag *diag);
struct err memory_receive(struct client *client, int32_t timeout_ms, struct client_event *event,
                          struct diag *diag);
struct err memory_commit(struct client *client, struct diag *diag);

#endif
