/* producer_state: the sequence rules of Kafka's brokers, and the snapshot's bytes. */
#include "broker/producer_state.h"

#include <endian.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_ENTRY_SIZE 19
#define SNAPSHOT_BATCH_SIZE 32

struct producer_batch {
    int32_t first_sequence;
    int32_t last_sequence;
    int64_t base_offset;
    int64_t last_offset;
    int64_t timestamp;
};

struct producer_entry {
    struct list link; /* in state->order */
    int64_t id;
    int16_t epoch;
    uint8_t batch_count;
    int64_t update_ms;
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

enum producer_verdict producer_state_check(const struct producer_state *state,
                                           const struct batch_header *header,
                                           struct producer_duplicate *duplicate)
{
    if (!batch_has_producer(header))
        return PRODUCER_IN_ORDER;
    const struct producer_entry *entry = map_get(&state->entries, entry_key(&header->producer_id));
    if (entry == NULL) /* never heard of, or expired: Kafka takes any sequence */
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
    if (header->producer_epoch > entry->epoch)
        return header->base_sequence == 0 ? PRODUCER_IN_ORDER : PRODUCER_OUT_OF_ORDER;
    if (entry->batch_count == 0) /* its first append failed: as if never heard of */
        return PRODUCER_IN_ORDER;
    int32_t last = entry->batches[entry->batch_count - 1].last_sequence;
    return sequence_follows(last, header->base_sequence) ? PRODUCER_IN_ORDER
                                                         : PRODUCER_OUT_OF_ORDER;
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
    entry->id = header->producer_id;
    entry->epoch = header->producer_epoch;
    entry->update_ms = now_ms;
    list_init(&entry->link);
    struct err err = map_put(&state->entries, entry_key(&entry->id), entry);
    if (err_failed(err)) {
        free(entry);
        return err;
    }
    list_append(&state->order, &entry->link);
    if (state->entries.count > PRODUCER_COUNT_MAX)
        forget(state, LIST_ENTRY(state->order.next, struct producer_entry, link));
    return ERR_NONE;
}

struct err producer_state_update(struct producer_state *state, const struct batch_header *header,
                                 int64_t now_ms)
{
    if (!batch_has_producer(header) || batch_is_control(header))
        return ERR_NONE;
    TRY(producer_state_prepare(state, header, now_ms));
    struct producer_entry *entry = map_get(&state->entries, entry_key(&header->producer_id));
    CHECK(entry != NULL);
    if (entry->epoch != header->producer_epoch) {
        entry->epoch = header->producer_epoch;
        entry->batch_count = 0;
    }
    if (entry->batch_count == PRODUCER_BATCH_COUNT) {
        memmove(entry->batches, entry->batches + 1,
                (PRODUCER_BATCH_COUNT - 1) * sizeof entry->batches[0]);
        entry->batch_count--;
    }
    entry->batches[entry->batch_count++] = batch_of(header);
    entry->update_ms = now_ms;
    list_remove(&entry->link);
    list_append(&state->order, &entry->link);
    return ERR_NONE;
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

static void put_u32(uint8_t **at, uint32_t value)
{
    value = htobe32(value);
    memcpy(*at, &value, sizeof value);
    *at += sizeof value;
}

static void put_u64(uint8_t **at, uint64_t value)
{
    value = htobe64(value);
    memcpy(*at, &value, sizeof value);
    *at += sizeof value;
}

static uint32_t take_u32(const uint8_t **at)
{
    uint32_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return be32toh(value);
}

static uint64_t take_u64(const uint8_t **at)
{
    uint64_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return be64toh(value);
}

static struct err entry_write(const struct producer_entry *entry, struct buf *out)
{
    uint8_t bytes[SNAPSHOT_ENTRY_SIZE + PRODUCER_BATCH_COUNT * SNAPSHOT_BATCH_SIZE];
    uint8_t *at = bytes;
    put_u64(&at, (uint64_t)entry->id);
    *at++ = (uint8_t)((uint16_t)entry->epoch >> 8);
    *at++ = (uint8_t)entry->epoch;
    put_u64(&at, (uint64_t)entry->update_ms);
    *at++ = entry->batch_count;
    CHECK(at - bytes == SNAPSHOT_ENTRY_SIZE && entry->batch_count <= PRODUCER_BATCH_COUNT);
    for (size_t i = 0; i < entry->batch_count; i++) {
        const struct producer_batch *batch = &entry->batches[i];
        put_u32(&at, (uint32_t)batch->first_sequence);
        put_u32(&at, (uint32_t)batch->last_sequence);
        put_u64(&at, (uint64_t)batch->base_offset);
        put_u64(&at, (uint64_t)batch->last_offset);
        put_u64(&at, (uint64_t)batch->timestamp);
    }
    return buf_append(out, bytes, (size_t)(at - bytes));
}

struct err producer_state_write(const struct producer_state *state, struct buf *out)
{
    uint8_t head[5] = {SNAPSHOT_VERSION};
    uint8_t *at = head + 1;
    CHECK(state->entries.count <= UINT32_MAX);
    put_u32(&at, (uint32_t)state->entries.count);
    TRY(buf_append(out, head, sizeof head));
    LIST_EACH (&state->order, link)
        TRY(entry_write(LIST_ENTRY(link, struct producer_entry, link), out));
    return ERR_NONE;
}

/* Reads one entry off the front of *bytes. */
static struct err entry_read(struct producer_state *state, struct span *bytes)
{
    if (bytes->size < SNAPSHOT_ENTRY_SIZE)
        return err_make(ERR_CORRUPT);
    const uint8_t *at = bytes->data;
    struct batch_header identity = {.producer_id = (int64_t)take_u64(&at)};
    identity.producer_epoch = (int16_t)(uint16_t)(at[0] << 8 | at[1]);
    at += 2;
    int64_t update_ms = (int64_t)take_u64(&at);
    uint8_t batch_count = *at++;
    size_t size = SNAPSHOT_ENTRY_SIZE + (size_t)batch_count * SNAPSHOT_BATCH_SIZE;
    bool is_known = map_get(&state->entries, entry_key(&identity.producer_id)) != NULL;
    if (batch_count > PRODUCER_BATCH_COUNT || bytes->size < size || is_known ||
        identity.producer_id < 0)
        return err_make(ERR_CORRUPT);
    TRY(producer_state_prepare(state, &identity, update_ms)); /* it becomes the youngest */
    struct producer_entry *entry = map_get(&state->entries, entry_key(&identity.producer_id));
    CHECK(entry != NULL);
    for (size_t i = 0; i < batch_count; i++) {
        entry->batches[i].first_sequence = (int32_t)take_u32(&at);
        entry->batches[i].last_sequence = (int32_t)take_u32(&at);
        entry->batches[i].base_offset = (int64_t)take_u64(&at);
        entry->batches[i].last_offset = (int64_t)take_u64(&at);
        entry->batches[i].timestamp = (int64_t)take_u64(&at);
    }
    entry->batch_count = batch_count;
    *bytes = span_make(at, bytes->size - size);
    return ERR_NONE;
}

static struct err entries_read(struct producer_state *state, struct span bytes)
{
    if (bytes.size < 5 || bytes.data[0] != SNAPSHOT_VERSION)
        return err_make(ERR_CORRUPT);
    const uint8_t *at = bytes.data + 1;
    uint32_t count = take_u32(&at);
    struct span rest = span_make(at, bytes.size - 5);
    for (uint32_t i = 0; i < count; i++)
        TRY(entry_read(state, &rest));
    return rest.size == 0 ? ERR_NONE : err_make(ERR_CORRUPT);
}

struct err producer_state_read(struct producer_state *state, struct span bytes)
{
    producer_state_clear(state);
    struct err err = entries_read(state, bytes);
    if (err_failed(err))
        producer_state_clear(state);
    return err;
}
