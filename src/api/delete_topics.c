/* delete_topics: topics by name or id, and with them the offsets committed for them. */
#include "wire/delete_topics.h"
#include "api/commit_wait.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "broker/admin.h"

struct delete_work {
    struct commit_wait wait;
    struct api *api;
    struct delete_topics_request asked;
    struct delete_topics_response response;
    int64_t commit; /* of the last deletion; 0: none */
};

/* Deletes a topic that exists. */
static int16_t delete_topic(struct delete_work *work, struct topic *topic)
{
    if (!config_bool(work->api->broker->config, CONFIG_DELETE_TOPIC_ENABLE))
        return KAFKA_TOPIC_DELETION_DISABLED;
    if (span_equal_text(topic->name, TOPIC_METADATA) || span_equal_text(topic->name, TOPIC_OFFSETS))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    struct err err = admin_delete_topic(work->api->broker, topic, &work->commit, NULL);
    if (!err_failed(err))
        coord_forget_topic(work->api->coord, topic->name);
    return error_map_partition(err);
}

static struct err answer_topic(struct delete_work *work, struct span name, struct uuid id,
                               struct delete_topics_response_topic *answer)
{
    struct request *request = work->wait.request;
    delete_topics_response_topic_init(answer);
    answer->name = name;
    answer->topic_id = id;
    bool is_by_id = span_is_null(name);
    if (!is_by_id && !uuid_is_zero(id)) {
        answer->error_code = KAFKA_INVALID_REQUEST;
        return ERR_NONE;
    }
    struct broker *broker = work->api->broker;
    struct topic *topic =
        is_by_id ? broker_find_topic_by_id(broker, id) : broker_find_topic(broker, name);
    if (topic == NULL) {
        answer->error_code = is_by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return ERR_NONE;
    }
    struct err err = arena_copy(&request->arena, topic->name, &answer->name);
    answer->topic_id = topic->id;
    if (!err_failed(err))
        answer->error_code = delete_topic(work, topic);
    topic_unref(topic);
    return err;
}

static struct err delete_resume(struct request *request)
{
    struct delete_work *work = request->parked;
    TRY(work->wait.err);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(delete_topics_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

struct err delete_topics_handle(struct request *request, struct api *api)
{
    struct delete_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(delete_topics_request_decode(&request->body, request->version, &request->arena,
                                     &work->asked));
    work->wait.request = request;
    work->api = api;
    request->parked = work;
    delete_topics_response_init(&work->response);
    bool has_ids = request->version >= 6;
    int32_t count = has_ids ? work->asked.topics_count : work->asked.topic_names_count;
    work->response.responses =
        arena_alloc_array(&request->arena, (size_t)count, sizeof *work->response.responses);
    if (work->response.responses == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct span name = has_ids ? work->asked.topics[i].name : work->asked.topic_names[i];
        struct uuid id = has_ids ? work->asked.topics[i].topic_id : UUID_ZERO;
        TRY(answer_topic(work, name, id, &work->response.responses[i]));
    }
    if (work->commit > 0 &&
        commit_wait_park_admin(&work->wait, api->broker, work->commit, delete_resume))
        return ERR_NONE;
    return delete_resume(request);
}
