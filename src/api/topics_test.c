/* topics: what CreateTopics and DescribeLogDirs answer, and what a request's own size costs. */
#include "support/api_fixture.h"
#include "support/compare_count.h"

#include "wire/create_topics.h"
#include "wire/describe_log_dirs.h"

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

static struct create_topics_request_topic topic_named(const char *name)
{
    struct create_topics_request_topic topic;
    create_topics_request_topic_init(&topic);
    topic.name = span_text(name);
    topic.num_partitions = 1;
    topic.replication_factor = 1;
    return topic;
}

static void create_as(struct api_fixture *fixture, struct create_topics_request_topic *topics,
                      int32_t count, struct create_topics_response *answer)
{
    struct create_topics_request asked;
    create_topics_request_init(&asked);
    asked.topics = topics;
    asked.topics_count = count;
    asked.timeout_ms = 1000;
    API_ASK(fixture, API_CREATE_TOPICS, create_topics, 7, &asked, answer);
    assert_int_equal(answer->topics_count, count);
}

static int16_t create(struct api_fixture *fixture, struct create_topics_request_topic topic)
{
    struct create_topics_response answer;
    create_as(fixture, &topic, 1, &answer);
    return answer.topics[0].error_code;
}

static void created_topic_is_durable_when_answered_and_tells_its_configs(void **state)
{
    struct api_fixture *fixture = *state;
    struct create_topics_request_config config = {.name = span_text("retention.ms"),
                                                  .value = span_text("1000")};
    struct create_topics_request_topic topic = topic_named("orders");
    topic.num_partitions = 3;
    topic.configs = &config;
    topic.configs_count = 1;
    struct create_topics_response answer;
    create_as(fixture, &topic, 1, &answer);
    const struct create_topics_response_topic *made = &answer.topics[0];
    assert_int_equal(made->error_code, KAFKA_NONE);
    assert_int_equal(made->num_partitions, 3);
    assert_int_equal(made->replication_factor, 1);
    assert_false(uuid_is_zero(made->topic_id));
    bool is_told = false;
    for (int32_t i = 0; i < made->configs_count; i++) {
        if (span_equal_text(made->configs[i].name, "retention.ms"))
            is_told = span_equal_text(made->configs[i].value, "1000") &&
                      made->configs[i].config_source == 1;
    }
    assert_true(is_told);
    struct uuid id = made->topic_id;
    api_fixture_crash(fixture);
    struct topic *found = broker_find_topic_by_id(fixture->coord.broker.broker, id);
    assert_non_null(found);
    topic_unref(found);
}

static void creation_is_not_answered_before_it_is_durable(void **state)
{
    struct api_fixture *fixture = *state;
    struct create_topics_request_topic topic = topic_named("orders");
    struct create_topics_request asked;
    create_topics_request_init(&asked);
    asked.topics = &topic;
    asked.topics_count = 1;
    assert_ok(create_topics_request_encode(api_fixture_begin(fixture), 7, &asked));
    api_fixture_send(fixture, API_CREATE_TOPICS, 7);
    assert_ok(reactor_step(fixture->reactor, 0));
    assert_false(api_fixture_is_answered(fixture));
    (void)api_fixture_answer(fixture);
}

static void topic_that_cannot_be_is_refused_with_kafkas_code(void **state)
{
    struct api_fixture *fixture = *state;
    struct create_topics_request_topic topic = topic_named("events");
    assert_int_equal(create(fixture, topic), KAFKA_TOPIC_ALREADY_EXISTS);
    assert_int_equal(create(fixture, topic_named("a b")), KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create(fixture, topic_named("")), KAFKA_INVALID_TOPIC_EXCEPTION);
    topic = topic_named("orders");
    topic.num_partitions = 0;
    assert_int_equal(create(fixture, topic), KAFKA_INVALID_PARTITIONS);
    topic.num_partitions = -2;
    assert_int_equal(create(fixture, topic), KAFKA_INVALID_PARTITIONS);
    topic.num_partitions = TOPIC_PARTITION_COUNT_MAX + 1;
    assert_int_equal(create(fixture, topic), KAFKA_INVALID_PARTITIONS);
    topic = topic_named("orders");
    topic.replication_factor = 3;
    assert_int_equal(create(fixture, topic), KAFKA_INVALID_REPLICATION_FACTOR);
    struct create_topics_request_config config = {.name = span_text("retention.ms"),
                                                  .value = span_text("soon")};
    topic = topic_named("orders");
    topic.configs = &config;
    topic.configs_count = 1;
    assert_int_equal(create(fixture, topic), KAFKA_INVALID_CONFIG);
    config.value = SPAN_NULL;
    assert_int_equal(create(fixture, topic), KAFKA_INVALID_CONFIG);
    assert_false(broker_fixture_has(&fixture->coord.broker, "orders"));
}

static void topic_that_is_only_validated_is_not_made(void **state)
{
    struct api_fixture *fixture = *state;
    struct create_topics_request_topic topics[] = {topic_named("orders"), topic_named("events")};
    struct create_topics_request asked;
    struct create_topics_response answer;
    create_topics_request_init(&asked);
    asked.topics = topics;
    asked.topics_count = 2;
    asked.validate_only = true;
    API_ASK(fixture, API_CREATE_TOPICS, create_topics, 7, &asked, &answer);
    assert_int_equal(answer.topics[0].error_code, KAFKA_NONE);
    assert_true(uuid_is_zero(answer.topics[0].topic_id));
    assert_int_equal(answer.topics[1].error_code, KAFKA_TOPIC_ALREADY_EXISTS);
    assert_false(broker_fixture_has(&fixture->coord.broker, "orders"));
}

/* Asks for partitions placed by hand, each on the one broker given. */
static int16_t create_placed(struct api_fixture *fixture, const char *name, const int32_t *indexes,
                             int32_t broker_id)
{
    struct create_topics_request_assignment assignments[3];
    for (int i = 0; i < 3; i++)
        assignments[i] = (struct create_topics_request_assignment){
            .partition_index = indexes[i], .broker_ids = &broker_id, .broker_ids_count = 1};
    struct create_topics_request_topic topic = topic_named(name);
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    topic.assignments = assignments;
    topic.assignments_count = 3;
    return create(fixture, topic);
}

static void partitions_placed_by_hand_are_all_there_once_and_here(void **state)
{
    struct api_fixture *fixture = *state;
    int32_t self = (int32_t)config_number(&fixture->coord.broker.config, CONFIG_NODE_ID);
    assert_int_equal(create_placed(fixture, "a", (const int32_t[]){2, 0, 1}, self), KAFKA_NONE);
    assert_int_equal(create_placed(fixture, "b", (const int32_t[]){0, 1, 3}, self),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(create_placed(fixture, "b", (const int32_t[]){0, 1, 1}, self),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(create_placed(fixture, "b", (const int32_t[]){-1, 0, 1}, self),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(create_placed(fixture, "b", (const int32_t[]){0, 1, 2}, self + 1),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text("a"));
    assert_int_equal(topic_partition_count(topic), 3);
    topic_unref(topic);
}

static void placement_leaves_no_say_in_the_counts(void **state)
{
    struct api_fixture *fixture = *state;
    int32_t self = (int32_t)config_number(&fixture->coord.broker.config, CONFIG_NODE_ID);
    struct create_topics_request_assignment assignment = {.broker_ids = &self,
                                                          .broker_ids_count = 1};
    struct create_topics_request_topic topic = topic_named("a");
    topic.assignments = &assignment;
    topic.assignments_count = 1;
    assert_int_equal(create(fixture, topic), KAFKA_INVALID_REQUEST);
}

static void topic_named_twice_is_refused_both_times_and_others_are_made(void **state)
{
    struct api_fixture *fixture = *state;
    struct create_topics_request_topic topics[] = {topic_named("twice"), topic_named("once"),
                                                   topic_named("twice")};
    struct create_topics_response answer;
    create_as(fixture, topics, 3, &answer);
    assert_int_equal(answer.topics[0].error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.topics[1].error_code, KAFKA_NONE);
    assert_int_equal(answer.topics[2].error_code, KAFKA_INVALID_REQUEST);
    assert_false(broker_fixture_has(&fixture->coord.broker, "twice"));
}

/* Names of one length, so that each comparison is one of bytes. */
#define NAME_COUNT_MAX 4000

static char names[NAME_COUNT_MAX][16];

/* Comparisons that a request takes which names so many topics, none of which can be made. */
static int64_t create_cost(struct api_fixture *fixture, int32_t count)
{
    static struct create_topics_request_topic topics[NAME_COUNT_MAX];
    struct create_topics_response answer;
    for (int32_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "t%06d", i);
        topics[i] = topic_named(names[i]);
        topics[i].num_partitions = 0;
    }
    int64_t before = compare_count;
    create_as(fixture, topics, count, &answer);
    return compare_count - before;
}

static void twice_the_topics_to_create_take_twice_the_comparisons(void **state)
{
    struct api_fixture *fixture = *state;
    int64_t half = create_cost(fixture, NAME_COUNT_MAX / 2);
    assert_in_range(create_cost(fixture, NAME_COUNT_MAX), 0, 3 * half + 100);
}

static void describe_dirs(struct api_fixture *fixture,
                          struct describe_log_dirs_request_topic *topics, int32_t count,
                          struct describe_log_dirs_response *answer)
{
    struct describe_log_dirs_request asked;
    describe_log_dirs_request_init(&asked);
    asked.topics = topics;
    asked.topics_count = count;
    API_ASK(fixture, API_DESCRIBE_LOG_DIRS, describe_log_dirs, 4, &asked, answer);
    assert_int_equal(answer->results_count, 1);
}

static void log_dir_tells_the_partitions_asked_for_and_their_sizes(void **state)
{
    struct api_fixture *fixture = *state;
    struct topic *events = broker_find_topic(fixture->coord.broker.broker, span_text("events"));
    (void)broker_fixture_append(topic_partition(events, 1), 10);
    topic_unref(events);
    int32_t first[] = {1, 7, -1};
    int32_t second[] = {3, 1};
    struct describe_log_dirs_request_topic topics[] = {
        {.topic = span_text("events"), .partitions = first, .partitions_count = 3},
        {.topic = span_text("none"), .partitions = first, .partitions_count = 3},
        {.topic = span_text("events"), .partitions = second, .partitions_count = 2},
    };
    struct describe_log_dirs_response answer;
    describe_dirs(fixture, topics, 3, &answer);
    const struct describe_log_dirs_response_log_dir *dir = &answer.results[0];
    assert_int_equal(dir->error_code, KAFKA_NONE);
    assert_true(span_equal_text(dir->log_dir, "/data"));
    assert_int_equal(dir->topics_count, 1);
    assert_true(span_equal_text(dir->topics[0].name, "events"));
    assert_int_equal(dir->topics[0].partitions_count, 2);
    assert_int_equal(dir->topics[0].partitions[0].partition_index, 1);
    assert_true(dir->topics[0].partitions[0].partition_size > 1000);
    assert_int_equal(dir->topics[0].partitions[1].partition_index, 3);
    assert_int_equal(dir->topics[0].partitions[1].partition_size, 0);
}

static void log_dir_tells_all_topics_for_null_and_none_for_none(void **state)
{
    struct api_fixture *fixture = *state;
    struct describe_log_dirs_response answer;
    describe_dirs(fixture, NULL, 0, &answer);
    assert_int_equal(answer.results[0].topics_count, 0);
    describe_dirs(fixture, NULL, -1, &answer);
    assert_int_equal(answer.results[0].topics_count, 3); /* and the internal two */
    assert_int_equal(answer.results[0].topics[2].partitions_count, 4);
}

/* Comparisons that a description takes which names so many topics, of as many as there are. */
static int64_t describe_cost(struct api_fixture *fixture, int32_t count)
{
    static struct describe_log_dirs_request_topic topics[NAME_COUNT_MAX];
    static int32_t zero;
    struct describe_log_dirs_response answer;
    for (int32_t i = 0; i < count; i++)
        topics[i] = (struct describe_log_dirs_request_topic){
            .topic = span_text(names[i]), .partitions = &zero, .partitions_count = 1};
    int64_t before = compare_count;
    describe_dirs(fixture, topics, count, &answer);
    return compare_count - before;
}

static void twice_the_topics_to_describe_take_twice_the_comparisons(void **state)
{
    struct api_fixture *fixture = *state;
    int64_t costs[2];
    int32_t made = 0;
    for (int round = 0; round < 2; round++) {
        for (; made < 100 * (round + 1); made++) {
            int64_t commit;
            (void)snprintf(names[made], sizeof names[made], "t%06d", made);
            topic_unref(broker_fixture_create(&fixture->coord.broker, names[made], 1, &commit));
        }
        costs[round] = describe_cost(fixture, made);
    }
    assert_in_range(costs[1], 100, 3 * costs[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(created_topic_is_durable_when_answered_and_tells_its_configs),
        TEST(creation_is_not_answered_before_it_is_durable),
        TEST(topic_that_cannot_be_is_refused_with_kafkas_code),
        TEST(topic_that_is_only_validated_is_not_made),
        TEST(partitions_placed_by_hand_are_all_there_once_and_here),
        TEST(placement_leaves_no_say_in_the_counts),
        TEST(topic_named_twice_is_refused_both_times_and_others_are_made),
        TEST(twice_the_topics_to_create_take_twice_the_comparisons),
        TEST(log_dir_tells_the_partitions_asked_for_and_their_sizes),
        TEST(log_dir_tells_all_topics_for_null_and_none_for_none),
        TEST(twice_the_topics_to_describe_take_twice_the_comparisons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
