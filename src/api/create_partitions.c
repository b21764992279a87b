/* create_partitions: more partitions for topics (KIP-195). */
#include "wire/create_partitions.h"
#include "api/commit_wait.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "broker/admin.h"

struct grow_work {
    struct commit_wait wait;
    struct broker *broker;
    struct create_partitions_request asked;
    struct create_partitions_response response;
    int64_t commit;
};

static struct err refuse(struct grow_work *work, struct create_partitions_response_topic *answer,
                         int16_t code, const char *text)
{
    answer->error_code = code;
    return arena_copy(&work->wait.request->arena, span_text(text), &answer->error_message);
}

static bool is_fine_assignment(const struct grow_work *work, int32_t added,
                               const struct create_partitions_request_topic *asked)
{
    int32_t node_id = (int32_t)config_number(work->broker->config, CONFIG_NODE_ID);
    if (asked->assignments_count < 0)
        return true;
    bool is_fine = asked->assignments_count == added;
    for (int32_t i = 0; i < asked->assignments_count; i++)
        is_fine = is_fine && asked->assignments[i].broker_ids_count == 1 &&
                  asked->assignments[i].broker_ids[0] == node_id;
    return is_fine;
}

static struct err grow(struct grow_work *work, struct topic *topic,
                       const struct create_partitions_request_topic *asked,
                       struct create_partitions_response_topic *answer)
{
    struct diag diag = {.text = ""};
    int32_t present = topic_partition_count(topic);
    if (asked->count > present && !is_fine_assignment(work, asked->count - present, asked))
        return refuse(work, answer, KAFKA_INVALID_REPLICA_ASSIGNMENT,
                      "each new partition must be assigned to this broker alone");
    bool is_internal = topic->is_internal;
    if (is_internal)
        return refuse(work, answer, KAFKA_INVALID_TOPIC_EXCEPTION,
                      "the partitions of an internal topic cannot be changed");
    struct err err = ERR_NONE;
    if (!work->asked.validate_only)
        err = admin_add_partitions(work->broker, topic, asked->count, &work->commit, &diag);
    else if (asked->count <= present)
        err = diag_fail(&diag, ERR_INVALID, "Topic already has %d partition(s).", present);
    if (!err_failed(err))
        return ERR_NONE;
    int16_t code = err_is(err, ERR_INVALID) ? KAFKA_INVALID_PARTITIONS : error_map_admin(err);
    return refuse(work, answer, code, diag.text[0] != '\0' ? diag.text : err_text(err));
}

static struct err grow_resume(struct request *request)
{
    struct grow_work *work = request->parked;
    TRY(work->wait.err);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(create_partitions_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

struct err create_partitions_handle(struct request *request, struct broker *broker)
{
    struct grow_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(create_partitions_request_decode(&request->body, request->version, &request->arena,
                                         &work->asked));
    work->wait.request = request;
    work->broker = broker;
    request->parked = work;
    create_partitions_response_init(&work->response);
    int32_t count = work->asked.topics_count;
    work->response.results =
        arena_alloc_array(&request->arena, (size_t)count, sizeof *work->response.results);
    if (work->response.results == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.results_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct create_partitions_response_topic *answer = &work->response.results[i];
        create_partitions_response_topic_init(answer);
        answer->name = work->asked.topics[i].name;
        struct topic *topic = broker_find_topic(broker, answer->name);
        struct err err = topic == NULL ? refuse(work, answer, KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                                "This server does not host this topic-partition.")
                                       : grow(work, topic, &work->asked.topics[i], answer);
        topic_unref(topic);
        TRY(err);
    }
    if (work->commit > 0 && commit_wait_park_admin(&work->wait, broker, work->commit, grow_resume))
        return ERR_NONE;
    return grow_resume(request);
}
