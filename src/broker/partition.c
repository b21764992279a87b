/* partition: the meeting point of appends, durability and those who wait. */
#include "broker/partition.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/topic.h"

/* A control batch of one record: 61 bytes of header and about 17 of record. */
#define MARKER_SIZE_MAX 128

static void waiters_take(struct partition *partition, int64_t offset, struct list *taken)
{
    while (!list_is_empty(&partition->waiters)) {
        struct list *first = partition->waiters.next;
        if (LIST_ENTRY(first, struct partition_waiter, link)->offset > offset)
            return;
        list_remove(first);
        list_append(taken, first);
    }
}

static void waiters_finish(struct list *taken, struct err err)
{
    for (struct list *link = list_pop(taken); link != NULL; link = list_pop(taken)) {
        struct partition_waiter *waiter = LIST_ENTRY(link, struct partition_waiter, link);
        waiter->done(waiter, err);
    }
}

static void watchers_tell(struct partition *partition, bool is_committed_only, int64_t size)
{
    LIST_EACH (&partition->watchers, link) {
        struct partition_watch *watch = LIST_ENTRY(link, struct partition_watch, link);
        if (watch->is_committed_only == is_committed_only)
            watch->moved(watch, size);
    }
}

/* The high watermark has risen from `before`, over about so many bytes: so may what is stable. */
static void stable_raise(struct partition *partition, int64_t before, int64_t size)
{
    struct transaction_index *transactions = &partition->transactions;
    int64_t stable_before = transaction_index_stable(transactions, before);
    transaction_index_settle(transactions, partition->high_watermark);
    int64_t stable = transaction_index_stable(transactions, partition->high_watermark);
    partition->unstable_size += size;
    if (stable == stable_before)
        return;
    double share =
        (double)(stable - stable_before) / (double)(partition->high_watermark - stable_before);
    int64_t stable_size = stable == partition->high_watermark
                              ? partition->unstable_size
                              : (int64_t)((double)partition->unstable_size * share);
    partition->unstable_size -= stable_size;
    watchers_tell(partition, true, stable_size > 0 ? stable_size : 1);
}

/* Raises the high watermark; the caller holds the lock and finishes what is taken without it. */
static void watermark_raise(struct partition *partition, int64_t offset, struct list *taken)
{
    int64_t watermark = partition->high_watermark;
    if (offset <= watermark)
        return;
    int64_t end = log_end_offset(partition->log);
    CHECK(offset <= end);
    /* The share of the pending bytes that the flushed offsets are likely to hold: a waiting fetch
     * looks at the log itself before it answers. */
    double share = (double)(offset - watermark) / (double)(end - watermark);
    int64_t size = offset == end ? partition->pending_size
                                 : (int64_t)((double)partition->pending_size * share);
    int64_t before = partition->high_watermark;
    partition->pending_size -= size;
    atomic_store(&partition->high_watermark, offset);
    waiters_take(partition, offset, taken);
    watchers_tell(partition, false, size > 0 ? size : 1);
    stable_raise(partition, before, size);
}

static void on_durable(void *context, int64_t offset)
{
    struct partition *partition = context;
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    struct list taken;
    list_init(&taken);
    os_mutex_lock(&partition->lock);
    watermark_raise(partition, offset, &taken);
    os_mutex_unlock(&partition->lock);
    waiters_finish(&taken, ERR_NONE);
}

static void on_failed(void *context, struct err err)
{
    struct partition *partition = context;
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    struct list taken;
    list_init(&taken);
    os_mutex_lock(&partition->lock);
    partition->failure = err;
    list_move_all(&taken, &partition->waiters);
    os_mutex_unlock(&partition->lock);
    waiters_finish(&taken, err);
}

static struct err on_snapshot(void *context, struct buf *out, int64_t *offset)
{
    struct partition *partition = context;
    os_mutex_lock(&partition->lock);
    *offset = log_end_offset(partition->log);
    struct err err = ERR_NONE;
    if (partition->producers.entries.count != 0 || partition->transactions.aborted_count != 0) {
        transaction_index_trim(&partition->transactions, log_start_offset(partition->log));
        err = producer_state_write(&partition->producers, out);
        if (!err_failed(err))
            err = transaction_index_write(&partition->transactions, out);
    }
    os_mutex_unlock(&partition->lock);
    return err;
}

static int64_t on_stable(void *context)
{
    struct partition *partition = context;
    os_mutex_lock(&partition->lock);
    int64_t stable = transaction_index_stable(&partition->transactions, partition->high_watermark);
    os_mutex_unlock(&partition->lock);
    return stable;
}

static bool on_is_aborted(void *context, const struct batch_header *header)
{
    struct partition *partition = context;
    os_mutex_lock(&partition->lock);
    bool is_aborted = transaction_index_is_aborted(&partition->transactions, header->producer_id,
                                                   header->base_offset);
    os_mutex_unlock(&partition->lock);
    return is_aborted;
}

static bool on_is_last_of_producer(void *context, const struct batch_header *header)
{
    struct partition *partition = context;
    os_mutex_lock(&partition->lock);
    bool is_last = producer_state_is_last(&partition->producers, header);
    os_mutex_unlock(&partition->lock);
    return is_last;
}

static void on_compacted(void *context, int64_t offset)
{
    struct partition *partition = context;
    os_mutex_lock(&partition->lock);
    transaction_index_trim(&partition->transactions, offset);
    os_mutex_unlock(&partition->lock);
}

static void on_released(void *context)
{
    struct partition *partition = context;
    topic_partition_released(partition->topic, partition);
}

static struct err on_replay_snapshot(void *context, int64_t offset, struct span bytes)
{
    struct partition *partition = context;
    (void)offset;
    if (bytes.size == 0)
        return ERR_NONE;
    TRY(producer_state_read(&partition->producers, &bytes));
    return transaction_index_read(&partition->transactions, bytes);
}

/* Notes what the log now holds. Prepared, but where a log is replayed. */
static struct err note_batch(struct partition *partition, const struct batch_header *header,
                             int64_t now_ms)
{
    TRY(producer_state_update(&partition->producers, header, now_ms));
    if (!batch_is_transactional(header))
        return ERR_NONE;
    TRY(transaction_index_prepare(&partition->transactions, header->producer_id));
    transaction_index_begin(&partition->transactions, header->producer_id, header->base_offset);
    return ERR_NONE;
}

static struct err note_marker(struct partition *partition, const struct batch_header *header,
                              enum control_kind kind, int32_t coordinator_epoch)
{
    TRY(producer_state_prepare(&partition->producers, header, header->max_timestamp));
    TRY(transaction_index_prepare(&partition->transactions, header->producer_id));
    producer_state_mark(&partition->producers, header, coordinator_epoch, header->max_timestamp);
    transaction_index_end(&partition->transactions, header->producer_id, kind == CONTROL_ABORT,
                          header->base_offset);
    return ERR_NONE;
}

static struct err on_replay_batch(void *context, const struct batch_header *header,
                                  struct span batch)
{
    struct partition *partition = context;
    if (!batch_has_producer(header))
        return ERR_NONE;
    if (!batch_is_control(header))
        return note_batch(partition, header, header->max_timestamp);
    enum control_kind kind;
    int32_t coordinator_epoch;
    TRY(batch_read_marker(batch, &kind, &coordinator_epoch));
    return note_marker(partition, header, kind, coordinator_epoch);
}

struct err partition_create(const struct partition_setup *setup, struct partition **out,
                            struct diag *diag)
{
    struct partition *partition = calloc(1, sizeof *partition);
    if (partition == NULL)
        return err_make(ERR_NO_MEMORY);
    *partition = (struct partition){
        .magic = PARTITION_MAGIC,
        .index = setup->index,
        .recorded_at = PARTITION_UNRECORDED,
        .topic = setup->topic,
        .store = setup->store,
        .clock = setup->clock,
    };
    os_mutex_init(&partition->lock);
    producer_state_init(&partition->producers);
    transaction_index_init(&partition->transactions);
    list_init(&partition->waiters);
    list_init(&partition->watchers);
    struct log_setup log_setup = {
        .topic_id = setup->topic->id,
        .topic = setup->topic->name,
        .partition = setup->index,
        .config = *setup->config,
        .listener = {.context = partition,
                     .durable = on_durable,
                     .failed = on_failed,
                     .snapshot = on_snapshot,
                     .stable = on_stable,
                     .is_aborted = on_is_aborted,
                     .is_last_of_producer = on_is_last_of_producer,
                     .compacted = on_compacted,
                     .released = on_released},
        .visitor = {.context = partition, .snapshot = on_replay_snapshot, .batch = on_replay_batch},
    };
    struct err err = store_open_log(setup->store, &log_setup, &partition->log, diag);
    if (err_failed(err)) {
        partition_destroy(partition);
        return err;
    }
    atomic_store(&partition->high_watermark, log_durable_offset(partition->log));
    transaction_index_settle(&partition->transactions, partition->high_watermark);
    *out = partition;
    return ERR_NONE;
}

void partition_destroy(struct partition *partition)
{
    if (partition == NULL)
        return;
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    CHECK(list_is_empty(&partition->waiters) && list_is_empty(&partition->watchers));
    producer_state_deinit(&partition->producers);
    transaction_index_deinit(&partition->transactions);
    os_mutex_deinit(&partition->lock);
    partition->magic = 0;
    free(partition);
}

void partition_close(struct partition *partition)
{
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    struct list taken;
    list_init(&taken);
    os_mutex_lock(&partition->lock);
    partition->is_closed = true;
    list_move_all(&taken, &partition->waiters);
    watchers_tell(partition, false, 0);
    watchers_tell(partition, true, 0);
    os_mutex_unlock(&partition->lock);
    waiters_finish(&taken, err_make(ERR_CLOSED));
}

void partition_fail_waiters(struct partition *partition)
{
    struct list taken;
    list_init(&taken);
    os_mutex_lock(&partition->lock);
    list_move_all(&taken, &partition->waiters);
    os_mutex_unlock(&partition->lock);
    waiters_finish(&taken, err_make(ERR_OFFLINE));
}

/* All that noting the batch may need, so that what is in the log is always noted. */
static struct err prepare(struct partition *partition, const struct batch_header *header,
                          int64_t now_ms)
{
    TRY(producer_state_prepare(&partition->producers, header, now_ms));
    if (!batch_is_transactional(header))
        return ERR_NONE;
    return transaction_index_prepare(&partition->transactions, header->producer_id);
}

/* Gives the batch its offset and writes it. */
static void write_prepared(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                           struct append_result *result, struct diag *diag)
{
    int64_t base_offset = log_end_offset(partition->log);
    batch_patch_offset(bytes, header, base_offset, store_leader_epoch(partition->store));
    result->err = log_append(partition->log, span_make(bytes, header->size), header, diag);
    if (err_failed(result->err)) {
        result->verdict = APPEND_FAILED;
        return;
    }
    partition->pending_size += header->size;
    result->verdict = APPEND_DONE;
    result->base_offset = base_offset;
    result->end_offset = batch_last_offset(header) + 1;
}

/* Appends under the lock; the sequence was found in order. */
static void append_locked(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                          struct append_result *result, struct diag *diag)
{
    int64_t now_ms = clock_wall_ms(partition->clock);
    result->verdict = APPEND_FAILED;
    result->err = prepare(partition, header, now_ms);
    if (err_failed(result->err))
        return;
    write_prepared(partition, bytes, header, result, diag);
    if (result->verdict != APPEND_DONE)
        return;
    struct err err = note_batch(partition, header, now_ms);
    CHECK(!err_failed(err)); /* prepared above */
}

/* Whether the producer's transaction, or the want of one, allows the batch. */
static bool is_allowed(const struct partition *partition, const struct batch_header *header,
                       const struct append_guard *guard)
{
    if (!batch_has_producer(header))
        return true;
    bool is_open =
        transaction_index_first_offset(&partition->transactions, header->producer_id) >= 0;
    if (!batch_is_transactional(header))
        return !is_open;
    if (is_open || header->base_sequence == BATCH_NO_SEQUENCE) /* the coordinator's own */
        return true;
    struct producer_view view;
    producer_state_view(&partition->producers, header->producer_id, &view);
    return guard != NULL && (guard->is_version_2 || guard->marker_offset == view.marker_offset);
}

/* An unknown producer must begin at 0 in transactions v2 (KIP-890). */
static bool is_first_sequence_wrong(const struct partition *partition,
                                    const struct batch_header *header,
                                    const struct append_guard *guard)
{
    bool is_first = header->base_sequence == 0 || header->base_sequence == BATCH_NO_SEQUENCE;
    if (guard == NULL || !guard->is_version_2 || is_first)
        return false;
    struct producer_view view;
    producer_state_view(&partition->producers, header->producer_id, &view);
    return view.epoch < 0;
}

static void append_judged(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                          const struct append_guard *guard, struct append_result *result,
                          struct diag *diag)
{
    struct producer_duplicate stored;
    enum producer_verdict verdict = producer_state_check(&partition->producers, header, &stored);
    if (verdict == PRODUCER_DUPLICATE) {
        result->verdict = APPEND_DUPLICATE;
        result->base_offset = stored.base_offset;
        result->end_offset = stored.last_offset + 1;
    } else if (verdict == PRODUCER_FENCED) {
        result->verdict = APPEND_FENCED;
    } else if (!is_allowed(partition, header, guard)) {
        result->verdict = APPEND_NOT_IN_TRANSACTION;
    } else if (verdict == PRODUCER_OUT_OF_ORDER ||
               is_first_sequence_wrong(partition, header, guard)) {
        result->verdict = APPEND_OUT_OF_ORDER;
    } else {
        append_locked(partition, bytes, header, result, diag);
    }
}

void partition_guard(struct partition *partition, const struct batch_header *header,
                     struct append_guard *guard)
{
    struct producer_view view;
    os_mutex_lock(&partition->lock);
    producer_state_view(&partition->producers, header->producer_id, &view);
    guard->marker_offset = view.marker_offset;
    guard->is_open =
        transaction_index_first_offset(&partition->transactions, header->producer_id) >= 0 &&
        view.epoch == header->producer_epoch;
    os_mutex_unlock(&partition->lock);
}

/* Begins an append: takes the lock. False where nothing is appended any more. */
static bool append_begin(struct partition *partition, struct append_result *result)
{
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    *result = (struct append_result){.verdict = APPEND_FAILED, .base_offset = -1};
    os_mutex_lock(&partition->lock);
    if (partition->is_closed)
        result->err = err_make(ERR_CLOSED);
    return !partition->is_closed;
}

static void append_end(struct partition *partition, struct append_result *result)
{
    struct list taken;
    list_init(&taken);
    if (result->verdict == APPEND_DONE) /* flush=os: durable already (W3) */
        watermark_raise(partition, log_durable_offset(partition->log), &taken);
    os_mutex_unlock(&partition->lock);
    result->start_offset = log_start_offset(partition->log);
    waiters_finish(&taken, ERR_NONE);
}

void partition_append(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                      const struct append_guard *guard, struct append_result *result,
                      struct diag *diag)
{
    if (append_begin(partition, result))
        append_judged(partition, bytes, header, guard, result, diag);
    append_end(partition, result);
}

/*
 * Whether the marker is not older than what it would end. A marker of version 2 has an epoch above
 * that of the records it ends, or is one sent again: then nothing is open and the epochs agree.
 */
static enum append_verdict judge_marker(const struct partition *partition,
                                        const struct transaction_marker *marker)
{
    struct producer_view view;
    producer_state_view(&partition->producers, marker->producer_id, &view);
    bool is_open =
        transaction_index_first_offset(&partition->transactions, marker->producer_id) >= 0;
    bool is_old = marker->producer_epoch < view.epoch;
    if (marker->transaction_version >= 2 && marker->producer_epoch == view.epoch && is_open)
        is_old = true;
    if (is_old)
        return APPEND_FENCED;
    return marker->coordinator_epoch < view.coordinator_epoch ? APPEND_COORDINATOR_FENCED
                                                              : APPEND_DONE;
}

static void append_marker_locked(struct partition *partition,
                                 const struct transaction_marker *marker, struct span batch,
                                 struct append_result *result, struct diag *diag)
{
    struct batch_header header;
    CHECK(batch_parse(batch, &header) == BATCH_FINE);
    result->verdict = judge_marker(partition, marker);
    if (result->verdict != APPEND_DONE)
        return;
    result->verdict = APPEND_FAILED;
    result->err = prepare(partition, &header, header.max_timestamp);
    if (err_failed(result->err))
        return;
    write_prepared(partition, span_writable(batch), &header, result, diag);
    if (result->verdict != APPEND_DONE)
        return;
    struct err err =
        note_marker(partition, &header, marker->is_commit ? CONTROL_COMMIT : CONTROL_ABORT,
                    marker->coordinator_epoch);
    CHECK(!err_failed(err)); /* prepared above */
}

void partition_append_marker(struct partition *partition, const struct transaction_marker *marker,
                             struct append_result *result, struct diag *diag)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = marker->producer_id;
    options.producer_epoch = marker->producer_epoch;
    struct buf bytes;
    struct span batch = SPAN_NULL;
    buf_init(&bytes, MARKER_SIZE_MAX);
    struct err err = batch_build_marker(
        &options, marker->is_commit ? CONTROL_COMMIT : CONTROL_ABORT, marker->coordinator_epoch,
        clock_wall_ms(partition->clock), &bytes, &batch);
    bool is_begun = append_begin(partition, result);
    if (err_failed(err))
        result->err = err;
    else if (is_begun)
        append_marker_locked(partition, marker, batch, result, diag);
    append_end(partition, result);
    buf_deinit(&bytes);
}

/* Keeps the waiters in order of offset; nearly always the new one belongs at the end. */
static void waiter_insert(struct partition *partition, struct partition_waiter *waiter)
{
    struct list *before = &partition->waiters;
    while (before->prev != &partition->waiters &&
           LIST_ENTRY(before->prev, struct partition_waiter, link)->offset > waiter->offset)
        before = before->prev;
    list_append(before, &waiter->link);
}

bool partition_wait(struct partition *partition, struct partition_waiter *waiter, struct err *err)
{
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    *err = ERR_NONE;
    os_mutex_lock(&partition->lock);
    bool is_over = waiter->offset <= partition->high_watermark;
    if (!is_over && partition->is_closed) {
        *err = err_make(ERR_CLOSED);
        is_over = true;
    } else if (!is_over && store_is_offline(partition->store)) {
        *err = err_make(ERR_OFFLINE);
        is_over = true;
    } else if (!is_over && err_failed(partition->failure)) {
        *err = partition->failure;
        is_over = true;
    }
    if (!is_over)
        waiter_insert(partition, waiter);
    os_mutex_unlock(&partition->lock);
    return is_over;
}

void partition_watch(struct partition *partition, struct partition_watch *watch)
{
    os_mutex_lock(&partition->lock);
    list_append(&partition->watchers, &watch->link);
    os_mutex_unlock(&partition->lock);
}

void partition_unwatch(struct partition *partition, struct partition_watch *watch)
{
    os_mutex_lock(&partition->lock);
    list_remove(&watch->link);
    os_mutex_unlock(&partition->lock);
}

int64_t partition_high_watermark(const struct partition *partition)
{
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    return atomic_load(&partition->high_watermark);
}

void partition_read_offsets(struct partition *partition, struct partition_offsets *out)
{
    os_mutex_lock(&partition->lock);
    int64_t watermark = partition->high_watermark;
    int64_t stable = transaction_index_stable(&partition->transactions, watermark);
    os_mutex_unlock(&partition->lock);
    *out = (struct partition_offsets){
        .start = log_start_offset(partition->log),
        .high_watermark = watermark,
        .stable = stable,
        .end = log_end_offset(partition->log),
    };
    if (out->high_watermark < out->start)
        out->high_watermark = out->start;
    if (out->stable < out->start)
        out->stable = out->start;
}

struct err partition_list_producers(struct partition *partition, struct arena *arena,
                                    struct partition_producer **out, size_t *count)
{
    *count = 0;
    os_mutex_lock(&partition->lock);
    *out = arena_alloc_array(arena, partition->producers.entries.count, sizeof **out);
    size_t position = 0;
    struct producer_view view;
    while (*out != NULL && producer_state_next(&partition->producers, &position, &view)) {
        (*out)[(*count)++] =
            (struct partition_producer){.view = view,
                                        .first_offset = transaction_index_first_offset(
                                            &partition->transactions, view.producer_id)};
    }
    os_mutex_unlock(&partition->lock);
    return *out == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

struct err partition_collect_aborted(struct partition *partition, int64_t from, int64_t below,
                                     struct arena *arena, struct aborted_transaction **out,
                                     size_t *count)
{
    os_mutex_lock(&partition->lock);
    struct err err =
        transaction_index_collect(&partition->transactions, from, below, arena, out, count);
    os_mutex_unlock(&partition->lock);
    return err;
}

void partition_expire_producers(struct partition *partition, int64_t before_ms)
{
    os_mutex_lock(&partition->lock);
    (void)producer_state_expire(&partition->producers, before_ms);
    os_mutex_unlock(&partition->lock);
}
