/* describe_topic_partitions: pages as long as client and broker allow, no partition twice. */
#include "support/server_fixture.h"

#include "wire/describe_topic_partitions.h"

static int setup(void **state)
{
    static struct server_fixture fixture;
    server_fixture_init(&fixture);
    broker_fixture_set(&fixture.coord.broker, "max.request.partition.size.limit", "3");
    server_fixture_start(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    server_fixture_deinit(*state);
    return 0;
}

/* Asks for "events" from a partition on; returns where the next page begins, -1: there is none. */
static int32_t next_page(struct server_fixture *fixture, int socket, int32_t first, int32_t limit)
{
    struct describe_topic_partitions_request_topic topic = {.name = span_text("events")};
    struct describe_topic_partitions_request_cursor cursor = {.topic_name = topic.name,
                                                              .partition_index = first};
    struct describe_topic_partitions_request request = {.topics = &topic,
                                                        .topics_count = 1,
                                                        .response_partition_limit = limit,
                                                        .cursor = first == 0 ? NULL : &cursor};
    struct writer writer;
    struct frame_mark mark = request_begin(fixture, &writer, API_DESCRIBE_TOPIC_PARTITIONS, 0, 1);
    assert_ok(describe_topic_partitions_request_encode(&writer, 0, &request));
    assert_ok(frame_end(&writer, mark));
    peer_send(fixture, socket);
    struct frame frame;
    struct reader reader;
    struct describe_topic_partitions_response response;
    assert_ok(frame_parse(fake_net_look(fixture->net, socket), INT32_MAX, &frame));
    assert_true(frame.complete);
    size_t header_size = 5; /* correlation id, and no tagged fields */
    reader_init(&reader, span_make(frame.body.data + header_size, frame.body.size - header_size));
    arena_reset(&fixture->coord.arena);
    assert_ok(
        describe_topic_partitions_response_decode(&reader, 0, &fixture->coord.arena, &response));
    assert_int_equal(response.topics_count, 1);
    for (int32_t i = 0; i < response.topics[0].partitions_count; i++)
        assert_int_equal(response.topics[0].partitions[i].partition_index, first + i);
    int32_t end = first + response.topics[0].partitions_count;
    assert_true(response.next_cursor == NULL || response.next_cursor->partition_index == end);
    (void)peer_take_answer(fixture, socket);
    return response.next_cursor == NULL ? -1 : end;
}

static void page_is_as_long_as_client_and_broker_allow(void **state)
{
    struct server_fixture *fixture = *state;
    int socket = peer_connect(fixture);
    assert_int_equal(next_page(fixture, socket, 0, 1000), 3);
    assert_int_equal(next_page(fixture, socket, 3, 1000), -1);
    assert_int_equal(next_page(fixture, socket, 0, 2), 2);
    assert_int_equal(next_page(fixture, socket, 2, 2), -1);
    assert_int_equal(next_page(fixture, socket, 0, -5), 1); /* never an empty page for ever */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(page_is_as_long_as_client_and_broker_allow, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
