/* find_time: ListOffsets by timestamp, to the exact record (Kafka's UnifiedLog, LogSegment). */
#include <stdlib.h>

#include "base/check.h"
#include "record/walk.h"
#include "storage/scan.h"
#include "storage/storage_internal.h"

/* Which record of a batch is wanted: the first one with timestamp >= at and offset >= from. */
struct wanted {
    int64_t timestamp;
    int64_t offset_from;
};

static struct err walk_batch(struct span batch, const struct wanted *wanted, struct buf *scratch,
                             struct log_time *out)
{
    struct batch_walk walk;
    TRY(batch_walk_begin(&walk, batch, scratch));
    for (;;) {
        struct record record;
        bool is_end;
        TRY(batch_walk_next(&walk, &record, &is_end));
        if (is_end)
            return err_make(ERR_NOT_FOUND);
        if (record.timestamp < wanted->timestamp || record.offset < wanted->offset_from)
            continue;
        *out = (struct log_time){.offset = record.offset,
                                 .timestamp = record.timestamp,
                                 .leader_epoch = walk.header.leader_epoch};
        return ERR_NONE;
    }
}

/* Reads the batch at the place and looks for the record. */
static struct err read_batch(struct log *log, const struct log_place *place,
                             const struct batch_header *header, const struct wanted *wanted,
                             struct buf *scratch, struct log_time *out)
{
    uint8_t *bytes = malloc(header->size);
    if (bytes == NULL)
        return err_make(ERR_NO_MEMORY);
    size_t done;
    struct err err = file_read_at(log->store->options.files, place->file->file, bytes, header->size,
                                  place->position, &done);
    if (!err_failed(err) && done != header->size)
        err = err_make(ERR_TRUNCATED);
    if (!err_failed(err))
        err = walk_batch(span_make(bytes, header->size), wanted, scratch, out);
    free(bytes);
    return err;
}

/* Looks through a segment from the place on. ERR_NOT_FOUND where it holds no such record. */
static struct err search_segment(struct log *log, struct log_place *place,
                                 const struct wanted *wanted, struct buf *scratch,
                                 struct log_time *out)
{
    struct peek peek;
    peek_init(&peek, log->store->options.files, place->file->file, place->position, place->limit);
    while (peek.position < place->limit) {
        struct batch_header header;
        place->position = peek.position;
        TRY(peek_next(&peek, &header));
        if (header.max_timestamp < wanted->timestamp ||
            batch_last_offset(&header) < wanted->offset_from)
            continue;
        struct err err = read_batch(log, place, &header, wanted, scratch, out);
        if (!err_is(err, ERR_NOT_FOUND))
            return err;
    }
    return err_make(ERR_NOT_FOUND);
}

/* The first offset of a segment where the search must begin: the time index says up to where all
 * records are earlier. */
static int64_t time_hint(struct log *log, struct segment *segment, const struct wanted *wanted)
{
    uint8_t entry[TIME_ENTRY_SIZE];
    bool found = false;
    const struct index_search search = {.field = INDEX_TIMESTAMP, .wanted = wanted->timestamp};
    struct err err = segment_find_entry(log, segment, &search, entry, &found);
    int64_t offset = segment->facts.base_offset;
    if (!err_failed(err) && found)
        offset += index_entry_time_offset(entry);
    return offset > wanted->offset_from ? offset : wanted->offset_from;
}

/* The base offset of the first segment from `offset` on that reaches the timestamp; -1: none. */
static int64_t find_segment(struct log *log, int64_t offset, int64_t timestamp)
{
    int64_t base_offset = -1;
    os_mutex_lock(&log->lock);
    for (uint32_t i = 0; i < log->segments.count && base_offset < 0; i++) {
        const struct segment_facts *facts = &log->segments.items[i]->facts;
        if (facts->next_offset > offset && facts->max_timestamp >= timestamp)
            base_offset = facts->base_offset;
    }
    os_mutex_unlock(&log->lock);
    return base_offset;
}

struct err log_find_time(struct log *log, int64_t timestamp, struct buf *scratch,
                         struct log_time *out, struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    struct wanted wanted = {.timestamp = timestamp, .offset_from = log_start_offset(log)};
    for (;;) {
        int64_t base_offset = find_segment(log, wanted.offset_from, timestamp);
        if (base_offset < 0)
            return err_make(ERR_NOT_FOUND);
        int64_t from = base_offset > wanted.offset_from ? base_offset : wanted.offset_from;
        struct log_place place;
        struct batch_header header;
        TRY(log_find_place(log, from, &place, &header, diag));
        int64_t next_offset = place.next_base;
        int64_t hint = time_hint(log, place.segment, &wanted);
        struct err err = hint > from ? place_seek(log, hint, &place, &header) : ERR_NONE;
        if (!err_failed(err))
            err = search_segment(log, &place, &wanted, scratch, out);
        bool is_damaged = err_is(err, ERR_CORRUPT) || err_is(err, ERR_TRUNCATED);
        if (is_damaged)
            err = diag_wrap(diag, err, "segment %lld of %s near byte %lld",
                            (long long)place.segment->facts.base_offset, log->name,
                            (long long)place.position);
        place_release(log, &place);
        if (!err_is(err, ERR_NOT_FOUND) && !err_is(err, ERR_AGAIN))
            return is_damaged ? err_make(ERR_CORRUPT) : err;
        if (next_offset == INT64_MAX)
            return err_make(ERR_NOT_FOUND);
        wanted.offset_from = next_offset;
    }
}

struct err log_find_time_max(struct log *log, struct buf *scratch, struct log_time *out,
                             struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    int64_t timestamp = BATCH_NO_TIMESTAMP;
    int64_t offset = -1;
    os_mutex_lock(&log->lock);
    struct err err = log_check_readable(log, diag);
    for (uint32_t i = 0; i < log->segments.count; i++) {
        const struct segment_facts *facts = &log->segments.items[i]->facts;
        if (facts->max_timestamp > timestamp && facts->next_offset > log->bounds.start) {
            timestamp = facts->max_timestamp;
            offset = facts->max_timestamp_offset;
        }
    }
    int64_t start = log->bounds.start;
    os_mutex_unlock(&log->lock);
    TRY(err);
    if (offset < 0)
        return err_make(ERR_NOT_FOUND);
    if (offset < start)
        return log_find_time(log, timestamp, scratch, out, diag);
    struct log_place place;
    struct batch_header header;
    TRY(log_find_place(log, offset, &place, &header, diag));
    const struct wanted wanted = {.timestamp = timestamp, .offset_from = start};
    err = read_batch(log, &place, &header, &wanted, scratch, out);
    place_release(log, &place);
    return err_failed(err) ? diag_wrap(diag, err, "the batch at offset %lld of %s",
                                       (long long)offset, log->name)
                           : err;
}
