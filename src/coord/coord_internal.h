/*
 * coord_internal: what the files of the coordinator share. All under coord->lock, unless it says
 * so.
 *
 * Lock order: the coordinator's lock, then a partition's (an append) or broker.table_lock. Never
 * broker.admin_lock under it: topics are made before it is taken. Under it are an append to the
 * offsets topic, so that the log's order is the order of what is kept here, and calls of waiters,
 * which only post mail; records of commits are packed before it.
 */
#ifndef HEADRACE_COORD_COORD_INTERNAL_H
#define HEADRACE_COORD_COORD_INTERNAL_H

#include "broker/internal_log.h"
#include "coord/group.h"
#include "coord/state_topic.h"
#include "wire/error_code.h"

#define COORD_MAGIC 0x434f4f52U /* "COOR" */

struct coord {
    uint32_t magic;
    struct coord_setup setup;
    struct transactions *transactions; /* with a lock and a table of their own */
    struct broker *broker;
    const struct os_clock *clock;
    const struct config *config;
    uint64_t seed;
    struct os_mutex lock;
    struct wheel wheel;
    int64_t promised_ms; /* monotonic time until which coord_wait_ms told its caller to sleep */
    struct map groups;
    struct map transactional_offsets; /* see offsets_transaction.c */
    struct timer expiry;
    struct state_topic state; /* __consumer_offsets */
    bool is_closed;
};

void coord_lock(struct coord *coord);

/* Unlocks, and wakes the stepper when a timer is now due before it would look. */
void coord_unlock(struct coord *coord);

/* Sets a timer so many milliseconds from now. */
void coord_set_timer(struct coord *coord, struct timer *timer, int64_t after_ms);

/*
 * Finds the group of a request. KAFKA_NONE with *group NULL where it does not exist and is_wanted
 * is false; otherwise it is made: coord_prepare has been called. Errors: not available, loading,
 * INVALID_GROUP_ID.
 */
int16_t coord_find_group(struct coord *coord, struct span group_id, bool is_wanted,
                         struct group **group);

/* Takes a group out of the table and frees it, or leaves that to its last write. */
void coord_drop_group(struct coord *coord, struct group *group);

/* The partition that a group's records are on. */
struct partition *coord_partition(struct coord *coord, int32_t index);

/* Says what an answer waits for: end_offset of the group's partition. */
void coord_commit_fill(const struct group *group, int64_t end_offset, struct coord_commit *commit);

/* rebalance.c */
void rebalance_timer_fired(struct timer *timer);
/* A member joined, changed or left: begins a rebalance, or sees whether the running one is over. */
void rebalance_prepare(struct group *group);
void rebalance_try_complete(struct group *group);
void rebalance_answer_join(struct group *group, struct member *member, int16_t error_code);
void rebalance_answer_sync(struct member *member, int16_t error_code);
/* Answers a static member that came back into a stable group. old_leader_id: what to name as leader
 * so that it does not compute the assignment again; null where skip_assignment can say so. */
void rebalance_answer_static(struct group *group, const struct member *member,
                             struct span old_leader_id, bool is_leader, struct coord_join *join);
/* All members for the leader's answer, on the heap; the spans borrow. NULL without memory. */
struct join_group_response_member *rebalance_list_members(const struct group *group,
                                                          int32_t *count);
/* The leader has said who does what; goes on when that is durable. */
void rebalance_assign(struct group *group, const struct sync_group_request *request);
/* Starts the member's session timeout anew. */
void membership_touch(struct member *member);

/* membership.c */
void membership_session_fired(struct timer *timer);
/* Takes a member out, answering its waiters with UNKNOWN_MEMBER_ID, and rebalances. */
void membership_remove(struct group *group, struct member *member);

/* offsets.c */
void offsets_clear(struct group *group);
MUST_USE struct err offsets_replay(struct group *group, struct span topic, int32_t partition,
                                   const struct batch_header *header, const struct record *record);
/* Adds a tombstone for each of the group's offsets. */
MUST_USE struct err offsets_add_tombstones(struct group *group, struct internal_batch *batch);

/* offsets_expire.c */
/* Removes the offsets that have expired, and the groups of which nothing is left. */
void offsets_expire_fired(struct timer *timer);

/* group_log.c */
/* Appends the group's own record, with the assignments its members have. */
MUST_USE struct err group_log_write(struct group *group, int64_t *end_offset);
/* Adds tombstones for the group and for all its offsets to a batch. */
MUST_USE struct err group_log_add_tombstone(struct group *group, struct internal_batch *batch);
MUST_USE struct err group_log_add_offset_tombstone(struct group *group, struct span topic,
                                                   int32_t partition, struct internal_batch *batch);
/* What loading __consumer_offsets finds; context: struct coord_loading. */
MUST_USE struct err group_log_visit(void *context, const struct batch_header *header,
                                    const struct record *record);
MUST_USE struct err group_log_visit_marker(void *context, const struct batch_header *header,
                                           bool is_commit);

struct coord_loading {
    struct coord *coord;
    int32_t partition_index;
    struct arena arena;
};

#endif
