/*
 * place: where in which file the batch of an offset lies.
 *
 * Under the log's lock: the segment and, where memory has it, a hint from the index. Without it:
 * the index file for older offsets, then headers from the hint on.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "storage/scan.h"
#include "storage/storage_internal.h"

void place_release(struct log *log, struct log_place *place)
{
    file_cache_unref(place->file);
    place->file = NULL;
    if (place->segment == NULL)
        return;
    os_mutex_lock(&log->lock);
    segment_unref(log, place->segment);
    os_mutex_unlock(&log->lock);
    place->segment = NULL;
}

struct err log_note_damage(struct log *log, const struct segment *segment, struct err err,
                           struct diag *diag)
{
    if (!err_is(err, ERR_TRUNCATED) && !err_is(err, ERR_CORRUPT) && !err_is(err, ERR_NOT_FOUND))
        return diag_wrap(diag, err, "cannot read segment %lld of %s",
                         (long long)segment->facts.base_offset, log->name);
    os_mutex_lock(&log->lock);
    bool is_new = log->damage == NULL;
    log_quarantine(log, "%s: segment %lld is %s", log->name, (long long)segment->facts.base_offset,
                   err_is(err, ERR_NOT_FOUND)   ? "missing"
                   : err_is(err, ERR_TRUNCATED) ? "shorter than it was"
                                                : "damaged");
    struct diag sentence;
    (void)snprintf(sentence.text, sizeof sentence.text, "%s", log->damage);
    os_mutex_unlock(&log->lock);
    if (is_new)
        store_report(log->store, "quarantined: %s", sentence.text);
    return diag_fail(diag, ERR_CORRUPT, "%s", sentence.text);
}

/* Opens the index file of a table for searching. Without the lock. */
static struct err open_index(struct log *log, struct segment *segment, bool is_time,
                             struct cached_file **out)
{
    struct cached_file **slot = is_time ? &segment->times_file : &segment->offsets_file;
    char path[STORE_PATH_SIZE];
    segment_path(log, segment, path, is_time ? ".timeindex" : ".index");
    TRY(file_cache_open(&log->store->cache, slot, path, OS_FILE_READ, out));
    if (!atomic_load(&segment->is_retired))
        return ERR_NONE;
    file_cache_unref(*out);
    return err_make(ERR_NOT_FOUND);
}

struct err segment_find_entry(struct log *log, struct segment *segment,
                              const struct index_search *search, uint8_t entry[TIME_ENTRY_SIZE],
                              bool *found)
{
    bool is_time = index_field_is_time(search->field);
    struct index_table *table = is_time ? &segment->index.times : &segment->index.offsets;
    os_mutex_lock(&log->lock);
    const uint8_t *in_memory = index_table_find(table, search->field, search->wanted);
    if (in_memory != NULL)
        memcpy(entry, in_memory, table->entry_size);
    uint32_t filed_count = table->filed_count;
    os_mutex_unlock(&log->lock);
    *found = in_memory != NULL;
    if (in_memory != NULL || filed_count == 0)
        return ERR_NONE;
    struct cached_file *file;
    TRY(open_index(log, segment, is_time, &file));
    const struct index_file index = {.files = log->store->options.files,
                                     .file = file->file,
                                     .count = filed_count,
                                     .entry_size = table->entry_size};
    struct err err = index_file_find(&index, search->field, search->wanted, entry, found);
    file_cache_unref(file);
    return err;
}

/* Where to begin to look for an offset. An index that cannot be read costs time, not data. */
static int64_t find_hint(struct log *log, struct segment *segment, int64_t offset, int64_t limit)
{
    uint8_t entry[TIME_ENTRY_SIZE];
    bool found = false;
    const struct index_search search = {.field = INDEX_OFFSET,
                                        .wanted = offset - segment->facts.base_offset};
    struct err err = segment_find_entry(log, segment, &search, entry, &found);
    if (err_failed(err) || !found)
        return 0;
    int64_t position = index_entry_position(entry);
    return position >= 0 && position < limit ? position : 0;
}

/* Walks headers from a hint to the first batch that ends at or above the offset. */
static struct err walk_to(struct log *log, int64_t offset, int64_t hint, struct log_place *place,
                          struct batch_header *header)
{
    struct peek peek;
    peek_init(&peek, log->store->options.files, place->file->file, hint, place->limit);
    while (peek.position < place->limit) {
        int64_t position = peek.position;
        TRY(peek_next(&peek, header));
        if (batch_last_offset(header) >= offset) {
            place->position = position;
            return ERR_NONE;
        }
    }
    return err_make(ERR_AGAIN);
}

struct err place_seek(struct log *log, int64_t offset, struct log_place *place,
                      struct batch_header *header)
{
    int64_t hint = find_hint(log, place->segment, offset, place->limit);
    struct err err = walk_to(log, offset, hint, place, header);
    /* A hint into the middle of a batch is a damaged index; the log itself decides. */
    if (err_is(err, ERR_CORRUPT) && hint != 0)
        err = walk_to(log, offset, 0, place, header);
    return err;
}

/* Finds the segment and takes references. ERR_RANGE outside of what is stored. */
static struct err enter(struct log *log, int64_t offset, struct log_place *place, struct diag *diag)
{
    os_mutex_lock(&log->lock);
    struct err err = log_check_readable(log, diag);
    if (!err_failed(err) && (offset < log->bounds.start || offset > log->bounds.end))
        err = diag_fail(diag, ERR_RANGE, "offset %lld is outside of %lld to %lld in %s",
                        (long long)offset, (long long)log->bounds.start, (long long)log->bounds.end,
                        log->name);
    if (!err_failed(err) && log->segments.count == 0)
        err = err_make(ERR_NOT_FOUND);
    if (!err_failed(err)) {
        int32_t at = segments_find(&log->segments, offset);
        if (at < 0)
            at = 0;
        /* Behind a segment's last offset, compaction has left nothing: go on in the next. */
        while ((uint32_t)at + 1 < log->segments.count &&
               log->segments.items[at]->facts.next_offset <= offset)
            at++;
        place->segment = log->segments.items[at];
        place->limit = place->segment->facts.size;
        place->is_last = (uint32_t)at + 1 == log->segments.count;
        place->next_base =
            place->is_last ? INT64_MAX : log->segments.items[at + 1]->facts.base_offset;
        segment_ref(place->segment);
    }
    os_mutex_unlock(&log->lock);
    return err;
}

/* One attempt. ERR_AGAIN: nothing there from offset to the end of its segment. */
static struct err find_once(struct log *log, int64_t offset, struct log_place *place,
                            struct batch_header *header, struct diag *diag)
{
    TRY(enter(log, offset, place, diag));
    struct err err = segment_open(log, place->segment, place->limit, &place->file);
    if (!err_failed(err))
        err = place_seek(log, offset, place, header);
    return err;
}

/* Whether the segment was taken from the log while it was looked at. */
static bool was_dropped(struct log *log, const struct segment *segment)
{
    os_mutex_lock(&log->lock);
    int32_t at = segments_find(&log->segments, segment->facts.base_offset);
    bool is_there = at >= 0 && log->segments.items[at] == segment && log->state == LOG_OPEN;
    os_mutex_unlock(&log->lock);
    return !is_there;
}

struct err log_find_place(struct log *log, int64_t offset, struct log_place *place,
                          struct batch_header *header, struct diag *diag)
{
    for (unsigned gone_count = 0; gone_count < READ_RETRY_COUNT_MAX;) {
        *place = (struct log_place){0};
        struct err err = find_once(log, offset, place, header, diag);
        if (!err_failed(err))
            return ERR_NONE;
        if (place->segment == NULL)
            return err;
        bool is_end = err_is(err, ERR_AGAIN);
        bool is_gone = !is_end && was_dropped(log, place->segment);
        bool is_last = place->is_last;
        int64_t next_base = place->next_base;
        if (!is_end && !is_gone)
            err = log_note_damage(log, place->segment, err, diag);
        place_release(log, place);
        if (is_end && is_last)
            return err_make(ERR_NOT_FOUND);
        if (!is_end && !is_gone)
            return err;
        if (is_end)
            offset = next_base;
        else
            gone_count++;
    }
    return diag_fail(diag, ERR_AGAIN, "%s changes too fast to be read", log->name);
}
