/* read: a range of offsets to a range of bytes in one file. */
#include "base/check.h"
#include "storage/scan.h"
#include "storage/storage_internal.h"

/* The end, in the place's segment, of what lies below read->offset_below. */
static struct err find_end(struct log *log, const struct log_place *place, int64_t offset_below,
                           int64_t *end)
{
    const struct segment *segment = place->segment;
    bool is_durable = false;
    os_mutex_lock(&log->lock);
    bool is_whole = offset_below >= segment->facts.next_offset;
    if (offset_below == log->bounds.durable &&
        log->flush.durable_base == segment->facts.base_offset) {
        *end = log->flush.durable_position;
        is_durable = true;
    }
    os_mutex_unlock(&log->lock);
    /* The limit was noted earlier than now: what came since is left for the next read. */
    if (is_whole || (is_durable && *end > place->limit))
        *end = place->limit;
    if (is_whole || is_durable)
        return ERR_NONE;
    struct log_place border = *place;
    struct batch_header header;
    struct err err = place_seek(log, offset_below, &border, &header);
    if (err_is(err, ERR_AGAIN)) {
        *end = place->limit;
        return ERR_NONE;
    }
    *end = border.position;
    return err;
}

/* Where a batch begins: in its segment's file, and in the log. */
struct border {
    int64_t position;
    int64_t offset;
};

/* The last border the index knows at or below `position`; false where it knows none. */
static bool find_border(struct log *log, struct segment *segment, int64_t position,
                        struct border *border)
{
    uint8_t entry[TIME_ENTRY_SIZE];
    bool found = false;
    const struct index_search search = {.field = INDEX_POSITION, .wanted = position};
    struct err err = segment_find_entry(log, segment, &search, entry, &found);
    if (err_failed(err) || !found)
        return false;
    border->position = index_entry_position(entry);
    border->offset = segment->facts.base_offset + index_entry_offset(entry);
    return true;
}

/* How many of the bytes between the place and end the slice gets, and where it ends. */
static void choose_size(struct log *log, const struct log_read *read, const struct log_place *place,
                        int64_t end, const struct batch_header *first, struct log_slice *slice)
{
    int64_t available = end - place->position;
    if (available <= 0 || (first->size > read->size_max && !read->is_one_needed))
        return;
    slice->size = (size_t)available;
    slice->end_offset = read->offset_below;
    if ((uint64_t)available <= read->size_max)
        return;
    slice->size = first->size;
    slice->end_offset = batch_last_offset(first) + 1;
    int64_t position_max = place->position + (int64_t)read->size_max;
    struct border border;
    if (first->size <= read->size_max && find_border(log, place->segment, position_max, &border) &&
        border.position > place->position + (int64_t)first->size) {
        slice->size = (size_t)(border.position - place->position);
        slice->end_offset = border.offset;
    }
}

struct err log_read(struct log *log, const struct log_read *read, struct log_slice *slice,
                    struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    *slice = LOG_SLICE_EMPTY;
    slice->base_offset = slice->end_offset = read->offset;
    struct log_place place;
    struct batch_header header;
    if (read->offset >= read->offset_below) {
        os_mutex_lock(&log->lock);
        struct err err = log_check_readable(log, diag);
        bool is_inside = read->offset >= log->bounds.start && read->offset <= log->bounds.end;
        os_mutex_unlock(&log->lock);
        TRY(err);
        return is_inside ? ERR_NONE
                         : diag_fail(diag, ERR_RANGE, "offset %lld is outside of %s",
                                     (long long)read->offset, log->name);
    }
    struct err err = log_find_place(log, read->offset, &place, &header, diag);
    if (err_is(err, ERR_NOT_FOUND))
        return ERR_NONE;
    TRY(err);
    int64_t end = 0;
    if (header.base_offset < read->offset_below)
        err = find_end(log, &place, read->offset_below, &end);
    if (err_failed(err)) {
        err = log_note_damage(log, place.segment, err, diag);
        place_release(log, &place);
        return err;
    }
    choose_size(log, read, &place, end, &header, slice);
    if (slice->size != 0) {
        slice->owner = place.file;
        slice->file = place.file->file;
        slice->position = place.position;
        slice->base_offset = header.base_offset;
        place.file = NULL;
    }
    place_release(log, &place);
    return ERR_NONE;
}

struct err slice_read(const struct log_slice *slice, size_t at, void *bytes, size_t size)
{
    CHECK(at <= slice->size && size <= slice->size - at);
    if (size == 0)
        return ERR_NONE;
    size_t done;
    TRY(file_read_at(slice->owner->cache->files, slice->file, bytes, size,
                     slice->position + (int64_t)at, &done));
    return done == size ? ERR_NONE : err_make(ERR_TRUNCATED);
}

void slice_unref(struct log_slice *slice)
{
    file_cache_unref(slice->owner);
    *slice = LOG_SLICE_EMPTY;
}
