/* alter_configs: replacing a topic's overrides, editing them, and reading them back. */
#include "support/api_fixture.h"

#include "wire/alter_configs.h"
#include "wire/describe_configs.h"
#include "wire/incremental_alter_configs.h"

/* Kafka's numbers. */
enum { TYPE_TOPIC = 2, TYPE_BROKER = 4, TYPE_BROKER_LOGGER = 8 };
enum { OP_SET, OP_DELETE, OP_APPEND, OP_SUBTRACT };
enum { FROM_TOPIC = 1, FROM_FILE = 4, FROM_DEFAULT = 5 };

static int setup(void **state)
{
    static struct api_fixture fixture;
    api_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    api_fixture_deinit(*state);
    return 0;
}

/* The value of one config of the topic "events", and where it comes from; NULL: not told. */
static const char *told(struct api_fixture *fixture, const char *name, int8_t *source)
{
    static char text[64];
    struct span key = span_text(name);
    struct describe_configs_request_resource resource = {.resource_type = TYPE_TOPIC,
                                                         .resource_name = span_text("events"),
                                                         .configuration_keys = &key,
                                                         .configuration_keys_count = 1};
    struct describe_configs_request asked;
    struct describe_configs_response answer;
    describe_configs_request_init(&asked);
    asked.resources = &resource;
    asked.resources_count = 1;
    API_ASK(fixture, API_DESCRIBE_CONFIGS, describe_configs, 4, &asked, &answer);
    assert_int_equal(answer.results[0].error_code, KAFKA_NONE);
    if (answer.results[0].configs_count == 0)
        return NULL;
    const struct describe_configs_response_config *config = &answer.results[0].configs[0];
    client_keep(text, sizeof text, config->value);
    *source = config->config_source;
    return text;
}

static void assert_told(struct api_fixture *fixture, const char *name, const char *value,
                        int8_t source)
{
    int8_t actual = 0;
    assert_string_equal(told(fixture, name, &actual), value);
    assert_int_equal(actual, source);
}

static int16_t edit_as(struct api_fixture *fixture, int8_t type, const char *resource_name,
                       struct incremental_alter_configs_request_config *edits, int32_t count)
{
    struct incremental_alter_configs_request_resource resource = {.resource_type = type,
                                                                  .resource_name =
                                                                      span_text(resource_name),
                                                                  .configs = edits,
                                                                  .configs_count = count};
    struct incremental_alter_configs_request asked;
    struct incremental_alter_configs_response answer;
    incremental_alter_configs_request_init(&asked);
    asked.resources = &resource;
    asked.resources_count = 1;
    API_ASK(fixture, API_INCREMENTAL_ALTER_CONFIGS, incremental_alter_configs, 1, &asked, &answer);
    assert_int_equal(answer.responses_count, 1);
    assert_true(span_equal_text(answer.responses[0].resource_name, resource_name));
    assert_int_equal(answer.responses[0].resource_type, type);
    int16_t code = answer.responses[0].error_code;
    assert_int_equal(span_is_null(answer.responses[0].error_message), code == KAFKA_NONE);
    return code;
}

/* One edit of the topic "events"; value may be NULL. */
static int16_t edit(struct api_fixture *fixture, int8_t operation, const char *name,
                    const char *value)
{
    struct incremental_alter_configs_request_config one = {
        .name = span_text(name), .config_operation = operation, .value = text_or_null(value)};
    return edit_as(fixture, TYPE_TOPIC, "events", &one, 1);
}

/* Replaces the overrides of the topic "events" by one; name NULL: by none. */
static int16_t replace(struct api_fixture *fixture, const char *name, const char *value)
{
    struct alter_configs_request_config config = {.name = text_or_null(name),
                                                  .value = text_or_null(value)};
    struct alter_configs_request_resource resource = {.resource_type = TYPE_TOPIC,
                                                      .resource_name = span_text("events"),
                                                      .configs = &config,
                                                      .configs_count = name == NULL ? 0 : 1};
    struct alter_configs_request asked;
    struct alter_configs_response answer;
    alter_configs_request_init(&asked);
    asked.resources = &resource;
    asked.resources_count = 1;
    API_ASK(fixture, API_ALTER_CONFIGS, alter_configs, 2, &asked, &answer);
    assert_int_equal(answer.responses_count, 1);
    return answer.responses[0].error_code;
}

static void edits_change_what_they_name_and_replacing_all_of_it(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(edit(fixture, OP_SET, "retention.ms", "1000"), KAFKA_NONE);
    assert_int_equal(edit(fixture, OP_SET, "max.message.bytes", "2000"), KAFKA_NONE);
    assert_told(fixture, "retention.ms", "1000", FROM_TOPIC);
    assert_int_equal(replace(fixture, "retention.bytes", "5000"), KAFKA_NONE);
    assert_told(fixture, "retention.bytes", "5000", FROM_TOPIC);
    assert_told(fixture, "retention.ms", "604800000", FROM_DEFAULT);
    assert_told(fixture, "max.message.bytes", "1048588", FROM_DEFAULT);
    assert_int_equal(replace(fixture, NULL, NULL), KAFKA_NONE);
    assert_told(fixture, "retention.bytes", "-1", FROM_DEFAULT);
}

static void least_compaction_lag_above_the_most_is_refused(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(edit(fixture, OP_SET, "max.compaction.lag.ms", "10"), KAFKA_NONE);
    assert_int_equal(edit(fixture, OP_SET, "min.compaction.lag.ms", "11"), KAFKA_INVALID_CONFIG);
    assert_told(fixture, "min.compaction.lag.ms", "0", FROM_DEFAULT);
    assert_int_equal(edit(fixture, OP_SET, "min.compaction.lag.ms", "10"), KAFKA_NONE);
    assert_int_equal(edit(fixture, OP_SET, "max.compaction.lag.ms", "9"), KAFKA_INVALID_CONFIG);
    assert_int_equal(replace(fixture, "max.compaction.lag.ms", "9"), KAFKA_NONE);
}

static void deleted_override_falls_back_and_survives_a_restart_as_such(void **state)
{
    struct api_fixture *fixture = *state;
    broker_fixture_set(&fixture->coord.broker, "log.retention.ms", "7000");
    assert_int_equal(edit(fixture, OP_SET, "retention.ms", "1000"), KAFKA_NONE);
    assert_int_equal(edit(fixture, OP_SET, "retention.bytes", "5000"), KAFKA_NONE);
    assert_int_equal(edit(fixture, OP_DELETE, "retention.ms", NULL), KAFKA_NONE);
    assert_told(fixture, "retention.ms", "7000", FROM_FILE);
    api_fixture_crash(fixture);
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text("events"));
    struct topic_overrides overrides = {0};
    assert_ok(topic_read_overrides(topic, &overrides));
    enum topic_config_id id;
    assert_true(topic_config_find(span_text("retention.ms"), &id));
    assert_null(overrides.texts[id]);
    assert_true(topic_config_find(span_text("retention.bytes"), &id));
    assert_string_equal(overrides.texts[id], "5000");
    topic_overrides_deinit(&overrides);
    topic_unref(topic);
}

static void lists_are_appended_to_and_subtracted_from(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(edit(fixture, OP_APPEND, "cleanup.policy", "compact"), KAFKA_NONE);
    assert_told(fixture, "cleanup.policy", "delete,compact", FROM_TOPIC);
    assert_int_equal(edit(fixture, OP_APPEND, "cleanup.policy", "compact"), KAFKA_NONE);
    assert_told(fixture, "cleanup.policy", "delete,compact", FROM_TOPIC);
    assert_int_equal(edit(fixture, OP_SUBTRACT, "cleanup.policy", "delete"), KAFKA_NONE);
    assert_told(fixture, "cleanup.policy", "compact", FROM_TOPIC);
    assert_int_equal(edit(fixture, OP_APPEND, "retention.ms", "1"), KAFKA_INVALID_CONFIG);
    assert_int_equal(edit(fixture, OP_SUBTRACT, "retention.ms", "1"), KAFKA_INVALID_CONFIG);
    assert_int_equal(edit(fixture, OP_APPEND, "no.such.config", "1"), KAFKA_INVALID_CONFIG);
}

static void change_that_cannot_be_is_refused_as_a_whole(void **state)
{
    struct api_fixture *fixture = *state;
    struct incremental_alter_configs_request_config edits[] = {
        {.name = span_text("retention.ms"), .config_operation = OP_SET, .value = span_text("1000")},
        {.name = span_text("retention.bytes"), .config_operation = OP_SET, .value = span_text("x")},
    };
    assert_int_equal(edit_as(fixture, TYPE_TOPIC, "events", edits, 2), KAFKA_INVALID_CONFIG);
    edits[1] = (struct incremental_alter_configs_request_config){
        .name = span_text("retention.bytes"), .config_operation = 4, .value = span_text("1")};
    assert_int_equal(edit_as(fixture, TYPE_TOPIC, "events", edits, 2), KAFKA_INVALID_REQUEST);
    edits[1].config_operation = OP_SET;
    edits[1].value = SPAN_NULL;
    assert_int_equal(edit_as(fixture, TYPE_TOPIC, "events", edits, 2), KAFKA_INVALID_REQUEST);
    assert_told(fixture, "retention.ms", "604800000", FROM_DEFAULT);
    assert_int_equal(replace(fixture, "retention.ms", NULL), KAFKA_INVALID_REQUEST);
    assert_int_equal(replace(fixture, "retention.ms", "x"), KAFKA_INVALID_CONFIG);
}

static void resource_that_is_none_is_refused(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(edit_as(fixture, TYPE_TOPIC, "none", NULL, 0),
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(edit_as(fixture, TYPE_TOPIC, "a b", NULL, 0), KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(edit_as(fixture, TYPE_TOPIC, "", NULL, 0), KAFKA_INVALID_REQUEST);
    assert_int_equal(edit_as(fixture, TYPE_BROKER, "1", NULL, 0), KAFKA_INVALID_REQUEST);
    assert_int_equal(edit_as(fixture, TYPE_BROKER_LOGGER, "1", NULL, 0), KAFKA_INVALID_REQUEST);
}

static void change_that_is_only_validated_changes_nothing(void **state)
{
    struct api_fixture *fixture = *state;
    struct alter_configs_request_config config = {.name = span_text("retention.ms"),
                                                  .value = span_text("1000")};
    struct alter_configs_request_resource resource = {.resource_type = TYPE_TOPIC,
                                                      .resource_name = span_text("events"),
                                                      .configs = &config,
                                                      .configs_count = 1};
    struct alter_configs_request asked;
    struct alter_configs_response answer;
    alter_configs_request_init(&asked);
    asked.resources = &resource;
    asked.resources_count = 1;
    asked.validate_only = true;
    API_ASK(fixture, API_ALTER_CONFIGS, alter_configs, 2, &asked, &answer);
    assert_int_equal(answer.responses[0].error_code, KAFKA_NONE);
    assert_told(fixture, "retention.ms", "604800000", FROM_DEFAULT);
    config.value = span_text("x");
    API_ASK(fixture, API_ALTER_CONFIGS, alter_configs, 2, &asked, &answer);
    assert_int_equal(answer.responses[0].error_code, KAFKA_INVALID_CONFIG);
}

static void resource_named_twice_is_refused_both_times_and_others_change(void **state)
{
    struct api_fixture *fixture = *state;
    int64_t commit;
    topic_unref(broker_fixture_create(&fixture->coord.broker, "other", 1, &commit));
    struct incremental_alter_configs_request_config one = {
        .name = span_text("retention.ms"), .config_operation = OP_SET, .value = span_text("1000")};
    struct incremental_alter_configs_request_resource resources[3];
    const char *names[] = {"other", "events", "other"};
    for (int i = 0; i < 3; i++)
        resources[i] = (struct incremental_alter_configs_request_resource){
            .resource_type = TYPE_TOPIC,
            .resource_name = span_text(names[i]),
            .configs = &one,
            .configs_count = 1};
    struct incremental_alter_configs_request asked;
    struct incremental_alter_configs_response answer;
    incremental_alter_configs_request_init(&asked);
    asked.resources = resources;
    asked.resources_count = 3;
    API_ASK(fixture, API_INCREMENTAL_ALTER_CONFIGS, incremental_alter_configs, 1, &asked, &answer);
    assert_int_equal(answer.responses[0].error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.responses[1].error_code, KAFKA_NONE);
    assert_int_equal(answer.responses[2].error_code, KAFKA_INVALID_REQUEST);
    assert_told(fixture, "retention.ms", "1000", FROM_TOPIC);
}

/* Describes one resource; configs_count, or the code where it is refused. */
static int32_t describe(struct api_fixture *fixture, int8_t type, const char *name,
                        struct describe_configs_response *answer)
{
    struct describe_configs_request_resource resource = {
        .resource_type = type, .resource_name = span_text(name), .configuration_keys_count = -1};
    struct describe_configs_request asked;
    describe_configs_request_init(&asked);
    asked.resources = &resource;
    asked.resources_count = 1;
    asked.include_synonyms = true;
    asked.include_documentation = true;
    API_ASK(fixture, API_DESCRIBE_CONFIGS, describe_configs, 4, &asked, answer);
    const struct describe_configs_response_resource *result = &answer->results[0];
    return result->error_code == KAFKA_NONE ? result->configs_count : result->error_code;
}

static const struct describe_configs_response_config *
find_told(const struct describe_configs_response *answer, const char *name)
{
    const struct describe_configs_response_resource *result = &answer->results[0];
    for (int32_t i = 0; i < result->configs_count && result->configs != NULL; i++) {
        if (span_equal_text(result->configs[i].name, name))
            return &result->configs[i];
    }
    return NULL;
}

static void description_names_every_value_that_would_count(void **state)
{
    struct api_fixture *fixture = *state;
    broker_fixture_set(&fixture->coord.broker, "log.retention.ms", "7000");
    assert_int_equal(edit(fixture, OP_SET, "retention.ms", "1000"), KAFKA_NONE);
    struct describe_configs_response answer;
    assert_int_equal(describe(fixture, TYPE_TOPIC, "events", &answer), TOPIC_CONFIG_ID_COUNT);
    const struct describe_configs_response_config *found = find_told(&answer, "retention.ms");
    CHECK(found != NULL);
    assert_false(found->read_only);
    assert_false(span_is_null(found->documentation));
    assert_true(found->synonyms_count >= 2);
    assert_true(span_equal_text(found->synonyms[0].name, "retention.ms"));
    assert_true(span_equal_text(found->synonyms[0].value, "1000"));
    assert_int_equal(found->synonyms[0].source, FROM_TOPIC);
    assert_true(span_equal_text(found->synonyms[1].value, "7000"));
    assert_int_equal(found->synonyms[1].source, FROM_FILE);
}

static void broker_is_described_by_its_number_and_read_only(void **state)
{
    struct api_fixture *fixture = *state;
    struct describe_configs_response answer;
    const char *self = config_text(&fixture->coord.broker.config, CONFIG_NODE_ID);
    assert_int_equal(describe(fixture, TYPE_BROKER, self, &answer), CONFIG_ID_COUNT);
    assert_true(answer.results[0].configs[0].read_only);
    assert_int_equal(describe(fixture, TYPE_BROKER, "", &answer), 0);
    assert_int_equal(describe(fixture, TYPE_BROKER, "77", &answer), KAFKA_INVALID_REQUEST);
    assert_int_equal(describe(fixture, TYPE_BROKER_LOGGER, self, &answer), KAFKA_INVALID_REQUEST);
    assert_int_equal(describe(fixture, TYPE_TOPIC, "none", &answer),
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(describe(fixture, TYPE_TOPIC, "a b", &answer), KAFKA_INVALID_TOPIC_EXCEPTION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(edits_change_what_they_name_and_replacing_all_of_it),
        TEST(least_compaction_lag_above_the_most_is_refused),
        TEST(deleted_override_falls_back_and_survives_a_restart_as_such),
        TEST(lists_are_appended_to_and_subtracted_from),
        TEST(change_that_cannot_be_is_refused_as_a_whole),
        TEST(resource_that_is_none_is_refused),
        TEST(change_that_is_only_validated_changes_nothing),
        TEST(resource_named_twice_is_refused_both_times_and_others_change),
        TEST(description_names_every_value_that_would_count),
        TEST(broker_is_described_by_its_number_and_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
