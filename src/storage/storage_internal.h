/*
 * storage_internal: what a store and a log are made of, for the files of this folder.
 *
 * Locks, outermost first: log.lock; then store.names.lock, store.flush.lock, store.work.lock,
 * store.manifest.lock, store.cache.lock, none of which is held while another one is taken.
 */
#ifndef HEADRACE_STORAGE_STORAGE_INTERNAL_H
#define HEADRACE_STORAGE_STORAGE_INTERNAL_H

#include <stdatomic.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "storage/epochs.h"
#include "storage/file_cache.h"
#include "storage/index.h"
#include "storage/manifest.h"
#include "storage/storage.h"

/*
 * A segment's life:
 *
 *     ACTIVE --log_roll--> SEALING --segment_seal--> SEALED
 *       ^                     |                        |
 *       +----- log_truncate --+------------------------+
 *
 * Only the last segment is ACTIVE. Any may be dropped (retention, log_truncate, deletion).
 */
enum segment_state {
    SEGMENT_ACTIVE,
    SEGMENT_SEALING, /* not written any more; not yet trimmed, indexed, in the manifest */
    SEGMENT_SEALED,
};

/* One .log file and its indexes. The log's lock guards it; references keep it and its slots. */
struct segment {
    struct segment_facts facts; /* as they are now; its entry counts are filled by segment_facts */
    int64_t size_synced;        /* bytes that a completed sync covers */
    int64_t size_flushing;      /* bytes that the running sync will cover */
    int64_t size_allocated;     /* reserved on the disk, 0 before the first reservation */
    int64_t opened_ms;
    int64_t jitter_ms;
    struct index index;
    struct cached_file *file; /* slots of the file cache */
    struct cached_file *offsets_file;
    struct cached_file *times_file;
    struct cached_file *pin; /* a reference while there are unsynced bytes, else NULL */
    uint32_t ref_count;
    enum segment_state state;
    uint8_t copy;           /* which of its two names the files have, see segment_path */
    bool is_compacted;      /* offsets may be missing; SEALED, and never written again */
    atomic_bool is_checked; /* the file was seen to hold at least facts.size bytes */
    atomic_bool is_retired; /* compaction has put another in its place */
};

struct segment_list {
    struct segment **items; /* by base offset; NULL while the log never held a record */
    uint32_t count;
    uint32_t capacity;
};

enum log_state {
    LOG_UNCLAIMED, /* the manifest knows it, nobody has opened it */
    LOG_OPEN,
    LOG_DELETED,
};

/* A log's part in the group commit. */
struct log_flush {
    struct list link;
    atomic_bool is_queued; /* in store.flush.dirty or put_off; cleared without the log's lock */
    bool is_running;       /* a step syncs it now */
    bool is_wanted_again;  /* became dirty while it ran */
    bool holds_checkpoint; /* the log's checkpoint waits for the run that goes on */
    bool is_dir_unsynced;  /* the directory has new names */
    uint64_t ticket;       /* manifest entries that its files need */
    uint64_t root_change;  /* change of the data directory that it needs */
    int64_t end_running;   /* what the running sync makes durable, and where that lies */
    int64_t base_running;
    int64_t position_running;
    int64_t durable_base; /* where the durable offset lies: segment and position */
    int64_t durable_position;
};

/* What the manifest says about a log's safe part. */
struct log_checkpoint {
    bool exists;
    bool has_snapshot_file;
    int64_t offset;
    int64_t snapshot_offset;    /* -1: none */
    struct segment_facts facts; /* of the segment that holds offset, up to there */
};

/* How far compaction has come with a log; the log's lock. */
struct log_compaction {
    int64_t offset;     /* below it each key's records but the newest are gone */
    int64_t horizon_ms; /* tombstones or markers there may go from then on; -1: there are none */
    int64_t retry_ms;   /* not before that: the last try has failed */
    uint64_t count;     /* of replacements */
};

enum log_urgency {
    WORK_NONE,
    WORK_AGING,  /* a checkpoint is due some time after since_ms */
    WORK_URGENT, /* segments to seal, or many bytes since the checkpoint */
};

/* A log's place among what the background step has to do. */
struct log_work {
    struct list link; /* in store.work.urgent or .aging, as urgency says; store.work.lock */
    atomic_int urgency;
    int64_t since_ms;
    int64_t size_since; /* bytes since the checkpoint; the log's lock */
    bool has_strays;    /* perhaps: to be looked for in the next round; the log's lock */
};

struct log_bounds {
    int64_t start;
    int64_t end;
    int64_t durable;
    int64_t size; /* bytes of all segments */
};

#define LOG_MAGIC 0x4c4f4721

struct log {
    uint32_t magic;
    atomic_uint ref_count;
    struct os_mutex lock;
    struct store *store;
    struct log_id id;
    enum log_state state;
    struct log_config config;
    struct log_listener listener;
    struct log_bounds bounds;
    struct segment_list segments;
    struct epochs epochs;
    struct log_flush flush;
    struct log_checkpoint checkpoint;
    struct log_work work;
    struct log_compaction compaction;
    uint32_t cut_count; /* how often log_truncate has cut it */
    char *damage;       /* not NULL: quarantined, and why */
    uint32_t place;     /* in store.names.logs */
    bool has_dir;
    char name[]; /* of the directory */
};

/* Something to remove once the manifest that no longer knows it is durable. */
enum garbage_kind {
    GARBAGE_SEGMENT,  /* a log's .log, .index and .timeindex at offset */
    GARBAGE_SNAPSHOT, /* a log's .snapshot at offset */
    GARBAGE_DIR,      /* a directory and what is in it */
};

struct garbage {
    struct list link;
    enum garbage_kind kind;
    uint64_t ticket;
    int64_t offset;
    uint8_t copy;    /* of a segment's files */
    struct log *log; /* referenced; NULL for GARBAGE_DIR */
    char name[];     /* of the directory, for GARBAGE_DIR */
};

struct store_names {
    struct os_mutex lock;
    struct map map; /* struct log_id -> struct log */
    struct log **logs;
    uint32_t count;
    uint32_t capacity;
};

/* Stands for all that the last run may have left unsynced in the data directory. */
#define STORE_ROOT_CHANGE_FIRST 1

struct store_flusher {
    struct os_mutex lock;
    struct list dirty; /* of log.flush.link, each with a reference */
    uint32_t dirty_count;
    struct list put_off; /* the same, of logs that a step could not open */
    bool has_told_shortage;
    uint64_t root_changes; /* names made or renamed in the data directory */
    uint64_t root_synced;
    uint64_t ticket_wanted; /* somebody waits for it */
    uint64_t ticket_told;
};

struct store_work {
    struct os_mutex lock;
    struct list urgent; /* of log.work.link, each with a reference */
    struct list aging;  /* by since_ms */
    struct list garbage;
    int64_t retention_due_ms;
    uint32_t retention_next; /* place of the next log to look at; UINT32_MAX between passes */
};

/* Numbers for store_stats; each for itself. */
struct store_counters {
    atomic_ullong append_count;
    atomic_ullong append_size;
    atomic_ullong flush_count;
    atomic_ullong sync_count;
    atomic_ullong roll_count;
    atomic_ullong checkpoint_count;
    atomic_ullong segment_delete_count;
    atomic_ullong manifest_rewrite_count;
    atomic_ullong compaction_count;
    atomic_ullong compaction_read_size;
    atomic_ullong compaction_write_size;
    atomic_ullong batches_scanned;
    atomic_ullong size_truncated;
};

#define STORE_MAGIC 0x53544f52

struct compactor; /* storage/compaction.h */

struct store {
    uint32_t magic;
    struct store_options options; /* dir is the store's copy */
    char *dir;
    int lock_file;
    int32_t leader_epoch;
    bool was_clean;
    bool distrusts_pages; /* W7: the last run saw a sync fail */
    bool is_new;
    atomic_bool is_offline;
    atomic_bool must_tell_dirty; /* events that store_tell is to call */
    atomic_bool must_tell_work;
    atomic_bool must_tell_offline; /* offline_words, by store_tell_offline */
    struct diag offline_words;
    struct file_cache cache;
    struct manifest manifest;
    struct store_names names;
    struct store_flusher flush;
    struct store_work work;
    struct compactor *compactor;
    struct store_counters counters;
};

/* ---- store.c ---- */

/* Calls the events that became due while locks were held. Without locks. */
void store_tell(struct store *store);

/* Tells people. Without locks. */
void store_report(struct store *store, const char *format, ...) PRINTF_LIKE(2, 3);

/* W7: a sync of `what` has failed. Takes the store offline, leaves DIR/sync-failed, tells once, and
 * returns ERR_OFFLINE with a sentence. Without locks. */
MUST_USE struct err store_fail_sync(struct store *store, const char *what, struct err err,
                                    struct diag *diag);

/* The same under locks, be they the caller's of log_append: the next flush step tells. */
MUST_USE struct err store_note_failed_sync(struct store *store, const char *what, struct err err,
                                           struct diag *diag);

/* Tells what store_note_failed_sync has noted, once. Without locks. */
void store_tell_offline(struct store *store);

/* Makes names in the data directory safe up to change. Goes offline on failure; under locks by the
 * second, and the next flush step tells. */
MUST_USE struct err store_sync_root(struct store *store, uint64_t change, struct diag *diag);
MUST_USE struct err store_sync_root_locked(struct store *store, uint64_t change, struct diag *diag);

/* Makes manifest entries safe up to ticket. Goes offline on failure. */
MUST_USE struct err store_sync_manifest(struct store *store, uint64_t ticket, struct diag *diag);

/* Notes that a name in the data directory has changed and returns the change's number. */
uint64_t store_note_root_change(struct store *store);

/* Renames a log's directory that is on its way out, and queues it for removal after the ticket. The
 * name is safe after store_sync_names. */
MUST_USE struct err store_move_aside(struct store *store, const char *name, uint64_t ticket);

/* A directory named <something>-<digits>: a log of Kafka's, or of ours. */
bool store_is_log_name(const char *name);

/* Says that somebody waits for a ticket; tells the flusher. Without locks. */
void store_want_ticket(struct store *store, uint64_t ticket);

/* ---- lifecycle.c ---- */

/* Rewrites the manifest from what the logs are now. Failures are reported; ERR_OFFLINE where the
 * new one's name could not be made safe. */
MUST_USE struct err store_rewrite_manifest(struct store *store, struct diag *diag);

/* ---- names.c ---- */

/* Makes an unclaimed log of that name and enters it; its reference is the store's own. */
MUST_USE struct err names_add(struct store *store, const struct log_id *id, struct span name,
                              struct log **out);

/* The log of that id, or NULL. With a reference. */
struct log *names_find(struct store *store, const struct log_id *id);

/* Takes the log out and gives up the store's reference. */
void names_remove(struct store *store, struct log *log);

/* The log at the place, with a reference; NULL behind the last. */
struct log *names_at(struct store *store, uint32_t place);

/* ---- segment.c ---- */

/* Writes DIR/<log>/<offset><suffix>. */
void log_path(const struct log *log, char path[STORE_PATH_SIZE], int64_t offset,
              const char *suffix);

/* Writes DIR/<log>. */
void log_dir_path(const struct log *log, char path[STORE_PATH_SIZE]);

/* The same for a segment's file: copy 0 has the offset in 20 digits, copy 1 in 21, which Kafka's
 * tools read as the same number. Compaction writes the copy that is not in use. */
void log_copy_path(const struct log *log, char path[STORE_PATH_SIZE], int64_t offset, uint8_t copy,
                   const char *suffix);
void segment_path(const struct log *log, const struct segment *segment, char path[STORE_PATH_SIZE],
                  const char *suffix);

/* Makes an empty segment on the heap; not on disk, not in the list. NULL without memory. */
struct segment *segment_create(int64_t base_offset);

/* References, under the log's lock. The last one forgets the files. */
void segment_ref(struct segment *segment);
void segment_unref(struct log *log, struct segment *segment);

/* The facts with the entry counts that are in the index files. */
struct segment_facts segment_facts_now(const struct segment *segment);

/* Takes over what the manifest says. */
void segment_load_facts(struct segment *segment, const struct segment_facts *facts);

/* Opens the .log for reading and writing, through the cache. The first time it looks whether the
 * file has the size that is needed: ERR_TRUNCATED. With or without the log's lock. */
MUST_USE struct err segment_open(struct log *log, struct segment *segment, int64_t size_needed,
                                 struct cached_file **out);

/* Removes the three files of a segment; what is missing or cannot be removed is left. */
void segment_remove_files(const struct log *log, const struct segment *segment);

/* Whether the batch's offsets and bytes can be told by the 32 bits that the indexes have. */
bool segment_has_room(const struct segment *segment, const struct batch_header *header);

/* Counts a batch at the end of the segment: facts and index; room was reserved.
 * index_interval_size: the log's config. */
void segment_add(struct segment *segment, const struct batch_header *header,
                 int64_t index_interval_size);

/* Ends the time index with the segment's maximum, as Kafka's does at a roll. ERR_NO_MEMORY. */
MUST_USE struct err segment_end_index(struct segment *segment);

/* Notes that all bytes are synced and lets the pin go; returns it for the caller to unref. */
struct cached_file *segment_take_pin_if_synced(struct segment *segment);

/* A log's segments. */

/* The segment that holds offset, or the last one below it; -1 where there is none. */
int32_t segments_find(const struct segment_list *list, int64_t offset);
struct segment *segments_last(const struct segment_list *list);
MUST_USE struct err segments_reserve(struct segment_list *list);
void segments_push(struct segment_list *list, struct segment *segment);

/* Takes the segments at the front that lie wholly below the start offset, at most max of them, into
 * dropped; returns how many. Sizes are taken off. Locked. */
uint32_t log_drop_below_start(struct log *log, struct segment **dropped, uint32_t max);

/* Takes all segments out of the list that begin within the facts' offsets, but for the one at
 * their begin, which the log has. Locked, at start. */
void log_drop_within(struct log *log, const struct segment_facts *facts);

/* ---- strays.c ---- */

/*
 * Where the log may have strays: removes from its directory segments and snapshots that are not the
 * log's any more, or not yet, and what was on its way out. The manifest is synced first, which may
 * end in ERR_OFFLINE; what cannot be removed is reported and tried again in the next round.
 * *looked: whether there was anything to do. By the background step.
 */
MUST_USE struct err strays_remove(struct log *log, bool *looked, struct diag *diag);

/* ---- append.c ---- */

/* Goes on in a new segment that begins at base_offset; the directory is made where it is missing.
 * Locked. On failure the log is as it was. */
MUST_USE struct err log_roll(struct log *log, int64_t base_offset, struct diag *diag);

/* Check that the log may be read, or written. Locked. In log.c. */
MUST_USE struct err log_check_readable(const struct log *log, struct diag *diag);
MUST_USE struct err log_check_writable(const struct log *log, struct diag *diag);

/* ---- flush.c ---- */

/* Puts the log on the dirty list. Under the log's lock; store_tell afterwards. */
void flush_enqueue(struct log *log);

/* Empties the dirty list, syncing nothing. */
void flush_forget(struct store *store);

/* Syncs one log now, its manifest entries and names included, and advances its durable offset.
 * ERR_AGAIN while another thread does. */
MUST_USE struct err flush_log(struct log *log, uint32_t *sync_count, struct diag *diag);

/* Makes the log's checkpoint urgent as soon as no run of it goes on; at once where none does. */
void flush_hold_checkpoint(struct log *log);

/* ---- place.c ---- */

/* Where a batch lies. */
struct log_place {
    struct segment *segment;  /* with a reference */
    struct cached_file *file; /* with a reference */
    int64_t position;
    int64_t limit;     /* bytes of the segment when it was found */
    int64_t next_base; /* of the next segment; INT64_MAX where there is none */
    bool is_last;
};

/*
 * Finds the batch that holds offset, or the next one. Takes the lock itself. ERR_NOT_FOUND where
 * the log has none from there on; ERR_RANGE, ERR_CLOSED, ERR_CORRUPT, ERR_IO, ERR_LIMIT. On success
 * place_release afterwards.
 */
MUST_USE struct err log_find_place(struct log *log, int64_t offset, struct log_place *place,
                                   struct batch_header *header, struct diag *diag);
void place_release(struct log *log, struct log_place *place);

/* Moves the place to the first batch of its segment that ends at or above offset. ERR_AGAIN where
 * there is none. Without the lock. */
MUST_USE struct err place_seek(struct log *log, int64_t offset, struct log_place *place,
                               struct batch_header *header);

/* What is looked for in an index: the last entry whose field is <= wanted. */
struct index_search {
    enum index_field field;
    int64_t wanted;
};

/* Searches a segment's index, in memory first, then in its file. Without the lock. */
MUST_USE struct err segment_find_entry(struct log *log, struct segment *segment,
                                       const struct index_search *search,
                                       uint8_t entry[TIME_ENTRY_SIZE], bool *found);

/* Quarantines the log for what reading a segment met (ERR_TRUNCATED, ERR_CORRUPT, ERR_NOT_FOUND);
 * other errors only get a sentence. Returns the error to answer. Without the lock. */
MUST_USE struct err log_note_damage(struct log *log, const struct segment *segment, struct err err,
                                    struct diag *diag);

/* ---- recovery.c ---- */

/* Brings a claimed log to life: facts to segments, scan, visitor. Locked by being unknown yet. */
MUST_USE struct err log_recover(struct log *log, const struct log_visitor *visitor,
                                struct diag *diag);

/* Quarantines the log; keeps the first sentence. Locked or unknown yet. */
void log_quarantine(struct log *log, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- replay.c ---- */

/* Applies a manifest entry at start. A manifest_visit; context is the store. */
MUST_USE struct err replay_entry(void *context, const struct manifest_entry *entry,
                                 struct diag *diag);

/* The manifest's entry of the log's checkpoint. Its spans live as long as the lock is held. */
struct manifest_entry log_checkpoint_entry(const struct log *log);

/* After the first segments were dropped: a checkpoint in one of them moves up. Locked. */
void log_lift_checkpoint(struct log *log);

/* The log was cut at the offset: what comes there now was never compacted. Locked. */
void log_lower_compaction(struct log *log, int64_t offset);

/* Appends the log's facts, for a rewrite. Locked. */
MUST_USE struct err replay_emit_log(struct log *log, struct buf *out);

/* ---- checkpoint.c ---- */

/* Seals what is to be sealed, then moves the checkpoint to the end of what is durable (W5). *size:
 * about how many bytes it wrote. */
MUST_USE struct err log_make_checkpoint(struct log *log, int64_t *size, struct diag *diag);

/* The same for all logs at the end of a store; for many, with one sync of the file system. */
MUST_USE struct err store_checkpoint_together(struct store *store, struct log **logs,
                                              uint32_t count, struct diag *diag);

/* ---- background.c ---- */

/* Notes that the log has bytes beyond its checkpoint, or segments to seal. Under the log's lock;
 * store_tell afterwards. */
void work_enqueue(struct log *log, enum log_urgency urgency);

/* Queues something for removal. Without memory a log's files become strays, and a directory waits
 * for the next start. log is referenced. Under the log's lock, if there is one. */
void garbage_add(struct store *store, enum garbage_kind kind, struct log *log, int64_t offset,
                 uint64_t ticket);
void garbage_add_segment(struct log *log, const struct segment *segment, uint64_t ticket);
void garbage_add_dir(struct store *store, const char *name, uint64_t ticket);

/* Removes all garbage now. ERR_OFFLINE. */
MUST_USE struct err store_remove_garbage(struct store *store, struct diag *diag);

/* Empties the work lists and the garbage, doing nothing of it. */
void work_forget_all(struct store *store);

/* ---- retention.c ---- */

/* Moves the start offset by retention.ms and retention.bytes, and queues what falls below it. */
MUST_USE struct err log_apply_retention(struct log *log, int64_t now_ms, struct diag *diag);

/* Moves the start offset up and drops whole segments. *ticket: of the manifest entry. Locked. */
MUST_USE struct err log_move_start(struct log *log, int64_t offset, uint64_t *ticket,
                                   struct diag *diag);

/* ---- snapshot.c ---- */

/* Writes the file whole or not at all, its name not yet synced; its bytes only if is_synced. */
MUST_USE struct err snapshot_write(struct log *log, int64_t offset, struct span bytes,
                                   bool is_synced, struct diag *diag);
/* Reads a snapshot's bytes into out (cleared first). ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
MUST_USE struct err snapshot_read(struct log *log, int64_t offset, struct buf *out,
                                  struct diag *diag);
/* The state inside a snapshot file's bytes; for snapshot_read and the fuzzer. */
MUST_USE struct err snapshot_parse(struct span file, int64_t offset, struct span *state);

#endif
