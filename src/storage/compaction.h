/*
 * compaction: of the records of a key only the newest stays (cleanup.policy=compact).
 *
 *        already compacted   |            dirty             |  may not be touched
 *     [ sealed ] [ sealed ]  | [ sealed ] [ sealed ]        | [ ... ] [ active ]
 *     base 0                 ^log.compaction.offset  ^end   ^below
 *
 * One run is about one log. MAP reads the dirty part and notes each key's newest offset; where the
 * map is full, the run ends there. COPY reads from the log's begin up to that end and writes what
 * stays into new segments, several old ones into one as long as segment.bytes allows. The work is
 * done in pieces, by background steps; one run is under way at a time.
 *
 * What stays (Apache Kafka's Cleaner; KIP-58, KIP-98, KIP-354, KIP-534), at its offset:
 *  C1 Of each key the newest record of the run, unless it is a tombstone whose time is over; all
 *     that lies at or above the run's end.
 *  C2 No record of an aborted transaction. A transaction's marker, until a run has met no batch of
 *     the transaction any more; from then on for delete.retention.ms.
 *  C3 A tombstone, for delete.retention.ms from the run on that keeps it first. The time is noted
 * in its batch (bit 6 of the attributes, base timestamp) and survives restarts. C4 The header of a
 * batch without records where it is its producer's last, or the run's last. C5 A batch whose
 * records cannot be read, as it is.
 *
 * Which part: sealed segments below the segment of the checkpoint, so that recovery never meets
 * what compaction wrote (W5); durable, below the owner's stable offset, older than
 * min.compaction.lag.ms.
 *
 * Crash safety (W6): the new files have names that are not in use (segment_path) and are synced
 * with their names; then one manifest entry, MANIFEST_REPLACE, puts them in the place of the old
 * ones, which are removed once the entry is durable. A crash in between leaves strays (strays.c),
 * never doubt. Whoever reads an old segment goes on reading its file, or, where it was removed
 * before it was opened, finds the new one (log_find_place).
 *
 * On the background thread; what others see is changed under the log's lock.
 */
#ifndef HEADRACE_STORAGE_COMPACTION_H
#define HEADRACE_STORAGE_COMPACTION_H

#include "base/map.h"
#include "storage/offset_map.h"
#include "storage/scan.h"
#include "storage/storage_internal.h"

enum compaction_phase {
    COMPACTION_IDLE,
    COMPACTION_MAP,
    COMPACTION_COPY,
};

/* What is read: the run's segments, one after the other. */
struct compaction_input {
    struct segment **segments; /* each with a reference, oldest first */
    uint32_t count;
    uint32_t at;              /* the one being read */
    struct cached_file *file; /* of it, with a reference; NULL before its begin */
    struct scan scan;
};

/* What is written: a segment that is going to replace some. */
struct compaction_output {
    struct segment *segment; /* NULL: none is being written */
    int file;
    struct buf buffer;   /* behind the bytes of the file */
    uint32_t first;      /* of the input's segments that it replaces */
    uint32_t end;        /* behind the last of them */
    int64_t size_unread; /* bytes of theirs that are still to be read */
    bool is_changed;     /* something differs from what it replaces */
};

/* One run. */
struct compaction {
    enum compaction_phase phase;
    struct log *log; /* with a reference */
    struct log_config config;
    int64_t now_ms; /* of its begin: tombstones' times count from there */
    int64_t dirty_from;
    int64_t end;        /* of what the map covers */
    int64_t below;      /* where the last of the run's segments ends */
    uint32_t cut_count; /* the log's, at the run's begin */
    int64_t horizon_ms; /* the earliest of what was kept, -1: none */
    struct offset_map map;
    struct compaction_input input;
    struct compaction_output output;
    struct map producers; /* ids that COPY met batches of since their last marker, on the heap */
    struct buf scratch;   /* decompressed records */
    struct buf decisions; /* a byte for each record of a batch: whether it stays */
};

/* The store's part, created and destroyed with it: the run under way, and when to look for the
 * next. */
struct compactor {
    struct compaction run; /* IDLE: none */
    uint32_t next;         /* place of the next log to look at; UINT32_MAX between looks */
    struct log *best;      /* the most urgent of those looked at, with a reference; NULL: none */
    double best_urgency;   /* of best */
    int64_t due_ms;        /* of the next look */
    int64_t paused_ms;     /* rate_max: the run goes on then */
};

/* ---- compaction.c ---- */

/* NULL without memory. Destroying abandons nothing: call compaction_abandon before. */
struct compactor *compactor_create(void);
void compactor_destroy(struct compactor *compactor);

/* Does a piece of a run, or of looking for one. False where nothing is due. *size: bytes of disk
 * traffic. *err: ERR_OFFLINE alone; what goes wrong with a log is reported and tried again later.
 */
bool compaction_step(struct store *store, int64_t now_ms, int64_t *size, struct err *err,
                     struct diag *diag);

/* When compaction_step has something to do next. */
int64_t compaction_due_ms(const struct store *store);

/* Gives up the run under way and its files; leaves them where the disk is not to be touched. */
void compaction_abandon(struct store *store, bool removes_files);

/* ---- compaction_input.c ---- */

/* Gives the next batch of the input, valid until the next call; *is_end behind the last of the
 * segment. ERR_CORRUPT with a sentence where the bytes are no intact batch. */
MUST_USE struct err compaction_read(struct compaction *run, struct span *batch,
                                    struct batch_header *header, bool *is_end, struct diag *diag);

/* Goes to the next segment, or to any. */
void compaction_seek(struct compaction *run, uint32_t at);

/* Notes the keys of one batch; *is_full: the map is, and run->end says where. */
MUST_USE struct err compaction_map_batch(struct compaction *run, struct span batch,
                                         const struct batch_header *header, bool *is_full);

/* ---- compaction_filter.c ---- */

/* Forgets all transactions. */
void compaction_transactions_clear(struct map *producers);

/* Whether the batch belongs to an aborted transaction. */
bool compaction_is_aborted(const struct compaction *run, const struct batch_header *header);

/* Appends to out what stays of the batch (C1 to C5): all, some of it, its header, or nothing.
 * size_max: a batch that would become larger stays as it is. ERR_NO_MEMORY. */
MUST_USE struct err compaction_filter(struct compaction *run, struct span batch,
                                      const struct batch_header *header, int64_t size_max,
                                      struct buf *out);

/* ---- compaction_output.c ---- */

/* Begins a new segment in the place of the input's one at `first`. */
MUST_USE struct err compaction_output_begin(struct compaction *run, uint32_t first,
                                            struct diag *diag);

/* Takes the next segment of the input in, too, if both fit into one: segment.bytes, the bounds of
 * the indexes. False where they do not, or there is none. */
bool compaction_output_extend(struct compaction *run);

/* Takes in a batch of the input: filters it and writes what stays. *size: bytes written. */
MUST_USE struct err compaction_output_add(struct compaction *run, struct span batch,
                                          const struct batch_header *header, int64_t *size);

/* Syncs the segment and puts it in its place, or drops it where it would be the same. */
MUST_USE struct err compaction_output_end(struct compaction *run, struct diag *diag);

/* Drops what was begun. */
void compaction_output_abandon(struct compaction *run, bool removes_files);

#endif
