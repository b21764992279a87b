/*
 * compaction: which log is compacted next, and a run piece by piece.
 *
 *     IDLE --a look at all logs finds one--> MAP --read to the end, or full--> COPY --> IDLE
 *       ^                                     |                                 |
 *       +---- the log is deleted, damaged, cut; the disk fails: given up <------+
 *
 * A log is due when the share of its bytes that are dirty passes min.cleanable.dirty.ratio, when
 * the oldest dirty one is older than max.compaction.lag.ms, or when the time of tombstones that an
 * earlier run has kept is over. The dirtiest comes first.
 */
#include "storage/compaction.h"

#include <stdlib.h>

#include "base/check.h"

/* What of a log may be compacted, and how much of that needs it. */
struct dirt {
    uint32_t count; /* segments, from the first on */
    int64_t clean_size;
    int64_t dirty_size;
    int64_t oldest_ms; /* of the dirty part; -1: nothing dirty, or no timestamp */
};

struct compactor *compactor_create(void)
{
    struct compactor *compactor = calloc(1, sizeof *compactor);
    if (compactor == NULL)
        return NULL;
    struct compaction *run = &compactor->run;
    compactor->next = UINT32_MAX;
    run->output.file = OS_FILE_NONE;
    buf_init(&run->output.buffer, 2 * COMPACTION_BATCH_SIZE_MAX);
    buf_init(&run->scratch, COMPACTION_BATCH_SIZE_MAX);
    buf_init(&run->decisions, INT32_MAX);
    return compactor;
}

void compactor_destroy(struct compactor *compactor)
{
    if (compactor == NULL)
        return;
    CHECK(compactor->run.phase == COMPACTION_IDLE && compactor->best == NULL);
    free(compactor);
}

/* Below it all is durable and decided; 0 for logs that are not compacted. Without locks. */
static int64_t stable_offset(struct log *log)
{
    os_mutex_lock(&log->lock);
    const struct log_listener listener = log->listener;
    int64_t stable = log->config.is_compacted ? log->bounds.durable : 0;
    os_mutex_unlock(&log->lock);
    int64_t decided =
        stable > 0 && listener.stable != NULL ? listener.stable(listener.context) : stable;
    return decided < stable ? decided : stable;
}

/* Whether the dirty segment is too young yet. */
static bool is_young(const struct log *log, const struct segment *segment, int64_t now_ms)
{
    int64_t latest_ms =
        segment->facts.max_timestamp >= 0 ? segment->facts.max_timestamp : segment->opened_ms;
    return log->config.compaction_lag_ms_min > 0 &&
           latest_ms > now_ms - log->config.compaction_lag_ms_min;
}

static struct dirt measure(const struct log *log, int64_t stable, int64_t now_ms)
{
    struct dirt dirt = {.oldest_ms = -1};
    int64_t checkpoint = log->checkpoint.facts.base_offset;
    int64_t limit = checkpoint < stable ? checkpoint : stable;
    if (log->state != LOG_OPEN || log->damage != NULL || !log->config.is_compacted ||
        !log->checkpoint.exists || now_ms < log->compaction.retry_ms)
        return dirt;
    for (uint32_t i = 0; i < log->segments.count; i++) {
        const struct segment *segment = log->segments.items[i];
        bool is_clean = segment->facts.next_offset <= log->compaction.offset;
        if (segment->state != SEGMENT_SEALED || segment->facts.next_offset > limit ||
            (!is_clean && is_young(log, segment, now_ms)))
            break;
        if (!is_clean && dirt.dirty_size == 0)
            dirt.oldest_ms = segment->facts.first_timestamp;
        *(is_clean ? &dirt.clean_size : &dirt.dirty_size) += segment->facts.size;
        dirt.count++;
    }
    return dirt;
}

/* How urgent a run is; 0: not due. */
static double urgency_of(const struct log *log, const struct dirt *dirt, int64_t now_ms)
{
    const struct log_config *config = &log->config;
    int64_t horizon_ms = log->compaction.horizon_ms;
    double ratio = 0;
    if (dirt->dirty_size > 0)
        ratio = (double)dirt->dirty_size / (double)(dirt->clean_size + dirt->dirty_size);
    bool is_late = dirt->oldest_ms >= 0 && dirt->oldest_ms < now_ms &&
                   now_ms - dirt->oldest_ms > config->compaction_lag_ms_max && dirt->dirty_size > 0;
    bool is_over = dirt->clean_size > 0 && horizon_ms >= 0 && horizon_ms <= now_ms;
    if (is_late || is_over)
        return 1 + ratio;
    return ratio > config->dirty_ratio_min ? ratio : 0;
}

/* Looks at one log of a round; keeps it where it is the most urgent so far. */
static void look_at(struct compactor *compactor, struct log *log, int64_t now_ms)
{
    int64_t stable = stable_offset(log);
    os_mutex_lock(&log->lock);
    const struct dirt dirt = measure(log, stable, now_ms);
    double urgency = urgency_of(log, &dirt, now_ms);
    os_mutex_unlock(&log->lock);
    if (urgency <= compactor->best_urgency)
        return;
    log_ref(log);
    log_unref(compactor->best);
    compactor->best = log;
    compactor->best_urgency = urgency;
}

/* Takes the log's segments into the run. Locked. */
static struct err take_segments(struct compaction *run, const struct dirt *dirt)
{
    struct log *log = run->log;
    struct compaction_input *input = &run->input;
    input->segments = calloc(dirt->count, sizeof(struct segment *));
    if (input->segments == NULL)
        return err_make(ERR_NO_MEMORY);
    for (uint32_t i = 0; i < dirt->count; i++) {
        input->segments[i] = log->segments.items[i];
        segment_ref(input->segments[i]);
        if (input->segments[i]->facts.next_offset <= log->compaction.offset)
            input->at = i + 1;
    }
    input->count = dirt->count;
    return ERR_NONE;
}

/* Takes over the reference to the log. */
static struct err begin_run(struct store *store, struct log *log, int64_t now_ms)
{
    struct compaction *run = &store->compactor->run;
    CHECK(run->phase == COMPACTION_IDLE);
    run->phase = COMPACTION_MAP;
    run->log = log;
    run->now_ms = now_ms;
    run->horizon_ms = -1;
    run->input = (struct compaction_input){0};
    map_init(&run->producers, random_u64(store->options.random));
    int64_t stable = stable_offset(log);
    os_mutex_lock(&log->lock);
    const struct dirt dirt = measure(log, stable, now_ms);
    run->config = log->config;
    run->cut_count = log->cut_count;
    struct err err = dirt.count == 0 ? err_make(ERR_AGAIN) : take_segments(run, &dirt);
    if (!err_failed(err)) {
        int64_t base = run->input.segments[0]->facts.base_offset;
        int64_t end = run->input.segments[dirt.count - 1]->facts.next_offset;
        run->dirty_from = log->compaction.offset > base ? log->compaction.offset : base;
        run->end = end > run->dirty_from ? end : run->dirty_from;
    }
    os_mutex_unlock(&log->lock);
    TRY(err);
    const uint64_t seeds[2] = {random_u64(store->options.random),
                               random_u64(store->options.random)};
    const struct compaction_options *options = &store->options.compaction;
    return offset_map_init(&run->map, (uint64_t)options->map_size, options->map_load, seeds);
}

static void release_segments(struct compaction *run, uint32_t keep)
{
    os_mutex_lock(&run->log->lock);
    while (run->input.count > keep)
        segment_unref(run->log, run->input.segments[--run->input.count]);
    os_mutex_unlock(&run->log->lock);
}

/* Ends the run, whatever it has come to. */
static void end_run(struct compactor *compactor, bool removes_files)
{
    struct compaction *run = &compactor->run;
    if (run->phase == COMPACTION_IDLE)
        return;
    compaction_output_abandon(run, removes_files);
    compaction_seek(run, 0);
    release_segments(run, 0);
    free(run->input.segments);
    run->input = (struct compaction_input){0};
    offset_map_deinit(&run->map);
    compaction_transactions_clear(&run->producers);
    buf_deinit(&run->output.buffer);
    buf_deinit(&run->scratch);
    buf_deinit(&run->decisions);
    struct log *log = run->log;
    run->log = NULL;
    run->phase = COMPACTION_IDLE;
    log_unref(log);
}

/* MAP -> COPY: what begins behind the map's end is left alone. */
static void end_map(struct compaction *run)
{
    uint32_t count = run->input.count;
    while (count > 1 && run->input.segments[count - 1]->facts.base_offset >= run->end)
        count--;
    release_segments(run, count);
    run->below = run->input.segments[count - 1]->facts.next_offset;
    run->phase = COMPACTION_COPY;
    compaction_seek(run, 0);
}

/* COPY -> IDLE: the log is compacted up to the run's end. */
static struct err finish_run(struct compactor *compactor)
{
    struct compaction *run = &compactor->run;
    struct log *log = run->log;
    const struct manifest_entry entry = {.kind = MANIFEST_COMPACTED,
                                         .id = log->id,
                                         .offset = run->end,
                                         .horizon_ms = run->horizon_ms};
    os_mutex_lock(&log->lock);
    struct err err = err_make(ERR_AGAIN);
    if (log->state == LOG_OPEN && log->cut_count == run->cut_count)
        err = manifest_append(&log->store->manifest, &entry, NULL);
    if (!err_failed(err)) {
        log->compaction.offset = run->end;
        log->compaction.horizon_ms = run->horizon_ms;
    }
    os_mutex_unlock(&log->lock);
    TRY(err);
    if (log->listener.compacted != NULL)
        log->listener.compacted(log->listener.context, run->below);
    atomic_fetch_add(&log->store->counters.compaction_count, 1);
    compactor->due_ms = 0; /* others may be due, too */
    end_run(compactor, true);
    return ERR_NONE;
}

/* Reads about a piece of the dirty part. */
static struct err step_map(struct compaction *run, int64_t *size, struct diag *diag)
{
    while (*size < COMPACTION_PIECE_SIZE) {
        struct span batch;
        struct batch_header header;
        bool is_end = false;
        bool is_full = false;
        if (run->input.at == run->input.count) {
            end_map(run);
            return ERR_NONE;
        }
        TRY(compaction_read(run, &batch, &header, &is_end, diag));
        if (is_end) {
            compaction_seek(run, run->input.at + 1);
            continue;
        }
        *size += (int64_t)batch.size;
        TRY(compaction_map_batch(run, batch, &header, &is_full));
        if (is_full) {
            end_map(run);
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

/* Goes on to the next segment; behind the last of an output's, that takes its place. */
static struct err next_segment(struct compaction *run, struct diag *diag)
{
    compaction_seek(run, run->input.at + 1);
    return compaction_output_extend(run) ? ERR_NONE : compaction_output_end(run, diag);
}

/* Reads about a piece of all that is to be compacted, and writes what stays of it. */
static struct err step_copy(struct compactor *compactor, int64_t *size, struct diag *diag)
{
    struct compaction *run = &compactor->run;
    while (*size < COMPACTION_PIECE_SIZE) {
        struct span batch;
        struct batch_header header;
        bool is_end = false;
        int64_t written = 0;
        if (run->output.segment == NULL && run->input.at == run->input.count)
            return finish_run(compactor);
        if (run->output.segment == NULL)
            TRY(compaction_output_begin(run, run->input.at, diag));
        TRY(compaction_read(run, &batch, &header, &is_end, diag));
        if (is_end) {
            *size += BACKGROUND_PIECE_SIZE;
            TRY(next_segment(run, diag));
            continue;
        }
        TRY(compaction_output_add(run, batch, &header, &written));
        *size += (int64_t)batch.size + written;
        atomic_fetch_add(&run->log->store->counters.compaction_write_size,
                         (unsigned long long)written);
    }
    return ERR_NONE;
}

/* Whether it makes sense to go on. */
static bool is_alive(struct compaction *run)
{
    struct log *log = run->log;
    os_mutex_lock(&log->lock);
    bool is_alive = log->state == LOG_OPEN && log->damage == NULL && log->config.is_compacted &&
                    log->cut_count == run->cut_count;
    os_mutex_unlock(&log->lock);
    return is_alive;
}

/* Gives the run up; what is not the log's own doing is said, and the log left alone for a while. */
static void give_up(struct compactor *compactor, struct err err, const struct diag *diag)
{
    struct compaction *run = &compactor->run;
    struct log *log = run->log;
    bool is_told = !err_is(err, ERR_AGAIN) && !err_is(err, ERR_CLOSED) && !err_is(err, ERR_OFFLINE);
    if (is_told) {
        os_mutex_lock(&log->lock);
        log->compaction.retry_ms = run->now_ms + COMPACTION_RETRY_MS;
        os_mutex_unlock(&log->lock);
        store_report(log->store, "%s is not compacted: %s", log->name,
                     diag->text[0] != '\0' ? diag->text : err_text(err));
    }
    end_run(compactor, !err_is(err, ERR_OFFLINE));
}

static struct err step_run(struct store *store, int64_t *size, struct diag *diag)
{
    struct compactor *compactor = store->compactor;
    struct compaction *run = &compactor->run;
    *size = 0;
    struct err err = err_make(ERR_AGAIN);
    if (is_alive(run))
        err = run->phase == COMPACTION_MAP ? step_map(run, size, diag)
                                           : step_copy(compactor, size, diag);
    if (err_failed(err))
        give_up(compactor, err, diag);
    return err_is(err, ERR_OFFLINE) ? err : ERR_NONE;
}

/* Looks at one log more; behind the last, the most urgent one's run begins. False where no look is
 * due. */
static bool step_look(struct store *store, int64_t now_ms, struct diag *diag)
{
    struct compactor *compactor = store->compactor;
    if (compactor->next == UINT32_MAX) {
        if (now_ms < compactor->due_ms)
            return false;
        compactor->next = 0;
        int64_t interval_ms = store->options.compaction.interval_ms;
        compactor->due_ms = now_ms + (interval_ms > 0 ? interval_ms : 1); /* once in a step */
    }
    struct log *log = names_at(store, compactor->next);
    if (log != NULL) {
        compactor->next++;
        look_at(compactor, log, now_ms);
        log_unref(log);
        return true;
    }
    compactor->next = UINT32_MAX;
    struct log *best = compactor->best;
    compactor->best = NULL;
    compactor->best_urgency = 0;
    if (best == NULL)
        return true;
    struct err err = begin_run(store, best, now_ms);
    if (err_failed(err))
        give_up(compactor, err, diag);
    return true;
}

bool compaction_step(struct store *store, int64_t now_ms, int64_t *size, struct err *err,
                     struct diag *diag)
{
    struct compactor *compactor = store->compactor;
    if (store->options.compaction.is_off)
        return false;
    *size = BACKGROUND_LOOK_SIZE;
    if (compactor->run.phase == COMPACTION_IDLE)
        return step_look(store, now_ms, diag);
    if (now_ms < compactor->paused_ms)
        return false;
    *err = step_run(store, size, diag);
    double pause_ms = 1000 * (double)*size / store->options.compaction.rate_max;
    compactor->paused_ms = now_ms + (pause_ms < INT32_MAX ? (int64_t)pause_ms : INT32_MAX);
    return true;
}

int64_t compaction_due_ms(const struct store *store)
{
    const struct compactor *compactor = store->compactor;
    if (store->options.compaction.is_off)
        return INT64_MAX;
    return compactor->run.phase == COMPACTION_IDLE ? compactor->due_ms : compactor->paused_ms;
}

void compaction_abandon(struct store *store, bool removes_files)
{
    struct compactor *compactor = store->compactor;
    if (compactor == NULL)
        return;
    end_run(compactor, removes_files);
    log_unref(compactor->best);
    compactor->best = NULL;
    compactor->best_urgency = 0;
    compactor->next = UINT32_MAX;
}
