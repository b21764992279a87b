/* internal_log: batches built in memory; replay in pieces of REPLAY_READ_SIZE. */
#include "broker/internal_log.h"

#include "base/check.h"
#include "base/limits.h"
#include "record/walk.h"

/* Bytes read from the disk at a time while replaying. */
#define REPLAY_READ_SIZE (1024 * 1024)

static void init(struct internal_batch *batch, int64_t timestamp_ms,
                 const struct batch_options *options)
{
    *batch = (struct internal_batch){.timestamp_ms = timestamp_ms};
    buf_init(&batch->bytes, INTERNAL_BATCH_SIZE_MAX);
    batch_build_begin(&batch->builder, options, &batch->bytes);
}

void internal_batch_init(struct internal_batch *batch, int64_t timestamp_ms)
{
    const struct batch_options options = BATCH_OPTIONS_DEFAULT;
    init(batch, timestamp_ms, &options);
}

void internal_batch_init_transactional(struct internal_batch *batch, int64_t timestamp_ms,
                                       int64_t producer_id, int16_t producer_epoch)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = producer_id;
    options.producer_epoch = producer_epoch;
    options.is_transactional = true;
    init(batch, timestamp_ms, &options);
}

void internal_batch_deinit(struct internal_batch *batch)
{
    buf_deinit(&batch->bytes);
}

struct err internal_batch_add(struct internal_batch *batch, struct span key, struct span value)
{
    struct record record = {.timestamp = batch->timestamp_ms, .key = key, .value = value};
    TRY(batch_build_add(&batch->builder, &record));
    batch->record_count++;
    return ERR_NONE;
}

void internal_batch_append_transactional(struct internal_batch *batch, struct partition *partition,
                                         const struct append_guard *guard,
                                         struct append_result *result)
{
    CHECK(batch->record_count > 0);
    struct span bytes;
    struct batch_header header;
    *result = (struct append_result){.verdict = APPEND_FAILED};
    result->err = batch_build_end(&batch->builder, &bytes, &header);
    if (!err_failed(result->err))
        partition_append(partition, span_writable(bytes), &header, guard, result, NULL);
}

struct err internal_batch_append(struct internal_batch *batch, struct partition *partition,
                                 int64_t *end_offset, struct diag *diag)
{
    CHECK(batch->record_count > 0);
    struct span bytes;
    struct batch_header header;
    struct append_result result;
    TRY(batch_build_end(&batch->builder, &bytes, &header));
    partition_append(partition, span_writable(bytes), &header, NULL, &result, diag);
    if (result.verdict == APPEND_FAILED)
        return result.err;
    CHECK(result.verdict == APPEND_DONE); /* without a producer there is nothing to judge */
    *end_offset = result.end_offset;
    return ERR_NONE;
}

struct replay {
    struct partition *partition;
    const struct internal_visitor *visitor;
    int64_t offset; /* of the next batch */
    struct buf bytes;
    struct buf scratch;
};

static struct err replay_marker(const struct replay *replay, const struct batch_header *header,
                                struct span batch)
{
    const struct internal_visitor *visitor = replay->visitor;
    enum control_kind kind;
    int32_t coordinator_epoch;
    if (visitor->marker == NULL)
        return ERR_NONE;
    TRY(batch_read_marker(batch, &kind, &coordinator_epoch));
    return visitor->marker(visitor->context, header, kind == CONTROL_COMMIT);
}

static struct err replay_batch(struct replay *replay, struct span batch)
{
    const struct internal_visitor *visitor = replay->visitor;
    struct batch_walk walk;
    TRY(batch_walk_begin(&walk, batch, &replay->scratch));
    if (batch_is_control(&walk.header))
        return replay_marker(replay, &walk.header, batch);
    for (;;) {
        struct record record;
        bool is_end;
        TRY(batch_walk_next(&walk, &record, &is_end));
        if (is_end)
            return ERR_NONE;
        TRY(visitor->record(visitor->context, &walk.header, &record));
    }
}

/* Visits the whole batches in the bytes read; the rest is read again. */
static struct err replay_bytes(struct replay *replay)
{
    struct span rest = buf_span(&replay->bytes);
    bool is_any = false;
    for (;;) {
        struct batch_header header;
        if (batch_parse(rest, &header) != BATCH_FINE || header.size > rest.size)
            break;
        TRY(replay_batch(replay, span_make(rest.data, header.size)));
        replay->offset = batch_last_offset(&header) + 1;
        rest = span_make(rest.data + header.size, rest.size - header.size);
        is_any = true;
    }
    return is_any ? ERR_NONE : err_make(ERR_CORRUPT);
}

static struct err replay_all(struct replay *replay, int64_t end, struct diag *diag)
{
    struct log *log = replay->partition->log;
    while (replay->offset < end) {
        struct log_read read = {.offset = replay->offset,
                                .offset_below = end,
                                .size_max = REPLAY_READ_SIZE,
                                .is_one_needed = true};
        struct log_slice slice;
        TRY(log_read(log, &read, &slice, diag));
        buf_clear(&replay->bytes);
        struct err err =
            slice.size == 0 ? err_make(ERR_CORRUPT) : buf_reserve(&replay->bytes, slice.size);
        if (!err_failed(err))
            err = slice_read(&slice, 0, replay->bytes.data, slice.size);
        if (!err_failed(err))
            replay->bytes.size = slice.size;
        slice_unref(&slice);
        TRY(err);
        TRY(replay_bytes(replay));
    }
    return ERR_NONE;
}

struct err internal_log_replay(struct partition *partition, const struct internal_visitor *visitor,
                               struct diag *diag)
{
    if (log_damage(partition->log, diag))
        return err_make(ERR_CORRUPT);
    struct replay replay = {
        .partition = partition, .visitor = visitor, .offset = log_start_offset(partition->log)};
    buf_init(&replay.bytes, INTERNAL_BATCH_SIZE_MAX);
    buf_init(&replay.scratch, INTERNAL_BATCH_SIZE_MAX);
    struct err err = replay_all(&replay, log_end_offset(partition->log), diag);
    buf_deinit(&replay.bytes);
    buf_deinit(&replay.scratch);
    return err;
}
