/* create_partitions: more partitions for topics (KIP-195). */
#include "wire/create_partitions.h"
#include "api/commit_wait.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "api/repeats.h"
#include "broker/admin.h"

struct grow_work {
    struct commit_wait wait;
    struct broker *broker;
    struct create_partitions_request asked;
    struct create_partitions_response response;
    struct repeats names;
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
    struct err err =
        work->asked.validate_only
            ? admin_check_partitions(topic, asked->count, &diag)
            : admin_add_partitions(work->broker, topic, asked->count, &work->commit, &diag);
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

static struct err answer_topic(struct grow_work *work,
                               const struct create_partitions_request_topic *asked,
                               struct create_partitions_response_topic *answer)
{
    create_partitions_response_topic_init(answer);
    answer->name = asked->name;
    if (repeats_has(&work->names, asked->name))
        return refuse(work, answer, KAFKA_INVALID_REQUEST, "Duplicate topic name.");
    struct topic *topic = broker_find_topic(work->broker, asked->name);
    if (topic == NULL)
        return refuse(work, answer, KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                      "This server does not host this topic-partition.");
    struct err err = grow(work, topic, asked, answer);
    topic_unref(topic);
    return err;
}

static struct err answer_all(struct grow_work *work)
{
    struct err err = ERR_NONE;
    int32_t count = work->asked.topics_count;
    repeats_init(&work->names, random_u64(work->broker->os->random));
    for (int32_t i = 0; i < count && !err_failed(err); i++)
        err = repeats_add(&work->names, work->asked.topics[i].name);
    for (int32_t i = 0; i < count && !err_failed(err); i++)
        err = answer_topic(work, &work->asked.topics[i], &work->response.results[i]);
    repeats_deinit(&work->names);
    return err;
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
    TRY(answer_all(work));
    if (work->commit > 0 && commit_wait_park_admin(&work->wait, broker, work->commit, grow_resume))
        return ERR_NONE;
    return grow_resume(request);
}
