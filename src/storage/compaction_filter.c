/*
 * compaction_filter: what stays of one batch; C1 to C5 of storage/compaction.h.
 *
 *     marker ---- batches of its transaction met, or its producer's last: whole
 *        |------- none met: whole, with a delete horizon; after that nothing
 *     data ------ aborted: nothing, or its header
 *        |------- at or above the run's end, or cannot be read: whole
 *        |------- else record by record: whole, some of it, its header, or nothing
 */
#include <stdlib.h>

#include "base/check.h"
#include "record/build.h"
#include "storage/compaction.h"

/* One batch on its way through. */
struct filtering {
    struct compaction *run;
    struct span batch;
    const struct batch_header *header;
    int64_t size_max;
    struct buf *out;
    bool is_needed; /* C4 */
};

void compaction_transactions_clear(struct map *producers)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(producers, &position)) != NULL)
        free(entry->value);
    map_deinit(producers);
}

/* Notes that the run has met a batch of the producer's transaction. */
static struct err note_transaction(struct map *producers, int64_t producer_id)
{
    if (map_get(producers, span_make(&producer_id, sizeof producer_id)) != NULL)
        return ERR_NONE;
    int64_t *key = malloc(sizeof *key);
    if (key == NULL)
        return err_make(ERR_NO_MEMORY);
    *key = producer_id;
    struct err err = map_put(producers, span_make(key, sizeof *key), key);
    if (err_failed(err))
        free(key);
    return err;
}

/* Ends the producer's transaction; false where no batch of it was met. */
static bool take_transaction(struct map *producers, int64_t producer_id)
{
    int64_t *key = map_remove(producers, span_make(&producer_id, sizeof producer_id));
    free(key);
    return key != NULL;
}

bool compaction_is_aborted(const struct compaction *run, const struct batch_header *header)
{
    const struct log_listener *listener = &run->log->listener;
    return batch_is_transactional(header) && listener->is_aborted != NULL &&
           listener->is_aborted(listener->context, header);
}

static bool is_needed(const struct compaction *run, const struct batch_header *header)
{
    const struct log_listener *listener = &run->log->listener;
    if (batch_last_offset(header) + 1 == run->below)
        return true;
    return batch_has_producer(header) && listener->is_last_of_producer != NULL &&
           listener->is_last_of_producer(listener->context, header);
}

/* Remembers when what was kept may go. One that is over now was looked at now: it is no reason for
 * another run. */
static void note_horizon(struct compaction *run, int64_t horizon_ms)
{
    if (horizon_ms > run->now_ms && (run->horizon_ms < 0 || horizon_ms < run->horizon_ms))
        run->horizon_ms = horizon_ms;
}

static struct err keep_whole(const struct filtering *filtering)
{
    note_horizon(filtering->run, batch_delete_horizon_ms(filtering->header));
    return buf_append(filtering->out, filtering->batch.data, filtering->batch.size);
}

/* Keeps no record, and the header only where it is needed. */
static struct err keep_none(const struct filtering *filtering)
{
    if (filtering->is_needed && filtering->header->record_count == 0)
        return keep_whole(filtering);
    filtering->run->output.is_changed = true;
    if (!filtering->is_needed)
        return ERR_NONE;
    uint8_t stripped[BATCH_HEADER_SIZE];
    batch_strip(filtering->batch, stripped);
    return buf_append(filtering->out, stripped, sizeof stripped);
}

static struct batch_options options_of(const struct batch_header *header, int64_t horizon_ms)
{
    return (struct batch_options){
        .base_offset = header->base_offset,
        .leader_epoch = header->leader_epoch,
        .codec = batch_codec(header),
        .level = COMPRESSION_LEVEL_DEFAULT,
        .producer_id = header->producer_id,
        .producer_epoch = header->producer_epoch,
        .base_sequence = header->base_sequence,
        .is_transactional = batch_is_transactional(header),
        .is_control = batch_is_control(header),
        .is_log_append_time = (header->attributes & BATCH_LOG_APPEND_TIME) != 0,
        .keeps_offsets = true,
        .last_offset_delta = header->last_offset_delta,
        .has_delete_horizon = horizon_ms >= 0,
        .delete_horizon_ms = horizon_ms,
    };
}

/* Builds the batch of those records that decisions name; all of them where it is NULL. */
static struct err rebuild(const struct filtering *filtering, struct batch_walk *walk,
                          const uint8_t *decisions, int64_t horizon_ms)
{
    const struct batch_options options = options_of(filtering->header, horizon_ms);
    struct batch_builder builder;
    batch_build_begin(&builder, &options, filtering->out);
    for (size_t i = 0;; i++) {
        struct record record;
        bool is_end;
        TRY(batch_walk_next(walk, &record, &is_end));
        if (is_end)
            break;
        if (decisions == NULL || decisions[i] != 0)
            TRY(batch_build_add(&builder, &record));
    }
    struct span built;
    return batch_build_end(&builder, &built, NULL);
}

/* Writes the batch anew; as it was where it would not fit. */
static struct err rewrite(const struct filtering *filtering, struct batch_walk *walk,
                          const uint8_t *decisions, int64_t horizon_ms)
{
    struct buf *out = filtering->out;
    size_t begin = out->size;
    struct err err = rebuild(filtering, walk, decisions, horizon_ms);
    bool is_too_large = !err_failed(err) && (int64_t)(out->size - begin) > filtering->size_max;
    if (err_failed(err) || is_too_large)
        out->size = begin;
    if (err_is(err, ERR_LIMIT) || err_is(err, ERR_RANGE) || is_too_large)
        return keep_whole(filtering);
    TRY(err);
    filtering->run->output.is_changed = true;
    note_horizon(filtering->run, horizon_ms);
    return ERR_NONE;
}

/* The batch's delete horizon, or the one that it gets now. */
static int64_t horizon_of(const struct filtering *filtering)
{
    int64_t horizon_ms = batch_delete_horizon_ms(filtering->header);
    const struct compaction *run = filtering->run;
    if (horizon_ms >= 0)
        return horizon_ms;
    if (__builtin_add_overflow(run->now_ms, run->config.delete_retention_ms, &horizon_ms))
        horizon_ms = INT64_MAX;
    return horizon_ms;
}

static struct err filter_marker(const struct filtering *filtering)
{
    const struct batch_header *header = filtering->header;
    struct compaction *run = filtering->run;
    enum control_kind kind;
    int32_t coordinator_epoch;
    if (err_failed(batch_read_marker(filtering->batch, &kind, &coordinator_epoch)))
        return keep_whole(filtering); /* another kind of control record */
    bool has_batches = take_transaction(&run->producers, header->producer_id);
    int64_t horizon_ms = batch_delete_horizon_ms(header);
    if (has_batches || filtering->is_needed || horizon_ms > run->now_ms)
        return keep_whole(filtering);
    if (horizon_ms >= 0)
        return keep_none(filtering);
    struct batch_walk walk;
    TRY(batch_walk_begin(&walk, filtering->batch, &run->scratch));
    return rewrite(filtering, &walk, NULL, horizon_of(filtering));
}

/* C1 and C3 for one record. */
static bool is_staying(const struct compaction *run, const struct batch_header *header,
                       const struct record *record)
{
    if (record->offset >= run->end)
        return true;
    if (span_is_null(record->key) || offset_map_get(&run->map, record->key) > record->offset)
        return false;
    int64_t horizon_ms = batch_delete_horizon_ms(header);
    return !span_is_null(record->value) || horizon_ms < 0 || run->now_ms < horizon_ms;
}

/* What the records of a batch come to. */
struct census {
    int32_t staying;
    bool has_tombstone; /* among those that stay, below the run's end */
};

static struct err decide(struct compaction *run, struct batch_walk *walk, struct census *census)
{
    buf_clear(&run->decisions);
    TRY(buf_reserve(&run->decisions, (size_t)walk->header.record_count));
    for (;;) {
        struct record record;
        bool is_end;
        TRY(batch_walk_next(walk, &record, &is_end));
        if (is_end)
            return ERR_NONE;
        bool stays = is_staying(run, &walk->header, &record);
        run->decisions.data[run->decisions.size++] = stays;
        census->staying += stays;
        if (stays && span_is_null(record.value) && record.offset < run->end)
            census->has_tombstone = true;
    }
}

static struct err filter_records(const struct filtering *filtering)
{
    const struct batch_header *header = filtering->header;
    struct compaction *run = filtering->run;
    struct batch_walk walk;
    struct census census = {0};
    struct err err = batch_walk_begin(&walk, filtering->batch, &run->scratch);
    struct batch_walk again = walk;
    if (!err_failed(err))
        err = decide(run, &walk, &census);
    if (err_is(err, ERR_NO_MEMORY))
        return err;
    if (err_failed(err)) /* C5 */
        return keep_whole(filtering);
    if (census.staying == 0)
        return keep_none(filtering);
    bool gets_horizon = census.has_tombstone && batch_delete_horizon_ms(header) < 0;
    if (census.staying == header->record_count && !gets_horizon)
        return keep_whole(filtering);
    int64_t horizon_ms = census.has_tombstone ? horizon_of(filtering) : -1;
    return rewrite(filtering, &again, run->decisions.data, horizon_ms);
}

struct err compaction_filter(struct compaction *run, struct span batch,
                             const struct batch_header *header, int64_t size_max, struct buf *out)
{
    const struct filtering filtering = {.run = run,
                                        .batch = batch,
                                        .header = header,
                                        .size_max = size_max,
                                        .out = out,
                                        .is_needed = is_needed(run, header)};
    CHECK(size_max >= (int64_t)batch.size);
    if (batch_is_control(header))
        return filter_marker(&filtering);
    if (batch_is_transactional(header))
        TRY(note_transaction(&run->producers, header->producer_id));
    if (compaction_is_aborted(run, header))
        return keep_none(&filtering);
    if (header->base_offset >= run->end)
        return keep_whole(&filtering);
    return filter_records(&filtering);
}
