/* create_topics: topics with partitions and configs. One machine holds one copy of each. */
#include "wire/create_topics.h"
#include "api/commit_wait.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "api/repeats.h"
#include "broker/admin.h"

struct create_work {
    struct commit_wait wait;
    struct broker *broker;
    struct create_topics_request asked;
    struct create_topics_response response;
    struct repeats names;
    int64_t commit; /* of the last topic made, or found to be there; 0: none */
};

static struct err refuse(struct create_topics_response_topic *answer, struct arena *arena,
                         int16_t code, const char *text)
{
    answer->error_code = code;
    struct span message;
    TRY(arena_copy(arena, span_text(text), &message));
    answer->error_message = message;
    return ERR_NONE;
}

/*
 * Whether the client's own placement of replicas fits one broker: NULL, or what is wrong.
 * Partitions may stand in any order. *count: how many there are.
 */
static const char *check_assignments(const struct create_work *work,
                                     const struct create_topics_request_topic *asked,
                                     int32_t *count)
{
    int32_t node_id = (int32_t)config_number(work->broker->config, CONFIG_NODE_ID);
    bool *is_placed = arena_alloc_array(&work->wait.request->arena,
                                        (size_t)asked->assignments_count, sizeof *is_placed);
    if (is_placed == NULL)
        return "there is no memory to check it";
    for (int32_t i = 0; i < asked->assignments_count; i++) {
        const struct create_topics_request_assignment *assignment = &asked->assignments[i];
        int32_t index = assignment->partition_index;
        if (index < 0 || index >= asked->assignments_count || is_placed[index])
            return "partitions should be a consecutive 0-based integer sequence";
        if (assignment->broker_ids_count != 1 || assignment->broker_ids[0] != node_id)
            return "each partition must be assigned to this broker alone";
        is_placed[index] = true;
    }
    *count = asked->assignments_count;
    return NULL;
}

/* Checks numbers; *count: how many partitions. KAFKA_NONE, or a code with a sentence in diag. */
static int16_t check_numbers(const struct create_work *work,
                             const struct create_topics_request_topic *asked, int32_t *count,
                             struct diag *diag)
{
    int16_t code = KAFKA_NONE;
    struct err err = ERR_NONE;
    if (asked->assignments_count > 0) {
        const char *text = check_assignments(work, asked, count);
        if (asked->num_partitions != -1 || asked->replication_factor != -1) {
            code = KAFKA_INVALID_REQUEST;
            err = diag_fail(diag, ERR_INVALID,
                            "A manual partition assignment was given, so the number of "
                            "partitions and the replication factor must be -1.");
        } else if (text != NULL) {
            code = KAFKA_INVALID_REPLICA_ASSIGNMENT;
            err = diag_fail(diag, ERR_INVALID, "Invalid assignment: %s.", text);
        }
    } else if (asked->replication_factor != -1 && asked->replication_factor != 1) {
        code = KAFKA_INVALID_REPLICATION_FACTOR;
        err = diag_fail(diag, ERR_INVALID,
                        "replication.factor is %d, but one machine keeps one copy: use 1, or -1 "
                        "for the default.",
                        asked->replication_factor);
    } else if (asked->num_partitions == 0 || asked->num_partitions < -1) {
        code = KAFKA_INVALID_PARTITIONS;
        err = diag_fail(diag, ERR_INVALID,
                        "Number of partitions must be larger than 0, or -1 to use the default "
                        "value.");
    } else {
        *count = asked->num_partitions == -1
                     ? (int32_t)config_number(work->broker->config, CONFIG_NUM_PARTITIONS)
                     : asked->num_partitions;
    }
    (void)err;
    return code;
}

static struct err fill_overrides(const struct create_topics_request_topic *asked,
                                 const struct config *config_of_broker,
                                 struct topic_overrides *overrides, struct diag *diag)
{
    for (int32_t i = 0; i < asked->configs_count; i++) {
        const struct create_topics_request_config *config = &asked->configs[i];
        if (span_is_null(config->value))
            return diag_fail(diag, ERR_INVALID, "Null value not supported for topic configs: %.*s",
                             SPAN_ARGS(config->name));
        TRY(topic_overrides_set(overrides, config->name, config->value, diag));
    }
    return topic_overrides_check(overrides, config_of_broker, diag);
}

/* The configs in force, as the answer tells them since version 5 (KIP-525). */
static struct err fill_configs(const struct create_work *work,
                               const struct topic_overrides *overrides, struct arena *arena,
                               struct create_topics_response_topic *answer)
{
    answer->configs = arena_alloc_array(arena, TOPIC_CONFIG_ID_COUNT, sizeof *answer->configs);
    if (answer->configs == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++) {
        enum topic_config_id id = (enum topic_config_id)i;
        struct create_topics_response_config *config = &answer->configs[answer->configs_count++];
        create_topics_response_config_init(config);
        config->name = span_text(topic_config_name(id));
        const char *value = topic_config_value(overrides, work->broker->config, id);
        TRY(arena_copy(arena, span_text(value), &config->value));
        enum config_source source = work->broker->config->values[topic_config_synonym(id)].source;
        config->config_source = (int8_t)(overrides->texts[i] != NULL     ? 1
                                         : source != CONFIG_FROM_DEFAULT ? 4
                                                                         : 5);
    }
    return ERR_NONE;
}

/* Makes the topic, or only checks it. overrides is taken. */
static struct err make(struct create_work *work, struct admin_create *create,
                       struct create_topics_response_topic *answer, struct diag *diag)
{
    struct arena *arena = &work->wait.request->arena;
    answer->num_partitions = create->partition_count;
    answer->replication_factor = 1;
    struct err err = fill_configs(work, create->overrides, arena, answer);
    struct topic *topic = NULL;
    if (!err_failed(err) && work->asked.validate_only)
        err = admin_check_create(work->broker, create, diag);
    else if (!err_failed(err))
        err = admin_create_topic(work->broker, create, &topic, &work->commit, diag);
    if (topic != NULL)
        answer->topic_id = topic->id;
    topic_unref(topic);
    if (!err_failed(err))
        return ERR_NONE;
    create_topics_response_topic_init(answer);
    answer->name = create->name;
    return refuse(answer, arena, error_map_admin(err),
                  diag->text[0] != '\0' ? diag->text : err_text(err));
}

static struct err answer_topic(struct create_work *work,
                               const struct create_topics_request_topic *asked,
                               struct create_topics_response_topic *answer)
{
    struct arena *arena = &work->wait.request->arena;
    struct diag diag = {.text = ""};
    create_topics_response_topic_init(answer);
    answer->name = asked->name;
    if (repeats_has(&work->names, asked->name))
        return refuse(answer, arena, KAFKA_INVALID_REQUEST, "Duplicate topic name.");
    struct topic_overrides overrides = {0};
    struct admin_create create = {.name = asked->name, .overrides = &overrides};
    int16_t code = check_numbers(work, asked, &create.partition_count, &diag);
    if (code != KAFKA_NONE)
        return refuse(answer, arena, code, diag.text);
    struct err err = fill_overrides(asked, work->broker->config, &overrides, &diag);
    err = err_failed(err) ? refuse(answer, arena, KAFKA_INVALID_CONFIG, diag.text)
                          : make(work, &create, answer, &diag);
    topic_overrides_deinit(&overrides);
    return err;
}

static struct err create_resume(struct request *request)
{
    struct create_work *work = request->parked;
    TRY(work->wait.err);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(create_topics_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static struct err answer_all(struct create_work *work)
{
    struct err err = ERR_NONE;
    int32_t count = work->asked.topics_count;
    repeats_init(&work->names, random_u64(work->broker->os->random));
    for (int32_t i = 0; i < count && !err_failed(err); i++)
        err = repeats_add(&work->names, work->asked.topics[i].name);
    for (int32_t i = 0; i < count && !err_failed(err); i++)
        err = answer_topic(work, &work->asked.topics[i], &work->response.topics[i]);
    repeats_deinit(&work->names);
    return err;
}

struct err create_topics_handle(struct request *request, struct broker *broker)
{
    struct create_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(create_topics_request_decode(&request->body, request->version, &request->arena,
                                     &work->asked));
    work->wait.request = request;
    work->broker = broker;
    request->parked = work;
    create_topics_response_init(&work->response);
    size_t count = (size_t)work->asked.topics_count;
    work->response.topics =
        arena_alloc_array(&request->arena, count, sizeof *work->response.topics);
    if (work->response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.topics_count = work->asked.topics_count;
    TRY(answer_all(work));
    if (work->commit > 0 &&
        commit_wait_park_admin(&work->wait, broker, work->commit, create_resume))
        return ERR_NONE;
    return create_resume(request);
}
