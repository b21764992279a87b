/* list_offsets: offsets by name or by time (KIP-734, KIP-405: timestamps -1 to -6). */
#include "wire/list_offsets.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "base/limits.h"

/* Timestamps that stand for places. */
enum list_timestamp {
    LIST_LATEST = -1,
    LIST_EARLIEST = -2,
    LIST_MAX_TIMESTAMP = -3,
    LIST_EARLIEST_LOCAL = -4,
    LIST_LATEST_TIERED = -5,
    LIST_EARLIEST_PENDING_UPLOAD = -6,
};

/* The lowest version that knows the timestamp. */
static int16_t version_needed(int64_t timestamp)
{
    switch (timestamp) {
    case LIST_MAX_TIMESTAMP:
        return 7;
    case LIST_EARLIEST_LOCAL:
        return 8;
    case LIST_LATEST_TIERED:
        return 9;
    case LIST_EARLIEST_PENDING_UPLOAD:
        return 11;
    default:
        return 0;
    }
}

static void answer_offset(struct partition *partition, int64_t offset,
                          struct list_offsets_response_partition *answer)
{
    answer->offset = offset;
    answer->leader_epoch = log_epoch_at(partition->log, offset);
}

/* The offset of a record found by time, unless it is not yet shown to anyone. */
static void answer_time(struct partition *partition, int64_t timestamp, int64_t visible_end,
                        struct list_offsets_response_partition *answer)
{
    struct log_time found;
    struct buf scratch;
    buf_init(&scratch, DECOMPRESSED_SIZE_MAX);
    struct err err = timestamp == LIST_MAX_TIMESTAMP
                         ? log_find_time_max(partition->log, visible_end, &scratch, &found, NULL)
                         : log_find_time(partition->log, timestamp, &scratch, &found, NULL);
    buf_deinit(&scratch);
    if (err_is(err, ERR_NOT_FOUND) || (!err_failed(err) && found.offset >= visible_end))
        return;
    if (err_failed(err)) {
        answer->error_code = error_map_partition(err);
        return;
    }
    answer->offset = found.offset;
    answer->timestamp = found.timestamp;
    answer->leader_epoch = found.leader_epoch;
}

static void answer_known(struct request *request, struct partition *partition, bool is_committed,
                         const struct list_offsets_request_partition *asked,
                         struct list_offsets_response_partition *answer)
{
    int32_t epoch = store_leader_epoch(partition->store);
    struct partition_offsets offsets;
    partition_read_offsets(partition, &offsets);
    int64_t visible_end = is_committed ? offsets.stable : offsets.high_watermark;
    if (asked->current_leader_epoch >= 0 && asked->current_leader_epoch < epoch)
        answer->error_code = KAFKA_FENCED_LEADER_EPOCH;
    else if (asked->current_leader_epoch > epoch)
        answer->error_code = KAFKA_UNKNOWN_LEADER_EPOCH;
    else if (request->version < version_needed(asked->timestamp) ||
             asked->timestamp < LIST_EARLIEST_PENDING_UPLOAD)
        answer->error_code = KAFKA_UNSUPPORTED_VERSION;
    else if (asked->timestamp == LIST_LATEST)
        answer_offset(partition, visible_end, answer);
    else if (asked->timestamp == LIST_EARLIEST || asked->timestamp == LIST_EARLIEST_LOCAL)
        answer_offset(partition, offsets.start, answer);
    else if (asked->timestamp >= 0 || asked->timestamp == LIST_MAX_TIMESTAMP)
        answer_time(partition, asked->timestamp, visible_end, answer);
    /* -5 and -6 ask about tiered storage, of which there is none: offset -1 */
}

static struct err answer_topic(struct request *request, struct broker *broker, bool is_committed,
                               const struct list_offsets_request_topic *asked,
                               struct list_offsets_response_topic *answer)
{
    answer->name = asked->name;
    answer->partitions_count = asked->partitions_count;
    answer->partitions = arena_alloc_array(&request->arena, (size_t)asked->partitions_count,
                                           sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    struct topic *topic = broker_find_topic(broker, asked->name);
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        struct list_offsets_response_partition *partition = &answer->partitions[i];
        int32_t index = asked->partitions[i].partition_index;
        struct partition *found = topic == NULL ? NULL : topic_partition(topic, index);
        list_offsets_response_partition_init(partition);
        partition->partition_index = index;
        if (found == NULL)
            partition->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else
            answer_known(request, found, is_committed, &asked->partitions[i], partition);
        if (request->version < 4) /* which has no epoch to tell */
            partition->leader_epoch = -1;
    }
    topic_unref(topic);
    return ERR_NONE;
}

struct err list_offsets_handle(struct request *request, struct broker *broker)
{
    struct list_offsets_request asked;
    struct list_offsets_response response;
    TRY(list_offsets_request_decode(&request->body, request->version, &request->arena, &asked));
    list_offsets_response_init(&response);
    response.topics =
        arena_alloc_array(&request->arena, (size_t)asked.topics_count, sizeof *response.topics);
    if (response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response.topics_count = asked.topics_count;
    for (int32_t i = 0; i < asked.topics_count; i++)
        TRY(answer_topic(request, broker, asked.isolation_level == 1, &asked.topics[i],
                         &response.topics[i]));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(list_offsets_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
