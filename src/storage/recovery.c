/*
 * recovery: a log's way back.
 *
 * 1. The checkpoint's place: sealed segments behind it are safe too (W5), so it moves over them.
 * 2. The owner gets its newest producer snapshot, and the batches from there to the checkpoint. The
 *    leader epochs of what it moved over are read from the batches.
 * 3. After an unclean end each batch from the checkpoint on is read and checked. The first torn one
 *    ends the log: the file is cut there and what comes later is dropped.
 *
 * What is torn was never acknowledged as durable, so cutting it loses nothing that was promised.
 * Damage below the checkpoint cannot come from a crash: the log is quarantined, nothing is cut.
 */
#include "base/check.h"
#include "storage/scan.h"
#include "storage/storage_internal.h"

/* One log's recovery. */
struct recovery {
    struct log *log;
    const struct log_visitor *visitor;
    struct diag *diag;
    uint32_t at; /* the segment that holds the checkpoint */
    int64_t visit_from;
    int64_t epochs_from; /* where leader epochs are known up to from the manifest */
};

static struct err note_epoch(struct log *log, const struct batch_header *header)
{
    TRY(epochs_reserve(&log->epochs));
    epochs_note(&log->epochs, header->leader_epoch, header->base_offset);
    return ERR_NONE;
}

static struct err visit(const struct recovery *recovery, const struct batch_header *header,
                        struct span batch)
{
    const struct log_visitor *visitor = recovery->visitor;
    if (visitor->batch == NULL || batch_last_offset(header) < recovery->visit_from)
        return ERR_NONE;
    return visitor->batch(visitor->context, header, batch);
}

/* Opens a segment's file for reading it whole; past the page cache where that cannot be trusted. */
static struct err open_for_scan(struct log *log, const struct segment *segment, int *file,
                                int64_t *size)
{
    const struct os_files *files = log->store->options.files;
    char path[STORE_PATH_SIZE];
    segment_path(log, segment, path, ".log");
    struct err err = err_make(ERR_UNSUPPORTED);
    if (log->store->distrusts_pages)
        err = file_open(files, path, OS_FILE_READ | OS_FILE_DIRECT, file);
    if (err_is(err, ERR_UNSUPPORTED) || err_is(err, ERR_INVALID))
        err = file_open(files, path, OS_FILE_READ, file);
    TRY(err);
    err = file_size(files, *file, size);
    if (err_failed(err))
        file_close(files, *file);
    return err;
}

/* Shows the owner the batches of one segment between its begin and `end`, a checked part, and notes
 * their epochs. */
static struct err visit_segment(const struct recovery *recovery, struct segment *segment,
                                int64_t end)
{
    struct log *log = recovery->log;
    int file;
    int64_t size;
    TRY(open_for_scan(log, segment, &file, &size));
    struct scan scan;
    scan_init(&scan, log->store->options.files, file, 0, end);
    struct err err = size < end ? err_make(ERR_TRUNCATED) : ERR_NONE;
    while (!err_failed(err) && scan.position < end) {
        struct span batch;
        struct batch_header header;
        enum batch_fault fault;
        err = scan_next(&scan, &batch, &header, &fault);
        if (!err_failed(err) && fault != BATCH_FINE) {
            log_quarantine(log,
                           "%s: segment %lld is damaged at byte %lld, below the checkpoint: %s",
                           log->name, (long long)segment->facts.base_offset,
                           (long long)scan.position, batch_fault_text(fault));
            break;
        }
        if (!err_failed(err) && header.base_offset >= recovery->epochs_from)
            err = note_epoch(log, &header);
        if (!err_failed(err))
            err = visit(recovery, &header, batch);
    }
    scan_deinit(&scan);
    file_close(log->store->options.files, file);
    return err;
}

/* Step 2. */
static struct err visit_safe_part(struct recovery *recovery)
{
    struct log *log = recovery->log;
    int64_t from = recovery->epochs_from;
    if (recovery->visitor->batch != NULL && recovery->visit_from < from)
        from = recovery->visit_from;
    if (from >= log->checkpoint.offset)
        return ERR_NONE;
    for (uint32_t i = 0; i <= recovery->at && log->damage == NULL; i++) {
        struct segment *segment = log->segments.items[i];
        if (segment->facts.next_offset <= from || segment->facts.size == 0)
            continue;
        struct err err = visit_segment(recovery, segment, segment->facts.size);
        if (err_is(err, ERR_NOT_FOUND) || err_is(err, ERR_TRUNCATED))
            log_quarantine(log, "%s: segment %lld is missing or shorter than its %lld bytes",
                           log->name, (long long)segment->facts.base_offset,
                           (long long)segment->facts.size);
        else if (err_failed(err))
            return diag_wrap(recovery->diag, err, "cannot read segment %lld of %s",
                             (long long)segment->facts.base_offset, log->name);
    }
    return ERR_NONE;
}

static struct err visit_snapshot(struct recovery *recovery)
{
    struct log *log = recovery->log;
    const struct log_visitor *visitor = recovery->visitor;
    /* Also what lies below the start offset but is still there: the snapshot may end within it, and
     * the owner's state must not have a gap. Where segments behind the snapshot are gone, no state
     * is better than one that does not lead up to the rest. */
    recovery->visit_from = log->segments.items[0]->facts.base_offset;
    if (visitor->batch == NULL || log->checkpoint.snapshot_offset < recovery->visit_from)
        return ERR_NONE;
    if (log->checkpoint.has_snapshot_file) {
        struct buf state;
        buf_init(&state, SNAPSHOT_SIZE_MAX);
        struct err err = snapshot_read(log, log->checkpoint.snapshot_offset, &state, NULL);
        if (err_is(err, ERR_NO_MEMORY) || err_is(err, ERR_LIMIT)) { /* it may be fine */
            buf_deinit(&state);
            return diag_wrap(recovery->diag, err, "cannot read the producer snapshot of %s",
                             log->name);
        }
        if (err_failed(err)) {
            buf_deinit(&state);
            store_report(log->store,
                         "%s: the producer snapshot at offset %lld cannot be read (%s); the whole "
                         "log is read instead",
                         log->name, (long long)log->checkpoint.snapshot_offset, err_text(err));
            return ERR_NONE;
        }
        if (visitor->snapshot != NULL)
            err = visitor->snapshot(visitor->context, log->checkpoint.snapshot_offset,
                                    buf_span(&state));
        buf_deinit(&state);
        TRY(err);
    }
    recovery->visit_from = log->checkpoint.snapshot_offset;
    return ERR_NONE;
}

/* Step 1. */
static void find_checkpoint(struct recovery *recovery)
{
    struct log *log = recovery->log;
    struct segment_list *list = &log->segments;
    log_lift_checkpoint(log);
    if (!log->checkpoint.exists && log->checkpoint.facts.size == 0) {
        log->checkpoint.offset = list->items[0]->facts.base_offset;
        log->checkpoint.facts = segment_facts_now(list->items[0]);
    }
    int32_t at = segments_find(list, log->checkpoint.facts.base_offset);
    CHECK(at >= 0);
    recovery->at = (uint32_t)at;
    recovery->epochs_from = log->checkpoint.offset;
    while (recovery->at + 1 < list->count && list->items[recovery->at]->state == SEGMENT_SEALED) {
        recovery->at++;
        log->checkpoint.offset = list->items[recovery->at]->facts.base_offset;
        log->checkpoint.facts = segment_facts_now(list->items[recovery->at]);
    }
    for (uint32_t i = 0; i < recovery->at; i++) {
        if (list->items[i]->state != SEGMENT_SEALED)
            log_quarantine(log, "%s: segment %lld lies below the checkpoint and was never sealed",
                           log->name, (long long)list->items[i]->facts.base_offset);
    }
    epochs_cut_end(&log->epochs, log->checkpoint.offset);
    if (epochs_last(&log->epochs) > log->store->leader_epoch)
        log_quarantine(log, "%s: its leader epoch %d is above the store's %d", log->name,
                       epochs_last(&log->epochs), log->store->leader_epoch);
}

/* Takes in one intact batch beyond the checkpoint, or says why it does not belong there. */
static struct err take_batch(struct recovery *recovery, struct segment *segment,
                             const struct batch_header *header, struct span batch,
                             const char **refusal)
{
    struct log *log = recovery->log;
    if (header->base_offset != segment->facts.next_offset) {
        *refusal = "its offset does not follow the one before";
        return ERR_NONE;
    }
    if (header->leader_epoch < epochs_last(&log->epochs) ||
        header->leader_epoch > log->store->leader_epoch) {
        *refusal = "its leader epoch cannot be";
        return ERR_NONE;
    }
    if (!segment_has_room(segment, header)) {
        *refusal = "its segment would be too large";
        return ERR_NONE;
    }
    TRY(index_reserve(&segment->index));
    TRY(note_epoch(log, header));
    segment_add(segment, header, log->config.index_interval_size);
    atomic_fetch_add(&log->store->counters.batches_scanned, 1);
    return visit(recovery, header, batch);
}

/* Reads a segment from its known end on. *refusal: why it ends before the file does, or NULL. */
static struct err scan_segment(struct recovery *recovery, struct segment *segment, int file,
                               int64_t size, const char **refusal)
{
    struct log *log = recovery->log;
    struct scan scan;
    scan_init(&scan, log->store->options.files, file, segment->facts.size, size);
    struct err err = ERR_NONE;
    *refusal = NULL;
    while (!err_failed(err) && *refusal == NULL && scan.position < size) {
        struct span batch;
        struct batch_header header;
        enum batch_fault fault;
        err = scan_next(&scan, &batch, &header, &fault);
        if (err_failed(err))
            break;
        if (fault != BATCH_FINE)
            *refusal = batch_fault_text(fault);
        else
            err = take_batch(recovery, segment, &header, batch, refusal);
    }
    scan_deinit(&scan);
    return err;
}

/* The log's directory, where a crash lost it with all that was in it. */
static struct err restore_dir(struct log *log)
{
    char path[STORE_PATH_SIZE];
    log_dir_path(log, path);
    struct err err = dir_make(log->store->options.files, path);
    if (err_is(err, ERR_EXISTS))
        return ERR_NONE;
    log->flush.root_change = store_note_root_change(log->store);
    return err;
}

/* Cuts a segment's file to what was found intact; makes the file where a crash lost it. */
static struct err cut_segment(struct log *log, struct segment *segment)
{
    const struct os_files *files = log->store->options.files;
    char path[STORE_PATH_SIZE];
    int file;
    TRY(restore_dir(log));
    segment_path(log, segment, path, ".log");
    TRY(file_open(files, path, OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE, &file));
    struct err err = file_truncate(files, file, segment->facts.size);
    file_close(files, file);
    log->flush.is_dir_unsynced = true;
    /* The cut itself has to be synced before a later segment is: what was cut off, found again by
     * the next recovery, would end the log before that one. */
    segment->size_synced = 0;
    return err;
}

/* Removes the segments behind the one at `at`, from the manifest first. */
static struct err drop_later(struct log *log, uint32_t at)
{
    struct segment_list *list = &log->segments;
    if (at + 1 == list->count)
        return ERR_NONE;
    /* A replay drops the segments that begin at the offset, but this one stays, be it empty. */
    const struct segment_facts *kept = &list->items[at]->facts;
    bool is_empty = kept->next_offset == kept->base_offset;
    const struct manifest_entry entry = {
        .kind = MANIFEST_TRUNCATE, .id = log->id, .offset = kept->next_offset + (is_empty ? 1 : 0)};
    uint64_t ticket;
    TRY(manifest_append(&log->store->manifest, &entry, &ticket));
    /* Said again: truncation lowers the checkpoint to the segment's begin. */
    if (log->checkpoint.exists) {
        const struct manifest_entry checkpoint = log_checkpoint_entry(log);
        TRY(manifest_append(&log->store->manifest, &checkpoint, &ticket));
    }
    log->flush.ticket = ticket;
    while (list->count > at + 1) {
        struct segment *segment = list->items[--list->count];
        /* At once, not in the background: the log may soon go on in a file of the same name. */
        segment_remove_files(log, segment);
        segment_unref(log, segment);
    }
    return ERR_NONE;
}

/* Reads one segment beyond the checkpoint. *is_torn: the log ends in it. */
static struct err recover_segment(struct recovery *recovery, uint32_t at, bool *is_torn)
{
    struct log *log = recovery->log;
    struct segment *segment = log->segments.items[at];
    long long base = segment->facts.base_offset;
    int file;
    int64_t size = 0;
    const char *refusal = NULL;
    struct err err = open_for_scan(log, segment, &file, &size);
    bool is_missing = err_is(err, ERR_NOT_FOUND);
    if (err_failed(err) && !is_missing)
        return diag_wrap(recovery->diag, err, "cannot open segment %lld of %s", base, log->name);
    if (size < segment->facts.size) {
        log_quarantine(log, "%s: segment %lld has %lld bytes; %lld lie below the checkpoint",
                       log->name, base, (long long)size, (long long)segment->facts.size);
    } else if (!is_missing) {
        err = scan_segment(recovery, segment, file, size, &refusal);
    }
    if (!is_missing)
        file_close(log->store->options.files, file);
    if (log->damage != NULL)
        return ERR_NONE;
    if (err_failed(err) && !is_missing)
        return diag_wrap(recovery->diag, err, "cannot read segment %lld of %s", base, log->name);
    *is_torn = is_missing || refusal != NULL;
    if (!*is_torn)
        return ERR_NONE;
    int64_t size_cut = size - segment->facts.size;
    store_report(log->store, "%s: segment %lld is cut at byte %lld, %lld bytes are dropped: %s",
                 log->name, base, (long long)segment->facts.size, (long long)size_cut,
                 is_missing ? "the file is missing" : refusal);
    atomic_fetch_add(&log->store->counters.size_truncated, (unsigned long long)size_cut);
    err = cut_segment(log, segment);
    return err_failed(err) ? diag_wrap(recovery->diag, err, "cannot cut %s", log->name) : err;
}

/* Step 3. */
static struct err scan_tail(struct recovery *recovery)
{
    struct log *log = recovery->log;
    struct segment_list *list = &log->segments;
    uint32_t at = recovery->at;
    for (; log->damage == NULL; at++) {
        bool is_torn = false;
        TRY(recover_segment(recovery, at, &is_torn));
        if (at + 1 == list->count || log->damage != NULL)
            break;
        int64_t next_offset = list->items[at]->facts.next_offset;
        if (is_torn || list->items[at + 1]->facts.base_offset != next_offset) {
            store_report(log->store, "%s: %u later segments are dropped", log->name,
                         list->count - at - 1);
            TRY(drop_later(log, at));
            break;
        }
        list->items[at]->state = SEGMENT_SEALING;
    }
    segments_last(list)->state = SEGMENT_ACTIVE;
    return ERR_NONE;
}

/* The process may have died with names unsynced, also those of files that hold nothing yet. */
static void distrust_names(struct log *log)
{
    log->flush.is_dir_unsynced = true;
    if (log->flush.root_change == 0)
        log->flush.root_change = STORE_ROOT_CHANGE_FIRST;
}

/* The log's numbers from its segments', and what is left to do. */
static void settle(struct recovery *recovery)
{
    struct log *log = recovery->log;
    struct segment_list *list = &log->segments;
    log->bounds.size = 0;
    int64_t now_ms = clock_wall_ms(log->store->options.clock);
    for (uint32_t i = 0; i < list->count; i++) {
        log->bounds.size += list->items[i]->facts.size;
        list->items[i]->opened_ms = now_ms;
    }
    if (log->damage != NULL) {
        log->bounds.end = log->bounds.durable = log->bounds.start;
        return;
    }
    log->bounds.end = segments_last(list)->facts.next_offset;
    bool is_durable = log->bounds.end == log->checkpoint.offset || log->store->options.flush_by_os;
    log->bounds.durable = is_durable ? log->bounds.end : log->checkpoint.offset;
    if (log->bounds.start < list->items[0]->facts.base_offset)
        log->bounds.start = list->items[0]->facts.base_offset;
    if (log->bounds.durable < log->bounds.start)
        log->bounds.durable = log->bounds.start;
    log->flush.durable_base = -1;
    if (log->bounds.start > log->bounds.end) {
        log_quarantine(log, "%s: the log ends at offset %lld, below its start offset %lld",
                       log->name, (long long)log->bounds.end, (long long)log->bounds.start);
        log->bounds.end = log->bounds.durable = log->bounds.start;
        return;
    }
    if (!log->store->was_clean)
        distrust_names(log);
    log->work.has_strays = !log->store->was_clean;
    const struct segment *last = segments_last(list);
    if (!is_durable || last->size_synced < last->facts.size)
        flush_enqueue(log);
    bool must_seal = list->count > recovery->at + 1;
    if (must_seal || log->bounds.end != log->checkpoint.offset)
        work_enqueue(log, must_seal ? WORK_URGENT : WORK_AGING);
}

/* A log without segments: it never had any, or a crash lost the first and perhaps its directory. */
static struct err recover_empty(struct log *log, struct diag *diag)
{
    log->bounds.end = log->bounds.durable = log->bounds.start;
    if (!log->has_dir || log->store->was_clean)
        return ERR_NONE;
    distrust_names(log);
    struct err err = restore_dir(log);
    return err_failed(err) ? diag_wrap(diag, err, "cannot make the directory of %s", log->name)
                           : err;
}

struct err log_recover(struct log *log, const struct log_visitor *visitor, struct diag *diag)
{
    if (log->segments.count == 0)
        return recover_empty(log, diag);
    struct recovery recovery = {.log = log, .visitor = visitor, .diag = diag};
    find_checkpoint(&recovery);
    if (log->damage == NULL)
        TRY(visit_snapshot(&recovery));
    if (log->damage == NULL)
        TRY(visit_safe_part(&recovery));
    if (log->damage == NULL && !log->store->was_clean)
        TRY(scan_tail(&recovery));
    settle(&recovery);
    if (log->damage != NULL)
        store_report(log->store, "%s is quarantined: %s", log->name, log->damage);
    return ERR_NONE;
}
