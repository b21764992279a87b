/* memory_transactions: transactions and members that mind their places, as client.h promises them.
 */
#include "support/memory_fixture.h"

static struct client *connect_sender(struct memory_fixture *fixture, const char *id)
{
    const struct client_property properties[] = {{"transactional.id", id}};
    struct client_settings settings = {.properties = properties, .property_count = 1};
    struct client *client;
    assert_ok(memory_cluster_connect(fixture->cluster, &settings, &client, &fixture->diag));
    return client;
}

static struct client *join(struct memory_fixture *fixture)
{
    static const char *const topics[] = {"events"};
    struct client *client = memory_fixture_connect(fixture, "g");
    assert_ok(client_join(client, topics, 1, NULL));
    return client;
}

/* The next event that is no end of a partition. */
static struct client_event next(struct client *client)
{
    struct client_event event;
    do
        assert_ok(client_receive(client, 0, &event, NULL));
    while (event.kind == CLIENT_EVENT_END);
    return event;
}

/* Takes all places of the event, from their begin. */
static void take(struct client *client, const struct client_event *event)
{
    struct client_offset offsets[8];
    assert_int_equal(event->kind, CLIENT_EVENT_ASSIGNED);
    assert_in_range(event->place_count, 1, 8);
    for (size_t i = 0; i < event->place_count; i++)
        offsets[i] = event->places[i];
    assert_ok(client_take(client, offsets, event->place_count, NULL));
}

static void reads_from_the_begin(struct client *client)
{
    const struct client_offset from = {.topic = "events", .partition = 0};
    assert_ok(client_assign(client, &from, 1, NULL));
}

static void transaction_is_seen_as_a_whole_and_only_when_committed(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *sender = connect_sender(fixture, "t");
    struct client *reader = memory_fixture_connect(fixture, NULL);
    reads_from_the_begin(reader);
    assert_ok(client_begin(sender, NULL));
    memory_fixture_send(sender, 0, NULL, "1");
    memory_fixture_send(sender, 0, NULL, "2");
    assert_int_equal(next(reader).kind, CLIENT_EVENT_NONE);
    assert_ok(client_end(sender, true, NULL));
    assert_true(span_equal_text(next(reader).message.value, "1"));
    assert_true(span_equal_text(next(reader).message.value, "2"));
    assert_ok(client_begin(sender, NULL));
    memory_fixture_send(sender, 0, NULL, "3");
    assert_ok(client_end(sender, false, NULL));
    assert_ok(client_begin(sender, NULL));
    memory_fixture_send(sender, 0, NULL, "4");
    assert_ok(client_end(sender, true, NULL));
    struct client_event event = next(reader);
    assert_true(span_equal_text(event.message.value, "4"));
    assert_int_equal(event.message.offset, 5); /* behind a marker, an aborted one, and its marker */
    client_close(sender);
    client_close(reader);
}

static void newer_sender_fences_the_older_and_aborts_what_it_left(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *older = connect_sender(fixture, "t");
    struct client *reader = memory_fixture_connect(fixture, NULL);
    reads_from_the_begin(reader);
    assert_ok(client_begin(older, NULL));
    memory_fixture_send(older, 0, NULL, "lost");
    struct client *newer = connect_sender(fixture, "t");
    assert_true(err_is(client_end(older, true, NULL), ERR_FENCED));
    assert_ok(client_begin(newer, NULL));
    memory_fixture_send(newer, 0, NULL, "kept");
    assert_ok(client_end(newer, true, NULL));
    assert_true(span_equal_text(next(reader).message.value, "kept"));
    client_close(older);
    client_close(newer);
    client_close(reader);
}

static void offsets_are_committed_with_the_transaction_or_not_at_all(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *sender = connect_sender(fixture, "t");
    struct client *member = join(fixture);
    struct client_event event = next(member);
    take(member, &event);
    const struct client_offset at = {
        .topic = "events", .partition = 1, .offset = 7, .metadata = "words"};
    struct client_offset asked = {.topic = "events", .partition = 1};
    for (int i = 0; i < 2; i++) {
        assert_ok(client_begin(sender, NULL));
        assert_ok(client_offsets_add(sender, member, &at, 1, NULL));
        assert_true(err_is(client_committed(member, &asked, 1, &fixture->arena, NULL), ERR_AGAIN));
        assert_ok(client_end(sender, i == 1, NULL));
        assert_ok(client_committed(member, &asked, 1, &fixture->arena, NULL));
        assert_int_equal(asked.offset, i == 1 ? 7 : -1);
    }
    assert_string_equal(asked.metadata, "words");
    memory_cluster_expel(member);
    assert_ok(client_begin(sender, NULL));
    assert_true(err_is(client_offsets_add(sender, member, &at, 1, NULL), ERR_ABORTED));
    assert_ok(client_end(sender, false, NULL));
    client_close(sender);
    client_close(member);
}

static void place_goes_to_another_only_when_it_was_let_go(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *first = join(fixture);
    struct client_event event = next(first);
    assert_int_equal(event.place_count, 4);
    take(first, &event);
    struct client *second = join(fixture);
    assert_int_equal(next(second).kind, CLIENT_EVENT_NONE);
    event = next(first);
    assert_int_equal(event.kind, CLIENT_EVENT_REVOKED);
    assert_int_equal(event.place_count, 2);
    assert_int_equal(next(second).kind, CLIENT_EVENT_NONE);
    assert_ok(client_release(first, NULL));
    event = next(second);
    assert_int_equal(event.place_count, 2);
    take(second, &event);
    memory_cluster_crash(first);
    assert_int_equal(next(second).kind, CLIENT_EVENT_NONE);
    memory_cluster_notice(fixture->cluster);
    event = next(second);
    assert_int_equal(event.place_count, 2);
    take(second, &event);
    client_close(second);
}

static void member_that_was_cut_off_learns_it_and_joins_again(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *member = join(fixture);
    struct client_event event = next(member);
    take(member, &event);
    int32_t generation = client_generation(member);
    memory_cluster_expel(member);
    assert_int_equal(client_generation(member), -1);
    event = next(member);
    assert_int_equal(event.kind, CLIENT_EVENT_LOST);
    assert_int_equal(event.place_count, 4);
    assert_ok(client_release(member, NULL));
    event = next(member);
    assert_int_equal(event.place_count, 4);
    take(member, &event);
    assert_true(client_generation(member) > generation);
    client_close(member);
}

static void paused_place_gives_nothing_and_then_all(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *member = join(fixture);
    struct client_event event = next(member);
    take(member, &event);
    const struct client_offset place = {.topic = "events", .partition = 2};
    assert_ok(client_pause(member, &place, 1, true, NULL));
    struct client *sender = memory_fixture_connect(fixture, NULL);
    memory_fixture_send(sender, 2, NULL, "1");
    assert_int_equal(next(member).kind, CLIENT_EVENT_NONE);
    assert_ok(client_pause(member, &place, 1, false, NULL));
    assert_true(span_equal_text(next(member).message.value, "1"));
    client_close(sender);
    client_close(member);
}

static void offset_that_is_gone_is_told(void **state)
{
    struct memory_fixture *fixture = *state;
    struct client *sender = memory_fixture_connect(fixture, NULL);
    for (int i = 0; i < 4; i++)
        memory_fixture_send(sender, 0, NULL, "v");
    memory_cluster_truncate(
        fixture->cluster, &(struct client_offset){.topic = "events", .partition = 0, .offset = 3});
    struct client *member = join(fixture);
    struct client_event event = next(member);
    take(member, &event);
    event = next(member);
    assert_int_equal(event.kind, CLIENT_EVENT_RESET);
    assert_int_equal(next(member).kind, CLIENT_EVENT_NONE);
    const struct client_offset place = {.topic = "events", .partition = 0, .offset = 3};
    assert_ok(client_take(member, &place, 1, NULL));
    assert_int_equal(next(member).message.offset, 3);
    client_close(sender);
    client_close(member);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, memory_fixture_setup, memory_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(transaction_is_seen_as_a_whole_and_only_when_committed),
        TEST(newer_sender_fences_the_older_and_aborts_what_it_left),
        TEST(offsets_are_committed_with_the_transaction_or_not_at_all),
        TEST(place_goes_to_another_only_when_it_was_let_go),
        TEST(member_that_was_cut_off_learns_it_and_joins_again),
        TEST(paused_place_gives_nothing_and_then_all),
        TEST(offset_that_is_gone_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
