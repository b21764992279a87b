/* describe_producers: the producers that partitions remember (KIP-664). */
#include "wire/describe_producers.h"
#include "api/handlers.h"

static struct err answer_known(struct request *request, struct partition *partition,
                               struct describe_producers_response_partition *answer)
{
    struct partition_producer *found;
    size_t count;
    TRY(partition_list_producers(partition, &request->arena, &found, &count));
    answer->active_producers =
        arena_alloc_array(&request->arena, count, sizeof *answer->active_producers);
    if (answer->active_producers == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->active_producers_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        answer->active_producers[i] = (struct describe_producers_response_producer){
            .producer_id = found[i].view.producer_id,
            .producer_epoch = found[i].view.epoch,
            .last_sequence = found[i].view.last_sequence,
            .last_timestamp = found[i].view.update_ms,
            .coordinator_epoch = found[i].view.coordinator_epoch,
            .current_txn_start_offset = found[i].first_offset,
        };
    }
    return ERR_NONE;
}

static struct err answer_topic(struct request *request, struct broker *broker,
                               const struct describe_producers_request_topic *asked,
                               struct describe_producers_response_topic *answer)
{
    size_t count = (size_t)asked->partition_indexes_count;
    answer->name = asked->name;
    answer->partitions = arena_alloc_array(&request->arena, count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->partitions_count = asked->partition_indexes_count;
    struct topic *topic = broker_find_topic(broker, asked->name);
    struct err err = ERR_NONE;
    for (size_t i = 0; i < count && !err_failed(err); i++) {
        struct describe_producers_response_partition *partition = &answer->partitions[i];
        int32_t index = asked->partition_indexes[i];
        struct partition *found = topic == NULL ? NULL : topic_partition(topic, index);
        describe_producers_response_partition_init(partition);
        partition->partition_index = index;
        if (found == NULL)
            partition->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else
            err = answer_known(request, found, partition);
    }
    topic_unref(topic);
    return err;
}

struct err describe_producers_handle(struct request *request, struct broker *broker)
{
    struct describe_producers_request asked;
    struct describe_producers_response response;
    TRY(describe_producers_request_decode(&request->body, request->version, &request->arena,
                                          &asked));
    describe_producers_response_init(&response);
    response.topics =
        arena_alloc_array(&request->arena, (size_t)asked.topics_count, sizeof *response.topics);
    if (response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response.topics_count = asked.topics_count;
    for (int32_t i = 0; i < asked.topics_count; i++)
        TRY(answer_topic(request, broker, &asked.topics[i], &response.topics[i]));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(describe_producers_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
