/*
 * build: a batch out of records: for internal topics, control batches and tests.
 *
 *     struct batch_builder builder;
 *     batch_build_begin(&builder, &options, &buf);
 *     TRY(batch_build_add(&builder, &record));      any number of times
 *     TRY(batch_build_end(&builder, &batch, &header));
 *
 * One thread at a time per builder.
 */
#ifndef HEADRACE_RECORD_BUILD_H
#define HEADRACE_RECORD_BUILD_H

#include "record/walk.h"

/* What stands in the header. Start from BATCH_OPTIONS_DEFAULT. */
struct batch_options {
    int64_t base_offset;
    int32_t leader_epoch;
    enum compression codec;
    int level;              /* as compress_append */
    int64_t producer_id;    /* -1: none */
    int16_t producer_epoch; /* -1: none */
    int32_t base_sequence;  /* -1: none */
    bool is_transactional;
    bool is_control;
    bool is_log_append_time;   /* then the maximum timestamp is that of the last record */
    bool keeps_offsets;        /* as compaction does: see batch_build_add */
    int32_t last_offset_delta; /* where offsets are kept */
    bool has_delete_horizon;   /* KIP-534: the base timestamp is delete_horizon_ms */
    int64_t delete_horizon_ms;
};

#define BATCH_OPTIONS_DEFAULT                                                                      \
    ((struct batch_options){.level = COMPRESSION_LEVEL_DEFAULT,                                    \
                            .producer_id = BATCH_NO_PRODUCER_ID,                                   \
                            .producer_epoch = -1,                                                  \
                            .base_sequence = BATCH_NO_SEQUENCE})

struct batch_builder {
    struct batch_options options;
    struct buf *out;
    size_t begin; /* where the batch starts in out */
    int64_t base_timestamp;
    int64_t max_timestamp;
    int32_t record_count;
};

/* Begins a batch at the end of out, which the caller owns and leaves alone until batch_build_end.
 */
void batch_build_begin(struct batch_builder *builder, const struct batch_options *options,
                       struct buf *out);

/*
 * Adds a record: timestamp, key, value and the encoded headers (record_header_append) with their
 * count. record->offset is ignored, offsets follow one another; but with options.keeps_offsets it
 * counts, rises, and lies within the batch. On failure the batch is as before.
 * Errors: ERR_LIMIT beyond out->size_max or INT32_MAX records, ERR_RANGE where timestamps lie too
 * far apart, ERR_NO_MEMORY.
 */
MUST_USE struct err batch_build_add(struct batch_builder *builder, const struct record *record);

/* Appends one encoded header to headers, for record->headers. key is not null. */
MUST_USE struct err record_header_append(struct buf *headers, struct span key, struct span value);

/*
 * Ends the batch: compresses, writes the header and the CRC. At least one record was added. *batch
 * lies in out; valid until out changes. header may be NULL. Errors as compress_append; then out is
 * cut back to where the batch began.
 */
MUST_USE struct err batch_build_end(struct batch_builder *builder, struct span *batch,
                                    struct batch_header *header);

/* Kinds of control records (KIP-98): the second number of a control record's key. */
enum control_kind {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
};

/*
 * Appends a whole transaction marker: a control batch of one record of the given kind. options:
 * producer id and epoch, base offset, leader epoch. Errors as batch_build_add.
 */
MUST_USE struct err batch_build_marker(const struct batch_options *options, enum control_kind kind,
                                       int32_t coordinator_epoch, int64_t timestamp,
                                       struct buf *out, struct span *batch);

/*
 * Reads a transaction marker's kind and coordinator epoch. ERR_UNSUPPORTED for another kind of
 * control record, ERR_CORRUPT where the batch holds none.
 */
MUST_USE struct err batch_read_marker(struct span batch, enum control_kind *kind,
                                      int32_t *coordinator_epoch);

#endif
