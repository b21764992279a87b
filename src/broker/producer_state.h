/*
 * producer_state: what a partition remembers of its idempotent producers (KIP-98).
 *
 * For each producer id: its epoch and the last five batches, so that a batch sent again is answered
 * with the offset it already has, and one that does not follow its predecessor is refused. The end
 * of a transaction raises the epoch (KIP-890) and sequences begin at 0 again.
 *
 * Invariants:
 *  1. An entry's batches are of its epoch, oldest first, and each follows the one before in
 * sequence.
 *  2. The state is a function of the partition's batches in order, except for what expiry removed;
 *     replaying a log gives the same answers as having served it.
 *  3. There are at most PRODUCER_COUNT_MAX entries: the producer that wrote longest ago makes room
 * for a new one. What it sends again is then no longer known as sent, as after its expiry.
 *
 * Under the partition's lock. An empty state takes no memory.
 */
#ifndef HEADRACE_BROKER_PRODUCER_STATE_H
#define HEADRACE_BROKER_PRODUCER_STATE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "record/batch.h"

/* Batches kept for recognising duplicates: the most that a client may have in flight. */
#define PRODUCER_BATCH_COUNT 5

struct producer_state {
    struct map entries; /* by the 8 bytes of the id */
    struct list order;  /* of the entries without an open transaction, by their last batch, oldest
                           first: those may be forgotten */
    struct list busy;   /* of the others */
};

/* What became of an append, or would become of it. */
enum producer_verdict {
    PRODUCER_IN_ORDER,     /* append it */
    PRODUCER_DUPLICATE,    /* it is stored already; *base_offset says where */
    PRODUCER_OUT_OF_ORDER, /* OUT_OF_ORDER_SEQUENCE_NUMBER */
    PRODUCER_FENCED,       /* INVALID_PRODUCER_EPOCH: a newer epoch has written */
};

/* Where a duplicate already lies. */
struct producer_duplicate {
    int64_t base_offset;
    int64_t last_offset;
    int64_t timestamp; /* the stored batch's largest */
};

void producer_state_init(struct producer_state *state);
void producer_state_deinit(struct producer_state *state);

/* Judges a client's batch without changing anything. duplicate is filled for PRODUCER_DUPLICATE
 * only. */
enum producer_verdict producer_state_check(const struct producer_state *state,
                                           const struct batch_header *header,
                                           struct producer_duplicate *duplicate);

/*
 * Remembers a batch that was appended or is being replayed; header has its offsets. Batches without
 * a producer id are ignored. now_ms: wall clock, for expiry. ERR_NO_MEMORY: nothing is changed.
 */
MUST_USE struct err producer_state_update(struct producer_state *state,
                                          const struct batch_header *header, int64_t now_ms);

/*
 * Makes sure that producer_state_update or producer_state_mark for this header cannot fail; forgets
 * the oldest entry where there are too many. ERR_NO_MEMORY.
 */
MUST_USE struct err producer_state_prepare(struct producer_state *state,
                                           const struct batch_header *header, int64_t now_ms);

/* What is known of one producer. */
struct producer_view {
    int64_t producer_id;
    int16_t epoch;             /* -1: it never wrote here, or was forgotten */
    int32_t last_sequence;     /* -1: none in this epoch */
    int64_t update_ms;         /* when it last wrote; -1: unknown */
    int32_t coordinator_epoch; /* of its last transaction marker; -1: none */
    int64_t marker_offset;     /* where that lies, unless replayed from a snapshot; -1 */
};

void producer_state_view(const struct producer_state *state, int64_t producer_id,
                         struct producer_view *view);

/* Whether the batch, data or a marker, is the last that was noted of its producer: without it a log
 * replayed from its begin would not tell the producer's sequence and epoch. */
bool producer_state_is_last(const struct producer_state *state, const struct batch_header *header);

/* The next producer at or after *position (0 at first), which moves on; false at the end. */
bool producer_state_next(const struct producer_state *state, size_t *position,
                         struct producer_view *view);

/*
 * Remembers a transaction marker that was appended or is being replayed: the producer's epoch
 * becomes the marker's, and with a new epoch its sequences begin anew. Prepared.
 */
void producer_state_mark(struct producer_state *state, const struct batch_header *header,
                         int32_t coordinator_epoch, int64_t now_ms);

/* Forgets producers silent since before_ms, but those with an open transaction; returns how many.
 */
size_t producer_state_expire(struct producer_state *state, int64_t before_ms);

/* Forgets all. */
void producer_state_clear(struct producer_state *state);

/*
 * Appends the state as bytes, for a snapshot:
 *
 *     version (1) | entry count (4) | entries, oldest first: id (8) epoch (2) last update ms (8)
 *                   coordinator epoch (4) in a transaction (1) batch count (1)
 *                   batches: first sequence (4) last sequence (4) base offset (8) last offset (8)
 *                            timestamp (8)
 *
 * all most significant byte first; storage adds checksum and offset.
 */
MUST_USE struct err producer_state_write(const struct producer_state *state, struct buf *out);

/*
 * Replaces the state by a snapshot's, taking its bytes off the front of *bytes. ERR_CORRUPT leaves
 * the state empty; also ERR_NO_MEMORY.
 */
MUST_USE struct err producer_state_read(struct producer_state *state, struct span *bytes);

#endif
