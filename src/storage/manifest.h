/*
 * manifest: the journal that says which files exist and what is checkpointed.
 *
 *     0             8           12        16
 *     | "HRMANIF\0" | version=1 | CRC32C  | entries ...
 *
 *     an entry, its begin at a multiple of 8:
 *     0        4        8                 16     17
 *     | size   | CRC32C | size then known | kind | body ... | zeros up to the next multiple of 8
 *     |        |        | to be synced    |      |
 *
 * size counts kind and body; the CRC covers everything behind itself but the zeros. Numbers have
 * their most significant byte first. Entries are facts, not commands: doing one again changes
 * nothing, so that a rewritten manifest may end with entries that its beginning knows already.
 *
 * A torn entry ends the journal: what follows was never synced. Each entry says how much was known
 * to be synced when it was written; if a later one says more than where the torn one lies, then it
 * is not torn but damaged, and the store does not open.
 *
 * Any thread may append and sync; one rewrites.
 */
#ifndef HEADRACE_STORAGE_MANIFEST_H
#define HEADRACE_STORAGE_MANIFEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"
#include "os/os_file.h"
#include "os/os_thread.h"

enum manifest_kind {
    MANIFEST_OPEN = 1,   /* leader_epoch: a store began to run */
    MANIFEST_CLEAN,      /* the store ended cleanly; nothing follows but OPEN */
    MANIFEST_CREATE,     /* id, name: a log has a directory */
    MANIFEST_DELETE,     /* id: a log is gone, its directory renamed aside */
    MANIFEST_SEGMENT,    /* id, segment.base_offset: a log goes on in a new segment */
    MANIFEST_SEAL,       /* id, segment: a segment is trimmed, synced, indexed */
    MANIFEST_START,      /* id, offset: the start offset; segments wholly below are dropped */
    MANIFEST_CHECKPOINT, /* id, offset, snapshot_offset, segment, epochs */
    MANIFEST_TRUNCATE,   /* id, offset: nothing from there on is part of the log */
    MANIFEST_REPLACE,    /* id, segment, copy: a segment, sealed, in the place of all that begin
                            within its offsets: what compaction has left of them */
    MANIFEST_COMPACTED,  /* id, offset, horizon_ms: compaction has come up to there */
    MANIFEST_KIND_END,
};

struct log_id {
    struct uuid topic_id;
    int32_t partition;
};

/* What the manifest knows of a segment: up to its end when sealed, up to the checkpoint else. */
struct segment_facts {
    int64_t base_offset;
    int64_t next_offset; /* one above the last offset */
    int64_t size;        /* bytes */
    int64_t first_timestamp;
    int64_t max_timestamp;
    int64_t max_timestamp_offset; /* last offset of the batch that has it */
    uint32_t offset_entry_count;  /* in the .index file */
    uint32_t time_entry_count;    /* in the .timeindex file */
};

struct manifest_entry {
    enum manifest_kind kind;
    struct log_id id;
    struct span name;
    int32_t leader_epoch;
    int64_t offset;
    int64_t snapshot_offset; /* -1: none */
    bool has_snapshot_file;  /* false: the state there was empty */
    struct segment_facts segment;
    uint32_t copy;      /* of the segment's two names */
    int64_t horizon_ms; /* when compaction can remove more without new records; -1: never */
    struct span epochs; /* encoded: 12 bytes each, epoch and start offset */
};

struct manifest {
    const struct os_files *files;
    char *path; /* of the file; path_new beside it */
    char *path_new;
    const char *dir; /* borrowed from the store */
    struct os_mutex lock;
    int file;
    int file_retired;    /* replaced while a sync was running; the last syncer closes it */
    uint32_t sync_count; /* syncs running */
    bool has_failed;     /* a sync has: others of the file may succeed and mean nothing (W7) */
    int64_t size;
    int64_t size_synced;
    int64_t size_rewritten; /* at the last rewrite */
    uint64_t ticket_last;
    uint64_t ticket_durable;
    bool is_rewriting;
    struct buf scratch;
    struct buf tail; /* entries written during a rewrite */
};

/* Called for each entry in order; entry's spans live during the call. */
typedef struct err (*manifest_visit)(void *context, const struct manifest_entry *entry,
                                     struct diag *diag);

/* What loading found. */
struct manifest_summary {
    bool is_new;   /* there was no manifest; one was made */
    bool is_clean; /* the last entry was MANIFEST_CLEAN */
    int32_t leader_epoch;
    int64_t size_torn; /* bytes dropped at the end */
};

/* Where the manifest lies and who hears its entries. dir is borrowed until manifest_deinit. */
struct manifest_setup {
    const struct os_files *files;
    const char *dir;
    bool distrusts_pages; /* what is read is written to a new file (W7) */
    manifest_visit visit;
    void *context;
};

/*
 * Opens DIR/manifest, making an empty one where there is none, and visits its entries. The caller
 * ends with manifest_close, also after an error. ERR_CORRUPT for damage that is not a torn end,
 * ERR_UNSUPPORTED for another version, the visitor's own, those of files.
 */
MUST_USE struct err manifest_open(struct manifest *manifest, const struct manifest_setup *setup,
                                  struct manifest_summary *summary, struct diag *diag);

/* Prepares and frees the caller's memory, opened or not. manifest_deinit closes; syncs nothing. */
void manifest_init(struct manifest *manifest);
void manifest_deinit(struct manifest *manifest);

/*
 * Visits the entries of a manifest's bytes, header included, as manifest_open does. *size_whole:
 * the bytes that are whole. For manifest_open and the fuzzer.
 */
MUST_USE struct err manifest_parse(struct span bytes, manifest_visit visit, void *context,
                                   size_t *size_whole, struct diag *diag);

/* Writes an entry behind the last; a failed write is cut back. *ticket (may be NULL): its number.
 */
MUST_USE struct err manifest_append(struct manifest *manifest, const struct manifest_entry *entry,
                                    uint64_t *ticket);

/* The number of the last entry that is durable, and of the last one written. */
uint64_t manifest_durable(struct manifest *manifest);
uint64_t manifest_last(struct manifest *manifest);

/* Makes all entries written before the call durable; does nothing where they are. */
MUST_USE struct err manifest_sync(struct manifest *manifest);

/* Whether the journal has grown enough to be worth rewriting. */
bool manifest_wants_rewrite(struct manifest *manifest);

/* Appends every fact that still counts to out, by manifest_encode. Called without the lock. */
typedef struct err (*manifest_emit)(void *context, struct buf *out);

/* Appends the entry's bytes to out. ERR_NO_MEMORY, ERR_LIMIT. */
MUST_USE struct err manifest_encode(const struct manifest_entry *entry, struct buf *out);

/* Puts a fresh manifest in the place of the old one by a rename; all entries are durable then. On
 * an error the old one stays in use, unless *is_renamed: then the new one is, and its name is not
 * safe. One thread at a time. */
MUST_USE struct err manifest_rewrite(struct manifest *manifest, manifest_emit emit, void *context,
                                     bool *is_renamed);

#endif
