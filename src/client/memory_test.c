/* memory: the cluster in memory keeps the promises of client.h that flows and commands build on. */
#include "support/memory_fixture.h"

/* Receives the next message; false: there is none now. Ends of partitions are stepped over. */
static bool next(struct client *client, struct client_message *message)
{
    struct client_event event;
    do
        assert_ok(client_receive(client, 0, &event, NULL));
    while (event.kind == CLIENT_EVENT_END);
    *message = event.message;
    return event.kind == CLIENT_EVENT_MESSAGE;
}

static int receive_all(struct client *client)
{
    struct client_message message;
    int count = 0;
    while (next(client, &message))
        count++;
    return count;
}

static int64_t committed(struct memory_fixture *fixture, struct client *client, int32_t partition)
{
    struct client_offset *offsets = NULL;
    size_t count;
    assert_ok(client_group_offsets(client, "g", &fixture->arena, &offsets, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(offsets[i].topic, "events");
        if (offsets[i].partition == partition)
            return offsets[i].offset;
    }
    return -1;
}

static void message_comes_back_as_it_was_sent(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, NULL);
    char text[] = "changed behind the sender's back";
    const struct client_header header = {"name", {(const uint8_t *)text, 7}};
    struct client_message sent = {.topic = "events",
                                  .partition = 2,
                                  .key = span_text("key"),
                                  .value = span_text(text),
                                  .headers = &header,
                                  .header_count = 1};
    assert_ok(client_send(client, &sent, NULL));
    sent.value = SPAN_NULL;
    sent.timestamp_ms = 5;
    assert_ok(client_send(client, &sent, NULL));
    memset(text, 'x', sizeof text - 1);
    struct client_offset from = {.topic = "events", .partition = 2, .offset = 0};
    assert_ok(client_assign(client, &from, 1, NULL));
    struct client_message got;
    assert_true(next(client, &got));
    assert_true(span_equal_text(got.key, "key"));
    assert_true(span_equal_text(got.value, "changed behind the sender's back"));
    assert_int_equal(got.header_count, 1);
    assert_string_equal(got.headers[0].name, "name");
    assert_true(span_equal_text(got.headers[0].value, "changed"));
    assert_int_equal(got.timestamp_ms, fixture->now_ms);
    assert_true(next(client, &got));
    assert_true(span_is_null(got.value));
    assert_int_equal(got.offset, 1);
    assert_int_equal(got.timestamp_ms, 5);
    client_close(client);
}

static void messages_of_a_key_keep_their_order_in_one_partition(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, "g");
    static const char *const values[] = {"0", "1", "2", "3", "4"};
    for (size_t i = 0; i < 5; i++) {
        memory_fixture_send(client, -1, "a", values[i]);
        memory_fixture_send(client, -1, NULL, "other");
    }
    assert_ok(client_subscribe(client, "events", NULL));
    struct client_message got;
    size_t seen = 0;
    int32_t partition = -1;
    while (next(client, &got)) {
        if (span_is_null(got.key))
            continue;
        assert_true(partition < 0 || partition == got.partition);
        partition = got.partition;
        assert_true(span_equal_text(got.value, values[seen++]));
    }
    assert_int_equal(seen, 5);
    client_close(client);
}

static void end_of_a_partition_is_told_once_until_there_is_more(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, NULL);
    struct client_offset from = {.topic = "events", .partition = 1, .offset = 0};
    struct client_event event;
    assert_ok(client_assign(client, &from, 1, NULL));
    for (int64_t end = 0; end < 2; end++) {
        assert_ok(client_receive(client, 0, &event, NULL));
        assert_int_equal(event.kind, CLIENT_EVENT_END);
        assert_int_equal(event.message.offset, end);
        assert_ok(client_receive(client, 0, &event, NULL));
        assert_int_equal(event.kind, CLIENT_EVENT_NONE);
        memory_fixture_send(client, 1, NULL, "more");
        assert_ok(client_receive(client, 0, &event, NULL));
        assert_int_equal(event.kind, CLIENT_EVENT_MESSAGE);
    }
    client_close(client);
}

static void places_are_found_by_end_and_by_time(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, NULL);
    for (int i = 0; i < 3; i++, fixture->now_ms += 10)
        memory_fixture_send(client, 0, NULL, "v");
    struct client_offset asked[] = {
        {.topic = "events", .partition = 0, .offset = CLIENT_OFFSET_EARLIEST},
        {.topic = "events", .partition = 0, .offset = CLIENT_OFFSET_LATEST},
        {.topic = "events", .partition = 0, .offset = fixture->now_ms - 25},
        {.topic = "events", .partition = 0, .offset = fixture->now_ms}};
    assert_ok(client_offsets_find(client, asked, 4, NULL));
    assert_int_equal(asked[0].offset, 0);
    assert_int_equal(asked[1].offset, 3);
    assert_int_equal(asked[2].offset, 1);
    assert_int_equal(asked[3].offset, -1);
    client_close(client);
}

static void member_begins_where_the_group_has_committed(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, "g");
    for (int i = 0; i < 3; i++)
        memory_fixture_send(client, 0, NULL, "v");
    assert_ok(client_subscribe(client, "events", NULL));
    struct client_message got;
    assert_true(next(client, &got) && next(client, &got));
    assert_int_equal(committed(fixture, client, 0), -1);
    assert_ok(client_commit(client, NULL)); /* the last message included */
    assert_int_equal(committed(fixture, client, 0), 2);
    assert_true(next(client, &got)); /* received, and never committed */
    client_close(client);
    client = memory_fixture_connect(fixture, "g");
    assert_ok(client_subscribe(client, "events", NULL));
    assert_true(next(client, &got));
    assert_int_equal(got.offset, 2);
    client_close(client);
}

static void members_share_the_partitions_anew_when_one_comes_or_goes(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *first = memory_fixture_connect(fixture, "g");
    struct client *second = memory_fixture_connect(fixture, "g");
    for (int32_t i = 0; i < 4; i++)
        memory_fixture_send(first, i, NULL, "v");
    assert_ok(client_subscribe(first, "events", NULL));
    struct client_message got;
    assert_true(next(first, &got));
    assert_ok(client_subscribe(second, "events", NULL));
    struct diag diag = {""};
    assert_true(err_is(client_commit(first, &diag), ERR_INVALID)); /* its share is no longer its */
    assert_int_equal(receive_all(first), 2);
    assert_int_equal(receive_all(second), 2);
    assert_ok(client_commit(first, NULL));
    client_close(second); /* without a commit: all of its is to be done again */
    assert_int_equal(receive_all(first), 2);
    client_close(first);
}

static void offsets_of_a_group_with_members_cannot_be_set(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, "g");
    const struct client_offset at = {.topic = "events", .partition = 3, .offset = 7};
    assert_ok(client_group_offsets_set(client, "g", &at, 1, NULL));
    assert_int_equal(committed(fixture, client, 3), 7);
    assert_ok(client_subscribe(client, "events", NULL));
    assert_true(err_is(client_group_offsets_set(client, "g", &at, 1, NULL), ERR_BUSY));
    client_close(client);
}

static void chosen_call_fails_once_and_a_lost_message_is_told_by_flush(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, "g");
    memory_cluster_fail(fixture->cluster, MEMORY_SEND, 2, ERR_TIMEOUT);
    for (int i = 0; i < 3; i++)
        memory_fixture_send(client, 0, NULL, "v");
    struct client_counts counts;
    struct diag diag = {""};
    assert_true(err_is(client_flush(client, 0, &counts, &diag), ERR_TIMEOUT));
    assert_int_equal(counts.acknowledged, 2);
    assert_int_equal(counts.failed, 1);
    memory_cluster_fail(fixture->cluster, MEMORY_COMMIT, 1, ERR_CLOSED);
    assert_ok(client_subscribe(client, "events", NULL));
    assert_int_equal(receive_all(client), 2);
    assert_true(err_is(client_commit(client, NULL), ERR_CLOSED));
    assert_int_equal(committed(fixture, client, 0), -1);
    assert_ok(client_commit(client, NULL));
    assert_int_equal(committed(fixture, client, 0), 2);
    client_close(client);
}

static void unknown_topic_is_lost_and_asked_for_in_vain(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *client = memory_fixture_connect(fixture, NULL);
    struct client_message message = {.topic = "absent", .partition = -1};
    struct client_counts counts;
    struct client_cluster told;
    struct diag diag = {""};
    assert_ok(client_send(client, &message, NULL));
    assert_true(err_is(client_flush(client, 0, &counts, &diag), ERR_NOT_FOUND));
    assert_true(
        err_is(client_cluster(client, "absent", &fixture->arena, &told, &diag), ERR_NOT_FOUND));
    assert_ok(client_cluster(client, NULL, &fixture->arena, &told, &diag));
    assert_int_equal(told.topic_count, 1);
    assert_int_equal(told.topics[0].partition_count, 4);
    client_close(client);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, memory_fixture_setup, memory_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(message_comes_back_as_it_was_sent),
        TEST(messages_of_a_key_keep_their_order_in_one_partition),
        TEST(end_of_a_partition_is_told_once_until_there_is_more),
        TEST(places_are_found_by_end_and_by_time),
        TEST(member_begins_where_the_group_has_committed),
        TEST(members_share_the_partitions_anew_when_one_comes_or_goes),
        TEST(offsets_of_a_group_with_members_cannot_be_set),
        TEST(chosen_call_fails_once_and_a_lost_message_is_told_by_flush),
        TEST(unknown_topic_is_lost_and_asked_for_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
