/*
 * transaction_index: which of a partition's transactions are undecided, and which were aborted
 * (KIP-98).
 *
 *     first batch: begin -> OPEN -- marker appended: end -> ENDED -- marker durable: settle -> gone
 *
 * A reader of committed records may go as far as the first undecided transaction begins, and skips
 * what the aborted ones wrote.
 *
 * Invariants:
 *  1. A producer has at most one open transaction.
 *  2. undecided is in order of first offsets, ended and aborted in order of their markers.
 *  3. The index is a function of the partition's batches in order and of what is durable; replaying
 *     a log gives the same answers as having served it.
 *  4. Of two aborted transactions the later one begins at or above the earlier one's stable_offset.
 *
 * Under the partition's lock. An empty index takes no memory; an aborted transaction takes 32 bytes
 * until retention or compaction has taken its records.
 */
#ifndef HEADRACE_BROKER_TRANSACTION_INDEX_H
#define HEADRACE_BROKER_TRANSACTION_INDEX_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

struct aborted_transaction {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;   /* the marker's */
    int64_t stable_offset; /* where the first transaction undecided then began, or behind the marker
                            */
};

struct transaction_index {
    struct map open; /* by the 8 bytes of the producer's id */
    struct list undecided;
    struct list ended;
    struct aborted_transaction *aborted;
    size_t aborted_count;
    size_t aborted_capacity;
};

void transaction_index_init(struct transaction_index *index);
void transaction_index_deinit(struct transaction_index *index);

/* Makes sure that the next begin or end for this producer cannot fail. ERR_NO_MEMORY. */
MUST_USE struct err transaction_index_prepare(struct transaction_index *index, int64_t producer_id);

/* A transactional batch was appended or replayed: the transaction begins, or goes on. Prepared. */
void transaction_index_begin(struct transaction_index *index, int64_t producer_id,
                             int64_t first_offset);

/* A marker was appended or replayed at last_offset; without an open transaction nothing happens.
 * Prepared. */
void transaction_index_end(struct transaction_index *index, int64_t producer_id, bool is_aborted,
                           int64_t last_offset);

/* Everything below high_watermark is durable: transactions whose markers are, are decided. */
void transaction_index_settle(struct transaction_index *index, int64_t high_watermark);

/* The last stable offset: at most high_watermark. */
int64_t transaction_index_stable(const struct transaction_index *index, int64_t high_watermark);

/* Where the producer's open transaction begins; -1: it has none. */
int64_t transaction_index_first_offset(const struct transaction_index *index, int64_t producer_id);

/*
 * The aborted transactions with records at or above `from` and below `below`, in arena memory.
 * ERR_NO_MEMORY.
 */
MUST_USE struct err transaction_index_collect(const struct transaction_index *index, int64_t from,
                                              int64_t below, struct arena *arena,
                                              struct aborted_transaction **out, size_t *count);

/* Whether the producer's records at offset belong to an aborted transaction. */
bool transaction_index_is_aborted(const struct transaction_index *index, int64_t producer_id,
                                  int64_t offset);

/* Forgets the aborted transactions that lie wholly below the offset: the log's start, or where
 * compaction has left nothing of them. */
void transaction_index_trim(struct transaction_index *index, int64_t offset);

/*
 * Appends the index as bytes, for a snapshot:
 *
 *     open count (4) | open: producer id (8) first offset (8)
 *     aborted count (4) | aborted: producer id (8) first offset (8) last offset (8) stable (8)
 *
 * all most significant byte first. Ended transactions are decided by the time a snapshot is read.
 */
MUST_USE struct err transaction_index_write(const struct transaction_index *index, struct buf *out);

/* Replaces an empty index by a snapshot's. ERR_CORRUPT leaves it empty; also ERR_NO_MEMORY. */
MUST_USE struct err transaction_index_read(struct transaction_index *index, struct span bytes);

#endif
