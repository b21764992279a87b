/* cursor: the parts of the wire format that are longer than a load or a store. */
#include "wire/cursor.h"

#include "base/limits.h"

/* 7 bits a byte: 5 bytes hold 32 bits, 10 bytes hold 64. */
#define VARINT_SIZE_MAX 5
#define VARLONG_SIZE_MAX 10

struct err reader_read_float64(struct reader *reader, double *out)
{
    int64_t bits;
    TRY(reader_read_int64(reader, &bits));
    memcpy(out, &bits, sizeof *out);
    return ERR_NONE;
}

struct err reader_read_uuid(struct reader *reader, struct uuid *out)
{
    const uint8_t *at;
    TRY(reader_take(reader, sizeof out->bytes, &at));
    memcpy(out->bytes, at, sizeof out->bytes);
    return ERR_NONE;
}

struct err reader_read_uvarint(struct reader *reader, uint32_t *out)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < VARINT_SIZE_MAX; i++) {
        const uint8_t *at;
        TRY(reader_take(reader, 1, &at));
        if (i == VARINT_SIZE_MAX - 1 && *at > 0x0f)
            return err_make(ERR_CORRUPT);
        value |= (uint32_t)(*at & 0x7f) << (7 * i);
        if (*at < 0x80)
            break;
    }
    *out = value;
    return ERR_NONE;
}

struct err reader_read_varint(struct reader *reader, int32_t *out)
{
    uint32_t coded;
    TRY(reader_read_uvarint(reader, &coded));
    *out = (int32_t)(coded >> 1) ^ -(int32_t)(coded & 1);
    return ERR_NONE;
}

struct err reader_read_varlong(struct reader *reader, int64_t *out)
{
    uint64_t coded = 0;
    for (unsigned i = 0; i < VARLONG_SIZE_MAX; i++) {
        const uint8_t *at;
        TRY(reader_take(reader, 1, &at));
        if (i == VARLONG_SIZE_MAX - 1 && *at > 0x01)
            return err_make(ERR_CORRUPT);
        coded |= (uint64_t)(*at & 0x7f) << (7 * i);
        if (*at < 0x80)
            break;
    }
    *out = (int64_t)(coded >> 1) ^ -(int64_t)(coded & 1);
    return ERR_NONE;
}

/* Turns a length off the wire into one that is -1 for null or within size_max. */
static struct err length_check(int64_t length, unsigned form, int64_t size_max)
{
    if (length < -1 || length > size_max)
        return err_make(ERR_CORRUPT);
    if (length == -1 && (form & WIRE_NULLABLE) == 0)
        return err_make(ERR_CORRUPT);
    return ERR_NONE;
}

/* Reads size + 1; 0 becomes -1. */
static struct err read_length_compact(struct reader *reader, int64_t *out)
{
    uint32_t coded;
    TRY(reader_read_uvarint(reader, &coded));
    *out = (int64_t)coded - 1;
    return ERR_NONE;
}

static struct err read_length_int32(struct reader *reader, unsigned form, int64_t *out)
{
    if ((form & WIRE_COMPACT) != 0)
        return read_length_compact(reader, out);
    int32_t length;
    TRY(reader_read_int32(reader, &length));
    *out = length;
    return ERR_NONE;
}

/* Takes length bytes, or nothing for the length -1. */
static struct err read_span(struct reader *reader, int64_t length, struct span *out)
{
    CHECK(length >= -1);
    if (length == -1) {
        *out = SPAN_NULL;
        return ERR_NONE;
    }
    const uint8_t *at;
    TRY(reader_take(reader, (size_t)length, &at));
    *out = span_make(at, (size_t)length);
    return ERR_NONE;
}

struct err reader_read_string(struct reader *reader, unsigned form, struct span *out)
{
    int64_t length;
    if ((form & WIRE_COMPACT) != 0) {
        TRY(read_length_compact(reader, &length));
    } else {
        int16_t classic;
        TRY(reader_read_int16(reader, &classic));
        length = classic;
    }
    TRY(length_check(length, form, WIRE_STRING_SIZE_MAX));
    return read_span(reader, length, out);
}

struct err reader_read_bytes(struct reader *reader, unsigned form, struct span *out)
{
    int64_t length;
    TRY(read_length_int32(reader, form, &length));
    TRY(length_check(length, form, INT32_MAX));
    return read_span(reader, length, out);
}

struct err reader_read_records(struct reader *reader, unsigned form, struct wire_records *out)
{
    struct span bytes;
    TRY(reader_read_bytes(reader, form, &bytes));
    *out = (struct wire_records){.bytes = bytes};
    return ERR_NONE;
}

struct err reader_read_count(struct reader *reader, unsigned form, size_t element_size_min,
                             int32_t *out)
{
    CHECK(element_size_min > 0);
    int64_t count;
    TRY(read_length_int32(reader, form, &count));
    TRY(length_check(count, form, INT32_MAX));
    if (count > WIRE_ARRAY_COUNT_MAX)
        return err_make(ERR_LIMIT);
    if (count > 0 && (size_t)count > reader_remaining(reader) / element_size_min)
        return err_make(ERR_TRUNCATED);
    *out = (int32_t)count;
    return ERR_NONE;
}

struct err reader_read_presence(struct reader *reader, bool *out)
{
    int8_t sign;
    TRY(reader_read_int8(reader, &sign));
    *out = sign >= 0;
    return ERR_NONE;
}

struct err reader_read_tag_count(struct reader *reader, uint32_t *out)
{
    uint32_t count;
    TRY(reader_read_uvarint(reader, &count));
    if (count > WIRE_TAGGED_FIELD_COUNT_MAX)
        return err_make(ERR_LIMIT);
    *out = count;
    return ERR_NONE;
}

struct err reader_read_tag(struct reader *reader, uint32_t *tag, struct reader *field)
{
    uint32_t size;
    const uint8_t *at;
    TRY(reader_read_uvarint(reader, tag));
    TRY(reader_read_uvarint(reader, &size));
    TRY(reader_take(reader, size, &at));
    reader_init(field, span_make(at, size));
    return ERR_NONE;
}

struct err reader_skip_tags(struct reader *reader)
{
    uint32_t count;
    TRY(reader_read_tag_count(reader, &count));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tag;
        struct reader field;
        TRY(reader_read_tag(reader, &tag, &field));
    }
    return ERR_NONE;
}

struct err reader_finish(const struct reader *reader)
{
    return reader_remaining(reader) == 0 ? ERR_NONE : err_make(ERR_CORRUPT);
}

uint8_t *wire_writable(uint8_t *buffer, size_t buffer_size, struct span part)
{
    uintptr_t begin = (uintptr_t)buffer;
    CHECK((uintptr_t)part.data >= begin);
    size_t offset = (uintptr_t)part.data - begin;
    CHECK(offset <= buffer_size);
    CHECK(part.size <= buffer_size - offset);
    return buffer + offset;
}

void writer_init(struct writer *writer, struct buf *buf, struct wire_splice *splices,
                 size_t splice_count_max)
{
    CHECK(buf != NULL);
    CHECK(splices != NULL || splice_count_max == 0);
    *writer = (struct writer){
        .buf = buf,
        .splices = splices,
        .splice_count_max = splice_count_max,
    };
}

struct err writer_write_float64(struct writer *writer, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return writer_write_int64(writer, bits);
}

struct err writer_write_uuid(struct writer *writer, struct uuid value)
{
    return buf_append(writer->buf, value.bytes, sizeof value.bytes);
}

/* Writes the number's bytes at bytes[] and returns how many. */
static size_t varlong_format(uint64_t value, uint8_t bytes[VARLONG_SIZE_MAX])
{
    size_t size = 0;
    while (value >= 0x80) {
        bytes[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[size++] = (uint8_t)value;
    CHECK(size <= VARLONG_SIZE_MAX);
    return size;
}

static struct err write_uvarlong(struct writer *writer, uint64_t value)
{
    uint8_t bytes[VARLONG_SIZE_MAX];
    return buf_append(writer->buf, bytes, varlong_format(value, bytes));
}

struct err writer_write_uvarint(struct writer *writer, uint32_t value)
{
    if (value < 0x80)
        return writer_write_int8(writer, (int8_t)value);
    return write_uvarlong(writer, value);
}

struct err writer_write_varint(struct writer *writer, int32_t value)
{
    return writer_write_uvarint(writer, (uint32_t)value << 1 ^ (uint32_t)(value >> 31));
}

struct err writer_write_varlong(struct writer *writer, int64_t value)
{
    return write_uvarlong(writer, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

/* Writes the length of bytes or the count of an array, -1 for null. */
static struct err write_length(struct writer *writer, unsigned form, int32_t length)
{
    CHECK(length >= -1);
    if (length == -1 && (form & WIRE_NULLABLE) == 0)
        return err_make(ERR_INVALID);
    if ((form & WIRE_COMPACT) != 0)
        return writer_write_uvarint(writer, (uint32_t)length + 1);
    return writer_write_int32(writer, length);
}

struct err writer_write_string(struct writer *writer, unsigned form, struct span value)
{
    if (value.size > WIRE_STRING_SIZE_MAX)
        return err_make(ERR_INVALID);
    if (span_is_null(value) && (form & WIRE_NULLABLE) == 0)
        return err_make(ERR_INVALID);
    int16_t length = span_is_null(value) ? -1 : (int16_t)value.size;
    if ((form & WIRE_COMPACT) != 0)
        TRY(writer_write_uvarint(writer, (uint32_t)(length + 1)));
    else
        TRY(writer_write_int16(writer, length));
    return buf_append(writer->buf, value.data, value.size);
}

struct err writer_write_bytes(struct writer *writer, unsigned form, struct span value)
{
    if (value.size > INT32_MAX)
        return err_make(ERR_LIMIT);
    TRY(write_length(writer, form, span_is_null(value) ? -1 : (int32_t)value.size));
    return buf_append(writer->buf, value.data, value.size);
}

struct err writer_write_records(struct writer *writer, unsigned form,
                                const struct wire_records *value)
{
    if (value->slice == NULL)
        return writer_write_bytes(writer, form, value->bytes);
    if (value->slice_size > INT32_MAX || writer->splice_count == writer->splice_count_max)
        return err_make(ERR_LIMIT);
    TRY(write_length(writer, form, (int32_t)value->slice_size));
    writer->splices[writer->splice_count++] = (struct wire_splice){
        .offset = writer->buf->size,
        .slice = value->slice,
        .slice_size = value->slice_size,
    };
    writer->splice_size_total += value->slice_size;
    return ERR_NONE;
}

struct err writer_write_count(struct writer *writer, unsigned form, int32_t count)
{
    if (count > WIRE_ARRAY_COUNT_MAX)
        return err_make(ERR_LIMIT);
    return write_length(writer, form, count);
}

struct err writer_write_presence(struct writer *writer, bool present)
{
    return writer_write_int8(writer, present ? 1 : -1);
}

struct err writer_tag_begin(struct writer *writer, uint32_t tag, size_t *mark)
{
    TRY(writer_write_uvarint(writer, tag));
    *mark = writer->buf->size;
    return ERR_NONE;
}

struct err writer_tag_end(struct writer *writer, size_t mark)
{
    struct buf *buf = writer->buf;
    CHECK(mark <= buf->size);
    CHECK(writer->splice_count == 0 || writer->splices[writer->splice_count - 1].offset <= mark);
    size_t size = buf->size - mark;
    if (size > INT32_MAX)
        return err_make(ERR_LIMIT);
    uint8_t prefix[VARLONG_SIZE_MAX];
    size_t prefix_size = varlong_format(size, prefix);
    TRY(buf_reserve(buf, prefix_size));
    memmove(buf->data + mark + prefix_size, buf->data + mark, size);
    memcpy(buf->data + mark, prefix, prefix_size);
    buf->size += prefix_size;
    return ERR_NONE;
}
