/*
 * compaction_output: a segment written beside those that it is going to replace.
 *
 *     begin -> add ... -> synced, with its indexes and names -> MANIFEST_REPLACE -> in its place
 *                |                                                 |
 *                +--- nothing has changed, or given up: removed <--+ (the old ones are gone)
 */
#include <string.h>

#include "base/check.h"
#include "storage/compaction.h"

/* Makes a file of the segment, which nobody uses: one of that name is left from a crash. Under the
 * log's lock, as a log of the same name may come after a deletion. */
static struct err make_file(struct log *log, const struct segment *segment, const char *suffix,
                            int *file)
{
    const struct os_files *files = log->store->options.files;
    char path[STORE_PATH_SIZE];
    segment_path(log, segment, path, suffix);
    os_mutex_lock(&log->lock);
    struct err err = log->state == LOG_OPEN ? file_remove(files, path) : err_make(ERR_CLOSED);
    if (!err_failed(err) || err_is(err, ERR_NOT_FOUND))
        err = file_open(files, path, OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_EXCLUSIVE, file);
    os_mutex_unlock(&log->lock);
    return err;
}

bool compaction_output_extend(struct compaction *run)
{
    const struct compaction_input *input = &run->input;
    struct compaction_output *output = &run->output;
    if (output->end == input->count)
        return false;
    const struct segment *segment = output->segment;
    const struct segment_facts *next = &input->segments[output->end]->facts;
    int64_t entry_count =
        (int64_t)index_table_count(&segment->index.offsets) + next->offset_entry_count;
    if (segment->facts.size + output->size_unread + next->size > run->config.segment_size ||
        entry_count * OFFSET_ENTRY_SIZE > run->config.segment_index_size ||
        next->next_offset - segment->facts.base_offset > INT32_MAX)
        return false;
    output->size_unread += next->size;
    output->end++;
    return true;
}

struct err compaction_output_begin(struct compaction *run, uint32_t first, struct diag *diag)
{
    struct compaction_output *output = &run->output;
    CHECK(output->segment == NULL && first < run->input.count);
    const struct segment *replaced = run->input.segments[first];
    struct segment *segment = segment_create(replaced->facts.base_offset);
    if (segment == NULL)
        return err_make(ERR_NO_MEMORY);
    segment->copy = replaced->copy == 0;
    segment->is_compacted = true;
    *output = (struct compaction_output){.segment = segment,
                                         .file = OS_FILE_NONE,
                                         .buffer = output->buffer,
                                         .first = first,
                                         .end = first + 1,
                                         .size_unread = replaced->facts.size};
    buf_clear(&output->buffer);
    struct err err = make_file(run->log, segment, ".log", &output->file);
    return err_failed(err) ? diag_wrap(diag, err, "cannot make a segment") : err;
}

/* Writes what is buffered. */
static struct err write_buffer(struct compaction *run)
{
    struct compaction_output *output = &run->output;
    struct span bytes = buf_span(&output->buffer);
    int64_t at = output->segment->facts.size - (int64_t)bytes.size;
    size_t done;
    if (bytes.size == 0)
        return ERR_NONE;
    TRY(file_write_at(run->log->store->options.files, output->file, &bytes, 1, at, &done));
    buf_clear(&output->buffer);
    return ERR_NONE;
}

struct err compaction_output_add(struct compaction *run, struct span batch,
                                 const struct batch_header *header, int64_t *size)
{
    struct compaction_output *output = &run->output;
    struct segment *segment = output->segment;
    size_t before = output->buffer.size;
    output->size_unread -= (int64_t)batch.size;
    CHECK(output->size_unread >= 0);
    /* What is still to be read always fits behind it, be it kept whole. */
    int64_t size_max = INT32_MAX - segment->facts.size - output->size_unread;
    TRY(compaction_filter(run, batch, header, size_max, &output->buffer));
    *size = (int64_t)(output->buffer.size - before);
    if (*size == 0)
        return ERR_NONE;
    struct batch_header kept;
    CHECK(batch_parse(span_make(output->buffer.data + before, (size_t)*size), &kept) == BATCH_FINE);
    CHECK((int64_t)kept.size == *size && kept.base_offset == header->base_offset);
    CHECK(batch_last_offset(&kept) == batch_last_offset(header));
    CHECK(segment_has_room(segment, &kept));
    TRY(index_reserve(&segment->index));
    segment_add(segment, &kept, run->config.index_interval_size);
    return output->buffer.size < COMPACTION_BUFFER_SIZE ? ERR_NONE : write_buffer(run);
}

/* Writes and syncs one index. */
static struct err write_index(struct compaction *run, struct index_table *table, const char *suffix,
                              struct diag *diag)
{
    struct log *log = run->log;
    struct index_file index = {.files = log->store->options.files, .entry_size = table->entry_size};
    TRY(make_file(log, run->output.segment, suffix, &index.file));
    struct err err = index_file_write(&index, table->entries, table->count);
    struct err synced = err_failed(err) ? ERR_NONE : file_sync(index.files, index.file);
    file_close(index.files, index.file);
    TRY(err);
    if (err_failed(synced))
        return store_fail_sync(log->store, log->name, synced, diag);
    index_table_filed(table, table->count);
    return ERR_NONE;
}

/* Makes the names safe; a deleted log's are gone. */
static struct err sync_names(struct log *log, struct diag *diag)
{
    char path[STORE_PATH_SIZE];
    log_dir_path(log, path);
    struct err err = dir_sync(log->store->options.files, path);
    bool was_tried = err_failed(err) && !err_is(err, ERR_NOT_FOUND) && !err_is(err, ERR_LIMIT);
    return was_tried ? store_fail_sync(log->store, path, err, diag) : err;
}

/* Everything that the manifest entry is going to vouch for. */
static struct err finish_files(struct compaction *run, struct diag *diag)
{
    struct compaction_output *output = &run->output;
    struct log *log = run->log;
    struct segment *segment = output->segment;
    TRY(write_buffer(run));
    struct err err = file_sync_data(log->store->options.files, output->file);
    if (err_failed(err))
        return store_fail_sync(log->store, log->name, err, diag);
    TRY(segment_end_index(segment));
    TRY(write_index(run, &segment->index.offsets, ".index", diag));
    TRY(write_index(run, &segment->index.times, ".timeindex", diag));
    segment->facts.next_offset = run->input.segments[output->end - 1]->facts.next_offset;
    segment->opened_ms = run->input.segments[output->end - 1]->opened_ms;
    segment->facts = segment_facts_now(segment);
    segment->size_synced = segment->facts.size;
    segment->state = SEGMENT_SEALED;
    atomic_store(&segment->is_checked, true);
    return sync_names(log, diag);
}

/* Where the segments to replace lie in the log's list; -1 where one is no longer there. Locked. */
static int32_t find_replaced(const struct compaction *run)
{
    const struct log *log = run->log;
    const struct compaction_output *output = &run->output;
    if (log->state != LOG_OPEN || log->damage != NULL || log->cut_count != run->cut_count)
        return -1;
    int32_t at = segments_find(&log->segments, output->segment->facts.base_offset);
    for (uint32_t i = output->first; at >= 0 && i < output->end; i++) {
        uint32_t place = (uint32_t)at + i - output->first;
        if (place >= log->segments.count || log->segments.items[place] != run->input.segments[i])
            return -1;
    }
    return at;
}

/* The commit, and what memory knows of it. ERR_AGAIN where there is nothing to replace any more.
 * Locked. */
static struct err replace(struct compaction *run)
{
    struct log *log = run->log;
    struct compaction_output *output = &run->output;
    struct segment_list *list = &log->segments;
    int32_t at = find_replaced(run);
    if (at < 0)
        return err_make(ERR_AGAIN);
    const struct manifest_entry entry = {.kind = MANIFEST_REPLACE,
                                         .id = log->id,
                                         .segment = output->segment->facts,
                                         .copy = output->segment->copy};
    uint64_t ticket;
    TRY(manifest_append(&log->store->manifest, &entry, &ticket));
    uint32_t count = output->end - output->first;
    log->bounds.size += output->segment->facts.size;
    for (uint32_t i = 0; i < count; i++) {
        struct segment *old = list->items[(uint32_t)at + i];
        log->bounds.size -= old->facts.size;
        atomic_store(&old->is_retired, true);
        garbage_add_segment(log, old, ticket);
        segment_unref(log, old);
    }
    struct segment **place = &list->items[at];
    *place = output->segment;
    memmove(place + 1, place + count,
            (list->count - (uint32_t)at - count) * sizeof(struct segment *));
    list->count -= count - 1;
    log->compaction.count++;
    output->segment = NULL;
    return ERR_NONE;
}

struct err compaction_output_end(struct compaction *run, struct diag *diag)
{
    struct compaction_output *output = &run->output;
    struct log *log = run->log;
    CHECK(output->segment != NULL && output->size_unread == 0);
    if (!output->is_changed && output->end - output->first == 1) {
        compaction_output_abandon(run, true);
        return ERR_NONE;
    }
    struct err err = finish_files(run, diag);
    if (err_is(err, ERR_OFFLINE) || err_is(err, ERR_CLOSED))
        return err;
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot write segment %lld",
                         (long long)output->segment->facts.base_offset);
    os_mutex_lock(&log->lock);
    err = replace(run);
    os_mutex_unlock(&log->lock);
    TRY(err);
    file_close(log->store->options.files, output->file);
    output->file = OS_FILE_NONE;
    return ERR_NONE;
}

void compaction_output_abandon(struct compaction *run, bool removes_files)
{
    struct compaction_output *output = &run->output;
    struct log *log = run->log;
    if (output->segment == NULL)
        return;
    file_close(log->store->options.files, output->file);
    output->file = OS_FILE_NONE;
    os_mutex_lock(&log->lock);
    if (removes_files && log->state == LOG_OPEN)
        segment_remove_files(log, output->segment);
    segment_unref(log, output->segment);
    os_mutex_unlock(&log->lock);
    output->segment = NULL;
}
