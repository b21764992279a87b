/*
 * checkpoint: what need not be scanned any more (W5).
 *
 *     segment synced -> index, producer snapshot, their names synced -> manifest entry
 *
 * Sealed segments first, oldest first, so that unsynced segments are always the last ones of a log.
 * The manifest entry itself is synced before anything that it replaces is removed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/storage_internal.h"

/* How often a busy log is asked for a snapshot of its very end before it is left for later. */
#define CAPTURE_TRY_COUNT_MAX 16

/* What a segment was when it was looked at under the lock: facts and unfiled index entries. */
struct capture {
    struct segment *segment; /* with a reference */
    struct segment_facts facts;
    uint8_t *offsets; /* copies */
    uint8_t *times;
    uint32_t offset_count;
    uint32_t time_count;
    uint32_t offset_filed_count;
    uint32_t time_filed_count;
    uint32_t cut_count; /* the log's */
    bool defers_syncs;  /* somebody syncs the file system before the manifest entry is written */
};

static void capture_release(struct log *log, struct capture *capture)
{
    free(capture->offsets);
    free(capture->times);
    if (capture->segment != NULL) {
        os_mutex_lock(&log->lock);
        segment_unref(log, capture->segment);
        os_mutex_unlock(&log->lock);
    }
    *capture = (struct capture){0};
}

static struct err copy_entries(const struct index_table *table, uint8_t **out)
{
    size_t size = (size_t)table->count * table->entry_size;
    if (size == 0)
        return ERR_NONE;
    *out = malloc(size);
    if (*out == NULL)
        return err_make(ERR_NO_MEMORY);
    memcpy(*out, table->entries, size);
    return ERR_NONE;
}

/* Notes the segment as it is. Locked. */
static struct err capture_segment(const struct log *log, struct segment *segment,
                                  struct capture *capture)
{
    const struct index *index = &segment->index;
    bool is_indexed = index_table_count(&index->offsets) != 0;
    if (is_indexed || segment->state == SEGMENT_SEALING)
        TRY(segment_end_index(segment));
    TRY(copy_entries(&index->offsets, &capture->offsets));
    TRY(copy_entries(&index->times, &capture->times));
    segment_ref(segment);
    capture->segment = segment;
    capture->cut_count = log->cut_count;
    capture->facts = segment->facts;
    capture->offset_count = index->offsets.count;
    capture->time_count = index->times.count;
    capture->offset_filed_count = index->offsets.filed_count;
    capture->time_filed_count = index->times.filed_count;
    capture->facts.offset_entry_count = capture->offset_filed_count + capture->offset_count;
    capture->facts.time_entry_count = capture->time_filed_count + capture->time_count;
    return ERR_NONE;
}

/* Writes one index file behind what it has; synced. */
static struct err write_table(struct log *log, const struct capture *capture, bool is_time,
                              struct diag *diag)
{
    const struct os_files *files = log->store->options.files;
    char path[STORE_PATH_SIZE];
    segment_path(log, capture->segment, path, is_time ? ".timeindex" : ".index");
    struct index_file index = {
        .files = files,
        .count = is_time ? capture->time_filed_count : capture->offset_filed_count,
        .entry_size = is_time ? TIME_ENTRY_SIZE : OFFSET_ENTRY_SIZE,
    };
    TRY(file_open(files, path, OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE, &index.file));
    struct err err = index_file_write(&index, is_time ? capture->times : capture->offsets,
                                      is_time ? capture->time_count : capture->offset_count);
    struct err synced = ERR_NONE;
    if (!err_failed(err) && !capture->defers_syncs)
        synced = file_sync(files, index.file);
    file_close(files, index.file);
    return err_failed(synced) ? store_fail_sync(log->store, path, synced, diag) : err;
}

static struct err write_index(struct log *log, const struct capture *capture, int64_t *size,
                              struct diag *diag)
{
    struct err err = write_table(log, capture, false, diag);
    if (!err_failed(err))
        err = write_table(log, capture, true, diag);
    *size += (int64_t)capture->offset_count * OFFSET_ENTRY_SIZE +
             (int64_t)capture->time_count * TIME_ENTRY_SIZE;
    if (err_is(err, ERR_OFFLINE))
        return err;
    return err_failed(err) ? diag_wrap(diag, err, "cannot write the index of segment %lld of %s",
                                       (long long)capture->facts.base_offset, log->name)
                           : err;
}

/* Makes the names of the log's files safe, and that of their directory, which a flush may not have
 * come to yet. */
static struct err sync_names(struct log *log, struct diag *diag)
{
    os_mutex_lock(&log->lock);
    uint64_t root_change = log->flush.root_change;
    os_mutex_unlock(&log->lock);
    TRY(store_sync_root(log->store, root_change, diag));
    char path[STORE_PATH_SIZE];
    log_dir_path(log, path);
    struct err err = dir_sync(log->store->options.files, path);
    if (err_is(err, ERR_NOT_FOUND) || err_is(err, ERR_LIMIT))
        return err;
    return err_failed(err) ? store_fail_sync(log->store, path, err, diag) : err;
}

/* Whether the log still has the segment as it was captured. Locked. */
static bool is_present(const struct log *log, const struct capture *capture)
{
    const struct segment *segment = capture->segment;
    int32_t at = segments_find(&log->segments, segment->facts.base_offset);
    return log->state != LOG_DELETED && log->cut_count == capture->cut_count && at >= 0 &&
           log->segments.items[at] == segment;
}

/* Frees the space reserved ahead, and makes the segment's bytes safe. */
static struct err trim_segment(struct log *log, const struct capture *capture, struct diag *diag)
{
    const struct os_files *files = log->store->options.files;
    struct cached_file *file;
    struct err err = segment_open(log, capture->segment, capture->facts.size, &file);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot open segment %lld of %s",
                         (long long)capture->facts.base_offset, log->name);
    err = file_truncate(files, file->file, capture->facts.size);
    if (err_failed(err)) {
        file_cache_unref(file);
        return diag_wrap(diag, err, "cannot trim segment %lld of %s",
                         (long long)capture->facts.base_offset, log->name);
    }
    err = file_sync_data(files, file->file);
    file_cache_unref(file);
    return err_failed(err) ? store_fail_sync(log->store, log->name, err, diag) : err;
}

/* SEALING -> SEALED: the manifest knows it now. Locked. */
static struct err finish_seal(struct log *log, const struct capture *capture,
                              struct cached_file **pin)
{
    struct segment *segment = capture->segment;
    *pin = NULL;
    if (store_is_offline(log->store)) /* its sync may have succeeded and mean nothing */
        return err_make(ERR_OFFLINE);
    if (!is_present(log, capture))
        return ERR_NONE;
    const struct manifest_entry entry = {
        .kind = MANIFEST_SEAL, .id = log->id, .segment = capture->facts};
    TRY(manifest_append(&log->store->manifest, &entry, NULL));
    index_table_filed(&segment->index.offsets, capture->offset_count);
    index_table_filed(&segment->index.times, capture->time_count);
    segment->size_synced = segment->facts.size;
    segment->size_flushing = 0;
    segment->state = SEGMENT_SEALED;
    *pin = segment_take_pin_if_synced(segment);
    return ERR_NONE;
}

static struct err seal_segment(struct log *log, struct capture *capture, int64_t *size,
                               struct diag *diag)
{
    TRY(trim_segment(log, capture, diag));
    TRY(write_index(log, capture, size, diag));
    TRY(sync_names(log, diag));
    struct cached_file *pin;
    os_mutex_lock(&log->lock);
    struct err err = finish_seal(log, capture, &pin);
    os_mutex_unlock(&log->lock);
    file_cache_unref(pin);
    return err_failed(err) ? diag_wrap(diag, err, "cannot write the manifest") : err;
}

/* Captures the oldest segment that is to be sealed; *found false where there is none. */
static struct err capture_sealing(struct log *log, struct capture *capture, bool *found)
{
    struct err err = ERR_NONE;
    struct segment *oldest = NULL;
    os_mutex_lock(&log->lock);
    for (uint32_t i = log->segments.count; i > 0; i--) {
        struct segment *segment = log->segments.items[i - 1];
        if (segment->state == SEGMENT_SEALED)
            break;
        if (segment->state == SEGMENT_SEALING)
            oldest = segment;
    }
    if (oldest != NULL)
        err = capture_segment(log, oldest, capture);
    os_mutex_unlock(&log->lock);
    *found = oldest != NULL;
    return err;
}

static struct err seal_all(struct log *log, int64_t *size, struct diag *diag)
{
    for (;;) {
        struct capture capture = {0};
        bool found;
        struct err err = capture_sealing(log, &capture, &found);
        if (!err_failed(err) && found)
            err = seal_segment(log, &capture, size, diag);
        capture_release(log, &capture);
        if (err_failed(err) || !found)
            return err;
    }
}

/* The end of the log, with the owner's state there. */
struct end_state {
    struct capture capture;
    struct buf snapshot;
    int64_t offset;
    bool has_snapshot; /* the owner keeps a state; it may be empty */
};

/* Captures the last segment if the log still ends at `offset` and all others are sealed. */
static struct err capture_end(struct log *log, struct end_state *end)
{
    os_mutex_lock(&log->lock);
    struct segment *last = segments_last(&log->segments);
    uint32_t count = log->segments.count;
    bool is_sealed = count < 2 || log->segments.items[count - 2]->state == SEGMENT_SEALED;
    struct err err = err_make(ERR_AGAIN);
    if (last != NULL && is_sealed && log->bounds.end == end->offset && log->state == LOG_OPEN)
        err = capture_segment(log, last, &end->capture);
    os_mutex_unlock(&log->lock);
    return err;
}

/* Asks the owner until its state and the log's end agree. ERR_AGAIN where the log is too busy. */
static struct err find_end(struct log *log, struct end_state *end)
{
    for (unsigned i = 0; i < CAPTURE_TRY_COUNT_MAX; i++) {
        buf_clear(&end->snapshot);
        end->has_snapshot = log->listener.snapshot != NULL;
        if (end->has_snapshot)
            TRY(log->listener.snapshot(log->listener.context, &end->snapshot, &end->offset));
        else
            end->offset = log_end_offset(log);
        struct err err = capture_end(log, end);
        if (!err_is(err, ERR_AGAIN))
            return err;
    }
    return err_make(ERR_AGAIN);
}

/* Whether all below the captured end is synced. */
static bool is_end_synced(struct log *log, const struct end_state *end)
{
    os_mutex_lock(&log->lock);
    bool is_synced = end->capture.segment->size_synced >= end->capture.facts.size;
    os_mutex_unlock(&log->lock);
    return is_synced;
}

/* Makes the new checkpoint the log's, and lets the old snapshot go. Locked. */
static struct err move_checkpoint(struct log *log, const struct end_state *end)
{
    const struct capture *capture = &end->capture;
    struct segment *segment = capture->segment;
    if (store_is_offline(log->store)) /* as above */
        return err_make(ERR_OFFLINE);
    if (!is_present(log, capture))
        return ERR_NONE;
    struct log_checkpoint before = log->checkpoint;
    log->checkpoint = (struct log_checkpoint){
        .exists = true,
        .has_snapshot_file = end->snapshot.size != 0,
        .offset = end->offset,
        .snapshot_offset = end->has_snapshot ? end->offset : -1,
        .facts = capture->facts,
    };
    const struct manifest_entry entry = log_checkpoint_entry(log);
    uint64_t ticket;
    struct err err = manifest_append(&log->store->manifest, &entry, &ticket);
    if (err_failed(err)) {
        log->checkpoint = before;
        return err;
    }
    index_table_filed(&segment->index.offsets, capture->offset_count);
    index_table_filed(&segment->index.times, capture->time_count);
    log->work.size_since = segment->facts.size - capture->facts.size;
    if (before.has_snapshot_file && before.snapshot_offset != end->offset)
        garbage_add(log->store, GARBAGE_SNAPSHOT, log, before.snapshot_offset, ticket);
    return ERR_NONE;
}

/* Syncs all below the captured end. ERR_AGAIN where another thread is at it, or it takes a further
 * run: the log is then urgent as soon as that may begin. */
static struct err sync_end(struct log *log, const struct end_state *end, struct diag *diag)
{
    if (is_end_synced(log, end))
        return ERR_NONE;
    uint32_t sync_count = 0;
    struct err err = flush_log(log, &sync_count, diag);
    if (!err_failed(err) && !is_end_synced(log, end))
        err = err_make(ERR_AGAIN);
    if (err_is(err, ERR_AGAIN))
        flush_hold_checkpoint(log);
    return err;
}

/* Syncs and writes all that the manifest entry is going to vouch for. */
static struct err write_files(struct log *log, struct end_state *end, int64_t *size,
                              struct diag *diag)
{
    const struct capture *capture = &end->capture;
    TRY(sync_end(log, end, diag));
    bool has_index = capture->offset_count + capture->time_count != 0;
    if (has_index)
        TRY(write_index(log, capture, size, diag));
    if (end->snapshot.size != 0)
        TRY(snapshot_write(log, end->offset, buf_span(&end->snapshot), !capture->defers_syncs,
                           diag));
    *size += (int64_t)end->snapshot.size;
    bool has_names = has_index || end->snapshot.size != 0;
    return has_names && !capture->defers_syncs ? sync_names(log, diag) : ERR_NONE;
}

static struct err write_entry(struct log *log, const struct end_state *end, struct diag *diag)
{
    os_mutex_lock(&log->lock);
    struct err err = move_checkpoint(log, end);
    os_mutex_unlock(&log->lock);
    if (!err_failed(err))
        atomic_fetch_add(&log->store->counters.checkpoint_count, 1);
    return err_failed(err) ? diag_wrap(diag, err, "cannot write the manifest") : err;
}

/* Whether there is nothing to say that the manifest does not know. */
static bool is_current(struct log *log)
{
    os_mutex_lock(&log->lock);
    bool is_idle = log->state != LOG_OPEN || log->damage != NULL || log->segments.count == 0;
    bool is_known =
        log->checkpoint.exists && log->checkpoint.offset == log->bounds.end &&
        segments_last(&log->segments) != NULL &&
        log->checkpoint.facts.base_offset == segments_last(&log->segments)->facts.base_offset;
    os_mutex_unlock(&log->lock);
    return is_idle || is_known;
}

/* Everything up to the manifest entry. */
static struct err prepare(struct log *log, struct end_state *end, int64_t *size, struct diag *diag)
{
    buf_init(&end->snapshot, SNAPSHOT_SIZE_MAX);
    TRY(seal_all(log, size, diag));
    TRY(find_end(log, end));
    return write_files(log, end, size, diag);
}

static void end_state_release(struct log *log, struct end_state *end)
{
    buf_deinit(&end->snapshot);
    capture_release(log, &end->capture);
}

struct err log_make_checkpoint(struct log *log, int64_t *size, struct diag *diag)
{
    *size = 0;
    if (is_current(log))
        return ERR_NONE;
    struct end_state end = {0};
    struct err err = prepare(log, &end, size, diag);
    if (!err_failed(err))
        err = write_entry(log, &end, diag);
    end_state_release(log, &end);
    return err;
}

struct err store_checkpoint_together(struct store *store, struct log **logs, uint32_t count,
                                     struct diag *diag)
{
    struct end_state *ends = calloc((size_t)count + 1, sizeof *ends);
    if (ends == NULL)
        return err_make(ERR_NO_MEMORY);
    uint32_t due_count = 0;
    for (uint32_t i = 0; i < count; i++)
        due_count += !is_current(logs[i]);
    bool defers_syncs = due_count > CHECKPOINT_SYNCFS_COUNT;
    struct err err = ERR_NONE;
    uint32_t begun = 0;
    for (; begun < count && !err_failed(err); begun++) {
        int64_t size = 0;
        ends[begun].capture.defers_syncs = defers_syncs;
        if (!is_current(logs[begun]))
            err = prepare(logs[begun], &ends[begun], &size, diag);
    }
    if (!err_failed(err) && defers_syncs) {
        err = file_sync_file_system(store->options.files, store->lock_file);
        if (err_failed(err))
            err = store_fail_sync(store, store->dir, err, diag);
    }
    for (uint32_t i = 0; i < begun; i++) {
        if (!err_failed(err) && ends[i].capture.segment != NULL)
            err = write_entry(logs[i], &ends[i], diag);
        end_state_release(logs[i], &ends[i]);
    }
    free(ends);
    return err;
}
