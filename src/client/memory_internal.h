/* memory_internal: what the cluster in memory and its clients share. */
#ifndef HEADRACE_CLIENT_MEMORY_INTERNAL_H
#define HEADRACE_CLIENT_MEMORY_INTERNAL_H

#include "base/list.h"
#include "client/memory.h"

#define MEMORY_MAGIC 0x6d656d6fU /* "memo" */

enum memory_fate { MEMORY_OPEN, MEMORY_COMMITTED_ALL, MEMORY_ABORTED_ALL };

struct memory_transaction {
    struct list link; /* among the cluster's open ones */
    enum memory_fate fate;
    const struct memory *owner; /* NULL once its client is closed */
    const char *id;             /* transactional.id */
    struct list offsets;        /* of memory_offset, with their groups */
};

/* What is at an offset. */
struct memory_slot {
    const struct client_message *message;         /* NULL: a marker, or compacted away */
    const struct memory_transaction *transaction; /* NULL: none */
};

struct memory_partition {
    struct memory_slot *slots; /* by offset, from 0 */
    size_t start;              /* of the log */
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
    struct memory_group *group; /* in a transaction */
    struct client_offset at;
};

struct memory_cluster {
    struct arena arena; /* of all that is kept: nothing goes before the cluster does */
    const struct os_clock *clock;
    struct list topics;
    struct list groups;
    struct list transactions; /* open */
    struct list dead;         /* clients that crashed and whose death was not noticed */
    uint64_t turn;            /* of messages without a key */
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
    bool is_paused;
    bool is_revoked; /* asked back, or lost */
    bool is_given;   /* not taken yet */
};

/* How a member of a group minds its places. */
struct memory_membership {
    struct list link; /* among the group's members */
    struct memory_group *group;
    const char **topics;
    size_t topic_count;
    int32_t generation;         /* of the group, when the places were given */
    bool is_joined;             /* by client_join: minds its places itself */
    bool is_expelled;           /* and does not know yet */
    struct client_offset *told; /* the places of the event that is to be answered; NULL: none */
    size_t told_count;
};

struct memory {
    struct client client; /* first: the vtable's functions get a pointer to it */
    uint32_t magic;
    struct memory_cluster *cluster;
    struct list dead_link;
    const char *group_id;
    bool is_reset_to_end; /* auto.offset.reset=latest */
    struct memory_membership member;
    struct memory_place *places;
    size_t place_count;
    size_t next_place;
    bool is_received; /* places[next_place] has given out a message that is not done with yet */
    struct client_counts counts;
    struct err failure; /* of the first message that failed */
    bool is_gapless;    /* enable.gapless.guarantee */
    const char *transactional_id;
    struct memory_transaction *transaction; /* NULL: none was begun */
    bool is_fenced;
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

/* As the two above, of one offset with its metadata, in any list of them. */
MUST_USE struct err memory_put_offset(struct memory_cluster *cluster, struct list *offsets,
                                      struct memory_group *group, const struct client_offset *at);
struct memory_offset *memory_get_offset(const struct list *offsets,
                                        const struct memory_group *group, const char *topic,
                                        int32_t partition);

/* Where readers of committed messages must stop: the first message of an open transaction, or the
 * end. */
size_t memory_stable_end(const struct memory_partition *partition);

/* Appends what is kept of a message, or a marker (NULL). ERR_NO_MEMORY. */
MUST_USE struct err memory_append(struct memory_cluster *cluster,
                                  struct memory_partition *partition,
                                  const struct client_message *message,
                                  const struct memory_transaction *transaction);

/* Makes room for places; those that it has stay. ERR_NO_MEMORY. */
MUST_USE struct err memory_reserve_places(struct memory *memory, size_t count_max);
void memory_add_place(struct memory *memory, const struct memory_topic *topic, int32_t partition,
                      int64_t offset);

/* Takes the member off its group, if it is in one. */
void memory_leave(struct memory *memory);

/* Before a member receives: its places as the group has them now. *event is filled where the
 * member has to be told. ERR_NO_MEMORY. */
MUST_USE struct err memory_settle(struct memory *memory, struct client_event *event);

/* Ends a transaction, known to be open. ERR_NO_MEMORY: it is open still. */
MUST_USE struct err memory_finish(struct memory_cluster *cluster,
                                  struct memory_transaction *transaction, bool is_commit);

/* Fences and aborts what an older client of the transactional id has left. ERR_NO_MEMORY. */
MUST_USE struct err memory_fence(struct memory *memory);

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
struct err memory_join(struct client *client, const char *const *topics, size_t count,
                       struct diag *diag);
struct err memory_take(struct client *client, const struct client_offset *offsets, size_t count,
                       struct diag *diag);
struct err memory_release(struct client *client, struct diag *diag);
struct err memory_pause(struct client *client, const struct client_offset *places, size_t count,
                        bool is_paused, struct diag *diag);
struct err memory_committed_ask(struct client *client, struct client_offset *offsets, size_t count,
                                struct arena *arena, struct diag *diag);
struct err memory_offsets_commit(struct client *client, const struct client_offset *offsets,
                                 size_t count, struct diag *diag);
int32_t memory_generation(struct client *client);
struct err memory_begin(struct client *client, struct diag *diag);
struct err memory_offsets_add(struct client *client, struct client *receiver,
                              const struct client_offset *offsets, size_t count, struct diag *diag);
struct err memory_end(struct client *client, bool is_commit, struct diag *diag);

#endif
