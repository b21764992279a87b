/* manifest_entry: entries to bytes and back. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "record/batch.h"
#include "storage/manifest_internal.h"

/* Topic id and partition. */
#define ID_SIZE 20

/* The facts of a segment: six numbers of 8 bytes, two of 4. */
#define FACTS_SIZE 56

/* An epoch and its start offset. */
#define EPOCH_SIZE 12

/* Takes the numbers of a body one after the other; once too short, always too short. */
struct taker {
    struct span rest;
    bool is_short;
};

static const uint8_t *take(struct taker *taker, size_t size)
{
    static const uint8_t nothing[ID_SIZE];
    CHECK(size <= sizeof nothing);
    if (taker->rest.size < size) {
        taker->is_short = true;
        return nothing;
    }
    const uint8_t *at = taker->rest.data;
    taker->rest = span_make(at + size, taker->rest.size - size);
    return at;
}

static int64_t take_i64(struct taker *taker)
{
    return load_i64(take(taker, 8));
}

static uint32_t take_u32(struct taker *taker)
{
    return load_u32(take(taker, 4));
}

static void take_facts(struct taker *taker, struct segment_facts *facts)
{
    facts->base_offset = take_i64(taker);
    facts->next_offset = take_i64(taker);
    facts->size = take_i64(taker);
    facts->first_timestamp = take_i64(taker);
    facts->max_timestamp = take_i64(taker);
    facts->max_timestamp_offset = take_i64(taker);
    facts->offset_entry_count = take_u32(taker);
    facts->time_entry_count = take_u32(taker);
}

/* Numbers that could not have been written by a running store. */
static bool are_facts_absurd(const struct segment_facts *facts)
{
    if (facts->base_offset < 0 || facts->next_offset < facts->base_offset || facts->size < 0 ||
        facts->size > INT32_MAX || facts->max_timestamp_offset < facts->base_offset ||
        facts->max_timestamp_offset > facts->next_offset)
        return true;
    /* No batch gives an index more than one entry. */
    int64_t batch_count_max = facts->size / BATCH_HEADER_SIZE;
    return facts->offset_entry_count > batch_count_max || facts->time_entry_count > batch_count_max;
}

/* A name becomes part of paths: it holds no separator and is no way up. */
static bool is_name_absurd(struct span name)
{
    return name.size == 0 || name.size > STORE_NAME_SIZE_MAX || name.data[0] == '.' ||
           memchr(name.data, '/', name.size) != NULL || memchr(name.data, 0, name.size) != NULL;
}

static bool is_checkpoint_absurd(const struct manifest_entry *entry)
{
    return entry->offset != entry->segment.next_offset || entry->snapshot_offset < -1 ||
           entry->snapshot_offset > entry->offset || entry->epochs.size % EPOCH_SIZE != 0;
}

static void take_body(struct taker *taker, struct manifest_entry *entry)
{
    if (entry->kind == MANIFEST_OPEN) {
        entry->leader_epoch = (int32_t)take_u32(taker);
        return;
    }
    if (entry->kind == MANIFEST_CLEAN)
        return;
    const uint8_t *id = take(taker, ID_SIZE);
    memcpy(entry->id.topic_id.bytes, id, sizeof entry->id.topic_id.bytes);
    entry->id.partition = load_i32(id + sizeof entry->id.topic_id.bytes);
    if (entry->kind == MANIFEST_CREATE)
        entry->name = taker->rest;
    else if (entry->kind == MANIFEST_SEGMENT)
        entry->segment.base_offset = entry->segment.next_offset =
            entry->segment.max_timestamp_offset = take_i64(taker);
    else if (entry->kind == MANIFEST_SEAL || entry->kind == MANIFEST_REPLACE)
        take_facts(taker, &entry->segment);
    else if (entry->kind == MANIFEST_START || entry->kind == MANIFEST_TRUNCATE ||
             entry->kind == MANIFEST_COMPACTED)
        entry->offset = take_i64(taker);
    if (entry->kind == MANIFEST_REPLACE)
        entry->copy = take_u32(taker);
    if (entry->kind == MANIFEST_COMPACTED)
        entry->horizon_ms = take_i64(taker);
    if (entry->kind != MANIFEST_CHECKPOINT)
        return;
    entry->offset = take_i64(taker);
    entry->snapshot_offset = take_i64(taker);
    entry->has_snapshot_file = take_u32(taker) != 0;
    take_facts(taker, &entry->segment);
    entry->epochs = taker->rest;
}

bool manifest_decode(struct span bytes, struct manifest_entry *out)
{
    CHECK(bytes.size != 0);
    struct manifest_entry entry = {.kind = (enum manifest_kind)bytes.data[0]};
    if (entry.kind < MANIFEST_OPEN || entry.kind >= MANIFEST_KIND_END)
        return false;
    struct taker taker = {.rest = span_make(bytes.data + 1, bytes.size - 1)};
    take_body(&taker, &entry);
    if (taker.is_short || entry.offset < 0 || entry.copy > 1 || entry.horizon_ms < -1 ||
        are_facts_absurd(&entry.segment))
        return false;
    if (entry.kind == MANIFEST_CREATE && is_name_absurd(entry.name))
        return false;
    if (entry.kind == MANIFEST_CHECKPOINT && is_checkpoint_absurd(&entry))
        return false;
    *out = entry;
    return true;
}

/* Room for all of a body but its name and epochs. */
#define BODY_SIZE_MAX (1 + ID_SIZE + 8 + 8 + 4 + FACTS_SIZE)

static uint8_t *put_i64(uint8_t *at, int64_t value)
{
    store_i64(at, value);
    return at + 8;
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    store_u32(at, value);
    return at + 4;
}

static uint8_t *put_facts(uint8_t *at, const struct segment_facts *facts)
{
    CHECK(!are_facts_absurd(facts));
    at = put_i64(at, facts->base_offset);
    at = put_i64(at, facts->next_offset);
    at = put_i64(at, facts->size);
    at = put_i64(at, facts->first_timestamp);
    at = put_i64(at, facts->max_timestamp);
    at = put_i64(at, facts->max_timestamp_offset);
    at = put_u32(at, facts->offset_entry_count);
    return put_u32(at, facts->time_entry_count);
}

/* The fixed part of kind and body; returns its size. */
static size_t put_body(uint8_t *body, const struct manifest_entry *entry)
{
    uint8_t *at = body;
    *at++ = (uint8_t)entry->kind;
    if (entry->kind == MANIFEST_OPEN)
        at = put_u32(at, (uint32_t)entry->leader_epoch);
    if (entry->kind == MANIFEST_OPEN || entry->kind == MANIFEST_CLEAN)
        return (size_t)(at - body);
    memcpy(at, entry->id.topic_id.bytes, sizeof entry->id.topic_id.bytes);
    at = put_u32(at + sizeof entry->id.topic_id.bytes, (uint32_t)entry->id.partition);
    if (entry->kind == MANIFEST_SEGMENT)
        at = put_i64(at, entry->segment.base_offset);
    else if (entry->kind == MANIFEST_SEAL || entry->kind == MANIFEST_REPLACE)
        at = put_facts(at, &entry->segment);
    else if (entry->kind == MANIFEST_START || entry->kind == MANIFEST_TRUNCATE ||
             entry->kind == MANIFEST_COMPACTED)
        at = put_i64(at, entry->offset);
    if (entry->kind == MANIFEST_REPLACE)
        at = put_u32(at, entry->copy);
    if (entry->kind == MANIFEST_COMPACTED)
        at = put_i64(at, entry->horizon_ms);
    if (entry->kind != MANIFEST_CHECKPOINT)
        return (size_t)(at - body);
    at = put_i64(at, entry->offset);
    at = put_i64(at, entry->snapshot_offset);
    at = put_u32(at, entry->has_snapshot_file);
    at = put_facts(at, &entry->segment);
    return (size_t)(at - body);
}

struct err manifest_encode(const struct manifest_entry *entry, struct buf *out)
{
    CHECK(entry->kind >= MANIFEST_OPEN && entry->kind < MANIFEST_KIND_END);
    uint8_t body[BODY_SIZE_MAX];
    size_t body_size = put_body(body, entry);
    CHECK(body_size <= sizeof body);
    struct span more = entry->kind == MANIFEST_CREATE       ? entry->name
                       : entry->kind == MANIFEST_CHECKPOINT ? entry->epochs
                                                            : span_make(NULL, 0);
    CHECK(entry->kind != MANIFEST_CREATE || !is_name_absurd(entry->name));
    CHECK(entry->kind != MANIFEST_CHECKPOINT || !is_checkpoint_absurd(entry));
    size_t size = FRAME_SIZE + body_size + more.size;
    size_t size_padded = frame_pad(size);
    TRY(buf_reserve(out, size_padded));
    uint8_t *at = out->data + out->size;
    memset(at, 0, size_padded);
    store_u32(at, (uint32_t)(body_size + more.size));
    memcpy(at + FRAME_SIZE, body, body_size);
    if (more.size != 0)
        memcpy(at + FRAME_SIZE + body_size, more.data, more.size);
    out->size += size_padded;
    return ERR_NONE;
}

void manifest_seal_frames(struct span frames, uint8_t *bytes, int64_t size_synced)
{
    CHECK(frames.data == bytes);
    size_t at = 0;
    while (at < frames.size) {
        size_t body_size = load_u32(bytes + at);
        store_i64(bytes + at + FRAME_AT_SYNCED, size_synced);
        struct span covered =
            span_make(bytes + at + FRAME_AT_SYNCED, FRAME_SIZE - FRAME_AT_SYNCED + body_size);
        store_u32(bytes + at + FRAME_AT_CRC, crc32c(covered));
        at += frame_pad(FRAME_SIZE + body_size);
    }
    CHECK(at == frames.size);
}
