/*
 * batch: Kafka's record batch, version 2 (KIP-98), as bytes and as numbers.
 *
 *      0        8       12       16    17      21        23            27
 *      +--------+--------+--------+-----+-------+---------+-------------+-----------+
 *      | base   | length | leader |magic| CRC   | attri-  | last offset | base      |
 *      | offset |        | epoch  | = 2 |       | butes   | delta       | timestamp |
 *      +--------+--------+--------+-----+-------+---------+-------------+-----------+
 *     35             43            51          53             57             61
 *      +--------------+-------------+-----------+--------------+--------------+---------+
 *      | maximum      | producer id | producer  | base         | record count | records |
 *      | timestamp    |             | epoch     | sequence     |              | ...     |
 *      +--------------+-------------+-----------+--------------+--------------+---------+
 *
 * Numbers have their most significant byte first. length counts the bytes behind itself. The CRC
 * (Castagnoli) covers everything from the attributes on, so that a broker may set base offset and
 * leader epoch without touching it. Attributes: bits 0-2 codec, 3 timestamps are the log's append
 * time, 4 transactional, 5 control, 6 base timestamp is the delete horizon (KIP-534), others 0.
 *
 * Functions here keep no state; any thread may call them on bytes of its own.
 */
#ifndef HEADRACE_RECORD_BATCH_H
#define HEADRACE_RECORD_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "record/compress.h"

/* Where each field lies. */
enum batch_at {
    BATCH_AT_BASE_OFFSET = 0,
    BATCH_AT_LENGTH = 8,
    BATCH_AT_LEADER_EPOCH = 12,
    BATCH_AT_MAGIC = 16,
    BATCH_AT_CRC = 17,
    BATCH_AT_ATTRIBUTES = 21,
    BATCH_AT_LAST_OFFSET_DELTA = 23,
    BATCH_AT_BASE_TIMESTAMP = 27,
    BATCH_AT_MAX_TIMESTAMP = 35,
    BATCH_AT_PRODUCER_ID = 43,
    BATCH_AT_PRODUCER_EPOCH = 51,
    BATCH_AT_BASE_SEQUENCE = 53,
    BATCH_AT_RECORD_COUNT = 57,
    BATCH_AT_RECORDS = 61,
};

/* The bytes before the records; the smallest batch. */
#define BATCH_HEADER_SIZE 61

/* base offset and length: not counted by length itself. */
#define BATCH_PREFIX_SIZE 12

_Static_assert(BATCH_AT_LENGTH + 4 == BATCH_PREFIX_SIZE, "length ends the prefix");
_Static_assert(BATCH_AT_CRC + 4 == BATCH_AT_ATTRIBUTES, "the CRC covers what follows it");
_Static_assert(BATCH_AT_RECORD_COUNT + 4 == BATCH_AT_RECORDS, "records follow their count");
_Static_assert((int)BATCH_AT_RECORDS == BATCH_HEADER_SIZE, "the header ends where records begin");

enum batch_attribute {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
    BATCH_ATTRIBUTES_KNOWN = 0x7f,
};

#define BATCH_NO_TIMESTAMP (-1)
#define BATCH_NO_PRODUCER_ID (-1)
#define BATCH_NO_SEQUENCE (-1)

/* The fields of one batch, as they are in its bytes. */
struct batch_header {
    int64_t base_offset;
    uint32_t size; /* of the whole batch in bytes, prefix included */
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes; /* a sum of batch_attribute and the codec */
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

static inline int64_t batch_last_offset(const struct batch_header *header)
{
    return header->base_offset + header->last_offset_delta;
}

static inline enum compression batch_codec(const struct batch_header *header)
{
    return (enum compression)(header->attributes & BATCH_CODEC_MASK);
}

static inline bool batch_is_transactional(const struct batch_header *header)
{
    return (header->attributes & BATCH_TRANSACTIONAL) != 0;
}

static inline bool batch_is_control(const struct batch_header *header)
{
    return (header->attributes & BATCH_CONTROL) != 0;
}

static inline bool batch_has_producer(const struct batch_header *header)
{
    return header->producer_id != BATCH_NO_PRODUCER_ID;
}

/* KIP-534: from when on the batch's tombstones, or its transaction marker, may go; -1: not known.
 */
static inline int64_t batch_delete_horizon_ms(const struct batch_header *header)
{
    return (header->attributes & BATCH_DELETE_HORIZON) != 0 ? header->base_timestamp : -1;
}

/* What is wrong with a batch. Behind each: the error that Apache Kafka 4.x answers to Produce. */
enum batch_fault {
    BATCH_FINE = 0,
    BATCH_FAULT_INCOMPLETE,     /* the bytes end before the batch does: INVALID_RECORD */
    BATCH_FAULT_LENGTH,         /* length below the header's: CORRUPT_MESSAGE */
    BATCH_FAULT_MAGIC_OLD,      /* magic 0 or 1: INVALID_RECORD */
    BATCH_FAULT_MAGIC,          /* any other magic but 2: CORRUPT_MESSAGE */
    BATCH_FAULT_SEVERAL,        /* a second batch follows: INVALID_RECORD */
    BATCH_FAULT_BASE_OFFSET,    /* a client's base offset is not 0: INVALID_RECORD */
    BATCH_FAULT_TOO_LARGE,      /* above rules->size_max: MESSAGE_TOO_LARGE */
    BATCH_FAULT_CRC,            /* CORRUPT_MESSAGE */
    BATCH_FAULT_CODEC,          /* a codec that nobody knows: UNSUPPORTED_COMPRESSION_TYPE */
    BATCH_FAULT_CODEC_REFUSED,  /* not in rules->codecs: UNSUPPORTED_COMPRESSION_TYPE */
    BATCH_FAULT_ATTRIBUTES,     /* delete horizon or unknown bits: INVALID_RECORD (stricter) */
    BATCH_FAULT_COUNT,          /* none, or not as many as offsets: INVALID_RECORD */
    BATCH_FAULT_CONTROL,        /* a client's control batch: INVALID_RECORD */
    BATCH_FAULT_PRODUCER,       /* id, epoch and sequence contradict: INVALID_RECORD */
    BATCH_FAULT_RECORDS,        /* records that cannot be read: INVALID_RECORD */
    BATCH_FAULT_DECOMPRESS,     /* compressed bytes that cannot be read: CORRUPT_MESSAGE */
    BATCH_FAULT_BOMB,           /* decompressed beyond rules->decompressed_size_max */
    BATCH_FAULT_NO_KEY,         /* a record without key in a compacted topic: INVALID_RECORD */
    BATCH_FAULT_TIMESTAMP_TYPE, /* a client's log append time: INVALID_TIMESTAMP */
    BATCH_FAULT_TIMESTAMP,      /* a record too early or too late: INVALID_TIMESTAMP */
    BATCH_FAULT_NO_MEMORY,      /* nothing wrong with the batch: no memory to look at it */
    BATCH_FAULT_KIND_COUNT,
};

/* Kafka's words for the fault, a constant sentence without end mark. */
const char *batch_fault_text(enum batch_fault fault);

/*
 * Reads the header of the batch at the front of bytes. Looks at length and magic only, and that the
 * bytes hold the header; header->size may be more than bytes.size, and a size above INT32_MAX + 12
 * cannot occur. Faults: INCOMPLETE (fewer bytes than a header), LENGTH, MAGIC_OLD, MAGIC.
 */
MUST_USE enum batch_fault batch_parse(struct span bytes, struct batch_header *header);

/*
 * Checks one whole batch that was stored here: header, size <= bytes.size, CRC, codec, counts. For
 * recovery and readers; a control batch and any base offset are fine. Trailing bytes are ignored.
 */
MUST_USE enum batch_fault batch_check_stored(struct span bytes, struct batch_header *header);

/* What a topic asks of a client's batch. Times in milliseconds. */
struct batch_rules {
    size_t size_max;              /* message.max.bytes */
    size_t decompressed_size_max; /* bound for one batch that is walked compressed */
    uint32_t codecs;              /* bit 1 << codec: those the request's version may carry */
    bool full;                    /* walk compressed batches too */
    bool needs_keys;              /* compacted topic; walks compressed batches too */
    bool log_append_time;         /* message.timestamp.type; then the bounds below do not count */
    int64_t now_ms;
    int64_t before_ms_max; /* message.timestamp.before.max.ms, INT64_MAX: none */
    int64_t after_ms_max;  /* message.timestamp.after.max.ms, INT64_MAX: none */
};

/* What batch_validate saw. */
struct batch_report {
    struct batch_header header;  /* filled as soon as the header could be parsed */
    size_t size_ignored;         /* bytes behind the batch too few to be another: Kafka cuts them */
    int64_t max_timestamp;       /* the true one; of an unwalked batch, the header's */
    int32_t record_index;        /* of the faulty record, from 0; -1 where no single one is */
    bool was_walked;             /* the records were looked at one by one */
    bool is_max_timestamp_wrong; /* call batch_patch_timestamp with max_timestamp */
};

/*
 * Validates the records field of one partition in a Produce request, version 3 or newer, once and
 * for all: exactly one batch, and all that enum batch_fault lists, in the order in which Kafka
 * finds it. Uncompressed records are always walked: sizes, varints of at most 5 (or 10) bytes,
 * offset deltas 0, 1, 2 ..., headers. Compressed ones only by rules->full or rules->needs_keys,
 * through scratch (cleared first; its size_max is left alone; may be NULL when neither is set).
 * Changes nothing; *report is always filled as far as it goes.
 *
 * With rules->log_append_time the caller patches with now_ms whatever is reported.
 */
MUST_USE enum batch_fault batch_validate(struct span payload, const struct batch_rules *rules,
                                         struct buf *scratch, struct batch_report *report);

/* Sets what a broker assigns, in the bytes and in the header. Outside the CRC. */
void batch_patch_offset(uint8_t *batch, struct batch_header *header, int64_t base_offset,
                        int32_t leader_epoch);

/*
 * Sets the maximum timestamp and the timestamp type, in the bytes and in the header, and computes
 * the CRC anew. batch holds header->size bytes.
 */
void batch_patch_timestamp(uint8_t *batch, struct batch_header *header, int64_t max_timestamp,
                           bool is_log_append_time);

/*
 * Writes a stored batch without its records, as compaction leaves it where its offsets or its
 * producer's sequence still count: the same header, no codec, no delete horizon.
 */
void batch_strip(struct span batch, uint8_t out[BATCH_HEADER_SIZE]);

#endif
