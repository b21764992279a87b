/* list_offsets: offsets by name or by time (KIP-734, KIP-405: timestamps -1 to -6). */
#include "wire/list_offsets.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "api/repeats.h"
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
    int16_t code =
        error_map_epoch(asked->current_leader_epoch, store_leader_epoch(partition->store));
    struct partition_offsets offsets;
    partition_read_offsets(partition, &offsets);
    int64_t visible_end = is_committed ? offsets.stable : offsets.high_watermark;
    if (code != KAFKA_NONE)
        answer->error_code = code;
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

struct list_work {
    struct request *request;
    struct broker *broker;
    struct list_offsets_request asked;
    struct list_offsets_response response;
    struct repeats places;
};

/* The longest name of a partition for `places`: its topic's name, then its number. */
#define PLACE_SIZE_MAX (TOPIC_NAME_SIZE_MAX + 4)

/* Null for a name that no topic can have. */
static struct span place_make(uint8_t bytes[PLACE_SIZE_MAX], struct span topic, int32_t partition)
{
    if (topic.size > TOPIC_NAME_SIZE_MAX)
        return SPAN_NULL;
    if (topic.size != 0)
        memcpy(bytes, topic.data, topic.size);
    memcpy(bytes + topic.size, &partition, sizeof partition);
    return span_make(bytes, topic.size + sizeof partition);
}

/* Notes which partitions are named more than once. */
static struct err note_places(struct list_work *work)
{
    uint8_t bytes[PLACE_SIZE_MAX];
    for (int32_t i = 0; i < work->asked.topics_count; i++) {
        const struct list_offsets_request_topic *topic = &work->asked.topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct span place =
                place_make(bytes, topic->name, topic->partitions[j].partition_index);
            TRY(arena_copy(&work->request->arena, place, &place));
            if (!span_is_null(place))
                TRY(repeats_add(&work->places, place));
        }
    }
    return ERR_NONE;
}

static void answer_partition(struct list_work *work, struct topic *topic,
                             const struct list_offsets_request_topic *asked, int32_t at,
                             struct list_offsets_response_partition *answer)
{
    uint8_t bytes[PLACE_SIZE_MAX];
    int32_t index = asked->partitions[at].partition_index;
    struct partition *found = topic == NULL ? NULL : topic_partition(topic, index);
    list_offsets_response_partition_init(answer);
    answer->partition_index = index;
    if (repeats_has(&work->places, place_make(bytes, asked->name, index)))
        answer->error_code = KAFKA_INVALID_REQUEST;
    else if (found == NULL)
        answer->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    else
        answer_known(work->request, found, work->asked.isolation_level == 1, &asked->partitions[at],
                     answer);
    if (work->request->version < 4) /* which has no epoch to tell */
        answer->leader_epoch = -1;
}

static struct err answer_topic(struct list_work *work,
                               const struct list_offsets_request_topic *asked,
                               struct list_offsets_response_topic *answer)
{
    answer->name = asked->name;
    answer->partitions_count = asked->partitions_count;
    answer->partitions = arena_alloc_array(&work->request->arena, (size_t)asked->partitions_count,
                                           sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    struct topic *topic = broker_find_topic(work->broker, asked->name);
    for (int32_t i = 0; i < asked->partitions_count; i++)
        answer_partition(work, topic, asked, i, &answer->partitions[i]);
    topic_unref(topic);
    return ERR_NONE;
}

static struct err answer_all(struct list_work *work)
{
    int32_t count = work->asked.topics_count;
    work->response.topics =
        arena_alloc_array(&work->request->arena, (size_t)count, sizeof *work->response.topics);
    if (work->response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.topics_count = count;
    TRY(note_places(work));
    for (int32_t i = 0; i < count; i++)
        TRY(answer_topic(work, &work->asked.topics[i], &work->response.topics[i]));
    return ERR_NONE;
}

struct err list_offsets_handle(struct request *request, struct broker *broker)
{
    struct list_work work = {.request = request, .broker = broker};
    TRY(list_offsets_request_decode(&request->body, request->version, &request->arena,
                                    &work.asked));
    list_offsets_response_init(&work.response);
    repeats_init(&work.places, random_u64(broker->os->random));
    struct err err = answer_all(&work);
    repeats_deinit(&work.places);
    TRY(err);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(list_offsets_response_encode(writer, request->version, &work.response));
    return request_end_reply(request);
}
