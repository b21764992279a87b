/* offset_for_leader_epoch: where an epoch ends (KIP-101, KIP-320). */
#include "wire/offset_for_leader_epoch.h"
#include "api/error_map.h"
#include "api/handlers.h"

static void answer_known(struct partition *partition,
                         const struct offset_for_leader_epoch_request_partition *asked,
                         struct offset_for_leader_epoch_response_partition *answer)
{
    answer->error_code =
        error_map_epoch(asked->current_leader_epoch, store_leader_epoch(partition->store));
    if (answer->error_code == KAFKA_NONE)
        log_epoch_end(partition->log, asked->leader_epoch, &answer->leader_epoch,
                      &answer->end_offset);
}

static struct err answer_topic(struct request *request, struct broker *broker,
                               const struct offset_for_leader_epoch_request_topic *asked,
                               struct offset_for_leader_epoch_response_topic *answer)
{
    answer->topic = asked->topic;
    answer->partitions_count = asked->partitions_count;
    answer->partitions = arena_alloc_array(&request->arena, (size_t)asked->partitions_count,
                                           sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    struct topic *topic = broker_find_topic(broker, asked->topic);
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        struct offset_for_leader_epoch_response_partition *partition = &answer->partitions[i];
        int32_t index = asked->partitions[i].partition;
        struct partition *found = topic == NULL ? NULL : topic_partition(topic, index);
        offset_for_leader_epoch_response_partition_init(partition);
        partition->partition = index;
        if (found == NULL)
            partition->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else
            answer_known(found, &asked->partitions[i], partition);
    }
    topic_unref(topic);
    return ERR_NONE;
}

struct err offset_for_leader_epoch_handle(struct request *request, struct broker *broker)
{
    struct offset_for_leader_epoch_request asked;
    struct offset_for_leader_epoch_response response;
    TRY(offset_for_leader_epoch_request_decode(&request->body, request->version, &request->arena,
                                               &asked));
    offset_for_leader_epoch_response_init(&response);
    response.topics =
        arena_alloc_array(&request->arena, (size_t)asked.topics_count, sizeof *response.topics);
    if (response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response.topics_count = asked.topics_count;
    for (int32_t i = 0; i < asked.topics_count; i++)
        TRY(answer_topic(request, broker, &asked.topics[i], &response.topics[i]));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(offset_for_leader_epoch_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
