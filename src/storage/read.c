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

/* The last batch border the index knows at or below `position`, or -1. */
static int64_t find_border(struct log *log, struct segment *segment, int64_t position)
{
    uint8_t entry[TIME_ENTRY_SIZE];
    bool found = false;
    const struct index_search search = {.field = INDEX_POSITION, .wanted = position};
    struct err err = segment_find_entry(log, segment, &search, entry, &found);
    return err_failed(err) || !found ? -1 : index_entry_position(entry);
}

/* How many of the bytes between the place and end the slice gets. */
static size_t choose_size(struct log *log, const struct log_read *read,
                          const struct log_place *place, int64_t end, uint32_t first_size)
{
    int64_t available = end - place->position;
    if (available <= 0)
        return 0;
    if ((uint64_t)available <= read->size_max)
        return (size_t)available;
    if (first_size > read->size_max)
        return read->is_one_needed ? first_size : 0;
    int64_t border = find_border(log, place->segment, place->position + (int64_t)read->size_max);
    int64_t first_end = place->position + (int64_t)first_size;
    return (size_t)((border > first_end ? border : first_end) - place->position);
}

struct err log_read(struct log *log, const struct log_read *read, struct log_slice *slice,
                    struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    *slice = LOG_SLICE_EMPTY;
    slice->base_offset = read->offset;
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
    slice->size = choose_size(log, read, &place, end, header.size);
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
