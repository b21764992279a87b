/* partition: the meeting point of appends, durability and those who wait. */
#include "broker/partition.h"

#include <stdlib.h>

#include "base/check.h"
#include "broker/topic.h"

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

static void watchers_tell(struct partition *partition, int64_t size)
{
    LIST_EACH (&partition->watchers, link) {
        struct partition_watch *watch = LIST_ENTRY(link, struct partition_watch, link);
        watch->moved(watch, size);
    }
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
    partition->pending_size -= size;
    atomic_store(&partition->high_watermark, offset);
    waiters_take(partition, offset, taken);
    watchers_tell(partition, size > 0 ? size : 1);
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
    struct err err = partition->producers.entries.count == 0
                         ? ERR_NONE
                         : producer_state_write(&partition->producers, out);
    os_mutex_unlock(&partition->lock);
    return err;
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
    return bytes.size == 0 ? ERR_NONE : producer_state_read(&partition->producers, bytes);
}

static struct err on_replay_batch(void *context, const struct batch_header *header,
                                  struct span batch)
{
    struct partition *partition = context;
    (void)batch;
    return producer_state_update(&partition->producers, header, header->max_timestamp);
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
                     .released = on_released},
        .visitor = {.context = partition, .snapshot = on_replay_snapshot, .batch = on_replay_batch},
    };
    struct err err = store_open_log(setup->store, &log_setup, &partition->log, diag);
    if (err_failed(err)) {
        partition_destroy(partition);
        return err;
    }
    atomic_store(&partition->high_watermark, log_durable_offset(partition->log));
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
    watchers_tell(partition, 0);
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

/* Appends under the lock; the sequence was found in order. */
static void append_locked(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                          struct append_result *result, struct diag *diag)
{
    int64_t now_ms = clock_wall_ms(partition->clock);
    int64_t base_offset = log_end_offset(partition->log);
    batch_patch_offset(bytes, header, base_offset, store_leader_epoch(partition->store));
    result->err = producer_state_prepare(&partition->producers, header, now_ms);
    if (!err_failed(result->err))
        result->err = log_append(partition->log, span_make(bytes, header->size), header, diag);
    if (err_failed(result->err)) {
        result->verdict = APPEND_FAILED;
        return;
    }
    struct err err = producer_state_update(&partition->producers, header, now_ms);
    CHECK(!err_failed(err)); /* prepared above */
    partition->pending_size += header->size;
    result->verdict = APPEND_DONE;
    result->base_offset = base_offset;
    result->end_offset = batch_last_offset(header) + 1;
}

static void append_judged(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                          struct append_result *result, struct diag *diag)
{
    struct producer_duplicate stored;
    switch (producer_state_check(&partition->producers, header, &stored)) {
    case PRODUCER_IN_ORDER:
        append_locked(partition, bytes, header, result, diag);
        break;
    case PRODUCER_DUPLICATE:
        result->verdict = APPEND_DUPLICATE;
        result->base_offset = stored.base_offset;
        result->end_offset = stored.last_offset + 1;
        break;
    case PRODUCER_OUT_OF_ORDER:
        result->verdict = APPEND_OUT_OF_ORDER;
        break;
    case PRODUCER_FENCED:
        result->verdict = APPEND_FENCED;
        break;
    }
}

void partition_append(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                      struct append_result *result, struct diag *diag)
{
    CHECK_MAGIC(partition, PARTITION_MAGIC);
    *result = (struct append_result){.verdict = APPEND_FAILED, .base_offset = -1};
    struct list taken;
    list_init(&taken);
    os_mutex_lock(&partition->lock);
    if (partition->is_closed) {
        result->err = err_make(ERR_CLOSED);
    } else {
        append_judged(partition, bytes, header, result, diag);
        if (result->verdict == APPEND_DONE) /* flush=os: durable already (W3) */
            watermark_raise(partition, log_durable_offset(partition->log), &taken);
    }
    os_mutex_unlock(&partition->lock);
    result->start_offset = log_start_offset(partition->log);
    waiters_finish(&taken, ERR_NONE);
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
    int64_t watermark = partition_high_watermark(partition);
    *out = (struct partition_offsets){
        .start = log_start_offset(partition->log),
        .high_watermark = watermark,
        .stable = watermark,
        .end = log_end_offset(partition->log),
    };
    if (out->high_watermark < out->start)
        out->high_watermark = out->stable = out->start;
}

void partition_expire_producers(struct partition *partition, int64_t before_ms)
{
    os_mutex_lock(&partition->lock);
    (void)producer_state_expire(&partition->producers, before_ms);
    os_mutex_unlock(&partition->lock);
}
