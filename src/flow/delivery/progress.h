/*
 * progress: which records of a partition are done, and how a commit says so.
 *
 * Records are handled in parallel, so they are not done in the order of their offsets. What is
 * committed is the lowest offset that is not done; the done ones above it travel in the offset's
 * metadata, so that whoever takes over does none of them again:
 *
 *     offset            10 11 12 14 15 17        13 and 16: compacted away, or a marker
 *     done               x  x     x  x
 *     committed         12, and "1 or 2 to do, up to 14; then done, up to 16"
 *
 *     metadata = "h1:" base64url( crc:4 run* )      run: LEB128, the offsets that it spans
 *
 * A commit that changes none of this, as it is about parked events alone, appends "." and a number
 * to be told from the one before; whoever reads metadata passes over that.
 *
 * Runs alternate, beginning with one of offsets to do. crc is CRC32C of cluster, topic, partition,
 * offset and runs: what was copied to another cluster, or belongs to another offset, is ignored.
 *
 * Invariants:
 *  1. Marks are in the order of offsets, one for each record that was received and not left behind.
 *  2. The first mark is never done: done ones at the front are left behind at once.
 *  3. Offsets without a record (compaction, markers) count as what comes before them; so a gap
 *     holds nothing up.
 *  4. What others have done stays in the metadata until it is received.
 *  5. Records that were passed over need not be told: they are as good as a gap, and are passed
 * over again. So metadata grows by commits alone, and one that fitted goes on to fit.
 *
 * One thread. Owner: whoever made it.
 */
#ifndef HEADRACE_FLOW_DELIVERY_PROGRESS_H
#define HEADRACE_FLOW_DELIVERY_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* What tells the metadata of two commits apart that would otherwise say the same. */
#define PROGRESS_NONCE_SIZE 17

/* Kafka's offset.metadata.max.bytes is 4,096 by default; more would be refused for ever. */
#define PROGRESS_METADATA_SIZE_MAX 4096

/* Records above the lowest unfinished one: 8 MB. The partition is not read beyond. */
#define PROGRESS_MARK_COUNT_MAX (1 << 20)

/* What metadata is valid for. */
struct progress_place {
    const char *cluster;
    const char *topic;
    int32_t partition;
};

/* Offsets that are done, the last one excluded. */
struct progress_range {
    int64_t first;
    int64_t end;
};

struct progress {
    uint64_t *marks; /* a ring: offset, and in the two lowest bits its state */
    uint64_t capacity;
    uint64_t first; /* sequence number of the first mark */
    uint64_t count;
    int64_t position;              /* the next offset to be received */
    struct progress_range *loaded; /* done by others before, beyond position */
    size_t loaded_count;
    size_t loaded_next;
};

/* Nothing is received yet; position: the first to be. */
void progress_init(struct progress *progress, int64_t position);
void progress_deinit(struct progress *progress);

/* Believes metadata committed with the position, NULL for none; false: it is not for this place and
 * position, and was ignored. ERR_NO_MEMORY. */
MUST_USE struct err progress_load(struct progress *progress, const struct progress_place *place,
                                  const char *metadata, bool *is_believed);

/*
 * A record was received; its offset is at or beyond position. *sequence names its mark.
 * *is_done: others have done it before, there is nothing to do. ERR_NO_MEMORY; ERR_LIMIT:
 * PROGRESS_MARK_COUNT_MAX.
 */
MUST_USE struct err progress_add(struct progress *progress, int64_t offset, uint64_t *sequence,
                                 bool *is_done);

/* There is nothing to do about the record; that need not be remembered. */
void progress_pass_over(struct progress *progress, uint64_t sequence);

/* The record that was added last, and is to do, was not received after all. */
void progress_take_back(struct progress *progress);

/* There is no further record below the offset. */
void progress_reach(struct progress *progress, int64_t offset);

/* The record is in the commit that is being made; it is out of it again; or it was committed. */
void progress_seal(struct progress *progress, uint64_t sequence);
void progress_unseal(struct progress *progress, uint64_t sequence);
void progress_finish(struct progress *progress, uint64_t sequence);

/* Whether the offset was done before anything was received. */
bool progress_is_done(const struct progress *progress, int64_t offset);

/* The offset to commit: everything below is sealed or done. */
int64_t progress_base(const struct progress *progress);

/*
 * The metadata to go with progress_base, in the arena; NULL where it would say nothing. *fits:
 * false where it would be too long; with fewer records sealed it is shorter, with none it fits.
 * ERR_NO_MEMORY.
 */
MUST_USE struct err progress_encode(const struct progress *progress,
                                    const struct progress_place *place, struct arena *arena,
                                    const char **metadata, bool *fits);

/* Appends a nonce to metadata, NULL for none: a copy in the arena; NULL: no memory. */
const char *progress_add_nonce(const char *metadata, uint64_t nonce, struct arena *arena);

#endif
