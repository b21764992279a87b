/*
 * buf: bytes that grow at the end, up to a bound.
 *
 * One owner, one thread at a time. Appending may move the bytes: a span into a buf is valid until
 * the next call that changes it.
 */
#ifndef HEADRACE_BASE_BUF_H
#define HEADRACE_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max; /* appending beyond it fails with ERR_LIMIT */
};

void buf_init(struct buf *buf, size_t size_max);

/* Frees the bytes; the buf is empty and usable again. */
void buf_deinit(struct buf *buf);

/* Makes room for size more bytes behind the end. ERR_LIMIT beyond size_max, ERR_NO_MEMORY. */
MUST_USE struct err buf_reserve(struct buf *buf, size_t size);

/* Appends the bytes; on failure nothing is changed. Errors as buf_reserve. */
MUST_USE struct err buf_append(struct buf *buf, const void *bytes, size_t size);

/* Appends printed text without the final NUL. */
MUST_USE struct err buf_print(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Drops the first size bytes (size <= buf->size) and moves the rest to the front. */
void buf_consume(struct buf *buf, size_t size);

static inline void buf_clear(struct buf *buf)
{
    buf->size = 0;
}

static inline struct span buf_span(const struct buf *buf)
{
    return span_make(buf->data, buf->size);
}

#endif
