/*
 * partition: one partition as clients see it: a log, its high watermark, its producers, its
 * transactions, and those who wait for it. It only composes; storage keeps the bytes,
 * producer_state the sequences, transaction_index what is undecided or aborted.
 *
 *     append -> [log end]   flush step -> durable -> [high watermark] -> acks, fetches
 *                                        decided -> [last stable offset] -> fetches, read_committed
 *
 * Invariants:
 *  1. start offset <= last stable offset <= high watermark <= log end; both marks never fall.
 *  2. What is above the high watermark is shown to nobody (W2).
 *  3. An ack waiter is called exactly once: when its offset is durable, or with the error that
 * makes that impossible (deletion, damage, W7).
 *
 * Locks: `lock` guards all but the log's own state. Watchers are called under it and may only take
 * locks that are never held around calls of this module. Waiters are called without it.
 *
 * A partition lives as long as its topic; whoever keeps one holds a reference to the topic. After
 * the last of those is gone it waits for its log to be released, as a flush may still be under way.
 */
#ifndef HEADRACE_BROKER_PARTITION_H
#define HEADRACE_BROKER_PARTITION_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "broker/producer_state.h"
#include "broker/transaction_index.h"
#include "os/os.h"
#include "record/build.h"
#include "storage/storage.h"

struct topic;

#define PARTITION_MAGIC 0x50415254U /* "PART" */

/* recorded_at of a partition that no record names yet. */
#define PARTITION_UNRECORDED INT64_MAX

struct partition {
    uint32_t magic;
    int32_t index;
    struct topic *topic;
    struct log *log; /* NULL only while it is being opened */
    struct store *store;
    const struct os_clock *clock;
    int64_t recorded_at; /* its topic's: where the record that makes it ends in the metadata log */
    struct os_mutex lock;
    _Atomic int64_t high_watermark; /* written under the lock */
    int64_t pending_size;           /* bytes between high watermark and log end */
    int64_t unstable_size; /* about so many between last stable offset and high watermark */
    struct producer_state producers;
    struct transaction_index transactions;
    struct list waiters; /* by offset, rising */
    struct list watchers;
    bool is_closed;     /* deleted, or the broker ends: no appends, no waiting */
    struct err failure; /* set: what is not yet durable never will be */
};

/* Someone who waits until everything below offset is durable. */
struct partition_waiter {
    struct list link;
    int64_t offset;
    /* Any thread, no lock held. ERR_OFFLINE, ERR_CLOSED, ERR_CORRUPT when it will never be. */
    void (*done)(struct partition_waiter *waiter, struct err err);
};

/* Someone who wants to know when the high watermark moves, or the last stable offset. */
struct partition_watch {
    struct list link;
    bool is_committed_only; /* tell of the last stable offset; set while not watching */
    /* Under the partition's lock. size: about so many more bytes can be read; 0 when closed. */
    void (*moved)(struct partition_watch *watch, int64_t size);
};

struct partition_setup {
    struct topic *topic;
    int32_t index;
    struct store *store;
    const struct os_clock *clock;
    const struct log_config *config;
};

/* Opens the partition's log, replaying its producers. The caller owns *out. Errors:
 * store_open_log's. */
MUST_USE struct err partition_create(const struct partition_setup *setup, struct partition **out,
                                     struct diag *diag);

/* Frees it, its log released. Nobody waits or watches any more. NULL is taken and ignored. */
void partition_destroy(struct partition *partition);

/* Refuses further work and sends those who wait home with ERR_CLOSED. */
void partition_close(struct partition *partition);

/* Sends those who wait home with ERR_OFFLINE: the store can make nothing durable any more. */
void partition_fail_waiters(struct partition *partition);

enum append_verdict {
    APPEND_DONE,
    APPEND_DUPLICATE,          /* stored earlier; offsets say where */
    APPEND_OUT_OF_ORDER,       /* the producer's sequence has a gap */
    APPEND_FENCED,             /* a newer epoch of the producer has written */
    APPEND_NOT_IN_TRANSACTION, /* see struct append_guard; or none where one is open */
    APPEND_COORDINATOR_FENCED, /* the marker of a coordinator that another has replaced */
    APPEND_FAILED              /* err says why */
};

struct append_result {
    enum append_verdict verdict;
    struct err err;
    int64_t base_offset;
    int64_t end_offset; /* wait for this to be durable */
    int64_t start_offset;
};

/*
 * What was seen of a producer before the coordinator was asked whether the partition is in its
 * transaction (KIP-890). The answer may be older than a marker that was written meanwhile; an
 * append that would begin a transaction is refused when one was.
 *
 * Not so in transactions v2, where a producer may go on before the markers of its last transaction
 * are written. Each end raises its epoch: what the marker of its own transaction has overtaken is
 * fenced, and any other marker belongs to the transaction before.
 */
struct append_guard {
    int64_t marker_offset;
    bool is_open;      /* a transaction is open: nobody need be asked */
    bool is_version_2; /* set by the caller; an unknown producer then begins at sequence 0, too */
};

void partition_guard(struct partition *partition, const struct batch_header *header,
                     struct append_guard *guard);

/*
 * Appends one validated batch, patching offset and epoch in its bytes. bytes holds header->size
 * bytes and is not needed afterwards. guard: for transactional batches of clients, else NULL. Any
 * thread.
 */
void partition_append(struct partition *partition, uint8_t *bytes, struct batch_header *header,
                      const struct append_guard *guard, struct append_result *result,
                      struct diag *diag);

/* The end of a producer's transaction in one partition. */
struct transaction_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    int16_t transaction_version; /* 2: the epoch must be above that of the records (KIP-890) */
    int32_t coordinator_epoch;
    bool is_commit;
};

/*
 * Appends a transaction marker. Verdicts: DONE, FENCED (the epoch is too old), COORDINATOR_FENCED,
 * FAILED. A marker sent again is appended again and decides nothing. Any thread.
 */
void partition_append_marker(struct partition *partition, const struct transaction_marker *marker,
                             struct append_result *result, struct diag *diag);

/* One producer that the partition remembers: the answer to DescribeProducers. */
struct partition_producer {
    struct producer_view view;
    int64_t first_offset; /* of its open transaction; -1: none */
};

/* All of them, in arena memory. ERR_NO_MEMORY. */
MUST_USE struct err partition_list_producers(struct partition *partition, struct arena *arena,
                                             struct partition_producer **out, size_t *count);

/* The aborted transactions with records from `from` on and below `below`; as
 * transaction_index_collect. */
MUST_USE struct err partition_collect_aborted(struct partition *partition, int64_t from,
                                              int64_t below, struct arena *arena,
                                              struct aborted_transaction **out, size_t *count);

/*
 * Waits for durability. True: it is there already, or err says that it never will be; done is not
 * called. False: done will be called once, perhaps before this returns.
 */
MUST_USE bool partition_wait(struct partition *partition, struct partition_waiter *waiter,
                             struct err *err);

/* Starts and ends watching. After unwatch returns, moved is not called any more. */
void partition_watch(struct partition *partition, struct partition_watch *watch);
void partition_unwatch(struct partition *partition, struct partition_watch *watch);

/* Below it everything is durable. Any thread, and with any lock held. */
int64_t partition_high_watermark(const struct partition *partition);

/* Offsets of this moment. Any thread. */
struct partition_offsets {
    int64_t start;
    int64_t high_watermark;
    int64_t stable; /* last stable offset: equal to the high watermark where all is decided */
    int64_t end;
};

void partition_read_offsets(struct partition *partition, struct partition_offsets *out);

/* Forgets producers silent since before_ms (wall clock). */
void partition_expire_producers(struct partition *partition, int64_t before_ms);

#endif
