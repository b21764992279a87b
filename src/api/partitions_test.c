/* partitions: growing topics, deleting them and their records, and describing them page by page. */
#include "support/api_fixture.h"

#include "wire/create_partitions.h"
#include "wire/delete_records.h"
#include "wire/delete_topics.h"
#include "wire/describe_topic_partitions.h"

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

static struct topic *make(struct api_fixture *fixture, const char *name, int32_t partition_count)
{
    int64_t commit;
    struct topic *topic =
        broker_fixture_create(&fixture->coord.broker, name, partition_count, &commit);
    coord_fixture_flush(&fixture->coord);
    return topic;
}

static struct create_partitions_request_topic growth(const char *name, int32_t count)
{
    struct create_partitions_request_topic topic;
    create_partitions_request_topic_init(&topic);
    topic.name = span_text(name);
    topic.count = count;
    topic.assignments_count = -1;
    return topic;
}

static void grow_all(struct api_fixture *fixture, struct create_partitions_request_topic *topics,
                     int32_t count, bool is_validated_only,
                     struct create_partitions_response *answer)
{
    struct create_partitions_request asked;
    create_partitions_request_init(&asked);
    asked.topics = topics;
    asked.topics_count = count;
    asked.validate_only = is_validated_only;
    API_ASK(fixture, API_CREATE_PARTITIONS, create_partitions, 3, &asked, answer);
    assert_int_equal(answer->results_count, count);
}

static int16_t grow(struct api_fixture *fixture, struct create_partitions_request_topic topic,
                    bool is_validated_only)
{
    struct create_partitions_response answer;
    grow_all(fixture, &topic, 1, is_validated_only, &answer);
    return answer.results[0].error_code;
}

static int32_t partition_count(struct api_fixture *fixture, const char *name)
{
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text(name));
    int32_t count = topic == NULL ? -1 : topic_partition_count(topic);
    topic_unref(topic);
    return count;
}

static void topic_grows_durably_and_never_shrinks(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(grow(fixture, growth("events", 6), false), KAFKA_NONE);
    api_fixture_crash(fixture);
    assert_int_equal(partition_count(fixture, "events"), 6);
    assert_int_equal(grow(fixture, growth("events", 6), false), KAFKA_INVALID_PARTITIONS);
    assert_int_equal(grow(fixture, growth("events", 2), false), KAFKA_INVALID_PARTITIONS);
    assert_int_equal(grow(fixture, growth("events", 0), false), KAFKA_INVALID_PARTITIONS);
    assert_int_equal(grow(fixture, growth("events", TOPIC_PARTITION_COUNT_MAX + 1), false),
                     KAFKA_INVALID_PARTITIONS);
    assert_int_equal(grow(fixture, growth("none", 2), false), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(grow(fixture, growth(TOPIC_OFFSETS, 9), false), KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(partition_count(fixture, "events"), 6);
}

static void growth_that_is_only_validated_is_answered_alike_and_not_done(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(grow(fixture, growth("events", 6), true), KAFKA_NONE);
    assert_int_equal(grow(fixture, growth("events", 4), true), KAFKA_INVALID_PARTITIONS);
    assert_int_equal(grow(fixture, growth("events", TOPIC_PARTITION_COUNT_MAX + 1), true),
                     KAFKA_INVALID_PARTITIONS);
    assert_int_equal(partition_count(fixture, "events"), 4);
}

static void new_partitions_are_placed_here_or_nowhere(void **state)
{
    struct api_fixture *fixture = *state;
    int32_t self = (int32_t)config_number(&fixture->coord.broker.config, CONFIG_NODE_ID);
    int32_t other = self + 1;
    struct create_partitions_request_assignment assignments[] = {
        {.broker_ids = &self, .broker_ids_count = 1},
        {.broker_ids = &other, .broker_ids_count = 1}};
    struct create_partitions_request_topic topic = growth("events", 6);
    topic.assignments = assignments;
    topic.assignments_count = 2;
    assert_int_equal(grow(fixture, topic, false), KAFKA_INVALID_REPLICA_ASSIGNMENT);
    topic.assignments_count = 1;
    assert_int_equal(grow(fixture, topic, false), KAFKA_INVALID_REPLICA_ASSIGNMENT);
    topic.count = 5;
    assert_int_equal(grow(fixture, topic, false), KAFKA_NONE);
}

static void topic_to_grow_named_twice_is_refused_and_others_grow(void **state)
{
    struct api_fixture *fixture = *state;
    topic_unref(make(fixture, "other", 1));
    struct create_partitions_request_topic topics[] = {growth("events", 5), growth("other", 2),
                                                       growth("events", 6)};
    struct create_partitions_response answer;
    grow_all(fixture, topics, 3, false, &answer);
    assert_int_equal(answer.results[0].error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.results[1].error_code, KAFKA_NONE);
    assert_int_equal(answer.results[2].error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(partition_count(fixture, "events"), 4);
}

static void delete_all(struct api_fixture *fixture, struct delete_topics_request_topic *topics,
                       int32_t count, struct delete_topics_response *answer)
{
    struct delete_topics_request asked;
    delete_topics_request_init(&asked);
    asked.topics = topics;
    asked.topics_count = count;
    API_ASK(fixture, API_DELETE_TOPICS, delete_topics, 6, &asked, answer);
    assert_int_equal(answer->responses_count, count);
}

static void topics_are_deleted_by_name_and_by_id(void **state)
{
    struct api_fixture *fixture = *state;
    struct topic *other = make(fixture, "other", 1);
    struct delete_topics_request_topic topics[] = {
        {.name = span_text("events")},
        {.name = SPAN_NULL, .topic_id = other->id},
        {.name = span_text("none")},
        {.name = SPAN_NULL, .topic_id = {{9}}},
    };
    topic_unref(other);
    struct delete_topics_response answer;
    delete_all(fixture, topics, 4, &answer);
    assert_int_equal(answer.responses[0].error_code, KAFKA_NONE);
    assert_int_equal(answer.responses[1].error_code, KAFKA_NONE);
    assert_true(span_equal_text(answer.responses[1].name, "other"));
    assert_int_equal(answer.responses[2].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(answer.responses[3].error_code, KAFKA_UNKNOWN_TOPIC_ID);
    api_fixture_crash(fixture);
    assert_int_equal(partition_count(fixture, "events"), -1);
    assert_int_equal(partition_count(fixture, "other"), -1);
}

static void entries_that_do_not_name_one_topic_once_delete_nothing(void **state)
{
    struct api_fixture *fixture = *state;
    struct topic *topic = make(fixture, "other", 1);
    struct delete_topics_request_topic topics[] = {
        {.name = span_text("events")},
        {.name = span_text("events")},
        {.name = SPAN_NULL, .topic_id = topic->id},
        {.name = SPAN_NULL, .topic_id = topic->id},
        {.name = span_text("third"), .topic_id = {{9}}},
        {.name = SPAN_NULL},
    };
    topic_unref(topic);
    struct delete_topics_response answer;
    delete_all(fixture, topics, 6, &answer);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(answer.responses[i].error_code, KAFKA_INVALID_REQUEST);
        assert_false(span_is_null(answer.responses[i].error_message));
    }
    assert_int_equal(partition_count(fixture, "events"), 4);
    assert_int_equal(partition_count(fixture, "other"), 1);
}

static void internal_topics_and_a_broker_that_deletes_none_are_left_alone(void **state)
{
    struct api_fixture *fixture = *state;
    struct delete_topics_request_topic topics[] = {{.name = span_text(TOPIC_OFFSETS)},
                                                   {.name = span_text(TOPIC_METADATA)},
                                                   {.name = span_text("events")}};
    struct delete_topics_response answer;
    delete_all(fixture, topics, 2, &answer);
    assert_int_equal(answer.responses[0].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(answer.responses[1].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    broker_fixture_set(&fixture->coord.broker, "delete.topic.enable", "false");
    delete_all(fixture, &topics[2], 1, &answer);
    assert_int_equal(answer.responses[0].error_code, KAFKA_TOPIC_DELETION_DISABLED);
    assert_int_equal(partition_count(fixture, "events"), 4);
}

/* Deletes a partition's records below the offset; the new start, or minus the error's code. */
static int64_t delete_below(struct api_fixture *fixture, const char *name, int32_t partition,
                            int64_t offset)
{
    struct delete_records_request_partition place = {.partition_index = partition,
                                                     .offset = offset};
    struct delete_records_request_topic topic = {
        .name = span_text(name), .partitions = &place, .partitions_count = 1};
    struct delete_records_request asked;
    struct delete_records_response answer;
    delete_records_request_init(&asked);
    asked.topics = &topic;
    asked.topics_count = 1;
    API_ASK(fixture, API_DELETE_RECORDS, delete_records, 2, &asked, &answer);
    CHECK(answer.topics_count == 1 && answer.topics[0].partitions_count == 1);
    const struct delete_records_response_partition *told = &answer.topics[0].partitions[0];
    assert_int_equal(told->low_watermark < 0, told->error_code != KAFKA_NONE);
    return told->error_code == KAFKA_NONE ? told->low_watermark : -told->error_code;
}

static void records_are_deleted_up_to_the_high_watermark_for_good(void **state)
{
    struct api_fixture *fixture = *state;
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text("events"));
    (void)broker_fixture_append(topic_partition(topic, 0), 10);
    assert_int_equal(delete_below(fixture, "events", 0, 1), -KAFKA_OFFSET_OUT_OF_RANGE);
    coord_fixture_flush(&fixture->coord);
    assert_int_equal(delete_below(fixture, "events", 0, 4), 4);
    assert_int_equal(delete_below(fixture, "events", 0, 2), 4); /* gone is gone */
    assert_int_equal(delete_below(fixture, "events", 0, 11), -KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(delete_below(fixture, "events", 0, -2), -KAFKA_OFFSET_OUT_OF_RANGE);
    topic_unref(topic);
    api_fixture_crash(fixture);
    assert_int_equal(delete_below(fixture, "events", 0, 0), 4);
    assert_int_equal(delete_below(fixture, "events", 0, -1), 10);
    assert_int_equal(delete_below(fixture, "events", 9, 0), -KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(delete_below(fixture, "none", 0, 0), -KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(delete_below(fixture, TOPIC_OFFSETS, 0, 0), -KAFKA_INVALID_TOPIC_EXCEPTION);
}

/* One page of a description, from the cursor on. */
static void describe(struct api_fixture *fixture, const char *const *names, int32_t count,
                     int32_t limit, struct describe_topic_partitions_request_cursor *cursor,
                     struct describe_topic_partitions_response *answer)
{
    struct describe_topic_partitions_request_topic topics[4];
    for (int32_t i = 0; i < count; i++)
        topics[i].name = span_text(names[i]);
    struct describe_topic_partitions_request asked;
    describe_topic_partitions_request_init(&asked);
    asked.topics = topics;
    asked.topics_count = count;
    asked.response_partition_limit = limit;
    asked.cursor = cursor;
    API_ASK(fixture, API_DESCRIBE_TOPIC_PARTITIONS, describe_topic_partitions, 0, &asked, answer);
}

static void description_goes_page_by_page_through_all_topics_in_order(void **state)
{
    struct api_fixture *fixture = *state;
    topic_unref(make(fixture, "alpha", 3));
    topic_unref(make(fixture, "zulu", 1));
    struct describe_topic_partitions_request_cursor cursor;
    struct describe_topic_partitions_request_cursor *from = NULL;
    char told[512] = "";
    size_t size = 0;
    for (int page = 0; page < 20; page++) {
        struct describe_topic_partitions_response answer;
        describe(fixture, NULL, 0, 2, from, &answer);
        int32_t partitions = 0;
        for (int32_t i = 0; i < answer.topics_count; i++) {
            const struct describe_topic_partitions_response_topic *topic = &answer.topics[i];
            partitions += topic->partitions_count;
            for (int32_t j = 0; j < topic->partitions_count && !topic->is_internal; j++)
                size +=
                    (size_t)snprintf(told + size, sizeof told - size, "%.*s-%d ",
                                     SPAN_ARGS(topic->name), topic->partitions[j].partition_index);
        }
        assert_in_range(partitions, 1, 2);
        if (answer.next_cursor == NULL)
            break;
        static char name[64];
        client_keep(name, sizeof name, answer.next_cursor->topic_name);
        cursor = (struct describe_topic_partitions_request_cursor){
            .topic_name = span_text(name), .partition_index = answer.next_cursor->partition_index};
        from = &cursor;
    }
    assert_string_equal(told,
                        "alpha-0 alpha-1 alpha-2 events-0 events-1 events-2 events-3 zulu-0 ");
}

static void description_of_named_topics_says_which_are_none(void **state)
{
    struct api_fixture *fixture = *state;
    const char *names[] = {"none", "events", "a b", "events"};
    struct describe_topic_partitions_response answer;
    describe(fixture, names, 4, 2000, NULL, &answer);
    assert_int_equal(answer.topics_count, 3);
    assert_true(span_equal_text(answer.topics[0].name, "a b"));
    assert_int_equal(answer.topics[0].error_code, KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(answer.topics[1].error_code, KAFKA_NONE);
    assert_int_equal(answer.topics[1].partitions_count, 4);
    assert_false(uuid_is_zero(answer.topics[1].topic_id));
    assert_int_equal(answer.topics[2].error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(answer.next_cursor);
}

static void page_holds_a_partition_whatever_its_limit(void **state)
{
    struct api_fixture *fixture = *state;
    const char *names[] = {"events"};
    struct describe_topic_partitions_response answer;
    describe(fixture, names, 1, 0, NULL, &answer);
    assert_int_equal(answer.topics[0].partitions_count, 1);
    assert_non_null(answer.next_cursor);
    struct describe_topic_partitions_request_cursor beyond = {.topic_name = span_text("events"),
                                                              .partition_index = 9};
    describe(fixture, names, 1, 10, &beyond, &answer);
    assert_int_equal(answer.topics[0].partitions_count, 0);
    assert_null(answer.next_cursor);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(topic_grows_durably_and_never_shrinks),
        TEST(growth_that_is_only_validated_is_answered_alike_and_not_done),
        TEST(new_partitions_are_placed_here_or_nowhere),
        TEST(topic_to_grow_named_twice_is_refused_and_others_grow),
        TEST(topics_are_deleted_by_name_and_by_id),
        TEST(entries_that_do_not_name_one_topic_once_delete_nothing),
        TEST(internal_topics_and_a_broker_that_deletes_none_are_left_alone),
        TEST(records_are_deleted_up_to_the_high_watermark_for_good),
        TEST(description_goes_page_by_page_through_all_topics_in_order),
        TEST(description_of_named_topics_says_which_are_none),
        TEST(page_holds_a_partition_whatever_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
