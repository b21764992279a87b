/* producer_state: the sequence rules of Kafka's brokers, and the snapshot's bytes. */
#include "broker/producer_state.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"

#define SNAPSHOT_VERSION 2
#define SNAPSHOT_HEAD_SIZE 5
#define SNAPSHOT_ENTRY_SIZE 24
#define SNAPSHOT_BATCH_SIZE 32

struct producer_batch {
    int32_t first_sequence;
    int32_t last_sequence;
    int64_t base_offset;
    int64_t last_offset;
    int64_t timestamp;
};

struct producer_entry {
    struct list link; /* in state->order, or in busy */
    int64_t id;
    int16_t epoch; /* -1: prepared only, nothing was written yet */
    uint8_t batch_count;
    int32_t coordinator_epoch;
    int64_t update_ms;
    int64_t marker_offset;
    struct producer_batch batches[PRODUCER_BATCH_COUNT]; /* oldest first */
};

static struct span entry_key(const int64_t *id)
{
    return span_make(id, sizeof *id);
}

void producer_state_init(struct producer_state *state)
{
    map_init(&state->entries, 0);
    list_init(&state->order);
    list_init(&state->busy);
}

static void forget(struct producer_state *state, struct producer_entry *entry)
{
    const void *removed = map_remove(&state->entries, entry_key(&entry->id));
    CHECK(removed == entry);
    list_remove(&entry->link);
    free(entry);
}

void producer_state_clear(struct producer_state *state)
{
    list_move_all(&state->order, &state->busy);
    for (struct list *link = list_pop(&state->order); link != NULL; link = list_pop(&state->order))
        free(LIST_ENTRY(link, struct producer_entry, link));
    map_deinit(&state->entries);
}

void producer_state_deinit(struct producer_state *state)
{
    producer_state_clear(state);
}

/* Sequences run from 0 to INT32_MAX and start again at 0. */
static int32_t sequence_add(int32_t sequence, int32_t count)
{
    if (sequence > INT32_MAX - count)
        return count - (INT32_MAX - sequence) - 1;
    return sequence + count;
}

static bool sequence_follows(int32_t last, int32_t next)
{
    return (int64_t)next == (int64_t)last + 1 || (next == 0 && last == INT32_MAX);
}

static struct producer_batch batch_of(const struct batch_header *header)
{
    return (struct producer_batch){
        .first_sequence = header->base_sequence,
        .last_sequence = sequence_add(header->base_sequence, header->last_offset_delta),
        .base_offset = header->base_offset,
        .last_offset = batch_last_offset(header),
        .timestamp = header->max_timestamp,
    };
}

static const struct producer_batch *duplicate_find(const struct producer_entry *entry,
                                                   const struct batch_header *header)
{
    struct producer_batch wanted = batch_of(header);
    for (size_t i = 0; i < entry->batch_count && entry->epoch == header->producer_epoch; i++) {
        const struct producer_batch *batch = &entry->batches[i];
        if (batch->first_sequence == wanted.first_sequence &&
            batch->last_sequence == wanted.last_sequence)
            return batch;
    }
    return NULL;
}

static int32_t last_sequence(const struct producer_entry *entry)
{
    return entry->batch_count == 0 ? BATCH_NO_SEQUENCE
                                   : entry->batches[entry->batch_count - 1].last_sequence;
}

enum producer_verdict producer_state_check(const struct producer_state *state,
                                           const struct batch_header *header,
                                           struct producer_duplicate *duplicate)
{
    if (!batch_has_producer(header))
        return PRODUCER_IN_ORDER;
    const struct producer_entry *entry = map_get(&state->entries, entry_key(&header->producer_id));
    if (entry == NULL || entry->epoch < 0) /* never heard of, or expired: any sequence will do */
        return PRODUCER_IN_ORDER;
    const struct producer_batch *stored = duplicate_find(entry, header);
    if (stored != NULL) {
        *duplicate = (struct producer_duplicate){
            .base_offset = stored->base_offset,
            .last_offset = stored->last_offset,
            .timestamp = stored->timestamp,
        };
        return PRODUCER_DUPLICATE;
    }
    if (header->producer_epoch < entry->epoch)
        return PRODUCER_FENCED;
    bool is_new_epoch = header->producer_epoch > entry->epoch;
    int32_t last = is_new_epoch ? BATCH_NO_SEQUENCE : last_sequence(entry);
    bool is_next = header->base_sequence == BATCH_NO_SEQUENCE || /* the coordinator's own */
                   sequence_follows(last, header->base_sequence);
    return is_next ? PRODUCER_IN_ORDER : PRODUCER_OUT_OF_ORDER;
}

struct err producer_state_prepare(struct producer_state *state, const struct batch_header *header,
                                  int64_t now_ms)
{
    if (!batch_has_producer(header) ||
        map_get(&state->entries, entry_key(&header->producer_id)) != NULL)
        return ERR_NONE;
    struct producer_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return err_make(ERR_NO_MEMORY);
    *entry = (struct producer_entry){.id = header->producer_id,
                                     .epoch = -1,
                                     .coordinator_epoch = -1,
                                     .update_ms = now_ms,
                                     .marker_offset = -1};
    list_init(&entry->link);
    struct err err = map_put(&state->entries, entry_key(&entry->id), entry);
    if (err_failed(err)) {
        free(entry);
        return err;
    }
    if (state->entries.count > PRODUCER_COUNT_MAX && !list_is_empty(&state->order))
        forget(state, LIST_ENTRY(state->order.next, struct producer_entry, link));
    list_append(&state->order, &entry->link);
    return ERR_NONE;
}

/* The producer wrote: in a new epoch its sequences begin anew. */
static void entry_enter_epoch(struct producer_entry *entry, int16_t epoch, int64_t now_ms)
{
    if (entry->epoch != epoch)
        entry->batch_count = 0;
    entry->epoch = epoch;
    entry->update_ms = now_ms;
}

struct err producer_state_update(struct producer_state *state, const struct batch_header *header,
                                 int64_t now_ms)
{
    if (!batch_has_producer(header) || batch_is_control(header))
        return ERR_NONE;
    TRY(producer_state_prepare(state, header, now_ms));
    struct producer_entry *entry = map_get(&state->entries, entry_key(&header->producer_id));
    CHECK(entry != NULL);
    entry_enter_epoch(entry, header->producer_epoch, now_ms);
    list_remove(&entry->link);
    list_append(batch_is_transactional(header) ? &state->busy : &state->order, &entry->link);
    if (header->base_sequence == BATCH_NO_SEQUENCE)
        return ERR_NONE;
    if (entry->batch_count == PRODUCER_BATCH_COUNT) {
        memmove(entry->batches, entry->batches + 1,
                (PRODUCER_BATCH_COUNT - 1) * sizeof entry->batches[0]);
        entry->batch_count--;
    }
    entry->batches[entry->batch_count++] = batch_of(header);
    return ERR_NONE;
}

void producer_state_mark(struct producer_state *state, const struct batch_header *header,
                         int32_t coordinator_epoch, int64_t now_ms)
{
    struct producer_entry *entry = map_get(&state->entries, entry_key(&header->producer_id));
    CHECK(entry != NULL && batch_is_control(header));
    entry_enter_epoch(entry, header->producer_epoch, now_ms);
    entry->coordinator_epoch = coordinator_epoch;
    entry->marker_offset = header->base_offset;
    list_remove(&entry->link);
    list_append(&state->order, &entry->link);
}

static void view_fill(const struct producer_entry *entry, struct producer_view *view)
{
    *view = (struct producer_view){.producer_id = entry->id,
                                   .epoch = entry->epoch,
                                   .last_sequence = last_sequence(entry),
                                   .update_ms = entry->update_ms,
                                   .coordinator_epoch = entry->coordinator_epoch,
                                   .marker_offset = entry->marker_offset};
}

void producer_state_view(const struct producer_state *state, int64_t producer_id,
                         struct producer_view *view)
{
    const struct producer_entry *entry = map_get(&state->entries, entry_key(&producer_id));
    *view = (struct producer_view){.producer_id = producer_id,
                                   .epoch = -1,
                                   .last_sequence = BATCH_NO_SEQUENCE,
                                   .update_ms = -1,
                                   .coordinator_epoch = -1,
                                   .marker_offset = -1};
    if (entry != NULL)
        view_fill(entry, view);
}

bool producer_state_is_last(const struct producer_state *state, const struct batch_header *header)
{
    const struct producer_entry *entry = map_get(&state->entries, entry_key(&header->producer_id));
    if (entry == NULL)
        return false;
    if (entry->batch_count == 0)
        return batch_is_control(header) && header->producer_epoch == entry->epoch;
    return entry->batches[entry->batch_count - 1].last_offset == batch_last_offset(header);
}

bool producer_state_next(const struct producer_state *state, size_t *position,
                         struct producer_view *view)
{
    const struct map_entry *place;
    while ((place = map_next(&state->entries, position)) != NULL) {
        view_fill(place->value, view);
        if (view->epoch >= 0)
            return true;
    }
    return false;
}

size_t producer_state_expire(struct producer_state *state, int64_t before_ms)
{
    size_t expired = 0;
    /* To the end: what was replayed has the time of its records, which need not rise. */
    LIST_EACH (&state->order, link) {
        struct producer_entry *entry = LIST_ENTRY(link, struct producer_entry, link);
        if (entry->update_ms >= before_ms)
            continue;
        forget(state, entry);
        expired++;
    }
    return expired;
}

static struct err entry_write(const struct producer_entry *entry, bool is_busy, struct buf *out)
{
    uint8_t bytes[SNAPSHOT_ENTRY_SIZE + PRODUCER_BATCH_COUNT * SNAPSHOT_BATCH_SIZE];
    CHECK(entry->batch_count <= PRODUCER_BATCH_COUNT);
    store_i64(bytes, entry->id);
    store_i16(bytes + 8, entry->epoch);
    store_i64(bytes + 10, entry->update_ms);
    store_i32(bytes + 18, entry->coordinator_epoch);
    bytes[22] = is_busy;
    bytes[23] = entry->batch_count;
    uint8_t *at = bytes + SNAPSHOT_ENTRY_SIZE;
    for (size_t i = 0; i < entry->batch_count; i++, at += SNAPSHOT_BATCH_SIZE) {
        const struct producer_batch *batch = &entry->batches[i];
        store_i32(at, batch->first_sequence);
        store_i32(at + 4, batch->last_sequence);
        store_i64(at + 8, batch->base_offset);
        store_i64(at + 16, batch->last_offset);
        store_i64(at + 24, batch->timestamp);
    }
    return buf_append(out, bytes, (size_t)(at - bytes));
}

struct err producer_state_write(const struct producer_state *state, struct buf *out)
{
    uint8_t head[SNAPSHOT_HEAD_SIZE] = {SNAPSHOT_VERSION};
    CHECK(state->entries.count <= UINT32_MAX);
    store_u32(head + 1, (uint32_t)state->entries.count);
    TRY(buf_append(out, head, sizeof head));
    LIST_EACH (&state->order, link)
        TRY(entry_write(LIST_ENTRY(link, struct producer_entry, link), false, out));
    LIST_EACH (&state->busy, link)
        TRY(entry_write(LIST_ENTRY(link, struct producer_entry, link), true, out));
    return ERR_NONE;
}

/* Reads one entry off the front of *bytes. */
static struct err entry_read(struct producer_state *state, struct span *bytes)
{
    if (bytes->size < SNAPSHOT_ENTRY_SIZE)
        return err_make(ERR_CORRUPT);
    const uint8_t *at = bytes->data;
    struct batch_header identity = {.producer_id = load_i64(at)};
    uint8_t batch_count = at[23];
    bool is_busy = at[22] != 0;
    size_t size = SNAPSHOT_ENTRY_SIZE + (size_t)batch_count * SNAPSHOT_BATCH_SIZE;
    bool is_known = map_get(&state->entries, entry_key(&identity.producer_id)) != NULL;
    if (batch_count > PRODUCER_BATCH_COUNT || bytes->size < size || is_known ||
        identity.producer_id < 0)
        return err_make(ERR_CORRUPT);
    TRY(producer_state_prepare(state, &identity, load_i64(at + 10))); /* it becomes the youngest */
    struct producer_entry *entry = map_get(&state->entries, entry_key(&identity.producer_id));
    CHECK(entry != NULL);
    entry->epoch = load_i16(at + 8);
    entry->coordinator_epoch = load_i32(at + 18);
    if (is_busy) {
        list_remove(&entry->link);
        list_append(&state->busy, &entry->link);
    }
    at += SNAPSHOT_ENTRY_SIZE;
    for (size_t i = 0; i < batch_count; i++, at += SNAPSHOT_BATCH_SIZE)
        entry->batches[i] = (struct producer_batch){.first_sequence = load_i32(at),
                                                    .last_sequence = load_i32(at + 4),
                                                    .base_offset = load_i64(at + 8),
                                                    .last_offset = load_i64(at + 16),
                                                    .timestamp = load_i64(at + 24)};
    entry->batch_count = batch_count;
    *bytes = span_make(at, bytes->size - size);
    return ERR_NONE;
}

static struct err entries_read(struct producer_state *state, struct span *bytes)
{
    if (bytes->size < SNAPSHOT_HEAD_SIZE || bytes->data[0] != SNAPSHOT_VERSION)
        return err_make(ERR_CORRUPT);
    uint32_t count = load_u32(bytes->data + 1);
    *bytes = span_make(bytes->data + SNAPSHOT_HEAD_SIZE, bytes->size - SNAPSHOT_HEAD_SIZE);
    for (uint32_t i = 0; i < count; i++)
        TRY(entry_read(state, bytes));
    return ERR_NONE;
}

struct err producer_state_read(struct producer_state *state, struct span *bytes)
{
    producer_state_clear(state);
    struct err err = entries_read(state, bytes);
    if (err_failed(err))
        producer_state_clear(state);
    return err;
}
