/*
 * compaction_model: a log that is compacted, and a model of all that was ever written to it.
 *
 * What the model holds the log to (model_check), whatever was compacted or lost by a crash:
 *  1. What is read is what was written, at its offset; batches follow one another.
 *  2. What is missing is superseded by a later record of its key that was not aborted, or is of an
 *     aborted transaction, or is a tombstone whose time is over.
 *  3. The marker of each transaction with batches is there.
 *  4. Each producer's last batch is there, be it without records.
 *  5. Times are found where a reader of the whole log would find them.
 */
#ifndef HEADRACE_TESTS_SUPPORT_COMPACTION_MODEL_H
#define HEADRACE_TESTS_SUPPORT_COMPACTION_MODEL_H

#include "support/store_fixture.h"

#define MODEL_END_MAX 2000
#define MODEL_PRODUCER_COUNT 4 /* the last two write in transactions alone */
#define MODEL_DELETE_RETENTION_MS 100000
#define MODEL_EPOCH_COUNT 8 /* one more than a test has crashes */

enum model_kind { MODEL_DATA, MODEL_COMMIT, MODEL_ABORT };

struct model_record {
    enum model_kind kind;
    int key;      /* -1: none */
    int producer; /* -1: none */
    bool is_tombstone;
    bool is_aborted;
    int64_t timestamp;
    int64_t batch_end; /* behind the last offset of its batch */
};

struct model_producer {
    int64_t open_from;  /* of its open transaction; -1: none */
    int64_t last_batch; /* last offset of its last data batch; -1: none */
    int32_t sequence;
};

struct model {
    struct fixture base;
    struct log_setup setup;
    struct log *log;
    struct model_record records[MODEL_END_MAX + 16];
    struct model_record written[MODEL_EPOCH_COUNT][MODEL_END_MAX + 16]; /* by leader epoch */
    int64_t end;
    struct model_producer producers[MODEL_PRODUCER_COUNT];
    struct model_producer durable[MODEL_PRODUCER_COUNT]; /* the same, by what was durable */
    int64_t durable_below;                               /* this offset */
    uint64_t random;
    uint32_t key_count;
    int64_t told_compacted;
};

static inline uint32_t model_draw(struct model *model, uint32_t below)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (uint32_t)((model->random >> 33) % below);
}

static inline void model_forget(struct model_producer producers[MODEL_PRODUCER_COUNT])
{
    for (int i = 0; i < MODEL_PRODUCER_COUNT; i++)
        producers[i] = (struct model_producer){.open_from = -1, .last_batch = -1};
}

/* What the records from one offset to another add to what is known of producers. */
static inline void model_learn(const struct model *model, int64_t from, int64_t below,
                               struct model_producer producers[MODEL_PRODUCER_COUNT])
{
    for (int64_t offset = from; offset < below; offset++) {
        const struct model_record *record = &model->records[offset];
        if (record->producer < 0)
            continue;
        struct model_producer *producer = &producers[record->producer];
        if (record->kind != MODEL_DATA) {
            producer->open_from = -1;
            continue;
        }
        producer->last_batch = record->batch_end - 1;
        producer->sequence++;
        if (record->producer >= 2 && producer->open_from < 0)
            producer->open_from = offset;
    }
}

/* Learns up to what is durable now; returns that. */
static inline int64_t model_learn_durable(struct model *model)
{
    int64_t durable = log_durable_offset(model->log);
    model_learn(model, model->durable_below, durable, model->durable);
    model->durable_below = durable;
    return durable;
}

/* Where the first transaction begins that no durable marker decides. */
static inline int64_t model_stable(void *context)
{
    struct model *model = context;
    int64_t stable = model_learn_durable(model);
    for (int i = 0; i < MODEL_PRODUCER_COUNT; i++) {
        int64_t from = model->durable[i].open_from;
        stable = from >= 0 && from < stable ? from : stable;
    }
    return stable;
}

static inline bool model_is_aborted(void *context, const struct batch_header *header)
{
    const struct model *model = context;
    return model->records[header->base_offset].is_aborted;
}

static inline bool model_is_last(void *context, const struct batch_header *header)
{
    struct model *model = context;
    (void)model_learn_durable(model);
    return model->durable[header->producer_id].last_batch == batch_last_offset(header);
}

static inline void model_compacted(void *context, int64_t offset)
{
    ((struct model *)context)->told_compacted = offset;
}

/* Takes in the records from one offset to another: a marker decides those before it. */
static inline void model_take(struct model *model, int64_t from, int64_t below)
{
    for (int64_t offset = from; offset < below; offset++) {
        const struct model_record *record = &model->records[offset];
        if (record->kind == MODEL_ABORT) {
            int64_t begin = model->producers[record->producer].open_from;
            for (int64_t i = begin < 0 ? offset : begin; i < offset; i++)
                model->records[i].is_aborted =
                    model->records[i].is_aborted || model->records[i].producer == record->producer;
        }
        model_learn(model, offset, offset + 1, model->producers);
    }
}

/* All of that anew, where the log has become another. */
static inline void model_recompute(struct model *model)
{
    model->durable_below = 0;
    model_forget(model->durable);
    model_forget(model->producers);
    model_take(model, 0, model->end);
}

/* Takes for the log what recovery has found. What an earlier life wrote and never saw synced may be
 * found where a later one began a file of the same name and never saw it synced either. */
static inline void model_open(struct model *model)
{
    model->log = fixture_log_with(&model->base, &model->setup);
    model->end = log_end_offset(model->log);
    for (int64_t offset = 0; offset < model->end; offset++) {
        int32_t epoch = log_epoch_at(model->log, offset);
        assert_true(epoch >= 0 && epoch < MODEL_EPOCH_COUNT);
        model->records[offset] = model->written[epoch][offset];
        assert_true(model->records[offset].batch_end > offset);
    }
    model_recompute(model);
}

static inline void model_init(struct model *model, uint64_t seed)
{
    memset(model, 0, sizeof *model);
    model->random = seed * 0x9e3779b97f4a7c15u + 1;
    model->key_count = 10;
    fixture_init(&model->base, seed);
    model->base.options.compaction.interval_ms = 0; /* looks in each step */
    fixture_open(&model->base);
    model->setup = fixture_setup(0);
    model->setup.config.segment_size = 2000;
    model->setup.config.index_interval_size = 200;
    model->setup.config.is_deleted = false;
    model->setup.config.is_compacted = true;
    model->setup.config.dirty_ratio_min = 0;
    model->setup.config.delete_retention_ms = MODEL_DELETE_RETENTION_MS;
    model->setup.listener = (struct log_listener){.context = model,
                                                  .stable = model_stable,
                                                  .is_aborted = model_is_aborted,
                                                  .is_last_of_producer = model_is_last,
                                                  .compacted = model_compacted};
    model_open(model);
}

static inline void model_close(struct model *model)
{
    log_unref(model->log);
    fixture_close(&model->base);
    fixture_deinit(&model->base);
}

static inline struct span model_key(int key, char text[16])
{
    (void)snprintf(text, 16, "key-%d", key);
    return span_text(text);
}

/* Appends what was built; *err as log_append's. The model knows it only where it was. */
static inline struct err model_append_built(struct model *model, const struct model_record *records,
                                            struct span batch, const struct batch_header *header)
{
    int64_t count = header->last_offset_delta + 1;
    int32_t epoch = store_leader_epoch(model->base.store);
    assert_true(epoch < MODEL_EPOCH_COUNT);
    struct err err = log_append(model->log, batch, header, &model->base.diag);
    if (err_failed(err))
        return err;
    for (int64_t i = 0; i < count; i++) {
        struct model_record *record = &model->records[model->end + i];
        *record = records[i];
        record->batch_end = model->end + count;
        model->written[epoch][model->end + i] = *record;
    }
    model->end += count;
    model_take(model, model->end - count, model->end);
    return ERR_NONE;
}

static inline struct batch_options model_options(const struct model *model, int producer)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = model->end;
    options.leader_epoch = store_leader_epoch(model->base.store);
    if (producer < 0)
        return options;
    options.producer_id = producer;
    options.producer_epoch = 0;
    options.is_transactional = producer >= 2;
    return options;
}

/* A batch of the keys, by the producer; a negative key -k - 1 is a tombstone of k. */
static inline struct err model_try_append(struct model *model, int producer, const int *keys,
                                          int count, enum compression codec)
{
    struct buf buf;
    struct batch_builder builder;
    struct batch_options options = model_options(model, producer);
    struct model_record records[16];
    options.codec = codec;
    if (producer >= 0)
        options.base_sequence = model->producers[producer].sequence;
    buf_init(&buf, 1 << 20);
    fail_alloc_pause();
    batch_build_begin(&builder, &options, &buf);
    for (int i = 0; i < count; i++) {
        char text[16];
        uint8_t value[64] = {0};
        int64_t offset = model->end + i;
        records[i] = (struct model_record){.key = keys[i] < 0 ? -keys[i] - 1 : keys[i],
                                           .producer = producer,
                                           .is_tombstone = keys[i] < 0,
                                           .timestamp = model->base.time.now_ms + i % 3};
        memcpy(value, &offset, sizeof offset);
        const struct record record = {.timestamp = records[i].timestamp,
                                      .key = model_key(records[i].key, text),
                                      .value = records[i].is_tombstone
                                                   ? SPAN_NULL
                                                   : span_make(value, 8 + (size_t)(offset % 50))};
        assert_ok(batch_build_add(&builder, &record));
    }
    struct span batch;
    struct batch_header header;
    assert_ok(batch_build_end(&builder, &batch, &header));
    fail_alloc_resume();
    struct err err = model_append_built(model, records, batch, &header);
    buf_deinit(&buf);
    return err;
}

static inline void model_append(struct model *model, int producer, const int *keys, int count)
{
    assert_ok(model_try_append(model, producer, keys, count, COMPRESSION_NONE));
}

static inline void model_append_key(struct model *model, int key)
{
    model_append(model, -1, &key, 1);
}

static inline struct err model_try_mark(struct model *model, int producer, bool is_commit)
{
    struct buf buf;
    struct span batch;
    struct batch_header header;
    struct batch_options options = model_options(model, producer);
    buf_init(&buf, 1000);
    fail_alloc_pause();
    assert_ok(batch_build_marker(&options, is_commit ? CONTROL_COMMIT : CONTROL_ABORT, 0,
                                 model->base.time.now_ms, &buf, &batch));
    fail_alloc_resume();
    assert_int_equal(batch_parse(batch, &header), BATCH_FINE);
    const struct model_record record = {.kind = is_commit ? MODEL_COMMIT : MODEL_ABORT,
                                        .key = -1,
                                        .producer = producer,
                                        .timestamp = model->base.time.now_ms};
    struct err err = model_append_built(model, &record, batch, &header);
    buf_deinit(&buf);
    return err;
}

static inline void model_mark(struct model *model, int producer, bool is_commit)
{
    assert_ok(model_try_mark(model, producer, is_commit));
}

/* Goes on in a new segment, flushed, and does all background work. */
static inline void model_compact(struct model *model)
{
    fixture_flush(&model->base);
    model->base.time.now_ms += 1; /* the next look */
    fixture_work(&model->base);
}

/* What a reader of the whole log finds. */
struct model_found {
    bool has_record[MODEL_END_MAX + 16];
    bool has_batch[MODEL_END_MAX + 16]; /* at its last offset */
    int64_t record_count;
    int64_t horizon_ms; /* of the last batch that has one; -1: none */
};

static inline void model_find_record(const struct model *model, const struct record *record,
                                     bool is_control, struct model_found *found)
{
    const struct model_record *wanted = &model->records[record->offset];
    char text[16];
    found->has_record[record->offset] = true;
    found->record_count++;
    assert_int_equal(is_control, wanted->kind != MODEL_DATA);
    assert_int_equal(record->timestamp, wanted->timestamp);
    if (is_control)
        return;
    assert_true(span_equal(record->key, model_key(wanted->key, text)));
    assert_int_equal(span_is_null(record->value), wanted->is_tombstone);
    if (!wanted->is_tombstone)
        assert_memory_equal(record->value.data, &record->offset, sizeof record->offset);
}

/* Reads the batches of a slice; returns the offset behind them. */
static inline int64_t model_find_batches(const struct model *model, struct span bytes,
                                         int64_t offset, struct buf *scratch,
                                         struct model_found *found)
{
    while (bytes.size != 0) {
        struct batch_header header;
        struct batch_walk walk;
        struct record record;
        bool is_end = false;
        assert_int_equal(batch_check_stored(bytes, &header), BATCH_FINE);
        assert_true(batch_last_offset(&header) >= offset);
        assert_int_equal(model->records[header.base_offset].batch_end,
                         batch_last_offset(&header) + 1);
        if (batch_delete_horizon_ms(&header) >= 0)
            found->horizon_ms = batch_delete_horizon_ms(&header);
        found->has_batch[batch_last_offset(&header)] = true;
        assert_ok(batch_walk_begin(&walk, bytes, scratch));
        while (!is_end) {
            assert_ok(batch_walk_next(&walk, &record, &is_end));
            if (!is_end)
                model_find_record(model, &record, batch_is_control(&header), found);
        }
        offset = batch_last_offset(&header) + 1;
        bytes = span_make(bytes.data + header.size, bytes.size - header.size);
    }
    return offset;
}

static inline void model_find_all(const struct model *model, struct model_found *found)
{
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    memset(found, 0, sizeof *found);
    found->horizon_ms = -1;
    int64_t offset = log_start_offset(model->log);
    while (offset < model->end) {
        const struct log_read read = {
            .offset = offset, .offset_below = model->end, .size_max = 1500, .is_one_needed = true};
        struct log_slice slice;
        struct diag diag = {""};
        struct err err = log_read(model->log, &read, &slice, &diag);
        if (err_failed(err))
            fail_msg("%s: %s", err_text(err), diag.text);
        assert_true(slice.size != 0); /* the active segment's last batch is never touched */
        uint8_t *bytes = malloc(slice.size);
        assert_ok(slice_read(&slice, 0, bytes, slice.size));
        offset = model_find_batches(model, span_make(bytes, slice.size), offset, &scratch, found);
        free(bytes);
        slice_unref(&slice);
    }
    buf_deinit(&scratch);
}

/* Whether a record may be missing. */
static inline bool model_may_go(const struct model *model, int64_t offset)
{
    const struct model_record *record = &model->records[offset];
    if (record->kind != MODEL_DATA)
        return true; /* model_check_markers */
    if (record->is_aborted)
        return true;
    if (record->is_tombstone &&
        record->timestamp + MODEL_DELETE_RETENTION_MS <= model->base.time.now_ms)
        return true;
    int64_t stable = model_stable((void *)(uintptr_t)model);
    for (int64_t i = offset + 1; i < stable; i++) {
        const struct model_record *later = &model->records[i];
        if (later->kind == MODEL_DATA && !later->is_aborted && later->key == record->key)
            return true;
    }
    return false;
}

/* The transaction of each batch that is there, be it without records, has its marker: a replay
 * would take it for undecided. */
static inline void model_check_markers(const struct model *model, const struct model_found *found)
{
    for (int64_t offset = 0; offset < model->end; offset++) {
        const struct model_record *record = &model->records[offset];
        if (!found->has_batch[record->batch_end - 1] || record->kind != MODEL_DATA ||
            record->producer < 2)
            continue;
        int64_t marker = offset + 1;
        while (marker < model->end && (model->records[marker].kind == MODEL_DATA ||
                                       model->records[marker].producer != record->producer))
            marker++;
        assert_true(marker == model->end || found->has_record[marker]);
    }
}

static inline void model_check_times(const struct model *model, const struct model_found *found)
{
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    int64_t start = log_start_offset(model->log);
    for (int64_t asked = start; asked < model->end; asked += 7) {
        int64_t timestamp = model->records[asked].timestamp;
        int64_t wanted = -1;
        for (int64_t i = start; i < model->end && wanted < 0; i++) {
            if (found->has_record[i] && model->records[i].timestamp >= timestamp)
                wanted = i;
        }
        struct log_time time = {.offset = -1};
        struct err err = log_find_time(model->log, timestamp, &scratch, &time, NULL);
        assert_true(wanted < 0 ? err_is(err, ERR_NOT_FOUND) : !err_failed(err));
        assert_int_equal(time.offset, wanted);
    }
    buf_deinit(&scratch);
}

static inline void model_check(const struct model *model)
{
    struct model_found *found = malloc(sizeof *found);
    assert_non_null(found);
    model_find_all(model, found);
    for (int64_t i = log_start_offset(model->log); i < model->end; i++) {
        if (!found->has_record[i] && !model_may_go(model, i))
            fail_msg("offset %lld is missing", (long long)i);
    }
    for (int i = 0; i < MODEL_PRODUCER_COUNT; i++) {
        int64_t last = model->producers[i].last_batch;
        assert_true(last < log_start_offset(model->log) || found->has_batch[last]);
    }
    model_check_markers(model, found);
    model_check_times(model, found);
    free(found);
}

#endif
