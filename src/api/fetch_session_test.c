/* fetch_session: fetches over the wire: by name and by id, in sessions and without, waiting. */
#include "support/api_fixture.h"

#include "wire/fetch.h"

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

static void fill(struct api_fixture *fixture, int32_t record_count)
{
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text("events"));
    (void)broker_fixture_append(topic_partition(topic, 0), record_count);
    topic_unref(topic);
}

static struct uuid events_id(struct api_fixture *fixture)
{
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text("events"));
    struct uuid id = topic->id;
    topic_unref(topic);
    return id;
}

/* What a fetch of partition 0 of one topic says beyond that. */
struct fetch_words {
    const char *name;
    struct uuid id;
    int64_t offset;
    int32_t min_bytes;
    int32_t session_id;
    int32_t session_epoch;
    bool is_naming_none; /* of the topics: the session knows them */
};

static void send_fetch(struct api_fixture *fixture, int16_t version, struct fetch_words words)
{
    struct fetch_request_partition partition;
    fetch_request_partition_init(&partition);
    partition.fetch_offset = words.offset;
    partition.partition_max_bytes = 1 << 20;
    struct fetch_request_topic topic = {.topic = text_or_null(words.name),
                                        .topic_id = words.id,
                                        .partitions = &partition,
                                        .partitions_count = 1};
    if (words.name == NULL)
        topic.topic = SPAN_EMPTY;
    struct fetch_request asked;
    fetch_request_init(&asked);
    asked.max_wait_ms = 60000;
    asked.min_bytes = words.min_bytes;
    asked.session_id = words.session_id;
    asked.session_epoch = words.session_epoch;
    asked.topics = &topic;
    asked.topics_count = words.is_naming_none ? 0 : 1;
    assert_ok(fetch_request_encode(api_fixture_begin(fixture), version, &asked));
    api_fixture_send(fixture, API_FETCH, version);
}

static void take_answer(struct api_fixture *fixture, struct fetch_response *answer)
{
    assert_ok(fetch_response_decode(api_fixture_answer(fixture), fixture->request->version,
                                    &fixture->arena, answer));
}

static void fetch(struct api_fixture *fixture, int16_t version, struct fetch_words words,
                  struct fetch_response *answer)
{
    send_fetch(fixture, version, words);
    take_answer(fixture, answer);
}

/* The partition's part of an answer that has just one. */
static const struct fetch_response_partition *only(const struct fetch_response *answer)
{
    CHECK(answer->responses_count == 1 && answer->responses[0].partitions_count == 1);
    return &answer->responses[0].partitions[0];
}

static void every_version_reads_the_records_by_name_or_id(void **state)
{
    struct api_fixture *fixture = *state;
    fill(fixture, 3);
    coord_fixture_flush(&fixture->coord);
    struct fetch_words words = {.name = "events", .session_epoch = -1};
    struct fetch_response answer;
    for (int16_t version = 4; version <= 17; version++) {
        if (version == 13)
            words = (struct fetch_words){.id = events_id(fixture), .session_epoch = -1};
        fetch(fixture, version, words, &answer);
        assert_int_equal(only(&answer)->error_code, KAFKA_NONE);
        assert_int_equal(only(&answer)->high_watermark, 3);
        assert_true(only(&answer)->records.bytes.size > 300);
        assert_int_equal(answer.session_id, 0);
    }
}

static void topic_that_is_none_is_unknown_by_name_or_id(void **state)
{
    struct api_fixture *fixture = *state;
    struct fetch_response answer;
    fetch(fixture, 12, (struct fetch_words){.name = "none", .session_epoch = -1}, &answer);
    assert_int_equal(only(&answer)->error_code, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fetch(fixture, 13, (struct fetch_words){.id = {{9}}, .session_epoch = -1}, &answer);
    assert_int_equal(only(&answer)->error_code, KAFKA_UNKNOWN_TOPIC_ID);
}

static void offset_beyond_the_end_or_before_the_start_is_out_of_range(void **state)
{
    struct api_fixture *fixture = *state;
    struct fetch_response answer;
    struct fetch_words words = {.name = "events", .offset = 1, .session_epoch = -1};
    fetch(fixture, 12, words, &answer);
    assert_int_equal(only(&answer)->error_code, KAFKA_OFFSET_OUT_OF_RANGE);
    words.offset = -5;
    fetch(fixture, 12, words, &answer);
    assert_int_equal(only(&answer)->error_code, KAFKA_OFFSET_OUT_OF_RANGE);
}

static void fetch_waits_for_bytes_that_are_durable(void **state)
{
    struct api_fixture *fixture = *state;
    struct fetch_words words = {.name = "events", .min_bytes = 1, .session_epoch = -1};
    struct fetch_response answer;
    send_fetch(fixture, 12, words);
    assert_ok(reactor_step(fixture->reactor, 0));
    assert_false(api_fixture_is_answered(fixture));
    fill(fixture, 3);
    assert_ok(reactor_step(fixture->reactor, 0));
    assert_false(api_fixture_is_answered(fixture));
    coord_fixture_flush(&fixture->coord);
    assert_ok(reactor_step(fixture->reactor, 0));
    assert_true(api_fixture_is_answered(fixture));
    take_answer(fixture, &answer);
    assert_int_equal(only(&answer)->high_watermark, 3);
}

static void session_remembers_its_partitions_and_tells_only_news(void **state)
{
    struct api_fixture *fixture = *state;
    struct fetch_response answer;
    fill(fixture, 3);
    coord_fixture_flush(&fixture->coord);
    fetch(fixture, 12, (struct fetch_words){.name = "events"}, &answer);
    int32_t session_id = answer.session_id;
    assert_true(session_id != 0);
    assert_true(only(&answer)->records.bytes.size > 0);
    struct fetch_words next = {
        .name = "events", .offset = 3, .session_id = session_id, .session_epoch = 1};
    fetch(fixture, 12, next, &answer);
    assert_int_equal(answer.session_id, session_id);
    next =
        (struct fetch_words){.session_id = session_id, .session_epoch = 2, .is_naming_none = true};
    fetch(fixture, 12, next, &answer);
    assert_int_equal(answer.responses_count, 0);
    fill(fixture, 2);
    coord_fixture_flush(&fixture->coord);
    next.session_epoch = 3;
    fetch(fixture, 12, next, &answer);
    assert_int_equal(only(&answer)->high_watermark, 5);
}

static void session_that_is_none_or_out_of_step_is_an_error_of_the_whole(void **state)
{
    struct api_fixture *fixture = *state;
    struct fetch_response answer;
    fetch(fixture, 12, (struct fetch_words){.name = "events"}, &answer);
    int32_t session_id = answer.session_id;
    struct fetch_words next = {
        .session_id = session_id, .session_epoch = 5, .is_naming_none = true};
    fetch(fixture, 12, next, &answer);
    assert_int_equal(answer.error_code, KAFKA_INVALID_FETCH_SESSION_EPOCH);
    next.session_id = session_id + 1;
    next.session_epoch = 1;
    fetch(fixture, 12, next, &answer);
    assert_int_equal(answer.error_code, KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    next.session_id = session_id;
    fetch(fixture, 13, next, &answer); /* which names topics by id */
    assert_int_equal(answer.error_code, KAFKA_FETCH_SESSION_TOPIC_ID_ERROR);
}

static void session_ends_when_its_client_says_so(void **state)
{
    struct api_fixture *fixture = *state;
    struct fetch_response answer;
    fetch(fixture, 12, (struct fetch_words){.name = "events"}, &answer);
    int32_t session_id = answer.session_id;
    struct fetch_words last = {
        .session_id = session_id, .session_epoch = -1, .is_naming_none = true};
    fetch(fixture, 12, last, &answer);
    assert_int_equal(answer.error_code, KAFKA_NONE);
    assert_int_equal(answer.session_id, 0);
    last.session_epoch = 1;
    fetch(fixture, 12, last, &answer);
    assert_int_equal(answer.error_code, KAFKA_FETCH_SESSION_ID_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_version_reads_the_records_by_name_or_id),
        TEST(topic_that_is_none_is_unknown_by_name_or_id),
        TEST(offset_beyond_the_end_or_before_the_start_is_out_of_range),
        TEST(fetch_waits_for_bytes_that_are_durable),
        TEST(session_remembers_its_partitions_and_tells_only_news),
        TEST(session_that_is_none_or_out_of_step_is_an_error_of_the_whole),
        TEST(session_ends_when_its_client_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
