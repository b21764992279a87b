/*
 * admin: changes to topics, one at a time, each recorded in the metadata log.
 *
 * A change is durable when the metadata log is durable up to the offset it returns in *commit; the
 * answer to the client waits for that with admin_wait. What it adds (topics, partitions, configs)
 * is shown and used from then on and not before, so that nothing acknowledged hangs on a change
 * that a crash takes back (topic.h). What it takes away is gone at once: nothing more is
 * acknowledged to it, and a crash brings it back whole.
 */
#ifndef HEADRACE_BROKER_ADMIN_H
#define HEADRACE_BROKER_ADMIN_H

#include "broker/broker.h"

/* Partitions of one topic, and of all: each costs a few hundred bytes and, once used, a file. */
#define TOPIC_PARTITION_COUNT_MAX 100000

struct admin_create {
    struct span name;
    int32_t partition_count;           /* at least 1 */
    struct topic_overrides *overrides; /* taken: empty afterwards, also on failure */
    bool is_internal;
};

/*
 * Makes a topic. *out: with a new reference; it has no partitions to be seen before it is durable.
 * Errors: ERR_INVALID (name; a name that collides), ERR_EXISTS (then *commit says when that is
 * durable), ERR_LIMIT (partitions), ERR_NO_SPACE, ERR_IO, ERR_OFFLINE, ERR_NO_MEMORY.
 */
MUST_USE struct err admin_create_topic(struct broker *broker, struct admin_create *create,
                                       struct topic **out, int64_t *commit, struct diag *diag);

/* Checks what admin_create_topic would refuse; changes nothing. */
MUST_USE struct err admin_check_create(struct broker *broker, const struct admin_create *create,
                                       struct diag *diag);

/* Someone who waits until a topic's deletion is durable. */
struct deletion_observer {
    /* Any thread, once. An error: the broker ended, or storage failed, before it was recorded. */
    void (*done)(struct deletion_observer *observer, struct err err);
};

/*
 * Deletes a topic: gone from the table at once, its logs deleted when the change is durable; until
 * both is done its name is taken. observer (may be NULL) is told when the change is durable, after
 * the name is free or, where storage cannot delete a log now, before; perhaps before this returns,
 * and not where this fails. ERR_NOT_FOUND where the topic is gone already.
 */
MUST_USE struct err admin_delete_topic(struct broker *broker, struct topic *topic,
                                       struct deletion_observer *observer, struct diag *diag);

/* Raises the number of partitions. ERR_INVALID unless count is more than there are; ERR_LIMIT. */
MUST_USE struct err admin_add_partitions(struct broker *broker, struct topic *topic, int32_t count,
                                         int64_t *commit, struct diag *diag);

/* Checks what admin_add_partitions would refuse; changes nothing. */
MUST_USE struct err admin_check_partitions(struct topic *topic, int32_t count, struct diag *diag);

/* How the overrides of a topic become others. */
struct topic_edit {
    /*
     * Changes what is recorded of the topic. Changes of topics wait meanwhile: it must not. After
     * an error, which the edit's owner gets back, the topic stays as it is.
     */
    struct err (*apply)(struct topic_edit *edit, struct topic_overrides *overrides,
                        struct diag *diag);
};

/*
 * Edits the topic's overrides; of two edits at a time the second begins with what the first has
 * made. ERR_NOT_FOUND where the topic is gone, ERR_NO_MEMORY, the edit's, and the metadata log's.
 */
MUST_USE struct err admin_configure_topic(struct broker *broker, struct topic *topic,
                                          struct topic_edit *edit, int64_t *commit,
                                          struct diag *diag);

/* Gives out a producer id that no other producer ever had. */
MUST_USE struct err admin_allocate_producer_id(struct broker *broker, int64_t *producer_id,
                                               int64_t *commit, struct diag *diag);

/* Tries again to delete the logs that could not be deleted. For broker_background_step. */
void admin_retry_deletions(struct broker *broker);

/* Frees what is left of deletions; for broker_close, which leaves the rest to the next start. */
void admin_forget_deletions(struct broker *broker);

/* Waits for a change: partition_wait on the metadata log. waiter->offset is set here. */
MUST_USE bool admin_wait(struct broker *broker, int64_t commit, struct partition_waiter *waiter,
                         struct err *err);

#endif
