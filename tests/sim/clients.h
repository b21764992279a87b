/*
 * clients: those who ask the simulated server: state machines over a link.
 *
 * A client does something when it is asked to act and nothing that it waits for forbids it, takes
 * answers, and goes on after a lost connection where a real one would. What it sends and sees it
 * notes in the world's history. Where it is told something that no client could explain, it fails
 * the seed.
 */
#ifndef HEADRACE_TESTS_SIM_CLIENTS_H
#define HEADRACE_TESTS_SIM_CLIENTS_H

#include "sim/link.h"

struct sim_client {
    struct link link;
    char name[16];
    bool is_retired; /* it died without a word and never comes back */
    /* Does the next thing, if there is one now. In peace: no new work, only what is to be ended. */
    void (*act)(struct sim_client *client);
    /* In peace: whether all is ended. */
    bool (*is_done)(const struct sim_client *client);
};

/* An idempotent producer with acks=all and up to five batches of a partition in flight. */
struct sim_client *producer_create(struct world *world, int index);

/* A producer in transactions, of the second version of the protocol (KIP-890) or the first, which
 * also commits offsets of a group of its own. */
struct sim_client *transactional_create(struct world *world, int index, bool is_version_2);

/* A member of a group that reads committed records and commits how far it came. */
struct sim_client *member_create(struct world *world, int index);

/* One who reads all partitions, uncommitted records too, in a fetch session. */
struct sim_client *follower_create(struct world *world);

/* One who asks for log starts, high watermarks and committed offsets. */
struct sim_client *watch_create(struct world *world);

/* One who reads each partition whole and notes it under that pass, once it is told so. */
struct sim_client *auditor_create(struct world *world);
void auditor_begin(struct sim_client *client, int pass);

/* Its process dies; what it held must be taken from it. Its name never comes back. */
void sim_client_retire(struct sim_client *client);

/* NULL is ignored. */
void sim_client_destroy(struct sim_client *client);

/* For the clients' own files: the client of a size, its link made; the name is printed. */
struct sim_client *sim_client_make(struct world *world, size_t size, const char *kind, int index);

/* Whether the answer asks to come again: the server is starting, ending, or short of its disk. */
bool sim_is_retriable(int16_t code);

/* What a batch is made of: count values "NAME-FIRST", "NAME-FIRST+1", ... */
struct sim_batch_spec {
    const char *name;
    int64_t first;
    int32_t count;
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence;
    bool is_transactional;
};

/* Appends the encoded batch to buf, which is empty; returns its bytes. */
struct span sim_build_batch(const struct world *world, const struct sim_batch_spec *spec,
                            struct buf *buf);

/* Sends Produce of one batch; a and b are the call's. */
void sim_send_produce(struct link *link, const char *transactional_id, int16_t version,
                      int32_t partition, struct span batch, int64_t b);

/* Sends Fetch of one partition. */
void sim_send_fetch(struct link *link, int32_t partition, int64_t offset, bool is_committed);

/* Records of a fetched partition: of those of transactions only committed ones where wanted. */
struct sim_seen {
    int64_t offset;
    struct span value; /* null: a marker */
};

/* Calls see for each record from an offset on; returns the offset behind the last. */
int64_t sim_see_records(const struct fetch_response_partition *partition, int64_t from,
                        bool is_committed, void (*see)(void *context, const struct sim_seen *seen),
                        void *context);

#endif
