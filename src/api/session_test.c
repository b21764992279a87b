/*
 * session: a whole server under a peer that cuts, floods, stalls and goes.
 *
 * What is asked is answered once, in the order of the requests, and nothing is left behind; leaks
 * are the sanitizer's to find.
 */
#include "support/server_fixture.h"

#include "base/limits.h"
#include "wire/api_versions.h"

/* More answers of 0.9 MiB than may wait for a slow reader. */
#define LARGE_ANSWER_COUNT 30
#define LARGE_RECORD_COUNT 8000

static int setup_stopped(void **state)
{
    static struct server_fixture fixture;
    server_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int setup(void **state)
{
    (void)setup_stopped(state);
    server_fixture_start(*state);
    return 0;
}

static int teardown(void **state)
{
    server_fixture_deinit(*state);
    return 0;
}

static uint64_t asked_count(const struct server_fixture *fixture, int16_t key)
{
    return metric_read(&fixture->api->counters[key].requests);
}

static void write_api_versions(struct server_fixture *fixture, int16_t version, int32_t correlation)
{
    struct writer writer;
    struct api_versions_request request;
    api_versions_request_init(&request);
    request.client_software_name = span_text("peer");
    request.client_software_version = span_text("1");
    struct frame_mark mark =
        request_begin(fixture, &writer, API_API_VERSIONS, version, correlation);
    assert_ok(api_versions_request_encode(&writer, version, &request));
    assert_ok(frame_end(&writer, mark));
}

/* The answers to bytes that come in two parts, the first of size at. */
static struct span ask_cut(struct server_fixture *fixture, struct span bytes, size_t at)
{
    int socket = peer_connect(fixture);
    fake_net_send(fixture->net, socket, span_make(bytes.data, at));
    server_fixture_run(fixture);
    fake_net_send(fixture->net, socket, span_make(bytes.data + at, bytes.size - at));
    fake_net_end(fixture->net, socket);
    server_fixture_run(fixture);
    assert_false(fake_net_is_open(fixture->net, socket));
    return fake_net_look(fixture->net, socket);
}

static void requests_are_answered_the_same_wherever_they_are_cut(void **state)
{
    struct server_fixture *fixture = *state;
    write_api_versions(fixture, 3, 1);
    write_metadata(fixture, 2);
    write_fetch(fixture, 0, 0, 0, 3);
    struct span bytes = buf_span(&fixture->request);
    struct span whole = ask_cut(fixture, bytes, bytes.size);
    assert_true(whole.size > 300);
    for (size_t at = 1; at < bytes.size; at++)
        assert_true(span_equal(ask_cut(fixture, bytes, at), whole));
    fake_net_set_pace(fixture->net, 1);
    assert_true(span_equal(ask_cut(fixture, bytes, 0), whole));
}

static void answers_keep_the_order_of_requests_that_end_in_another(void **state)
{
    struct server_fixture *fixture = *state;
    int socket = peer_connect(fixture);
    write_fetch(fixture, 0, 0, 500, 1); /* until its time is over */
    write_produce(fixture, 1, 2);       /* until it is durable */
    write_metadata(fixture, 3);         /* at once */
    peer_send(fixture, socket);
    assert_int_equal(asked_count(fixture, API_METADATA), 1);
    assert_int_equal(peer_take_answer(fixture, socket), -1);
    server_fixture_flush(fixture);
    assert_int_equal(peer_take_answer(fixture, socket), -1);
    server_fixture_pass(fixture, 500);
    for (int32_t i = 1; i <= 3; i++)
        assert_int_equal(peer_take_answer(fixture, socket), i);
    assert_int_equal(peer_take_answer(fixture, socket), -1);
}

static void answer_leaves_as_soon_as_all_before_it_have(void **state)
{
    struct server_fixture *fixture = *state;
    int socket = peer_connect(fixture);
    write_metadata(fixture, 1);
    write_produce(fixture, 0, 2);
    write_fetch(fixture, 1, 0, 500, 3);
    peer_send(fixture, socket);
    assert_int_equal(peer_take_answer(fixture, socket), 1);
    assert_int_equal(peer_take_answer(fixture, socket), -1);
    server_fixture_flush(fixture);
    assert_int_equal(peer_take_answer(fixture, socket), 2);
    assert_int_equal(peer_take_answer(fixture, socket), -1);
    server_fixture_pass(fixture, 500);
    assert_int_equal(peer_take_answer(fixture, socket), 3);
}

/* Puts one batch into events-0 that no answer copies: it is sent from its file. */
static void append_large(struct server_fixture *fixture)
{
    struct broker_fixture *broker = &fixture->coord.broker;
    struct topic *topic = broker_find_topic(broker->broker, span_text("events"));
    (void)broker_fixture_append(topic_partition(topic, 0), LARGE_RECORD_COUNT);
    topic_unref(topic);
    server_fixture_flush(fixture);
}

static void reader_that_takes_nothing_is_left_unread_until_it_does(void **state)
{
    struct server_fixture *fixture = *state;
    append_large(fixture);
    int socket = peer_connect(fixture);
    fake_net_set_window(fixture->net, socket, 64 << 10);
    for (int32_t i = 1; i <= LARGE_ANSWER_COUNT; i++)
        write_fetch(fixture, 0, 0, 0, i);
    peer_send(fixture, socket);
    assert_int_equal(server_paused_count(fixture->server), 1);
    assert_in_range(asked_count(fixture, API_FETCH), 16, LARGE_ANSWER_COUNT - 5);
    struct buf taken;
    buf_init(&taken, SIZE_MAX);
    while (fake_net_look(fixture->net, socket).size > 0) {
        struct span part = fake_net_look(fixture->net, socket);
        assert_ok(buf_append(&taken, part.data, part.size));
        (void)fake_net_take(fixture->net, socket, NULL, part.size);
        server_fixture_run(fixture);
    }
    struct span left = buf_span(&taken);
    for (int32_t i = 1; i <= LARGE_ANSWER_COUNT; i++) {
        struct frame frame;
        assert_ok(frame_parse(left, INT32_MAX, &frame));
        assert_true(frame.complete && frame.body.size > LARGE_RECORD_COUNT * 100);
        assert_int_equal(load_i32(frame.body.data), i);
        left = span_make(left.data + frame.size_total, left.size - frame.size_total);
    }
    assert_int_equal(left.size, 0);
    assert_int_equal(server_paused_count(fixture->server), 0);
    buf_deinit(&taken);
}

static void answers_behind_one_that_waits_are_bounded_too(void **state)
{
    struct server_fixture *fixture = *state;
    append_large(fixture);
    int socket = peer_connect(fixture);
    fake_net_set_window(fixture->net, socket, SIZE_MAX);
    write_fetch(fixture, 1, 0, 500, 1);
    for (int32_t i = 2; i <= LARGE_ANSWER_COUNT; i++)
        write_fetch(fixture, 0, 0, 0, i);
    peer_send(fixture, socket);
    assert_int_equal(server_paused_count(fixture->server), 1);
    assert_in_range(asked_count(fixture, API_FETCH), 16, LARGE_ANSWER_COUNT - 5);
    server_fixture_pass(fixture, 500);
    for (int32_t i = 1; i <= LARGE_ANSWER_COUNT; i++)
        assert_int_equal(peer_take_answer(fixture, socket), i);
}

static void no_more_requests_are_under_way_than_may_be(void **state)
{
    struct server_fixture *fixture = *state;
    int socket = peer_connect(fixture);
    int32_t count = SESSION_REQUEST_COUNT_MAX + 40;
    for (int32_t i = 1; i <= count; i++)
        write_fetch(fixture, 0, 0, 500, i);
    peer_send(fixture, socket);
    assert_int_equal(asked_count(fixture, API_FETCH), SESSION_REQUEST_COUNT_MAX);
    assert_int_equal(server_paused_count(fixture->server), 1);
    server_fixture_pass(fixture, 500);
    assert_int_equal(asked_count(fixture, API_FETCH), count);
    server_fixture_pass(fixture, 500);
    for (int32_t i = 1; i <= count; i++)
        assert_int_equal(peer_take_answer(fixture, socket), i);
}

static void frame_without_sense_ends_the_connection_and_is_reported(void **state)
{
    struct server_fixture *fixture = *state;
    uint32_t too_large = fixture->api->request_size_max + 1;
    const uint8_t frames[][12] = {
        {0xff, 0xff, 0xff, 0xff},
        {0x80, 0, 0, 0},
        {0, 0, 0, 0},
        {(uint8_t)(too_large >> 24), (uint8_t)(too_large >> 16), (uint8_t)(too_large >> 8),
         (uint8_t)too_large},
        {0, 0, 0, 8, 0x7f, 0xff, 0, 0, 0, 0, 0, 1}, /* an API that nobody knows */
        {0, 0, 0, 1, 0},                            /* too short for a header */
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        int socket = peer_connect(fixture);
        write_metadata(fixture, 1);
        assert_ok(buf_append(&fixture->request, frames[i], sizeof frames[i]));
        peer_send(fixture, socket);
        assert_false(fake_net_is_open(fixture->net, socket));
        assert_int_equal(fixture->report_count, i + 1);
        assert_non_null(strstr(fixture->report, "closed the connection of /192.0.2."));
    }
    assert_int_equal(server_connection_count(fixture->server), 0);
}

static void largest_frame_is_waited_for(void **state)
{
    struct server_fixture *fixture = *state;
    int socket = peer_connect(fixture);
    uint8_t prefix[4];
    store_i32(prefix, (int32_t)fixture->api->request_size_max);
    assert_ok(buf_append(&fixture->request, prefix, sizeof prefix));
    peer_send(fixture, socket);
    assert_true(fake_net_is_open(fixture->net, socket));
}

static void peer_that_goes_while_its_requests_wait_leaves_nothing(void **state)
{
    struct server_fixture *fixture = *state;
    int socket = peer_connect(fixture);
    write_fetch(fixture, 0, 0, 30000, 1);
    write_produce(fixture, 1, 2);
    write_metadata(fixture, 3);
    peer_send(fixture, socket);
    fake_net_reset(fixture->net, socket);
    server_fixture_run(fixture);
    assert_int_equal(server_connection_count(fixture->server), 0);
    server_fixture_flush(fixture); /* the produce ends, and with it the session */
    server_drain(fixture->server);
    server_fixture_run(fixture);
    assert_true(server_is_drained(fixture->server));
}

static void peer_that_goes_while_a_large_answer_leaves_lets_go_of_the_file(void **state)
{
    struct server_fixture *fixture = *state;
    append_large(fixture);
    int socket = peer_connect(fixture);
    fake_net_set_window(fixture->net, socket, 1000);
    write_fetch(fixture, 0, 0, 0, 1);     /* half sent */
    write_fetch(fixture, 1, 0, 30000, 2); /* waits */
    write_fetch(fixture, 0, 0, 0, 3);     /* made, and waits behind it */
    peer_send(fixture, socket);
    fake_net_reset(fixture->net, socket);
    server_fixture_run(fixture);
    assert_int_equal(server_connection_count(fixture->server), 0);
    /* A slice that is still held would keep its file open: the store's end checks that. */
}

static void drain_ends_what_waits_for_news_and_waits_for_what_is_being_written(void **state)
{
    struct server_fixture *fixture = *state;
    int reading = peer_connect(fixture);
    write_fetch(fixture, 0, 0, 30000, 1);
    peer_send(fixture, reading);
    int writing = peer_connect(fixture);
    write_produce(fixture, 1, 7);
    peer_send(fixture, writing);
    server_drain(fixture->server);
    server_fixture_run(fixture);
    server_fixture_pass(fixture, 100);
    assert_int_equal(peer_take_answer(fixture, reading), 1);
    assert_false(fake_net_is_open(fixture->net, reading));
    assert_true(fake_net_is_open(fixture->net, writing));
    assert_false(server_is_drained(fixture->server));
    server_fixture_flush(fixture);
    server_fixture_pass(fixture, 100);
    assert_int_equal(peer_take_answer(fixture, writing), 7);
    assert_true(server_is_drained(fixture->server));
    assert_int_equal(fake_net_open_count(fixture->net), 0); /* listeners too */
}

static void drain_beyond_its_time_leaves_nothing_either(void **state)
{
    struct server_fixture *fixture = *state;
    append_large(fixture);
    int socket = peer_connect(fixture);
    fake_net_set_window(fixture->net, socket, 1000);
    write_fetch(fixture, 0, 0, 0, 1); /* never taken */
    write_produce(fixture, 1, 2);     /* never durable */
    write_fetch(fixture, 2, 0, 30000, 3);
    peer_send(fixture, socket);
    server_drain(fixture->server);
    server_fixture_pass(fixture, 5000);
    assert_false(server_is_drained(fixture->server)); /* teardown ends it all the same */
}

static void connection_beyond_the_maximum_is_refused(void **state)
{
    struct server_fixture *fixture = *state;
    broker_fixture_set(&fixture->coord.broker, "max.connections", "2");
    server_fixture_start(fixture);
    int first = peer_connect(fixture);
    int second = peer_connect(fixture);
    int third = peer_connect(fixture);
    assert_true(fake_net_is_open(fixture->net, second));
    assert_false(fake_net_is_open(fixture->net, third));
    assert_non_null(strstr(fixture->report, "max.connections"));
    fake_net_end(fixture->net, first);
    server_fixture_run(fixture);
    assert_true(fake_net_is_open(fixture->net, peer_connect(fixture)));
}

static void idle_peer_is_closed_and_one_that_asks_is_not(void **state)
{
    struct server_fixture *fixture = *state;
    broker_fixture_set(&fixture->coord.broker, "connections.max.idle.ms", "1000");
    server_fixture_start(fixture);
    int idle = peer_connect(fixture);
    int busy = peer_connect(fixture);
    server_fixture_pass(fixture, 600);
    write_metadata(fixture, 1);
    peer_send(fixture, busy);
    server_fixture_pass(fixture, 600);
    assert_false(fake_net_is_open(fixture->net, idle));
    assert_true(fake_net_is_open(fixture->net, busy));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_STOPPED(name) cmocka_unit_test_setup_teardown(name, setup_stopped, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_are_answered_the_same_wherever_they_are_cut),
        TEST(answers_keep_the_order_of_requests_that_end_in_another),
        TEST(answer_leaves_as_soon_as_all_before_it_have),
        TEST(reader_that_takes_nothing_is_left_unread_until_it_does),
        TEST(answers_behind_one_that_waits_are_bounded_too),
        TEST(no_more_requests_are_under_way_than_may_be),
        TEST(frame_without_sense_ends_the_connection_and_is_reported),
        TEST(largest_frame_is_waited_for),
        TEST(peer_that_goes_while_its_requests_wait_leaves_nothing),
        TEST(peer_that_goes_while_a_large_answer_leaves_lets_go_of_the_file),
        TEST(drain_ends_what_waits_for_news_and_waits_for_what_is_being_written),
        TEST(drain_beyond_its_time_leaves_nothing_either),
        TEST_STOPPED(connection_beyond_the_maximum_is_refused),
        TEST_STOPPED(idle_peer_is_closed_and_one_that_asks_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
