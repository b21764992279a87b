/*
 * delete_records: moves partitions' start offsets up (KIP-107). Answered when that is durable (W6).
 */
#include "wire/delete_records.h"
#include "api/error_map.h"
#include "api/handlers.h"

/* The offset that stands for the high watermark. */
#define TO_HIGH_WATERMARK (-1)

struct truncate_work {
    struct ticket_waiter waiter;
    struct request *request;
    struct delete_records_response response;
    uint64_t ticket; /* of the last change; 0: none */
    struct err err;
};

static void answer_known(struct truncate_work *work, struct partition *partition, int64_t asked,
                         struct delete_records_response_partition *answer)
{
    struct partition_offsets offsets;
    partition_read_offsets(partition, &offsets);
    int64_t offset = asked == TO_HIGH_WATERMARK ? offsets.high_watermark : asked;
    if (offset < 0 || offset > offsets.high_watermark) {
        answer->error_code = KAFKA_OFFSET_OUT_OF_RANGE;
        return;
    }
    uint64_t ticket = 0;
    struct err err = log_delete_records(partition->log, offset, &ticket, NULL);
    if (err_failed(err)) {
        answer->error_code = error_map_partition(err);
        return;
    }
    answer->low_watermark = log_start_offset(partition->log);
    if (ticket > work->ticket)
        work->ticket = ticket;
}

static struct err answer_topic(struct truncate_work *work, struct broker *broker,
                               const struct delete_records_request_topic *asked,
                               struct delete_records_response_topic *answer)
{
    answer->name = asked->name;
    answer->partitions_count = asked->partitions_count;
    answer->partitions = arena_alloc_array(&work->request->arena, (size_t)asked->partitions_count,
                                           sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    struct topic *topic = broker_find_topic(broker, asked->name);
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        struct delete_records_response_partition *partition = &answer->partitions[i];
        int32_t index = asked->partitions[i].partition_index;
        struct partition *found = topic == NULL ? NULL : topic_partition(topic, index);
        partition->partition_index = index;
        partition->low_watermark = -1;
        if (found == NULL)
            partition->error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else if (topic->is_internal)
            partition->error_code = KAFKA_INVALID_TOPIC_EXCEPTION;
        else
            answer_known(work, found, asked->partitions[i].offset, partition);
    }
    topic_unref(topic);
    return ERR_NONE;
}

static struct err truncate_resume(struct request *request)
{
    struct truncate_work *work = request->parked;
    TRY(work->err);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(delete_records_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static void ticket_done(struct ticket_waiter *waiter, struct err err)
{
    struct truncate_work *work = LIST_ENTRY(waiter, struct truncate_work, waiter);
    work->err = err;
    request_wake(work->request);
}

struct err delete_records_handle(struct request *request, struct broker *broker)
{
    struct delete_records_request asked;
    struct truncate_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(delete_records_request_decode(&request->body, request->version, &request->arena, &asked));
    work->request = request;
    request->parked = work;
    delete_records_response_init(&work->response);
    work->response.topics = arena_alloc_array(&request->arena, (size_t)asked.topics_count,
                                              sizeof *work->response.topics);
    if (work->response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.topics_count = asked.topics_count;
    for (int32_t i = 0; i < asked.topics_count; i++)
        TRY(answer_topic(work, broker, &asked.topics[i], &work->response.topics[i]));
    if (work->ticket == 0)
        return truncate_resume(request);
    work->waiter = (struct ticket_waiter){.ticket = work->ticket, .done = ticket_done};
    request_park(request, truncate_resume);
    if (!broker_wait_ticket(broker, &work->waiter, &work->err))
        return ERR_NONE;
    request_unpark(request);
    return truncate_resume(request);
}
