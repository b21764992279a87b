/* offset_commit: how far a group has read; answered when that is durable. */
#include "wire/offset_commit.h"
#include "api/commit_wait.h"
#include "api/handlers.h"

struct offset_commit_work {
    struct commit_wait wait;
    struct offset_commit_request asked;
    struct offset_commit_response response;
    struct coord_commit commit;
};

/* Since version 10 topics are named by id; the coordinator knows names. */
static struct err resolve_names(struct request *request, struct broker *broker,
                                struct offset_commit_request *asked)
{
    for (int32_t i = 0; i < asked->topics_count && request->version >= 10; i++) {
        struct topic *topic = broker_find_topic_by_id(broker, asked->topics[i].topic_id);
        asked->topics[i].name = SPAN_NULL;
        struct err err = topic == NULL
                             ? ERR_NONE
                             : arena_copy(&request->arena, topic->name, &asked->topics[i].name);
        topic_unref(topic);
        TRY(err);
    }
    return ERR_NONE;
}

static void name_unknown_ids(const struct offset_commit_work *work)
{
    for (int32_t i = 0; i < work->response.topics_count; i++) {
        const struct offset_commit_response_topic *topic = &work->response.topics[i];
        for (int32_t j = 0; j < topic->partitions_count && span_is_null(topic->name); j++) {
            if (topic->partitions[j].error_code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION)
                topic->partitions[j].error_code = KAFKA_UNKNOWN_TOPIC_ID;
        }
    }
}

/* The commits were appended, but never became durable. */
static void fail_all(const struct offset_commit_work *work)
{
    for (int32_t i = 0; i < work->response.topics_count; i++) {
        const struct offset_commit_response_topic *topic = &work->response.topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++)
            topic->partitions[j].error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
}

static struct err offset_commit_resume(struct request *request)
{
    struct offset_commit_work *work = request->parked;
    topic_unref(work->commit.topic);
    if (err_failed(work->wait.err))
        fail_all(work);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(offset_commit_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

struct err offset_commit_handle(struct request *request, struct api *api)
{
    struct offset_commit_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(offset_commit_request_decode(&request->body, request->version, &request->arena,
                                     &work->asked));
    TRY(resolve_names(request, api->broker, &work->asked));
    work->wait.request = request;
    request->parked = work;
    offset_commit_response_init(&work->response);
    TRY(coord_commit_offsets(api->coord, &work->asked, NULL, &request->arena, &work->response,
                             &work->commit));
    name_unknown_ids(work);
    if (work->commit.partition != NULL &&
        commit_wait_park(&work->wait, work->commit.partition, work->commit.end_offset,
                         offset_commit_resume))
        return ERR_NONE;
    return offset_commit_resume(request);
}
