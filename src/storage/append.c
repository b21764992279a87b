/*
 * append: one batch to the end of a log.
 *
 * All that can fail is done before the log changes: room for index and epoch entries is reserved,
 * then the bytes are written, then the numbers move (W1). The bytes go to the page cache; the log
 * is queued for the group commit, and its file stays open until that is done.
 */
#include "base/check.h"
#include "storage/storage_internal.h"

static struct err make_dir(struct log *log)
{
    const struct os_files *files = log->store->options.files;
    char path[STORE_PATH_SIZE];
    log_dir_path(log, path);
    struct err err = dir_make(files, path);
    if (err_is(err, ERR_EXISTS)) {
        /* Nobody's: it could not be renamed when its log was deleted. Rare enough to wait for the
         * disk here. */
        TRY(store_move_aside(log->store, log->name, 0));
        TRY(store_sync_root_locked(log->store, UINT64_MAX, NULL));
        err = dir_make(files, path);
    }
    TRY(err);
    const struct manifest_entry entry = {
        .kind = MANIFEST_CREATE, .id = log->id, .name = span_text(log->name)};
    err = manifest_append(&log->store->manifest, &entry, &log->flush.ticket);
    if (err_failed(err)) {
        struct err ignored = dir_remove(files, path);
        (void)ignored;
        return err;
    }
    log->has_dir = true;
    log->flush.root_change = store_note_root_change(log->store);
    return ERR_NONE;
}

/* Makes the file and says so in the manifest. */
static struct err make_file(struct log *log, struct segment *segment)
{
    struct store *store = log->store;
    char path[STORE_PATH_SIZE];
    segment_path(log, segment, path, ".log");
    struct cached_file *file;
    TRY(file_cache_open(&store->cache, &segment->file, path,
                        OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_TRUNCATE, &file));
    if (log->config.is_preallocated) {
        struct err err =
            file_allocate(store->options.files, file->file, 0, log->config.segment_size);
        segment->size_allocated = err_failed(err) ? 0 : log->config.segment_size;
    }
    file_cache_unref(file);
    const struct manifest_entry entry = {
        .kind = MANIFEST_SEGMENT,
        .id = log->id,
        .segment = {.base_offset = segment->facts.base_offset,
                    .next_offset = segment->facts.base_offset},
    };
    struct err err = manifest_append(&store->manifest, &entry, &log->flush.ticket);
    if (err_failed(err)) {
        struct err ignored = file_remove(store->options.files, path);
        (void)ignored;
    }
    return err;
}

struct err log_roll(struct log *log, int64_t base_offset, struct diag *diag)
{
    struct store *store = log->store;
    struct segment *segment = segment_create(base_offset);
    if (segment == NULL)
        return err_make(ERR_NO_MEMORY);
    segment->opened_ms = clock_wall_ms(store->options.clock);
    atomic_store(&segment->is_checked, true);
    if (log->config.segment_jitter_ms > 0)
        segment->jitter_ms = (int64_t)(random_u64(store->options.random) %
                                       (uint64_t)(log->config.segment_jitter_ms + 1));
    struct err err = segments_reserve(&log->segments);
    if (!err_failed(err) && !log->has_dir)
        err = make_dir(log);
    if (!err_failed(err))
        err = make_file(log, segment);
    if (err_failed(err)) {
        segment_unref(log, segment);
        return diag_wrap(diag, err, "cannot begin a segment at offset %lld of %s",
                         (long long)base_offset, log->name);
    }
    struct segment *before = segments_last(&log->segments);
    if (before != NULL) {
        CHECK(before->state == SEGMENT_ACTIVE);
        before->state = SEGMENT_SEALING;
        work_enqueue(log, WORK_URGENT);
        atomic_fetch_add(&store->counters.roll_count, 1);
    }
    segments_push(&log->segments, segment);
    log->flush.is_dir_unsynced = true;
    return ERR_NONE;
}

/* Kafka's LogSegment.shouldRoll. */
static bool must_roll(const struct log *log, const struct segment *segment,
                      const struct batch_header *header)
{
    const struct segment_facts *facts = &segment->facts;
    const struct log_config *config = &log->config;
    if (facts->size == 0)
        return false;
    if (facts->size > config->segment_size - (int64_t)header->size)
        return true;
    int64_t waited_ms;
    if (facts->first_timestamp >= 0 && header->max_timestamp >= 0)
        waited_ms = header->max_timestamp - facts->first_timestamp;
    else
        waited_ms = clock_wall_ms(log->store->options.clock) - segment->opened_ms;
    if (waited_ms > config->segment_ms - segment->jitter_ms)
        return true;
    int64_t index_size_max = config->segment_index_size;
    return index_table_count(&segment->index.offsets) >= index_size_max / OFFSET_ENTRY_SIZE ||
           index_table_count(&segment->index.times) + 1 >= index_size_max / TIME_ENTRY_SIZE ||
           batch_last_offset(header) - facts->base_offset > INT32_MAX;
}

/* Reserves disk space ahead, doubling with the segment's size. Only a help: failure means none. */
static void reserve_space(struct log *log, struct segment *segment, int file, int64_t size_needed)
{
    if (size_needed <= segment->size_allocated || size_needed < PREALLOCATE_SIZE_MIN)
        return;
    int64_t ahead = size_needed < PREALLOCATE_SIZE_MAX ? size_needed : PREALLOCATE_SIZE_MAX;
    int64_t target = size_needed + ahead;
    if (target > log->config.segment_size)
        target = log->config.segment_size;
    if (target < size_needed)
        return;
    int64_t from = segment->size_allocated > segment->facts.size ? segment->size_allocated
                                                                 : segment->facts.size;
    struct err err = file_allocate(log->store->options.files, file, from, target - from);
    segment->size_allocated = err_failed(err) ? INT64_MAX : target;
}

/* Writes the batch behind the last one; a failed write is cut back (W1). */
static struct err write_batch(struct log *log, struct segment *segment, struct span batch)
{
    const struct os_files *files = log->store->options.files;
    struct cached_file *file = segment->pin;
    if (file == NULL)
        TRY(segment_open(log, segment, segment->facts.size, &file));
    int64_t at = segment->facts.size;
    reserve_space(log, segment, file->file, at + (int64_t)batch.size);
    size_t done;
    struct err err = file_write_at(files, file->file, &batch, 1, at, &done);
    if (err_failed(err)) {
        /* Where even this fails, the next batch is written over the rest. */
        struct err ignored = file_truncate(files, file->file, at);
        (void)ignored;
        segment->size_allocated = 0;
    }
    /* Kept open until synced, as long as there are descriptors: then no error of writing it back
     * can be missed. Opened anew, a file still tells of one that nobody has seen (Linux 4.18). */
    bool keeps = !err_failed(err) && !log->store->options.flush_by_os &&
                 (file == segment->pin || !file_cache_is_full(&log->store->cache));
    if (keeps)
        segment->pin = file;
    else if (file != segment->pin)
        file_cache_unref(file);
    return err;
}

static struct err append_locked(struct log *log, struct span batch,
                                const struct batch_header *header, struct diag *diag)
{
    TRY(log_check_writable(log, diag));
    CHECK(header->base_offset >= log->bounds.end);
    CHECK(header->leader_epoch >= epochs_last(&log->epochs));
    CHECK(header->leader_epoch <= log->store->leader_epoch);
    struct segment *segment = segments_last(&log->segments);
    if (segment == NULL || must_roll(log, segment, header)) {
        TRY(log_roll(log, header->base_offset, diag));
        segment = segments_last(&log->segments);
    }
    if (!segment_has_room(segment, header))
        return diag_fail(diag, ERR_LIMIT, "a batch of %u bytes is too large for a segment of %s",
                         header->size, log->name);
    TRY(index_reserve(&segment->index));
    TRY(epochs_reserve(&log->epochs));
    struct err err = write_batch(log, segment, batch);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot append at byte %lld of segment %lld of %s",
                         (long long)segment->facts.size, (long long)segment->facts.base_offset,
                         log->name);
    segment_add(segment, header, log->config.index_interval_size);
    epochs_note(&log->epochs, header->leader_epoch, header->base_offset);
    log->bounds.end = segment->facts.next_offset;
    log->bounds.size += header->size;
    if (log->store->options.flush_by_os)
        log->bounds.durable = log->bounds.end;
    else
        flush_enqueue(log);
    log->work.size_since += header->size;
    bool is_much = log->work.size_since > log->store->options.checkpoint_size;
    work_enqueue(log, is_much ? WORK_URGENT : WORK_AGING);
    return ERR_NONE;
}

struct err log_append(struct log *log, struct span batch, const struct batch_header *header,
                      struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    CHECK(batch.size == header->size && header->last_offset_delta >= 0);
    os_mutex_lock(&log->lock);
    struct err err = append_locked(log, batch, header, diag);
    os_mutex_unlock(&log->lock);
    store_tell(log->store);
    if (!err_failed(err)) {
        struct store_counters *counters = &log->store->counters;
        atomic_fetch_add_explicit(&counters->append_count, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&counters->append_size, batch.size, memory_order_relaxed);
    }
    return err;
}
