/*
 * offsets_transaction: offsets committed as part of a producer's transaction (KIP-98, KIP-447).
 *
 *     TxnOffsetCommit -> record in the offsets topic, pending -> marker: commit -> latest
 *                                                             -> marker: abort  -> gone
 *
 * A transaction is known here by the partition of the offsets topic and the producer's id, as the
 * marker that ends it names no group. A plain commit made meanwhile outdoes what was pending
 * before.
 *
 * Invariants:
 *  1. A pending offset is on the lists of its transaction and of its partition's entry; with either
 *     of them it goes.
 *  2. Pending offsets are in the log; what the log holds of an open transaction is pending.
 */
#include <stdlib.h>

#include "base/check.h"
#include "coord/offsets_internal.h"

static struct span key_make(uint8_t key[12], int32_t partition_index, int64_t producer_id)
{
    memcpy(key, &partition_index, sizeof partition_index);
    memcpy(key + sizeof partition_index, &producer_id, sizeof producer_id);
    return span_make(key, 12);
}

struct err offsets_transaction_begin(struct coord *coord, int32_t partition_index,
                                     int64_t producer_id, struct offsets_transaction **out)
{
    uint8_t key[12];
    *out = map_get(&coord->transactional_offsets, key_make(key, partition_index, producer_id));
    if (*out != NULL)
        return ERR_NONE;
    struct offsets_transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL)
        return err_make(ERR_NO_MEMORY);
    list_init(&transaction->offsets);
    struct err err = map_put(&coord->transactional_offsets,
                             key_make(transaction->key, partition_index, producer_id), transaction);
    if (err_failed(err)) {
        free(transaction);
        return err;
    }
    *out = transaction;
    return ERR_NONE;
}

struct err pending_offset_create(struct group *group, struct committed *committed,
                                 const struct committed_value *value, struct pending_offset **out)
{
    struct pending_offset *pending = calloc(1, sizeof *pending);
    if (pending == NULL)
        return err_make(ERR_NO_MEMORY);
    list_init(&pending->in_committed);
    list_init(&pending->in_transaction);
    pending->group = group;
    pending->committed = committed;
    pending->value = *value;
    struct err err = blob_copy(value->metadata, &pending->value.metadata);
    if (err_failed(err)) {
        free(pending);
        return err;
    }
    *out = pending;
    return ERR_NONE;
}

void pending_offset_destroy(struct pending_offset *pending)
{
    list_remove(&pending->in_committed);
    list_remove(&pending->in_transaction);
    blob_free(&pending->value.metadata);
    free(pending);
}

/* Drops what the same transaction has already committed for the partition. */
static void outdo(const struct offsets_transaction *transaction, struct committed *committed)
{
    LIST_EACH (&committed->pending, link) {
        struct pending_offset *pending = LIST_ENTRY(link, struct pending_offset, in_committed);
        if (pending->transaction == transaction)
            pending_offset_destroy(pending);
    }
}

void offsets_transaction_take(struct offsets_transaction *transaction, struct list *appended,
                              int64_t record_end)
{
    for (struct list *link = list_pop(appended); link != NULL; link = list_pop(appended)) {
        struct pending_offset *pending = LIST_ENTRY(link, struct pending_offset, in_transaction);
        outdo(transaction, pending->committed);
        pending->transaction = transaction;
        pending->value.record_end = record_end;
        list_append(&transaction->offsets, &pending->in_transaction);
        list_append(&pending->committed->pending, &pending->in_committed);
    }
}

/* Lets the pending value count, unless a plain commit came after it. */
static void apply(struct pending_offset *pending, int64_t end_offset)
{
    struct committed *committed = pending->committed;
    offsets_settle(pending->group, committed);
    int64_t newest =
        committed->latest_end != 0 ? committed->latest.record_end : committed->shown.record_end;
    if (newest > pending->value.record_end)
        return;
    offsets_set_latest(pending->group, committed, pending->value, end_offset);
    pending->value.metadata = SPAN_NULL; /* taken */
}

void offsets_transaction_end(struct coord *coord, int32_t partition_index, int64_t producer_id,
                             bool is_commit, int64_t end_offset)
{
    uint8_t key[12];
    struct offsets_transaction *transaction =
        map_remove(&coord->transactional_offsets, key_make(key, partition_index, producer_id));
    if (transaction == NULL)
        return;
    while (!list_is_empty(&transaction->offsets)) {
        struct pending_offset *pending =
            LIST_ENTRY(transaction->offsets.next, struct pending_offset, in_transaction);
        struct committed *committed = pending->committed;
        struct group *group = pending->group;
        if (is_commit)
            apply(pending, end_offset);
        pending_offset_destroy(pending);
        if (offsets_is_empty(committed))
            offsets_remove(group, committed);
    }
    free(transaction);
}

void offsets_transactions_clear(struct coord *coord)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->transactional_offsets, &position)) != NULL) {
        struct offsets_transaction *transaction = entry->value;
        CHECK(list_is_empty(&transaction->offsets));
        free(transaction);
    }
    map_deinit(&coord->transactional_offsets);
}

/* On a partition of the offsets topic: what was pending there is decided with the marker. */
static void append_locked(struct coord *coord, struct partition *partition,
                          const struct transaction_marker *marker, struct append_result *result)
{
    if (coord->state.loads[partition->index].state != LOAD_DONE) {
        *result = (struct append_result){.verdict = APPEND_FAILED, .err = err_make(ERR_AGAIN)};
        return;
    }
    partition_append_marker(partition, marker, result, NULL);
    if (result->verdict == APPEND_DONE)
        offsets_transaction_end(coord, partition->index, marker->producer_id, marker->is_commit,
                                result->end_offset);
}

void coord_append_marker(struct coord *coord, struct partition *partition,
                         const struct transaction_marker *marker, struct append_result *result)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    bool holds_offsets =
        atomic_load(&coord->state.is_ready) && partition->topic == coord->state.topic;
    if (!holds_offsets) {
        partition_append_marker(partition, marker, result, NULL);
        return;
    }
    coord_lock(coord);
    append_locked(coord, partition, marker, result);
    coord_unlock(coord);
}
