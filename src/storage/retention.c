/* retention: the start offset rises by time, by size, by DeleteRecords; or the end falls. */
#include "base/check.h"
#include "storage/scan.h"
#include "storage/storage_internal.h"

#define DROP_COUNT_MAX 16

struct err log_move_start(struct log *log, int64_t offset, uint64_t *ticket, struct diag *diag)
{
    CHECK(offset > log->bounds.start && offset <= log->bounds.end);
    const struct manifest_entry entry = {.kind = MANIFEST_START, .id = log->id, .offset = offset};
    struct err err = manifest_append(&log->store->manifest, &entry, ticket);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot write the manifest");
    log->bounds.start = offset;
    struct segment *dropped[DROP_COUNT_MAX];
    uint32_t count;
    while ((count = log_drop_below_start(log, dropped, DROP_COUNT_MAX)) != 0) {
        for (uint32_t i = 0; i < count; i++) {
            garbage_add_segment(log, dropped[i], *ticket);
            segment_unref(log, dropped[i]);
        }
        atomic_fetch_add(&log->store->counters.segment_delete_count, count);
    }
    epochs_cut_start(&log->epochs, offset);
    log_lift_checkpoint(log);
    return ERR_NONE;
}

/* How many segments at the front may go, by size (Kafka's deleteRetentionSizeBreachedSegments). */
static uint32_t count_by_size(const struct log *log)
{
    int64_t surplus = log->bounds.size - log->config.retention_size;
    uint32_t count = 0;
    if (log->config.retention_size < 0)
        return 0;
    while (count < log->segments.count && surplus >= log->segments.items[count]->facts.size) {
        surplus -= log->segments.items[count]->facts.size;
        count++;
    }
    return count;
}

/* How many may go by time (deleteRetentionMsBreachedSegments). */
static uint32_t count_by_time(const struct log *log, int64_t now_ms)
{
    uint32_t count = 0;
    if (log->config.retention_ms < 0)
        return 0;
    while (count < log->segments.count) {
        const struct segment *segment = log->segments.items[count];
        int64_t latest_ms =
            segment->facts.max_timestamp >= 0 ? segment->facts.max_timestamp : segment->opened_ms;
        if (now_ms - latest_ms <= log->config.retention_ms)
            break;
        count++;
    }
    return count;
}

/* Those of them that are durable and not an empty last one. */
static uint32_t count_expired(const struct log *log, int64_t now_ms)
{
    uint32_t by_size = count_by_size(log);
    uint32_t by_time = count_by_time(log, now_ms);
    uint32_t count = by_size > by_time ? by_size : by_time;
    while (count > 0 &&
           (log->segments.items[count - 1]->facts.next_offset > log->bounds.durable ||
            (count == log->segments.count && log->segments.items[count - 1]->facts.size == 0)))
        count--;
    return count;
}

static struct err apply_locked(struct log *log, int64_t now_ms, int64_t *moved_to,
                               struct diag *diag)
{
    if (log->state != LOG_OPEN || log->damage != NULL || !log->config.is_deleted)
        return ERR_NONE;
    uint32_t count = count_expired(log, now_ms);
    if (count == 0)
        return ERR_NONE;
    /* The log goes on in an empty segment when even the last one has expired. */
    if (count == log->segments.count)
        TRY(log_roll(log, log->bounds.end, diag));
    int64_t offset = log->segments.items[count]->facts.base_offset;
    if (offset <= log->bounds.start)
        return ERR_NONE;
    uint64_t ticket;
    TRY(log_move_start(log, offset, &ticket, diag));
    *moved_to = offset;
    return ERR_NONE;
}

struct err log_apply_retention(struct log *log, int64_t now_ms, struct diag *diag)
{
    int64_t moved_to = -1;
    os_mutex_lock(&log->lock);
    struct err err = apply_locked(log, now_ms, &moved_to, diag);
    os_mutex_unlock(&log->lock);
    if (moved_to >= 0 && log->listener.start_moved != NULL)
        log->listener.start_moved(log->listener.context, moved_to);
    return err;
}

struct err log_delete_records(struct log *log, int64_t offset, uint64_t *ticket, struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    uint64_t given = 0;
    os_mutex_lock(&log->lock);
    struct err err = log_check_writable(log, diag);
    if (!err_failed(err) && offset > log->bounds.durable)
        err = diag_fail(diag, ERR_RANGE, "offset %lld is above %lld, the durable end of %s",
                        (long long)offset, (long long)log->bounds.durable, log->name);
    if (!err_failed(err) && offset > log->bounds.start)
        err = log_move_start(log, offset, &given, diag);
    else if (!err_failed(err))
        given = manifest_last(&log->store->manifest);
    os_mutex_unlock(&log->lock);
    if (err_failed(err))
        return err;
    *ticket = given;
    store_want_ticket(log->store, given);
    return ERR_NONE;
}

/* A truncation, made ready before anything changes. */
struct cut {
    int64_t offset;
    uint32_t keep;            /* segments */
    struct cached_file *file; /* the last one's */
    struct segment *fresh;    /* what it looks like when it ends at the offset */
    bool is_begun;            /* the manifest says so: there is no way back */
};

static void cut_release(struct log *log, struct cut *cut)
{
    if (cut->fresh != NULL)
        segment_unref(log, cut->fresh);
    file_cache_unref(cut->file);
}

/* Reads the last segment that stays again from its begin. */
static struct err prepare_cut(struct log *log, struct cut *cut, struct diag *diag)
{
    struct segment_list *list = &log->segments;
    cut->keep = list->count;
    while (cut->keep > 1 && list->items[cut->keep - 1]->facts.base_offset >= cut->offset)
        cut->keep--;
    struct segment *last = list->items[cut->keep - 1];
    TRY(segment_open(log, last, last->facts.size, &cut->file));
    cut->fresh = segment_create(last->facts.base_offset);
    if (cut->fresh == NULL)
        return err_make(ERR_NO_MEMORY);
    struct peek peek;
    peek_init(&peek, log->store->options.files, cut->file->file, 0, last->facts.size);
    while (peek.position < last->facts.size) {
        struct batch_header header;
        TRY(peek_next(&peek, &header));
        if (header.base_offset >= cut->offset)
            break;
        if (batch_last_offset(&header) >= cut->offset)
            return diag_fail(diag, ERR_RANGE, "offset %lld of %s lies inside a batch",
                             (long long)cut->offset, log->name);
        TRY(index_reserve(&cut->fresh->index));
        segment_add(cut->fresh, &header, log->config.index_interval_size);
    }
    return ERR_NONE;
}

/* Moves the log's numbers down to the cut, and lets the segments behind it go. */
static void apply_cut(struct log *log, const struct cut *cut)
{
    struct segment_list *list = &log->segments;
    struct segment *last = list->items[cut->keep - 1];
    while (list->count > cut->keep) {
        struct segment *dropped = list->items[--list->count];
        segment_remove_files(log, dropped);
        segment_unref(log, dropped);
    }
    index_deinit(&last->index);
    last->facts = cut->fresh->facts;
    last->index = cut->fresh->index;
    index_init(&cut->fresh->index);
    last->state = SEGMENT_ACTIVE;
    last->size_synced = last->size_allocated = 0;
    epochs_cut_end(&log->epochs, cut->offset);
    log->bounds.end =
        last->facts.next_offset > log->bounds.start ? last->facts.next_offset : log->bounds.start;
    if (log->bounds.durable > log->bounds.end)
        log->bounds.durable = log->bounds.end;
    log->flush.durable_base = -1;
    log_lower_compaction(log, cut->offset);
    log->bounds.size = 0;
    for (uint32_t i = 0; i < list->count; i++)
        log->bounds.size += list->items[i]->facts.size;
    if (log->checkpoint.offset > cut->offset)
        log->checkpoint =
            (struct log_checkpoint){.offset = last->facts.base_offset,
                                    .snapshot_offset = -1,
                                    .facts = {.base_offset = last->facts.base_offset,
                                              .next_offset = last->facts.base_offset}};
}

/* W6: the manifest first, so that a crash in between brings back only what was not answered. */
static struct err truncate_locked(struct log *log, struct cut *cut, struct diag *diag)
{
    const struct os_files *files = log->store->options.files;
    const struct manifest_entry entry = {
        .kind = MANIFEST_TRUNCATE, .id = log->id, .offset = cut->offset};
    TRY(prepare_cut(log, cut, diag));
    TRY(manifest_append(&log->store->manifest, &entry, NULL));
    cut->is_begun = true;
    log->cut_count++;
    struct err err = manifest_sync(&log->store->manifest);
    apply_cut(log, cut);
    TRY(err);
    struct segment *last = segments_last(&log->segments);
    TRY(file_truncate(files, cut->file->file, last->facts.size));
    TRY(file_sync(files, cut->file->file));
    last->size_synced = last->facts.size;
    return ERR_NONE;
}

/* Whether a log that ended at the offset would go on in a compacted segment: recovery, which takes
 * gaps for damage, would not come through it. */
static bool is_compacted_at(const struct log *log, int64_t offset)
{
    int32_t at = segments_find(&log->segments, offset);
    while (at > 0 && log->segments.items[at]->facts.base_offset >= offset)
        at--;
    return at >= 0 && log->segments.items[at]->is_compacted;
}

struct err log_truncate(struct log *log, int64_t offset, struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    os_mutex_lock(&log->lock);
    struct err err = log_check_writable(log, diag);
    if (!err_failed(err) && log->flush.is_running)
        err = diag_fail(diag, ERR_BUSY, "%s is being flushed", log->name);
    if (!err_failed(err) && (offset < log->bounds.start || offset > log->bounds.end))
        err = diag_fail(diag, ERR_RANGE, "offset %lld is outside of %s", (long long)offset,
                        log->name);
    if (!err_failed(err) && offset < log->bounds.end && is_compacted_at(log, offset))
        err = diag_fail(diag, ERR_RANGE, "offset %lld of %s lies in what was compacted",
                        (long long)offset, log->name);
    struct cut cut = {.offset = offset};
    if (!err_failed(err) && offset < log->bounds.end)
        err = truncate_locked(log, &cut, diag);
    cut_release(log, &cut);
    os_mutex_unlock(&log->lock);
    bool is_final = err_failed(err) && cut.is_begun;
    return is_final ? store_fail_sync(log->store, log->name, err, diag) : err;
}
