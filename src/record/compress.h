/*
 * compress: Kafka's four codecs over the records of a batch.
 *
 * Each call makes and frees its codec's state; nothing is kept between calls, so any thread may
 * call at any time with buffers of its own.
 */
#ifndef HEADRACE_RECORD_COMPRESS_H
#define HEADRACE_RECORD_COMPRESS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Attribute bits 0 to 2 of a batch (KIP-98, KIP-110). */
enum compression {
    COMPRESSION_NONE = 0,
    COMPRESSION_GZIP = 1,
    COMPRESSION_SNAPPY = 2,
    COMPRESSION_LZ4 = 3,
    COMPRESSION_ZSTD = 4,
    COMPRESSION_COUNT,
};

/* The codec's own default: gzip 6, lz4 its fast mode (as Kafka's Java client), zstd 3. */
#define COMPRESSION_LEVEL_DEFAULT INT32_MIN

/* Kafka's name of the codec ("none", "gzip", "snappy", "lz4", "zstd"), a constant. */
const char *compression_name(enum compression codec);

/*
 * Appends the compressed bytes to out. Writes what Kafka's own clients write: gzip, snappy in
 * xerial framing with 32 KiB blocks, an lz4 frame with independent 64 KiB blocks, a zstd frame.
 * level: in the codec's own range (KIP-390; snappy has none), or COMPRESSION_LEVEL_DEFAULT.
 * Errors: ERR_LIMIT beyond out->size_max, ERR_NO_MEMORY, ERR_INVALID for a level that the codec
 * does not know. On failure out is as it was.
 */
MUST_USE struct err compress_append(enum compression codec, int level, struct span bytes,
                                    struct buf *out);

/*
 * Appends the decompressed bytes to out. Takes what any client writes: several gzip members, lz4 or
 * zstd frames one after the other; snappy in xerial framing or raw. Memory grows with the bytes
 * produced, never with a size that the input claims; out->size_max is the bound against bombs.
 * Errors: ERR_CORRUPT, ERR_TRUNCATED, ERR_LIMIT beyond out->size_max, ERR_NO_MEMORY. On failure out
 * is as it was.
 */
MUST_USE struct err decompress_append(enum compression codec, struct span bytes, struct buf *out);

#endif
