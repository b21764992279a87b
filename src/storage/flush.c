/*
 * flush: the group commit (W2, W3, W7).
 *
 *     idle --append--> queued --flush_begin--> running --flush_end--> idle
 *                        ^                        |  (appended to meanwhile: queued again)
 *                        +------- put off <-------+  (short of descriptors)
 *
 * flush_begin notes under the log's lock how far the log reaches; then files are synced without any
 * lock; flush_end moves the durable offset to what was noted. While one sync runs, appends gather
 * for the next. A log is run by one thread at a time; different logs by several. Where a log's file
 * cannot be opened for want of descriptors or memory, nothing is lost: the log waits in a list of
 * its own, so that the dirty list becomes empty and the next append still wakes the flusher, and
 * the step's caller comes again after a pause. Where the file is gone, the log is quarantined and
 * its owner told that those who wait for it do so in vain.
 */
#include <stdlib.h>

#include "base/check.h"
#include "storage/storage_internal.h"

/* Segments synced in one run of one log: after a roll there are two; more wait for the next run. */
#define JOB_SEGMENT_COUNT_MAX 8

/* What one run of one log has to sync. */
struct flush_job {
    struct log *log;
    struct cached_file *files[JOB_SEGMENT_COUNT_MAX]; /* references */
    uint32_t count;
    bool has_dir_changes;
    uint64_t ticket;
    uint64_t root_change;
};

void flush_enqueue(struct log *log)
{
    struct log_flush *flush = &log->flush;
    if (flush->is_running) {
        flush->is_wanted_again = true;
        return;
    }
    /* Whoever takes the log off the list looks at its end afterwards, under the log's lock, which
     * the caller holds now: a stale true loses nothing. */
    if (atomic_load(&flush->is_queued))
        return;
    log_ref(log);
    struct store_flusher *flusher = &log->store->flush;
    os_mutex_lock(&flusher->lock);
    atomic_store(&flush->is_queued, true);
    list_append(&flusher->dirty, &flush->link);
    bool is_first = flusher->dirty_count++ == 0;
    os_mutex_unlock(&flusher->lock);
    if (is_first)
        atomic_store(&log->store->must_tell_dirty, true);
}

/* Takes the first log off the dirty list, with the list's reference; NULL where it is empty. */
static struct log *pop_dirty(struct store_flusher *flusher)
{
    struct log *log = NULL;
    os_mutex_lock(&flusher->lock);
    struct list *link = list_pop(&flusher->dirty);
    if (link != NULL) {
        log = LIST_ENTRY(link, struct log, flush.link);
        flusher->dirty_count--;
        atomic_store(&log->flush.is_queued, false);
    }
    os_mutex_unlock(&flusher->lock);
    return log;
}

/* Puts the log off to the next step. Without locks. */
static void put_off(struct log *log)
{
    struct store_flusher *flusher = &log->store->flush;
    os_mutex_lock(&log->lock);
    if (log->state != LOG_DELETED && !atomic_load(&log->flush.is_queued)) {
        log_ref(log);
        os_mutex_lock(&flusher->lock);
        atomic_store(&log->flush.is_queued, true);
        list_append(&flusher->put_off, &log->flush.link);
        os_mutex_unlock(&flusher->lock);
    }
    os_mutex_unlock(&log->lock);
}

/* Makes those that were put off dirty again; returns how many logs are dirty. */
static uint32_t take_up(struct store_flusher *flusher)
{
    os_mutex_lock(&flusher->lock);
    for (struct list *link = list_pop(&flusher->put_off); link != NULL;
         link = list_pop(&flusher->put_off)) {
        list_append(&flusher->dirty, link);
        flusher->dirty_count++;
    }
    uint32_t count = flusher->dirty_count;
    os_mutex_unlock(&flusher->lock);
    return count;
}

void flush_forget(struct store *store)
{
    struct log *log;
    (void)take_up(&store->flush);
    while ((log = pop_dirty(&store->flush)) != NULL)
        log_unref(log);
}

/* Holds the file of one segment for the job. Locked. */
static struct err job_hold(struct flush_job *job, struct segment *segment)
{
    struct cached_file *file = segment->pin;
    if (file != NULL)
        file_cache_ref(file);
    else
        TRY(segment_open(job->log, segment, segment->facts.size, &file));
    job->files[job->count++] = file;
    return ERR_NONE;
}

/*
 * Notes which bytes of which segments the run covers: all unsynced ones, oldest first. holds_files
 * is false where the whole file system is going to be synced. Locked.
 */
static struct err note_segments(struct flush_job *job, bool holds_files)
{
    struct log *log = job->log;
    struct segment_list *list = &log->segments;
    uint32_t first = list->count;
    while (first > 0 && (list->items[first - 1]->facts.size == 0 ||
                         list->items[first - 1]->size_synced < list->items[first - 1]->facts.size))
        first--;
    log->flush.end_running = log->bounds.end;
    for (uint32_t i = first; i < list->count; i++) {
        struct segment *segment = list->items[i];
        if (i - first == JOB_SEGMENT_COUNT_MAX) {
            log->flush.end_running = segment->facts.base_offset;
            log->flush.is_wanted_again = true;
            break;
        }
        if (holds_files && segment->facts.size != 0)
            TRY(job_hold(job, segment));
        segment->size_flushing = segment->facts.size;
        log->flush.base_running = segment->facts.base_offset;
        log->flush.position_running = segment->facts.size;
    }
    return ERR_NONE;
}

static void job_release(struct flush_job *job)
{
    for (uint32_t i = 0; i < job->count; i++)
        file_cache_unref(job->files[i]);
    job->count = 0;
}

/* A run that could not begin, or failed, covers nothing. Locked. */
static void forget_notes(struct log *log)
{
    for (uint32_t i = 0; i < log->segments.count; i++)
        log->segments.items[i]->size_flushing = 0;
}

/* Begins a run. ERR_AGAIN where one is running: it will be followed by another. Locked. */
static struct err flush_begin(struct log *log, struct flush_job *job, bool holds_files)
{
    *job = (struct flush_job){.log = log};
    struct log_flush *flush = &log->flush;
    if (flush->is_running) {
        flush->is_wanted_again = true;
        return err_make(ERR_AGAIN);
    }
    flush->is_wanted_again = false;
    struct err err = note_segments(job, holds_files);
    if (err_failed(err)) {
        forget_notes(log);
        return err;
    }
    flush->is_running = true;
    job->has_dir_changes = flush->is_dir_unsynced;
    job->ticket = flush->ticket;
    job->root_change = flush->root_change;
    flush->is_dir_unsynced = false;
    return ERR_NONE;
}

/* Moves the numbers to what the run has covered; collects pins to let go. Locked. */
static uint32_t settle_segments(struct log *log, struct cached_file **pins, uint32_t max)
{
    uint32_t count = 0;
    struct segment_list *list = &log->segments;
    for (uint32_t i = list->count; i > 0; i--) {
        struct segment *segment = list->items[i - 1];
        if (segment->size_flushing == 0 && segment->facts.size != 0 &&
            segment->size_synced == segment->facts.size)
            break;
        if (segment->size_flushing > segment->size_synced)
            segment->size_synced = segment->size_flushing;
        segment->size_flushing = 0;
        struct cached_file *pin = segment_take_pin_if_synced(segment);
        CHECK(pin == NULL || count < max);
        if (pin != NULL)
            pins[count++] = pin;
    }
    return count;
}

/* The durable offset follows what is synced; where it lies is remembered for readers. Locked. */
static bool advance_durable(struct log *log)
{
    struct log_flush *flush = &log->flush;
    CHECK(flush->end_running <= log->bounds.end);
    if (flush->end_running <= log->bounds.durable)
        return false;
    log->bounds.durable = flush->end_running;
    flush->durable_base = flush->base_running;
    flush->durable_position = flush->position_running;
    return true;
}

/* The checkpoint that a run held up goes on as soon as it may. Locked. */
static void release_checkpoint(struct log *log)
{
    log->flush.holds_checkpoint = false;
    if (log->state == LOG_OPEN && log->damage == NULL)
        work_enqueue(log, WORK_URGENT);
}

void flush_hold_checkpoint(struct log *log)
{
    os_mutex_lock(&log->lock);
    log->flush.holds_checkpoint = true;
    if (!log->flush.is_running)
        release_checkpoint(log);
    os_mutex_unlock(&log->lock);
}

/* Ends a run; after a failed one nothing moves, and its names are still to be synced. Returns the
 * durable offset to tell, or -1. */
static int64_t flush_end(struct log *log, const struct flush_job *job, bool is_synced)
{
    struct cached_file *pins[JOB_SEGMENT_COUNT_MAX + 1];
    uint32_t pin_count = 0;
    int64_t offset_told = -1;
    /* The kernel tells of a failed write once for each open file: where another thread was told, a
     * sync that succeeded at the same time means nothing. */
    is_synced = is_synced && !store_is_offline(log->store);
    os_mutex_lock(&log->lock);
    if (is_synced) {
        pin_count = settle_segments(log, pins, JOB_SEGMENT_COUNT_MAX + 1);
        bool has_moved = advance_durable(log);
        if (has_moved && log->state == LOG_OPEN && !log->store->options.flush_by_os)
            offset_told = log->bounds.durable;
    } else {
        forget_notes(log);
        log->flush.is_dir_unsynced = log->flush.is_dir_unsynced || job->has_dir_changes;
    }
    log->flush.is_running = false;
    if (log->flush.is_wanted_again && log->state != LOG_DELETED)
        flush_enqueue(log);
    if (log->flush.holds_checkpoint)
        release_checkpoint(log);
    os_mutex_unlock(&log->lock);
    for (uint32_t i = 0; i < pin_count; i++)
        file_cache_unref(pins[i]);
    store_tell(log->store);
    return offset_told;
}

static void tell_durable(struct log *log, int64_t offset)
{
    if (offset >= 0 && log->listener.durable != NULL)
        log->listener.durable(log->listener.context, offset);
}

/* Makes the names in the log's directory safe; a deleted log's is gone and nobody waits. */
static struct err sync_dir(struct log *log, struct diag *diag)
{
    char path[STORE_PATH_SIZE];
    log_dir_path(log, path);
    struct err err = dir_sync(log->store->options.files, path);
    if (!err_failed(err) || err_is(err, ERR_LIMIT)) /* no descriptor for it: nothing was tried */
        return err;
    os_mutex_lock(&log->lock);
    bool is_deleted = log->state == LOG_DELETED;
    os_mutex_unlock(&log->lock);
    return is_deleted ? ERR_NONE : store_fail_sync(log->store, path, err, diag);
}

/* Syncs what a job needs, names and manifest first. */
static struct err job_sync(struct flush_job *job, uint32_t *sync_count, struct diag *diag)
{
    struct log *log = job->log;
    struct store *store = log->store;
    TRY(store_sync_manifest(store, job->ticket, diag));
    TRY(store_sync_root(store, job->root_change, diag));
    if (job->has_dir_changes)
        TRY(sync_dir(log, diag));
    for (uint32_t i = 0; i < job->count; i++) {
        struct err err = file_sync_data(store->options.files, job->files[i]->file);
        if (err_failed(err))
            return store_fail_sync(store, log->name, err, diag);
    }
    *sync_count += job->count + job->has_dir_changes;
    return ERR_NONE;
}

struct err flush_log(struct log *log, uint32_t *sync_count, struct diag *diag)
{
    struct flush_job job;
    os_mutex_lock(&log->lock);
    bool is_wanted = log->state != LOG_DELETED;
    struct err err = is_wanted ? flush_begin(log, &job, true) : ERR_NONE;
    os_mutex_unlock(&log->lock);
    if (!is_wanted)
        return ERR_NONE;
    if (err_failed(err)) {
        job_release(&job);
        return err;
    }
    err = job_sync(&job, sync_count, diag);
    int64_t offset_told = flush_end(log, &job, !err_failed(err));
    job_release(&job);
    tell_durable(log, offset_told);
    return err;
}

/* Begins a run of each dirty log, up to max of them; returns how many. */
static uint32_t begin_all(struct store *store, struct flush_job *jobs, uint32_t max,
                          uint64_t *ticket)
{
    uint32_t count = 0;
    struct log *log;
    while (count < max && (log = pop_dirty(&store->flush)) != NULL) {
        struct flush_job *job = &jobs[count];
        os_mutex_lock(&log->lock);
        bool has_begun = log->state != LOG_DELETED && !err_failed(flush_begin(log, job, false));
        os_mutex_unlock(&log->lock);
        if (has_begun) {
            count++;
            *ticket = job->ticket > *ticket ? job->ticket : *ticket;
        } else {
            log_unref(log);
        }
    }
    return count;
}

/* One sync of the whole file system for all dirty logs. */
static struct err flush_file_system(struct store *store, struct flush_job *jobs, uint32_t max,
                                    struct store_flush_result *result, struct diag *diag)
{
    uint64_t ticket = 0;
    uint32_t count = begin_all(store, jobs, max, &ticket);
    struct err err = file_sync_file_system(store->options.files, store->lock_file);
    if (err_failed(err))
        err = store_fail_sync(store, store->dir, err, diag);
    if (!err_failed(err))
        err = store_sync_manifest(store, ticket, diag);
    for (uint32_t i = 0; i < count; i++) {
        int64_t offset_told = flush_end(jobs[i].log, &jobs[i], !err_failed(err));
        tell_durable(jobs[i].log, offset_told);
        log_unref(jobs[i].log);
    }
    result->log_count += count;
    result->sync_count++;
    return err;
}

/* What to do with a log whose run could not begin: for want of descriptors or memory it waits for
 * the next step; a segment that is gone or shorter than it was is damage. */
static void handle_failure(struct log *log, struct err err)
{
    if (err_is(err, ERR_LIMIT) || err_is(err, ERR_NO_MEMORY)) {
        put_off(log);
        return;
    }
    os_mutex_lock(&log->lock);
    log_quarantine(log, "%s: its last segment cannot be opened: %s", log->name, err_text(err));
    os_mutex_unlock(&log->lock);
    store_report(log->store, "%s is quarantined: its last segment cannot be opened: %s", log->name,
                 err_text(err));
    if (log->listener.failed != NULL)
        log->listener.failed(log->listener.context, err_make(ERR_CORRUPT));
}

/* Says that logs wait for descriptors or memory, once until they no longer do. */
static void report_shortage(struct store *store, bool is_short)
{
    struct store_flusher *flusher = &store->flush;
    os_mutex_lock(&flusher->lock);
    bool is_news = is_short && !flusher->has_told_shortage;
    flusher->has_told_shortage = is_short;
    os_mutex_unlock(&flusher->lock);
    if (is_news)
        store_report(store,
                     "%s: out of file descriptors or memory: what was written is not acknowledged "
                     "before there are some (headrace.open.files.max, ulimit -n)",
                     store->dir);
}

/* One sync for each of the logs that are dirty now. */
static struct err flush_one_by_one(struct store *store, uint32_t count,
                                   struct store_flush_result *result, struct diag *diag)
{
    struct err err = ERR_NONE;
    while (count-- > 0 && !err_is(err, ERR_OFFLINE)) {
        struct log *log = pop_dirty(&store->flush);
        if (log == NULL)
            break;
        err = flush_log(log, &result->sync_count, diag);
        if (err_failed(err) && !err_is(err, ERR_AGAIN) && !err_is(err, ERR_OFFLINE))
            handle_failure(log, err);
        log_unref(log);
        result->log_count++;
    }
    return err_is(err, ERR_OFFLINE) ? err : ERR_NONE;
}

/* Carries the manifest to the ticket that somebody waits for, and tells. */
static struct err flush_tickets(struct store *store, struct diag *diag)
{
    struct store_flusher *flusher = &store->flush;
    os_mutex_lock(&flusher->lock);
    uint64_t wanted = flusher->ticket_wanted;
    uint64_t told = flusher->ticket_told;
    os_mutex_unlock(&flusher->lock);
    TRY(store_sync_manifest(store, wanted, diag));
    uint64_t durable = manifest_durable(&store->manifest);
    if (wanted <= told)
        return ERR_NONE;
    os_mutex_lock(&flusher->lock);
    flusher->ticket_told = durable > flusher->ticket_told ? durable : flusher->ticket_told;
    os_mutex_unlock(&flusher->lock);
    if (store->options.events.ticket != NULL)
        store->options.events.ticket(store->options.events.context, durable);
    return ERR_NONE;
}

struct err store_flush_step(struct store *store, struct store_flush_result *result,
                            struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    *result = (struct store_flush_result){0};
    store_tell_offline(store);
    if (store_is_offline(store))
        return diag_fail(diag, ERR_OFFLINE, "%s is offline after a failed sync", store->dir);
    uint32_t count = take_up(&store->flush);
    struct flush_job *jobs = NULL;
    if (count > STORE_SYNCFS_COUNT)
        jobs = malloc(count * sizeof *jobs);
    struct err err = jobs != NULL ? flush_file_system(store, jobs, count, result, diag)
                                  : flush_one_by_one(store, count, result, diag);
    free(jobs);
    TRY(err);
    TRY(flush_tickets(store, diag));
    atomic_fetch_add(&store->counters.flush_count, result->log_count);
    atomic_fetch_add(&store->counters.sync_count, result->sync_count);
    os_mutex_lock(&store->flush.lock);
    result->is_more = store->flush.dirty_count != 0;
    result->is_short = !list_is_empty(&store->flush.put_off);
    os_mutex_unlock(&store->flush.lock);
    report_shortage(store, result->is_short);
    return ERR_NONE;
}
