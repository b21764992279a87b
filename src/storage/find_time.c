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

/* The largest timestamp seen so far, and the last offset of the first batch that has it. */
struct newest {
    int64_t timestamp;
    int64_t offset;
};

static void newest_note(struct newest *newest, int64_t timestamp, int64_t offset)
{
    if (timestamp > newest->timestamp)
        *newest = (struct newest){.timestamp = timestamp, .offset = offset};
}

/*
 * What the indexes know of a segment's records below an offset: their newest up to some batch, at
 * whose position the headers go on. An index that cannot be read costs time: then 0, nothing known.
 */
static int64_t newest_indexed(struct log *log, struct segment *segment, int64_t offset_below,
                              struct newest *newest)
{
    uint8_t entry[TIME_ENTRY_SIZE];
    bool found = false;
    int64_t base_offset = segment->facts.base_offset;
    struct index_search search = {.field = INDEX_OFFSET, .wanted = offset_below - 1 - base_offset};
    struct err err = segment_find_entry(log, segment, &search, entry, &found);
    if (err_failed(err) || !found)
        return 0;
    int64_t position = index_entry_position(entry);
    /* With each offset entry goes a time entry, unless the maximum has not risen since the last. */
    search.field = INDEX_TIME_OFFSET;
    err = segment_find_entry(log, segment, &search, entry, &found);
    if (err_failed(err) || !found)
        return 0;
    newest_note(newest, index_entry_timestamp(entry), base_offset + index_entry_time_offset(entry));
    return position;
}

/* The newest record from `offset` to offset_below within the segment that `offset` lies in. */
static struct err newest_in_part(struct log *log, int64_t offset, int64_t offset_below,
                                 struct newest *newest, struct diag *diag)
{
    struct log_place place;
    struct batch_header header;
    TRY(log_find_place(log, offset, &place, &header, diag));
    struct newest indexed = {.timestamp = BATCH_NO_TIMESTAMP, .offset = -1};
    int64_t position = newest_indexed(log, place.segment, offset_below, &indexed);
    if (indexed.offset >= offset && position < place.limit)
        newest_note(newest, indexed.timestamp, indexed.offset);
    else
        position = place.position;
    struct peek peek;
    peek_init(&peek, log->store->options.files, place.file->file, position, place.limit);
    struct err err = ERR_NONE;
    while (peek.position < place.limit) {
        err = peek_next(&peek, &header);
        if (err_failed(err) || header.base_offset >= offset_below)
            break;
        if (header.record_count > 0)
            newest_note(newest, header.max_timestamp, batch_last_offset(&header));
    }
    place_release(log, &place);
    return err_failed(err) ? diag_wrap(diag, err, "headers of %s", log->name) : err;
}

/* A range of offsets, and its segments of which only a part lies in it and not the newest record:
 * at both ends. */
struct newest_range {
    int64_t start;
    int64_t below;
    int64_t parts[2];
    uint32_t part_count;
};

/* The newest record of the range in segments whose newest lies in it; the parts to look through. */
static struct err newest_of_segments(struct log *log, struct newest_range *range,
                                     struct newest *newest, struct diag *diag)
{
    os_mutex_lock(&log->lock);
    struct err err = log_check_readable(log, diag);
    range->start = log->bounds.start;
    for (uint32_t i = 0; i < log->segments.count; i++) {
        const struct segment_facts *facts = &log->segments.items[i]->facts;
        int64_t begin = facts->base_offset > range->start ? facts->base_offset : range->start;
        if (facts->next_offset <= begin || begin >= range->below)
            continue;
        bool is_part =
            (facts->base_offset < range->start && facts->max_timestamp_offset < range->start) ||
            (facts->next_offset > range->below && facts->max_timestamp_offset >= range->below);
        if (!is_part) {
            newest_note(newest, facts->max_timestamp, facts->max_timestamp_offset);
        } else {
            CHECK(range->part_count < 2);
            range->parts[range->part_count++] = begin;
        }
    }
    os_mutex_unlock(&log->lock);
    return err;
}

struct err log_find_time_max(struct log *log, int64_t offset_below, struct buf *scratch,
                             struct log_time *out, struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    struct newest newest = {.timestamp = BATCH_NO_TIMESTAMP, .offset = -1};
    struct newest_range range = {.below = offset_below};
    TRY(newest_of_segments(log, &range, &newest, diag));
    for (uint32_t i = 0; i < range.part_count; i++)
        TRY(newest_in_part(log, range.parts[i], offset_below, &newest, diag));
    if (newest.offset < 0)
        return err_make(ERR_NOT_FOUND);
    struct log_place place;
    struct batch_header header;
    TRY(log_find_place(log, newest.offset, &place, &header, diag));
    const struct wanted wanted = {.timestamp = newest.timestamp, .offset_from = range.start};
    struct err err = read_batch(log, &place, &header, &wanted, scratch, out);
    place_release(log, &place);
    return err_failed(err) ? diag_wrap(diag, err, "the batch at offset %lld of %s",
                                       (long long)newest.offset, log->name)
                           : err;
}
