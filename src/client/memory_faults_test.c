/*
 * memory_faults: memory is refused somewhere in the life of a cluster in memory and its clients.
 * A message is there whole or was refused; what was refused can be done again.
 */
#include "support/fail_alloc.h"
#include "support/memory_fixture.h"

#define MESSAGE_COUNT 20

/* Whether it was done; if not, for want of memory. */
static bool is_done(struct err err)
{
    if (err_failed(err) && !err_is(err, ERR_NO_MEMORY))
        fail_msg("%s", err_text(err));
    return !err_failed(err);
}

static struct client *connect(struct memory_fixture *fixture, const char *group)
{
    const struct client_property properties[] = {{"group.id", group},
                                                 {"auto.offset.reset", "earliest"}};
    struct client_settings settings = {.properties = properties, .property_count = 2};
    struct client *client;
    bool is_connected =
        is_done(memory_cluster_connect(fixture->cluster, &settings, &client, &fixture->diag));
    if (!is_connected)
        assert_ok(memory_cluster_connect(fixture->cluster, &settings, &client, &fixture->diag));
    return client;
}

static void create_topic(struct client *client)
{
    const struct client_new_topic topic = {.name = "new", .partition_count = 3};
    if (!is_done(client_topic_create(client, &topic, NULL)))
        assert_ok(client_topic_create(client, &topic, NULL));
}

/* What became of the messages so far, client_flush tells. */
static uint64_t failed_count(struct client *client)
{
    struct client_counts counts;
    struct err err = client_flush(client, 0, &counts, NULL);
    assert_true(err_failed(err) == (counts.failed != 0));
    return (uint64_t)counts.failed;
}

static void send(struct client *client, int number)
{
    uint8_t value[4] = {(uint8_t)number, 1, 2, 3};
    const struct client_header header = {"name", span_text("value")};
    const struct client_message message = {.topic = "new",
                                           .partition = number % 3,
                                           .key = span_text("key"),
                                           .value = span_make(value, sizeof value),
                                           .headers = &header,
                                           .header_count = 1};
    uint64_t before = failed_count(client);
    assert_ok(client_send(client, &message, NULL));
    if (failed_count(client) == before)
        return;
    assert_ok(client_send(client, &message, NULL));
    assert_int_equal(failed_count(client), before + 1);
}

/* Receives until there is nothing left; notes what came. */
static void receive_all(struct client *client, int counts[MESSAGE_COUNT])
{
    struct client_event event = {.kind = CLIENT_EVENT_MESSAGE};
    for (int quiet = 0; quiet < 2;) { /* once more where the first try found no memory */
        if (!is_done(client_receive(client, 0, &event, NULL)))
            continue;
        quiet =
            event.kind == CLIENT_EVENT_MESSAGE || event.kind == CLIENT_EVENT_END ? 0 : quiet + 1;
        if (event.kind != CLIENT_EVENT_MESSAGE)
            continue;
        assert_int_equal(event.message.value.size, 4);
        assert_true(event.message.value.data[0] < MESSAGE_COUNT);
        assert_int_equal(event.message.header_count, 1);
        counts[event.message.value.data[0]]++;
    }
}

static void live(struct memory_fixture *fixture)
{
    struct client *client = connect(fixture, "g");
    int counts[MESSAGE_COUNT] = {0};
    create_topic(client);
    for (int i = 0; i < MESSAGE_COUNT; i++)
        send(client, i);
    if (!is_done(client_subscribe(client, "new", NULL)))
        assert_ok(client_subscribe(client, "new", NULL));
    receive_all(client, counts);
    for (int i = 0; i < MESSAGE_COUNT; i++)
        assert_int_equal(counts[i], 1);
    if (!is_done(client_commit(client, NULL)))
        assert_ok(client_commit(client, NULL));
    struct client_offset *offsets = NULL;
    size_t count = 0;
    if (!is_done(client_group_offsets(client, "g", &fixture->arena, &offsets, &count, NULL)))
        assert_ok(client_group_offsets(client, "g", &fixture->arena, &offsets, &count, NULL));
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += offsets[i].offset;
    assert_int_equal(sum, MESSAGE_COUNT);
    client_close(client);
}

static bool attempt(void *context, uint32_t count)
{
    struct memory_fixture fixture = {.now_ms = 1700000000000};
    (void)context;
    fixture.clock = (struct os_clock){.self = &fixture, .wall_ms = memory_fixture_wall_ms};
    arena_init(&fixture.arena, 1 << 20);
    fail_alloc_arm(count);
    if (!is_done(memory_cluster_create(&fixture.clock, &fixture.cluster)))
        assert_ok(memory_cluster_create(&fixture.clock, &fixture.cluster));
    live(&fixture);
    bool has_failed = fail_alloc_disarm();
    memory_cluster_destroy(fixture.cluster);
    arena_deinit(&fixture.arena);
    return has_failed;
}

static void what_was_refused_can_be_done_again(void **state)
{
    (void)state;
    assert_true(fail_each(attempt, NULL) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_refused_can_be_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
