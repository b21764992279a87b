/*
 * metadata: brokers, topics and their leaders; the place where topics are made automatically.
 *
 * A topic made by this request is in this request's answer, which waits until it is durable.
 */
#include "wire/metadata.h"
#include "api/commit_wait.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "api/operations.h"
#include "broker/admin.h"

struct metadata_work {
    struct commit_wait wait;
    struct broker *broker;
    struct metadata_request asked;
    struct metadata_response response;
    struct metadata_response_broker self;
    int32_t node_id;
    int64_t commit; /* of the last topic made; 0: none */
};

static struct err fill_partitions(struct metadata_work *work, struct arena *arena, int32_t count,
                                  struct metadata_response_topic *answer)
{
    answer->partitions = arena_alloc_array(arena, (size_t)count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct metadata_response_partition *partition = &answer->partitions[i];
        metadata_response_partition_init(partition);
        partition->partition_index = i;
        partition->leader_id = work->node_id;
        partition->leader_epoch = store_leader_epoch(work->broker->store);
        partition->replica_nodes = &work->node_id;
        partition->replica_nodes_count = 1;
        partition->isr_nodes = &work->node_id;
        partition->isr_nodes_count = 1;
    }
    return ERR_NONE;
}

static struct err fill_topic(struct metadata_work *work, struct topic *topic,
                             struct metadata_response_topic *answer)
{
    struct arena *arena = &work->wait.request->arena;
    TRY(arena_copy(arena, topic->name, &answer->name));
    answer->topic_id = topic->id;
    answer->is_internal = topic->is_internal;
    if (work->asked.include_topic_authorized_operations)
        answer->topic_authorized_operations = OPERATIONS_TOPIC;
    /* One that is not yet shown was found by make_topic, and the answer waits until it is. */
    int32_t count = topic_partition_count(topic);
    return fill_partitions(work, arena, count > 0 ? count : topic_recorded_count(topic), answer);
}

/* Makes an unknown topic, where that is wanted and allowed. Gives Kafka's code. */
static int16_t make_topic(struct metadata_work *work, struct span name, struct topic **out)
{
    const struct config *config = work->broker->config;
    if (err_failed(topic_check_name(name, NULL)))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    bool is_wanted = work->asked.allow_auto_topic_creation || work->wait.request->version < 4;
    bool is_reserved =
        span_equal_text(name, TOPIC_OFFSETS) || span_equal_text(name, TOPIC_TRANSACTIONS);
    if (!is_wanted || is_reserved || !config_bool(config, CONFIG_AUTO_CREATE_TOPICS_ENABLE))
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    struct topic_overrides overrides = {0};
    struct admin_create create = {
        .name = name,
        .partition_count = (int32_t)config_number(config, CONFIG_NUM_PARTITIONS),
        .overrides = &overrides,
    };
    struct err err = admin_create_topic(work->broker, &create, out, &work->commit, NULL);
    if (err_is(err, ERR_EXISTS)) { /* another request was faster */
        *out = broker_peek_topic(work->broker, name);
        return *out == NULL ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_NONE;
    }
    return error_map_admin(err);
}

static struct err answer_asked(struct metadata_work *work,
                               const struct metadata_request_topic *asked,
                               struct metadata_response_topic *answer)
{
    bool is_by_id = work->wait.request->version >= 10 && !uuid_is_zero(asked->topic_id);
    struct topic *topic = is_by_id ? broker_find_topic_by_id(work->broker, asked->topic_id)
                                   : broker_find_topic(work->broker, asked->name);
    metadata_response_topic_init(answer);
    answer->name = asked->name;
    answer->topic_id = asked->topic_id;
    if (topic == NULL && is_by_id)
        answer->error_code = KAFKA_UNKNOWN_TOPIC_ID;
    else if (topic == NULL)
        answer->error_code = make_topic(work, asked->name, &topic);
    if (is_by_id && work->wait.request->version < 12 && span_is_null(answer->name))
        answer->name = span_text("");
    struct err err = topic == NULL ? ERR_NONE : fill_topic(work, topic, answer);
    topic_unref(topic);
    return err;
}

static struct err answer_all(struct metadata_work *work, struct arena *arena)
{
    struct topic_list list;
    TRY(broker_list_topics(work->broker, arena, &list));
    struct metadata_response *response = &work->response;
    response->topics = arena_alloc_array(arena, list.count, sizeof *response->topics);
    struct err err = response->topics == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
    for (size_t i = 0; i < list.count && !err_failed(err); i++) {
        metadata_response_topic_init(&response->topics[i]);
        err = fill_topic(work, list.topics[i], &response->topics[i]);
        response->topics_count++;
    }
    topic_list_unref(&list);
    return err;
}

static struct err fill_response(struct metadata_work *work, struct request *request)
{
    struct metadata_response *response = &work->response;
    const struct metadata_request *asked = &work->asked;
    const struct listener_address *address =
        &work->broker->listeners->addresses[request_listener(request)];
    work->self = (struct metadata_response_broker){
        .node_id = work->node_id,
        .host = span_text(address->advertised_host),
        .port = address->advertised_port,
    };
    response->brokers = &work->self;
    response->brokers_count = 1;
    response->cluster_id = span_text(work->broker->cluster_id);
    response->controller_id = work->node_id;
    if (asked->include_cluster_authorized_operations)
        response->cluster_authorized_operations = OPERATIONS_CLUSTER;
    bool is_all = asked->topics_count < 0 || (request->version == 0 && asked->topics_count == 0);
    if (is_all)
        return answer_all(work, &request->arena);
    size_t count = (size_t)asked->topics_count;
    response->topics = arena_alloc_array(&request->arena, count, sizeof *response->topics);
    if (response->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response->topics_count = asked->topics_count;
    for (size_t i = 0; i < count; i++)
        TRY(answer_asked(work, &asked->topics[i], &response->topics[i]));
    return ERR_NONE;
}

static struct err metadata_resume(struct request *request)
{
    struct metadata_work *work = request->parked;
    TRY(work->wait.err);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(metadata_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

struct err metadata_handle(struct request *request, struct broker *broker)
{
    struct metadata_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(metadata_request_decode(&request->body, request->version, &request->arena, &work->asked));
    work->wait.request = request;
    work->broker = broker;
    work->node_id = (int32_t)config_number(broker->config, CONFIG_NODE_ID);
    metadata_response_init(&work->response);
    request->parked = work;
    TRY(fill_response(work, request));
    if (work->commit > 0 &&
        commit_wait_park_admin(&work->wait, broker, work->commit, metadata_resume))
        return ERR_NONE;
    return metadata_resume(request);
}
