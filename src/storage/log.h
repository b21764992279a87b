/*
 * log: one partition's batches, from its start offset to its end offset.
 *
 *     segments   |  sealed  |   sealed    | sealing |    active     |
 *     offsets    base ^start       ^checkpoint        ^durable   ^end
 *
 * The caller (the broker's partition) assigns offsets and holds its own lock around log_append; the
 * log's own lock makes every function here safe to call from any thread at any time. Appends must
 * come in offset order.
 *
 * References: store_open_log gives one; log_ref, log_unref. Flush and background steps take their
 * own while they work, so listener.released tells when nobody will call the listener again.
 */
#ifndef HEADRACE_STORAGE_LOG_H
#define HEADRACE_STORAGE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "record/batch.h"

struct log;
struct cached_file;

/* A log's settings; Kafka's topic configs of the same names. Sizes in bytes, -1: no bound. */
struct log_config {
    int64_t segment_size;          /* segment.bytes, 1 to INT32_MAX */
    int64_t segment_ms;            /* segment.ms */
    int64_t segment_jitter_ms;     /* segment.jitter.ms */
    int64_t segment_index_size;    /* segment.index.bytes */
    int64_t index_interval_size;   /* index.interval.bytes */
    int64_t retention_ms;          /* retention.ms */
    int64_t retention_size;        /* retention.bytes */
    bool is_deleted;               /* cleanup.policy holds "delete": the two above count */
    bool is_preallocated;          /* preallocate: reserve segment.bytes at once */
    bool is_compacted;             /* cleanup.policy holds "compact": the four below count */
    double dirty_ratio_min;        /* min.cleanable.dirty.ratio, 0 to 1 */
    int64_t compaction_lag_ms_min; /* min.compaction.lag.ms */
    int64_t compaction_lag_ms_max; /* max.compaction.lag.ms */
    int64_t delete_retention_ms;   /* delete.retention.ms: how long tombstones stay */
};

/* Kafka's defaults. */
#define LOG_CONFIG_DEFAULT                                                                         \
    ((struct log_config){.segment_size = 1024 * 1024 * 1024,                                       \
                         .segment_ms = (int64_t)7 * 24 * 3600 * 1000,                              \
                         .segment_index_size = 10 * 1024 * 1024,                                   \
                         .index_interval_size = 4096,                                              \
                         .retention_ms = (int64_t)7 * 24 * 3600 * 1000,                            \
                         .retention_size = -1,                                                     \
                         .is_deleted = true,                                                       \
                         .dirty_ratio_min = 0.5,                                                   \
                         .compaction_lag_ms_max = INT64_MAX,                                       \
                         .delete_retention_ms = (int64_t)24 * 3600 * 1000})

/*
 * What a log tells its owner, and asks it. Any pointer may be NULL. Called without the log's or the
 * store's locks, so the owner may take its own.
 */
struct log_listener {
    void *context;
    /* By a flush step: everything below offset is durable. Rises from call to call with one
     * flushing thread; with several, calls may arrive out of order: take the maximum. Not called
     * with flush_by_os, nor for logs that were deleted. */
    void (*durable)(void *context, int64_t offset);
    /* By a flush step: what is not yet durable never will be; err says why. Appends are refused
     * from then on. Not called where the store goes offline: it says so itself. */
    void (*failed)(void *context, struct err err);
    /* By the background step or store_close: retention moved the start offset up to this. */
    void (*start_moved)(void *context, int64_t offset);
    /* By the background step or store_close: append the producer state to out and say in *offset
     * which log end it belongs to (hold the lock that is held around log_append). An empty state is
     * fine. An error, or NULL: no checkpoint moves and recovery shows the visitor everything. */
    struct err (*snapshot)(void *context, struct buf *out, int64_t *offset);
    /* The rest of these are asked by compaction, from the background step. */
    /* Below it no transaction is undecided. NULL: nothing is undecided. */
    int64_t (*stable)(void *context);
    /* Whether the batch, which lies below `stable`, belongs to a transaction that was aborted.
     * NULL: none was. */
    bool (*is_aborted)(void *context, const struct batch_header *header);
    /* Whether the batch must stay, be it without records, because it is its producer's last: what
     * the visitor learns of the producer from a log without a snapshot. NULL: none must. */
    bool (*is_last_of_producer)(void *context, const struct batch_header *header);
    /* Of the transactions that were aborted and whose markers lie below the offset no records are
     * left; slices read earlier may still have some (log_compaction_count). */
    void (*compacted)(void *context, int64_t offset);
    /* The last reference is gone; context is never used again. */
    void (*released)(void *context);
};

/* What recovery shows the owner, in store_open_log, before the log is handed over. */
struct log_visitor {
    void *context;
    /* First, if there is one: the newest producer snapshot, as listener.snapshot wrote it. */
    struct err (*snapshot)(void *context, int64_t offset, struct span bytes);
    /* Then each batch from the snapshot's offset (or the first that is still there, be it below the
     * start) to the end. batch: all its bytes, valid during the call. */
    struct err (*batch)(void *context, const struct batch_header *header, struct span batch);
};

void log_ref(struct log *log);

/* Gives up a reference. NULL is ignored. */
void log_unref(struct log *log);

/* The first offset that may be read; rises by retention and log_delete_records. */
int64_t log_start_offset(struct log *log);

/* The offset that the next batch gets at least (W2: not yet durable). */
int64_t log_end_offset(struct log *log);

/* Everything below is durable (W2, W3). start <= durable <= end. */
int64_t log_durable_offset(struct log *log);

/* Bytes of all segments. */
int64_t log_size(struct log *log);

/* How often compaction has put new segments in the place of old ones since the store was opened. A
 * slice read after the number was taken, which is still the same, holds what the log holds. */
uint64_t log_compaction_count(struct log *log);

/* True where damage below the checkpoint was found: appends and reads give ERR_CORRUPT, and *diag
 * (may be NULL) gets the sentence that says where. The files are left as they are. */
bool log_damage(struct log *log, struct diag *diag);

/* Takes new settings; the next append, roll and retention go by them. */
void log_configure(struct log *log, const struct log_config *config);

/*
 * Appends one batch that batch_validate found fine, or batch_build made, patched with its base
 * offset and leader epoch: header->size bytes in batch, header telling the same.
 * header->base_offset is at least the log's end offset; the end offset becomes one above the
 * batch's last. Rolls first where the settings say so. Written, but durable only after a flush
 * step; batch is not needed afterwards.
 *
 * Errors leave the log as it was (W1): ERR_NO_SPACE, ERR_IO, ERR_LIMIT (descriptors),
 * ERR_NO_MEMORY, ERR_OFFLINE (W7), ERR_CLOSED (deleted), ERR_CORRUPT (quarantined).
 */
MUST_USE struct err log_append(struct log *log, struct span batch,
                               const struct batch_header *header, struct diag *diag);

/* A range of a segment's bytes that stays readable, whatever happens to the log, until
 * slice_unref. */
struct log_slice {
    struct cached_file *owner; /* NULL: an empty slice */
    int file;                  /* for net_send_file */
    int64_t position;          /* in the file */
    size_t size;
    int64_t base_offset; /* of the first batch; of an empty slice, the offset asked for */
    int64_t end_offset;  /* no batch that begins in it has records at or above this */
};

#define LOG_SLICE_EMPTY ((struct log_slice){.file = -1})

struct log_read {
    int64_t offset;       /* the first one wanted */
    int64_t offset_below; /* nothing at or above it: high watermark, last stable offset or end */
    size_t size_max;      /* bytes wanted */
    bool is_one_needed;   /* the first batch is given whole even beyond size_max */
};

/*
 * Finds the bytes of the batches from the one that holds read->offset on, within one segment. The
 * slice begins with a whole batch and ends where a batch ends; only where the index has no batch
 * border below size_max does it end inside a batch, as Kafka's answers do. Empty where the first
 * batch is larger than size_max and not needed, or where offset >= offset_below.
 *
 * The caller ends with slice_unref. Errors: ERR_RANGE (offset below start or above end),
 * ERR_CORRUPT (damage met, or quarantined), ERR_CLOSED, ERR_IO, ERR_LIMIT. On an error *slice is
 * empty.
 */
MUST_USE struct err log_read(struct log *log, const struct log_read *read, struct log_slice *slice,
                             struct diag *diag);

/* Copies size bytes of the slice, from at on, into bytes; at + size <= slice->size. ERR_IO,
 * ERR_TRUNCATED. */
MUST_USE struct err slice_read(const struct log_slice *slice, size_t at, void *bytes, size_t size);

/* Lets go of the file; the slice becomes empty. Any thread. Needs the store to be open. */
void slice_unref(struct log_slice *slice);

/* A record's place in time: the answer to ListOffsets. */
struct log_time {
    int64_t offset;
    int64_t timestamp;
    int32_t leader_epoch;
};

/*
 * The first record with timestamp >= timestamp at or above the start offset (ListOffsets by time).
 * Decompresses where needed, within scratch. ERR_NOT_FOUND where there is none; ERR_CORRUPT,
 * ERR_LIMIT, ERR_IO, ERR_CLOSED. Reads the disk; scratch is cleared first.
 */
MUST_USE struct err log_find_time(struct log *log, int64_t timestamp, struct buf *scratch,
                                  struct log_time *out, struct diag *diag);

/* The first record that has the maximum timestamp of those below offset_below, which is a batch's
 * border (ListOffsets -3). Otherwise as log_find_time. */
MUST_USE struct err log_find_time_max(struct log *log, int64_t offset_below, struct buf *scratch,
                                      struct log_time *out, struct diag *diag);

/*
 * OffsetForLeaderEpoch as Kafka's LeaderEpochFileCache.endOffsetFor answers it: the largest epoch
 * <= wanted that has records, and the offset behind its last one. The store's current epoch ends at
 * the log end. *epoch = *end_offset = -1 where nothing is known.
 */
void log_epoch_end(struct log *log, int32_t wanted, int32_t *epoch, int64_t *end_offset);

/* The leader epoch of the batch at offset, or of the next batch where offset is the end; -1 where
 * unknown. */
int32_t log_epoch_at(struct log *log, int64_t offset);

/*
 * DeleteRecords: moves the start offset up to offset (at most the durable offset: ERR_RANGE above).
 * No effect below the present start. Whole segments below it are removed in the background.
 * Durable, and to be answered, when *ticket is (W6). ERR_IO, ERR_NO_SPACE, ERR_OFFLINE, ERR_CLOSED.
 */
MUST_USE struct err log_delete_records(struct log *log, int64_t offset, uint64_t *ticket,
                                       struct diag *diag);

/*
 * Cuts off everything from offset on; offset is a batch's base offset, or the one above the last,
 * and not below the start or where compaction has been. Durable when it returns: waits for the disk
 * (W6). Producer snapshots above it are forgotten. Not while another thread appends; ERR_BUSY while
 * the log is flushed. ERR_RANGE, ERR_OFFLINE (W7), ERR_CLOSED, ERR_CORRUPT, ERR_NO_MEMORY.
 */
MUST_USE struct err log_truncate(struct log *log, int64_t offset, struct diag *diag);

#endif
