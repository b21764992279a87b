/* engine_inbox: events that come twice, on a cluster in memory. */
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
    "    call: http://localhost:1/\n"                                                              \
    "    inbox: 10m\n"

static struct world world;
static int call_count;
static int at_once; /* the most calls that were under way together */
static enum answer_kind kind;

static int setup(void **state)
{
    (void)flow_fixture_setup(state);
    memset(&world, 0, sizeof world);
    world.seed = 1;
    world.is_loud = getenv("LOUD") != NULL;
    call_count = 0;
    at_once = 0;
    kind = ANSWER_DONE;
    return 0;
}

static int teardown(void **state)
{
    world_deinit(&world);
    return flow_fixture_teardown(state);
}

static struct world_plan plan(struct world *at, const struct world_process *process,
                              const char *key, const char *data)
{
    (void)process;
    (void)key;
    (void)data;
    call_count++;
    if ((int)at->call_count > at_once)
        at_once = (int)at->call_count;
    return (struct world_plan){.delay_ms = 5, .kind = kind, .event_count = 1};
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

static void event_that_comes_twice_is_done_once(void **state)
{
    begin(state, HANDLER);
    world_send_event(&world, "k", "1", "{}");
    world_send_event(&world, "k", "1", "{}"); /* while the first is under way */
    world_send_event(&world, "k", "2", "{}");
    world_run(&world, 200);
    world_send_event(&world, "k", "1", "{}"); /* when it is done */
    world_run(&world, 200);
    assert_int_equal(call_count, 2);
    assert_int_equal(world_count(&world, "results"), 2);
    assert_int_equal(world_committed(&world), 4);
}

static void successor_knows_what_was_done(void **state)
{
    begin(state, HANDLER);
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    begin_anew();
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    assert_int_equal(call_count, 1);
    assert_int_equal(world_committed(&world), 2);
}

static void it_is_forgotten_after_its_time(void **state)
{
    begin(state, HANDLER);
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    world.now_us += (int64_t)11 * 60 * 1000000;
    world_run(&world, 10);
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    assert_int_equal(call_count, 2);
}

static void dead_letter_may_come_again(void **state)
{
    kind = ANSWER_REJECTED;
    begin(state, HANDLER);
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
    kind = ANSWER_DONE;
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    assert_int_equal(world_count(&world, "results"), 1);
}

static void output_that_is_refused_leaves_the_event_undone(void **state)
{
    begin(state, HANDLER);
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 5);
    memory_cluster_fail(world.cluster, MEMORY_SEND, 1, ERR_LIMIT);
    world_run(&world, 1000);
    assert_int_equal(world_count(&world, "things.dlq"), 1);
    world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    assert_int_equal(call_count, 2);
    assert_int_equal(world_count(&world, "results"), 1);
}

static void without_order_those_of_one_id_wait_for_each_other(void **state)
{
    begin(state, HANDLER "    order: none\n");
    for (int i = 0; i < 5; i++)
        world_send_event(&world, "k", "1", "{}");
    world_run(&world, 200);
    assert_int_equal(call_count, 1);
    at_once = 0;
    for (int i = 0; i < 5; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "x%d", i);
        world_send_event(&world, "k", id, "{}");
    }
    world_run(&world, 200);
    assert_int_equal(at_once, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(event_that_comes_twice_is_done_once),
        TEST(successor_knows_what_was_done),
        TEST(it_is_forgotten_after_its_time),
        TEST(dead_letter_may_come_again),
        TEST(output_that_is_refused_leaves_the_event_undone),
        TEST(without_order_those_of_one_id_wait_for_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
