/* list_offsets: offsets by place and by time, and where an epoch ends. */
#include "support/api_fixture.h"

#include "wire/list_offsets.h"
#include "wire/offset_for_leader_epoch.h"

/* The time of every record that broker_fixture_append makes. */
#define RECORD_MS 1700000000000

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

static void fill(struct api_fixture *fixture, int32_t partition, int32_t record_count)
{
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text("events"));
    (void)broker_fixture_append(topic_partition(topic, partition), record_count);
    topic_unref(topic);
}

static struct list_offsets_request_partition place(int32_t partition, int64_t timestamp)
{
    struct list_offsets_request_partition asked;
    list_offsets_request_partition_init(&asked);
    asked.partition_index = partition;
    asked.timestamp = timestamp;
    return asked;
}

/* Asks for one place of a topic. */
static struct list_offsets_response_partition list_as(struct api_fixture *fixture, int16_t version,
                                                      const char *name,
                                                      struct list_offsets_request_partition asked)
{
    struct list_offsets_request_topic topic = {
        .name = span_text(name), .partitions = &asked, .partitions_count = 1};
    struct list_offsets_request request;
    struct list_offsets_response answer;
    list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    API_ASK(fixture, API_LIST_OFFSETS, list_offsets, version, &request, &answer);
    CHECK(answer.topics_count == 1 && answer.topics[0].partitions_count == 1);
    return answer.topics[0].partitions[0];
}

static int64_t list(struct api_fixture *fixture, int64_t timestamp)
{
    struct list_offsets_response_partition answer =
        list_as(fixture, 7, "events", place(0, timestamp));
    assert_int_equal(answer.error_code, KAFKA_NONE);
    return answer.offset;
}

static void latest_is_what_is_durable_and_earliest_what_is_left(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(list(fixture, -1), 0);
    fill(fixture, 0, 10);
    assert_int_equal(list(fixture, -1), 0);
    coord_fixture_flush(&fixture->coord);
    assert_int_equal(list(fixture, -1), 10);
    assert_int_equal(list(fixture, -2), 0);
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text("events"));
    uint64_t ticket;
    assert_ok(log_delete_records(topic_partition(topic, 0)->log, 4, &ticket, NULL));
    topic_unref(topic);
    assert_int_equal(list(fixture, -2), 4);
    assert_int_equal(list_as(fixture, 8, "events", place(0, -4)).offset, 4);
}

static void time_finds_the_first_record_that_is_not_older_and_durable(void **state)
{
    struct api_fixture *fixture = *state;
    fill(fixture, 0, 10);
    assert_int_equal(list(fixture, 0), -1);
    coord_fixture_flush(&fixture->coord);
    struct list_offsets_response_partition answer =
        list_as(fixture, 7, "events", place(0, RECORD_MS));
    assert_int_equal(answer.offset, 0);
    assert_int_equal(answer.timestamp, RECORD_MS);
    assert_int_equal(answer.leader_epoch, store_leader_epoch(fixture->coord.broker.base.store));
    assert_int_equal(list(fixture, RECORD_MS + 1), -1);
    answer = list_as(fixture, 7, "events", place(0, -3));
    assert_int_equal(answer.timestamp, RECORD_MS);
    assert_true(answer.offset >= 0);
}

static void timestamp_that_the_version_does_not_know_is_unsupported(void **state)
{
    struct api_fixture *fixture = *state;
    static const struct {
        int64_t timestamp;
        int16_t version;
    } first[] = {{-3, 7}, {-4, 8}, {-5, 9}, {-6, 11}};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        struct list_offsets_request_partition asked = place(0, first[i].timestamp);
        int16_t version = first[i].version;
        assert_int_equal(list_as(fixture, version, "events", asked).error_code, KAFKA_NONE);
        assert_int_equal(list_as(fixture, (int16_t)(version - 1), "events", asked).error_code,
                         KAFKA_UNSUPPORTED_VERSION);
    }
    assert_int_equal(list_as(fixture, 11, "events", place(0, -7)).error_code,
                     KAFKA_UNSUPPORTED_VERSION);
    assert_int_equal(list_as(fixture, 11, "events", place(0, -5)).offset, -1);
}

static void epoch_is_told_since_version_four(void **state)
{
    struct api_fixture *fixture = *state;
    fill(fixture, 0, 1);
    coord_fixture_flush(&fixture->coord);
    int32_t epoch = store_leader_epoch(fixture->coord.broker.base.store);
    assert_int_equal(list_as(fixture, 4, "events", place(0, -2)).leader_epoch, epoch);
    assert_int_equal(list_as(fixture, 3, "events", place(0, -2)).leader_epoch, -1);
}

static void what_is_not_there_is_unknown(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(list_as(fixture, 7, "none", place(0, -1)).error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(list_as(fixture, 7, "events", place(4, -1)).error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(list_as(fixture, 7, "events", place(-1, -1)).error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(list_as(fixture, 7, longest, place(0, -1)).error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

static void client_of_another_epoch_is_told_so(void **state)
{
    struct api_fixture *fixture = *state;
    api_fixture_crash(fixture); /* an unclean start raises it */
    int32_t epoch = store_leader_epoch(fixture->coord.broker.base.store);
    assert_true(epoch > 0);
    struct list_offsets_request_partition asked = place(0, -1);
    asked.current_leader_epoch = epoch;
    assert_int_equal(list_as(fixture, 7, "events", asked).error_code, KAFKA_NONE);
    asked.current_leader_epoch = epoch - 1;
    assert_int_equal(list_as(fixture, 7, "events", asked).error_code, KAFKA_FENCED_LEADER_EPOCH);
    asked.current_leader_epoch = epoch + 1;
    assert_int_equal(list_as(fixture, 7, "events", asked).error_code, KAFKA_UNKNOWN_LEADER_EPOCH);
}

static void partition_named_twice_is_refused_both_times(void **state)
{
    struct api_fixture *fixture = *state;
    struct list_offsets_request_partition first[] = {place(0, -1), place(1, -1)};
    struct list_offsets_request_partition second[] = {place(1, -2), place(2, -1)};
    struct list_offsets_request_topic topics[] = {
        {.name = span_text("events"), .partitions = first, .partitions_count = 2},
        {.name = span_text("events"), .partitions = second, .partitions_count = 2}};
    struct list_offsets_request request;
    struct list_offsets_response answer;
    list_offsets_request_init(&request);
    request.topics = topics;
    request.topics_count = 2;
    API_ASK(fixture, API_LIST_OFFSETS, list_offsets, 7, &request, &answer);
    assert_int_equal(answer.topics[0].partitions[0].error_code, KAFKA_NONE);
    assert_int_equal(answer.topics[0].partitions[1].error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.topics[1].partitions[0].error_code, KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.topics[1].partitions[1].error_code, KAFKA_NONE);
}

/* Where an epoch of a partition of "events" ends, for a client that knows the current one so. */
static struct offset_for_leader_epoch_response_partition
end_of(struct api_fixture *fixture, int32_t partition, int32_t epoch, int32_t current)
{
    struct offset_for_leader_epoch_request_partition asked = {
        .partition = partition, .leader_epoch = epoch, .current_leader_epoch = current};
    struct offset_for_leader_epoch_request_topic topic = {
        .topic = span_text("events"), .partitions = &asked, .partitions_count = 1};
    struct offset_for_leader_epoch_request request;
    struct offset_for_leader_epoch_response answer;
    offset_for_leader_epoch_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    API_ASK(fixture, API_OFFSET_FOR_LEADER_EPOCH, offset_for_leader_epoch, 4, &request, &answer);
    CHECK(answer.topics_count == 1 && answer.topics[0].partitions_count == 1);
    return answer.topics[0].partitions[0];
}

static void epoch_ends_where_the_next_one_begins(void **state)
{
    struct api_fixture *fixture = *state;
    int32_t before = store_leader_epoch(fixture->coord.broker.base.store);
    fill(fixture, 0, 10);
    coord_fixture_flush(&fixture->coord);
    api_fixture_crash(fixture);
    int32_t after = store_leader_epoch(fixture->coord.broker.base.store);
    assert_true(after > before);
    fill(fixture, 0, 5);
    coord_fixture_flush(&fixture->coord);
    struct offset_for_leader_epoch_response_partition answer = end_of(fixture, 0, before, after);
    assert_int_equal(answer.error_code, KAFKA_NONE);
    assert_int_equal(answer.leader_epoch, before);
    assert_int_equal(answer.end_offset, 10);
    assert_int_equal(end_of(fixture, 0, after, -1).end_offset, 15);
    assert_int_equal(end_of(fixture, 0, after + 1, -1).end_offset, -1);
    assert_int_equal(end_of(fixture, 0, after, before).error_code, KAFKA_FENCED_LEADER_EPOCH);
    assert_int_equal(end_of(fixture, 0, after, after + 1).error_code, KAFKA_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(end_of(fixture, 9, after, -1).error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(latest_is_what_is_durable_and_earliest_what_is_left),
        TEST(time_finds_the_first_record_that_is_not_older_and_durable),
        TEST(timestamp_that_the_version_does_not_know_is_unsupported),
        TEST(epoch_is_told_since_version_four),
        TEST(what_is_not_there_is_unknown),
        TEST(client_of_another_epoch_is_told_so),
        TEST(partition_named_twice_is_refused_both_times),
        TEST(epoch_ends_where_the_next_one_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
