/* internal_log: batches built in memory; replay in pieces of REPLAY_READ_SIZE. */
#include "broker/internal_log.h"

#include "base/check.h"
#include "base/limits.h"
#include "record/walk.h"

/* Bytes read from the disk at a time while replaying. */
#define REPLAY_READ_SIZE (1024 * 1024)

void internal_batch_init(struct internal_batch *batch, int64_t timestamp_ms)
{
    *batch = (struct internal_batch){.timestamp_ms = timestamp_ms};
    buf_init(&batch->bytes, INTERNAL_BATCH_SIZE_MAX);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    batch_build_begin(&batch->builder, &options, &batch->bytes);
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

struct err internal_batch_append(struct internal_batch *batch, struct partition *partition,
                                 int64_t *end_offset, struct diag *diag)
{
    CHECK(batch->record_count > 0);
    struct span bytes;
    struct batch_header header;
    TRY(batch_build_end(&batch->builder, &bytes, &header));
    size_t begin = (size_t)(bytes.data - batch->bytes.data);
    struct append_result result;
    partition_append(partition, batch->bytes.data + begin, &header, &result, diag);
    if (result.verdict != APPEND_DONE)
        return result.err;
    *end_offset = result.end_offset;
    return ERR_NONE;
}

struct replay {
    struct partition *partition;
    internal_visit visit;
    void *context;
    int64_t offset; /* of the next batch */
    struct buf bytes;
    struct buf scratch;
};

static struct err replay_batch(struct replay *replay, struct span batch)
{
    struct batch_walk walk;
    TRY(batch_walk_begin(&walk, batch, &replay->scratch));
    if (batch_is_control(&walk.header))
        return ERR_NONE;
    for (;;) {
        struct record record;
        bool is_end;
        TRY(batch_walk_next(&walk, &record, &is_end));
        if (is_end)
            return ERR_NONE;
        TRY(replay->visit(replay->context, &record));
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

struct err internal_log_replay(struct partition *partition, internal_visit visit, void *context,
                               struct diag *diag)
{
    if (log_damage(partition->log, diag))
        return err_make(ERR_CORRUPT);
    struct replay replay = {.partition = partition,
                            .visit = visit,
                            .context = context,
                            .offset = log_start_offset(partition->log)};
    buf_init(&replay.bytes, INTERNAL_BATCH_SIZE_MAX);
    buf_init(&replay.scratch, INTERNAL_BATCH_SIZE_MAX);
    struct err err = replay_all(&replay, log_end_offset(partition->log), diag);
    buf_deinit(&replay.bytes);
    buf_deinit(&replay.scratch);
    return err;
}
