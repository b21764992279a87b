/* engine: what becomes of events, one rule at a time, on a cluster in memory. */
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

static struct world world;

static int setup(void **state)
{
    (void)flow_fixture_setup(state);
    memset(&world, 0, sizeof world);
    world.seed = 1;
    world.is_loud = getenv("LOUD") != NULL;
    return 0;
}

static int teardown(void **state)
{
    world_deinit(&world);
    return flow_fixture_teardown(state);
}

/* A world of one partition and one process. */
static void begin(void **state, const char *handler,
                  struct world_plan (*plan)(struct world *, const struct world_process *,
                                            const char *, const char *))
{
    world_init(&world, *state, handler, 1);
    world.plan = plan;
    world_start(&world, 0);
}

static struct world_plan plan_well(struct world *at, const struct world_process *process,
                                   const char *key, const char *data)
{
    (void)at;
    (void)process;
    (void)key;
    (void)data;
    return (struct world_plan){.delay_ms = 20, .kind = ANSWER_DONE, .event_count = 1};
}

static void keep_last(void *context, const struct client_message *message)
{
    *(struct client_message *)context = *message;
}

static void emitted_event_tells_where_it_comes_from(void **state)
{
    begin(state, HANDLER, plan_well);
    world_send(&world, "k", "{\"n\":1}");
    world_run(&world, 100);
    struct client_message got = {0};
    world_read(&world, "results", keep_last, &got);
    assert_true(span_equal_text(got.key, "k"));
    assert_true(span_equal_text(got.value, "{\"n\":1}"));
    assert_true(span_equal_text(message_header(&got, "ce_type"), "done"));
    assert_true(span_equal_text(message_header(&got, "ce_source"), "/f/h"));
    assert_true(span_equal_text(message_header(&got, "ce_specversion"), "1.0"));
    assert_true(span_equal_text(message_header(&got, "ce_causationid"), "things-0-0"));
    assert_true(span_equal_text(message_header(&got, "ce_correlationid"), "things-0-0"));
    assert_int_equal(message_header(&got, "ce_id").size, 36);
    assert_int_equal(world_committed(&world), 1);
}

static int call_count;

static struct world_plan plan_fail(struct world *at, const struct world_process *process,
                                   const char *key, const char *data)
{
    (void)plan_well(at, process, key, data);
    call_count++;
    return (struct world_plan){.delay_ms = 1, .kind = ANSWER_RETRY};
}

static void event_that_always_fails_is_a_dead_letter_after_its_attempts(void **state)
{
    call_count = 0;
    begin(state, HANDLER "    retry: {attempts: 3, backoff: 10ms, max: 20ms}\n", plan_fail);
    world_send(&world, "k", "{\"n\":1}");
    world_run(&world, 500);
    assert_int_equal(call_count, 3);
    struct client_message got = {0};
    world_read(&world, "things.dlq", keep_last, &got);
    assert_true(span_equal_text(got.key, "k"));
    assert_true(span_equal_text(got.value, "{\"n\":1}"));
    static const char *const expected[][2] = {
        {"topic", "things"},       {"partition", "0"},      {"offset", "0"},
        {"group", "f.h"},          {"handler", "h"},        {"class", "planned"},
        {"message", "as planned"}, {"delivery.count", "3"}, {"time", "2023-11-14T22:13:21"}};
    for (size_t i = 0; i < 9; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "__dlq.errors.%s", expected[i][0]);
        struct span value = message_header(&got, name);
        assert_true(value.size >= strlen(expected[i][1]));
        assert_memory_equal(value.data, expected[i][1], strlen(expected[i][1]));
    }
    assert_int_equal(world_committed(&world), 1);
    assert_int_equal(world_count(&world, "results"), 0);
}

static struct world_plan plan_reject(struct world *at, const struct world_process *process,
                                     const char *key, const char *data)
{
    (void)plan_fail(at, process, key, data);
    return (struct world_plan){.delay_ms = 1, .kind = ANSWER_REJECTED};
}

static void rejected_event_is_a_dead_letter_at_once(void **state)
{
    call_count = 0;
    begin(state, HANDLER, plan_reject);
    world_send(&world, "k", "{}");
    world_run(&world, 100);
    assert_int_equal(call_count, 1);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
}

static bool is_down;

static struct world_plan plan_outage(struct world *at, const struct world_process *process,
                                     const char *key, const char *data)
{
    struct world_plan well = plan_well(at, process, key, data);
    call_count++;
    return is_down ? (struct world_plan){.delay_ms = 1, .kind = ANSWER_UNREACHABLE} : well;
}

static void outage_dead_letters_nothing_and_calls_little(void **state)
{
    call_count = 0;
    is_down = true;
    begin(state,
          HANDLER "    retry: {attempts: 2, backoff: 10ms, max: 100ms}\n"
                  "    circuit: {failures: 3, open: 1s}\n",
          plan_outage);
    for (int i = 0; i < 50; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "%d", i);
        world_send(&world, key, "{}");
    }
    world_run(&world, 60000);
    assert_true(call_count < 16 + 70); /* the first 16 at once; then a probe a second */
    assert_int_equal(world_committed(&world), 0);
    is_down = false;
    world_run(&world, 3000);
    assert_int_equal(world_count(&world, "results"), 50);
    assert_int_equal(world_count(&world, "things.dlq"), 0);
}

static struct world_plan plan_hang(struct world *at, const struct world_process *process,
                                   const char *key, const char *data)
{
    struct world_plan well = plan_well(at, process, key, data);
    if (strcmp(key, "slow") != 0)
        return well;
    call_count++;
    return (struct world_plan){.delay_ms = -1};
}

static void hanging_key_holds_no_other_and_times_out(void **state)
{
    call_count = 0;
    begin(state, HANDLER "    timeout: 1s\n    retry: {attempts: 2, backoff: 10ms, max: 20ms}\n",
          plan_hang);
    for (int i = 0; i < 30; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "%d", i % 10);
        world_send(&world, i == 5 ? "slow" : key, "{}");
    }
    world_run(&world, 500);
    assert_int_equal(world_count(&world, "results"), 29);
    assert_int_equal(world_committed(&world), 5); /* the slow one; the others are in its metadata */
    world_run(&world, 3000);
    assert_int_equal(call_count, 2);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
    assert_int_equal(world_committed(&world), 30);
}

static void what_is_done_above_the_committed_offset_is_not_done_again(void **state)
{
    hanging_key_holds_no_other_and_times_out(state);
    world_send(&world, "slow", "{}");
    for (int i = 0; i < 20; i++)
        world_send(&world, "quick", "{}");
    world_run(&world, 800);
    assert_int_equal(world_count(&world, "results"), 49);
    world_kill(&world.processes[0]);
    memory_cluster_notice(world.cluster);
    world_start(&world, 0);
    world_run(&world, 500);
    assert_int_equal(world_count(&world, "results"), 49); /* and the slow one is called again */
    assert_int_equal(call_count, 4);
}

static void events_of_other_types_are_passed_over(void **state)
{
    begin(state, HANDLER, plan_well);
    struct client_header other[] = {{"ce_specversion", span_text("1.0")},
                                    {"ce_id", span_text("a")},
                                    {"ce_source", span_text("/b")},
                                    {"ce_type", span_text("other")}};
    struct client_message message = {.topic = "things", .headers = other, .header_count = 4};
    assert_ok(client_send(world.admin, &message, NULL));
    world_run(&world, 1500);
    assert_int_equal(world_count(&world, "results"), 0);
    assert_int_equal(world_committed(&world), 1);
    other[3].value = span_text("made");
    assert_ok(client_send(world.admin, &message, NULL));
    other[0].value = span_text("9.9");
    assert_ok(client_send(world.admin, &message, NULL)); /* of a version that nobody knows */
    world_run(&world, 1500);
    assert_int_equal(world_count(&world, "results"), 1);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
    assert_int_equal(world_committed(&world), 3);
}

static void new_handler_from_latest_pins_its_start_at_once(void **state)
{
    world_init(&world, *state, HANDLER "    from: latest\n", 1);
    world.plan = plan_well;
    for (int i = 0; i < 3; i++)
        world_send(&world, "k", "{}");
    world_start(&world, 0);
    world_run(&world, 50);
    assert_int_equal(world_committed(&world), 3);
    world_kill(&world.processes[0]);
    memory_cluster_notice(world.cluster);
    world_send(&world, "k", "{}"); /* while nobody is there */
    world_start(&world, 0);
    world_run(&world, 200);
    assert_int_equal(world_count(&world, "results"), 1);
}

static void gaps_and_markers_hold_nothing_up(void **state)
{
    begin(state, HANDLER, plan_well);
    for (int i = 0; i < 10; i++)
        world_send(&world, "k", "{}");
    for (int64_t i = 2; i < 10; i += i == 4 ? 1 : 3)
        memory_cluster_compact(
            world.cluster, &(struct client_offset){.topic = "things", .partition = 0, .offset = i});
    world_run(&world, 2500);
    assert_int_equal(world_count(&world, "results"), 7);
    assert_int_equal(world_committed(&world), 10);
}

static void log_that_lost_its_head_is_read_from_what_is_left(void **state)
{
    begin(state, HANDLER, plan_well);
    for (int i = 0; i < 10; i++)
        world_send(&world, "k", "{}");
    memory_cluster_truncate(
        world.cluster, &(struct client_offset){.topic = "things", .partition = 0, .offset = 6});
    struct client_offset committed = {.topic = "things", .partition = 0, .offset = 2};
    world_kill(&world.processes[0]);
    memory_cluster_notice(world.cluster);
    assert_ok(client_group_offsets_set(world.admin, "f.h", &committed, 1, NULL));
    world_start(&world, 0);
    world_run(&world, 500);
    assert_int_equal(world_count(&world, "results"), 4);
    assert_int_equal(world_committed(&world), 10);
}

static void stopped_process_hands_over_and_nothing_is_called_twice(void **state)
{
    world_init(&world, *state, HANDLER, 4);
    call_count = 0;
    is_down = false;
    world.plan = plan_outage;
    world_start(&world, 0);
    for (int i = 0; i < 200; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "%d", i);
        world_send(&world, key, "{}");
    }
    world_run(&world, 50);
    world_start(&world, 1);
    world_run(&world, 20);
    world_stop(&world.processes[0]);
    world_run(&world, 2000);
    assert_int_equal(world_count(&world, "results"), 200);
    assert_int_equal(call_count, 200);
}

static void rate_is_kept(void **state)
{
    call_count = 0;
    is_down = false;
    begin(state, HANDLER "    rate: 100/s\n", plan_outage);
    for (int i = 0; i < 500; i++)
        world_send(&world, NULL, "{}");
    world_run(&world, 2000);
    assert_in_range(call_count, 190, 215);
}

static void output_that_is_not_taken_is_a_dead_letter_and_the_others_go_on(void **state)
{
    begin(state, HANDLER, plan_well);
    world_send(&world, "a", "{}");
    world_send(&world, "b", "{}");
    world_run(&world, 10);
    memory_cluster_fail(world.cluster, MEMORY_SEND, 2, ERR_LIMIT);
    world_run(&world, 1000);
    assert_int_equal(world_count(&world, "results"), 1);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
    assert_int_equal(world_committed(&world), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(emitted_event_tells_where_it_comes_from),
        TEST(event_that_always_fails_is_a_dead_letter_after_its_attempts),
        TEST(rejected_event_is_a_dead_letter_at_once),
        TEST(outage_dead_letters_nothing_and_calls_little),
        TEST(hanging_key_holds_no_other_and_times_out),
        TEST(what_is_done_above_the_committed_offset_is_not_done_again),
        TEST(events_of_other_types_are_passed_over),
        TEST(new_handler_from_latest_pins_its_start_at_once),
        TEST(gaps_and_markers_hold_nothing_up),
        TEST(log_that_lost_its_head_is_read_from_what_is_left),
        TEST(stopped_process_hands_over_and_nothing_is_called_twice),
        TEST(rate_is_kept),
        TEST(output_that_is_not_taken_is_a_dead_letter_and_the_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
