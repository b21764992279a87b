/* manifest_internal: how entries lie in the file, for manifest.c and manifest_entry.c. */
#ifndef HEADRACE_STORAGE_MANIFEST_INTERNAL_H
#define HEADRACE_STORAGE_MANIFEST_INTERNAL_H

#include "storage/manifest.h"

/* Before kind and body: size, CRC, synced size. */
#define FRAME_AT_CRC 4
#define FRAME_AT_SYNCED 8
#define FRAME_SIZE 16
#define FRAME_ALIGN 8

_Static_assert(FRAME_AT_SYNCED == FRAME_AT_CRC + 4, "the CRC covers what follows it");
_Static_assert(FRAME_SIZE == FRAME_AT_SYNCED + 8, "kind and body follow the frame");

static inline size_t frame_pad(size_t size)
{
    return (size + FRAME_ALIGN - 1) & ~(size_t)(FRAME_ALIGN - 1);
}

/* Reads kind and body (size >= 1). False where they mean nothing. */
bool manifest_decode(struct span bytes, struct manifest_entry *out);

/* Fills the synced size and the CRC into encoded frames; bytes are frames', to be written. */
void manifest_seal_frames(struct span frames, uint8_t *bytes, int64_t size_synced);

#endif
