/*
 * span: some bytes that somebody else owns.
 *
 * Where Kafka knows null strings and null bytes, data == NULL means null, and an empty value has a
 * non-NULL data and size 0. Spans are passed by value; each holder says until when the bytes live.
 */
#ifndef HEADRACE_BASE_SPAN_H
#define HEADRACE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t size;
};

#define SPAN_NULL ((struct span){NULL, 0})

/* Present, and of no bytes. */
#define SPAN_EMPTY ((struct span){(const uint8_t *)"", 0})

/* For printf's "%.*s": SPAN_ARGS(name). */
#define SPAN_ARGS(span) (int)(span).size, (const char *)(span).data

static inline struct span span_make(const void *data, size_t size)
{
    return (struct span){(const uint8_t *)data, size};
}

/* The bytes of a C string without its end; NULL gives the null span. */
static inline struct span span_text(const char *text)
{
    return text == NULL ? SPAN_NULL : span_make(text, strlen(text));
}

static inline bool span_is_null(struct span span)
{
    return span.data == NULL;
}

/*
 * The same bytes without const: for their owner, who may free or change them, and for C libraries
 * whose prototypes lack const and which only read.
 */
static inline void *span_writable(struct span span)
{
    union {
        const uint8_t *readable;
        void *writable;
    } bytes = {.readable = span.data};
    return bytes.writable;
}

/* Equal size and bytes; null equals only null. */
static inline bool span_equal(struct span a, struct span b)
{
    if (a.size != b.size || span_is_null(a) != span_is_null(b))
        return false;
    return a.size == 0 || memcmp(a.data, b.data, a.size) == 0;
}

static inline bool span_equal_text(struct span a, const char *text)
{
    return span_equal(a, span_text(text));
}

/* Orders by bytes, then by size: <0, 0, >0. */
static inline int span_compare(struct span a, struct span b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

#endif
