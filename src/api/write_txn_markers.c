/*
 * write_txn_markers: ends transactions in partitions, without their coordinator: what
 * administrators do to one that hangs (KIP-664). Answered when the markers are durable.
 */
#include "wire/write_txn_markers.h"
#include <stdatomic.h>

#include "api/error_map.h"
#include "api/handlers.h"

struct marker_wait {
    struct partition_waiter waiter;
    struct marker_work *work;
    struct topic *topic; /* a reference, as long as the partition is waited for */
    struct write_txn_markers_response_partition *answer;
};

struct marker_work {
    struct request *request;
    struct api *api;
    struct write_txn_markers_request asked;
    struct write_txn_markers_response response;
    struct marker_wait *waits;
    size_t wait_count;
    atomic_int waiting; /* those not yet done, and one for the handler itself */
};

static struct err markers_resume(struct request *request)
{
    struct marker_work *work = request->parked;
    for (size_t i = 0; i < work->wait_count; i++)
        topic_unref(work->waits[i].topic);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(write_txn_markers_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static void wait_done(struct partition_waiter *waiter, struct err err)
{
    struct marker_wait *wait = LIST_ENTRY(waiter, struct marker_wait, waiter);
    if (err_failed(err))
        wait->answer->error_code = error_map_partition(err);
    if (atomic_fetch_sub(&wait->work->waiting, 1) == 1)
        request_wake(wait->work->request);
}

static int16_t map_verdict(const struct append_result *result)
{
    switch (result->verdict) {
    case APPEND_DONE:
    case APPEND_DUPLICATE:
        return KAFKA_NONE;
    case APPEND_FENCED:
        return KAFKA_INVALID_PRODUCER_EPOCH;
    case APPEND_COORDINATOR_FENCED:
        return KAFKA_TRANSACTION_COORDINATOR_FENCED;
    case APPEND_OUT_OF_ORDER:
    case APPEND_NOT_IN_TRANSACTION:
    case APPEND_FAILED:
        break;
    }
    return err_is(result->err, ERR_AGAIN) ? KAFKA_COORDINATOR_LOAD_IN_PROGRESS
                                          : error_map_partition(result->err);
}

static void write_one(struct marker_work *work, const struct transaction_marker *marker,
                      struct partition *partition,
                      struct write_txn_markers_response_partition *answer)
{
    struct append_result result;
    coord_append_marker(work->api->coord, partition, marker, &result);
    answer->error_code = map_verdict(&result);
    if (result.verdict != APPEND_DONE)
        return;
    struct marker_wait *wait = &work->waits[work->wait_count++];
    topic_ref(partition->topic);
    *wait = (struct marker_wait){.waiter = {.offset = result.end_offset, .done = wait_done},
                                 .work = work,
                                 .topic = partition->topic,
                                 .answer = answer};
    atomic_fetch_add(&work->waiting, 1);
    struct err err;
    if (partition_wait(partition, &wait->waiter, &err))
        wait_done(&wait->waiter, err);
}

static struct err write_topic(struct marker_work *work, const struct transaction_marker *marker,
                              const struct write_txn_markers_request_topic *asked,
                              struct write_txn_markers_response_topic *answer)
{
    size_t count = (size_t)asked->partition_indexes_count;
    answer->name = asked->name;
    answer->partitions =
        arena_alloc_array(&work->request->arena, count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->partitions_count = asked->partition_indexes_count;
    struct topic *topic = broker_find_topic(work->api->broker, asked->name);
    for (size_t i = 0; i < count; i++) {
        int32_t index = asked->partition_indexes[i];
        struct partition *partition = topic == NULL ? NULL : topic_partition(topic, index);
        answer->partitions[i].partition_index = index;
        if (partition == NULL)
            answer->partitions[i].error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        else
            write_one(work, marker, partition, &answer->partitions[i]);
    }
    topic_unref(topic);
    return ERR_NONE;
}

static struct err write_marker(struct marker_work *work,
                               const struct write_txn_markers_request_marker *asked,
                               struct write_txn_markers_response_marker *answer)
{
    struct transaction_marker marker = {
        .producer_id = asked->producer_id,
        .producer_epoch = asked->producer_epoch,
        .transaction_version = asked->transaction_version,
        .coordinator_epoch = asked->coordinator_epoch,
        .is_commit = asked->transaction_result,
    };
    answer->producer_id = asked->producer_id;
    answer->topics = arena_alloc_array(&work->request->arena, (size_t)asked->topics_count,
                                       sizeof *answer->topics);
    if (answer->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++)
        TRY(write_topic(work, &marker, &asked->topics[i], &answer->topics[i]));
    return ERR_NONE;
}

static struct err write_all(struct marker_work *work)
{
    const struct write_txn_markers_request *asked = &work->asked;
    struct arena *arena = &work->request->arena;
    size_t partition_count = 0;
    for (int32_t i = 0; i < asked->markers_count; i++) {
        for (int32_t j = 0; j < asked->markers[i].topics_count; j++)
            partition_count += (size_t)asked->markers[i].topics[j].partition_indexes_count;
    }
    work->waits = arena_alloc_array(arena, partition_count, sizeof *work->waits);
    work->response.markers =
        arena_alloc_array(arena, (size_t)asked->markers_count, sizeof *work->response.markers);
    if (work->waits == NULL || work->response.markers == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.markers_count = asked->markers_count;
    for (int32_t i = 0; i < asked->markers_count; i++)
        TRY(write_marker(work, &asked->markers[i], &work->response.markers[i]));
    return ERR_NONE;
}

struct err write_txn_markers_handle(struct request *request, struct api *api)
{
    struct marker_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(write_txn_markers_request_decode(&request->body, request->version, &request->arena,
                                         &work->asked));
    work->request = request;
    work->api = api;
    request->parked = work;
    write_txn_markers_response_init(&work->response);
    atomic_init(&work->waiting, 1);
    request_park(request, markers_resume);
    struct err err = write_all(work);
    if (atomic_fetch_sub(&work->waiting, 1) > 1)
        return ERR_NONE; /* the last wait wakes the request */
    request_unpark(request);
    TRY(err);
    return markers_resume(request);
}
