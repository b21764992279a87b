/* error_map: tables. What lacks memory for a moment gets an error that clients try again after;
 * UNKNOWN_SERVER_ERROR would end a producer. */
#include "api/error_map.h"

#include "base/check.h"

int16_t error_map_partition(struct err err)
{
    static const int16_t codes[ERR_CODE_COUNT] = {
        [ERR_OK] = KAFKA_NONE,
        [ERR_NO_MEMORY] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_IO] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_INVALID] = KAFKA_INVALID_REQUEST,
        [ERR_CORRUPT] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_TRUNCATED] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_LIMIT] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_NOT_FOUND] = KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
        [ERR_EXISTS] = KAFKA_UNKNOWN_SERVER_ERROR,
        [ERR_CLOSED] = KAFKA_NOT_LEADER_OR_FOLLOWER,
        [ERR_AGAIN] = KAFKA_LEADER_NOT_AVAILABLE,
        [ERR_BUSY] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_NO_SPACE] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_DENIED] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_TIMEOUT] = KAFKA_REQUEST_TIMED_OUT,
        [ERR_UNSUPPORTED] = KAFKA_UNSUPPORTED_VERSION,
        [ERR_RANGE] = KAFKA_OFFSET_OUT_OF_RANGE,
        [ERR_OFFLINE] = KAFKA_KAFKA_STORAGE_ERROR,
        [ERR_ABORTED] = KAFKA_UNKNOWN_SERVER_ERROR, /* client's alone */
        [ERR_FENCED] = KAFKA_UNKNOWN_SERVER_ERROR,
    };
    CHECK(err.code < ERR_CODE_COUNT);
    return codes[err.code];
}

int16_t error_map_admin(struct err err)
{
    switch ((enum err_code)err.code) {
    case ERR_INVALID:
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    case ERR_EXISTS:
        return KAFKA_TOPIC_ALREADY_EXISTS;
    case ERR_LIMIT:
        return KAFKA_INVALID_PARTITIONS;
    case ERR_OK:
    case ERR_NO_MEMORY:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_TRUNCATED:
    case ERR_NOT_FOUND:
    case ERR_CLOSED:
    case ERR_AGAIN:
    case ERR_BUSY:
    case ERR_NO_SPACE:
    case ERR_DENIED:
    case ERR_TIMEOUT:
    case ERR_UNSUPPORTED:
    case ERR_RANGE:
    case ERR_OFFLINE:
    case ERR_ABORTED:
    case ERR_FENCED:
    case ERR_CODE_COUNT:
        break;
    }
    return error_map_partition(err);
}

int16_t error_map_batch(enum batch_fault fault)
{
    static const int16_t codes[BATCH_FAULT_KIND_COUNT] = {
        [BATCH_FINE] = KAFKA_NONE,
        [BATCH_FAULT_INCOMPLETE] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_LENGTH] = KAFKA_CORRUPT_MESSAGE,
        [BATCH_FAULT_MAGIC_OLD] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_MAGIC] = KAFKA_CORRUPT_MESSAGE,
        [BATCH_FAULT_SEVERAL] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_BASE_OFFSET] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_TOO_LARGE] = KAFKA_MESSAGE_TOO_LARGE,
        [BATCH_FAULT_CRC] = KAFKA_CORRUPT_MESSAGE,
        [BATCH_FAULT_CODEC] = KAFKA_UNSUPPORTED_COMPRESSION_TYPE,
        [BATCH_FAULT_CODEC_REFUSED] = KAFKA_UNSUPPORTED_COMPRESSION_TYPE,
        [BATCH_FAULT_ATTRIBUTES] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_COUNT] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_CONTROL] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_PRODUCER] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_RECORDS] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_DECOMPRESS] = KAFKA_CORRUPT_MESSAGE,
        [BATCH_FAULT_BOMB] = KAFKA_MESSAGE_TOO_LARGE,
        [BATCH_FAULT_NO_KEY] = KAFKA_INVALID_RECORD,
        [BATCH_FAULT_TIMESTAMP_TYPE] = KAFKA_INVALID_TIMESTAMP,
        [BATCH_FAULT_TIMESTAMP] = KAFKA_INVALID_TIMESTAMP,
        [BATCH_FAULT_NO_MEMORY] = KAFKA_KAFKA_STORAGE_ERROR,
    };
    CHECK(fault < BATCH_FAULT_KIND_COUNT);
    return codes[fault];
}

int16_t error_map_epoch(int32_t asked, int32_t current)
{
    if (asked < 0 || asked == current)
        return KAFKA_NONE;
    return asked < current ? KAFKA_FENCED_LEADER_EPOCH : KAFKA_UNKNOWN_LEADER_EPOCH;
}
