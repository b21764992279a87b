/*
 * frame: where one request or answer ends and the next begins.
 *
 *   int32 size (big-endian) | size bytes
 *
 * A size below 1 and a size above the caller's limit are errors that end a connection: the bytes
 * after them mean nothing.
 */
#ifndef HEADRACE_WIRE_FRAME_H
#define HEADRACE_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "wire/cursor.h"

#define FRAME_PREFIX_SIZE 4

struct frame {
    bool complete;
    struct span body;  /* the bytes after the prefix, within the caller's; null unless complete */
    size_t size_total; /* the frame with its prefix; FRAME_PREFIX_SIZE until the prefix is there */
};

/*
 * Looks at the first bytes received and not yet taken. Not complete: more must come, size_total
 * bytes in all. Complete: body, and the next frame begins after size_total bytes. ERR_CORRUPT for
 * a size below 1, ERR_LIMIT for one above body_size_max; both as soon as the prefix is there.
 */
MUST_USE struct err frame_parse(struct span received, uint32_t body_size_max, struct frame *out);

/* Where a frame that is being written began. */
struct frame_mark {
    size_t offset;
    size_t splice_size;
};

/* Leaves room for the prefix of a frame. */
MUST_USE struct err frame_begin(struct writer *writer, struct frame_mark *mark);

/* Writes into the prefix how much came since, spliced bytes included. ERR_LIMIT above INT32_MAX. */
MUST_USE struct err frame_end(struct writer *writer, struct frame_mark mark);

#endif
