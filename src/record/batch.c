/*
 * batch: from bytes to numbers, and what a client's batch must satisfy.
 *
 * The order of the checks is Kafka's (ProduceRequest.validateRecords, UnifiedLog's analysis, then
 * LogValidator), because the first fault found decides the error that the client sees.
 */
#include "record/batch.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "record/record_internal.h"

/* The bytes that Kafka needs before it looks at length and magic. */
#define PEEK_SIZE (BATCH_AT_MAGIC + 1)

static const char *const fault_texts[BATCH_FAULT_KIND_COUNT] = {
    [BATCH_FINE] = "no fault",
    [BATCH_FAULT_INCOMPLETE] = "the request must have at least one whole record batch",
    [BATCH_FAULT_LENGTH] = "the batch's length is less than that of its header",
    [BATCH_FAULT_MAGIC_OLD] = "only record batches with magic version 2 are allowed",
    [BATCH_FAULT_MAGIC] = "invalid magic found in record batch",
    [BATCH_FAULT_SEVERAL] = "the request may have only one record batch for each partition",
    [BATCH_FAULT_BASE_OFFSET] = "the base offset of a produced batch must be 0",
    [BATCH_FAULT_TOO_LARGE] = "the batch is larger than message.max.bytes",
    [BATCH_FAULT_CRC] = "the batch is corrupt: its CRC does not match",
    [BATCH_FAULT_CODEC] = "unknown compression type",
    [BATCH_FAULT_CODEC_REFUSED] = "this version of the request does not know the compression type",
    [BATCH_FAULT_ATTRIBUTES] = "the batch sets attributes that a client may not set",
    [BATCH_FAULT_COUNT] = "the batch's record count and offsets are inconsistent",
    [BATCH_FAULT_CONTROL] = "clients are not allowed to write control records",
    [BATCH_FAULT_PRODUCER] = "the batch's producer id, epoch and sequence are inconsistent",
    [BATCH_FAULT_RECORDS] = "the batch's records are malformed",
    [BATCH_FAULT_DECOMPRESS] = "the batch's records could not be decompressed",
    [BATCH_FAULT_BOMB] = "the batch's records are too large when decompressed",
    [BATCH_FAULT_NO_KEY] = "a compacted topic cannot accept a record without key",
    [BATCH_FAULT_TIMESTAMP_TYPE] = "a producer must not set the timestamp type to LogAppendTime",
    [BATCH_FAULT_TIMESTAMP] = "a record's timestamp is out of the topic's range",
    [BATCH_FAULT_NO_MEMORY] = "out of memory",
};

const char *batch_fault_text(enum batch_fault fault)
{
    CHECK(fault < BATCH_FAULT_KIND_COUNT);
    return fault_texts[fault];
}

/* Length and magic of whatever is at the front: the whole size in bytes, as the length claims. */
static enum batch_fault batch_peek(struct span bytes, uint32_t *size)
{
    if (bytes.size < PEEK_SIZE)
        return BATCH_FAULT_INCOMPLETE;
    int32_t length = load_i32(bytes.data + BATCH_AT_LENGTH);
    uint8_t magic = bytes.data[BATCH_AT_MAGIC];
    if (magic > 2)
        return BATCH_FAULT_MAGIC;
    if (length < BATCH_HEADER_SIZE - BATCH_PREFIX_SIZE)
        return BATCH_FAULT_LENGTH;
    if (magic < 2)
        return BATCH_FAULT_MAGIC_OLD;
    *size = (uint32_t)length + BATCH_PREFIX_SIZE;
    return BATCH_FINE;
}

enum batch_fault batch_parse(struct span bytes, struct batch_header *header)
{
    uint32_t size;
    enum batch_fault fault = batch_peek(bytes, &size);
    if (fault != BATCH_FINE)
        return fault;
    if (bytes.size < BATCH_HEADER_SIZE)
        return BATCH_FAULT_INCOMPLETE;
    const uint8_t *at = bytes.data;
    *header = (struct batch_header){
        .base_offset = load_i64(at + BATCH_AT_BASE_OFFSET),
        .size = size,
        .leader_epoch = load_i32(at + BATCH_AT_LEADER_EPOCH),
        .crc = load_u32(at + BATCH_AT_CRC),
        .attributes = load_u16(at + BATCH_AT_ATTRIBUTES),
        .last_offset_delta = load_i32(at + BATCH_AT_LAST_OFFSET_DELTA),
        .base_timestamp = load_i64(at + BATCH_AT_BASE_TIMESTAMP),
        .max_timestamp = load_i64(at + BATCH_AT_MAX_TIMESTAMP),
        .producer_id = load_i64(at + BATCH_AT_PRODUCER_ID),
        .producer_epoch = load_i16(at + BATCH_AT_PRODUCER_EPOCH),
        .base_sequence = load_i32(at + BATCH_AT_BASE_SEQUENCE),
        .record_count = load_i32(at + BATCH_AT_RECORD_COUNT),
    };
    return BATCH_FINE;
}

/* The CRC of what it covers; size as the header says. */
static uint32_t batch_compute_crc(const uint8_t *batch, uint32_t size)
{
    return crc32c(span_make(batch + BATCH_AT_ATTRIBUTES, size - (size_t)BATCH_AT_ATTRIBUTES));
}

enum batch_fault batch_check_stored(struct span bytes, struct batch_header *header)
{
    enum batch_fault fault = batch_parse(bytes, header);
    if (fault != BATCH_FINE)
        return fault;
    if (header->size > bytes.size)
        return BATCH_FAULT_INCOMPLETE;
    if (batch_compute_crc(bytes.data, header->size) != header->crc)
        return BATCH_FAULT_CRC;
    if (batch_codec(header) >= COMPRESSION_COUNT)
        return BATCH_FAULT_CODEC;
    /* A compacted batch has fewer records than offsets, or none. */
    int64_t last;
    if (header->base_offset < 0 || header->last_offset_delta < 0 || header->record_count < 0 ||
        header->record_count > (int64_t)header->last_offset_delta + 1 ||
        __builtin_add_overflow(header->base_offset, header->last_offset_delta, &last) ||
        last == INT64_MAX)
        return BATCH_FAULT_COUNT;
    return BATCH_FINE;
}

/* What may follow the one batch of a partition: less than another one. */
static enum batch_fault check_rest(struct span rest)
{
    uint32_t size;
    enum batch_fault fault = batch_peek(rest, &size);
    if (fault == BATCH_FAULT_INCOMPLETE || (fault == BATCH_FINE && size > rest.size))
        return BATCH_FINE;
    return fault == BATCH_FINE || fault == BATCH_FAULT_MAGIC_OLD ? BATCH_FAULT_SEVERAL : fault;
}

/* All that the header alone can tell. */
static enum batch_fault check_header(const struct batch_header *header)
{
    if (header->last_offset_delta < 0 || header->record_count <= 0 ||
        header->record_count - 1 != header->last_offset_delta)
        return BATCH_FAULT_COUNT;
    if (batch_is_control(header))
        return BATCH_FAULT_CONTROL;
    if ((header->attributes & BATCH_DELETE_HORIZON) != 0 ||
        (header->attributes & ~BATCH_ATTRIBUTES_KNOWN) != 0)
        return BATCH_FAULT_ATTRIBUTES;
    if (header->producer_id < BATCH_NO_PRODUCER_ID)
        return BATCH_FAULT_PRODUCER;
    if (batch_has_producer(header) && (header->base_sequence < 0 || header->producer_epoch < 0))
        return BATCH_FAULT_PRODUCER;
    if (batch_is_transactional(header) && !batch_has_producer(header))
        return BATCH_FAULT_PRODUCER;
    return BATCH_FINE;
}

/* Kafka's LogValidator.recordHasInvalidTimestamp. */
static bool is_timestamp_refused(const struct batch_rules *rules, int64_t timestamp)
{
    if (rules->log_append_time || timestamp == BATCH_NO_TIMESTAMP)
        return false;
    int64_t past_ms;
    if (__builtin_sub_overflow(rules->now_ms, timestamp, &past_ms))
        return true;
    if (past_ms >= 0)
        return past_ms > rules->before_ms_max;
    return past_ms == INT64_MIN || -past_ms > rules->after_ms_max;
}

/* Looks at each record. report->max_timestamp becomes the true one. */
static enum batch_fault check_records(struct span records, const struct batch_rules *rules,
                                      struct batch_report *report)
{
    const struct batch_header *header = &report->header;
    int64_t max_timestamp = BATCH_NO_TIMESTAMP;
    for (int32_t i = 0; i < header->record_count; i++) {
        struct record record;
        int32_t offset_delta;
        report->record_index = i;
        if (!record_take(&records, header, &record, &offset_delta) || offset_delta != i)
            return BATCH_FAULT_RECORDS;
        if (rules->needs_keys && span_is_null(record.key))
            return BATCH_FAULT_NO_KEY;
        if (is_timestamp_refused(rules, record.timestamp))
            return BATCH_FAULT_TIMESTAMP;
        if (record.timestamp > max_timestamp)
            max_timestamp = record.timestamp;
    }
    report->record_index = -1;
    if (records.size != 0)
        return BATCH_FAULT_RECORDS;
    report->was_walked = true;
    report->max_timestamp = max_timestamp;
    report->is_max_timestamp_wrong = max_timestamp != header->max_timestamp;
    return BATCH_FINE;
}

static enum batch_fault check_compressed(struct span records, const struct batch_rules *rules,
                                         struct buf *scratch, struct batch_report *report)
{
    CHECK(scratch != NULL);
    buf_clear(scratch);
    size_t size_max = scratch->size_max;
    if (rules->decompressed_size_max < size_max)
        scratch->size_max = rules->decompressed_size_max;
    struct err err = decompress_append(batch_codec(&report->header), records, scratch);
    scratch->size_max = size_max;
    if (err_is(err, ERR_LIMIT))
        return BATCH_FAULT_BOMB;
    if (err_is(err, ERR_NO_MEMORY))
        return BATCH_FAULT_NO_MEMORY;
    if (err_failed(err))
        return BATCH_FAULT_DECOMPRESS;
    return check_records(buf_span(scratch), rules, report);
}

/* What the analysis of the whole batch finds before its records are looked at. */
static enum batch_fault check_envelope(struct span payload, const struct batch_rules *rules,
                                       struct batch_report *report)
{
    struct batch_header *header = &report->header;
    enum batch_fault fault = batch_parse(payload, header);
    if (fault != BATCH_FINE)
        return fault;
    report->max_timestamp = header->max_timestamp;
    if (header->size > payload.size)
        return BATCH_FAULT_INCOMPLETE;
    if (batch_codec(header) < COMPRESSION_COUNT && (rules->codecs >> batch_codec(header) & 1) == 0)
        return BATCH_FAULT_CODEC_REFUSED;
    report->size_ignored = payload.size - header->size;
    fault = check_rest(span_make(payload.data + header->size, report->size_ignored));
    if (fault != BATCH_FINE)
        return fault;
    if (header->base_offset != 0)
        return BATCH_FAULT_BASE_OFFSET;
    if (header->size > rules->size_max)
        return BATCH_FAULT_TOO_LARGE;
    if (batch_compute_crc(payload.data, header->size) != header->crc)
        return BATCH_FAULT_CRC;
    if (batch_codec(header) >= COMPRESSION_COUNT)
        return BATCH_FAULT_CODEC;
    fault = check_header(header);
    if (fault == BATCH_FINE && (header->attributes & BATCH_LOG_APPEND_TIME) != 0)
        fault = BATCH_FAULT_TIMESTAMP_TYPE;
    return fault;
}

enum batch_fault batch_validate(struct span payload, const struct batch_rules *rules,
                                struct buf *scratch, struct batch_report *report)
{
    *report = (struct batch_report){.record_index = -1};
    enum batch_fault fault = check_envelope(payload, rules, report);
    if (fault != BATCH_FINE)
        return fault;
    const struct batch_header *header = &report->header;
    struct span records =
        span_make(payload.data + BATCH_AT_RECORDS, header->size - (size_t)BATCH_HEADER_SIZE);
    if (batch_codec(header) == COMPRESSION_NONE)
        return check_records(records, rules, report);
    if (rules->full || rules->needs_keys)
        return check_compressed(records, rules, scratch, report);
    /* Unwalked: the header's two timestamps stand for the records'. */
    if (is_timestamp_refused(rules, header->max_timestamp) ||
        is_timestamp_refused(rules, header->base_timestamp))
        return BATCH_FAULT_TIMESTAMP;
    return BATCH_FINE;
}

void batch_patch_offset(uint8_t *batch, struct batch_header *header, int64_t base_offset,
                        int32_t leader_epoch)
{
    CHECK(base_offset >= 0 && leader_epoch >= -1);
    store_i64(batch + BATCH_AT_BASE_OFFSET, base_offset);
    store_i32(batch + BATCH_AT_LEADER_EPOCH, leader_epoch);
    header->base_offset = base_offset;
    header->leader_epoch = leader_epoch;
}

void batch_patch_timestamp(uint8_t *batch, struct batch_header *header, int64_t max_timestamp,
                           bool is_log_append_time)
{
    unsigned attributes = header->attributes & ~(unsigned)BATCH_LOG_APPEND_TIME;
    header->attributes =
        (uint16_t)(attributes | (is_log_append_time ? (unsigned)BATCH_LOG_APPEND_TIME : 0));
    header->max_timestamp = max_timestamp;
    store_u16(batch + BATCH_AT_ATTRIBUTES, header->attributes);
    store_i64(batch + BATCH_AT_MAX_TIMESTAMP, max_timestamp);
    header->crc = batch_compute_crc(batch, header->size);
    store_u32(batch + BATCH_AT_CRC, header->crc);
}

void batch_strip(struct span batch, uint8_t out[BATCH_HEADER_SIZE])
{
    CHECK(batch.size >= BATCH_HEADER_SIZE);
    memcpy(out, batch.data, BATCH_HEADER_SIZE);
    unsigned attributes = load_u16(out + BATCH_AT_ATTRIBUTES);
    attributes &= ~((unsigned)BATCH_CODEC_MASK | (unsigned)BATCH_DELETE_HORIZON);
    store_u32(out + BATCH_AT_LENGTH, BATCH_HEADER_SIZE - BATCH_PREFIX_SIZE);
    store_u16(out + BATCH_AT_ATTRIBUTES, (uint16_t)attributes);
    store_i64(out + BATCH_AT_BASE_TIMESTAMP, BATCH_NO_TIMESTAMP);
    store_i32(out + BATCH_AT_RECORD_COUNT, 0);
    store_u32(out + BATCH_AT_CRC, batch_compute_crc(out, BATCH_HEADER_SIZE));
}
