/*
 * storage: the logs of one data directory, and the work that keeps them safe and small.
 *
 * A struct store owns the directory: its lock file, its manifest, its open files, its dirty logs. A
 * struct log (storage/log.h) is one partition in it. On disk, in Kafka's layout:
 *
 *     DIR/.lock                            held by one process
 *     DIR/format                           "headrace 1\n"
 *     DIR/manifest                         which files there are and what is checkpointed
 *     DIR/sync-failed                      only after a failed sync; the next start looks twice
 *     DIR/<topic>-<partition>/<20-digit base offset>.log | .index | .timeindex  (21: compacted)
 *     DIR/<topic>-<partition>/<20-digit offset>.snapshot
 *     DIR/<topic>-<partition>.<16 digits>.deleted/    on its way out
 *
 * A log that never held a record has no directory, no file and no manifest entry.
 *
 * Invariants, named as in the design:
 *
 * W1 A failed write is cut back and leaves the log as it was.
 * W2 A log's durable offset is the end of its longest prefix that a completed sync covers, names
 *    and manifest entries included. (With the ring, later: or that the ring covers.)
 * W3 With flush_by_os the durable offset is the log end.
 * W5 A checkpoint is written only after: segment synced; then producer snapshot, index and epochs
 *    synced. The manifest entry itself is synced before anything below it is thrown away.
 * W6 Truncation, start offsets and deletion are durable before they are answered (tickets, below);
 *    a topic id never comes back, so replay skips dead incarnations; a directory's name is used
 *    again only after the renaming of the dead one is safe (store_sync_names). Compaction touches
 *    sealed segments below the checkpoint alone, and commits by one manifest entry
 *    (storage/compaction.h).
 * W7 A failed sync is final: the store goes offline and says so; DIR/sync-failed makes the next
 *    start read the tails from the disk itself, past pages that may be falsely clean, and write the
 *    manifest anew. (W4, W8 and W9 are the ring's.)
 *
 * Start:  store_open -> store_open_log for each partition that exists -> store_drop_unclaimed ->
 *         store_flush_step until nothing is left -> serve.
 *         Partitions made later: store_open_log too.
 * Run:    any number of threads append and read; one or more drive store_flush_step, one drives
 *         store_background_step. The store owns no thread and waits for nothing but the disk.
 * End:    stop those threads; unref the logs; store_close.
 *
 * Locks, outermost first: the caller's own; a log's; then one of the store's (names, manifest,
 * files, dirty list, work list), each a leaf. Events are called without any of them.
 */
#ifndef HEADRACE_STORAGE_STORAGE_H
#define HEADRACE_STORAGE_STORAGE_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/uuid.h"
#include "os/os.h"
#include "storage/log.h"

struct store;

/*
 * What a store tells its owner. Any pointer may be NULL. Called from the thread that did the work
 * (an appender, a stepper), without locks; must not call back into the store except to wake.
 */
struct store_events {
    void *context;
    void (*dirty)(void *context); /* the first log became dirty: drive store_flush_step */
    void (*work)(void *context);  /* something urgent: drive store_background_step */
    void (*ticket)(void *context, uint64_t ticket); /* all tickets up to this one are durable */
    void (*offline)(void *context, const char *sentence); /* once: a sync failed (W7) */
    void (*report)(void *context, const char *sentence); /* for people: repairs, damage, failures */
};

/* The brokers' log.cleaner.* properties. */
struct compaction_options {
    bool is_off;         /* not log.cleaner.enable */
    int64_t interval_ms; /* log.cleaner.backoff.ms: between two looks for something to do */
    int64_t map_size; /* log.cleaner.dedupe.buffer.size: the most memory for the keys of one run */
    double map_load;  /* log.cleaner.io.buffer.load.factor: how full that may become, 0 to 1 */
    double rate_max;  /* log.cleaner.io.max.bytes.per.second, read and written together */
};

struct store_options {
    const char *dir; /* exists; copied */
    const struct os_clock *clock;
    const struct os_files *files;
    const struct os_random *random;
    struct store_events events;
    bool flush_by_os;               /* flush=os */
    uint32_t open_file_count_max;   /* descriptor budget; open slices may pass it */
    int64_t checkpoint_size;        /* checkpoint a log that many bytes after its last one */
    int64_t checkpoint_interval_ms; /* and that long after its first byte since then */
    int64_t retention_interval_ms;  /* log.retention.check.interval.ms */
    struct compaction_options compaction;
};

/* Everything but dir, the vtables and events. */
#define STORE_OPTIONS_DEFAULT                                                                      \
    ((struct store_options){.open_file_count_max = STORE_OPEN_FILE_COUNT_DEFAULT,                  \
                            .checkpoint_size = STORE_CHECKPOINT_SIZE_DEFAULT,                      \
                            .checkpoint_interval_ms = 60 * 1000,                                   \
                            .retention_interval_ms = 5 * 60 * 1000,                                \
                            .compaction = {.interval_ms = 15 * 1000,                               \
                                           .map_size = 128 * 1024 * 1024,                          \
                                           .map_load = 0.9,                                        \
                                           .rate_max = DBL_MAX}})

/*
 * Opens the data directory: takes the lock, checks the format, reads the manifest, marks the store
 * as open and, after an unclean end, raises the leader epoch; both are synced before it returns.
 * No partition's file is touched. Errors, each with one sentence in diag: ERR_BUSY (another process
 * holds it), ERR_UNSUPPORTED (another format), ERR_CORRUPT (the manifest), ERR_DENIED,
 * ERR_NO_SPACE, ERR_NOT_FOUND, ERR_IO, ERR_NO_MEMORY. The caller ends with store_close or
 * store_abandon.
 */
MUST_USE struct err store_open(const struct store_options *options, struct store **out,
                               struct diag *diag);

/* Whether the last end was clean: nothing was scanned or is going to be. */
bool store_was_clean(const struct store *store);

/*
 * The leader epoch of every partition led here: 0 in a new directory; persists; rises by one at
 * every unclean start; never falls. Constant until store_close.
 */
int32_t store_leader_epoch(const struct store *store);

/* Which log store_open_log opens, and what it needs to know of it. All is copied. */
struct log_setup {
    struct uuid topic_id;
    struct span topic; /* for the directory's name */
    int32_t partition;
    struct log_config config;
    struct log_listener listener;
    struct log_visitor visitor;
};

/*
 * Opens a log: recovers the one of that topic id and partition, or makes an empty one. Recovery
 * after an unclean end scans from the checkpoint (length, CRC, offset order, epoch), cuts at the
 * first torn batch and reports it; the cut log becomes durable by store_flush_step. The
 * visitor is shown each batch from the newest producer snapshot on, see log.h. Damage below the
 * checkpoint is no error here: the log is quarantined (log_damage) and reported.
 *
 * The caller gets one reference. Errors:
 * ERR_EXISTS (opened already), ERR_NO_MEMORY, ERR_IO, ERR_LIMIT, the visitor's own. One thread at a
 * time for one log; several logs may be opened in parallel.
 */
MUST_USE struct err store_open_log(struct store *store, const struct log_setup *setup,
                                   struct log **out, struct diag *diag);

/*
 * Deletes every log that the manifest knows and nobody opened: topics whose deletion was made
 * durable by the metadata log, but not here; and moves directories aside that no log owns. Syncs
 * their names. Call it once, after all partitions are open and only
 * if the metadata log was read whole. *count: how many. Errors as store_delete_log.
 */
MUST_USE struct err store_drop_unclaimed(struct store *store, uint32_t *count, struct diag *diag);

/*
 * Deletes a log: appends and reads end with ERR_CLOSED, the directory is renamed aside and its
 * files are removed in the background; open slices stay readable. The caller keeps and gives up its
 * reference as usual. Durable, and to be answered, when *ticket is (W6). A new log of the same name
 * and another topic id may be opened after store_sync_names. ERR_IO, ERR_NO_SPACE, ERR_OFFLINE;
 * ERR_CLOSED where it was deleted before. A log without files, which nobody has written to, is
 * deleted without an error.
 */
MUST_USE struct err store_delete_log(struct store *store, struct log *log, uint64_t *ticket,
                                     struct diag *diag);

/*
 * Makes the names safe that store_delete_log has given to directories on their way out. Before that
 * a crash could undo the renaming, and a new log of the name would find the old one's files as its
 * own. Waits for the disk. ERR_OFFLINE; ERR_LIMIT (descriptors).
 */
MUST_USE struct err store_sync_names(struct store *store, struct diag *diag);

/*
 * Tickets number changes of the manifest in order. A change is durable when store_durable_ticket
 * has reached its ticket; store_flush_step carries it there and tells events.ticket, perhaps before
 * the caller has noted the ticket down: look at store_durable_ticket afterwards. Any thread.
 */
uint64_t store_durable_ticket(struct store *store);

/* Syncs the manifest now, for callers that may wait for the disk (start, tests). Errors: W7. */
MUST_USE struct err store_sync_tickets(struct store *store, struct diag *diag);

/* What a flush step did. */
struct store_flush_result {
    uint32_t log_count;  /* whose durable offset may have moved */
    uint32_t sync_count; /* files, directories, file systems synced */
    bool is_more;        /* more became dirty meanwhile: call again */
    bool is_short;       /* descriptors or memory are short: call again after a pause */
};

/*
 * Group commit: takes the dirty logs, notes each one's end under its lock, syncs their files
 * without any lock, then moves each durable offset up to what was noted and tells its listener.
 * Above STORE_SYNCFS_COUNT dirty logs it syncs the file system once instead. Also syncs the
 * manifest for tickets. Does nothing and returns at once when nothing is dirty. Several threads may
 * call it: each takes its own share. Logs whose files cannot be opened for want of descriptors or
 * memory are left for the next call, which is_short asks for, and reported once. After a failed
 * sync: ERR_OFFLINE, now and for ever (W7).
 */
MUST_USE struct err store_flush_step(struct store *store, struct store_flush_result *result,
                                     struct diag *diag);

/* What a background step left. */
struct store_background_result {
    bool is_more;    /* the budget ended first: call again soon */
    int64_t next_ms; /* else: wall clock time of the next thing that is due */
};

/*
 * Does due background work worth about byte_budget bytes of disk traffic, at least one piece: seals
 * rolled segments (trim, sync, index, producer snapshot, checkpoint), checkpoints of logs that have
 * grown, retention, removal of deleted files, rewriting of the manifest, compaction. now_ms: wall
 * clock. One thread at a time. Errors of one log are reported and tried again later; what is
 * returned is ERR_OFFLINE.
 */
MUST_USE struct err store_background_step(struct store *store, int64_t now_ms, int64_t byte_budget,
                                          struct store_background_result *result,
                                          struct diag *diag);

/* True after a failed sync (W7): appends are refused, reads still work. Any thread. */
bool store_is_offline(const struct store *store);

/* Counters since store_open, for metrics. Any thread; each number for itself. */
struct store_stats {
    uint64_t append_count;
    uint64_t append_size;
    uint64_t flush_count;
    uint64_t sync_count;
    uint64_t roll_count;
    uint64_t checkpoint_count;
    uint64_t segment_delete_count;
    uint64_t manifest_rewrite_count;
    uint64_t compaction_count;     /* runs that came to their end */
    uint64_t compaction_read_size; /* bytes they read, and wrote */
    uint64_t compaction_write_size;
    uint32_t open_file_count;
    uint32_t log_count;
    uint64_t batches_scanned; /* at recovery */
    uint64_t size_truncated;  /* at recovery */
};

void store_read_stats(struct store *store, struct store_stats *out);

/*
 * Ends cleanly: flushes, checkpoints every log (asking listeners for snapshots), rewrites the
 * manifest with the mark of a clean end, frees the store. Logs still referenced (by the caller or
 * by open slices) must be given up first. On an error the store is freed all the same and the next
 * start is an unclean one. No step may be running or called afterwards.
 */
MUST_USE struct err store_close(struct store *store, struct diag *diag);

/* Frees the store as a crash would leave it: nothing is flushed or written. Logs and slices are
 * given up first, as for store_close. NULL is ignored. */
void store_abandon(struct store *store);

#endif
