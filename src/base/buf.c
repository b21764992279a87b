/* buf: doubling growth within a bound. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"

void buf_init(struct buf *buf, size_t size_max)
{
    *buf = (struct buf){.size_max = size_max};
}

void buf_deinit(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.size_max = buf->size_max};
}

struct err buf_reserve(struct buf *buf, size_t size)
{
    CHECK(buf->size <= buf->capacity);
    if (size <= buf->capacity - buf->size)
        return ERR_NONE;
    if (size > buf->size_max || buf->size > buf->size_max - size)
        return err_make(ERR_LIMIT);
    size_t needed = buf->size + size;
    size_t capacity = buf->capacity < BUF_CAPACITY_MIN ? BUF_CAPACITY_MIN : buf->capacity;
    while (capacity < needed)
        capacity = capacity > buf->size_max / 2 ? buf->size_max : capacity * 2;
    if (capacity > buf->size_max)
        capacity = buf->size_max;
    uint8_t *data = realloc(buf->data, capacity);
    if (data == NULL)
        return err_make(ERR_NO_MEMORY);
    buf->data = data;
    buf->capacity = capacity;
    return ERR_NONE;
}

struct err buf_append(struct buf *buf, const void *bytes, size_t size)
{
    if (size == 0)
        return ERR_NONE;
    TRY(buf_reserve(buf, size));
    memcpy(buf->data + buf->size, bytes, size);
    buf->size += size;
    return ERR_NONE;
}

struct err buf_print(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(size >= 0);
    TRY(buf_reserve(buf, (size_t)size + 1));
    va_start(arguments, format);
    (void)vsnprintf((char *)buf->data + buf->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    buf->size += (size_t)size;
    return ERR_NONE;
}

void buf_consume(struct buf *buf, size_t size)
{
    CHECK(size <= buf->size);
    buf->size -= size;
    if (buf->size != 0 && size != 0)
        memmove(buf->data, buf->data + size, buf->size);
}
