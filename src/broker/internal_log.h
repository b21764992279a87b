/*
 * internal_log: writing and replaying the records of internal topics.
 *
 * One batch holds the records of one change, so that a torn tail loses all of it or nothing.
 */
#ifndef HEADRACE_BROKER_INTERNAL_LOG_H
#define HEADRACE_BROKER_INTERNAL_LOG_H

#include "broker/partition.h"
#include "record/build.h"

/* The records of one change, being collected. One thread. */
struct internal_batch {
    struct buf bytes;
    struct batch_builder builder;
    int64_t timestamp_ms;
    int32_t record_count;
};

/* Begins an empty batch stamped with the given wall clock time. Ends with internal_batch_deinit. */
void internal_batch_init(struct internal_batch *batch, int64_t timestamp_ms);

/* The same as part of a producer's transaction, which a marker ends. */
void internal_batch_init_transactional(struct internal_batch *batch, int64_t timestamp_ms,
                                       int64_t producer_id, int16_t producer_epoch);
void internal_batch_deinit(struct internal_batch *batch);

/* Adds a record; a null value is a tombstone, a null key is allowed. ERR_LIMIT, ERR_NO_MEMORY. */
MUST_USE struct err internal_batch_add(struct internal_batch *batch, struct span key,
                                       struct span value);

/*
 * Appends the batch, which holds at least one record. *end_offset: durable there means this change
 * is. Errors: partition_append's.
 */
MUST_USE struct err internal_batch_append(struct internal_batch *batch, struct partition *partition,
                                          int64_t *end_offset, struct diag *diag);

/* The same for a transactional batch, with all that partition_append has to say of it. */
void internal_batch_append_transactional(struct internal_batch *batch, struct partition *partition,
                                         const struct append_guard *guard,
                                         struct append_result *result);

/* Whom a replay tells what it finds. The spans live during the call. */
struct internal_visitor {
    void *context;
    /* Each record; header: its batch's. */
    struct err (*record)(void *context, const struct batch_header *header,
                         const struct record *record);
    /* The end of a producer's transaction. NULL: transactions do not matter. */
    struct err (*marker)(void *context, const struct batch_header *header, bool is_commit);
};

/*
 * Visits all of the partition from its start to its present end. ERR_CORRUPT for damage, ERR_IO,
 * ERR_NO_MEMORY, the visitor's own.
 */
MUST_USE struct err internal_log_replay(struct partition *partition,
                                        const struct internal_visitor *visitor, struct diag *diag);

#endif
