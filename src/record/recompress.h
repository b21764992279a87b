/* recompress: a batch's records under another codec, where a topic wants them so (KIP-390). */
#ifndef HEADRACE_RECORD_RECOMPRESS_H
#define HEADRACE_RECORD_RECOMPRESS_H

#include "record/batch.h"

/*
 * Appends the batch to out with its records under the given codec and level (see compress_append):
 * the same records, offsets, timestamps and producer, a new size and CRC. Plain records go through
 * scratch, which is cleared first and whose size_max bounds them. *made lies in out until that
 * changes. Errors: decompress_append's and compress_append's; then out
 * is as it was.
 */
MUST_USE struct err batch_recompress(struct span batch, enum compression codec, int level,
                                     struct buf *scratch, struct buf *out, struct span *made);

#endif
