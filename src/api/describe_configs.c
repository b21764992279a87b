/* describe_configs: topics' and the broker's configs, where each value comes from, and what it
 * means. */
#include "wire/describe_configs.h"
#include "api/handlers.h"

enum resource_type { RESOURCE_TOPIC = 2, RESOURCE_BROKER = 4 };

/* Kafka's numbers for where a value comes from. */
enum source { SOURCE_TOPIC = 1, SOURCE_STATIC_BROKER = 4, SOURCE_DEFAULT = 5 };

struct describe_work {
    struct request *request;
    struct broker *broker;
    struct describe_configs_request asked;
};

static bool is_wanted(const struct describe_configs_request_resource *asked, const char *name)
{
    if (asked->configuration_keys_count < 0)
        return true;
    for (int32_t i = 0; i < asked->configuration_keys_count; i++) {
        if (span_equal_text(asked->configuration_keys[i], name))
            return true;
    }
    return false;
}

static int8_t broker_source(const struct describe_work *work, enum config_id id)
{
    return work->broker->config->values[id].source == CONFIG_FROM_DEFAULT ? SOURCE_DEFAULT
                                                                          : SOURCE_STATIC_BROKER;
}

static void add_synonym(struct describe_configs_response_config *config, const char *name,
                        const char *value, int8_t source)
{
    config->synonyms[config->synonyms_count++] = (struct describe_configs_response_synonym){
        .name = span_text(name), .value = span_text(value), .source = source};
}

/* The values that would count one after the other: the topic's own, the broker's, the default. */
static struct err fill_synonyms(const struct describe_work *work, enum config_id id,
                                const char *topic_name, const char *override,
                                struct describe_configs_response_config *config)
{
    if (!work->asked.include_synonyms)
        return ERR_NONE;
    const struct config_def *def = config_def_of(id);
    config->synonyms = arena_alloc_array(&work->request->arena, 3, sizeof *config->synonyms);
    if (config->synonyms == NULL)
        return err_make(ERR_NO_MEMORY);
    if (override != NULL)
        add_synonym(config, topic_name, override, SOURCE_TOPIC);
    if (broker_source(work, id) == SOURCE_STATIC_BROKER)
        add_synonym(config, def->name, config_text(work->broker->config, id), SOURCE_STATIC_BROKER);
    if (def->initial != NULL)
        add_synonym(config, def->name, def->initial, SOURCE_DEFAULT);
    return ERR_NONE;
}

static void fill_words(const struct describe_work *work, enum config_id id,
                       struct describe_configs_response_config *config)
{
    const struct config_def *def = config_def_of(id);
    config->config_type = (int8_t)def->type;
    config->documentation = work->asked.include_documentation ? span_text(def->doc) : SPAN_NULL;
}

static struct err describe_topic(const struct describe_work *work, struct topic *topic,
                                 const struct describe_configs_request_resource *asked,
                                 struct describe_configs_response_resource *answer)
{
    struct arena *arena = &work->request->arena;
    struct topic_overrides overrides = {0};
    answer->configs = arena_alloc_array(arena, TOPIC_CONFIG_ID_COUNT, sizeof *answer->configs);
    struct err err =
        answer->configs == NULL ? err_make(ERR_NO_MEMORY) : topic_read_overrides(topic, &overrides);
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT && !err_failed(err); i++) {
        enum topic_config_id id = (enum topic_config_id)i;
        enum config_id synonym = topic_config_synonym(id);
        const char *name = topic_config_name(id);
        if (!is_wanted(asked, name))
            continue;
        struct describe_configs_response_config *config = &answer->configs[answer->configs_count++];
        struct span value;
        describe_configs_response_config_init(config);
        config->name = span_text(name);
        err = arena_copy(arena, span_text(topic_config_value(&overrides, work->broker->config, id)),
                         &value);
        if (err_failed(err))
            break;
        config->value = value;
        config->config_source =
            overrides.texts[i] != NULL ? SOURCE_TOPIC : broker_source(work, synonym);
        char *override = overrides.texts[i] == NULL
                             ? NULL
                             : arena_copy_text(arena, span_text(overrides.texts[i]));
        fill_words(work, synonym, config);
        err = fill_synonyms(work, synonym, name, override, config);
    }
    topic_overrides_deinit(&overrides);
    return err;
}

static struct err describe_broker(const struct describe_work *work,
                                  const struct describe_configs_request_resource *asked,
                                  struct describe_configs_response_resource *answer)
{
    answer->configs =
        arena_alloc_array(&work->request->arena, CONFIG_ID_COUNT, sizeof *answer->configs);
    if (answer->configs == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < CONFIG_ID_COUNT; i++) {
        enum config_id id = (enum config_id)i;
        const char *name = config_def_of(id)->name;
        if (!is_wanted(asked, name))
            continue;
        struct describe_configs_response_config *config = &answer->configs[answer->configs_count++];
        describe_configs_response_config_init(config);
        config->name = span_text(name);
        config->value = span_text(config_text(work->broker->config, id));
        config->read_only = true;
        config->config_source = broker_source(work, id);
        fill_words(work, id, config);
        TRY(fill_synonyms(work, id, NULL, NULL, config));
    }
    return ERR_NONE;
}

static struct err refuse(const struct describe_work *work, int16_t code, const char *text,
                         struct describe_configs_response_resource *answer)
{
    answer->error_code = code;
    return arena_copy(&work->request->arena, span_text(text), &answer->error_message);
}

static bool names_this_broker(const struct describe_work *work, struct span name)
{
    const char *id = config_text(work->broker->config, CONFIG_NODE_ID);
    return span_equal_text(name, id);
}

static struct err answer_resource(const struct describe_work *work,
                                  const struct describe_configs_request_resource *asked,
                                  struct describe_configs_response_resource *answer)
{
    describe_configs_response_resource_init(answer);
    answer->resource_type = asked->resource_type;
    answer->resource_name = asked->resource_name;
    if (asked->resource_type == RESOURCE_TOPIC) {
        struct diag diag;
        if (err_failed(topic_check_name(asked->resource_name, &diag)))
            return refuse(work, KAFKA_INVALID_TOPIC_EXCEPTION, diag.text, answer);
        struct topic *topic = broker_find_topic(work->broker, asked->resource_name);
        if (topic == NULL)
            return refuse(work, KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                          "This server does not host this topic-partition.", answer);
        struct err err = describe_topic(work, topic, asked, answer);
        topic_unref(topic);
        return err;
    }
    if (asked->resource_type != RESOURCE_BROKER)
        return refuse(work, KAFKA_INVALID_REQUEST,
                      "Only topics and brokers have configs that are served here.", answer);
    if (asked->resource_name.size == 0) /* the cluster-wide dynamic default: none is ever set */
        return ERR_NONE;
    if (!names_this_broker(work, asked->resource_name))
        return refuse(work, KAFKA_INVALID_REQUEST, "Unexpected broker id.", answer);
    return describe_broker(work, asked, answer);
}

struct err describe_configs_handle(struct request *request, struct broker *broker)
{
    struct describe_work work = {.request = request, .broker = broker};
    struct describe_configs_response response;
    TRY(describe_configs_request_decode(&request->body, request->version, &request->arena,
                                        &work.asked));
    describe_configs_response_init(&response);
    int32_t count = work.asked.resources_count;
    response.results = arena_alloc_array(&request->arena, (size_t)count, sizeof *response.results);
    if (response.results == NULL)
        return err_make(ERR_NO_MEMORY);
    response.results_count = count;
    for (int32_t i = 0; i < count; i++)
        TRY(answer_resource(&work, &work.asked.resources[i], &response.results[i]));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(describe_configs_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
