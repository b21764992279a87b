/* compress_internal: the codec with a framing of its own. */
#ifndef HEADRACE_RECORD_COMPRESS_INTERNAL_H
#define HEADRACE_RECORD_COMPRESS_INTERNAL_H

#include "record/compress.h"

struct err snappy_compress_append(struct span bytes, struct buf *out);
struct err snappy_decompress_append(struct span bytes, struct buf *out);

#endif
