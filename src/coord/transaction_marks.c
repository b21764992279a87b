/*
 * transaction_marks: the markers that end a transaction, one in each partition.
 *
 *     decision durable -> append a marker to each partition -> all durable -> record the completion
 *
 * A partition that cannot take its marker now (the disk is full) gets it later; one that is gone
 * needs none. After a restart all of them are written again: a marker that is there already decides
 * nothing the second time.
 */
#include <stdlib.h>

#include "base/check.h"
#include "coord/transactions_internal.h"

/* How long after some markers could not be written they are tried again: by then there may be room
 * on the disk. */
#define MARKS_RETRY_MS 500

/* One less to wait for; the last one ends this round. */
static void marks_finish_one(struct transaction *transaction)
{
    struct transaction_marks *marks = &transaction->marks;
    struct transactions *transactions = transaction->owner;
    CHECK(marks->waiting > 0);
    if (--marks->waiting > 0)
        return;
    free(marks->items);
    marks->items = NULL;
    if (marks->has_failed) {
        if (!transactions->is_closed)
            transactions_set_timer(transactions, &transaction->timer, MARKS_RETRY_MS);
        return;
    }
    struct transaction_facts next =
        transaction_complete(&transaction->facts, clock_wall_ms(transactions->clock));
    transaction_record(transaction, &next, KAFKA_NONE, NULL);
}

static void mark_finish(struct transaction_mark *mark, struct err err)
{
    struct transaction *transaction = mark->transaction;
    topic_unref(mark->topic);
    if (err_failed(err))
        transaction->marks.has_failed = true;
    else
        transaction->partitions.items[mark->at].is_marked = true;
    marks_finish_one(transaction);
}

static void mark_durable(struct partition_waiter *waiter, struct err err)
{
    struct transaction_mark *mark = LIST_ENTRY(waiter, struct transaction_mark, waiter);
    struct transactions *transactions = mark->transaction->owner;
    transactions_lock(transactions);
    mark_finish(mark, err);
    transactions_unlock(transactions);
}

static struct transaction_marker make_marker(const struct transaction *transaction)
{
    const struct transaction_facts *facts = &transaction->facts;
    return (struct transaction_marker){
        .producer_id = facts->producer_id,
        .producer_epoch = facts->epoch,
        .transaction_version = facts->client_version,
        .coordinator_epoch = store_leader_epoch(transaction->owner->setup.broker->store),
        .is_commit = facts->state == TRANSACTION_PREPARE_COMMIT,
    };
}

/* Appends the marker and waits for it. Takes over the reference to the topic. */
static void mark_write(struct transaction *transaction, size_t at, struct topic *topic,
                       struct partition *partition)
{
    struct transaction_marks *marks = &transaction->marks;
    struct transaction_marker marker = make_marker(transaction);
    struct append_result result;
    coord_append_marker(transaction->owner->setup.coord, partition, &marker, &result);
    bool is_gone = result.verdict == APPEND_FAILED && atomic_load(&topic->is_deleted);
    bool is_superseded =
        result.verdict == APPEND_FENCED || result.verdict == APPEND_COORDINATOR_FENCED;
    if (result.verdict != APPEND_DONE) {
        topic_unref(topic);
        transaction->partitions.items[at].is_marked = is_gone || is_superseded;
        marks->has_failed = marks->has_failed || !(is_gone || is_superseded);
        return;
    }
    struct transaction_mark *mark = &marks->items[at];
    *mark = (struct transaction_mark){
        .waiter = {.offset = result.end_offset, .done = mark_durable},
        .transaction = transaction,
        .topic = topic,
        .at = at,
    };
    marks->waiting++;
    struct err err;
    if (partition_wait(partition, &mark->waiter, &err))
        mark_finish(mark, err);
}

static void mark_one(struct transaction *transaction, size_t at)
{
    struct transaction_partition *item = &transaction->partitions.items[at];
    if (item->is_marked)
        return;
    struct topic *topic = broker_find_topic(transaction->owner->setup.broker, item->topic);
    struct partition *partition = topic == NULL ? NULL : topic_partition(topic, item->index);
    if (partition == NULL) {
        topic_unref(topic);
        item->is_marked = true;
        return;
    }
    mark_write(transaction, at, topic, partition);
}

void transaction_write_marks(struct transaction *transaction)
{
    struct transaction_marks *marks = &transaction->marks;
    size_t count = transaction->partitions.count;
    CHECK(marks->items == NULL && !transaction->is_pending);
    marks->items = calloc(count + 1, sizeof *marks->items);
    if (marks->items == NULL) {
        transactions_set_timer(transaction->owner, &transaction->timer, MARKS_RETRY_MS);
        return;
    }
    marks->waiting = 1; /* this loop */
    marks->has_failed = false;
    for (size_t i = 0; i < count; i++)
        mark_one(transaction, i);
    marks_finish_one(transaction);
}
