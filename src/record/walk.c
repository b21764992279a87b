/* walk: records out of a batch. Every size is checked against the bytes that are there. */
#include "record/walk.h"

#include "base/check.h"
#include "record/record_internal.h"
#include "record/varint.h"

/* Takes size bytes off the front; the caller has checked that they are there. */
static struct span take_bytes(struct span *rest, size_t size)
{
    CHECK(size <= rest->size);
    struct span taken = span_make(rest->data, size);
    *rest = span_make(rest->data + size, rest->size - size);
    return taken;
}

/* A varint length and that many bytes; -1 gives the null span. */
static bool take_nullable(struct span *rest, struct span *out)
{
    int32_t size;
    if (!varint_take(rest, &size) || size < -1)
        return false;
    if (size == -1) {
        *out = SPAN_NULL;
        return true;
    }
    if ((size_t)size > rest->size)
        return false;
    *out = take_bytes(rest, (size_t)size);
    return true;
}

/* Checks count headers, which must fill the rest of the record. */
static bool check_headers(struct span rest, int32_t count)
{
    struct span value;
    for (int32_t i = 0; i < count; i++) {
        struct span key;
        if (!take_nullable(&rest, &key) || span_is_null(key) || !take_nullable(&rest, &value))
            return false;
    }
    return rest.size == 0;
}

bool record_take(struct span *rest, const struct batch_header *header, struct record *record,
                 int32_t *offset_delta)
{
    int32_t size;
    if (!varint_take(rest, &size) || size < 1 || (size_t)size > rest->size)
        return false;
    struct span body = take_bytes(rest, (size_t)size);
    (void)take_bytes(&body, 1); /* attributes: none are defined */
    int64_t timestamp_delta;
    int32_t header_count;
    int64_t timestamp;
    if (!varlong_take(&body, &timestamp_delta) || !varint_take(&body, offset_delta) ||
        !take_nullable(&body, &record->key) || !take_nullable(&body, &record->value) ||
        !varint_take(&body, &header_count) || header_count < 0)
        return false;
    if (__builtin_add_overflow(header->base_timestamp, timestamp_delta, &timestamp))
        return false;
    if (header_count == 0 ? body.size != 0 : !check_headers(body, header_count))
        return false;
    bool is_stamped = (header->attributes & BATCH_LOG_APPEND_TIME) != 0;
    record->timestamp = is_stamped ? header->max_timestamp : timestamp;
    record->headers = body;
    record->header_count = header_count;
    return true;
}

struct err batch_walk_begin(struct batch_walk *walk, struct span batch, struct buf *scratch)
{
    struct batch_header header;
    if (batch_parse(batch, &header) != BATCH_FINE)
        return err_make(ERR_CORRUPT);
    if (header.size > batch.size)
        return err_make(ERR_TRUNCATED);
    if (header.record_count < 0)
        return err_make(ERR_CORRUPT);
    struct span records =
        span_make(batch.data + BATCH_AT_RECORDS, header.size - (size_t)BATCH_HEADER_SIZE);
    if (batch_codec(&header) != COMPRESSION_NONE) {
        if (batch_codec(&header) >= COMPRESSION_COUNT)
            return err_make(ERR_UNSUPPORTED);
        CHECK(scratch != NULL);
        buf_clear(scratch);
        TRY(decompress_append(batch_codec(&header), records, scratch));
        records = buf_span(scratch);
    }
    *walk = (struct batch_walk){.header = header, .rest = records, .offset_delta_last = -1};
    return ERR_NONE;
}

struct err batch_walk_next(struct batch_walk *walk, struct record *record, bool *is_end)
{
    if (walk->record_index == walk->header.record_count) {
        *is_end = true;
        return walk->rest.size == 0 ? ERR_NONE : err_make(ERR_CORRUPT);
    }
    int32_t delta;
    struct record taken;
    if (!record_take(&walk->rest, &walk->header, &taken, &delta))
        return err_make(ERR_CORRUPT);
    if (delta <= walk->offset_delta_last || delta > walk->header.last_offset_delta)
        return err_make(ERR_CORRUPT);
    if (__builtin_add_overflow(walk->header.base_offset, delta, &taken.offset))
        return err_make(ERR_CORRUPT);
    walk->offset_delta_last = delta;
    walk->record_index++;
    *record = taken;
    *is_end = false;
    return ERR_NONE;
}

bool record_header_next(struct span *headers, struct record_header *header)
{
    struct span key;
    struct span value;
    if (headers->size == 0 || !take_nullable(headers, &key) || span_is_null(key) ||
        !take_nullable(headers, &value))
        return false;
    *header = (struct record_header){.key = key, .value = value};
    return true;
}
