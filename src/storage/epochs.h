/*
 * epochs: at which offset each leader epoch began, as Kafka's LeaderEpochFileCache.
 *
 * Epochs and start offsets rise. Kept as the manifest writes it: 12 bytes an entry. The log's lock
 * guards it.
 */
#ifndef HEADRACE_STORAGE_EPOCHS_H
#define HEADRACE_STORAGE_EPOCHS_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct epochs {
    uint8_t *entries; /* { epoch (4 bytes) | start offset (8 bytes) } ... */
    uint32_t count;
    uint32_t capacity;
};

void epochs_deinit(struct epochs *epochs);

/* Takes the manifest's bytes, a multiple of 12, in place of what is there. ERR_NO_MEMORY;
 * ERR_CORRUPT where they do not rise. */
MUST_USE struct err epochs_load(struct epochs *epochs, struct span bytes);

struct span epochs_span(const struct epochs *epochs);

/* Makes room for one more. ERR_NO_MEMORY. */
MUST_USE struct err epochs_reserve(struct epochs *epochs);

/* Notes the epoch of a batch at offset, if it is a new one; room was reserved. */
void epochs_note(struct epochs *epochs, int32_t epoch, int64_t offset);

/* The last epoch, or -1. */
int32_t epochs_last(const struct epochs *epochs);

/* The epoch of the batch that holds offset, or -1. */
int32_t epochs_at(const struct epochs *epochs, int64_t offset);

/* LeaderEpochFileCache.endOffsetFor for 0 <= wanted, wanted != current. current: the store's epoch,
 * which begins at end where no batch has it yet. -1 and -1 where wanted is above all. */
void epochs_find_end(const struct epochs *epochs, int32_t wanted, int32_t current, int64_t end,
                     int32_t *epoch, int64_t *end_offset);

/* Forgets what begins at or above offset. */
void epochs_cut_end(struct epochs *epochs, int64_t offset);

/* Forgets what ends at or below offset; the epoch that holds it begins there now. */
void epochs_cut_start(struct epochs *epochs, int64_t offset);

#endif
