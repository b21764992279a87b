/*
 * build: records into a batch.
 *
 * Room for the header is kept at the front, records are encoded behind it, and the end fills the
 * header in. A compressed batch's records are encoded first and squeezed at the end.
 */
#include "record/build.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "record/varint.h"

/* A control record's key and value (KIP-98): version and kind; version and coordinator epoch. */
#define CONTROL_KEY_SIZE 4
#define MARKER_VALUE_SIZE 6

void batch_build_begin(struct batch_builder *builder, const struct batch_options *options,
                       struct buf *out)
{
    CHECK(options->codec < COMPRESSION_COUNT);
    *builder = (struct batch_builder){.options = *options,
                                      .out = out,
                                      .begin = out->size,
                                      .base_timestamp = options->has_delete_horizon
                                                            ? options->delete_horizon_ms
                                                            : BATCH_NO_TIMESTAMP,
                                      .max_timestamp = BATCH_NO_TIMESTAMP};
}

static size_t nullable_size(struct span bytes)
{
    return span_is_null(bytes) ? 1 : varlong_size((int64_t)bytes.size) + bytes.size;
}

/* Writes into room that was reserved, and returns the place behind. */
static uint8_t *put_nullable(uint8_t *at, struct span bytes)
{
    at += varlong_put(at, span_is_null(bytes) ? -1 : (int64_t)bytes.size);
    if (bytes.size != 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* The encoded size behind the record's own length. */
static size_t record_body_size(const struct record *record, int64_t timestamp_delta,
                               int32_t offset_delta)
{
    return 1 + varlong_size(timestamp_delta) + varlong_size(offset_delta) +
           nullable_size(record->key) + nullable_size(record->value) +
           varlong_size(record->header_count) + record->headers.size;
}

static int32_t offset_delta_of(const struct batch_builder *builder, const struct record *record)
{
    if (!builder->options.keeps_offsets)
        return builder->record_count;
    int64_t delta = record->offset - builder->options.base_offset;
    CHECK(delta >= builder->record_count && delta <= builder->options.last_offset_delta);
    return (int32_t)delta;
}

struct err batch_build_add(struct batch_builder *builder, const struct record *record)
{
    CHECK(record->header_count >= 0);
    struct buf *out = builder->out;
    if (builder->record_count == INT32_MAX)
        return err_make(ERR_LIMIT);
    bool is_first = builder->record_count == 0;
    bool sets_base = is_first && !builder->options.has_delete_horizon;
    int64_t base_timestamp = sets_base ? record->timestamp : builder->base_timestamp;
    int64_t delta;
    if (__builtin_sub_overflow(record->timestamp, base_timestamp, &delta))
        return err_make(ERR_RANGE);
    int32_t offset_delta = offset_delta_of(builder, record);
    size_t body_size = record_body_size(record, delta, offset_delta);
    if (body_size > INT32_MAX)
        return err_make(ERR_LIMIT);
    size_t header_size = is_first ? BATCH_HEADER_SIZE : 0;
    TRY(buf_reserve(out, header_size + VARINT_SIZE_MAX + body_size));
    out->size += header_size;
    uint8_t *at = out->data + out->size;
    at += varlong_put(at, (int64_t)body_size);
    const uint8_t *body = at;
    *at++ = 0;
    at += varlong_put(at, delta);
    at += varlong_put(at, offset_delta);
    at = put_nullable(at, record->key);
    at = put_nullable(at, record->value);
    at += varlong_put(at, record->header_count);
    if (record->headers.size != 0)
        memcpy(at, record->headers.data, record->headers.size);
    at += record->headers.size;
    CHECK((size_t)(at - body) == body_size);
    out->size = (size_t)(at - out->data);
    builder->base_timestamp = base_timestamp;
    if (is_first || record->timestamp > builder->max_timestamp ||
        builder->options.is_log_append_time)
        builder->max_timestamp = record->timestamp;
    builder->record_count++;
    return ERR_NONE;
}

struct err record_header_append(struct buf *headers, struct span key, struct span value)
{
    CHECK(!span_is_null(key));
    if (key.size > INT32_MAX || value.size > INT32_MAX)
        return err_make(ERR_LIMIT);
    size_t size = nullable_size(key) + nullable_size(value);
    TRY(buf_reserve(headers, size));
    uint8_t *at = put_nullable(headers->data + headers->size, key);
    at = put_nullable(at, value);
    headers->size += size;
    CHECK(at == headers->data + headers->size);
    return ERR_NONE;
}

/* Puts the compressed records in the place of the plain ones. */
static struct err compress_records(struct batch_builder *builder)
{
    struct buf *out = builder->out;
    size_t records_at = builder->begin + BATCH_HEADER_SIZE;
    size_t plain_size = out->size - records_at;
    struct buf squeezed;
    buf_init(&squeezed, out->size_max);
    struct err err = compress_append(builder->options.codec, builder->options.level,
                                     span_make(out->data + records_at, plain_size), &squeezed);
    if (!err_failed(err)) {
        out->size = records_at;
        err = buf_append(out, squeezed.data, squeezed.size);
    }
    buf_deinit(&squeezed);
    return err;
}

static uint16_t build_attributes(const struct batch_options *options)
{
    unsigned attributes = (unsigned)options->codec;
    attributes |= options->is_log_append_time ? (unsigned)BATCH_LOG_APPEND_TIME : 0;
    attributes |= options->is_transactional ? (unsigned)BATCH_TRANSACTIONAL : 0;
    attributes |= options->is_control ? (unsigned)BATCH_CONTROL : 0;
    attributes |= options->has_delete_horizon ? (unsigned)BATCH_DELETE_HORIZON : 0;
    return (uint16_t)attributes;
}

struct err batch_build_end(struct batch_builder *builder, struct span *batch,
                           struct batch_header *header)
{
    CHECK(builder->record_count > 0);
    struct buf *out = builder->out;
    const struct batch_options *options = &builder->options;
    struct err err = ERR_NONE;
    if (options->codec != COMPRESSION_NONE)
        err = compress_records(builder);
    if (!err_failed(err) && out->size - builder->begin - BATCH_PREFIX_SIZE > INT32_MAX)
        err = err_make(ERR_LIMIT);
    if (err_failed(err)) {
        out->size = builder->begin;
        return err;
    }
    uint8_t *at = out->data + builder->begin;
    size_t size = out->size - builder->begin;
    store_i64(at + BATCH_AT_BASE_OFFSET, options->base_offset);
    store_u32(at + BATCH_AT_LENGTH, (uint32_t)(size - BATCH_PREFIX_SIZE));
    store_i32(at + BATCH_AT_LEADER_EPOCH, options->leader_epoch);
    at[BATCH_AT_MAGIC] = 2;
    store_u16(at + BATCH_AT_ATTRIBUTES, build_attributes(options));
    store_i32(at + BATCH_AT_LAST_OFFSET_DELTA,
              options->keeps_offsets ? options->last_offset_delta : builder->record_count - 1);
    store_i64(at + BATCH_AT_BASE_TIMESTAMP, builder->base_timestamp);
    store_i64(at + BATCH_AT_MAX_TIMESTAMP, builder->max_timestamp);
    store_i64(at + BATCH_AT_PRODUCER_ID, options->producer_id);
    store_i16(at + BATCH_AT_PRODUCER_EPOCH, options->producer_epoch);
    store_i32(at + BATCH_AT_BASE_SEQUENCE, options->base_sequence);
    store_i32(at + BATCH_AT_RECORD_COUNT, builder->record_count);
    store_u32(at + BATCH_AT_CRC,
              crc32c(span_make(at + BATCH_AT_ATTRIBUTES, size - BATCH_AT_ATTRIBUTES)));
    *batch = span_make(at, size);
    if (header != NULL)
        CHECK(batch_parse(*batch, header) == BATCH_FINE);
    return ERR_NONE;
}

struct err batch_build_marker(const struct batch_options *options, enum control_kind kind,
                              int32_t coordinator_epoch, int64_t timestamp, struct buf *out,
                              struct span *batch)
{
    uint8_t key[CONTROL_KEY_SIZE];
    uint8_t value[MARKER_VALUE_SIZE];
    store_i16(key, 0);
    store_i16(key + 2, (int16_t)kind);
    store_i16(value, 0);
    store_i32(value + 2, coordinator_epoch);
    struct batch_options marker = *options;
    marker.codec = COMPRESSION_NONE;
    marker.is_control = true;
    marker.is_transactional = true;
    struct batch_builder builder;
    batch_build_begin(&builder, &marker, out);
    const struct record record = {.timestamp = timestamp,
                                  .key = span_make(key, sizeof key),
                                  .value = span_make(value, sizeof value)};
    TRY(batch_build_add(&builder, &record));
    return batch_build_end(&builder, batch, NULL);
}

struct err batch_read_marker(struct span batch, enum control_kind *kind, int32_t *coordinator_epoch)
{
    struct batch_walk walk;
    struct record record;
    bool is_end;
    struct batch_header header;
    if (batch_parse(batch, &header) != BATCH_FINE || !batch_is_control(&header) ||
        batch_codec(&header) != COMPRESSION_NONE)
        return err_make(ERR_CORRUPT);
    TRY(batch_walk_begin(&walk, batch, NULL));
    TRY(batch_walk_next(&walk, &record, &is_end));
    if (is_end || record.key.size < CONTROL_KEY_SIZE)
        return err_make(ERR_CORRUPT);
    int16_t number = load_i16(record.key.data + 2);
    if (number != CONTROL_ABORT && number != CONTROL_COMMIT)
        return err_make(ERR_UNSUPPORTED);
    if (record.value.size < MARKER_VALUE_SIZE)
        return err_make(ERR_CORRUPT);
    *kind = (enum control_kind)number;
    *coordinator_epoch = load_i32(record.value.data + 2);
    return ERR_NONE;
}
