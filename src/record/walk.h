/*
 * walk: the records of a batch, one after the other.
 *
 * A record (all integers are zigzag varints, lengths -1 mean null):
 *
 *     length | attributes (1 byte, 0) | timestamp delta | offset delta
 *            | key length | key | value length | value
 *            | header count | { key length | key | value length | value } ...
 *
 * One thread at a time per walk.
 */
#ifndef HEADRACE_RECORD_WALK_H
#define HEADRACE_RECORD_WALK_H

#include "record/batch.h"

/* One record. Spans point into the batch or into the walk's scratch buffer. */
struct record {
    int64_t offset;
    int64_t timestamp;   /* the batch's maximum where it stamps log append time, as Kafka says */
    struct span key;     /* null: no key */
    struct span value;   /* null: a tombstone */
    struct span headers; /* encoded, checked; for record_header_next */
    int32_t header_count;
};

struct record_header {
    struct span key;   /* never null */
    struct span value; /* may be null */
};

struct batch_walk {
    struct batch_header header;
    struct span rest;          /* encoded records not yet given */
    int32_t record_index;      /* of the next record */
    int32_t offset_delta_last; /* of the record given last; -1 before the first */
};

/*
 * Begins to walk a whole batch whose CRC was checked earlier. A compressed one is decompressed into
 * scratch, which is cleared first and whose size_max bounds it; scratch may be NULL for batches
 * known to be uncompressed. Spans of the walk live as long as batch and the contents of scratch.
 * Errors: ERR_CORRUPT, ERR_TRUNCATED, ERR_LIMIT, ERR_NO_MEMORY, ERR_UNSUPPORTED (unknown codec).
 */
MUST_USE struct err batch_walk_begin(struct batch_walk *walk, struct span batch,
                                     struct buf *scratch);

/*
 * Gives the next record, or sets *is_end behind the last. Offset deltas may have gaps (compaction)
 * but rise and stay within the batch. Errors: ERR_CORRUPT, also where bytes remain at the end.
 */
MUST_USE struct err batch_walk_next(struct batch_walk *walk, struct record *record, bool *is_end);

/*
 * Takes the next header off the front of *headers (a record's). False at the end. Bytes that no
 * walk has checked end the iteration too.
 */
bool record_header_next(struct span *headers, struct record_header *header);

#endif
