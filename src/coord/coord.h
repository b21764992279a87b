/*
 * coord: the coordinator of consumer groups, and through coord_transactions that of transactions.
 *
 * Groups live on partitions of __consumer_offsets by the hash of their names. While a partition's
 * records are being loaded (coord_load_step), its groups answer COORDINATOR_LOAD_IN_PROGRESS.
 *
 * Any thread may call any function; waiters are called by whichever thread completes them, under
 * the coordinator's lock, and must neither wait nor call back.
 */
#ifndef HEADRACE_COORD_COORD_H
#define HEADRACE_COORD_COORD_H

#include "broker/broker.h"
#include "wire/delete_groups.h"
#include "wire/describe_groups.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/list_groups.h"
#include "wire/offset_commit.h"
#include "wire/offset_delete.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"

struct coord;
struct transactions;

struct coord_setup {
    struct broker *broker;
    /* Something is now due earlier than coord_wait_ms said: step again. Any thread. */
    void (*wake)(void *context);
    void *context;
};

/* Makes the coordinator; all of its groups are still to be loaded. setup's parts outlive it. */
MUST_USE struct err coord_create(const struct coord_setup *setup, struct coord **out);

/* Answers everyone who waits with COORDINATOR_NOT_AVAILABLE; later requests get it at once. */
void coord_close(struct coord *coord);

/* Frees it, after coord_close and when no request is under way. NULL is taken and ignored. */
void coord_destroy(struct coord *coord);

/*
 * Loads one partition's groups and offsets. *is_more: call again; after an error, which diag tells,
 * not at once: a later call loads that partition again, after the others. One that is damaged, or
 * failed LOAD_TRY_COUNT_MAX times, stays unavailable. One thread.
 */
MUST_USE struct err coord_load_step(struct coord *coord, bool *is_more, struct diag *diag);

/* The coordinator of transactions, which lives as long as this one: see transactions.h. */
struct transactions *coord_transactions(struct coord *coord);

/* Lets timers fire: session timeouts, rebalance deadlines, expiry of offsets; transactions'. */
void coord_step(struct coord *coord);

/* Milliseconds until coord_step has something to do; -1: nothing is due. */
int64_t coord_wait_ms(struct coord *coord);

/*
 * Makes __consumer_offsets where it is missing, so that groups can be made; joins and commits do so
 * by themselves. ERR_AGAIN: it is not yet durable, which it is when the metadata log is up to
 * *commit (admin_wait); until then groups are unavailable. Other errors as admin_create_topic's.
 */
MUST_USE struct err coord_prepare(struct coord *coord, int64_t *commit, struct diag *diag);

/* Who asks. The spans live during the call. */
struct coord_client {
    struct span id;   /* client.id, may be null */
    struct span host; /* "/192.0.2.1", as Kafka shows it */
    int16_t version;  /* of the request */
};

/* A join or sync that waits. done is called exactly once, perhaps before the call returns. */
struct coord_join {
    void (*done)(struct coord_join *join, const struct join_group_response *response);
};

struct coord_sync {
    void (*done)(struct coord_sync *sync, const struct sync_group_response *response);
};

void coord_join_group(struct coord *coord, const struct join_group_request *request,
                      const struct coord_client *client, struct coord_join *join);
void coord_sync_group(struct coord *coord, const struct sync_group_request *request,
                      struct coord_sync *sync);

/* Each returns Kafka's error code for the answer. */
int16_t coord_heartbeat(struct coord *coord, const struct heartbeat_request *request);

/* Fills response->members in arena memory (version 3 and later) or error_code alone. */
MUST_USE struct err coord_leave_group(struct coord *coord,
                                      const struct leave_group_request *request, int16_t version,
                                      struct arena *arena, struct leave_group_response *response);

/* What an answer must wait for: partition NULL when nothing. The topic reference is the caller's.
 */
struct coord_commit {
    struct partition *partition;
    struct topic *topic;
    int64_t end_offset;
};

/* The transaction that a commit is part of. */
struct coord_transaction {
    int64_t producer_id;
    int16_t producer_epoch;
    struct append_guard guard; /* of the group's partition: see coord_group_partition */
};

/*
 * Commits offsets. Topics are named in request->topics (ids were resolved by the caller; a null
 * name is unknown). transaction: NULL, or what the offsets wait for; the producer was found to be
 * in it. Fills response->topics in arena memory.
 */
MUST_USE struct err
coord_commit_offsets(struct coord *coord, const struct offset_commit_request *request,
                     const struct coord_transaction *transaction, struct arena *arena,
                     struct offset_commit_response *response, struct coord_commit *commit);

/* The offsets of one group: those asked for, or with topics_count -1 all. In arena memory. */
MUST_USE struct err coord_fetch_offsets(struct coord *coord,
                                        const struct offset_fetch_request_group *request,
                                        bool is_stable_required, struct arena *arena,
                                        struct offset_fetch_response_group *response);

MUST_USE struct err coord_delete_offsets(struct coord *coord,
                                         const struct offset_delete_request *request,
                                         struct arena *arena,
                                         struct offset_delete_response *response,
                                         struct coord_commit *commit);

MUST_USE struct err coord_describe_group(struct coord *coord, struct span group_id, int16_t version,
                                         struct arena *arena,
                                         struct describe_groups_response_group *response);

MUST_USE struct err coord_list_groups(struct coord *coord,
                                      const struct list_groups_request *request,
                                      struct arena *arena, struct list_groups_response *response);

/* Deletes an empty group and its offsets. Returns Kafka's error code. */
int16_t coord_delete_group(struct coord *coord, struct span group_id, struct coord_commit *commit);

/*
 * The partition of the offsets topic that the group belongs to, with a reference to its topic that
 * the caller gives up. Kafka's code: KAFKA_NONE, or not available, or loading.
 */
int16_t coord_group_partition(struct coord *coord, struct span group_id,
                              struct partition **partition);

/*
 * Appends a transaction marker to any partition; on one of the offsets topic what the transaction
 * committed there counts from then on, or is gone. Verdicts as partition_append_marker's; FAILED
 * with ERR_AGAIN while the partition's groups are being loaded.
 */
void coord_append_marker(struct coord *coord, struct partition *partition,
                         const struct transaction_marker *marker, struct append_result *result);

/* A topic is gone: so are the offsets committed for it. */
void coord_forget_topic(struct coord *coord, struct span topic);

/* For metrics: visits each committed offset; the spans live during the call. Under the lock. */
typedef void (*coord_visit)(void *context, struct span group, struct span topic, int32_t partition,
                            int64_t offset);
void coord_visit_offsets(struct coord *coord, coord_visit visit, void *context);

/* Groups in each state, and members in all, for metrics. */
struct coord_counts {
    int64_t groups_by_state[5]; /* by enum group_state */
    int64_t members;
};

void coord_count(struct coord *coord, struct coord_counts *counts);

#endif
