/*
 * cursor: reads and writes Kafka's wire format, field by field.
 *
 * Here alone are varints, compact and classic lengths, nulls and tagged fields known. The generated
 * codec of each message is a list of calls to these functions; hand-written parsers of the same
 * format (records of internal topics, SASL) use them too.
 *
 *   classic   string: int16 size, -1 null; bytes, records: int32 size, -1 null; array: int32 count
 *   compact   all of these: uvarint of size + 1, 0 null; each struct ends with tagged fields:
 *             uvarint count, then for each uvarint tag, uvarint size, the field
 *
 * 1. A reader never looks beyond its bytes and never trusts a length or a count: more than the
 *    bytes left could hold is ERR_TRUNCATED, before anything is allocated.
 * 2. Spans that a reader gives out point into the bytes it was given and live as long as they do.
 * 3. On failure the position of a reader and the end of a writer are undefined: the message is
 * lost.
 *
 * One thread at a time. Nothing here is validated as UTF-8: text is bytes.
 */
#ifndef HEADRACE_WIRE_CURSOR_H
#define HEADRACE_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "base/uuid.h"

/* How a string, bytes or an array is written. Bits, to be combined. */
enum wire_form {
    WIRE_CLASSIC = 0,
    WIRE_COMPACT = 1,
    WIRE_NULLABLE = 2, /* null is a value; otherwise it is an error */
};

/* The longest string either form can hold: int16's maximum, and Kafka's bound for compact ones. */
#define WIRE_STRING_SIZE_MAX 0x7fff

/*
 * A field of record batches. Decoded, the batches are in bytes. To be encoded they are either in
 * bytes, or, where slice is not NULL, outside: slice_size bytes that the owner of the writer sends
 * itself (a range of a file, say). Null when both data and slice are NULL.
 */
struct wire_records {
    struct span bytes;
    void *slice; /* only handed through; what it points to is the sender's and the handler's */
    uint32_t slice_size;
};

struct reader {
    const uint8_t *data;
    size_t size;
    size_t position;
};

/* The bytes must outlive the reader and the spans that it gives out. Null is read as empty. */
static inline void reader_init(struct reader *reader, struct span bytes)
{
    if (span_is_null(bytes))
        bytes = SPAN_EMPTY;
    *reader = (struct reader){.data = bytes.data, .size = bytes.size};
}

static inline size_t reader_remaining(const struct reader *reader)
{
    CHECK(reader->position <= reader->size);
    return reader->size - reader->position;
}

/* Gives the next size bytes and steps over them; ERR_TRUNCATED where there are fewer. */
MUST_USE static inline struct err reader_take(struct reader *reader, size_t size,
                                              const uint8_t **out)
{
    if (size > reader_remaining(reader))
        return err_make(ERR_TRUNCATED);
    *out = reader->data + reader->position;
    reader->position += size;
    return ERR_NONE;
}

MUST_USE static inline struct err reader_read_int8(struct reader *reader, int8_t *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, 1, &at));
    *out = (int8_t)*at;
    return ERR_NONE;
}

/* Any byte but 0 is true, as in Kafka. */
MUST_USE static inline struct err reader_read_bool(struct reader *reader, bool *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, 1, &at));
    *out = *at != 0;
    return ERR_NONE;
}

MUST_USE static inline struct err reader_read_int16(struct reader *reader, int16_t *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, sizeof *out, &at));
    *out = load_i16(at);
    return ERR_NONE;
}

MUST_USE static inline struct err reader_read_uint16(struct reader *reader, uint16_t *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, sizeof *out, &at));
    *out = load_u16(at);
    return ERR_NONE;
}

MUST_USE static inline struct err reader_read_int32(struct reader *reader, int32_t *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, sizeof *out, &at));
    *out = load_i32(at);
    return ERR_NONE;
}

MUST_USE static inline struct err reader_read_uint32(struct reader *reader, uint32_t *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, sizeof *out, &at));
    *out = load_u32(at);
    return ERR_NONE;
}

MUST_USE static inline struct err reader_read_int64(struct reader *reader, int64_t *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, sizeof *out, &at));
    *out = load_i64(at);
    return ERR_NONE;
}

MUST_USE struct err reader_read_float64(struct reader *reader, double *out);
MUST_USE struct err reader_read_uuid(struct reader *reader, struct uuid *out);

/*
 * Variable-length numbers, 7 bits a byte, the lowest first; the signed ones zigzag-coded.
 * ERR_CORRUPT where more bytes follow than the type can need, or bits that it cannot hold; needless
 * zero groups within that length are accepted, as Kafka accepts them.
 */
MUST_USE struct err reader_read_uvarint(struct reader *reader, uint32_t *out);
MUST_USE struct err reader_read_varint(struct reader *reader, int32_t *out);
MUST_USE struct err reader_read_varlong(struct reader *reader, int64_t *out);

/*
 * Text, bytes or record batches: spans into the reader's bytes; null only with WIRE_NULLABLE, else
 * ERR_CORRUPT. A size below -1 is ERR_CORRUPT, as is text above WIRE_STRING_SIZE_MAX.
 */
MUST_USE struct err reader_read_string(struct reader *reader, unsigned form, struct span *out);
MUST_USE struct err reader_read_bytes(struct reader *reader, unsigned form, struct span *out);
MUST_USE struct err reader_read_records(struct reader *reader, unsigned form,
                                        struct wire_records *out);

/*
 * The count of an array: -1 for null, else at most what the bytes left can hold when each element
 * takes element_size_min bytes or more (at least 1). ERR_LIMIT above WIRE_ARRAY_COUNT_MAX.
 */
MUST_USE struct err reader_read_count(struct reader *reader, unsigned form, size_t element_size_min,
                                      int32_t *out);

/* Whether a nullable struct follows; the sign of a byte says so. */
MUST_USE struct err reader_read_presence(struct reader *reader, bool *out);

/* How many tagged fields follow; ERR_LIMIT above WIRE_TAGGED_FIELD_COUNT_MAX. */
MUST_USE struct err reader_read_tag_count(struct reader *reader, uint32_t *out);

/* A tagged field: its tag, and a reader over exactly its bytes. */
MUST_USE struct err reader_read_tag(struct reader *reader, uint32_t *tag, struct reader *field);

/* Steps over a whole section of tagged fields, of which none is known. */
MUST_USE struct err reader_skip_tags(struct reader *reader);

/* ERR_CORRUPT where bytes are left. */
MUST_USE struct err reader_finish(const struct reader *reader);

/*
 * Returns where part lies in the owner's writable bytes. A decoded span is read-only because a
 * reader does not own what it reads; the owner of the request's buffer (and nobody else) may
 * change record batches in place and comes to them by this. part must lie within buffer.
 */
uint8_t *wire_writable(uint8_t *buffer, size_t buffer_size, struct span part);

/* Bytes that are not in the writer's buf: they belong in front of the buf's byte at offset. */
struct wire_splice {
    size_t offset;
    void *slice;
    uint32_t slice_size;
};

struct writer {
    struct buf *buf;
    struct wire_splice *splices; /* the caller's array, or NULL: then a slice is ERR_LIMIT */
    size_t splice_count;
    size_t splice_count_max;
    size_t splice_size_total;
};

/*
 * Appends to buf, which must outlive the writer. splices has room for splice_count_max slices of
 * records and may be NULL when that is 0. Offsets of splices count from the start of buf, so buf
 * must not be consumed while they are needed.
 */
void writer_init(struct writer *writer, struct buf *buf, struct wire_splice *splices,
                 size_t splice_count_max);

/* Bytes in the buf and in the splices together. */
static inline size_t writer_size(const struct writer *writer)
{
    return writer->buf->size + writer->splice_size_total;
}

/* Makes size bytes at the end of the buf and gives their place. ERR_LIMIT, ERR_NO_MEMORY. */
MUST_USE static inline struct err writer_take(struct writer *writer, size_t size, uint8_t **out)
{
    struct buf *buf = writer->buf;
    if (size > buf->capacity - buf->size)
        TRY(buf_reserve(buf, size));
    *out = buf->data + buf->size;
    buf->size += size;
    return ERR_NONE;
}

MUST_USE static inline struct err writer_write_int8(struct writer *writer, int8_t value)
{
    uint8_t *at;
    TRY(writer_take(writer, 1, &at));
    *at = (uint8_t)value;
    return ERR_NONE;
}

MUST_USE static inline struct err writer_write_bool(struct writer *writer, bool value)
{
    return writer_write_int8(writer, value ? 1 : 0);
}

MUST_USE static inline struct err writer_write_int16(struct writer *writer, int16_t value)
{
    uint8_t *at;
    TRY(writer_take(writer, sizeof value, &at));
    store_i16(at, value);
    return ERR_NONE;
}

MUST_USE static inline struct err writer_write_uint16(struct writer *writer, uint16_t value)
{
    return writer_write_int16(writer, (int16_t)value);
}

MUST_USE static inline struct err writer_write_int32(struct writer *writer, int32_t value)
{
    uint8_t *at;
    TRY(writer_take(writer, sizeof value, &at));
    store_i32(at, value);
    return ERR_NONE;
}

MUST_USE static inline struct err writer_write_uint32(struct writer *writer, uint32_t value)
{
    return writer_write_int32(writer, (int32_t)value);
}

MUST_USE static inline struct err writer_write_int64(struct writer *writer, int64_t value)
{
    uint8_t *at;
    TRY(writer_take(writer, sizeof value, &at));
    store_i64(at, value);
    return ERR_NONE;
}

MUST_USE struct err writer_write_float64(struct writer *writer, double value);
MUST_USE struct err writer_write_uuid(struct writer *writer, struct uuid value);
MUST_USE struct err writer_write_uvarint(struct writer *writer, uint32_t value);
MUST_USE struct err writer_write_varint(struct writer *writer, int32_t value);
MUST_USE struct err writer_write_varlong(struct writer *writer, int64_t value);

/*
 * Text, bytes or record batches. Null without WIRE_NULLABLE is ERR_INVALID, as is text above
 * WIRE_STRING_SIZE_MAX; bytes above INT32_MAX are ERR_LIMIT. Records outside the buf (a slice)
 * write their size and become a splice; ERR_LIMIT where the writer has no room for one more.
 */
MUST_USE struct err writer_write_string(struct writer *writer, unsigned form, struct span value);
MUST_USE struct err writer_write_bytes(struct writer *writer, unsigned form, struct span value);
MUST_USE struct err writer_write_records(struct writer *writer, unsigned form,
                                         const struct wire_records *value);

/* The count of an array, -1 for null; ERR_INVALID for null without WIRE_NULLABLE. */
MUST_USE struct err writer_write_count(struct writer *writer, unsigned form, int32_t count);

/* Whether a nullable struct follows. */
MUST_USE struct err writer_write_presence(struct writer *writer, bool present);

/*
 * A tagged field: between begin and end the caller writes the field, then its size is put in front.
 * *mark is writer_tag_begin's word to writer_tag_end. No records may be spliced in between.
 */
MUST_USE struct err writer_tag_begin(struct writer *writer, uint32_t tag, size_t *mark);
MUST_USE struct err writer_tag_end(struct writer *writer, size_t mark);

#endif
