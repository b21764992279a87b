/* engine_parking: what becomes of events that wait outside, on a cluster in memory. */
#include "flow/delivery/parked.h"

#include <stdio.h>

#include "support/flow_world.h"

#define HANDLER                                                                                    \
    "flow: f\n"                                                                                    \
    "events:\n"                                                                                    \
    "  made: {topic: things}\n"                                                                    \
    "  done: {topic: results}\n"                                                                   \
    "handlers:\n"                                                                                  \
    "  h:\n"                                                                                       \
    "    handles: made\n"                                                                          \
    "    emits: [done]\n"                                                                          \
    "    call: http://localhost:1/\n"

#define PAUSE_MS 6000

static struct world world;
static int call_count; /* of key "late" */
static int failing;    /* so many of these fail first */

static int setup(void **state)
{
    (void)flow_fixture_setup(state);
    memset(&world, 0, sizeof world);
    world.seed = 1;
    world.is_loud = getenv("LOUD") != NULL;
    call_count = 0;
    failing = 1;
    return 0;
}

static int teardown(void **state)
{
    world_deinit(&world);
    return flow_fixture_teardown(state);
}

/* Calls of key "late" fail first, and ask for a pause. */
static struct world_plan plan(struct world *at, const struct world_process *process,
                              const char *key, const char *data)
{
    (void)at;
    (void)process;
    (void)data;
    struct world_plan well = {.delay_ms = 2, .kind = ANSWER_DONE, .event_count = 1};
    if (strcmp(key, "late") != 0 || ++call_count > failing)
        return well;
    return (struct world_plan){.delay_ms = 2, .kind = ANSWER_RETRY, .retry_after_ms = PAUSE_MS};
}

/* As plan, with a pause that is worth parking only where there is little room. */
static struct world_plan plan_soon(struct world *at, const struct world_process *process,
                                   const char *key, const char *data)
{
    struct world_plan made = plan(at, process, key, data);
    made.retry_after_ms = made.kind == ANSWER_RETRY ? 300 : 0;
    return made;
}

static void begin(void **state, const char *handler)
{
    world_init(&world, *state, handler, 1);
    world.plan = plan;
    world_start(&world, 0);
}

static void begin_anew(void)
{
    world_kill(&world.processes[0]);
    memory_cluster_notice(world.cluster);
    world_start(&world, 0);
}

static void send_late(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char data[32];
        (void)snprintf(data, sizeof data, "{\"n\":%d}", i);
        world_send(&world, "late", data);
    }
}

static int next_number;

static void see_number(void *context, const struct client_message *message)
{
    (void)context;
    char text[32];
    char expected[32];
    world_text(message->value, text, sizeof text);
    (void)snprintf(expected, sizeof expected, "{\"n\":%d}", next_number++);
    assert_string_equal(text, expected);
}

static void assert_results_in_order(int count)
{
    next_number = 0;
    world_read(&world, "results", see_number, NULL);
    assert_int_equal(next_number, count);
}

static void what_waits_long_holds_no_offset_and_keeps_its_keys_order(void **state)
{
    begin(state, HANDLER);
    send_late(0, 3);
    world_run(&world, 100);
    send_late(3, 2); /* behind one that is parked */
    world_run(&world, 100);
    assert_int_equal(world_committed(&world), 5);
    assert_int_equal(world_count(&world, "f.h.parked"), 5);
    world_run(&world, PAUSE_MS - 300);
    assert_int_equal(call_count, 1);
    world_run(&world, 300);
    assert_results_in_order(5);
    assert_int_equal(call_count, 6);
    assert_int_equal(world_count(&world, "f.h.parked"), 10); /* and each was taken away */
    begin_anew();
    world_run(&world, 2 * PAUSE_MS);
    assert_int_equal(call_count, 6);
}

static void short_pause_stays_in_memory(void **state)
{
    begin(state, HANDLER "    retry: {attempts: 9, backoff: 1ms, max: 1ms}\n");
    world.plan = plan_soon;
    send_late(0, 3);
    world_run(&world, 400);
    assert_results_in_order(3);
    assert_int_equal(call_count, 4);
    assert_int_equal(world_count(&world, "f.h.parked"), 0);
}

static void attempts_and_due_time_outlive_the_process(void **state)
{
    begin(state, HANDLER "    retry: {attempts: 3, backoff: 10ms, max: 20ms}\n");
    failing = 100;
    send_late(0, 1);
    for (int i = 1; i <= 3; i++) {
        world_run(&world, PAUSE_MS / 2);
        assert_int_equal(call_count, i);
        begin_anew();
        world_run(&world, PAUSE_MS / 2 + 200);
    }
    assert_int_equal(call_count, 3);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
    assert_int_equal(world_count(&world, "f.h.parked"), 3); /* twice parked, taken away */
}

static void what_comes_behind_it_is_parked_by_a_successor_too(void **state)
{
    begin(state, HANDLER "    in-flight: {events: 4, bytes: 1MiB}\n");
    send_late(0, 1);
    world_run(&world, 100);
    begin_anew();
    world_run(&world, 100);
    send_late(1, 20);
    for (int i = 0; i < 10; i++)
        world_send(&world, "other", "{}");
    world_run(&world, 500);
    assert_int_equal(world_count(&world, "results"), 10);
    assert_int_equal(world_committed(&world), 31);
    assert_int_equal(call_count, 1);
}

static void crowded_house_parks_shorter_pauses(void **state)
{
    begin(state, HANDLER "    in-flight: {events: 100, bytes: 1MiB}\n"
                         "    retry: {attempts: 9, backoff: 1ms, max: 1ms}\n");
    world.plan = plan_soon;
    send_late(0, 99);
    world_send(&world, "other", "{}");
    world_run(&world, 100);
    assert_int_equal(world_count(&world, "f.h.parked"), 99);
    world_run(&world, 1000);
    assert_int_equal(world_count(&world, "results"), 100);
}

static struct world_plan plan_outage(struct world *at, const struct world_process *process,
                                     const char *key, const char *data)
{
    (void)at;
    (void)process;
    (void)key;
    (void)data;
    return (struct world_plan){.delay_ms = 1, .kind = ANSWER_RETRY, .retry_after_ms = PAUSE_MS};
}

static void outage_parks_no_more_than_what_opens_the_circuit(void **state)
{
    begin(state, HANDLER "    circuit: {failures: 3, open: 1s}\n    concurrency: 1\n");
    world.plan = plan_outage;
    for (int i = 0; i < 50; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "%d", i);
        world_send(&world, key, "{}");
    }
    world_run(&world, 900);
    assert_int_equal(world_count(&world, "f.h.parked"), 2);
}

/* Sends an event to the handler again, as `headrace dlq redrive` does. */
static void send_again(int64_t offset, const char *key, const char *data)
{
    struct arena arena;
    struct client_message record;
    const struct parked parked = {.event = {.topic = "things",
                                            .offset = offset,
                                            .timestamp_ms = -1,
                                            .key = span_text(key),
                                            .value = span_text(data)}};
    arena_init(&arena, 1 << 16);
    assert_ok(parked_write(&parked, "f.h.parked", &arena, &record));
    assert_ok(client_send(world.admin, &record, NULL));
    arena_deinit(&arena);
}

static void what_is_sent_again_is_handled_once_by_whoever_is_there(void **state)
{
    begin(state, HANDLER);
    world_send(&world, "a", "{}");
    world_run(&world, 100);
    send_again(0, "a", "{\"n\":0}");
    world_run(&world, 100);
    assert_int_equal(world_count(&world, "results"), 2);
    begin_anew();
    world_run(&world, 100);
    assert_int_equal(world_count(&world, "results"), 2);
    world_kill(&world.processes[0]);
    send_again(0, "a", "{\"n\":1}");
    memory_cluster_notice(world.cluster);
    world_start(&world, 0);
    world_run(&world, 100);
    assert_int_equal(world_count(&world, "results"), 3);
}

static void what_was_parked_without_its_offset_comes_by_its_partition(void **state)
{
    world_init(&world, *state, HANDLER, 1);
    world.plan = plan;
    failing = 0;
    send_late(0, 1);
    send_again(0, "late", "{\"n\":0}"); /* offset 0 is not done */
    world_start(&world, 0);
    world_run(&world, 200);
    assert_results_in_order(1);
}

static void refused_record_makes_a_dead_letter_and_its_key_goes_on(void **state)
{
    begin(state, HANDLER);
    send_late(0, 2);
    world_run(&world, 5);
    memory_cluster_fail(world.cluster, MEMORY_SEND, 1, ERR_LIMIT);
    world_run(&world, 2000);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
    assert_int_equal(world_count(&world, "results"), 1);
    assert_int_equal(world_committed(&world), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waits_long_holds_no_offset_and_keeps_its_keys_order),
        TEST(short_pause_stays_in_memory),
        TEST(attempts_and_due_time_outlive_the_process),
        TEST(what_comes_behind_it_is_parked_by_a_successor_too),
        TEST(crowded_house_parks_shorter_pauses),
        TEST(outage_parks_no_more_than_what_opens_the_circuit),
        TEST(what_is_sent_again_is_handled_once_by_whoever_is_there),
        TEST(what_was_parked_without_its_offset_comes_by_its_partition),
        TEST(refused_record_makes_a_dead_letter_and_its_key_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
