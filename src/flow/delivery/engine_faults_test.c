/*
 * engine_faults: memory is refused somewhere in the life of a handler. What happens then, a process
 * that begins anew or an event that is called again, must lose nothing and write nothing twice.
 */
#include <stdio.h>

#include "support/fail_alloc.h"
#include "support/flow_world.h"

#define EVENT_COUNT 12
#define LIFE_MS 15000 /* in which an event may wait twice */
#define PAUSE_MS 5500 /* long enough to be parked */

#define FLOW                                                                                       \
    "flow: f\n"                                                                                    \
    "events:\n"                                                                                    \
    "  made: {topic: things}\n"                                                                    \
    "  done: {topic: results, key: n}\n"                                                           \
    "handlers:\n"                                                                                  \
    "  h:\n"                                                                                       \
    "    handles: made\n"                                                                          \
    "    emits: [done]\n"                                                                          \
    "    where: n >= 0\n"                                                                          \
    "    call: http://localhost:1/\n"                                                              \
    "    inbox: 1h\n"                                                                              \
    "    retry: {attempts: 9, backoff: 5ms, max: 10ms}\n"

struct tally {
    int results[EVENT_COUNT];
    int dead[EVENT_COUNT];
};

static struct world world;

static int event_number(struct span value)
{
    assert_true(value.size >= 6);
    return (int)strtol((const char *)value.data + 5, NULL, 10);
}

/* Every fifth is poison, every third fails at first, and one of these must wait. */
static struct world_plan plan(struct world *at, const struct world_process *process,
                              const char *key, const char *data)
{
    static int tries[EVENT_COUNT];
    int number = event_number(span_text(data));
    (void)at;
    (void)process;
    (void)key;
    tries[number]++;
    if (number % 5 == 4)
        return (struct world_plan){.delay_ms = 3, .kind = ANSWER_REJECTED};
    if (number % 3 == 0 && tries[number] % 2 == 1)
        return (struct world_plan){
            .delay_ms = 3, .kind = ANSWER_RETRY, .retry_after_ms = number == 3 ? PAUSE_MS : 0};
    return (struct world_plan){.delay_ms = 3, .kind = ANSWER_DONE, .event_count = 1};
}

static void see_result(void *context, const struct client_message *message)
{
    ((struct tally *)context)->results[event_number(message->value)]++;
}

static void see_dead(void *context, const struct client_message *message)
{
    ((struct tally *)context)->dead[event_number(message->value)]++;
}

/* Steps the process; where it cannot go on, another one takes its place. */
static void live(void)
{
    struct world_process *process = &world.processes[0];
    for (int64_t ms = 0; ms < LIFE_MS; ms++, world.now_us += 1000) {
        struct err err = world_try_step(process, 5, 0);
        if (!err_failed(err))
            continue;
        assert_true(err_is(err, ERR_NO_MEMORY));
        fail_alloc_pause();
        world_kill(process);
        memory_cluster_notice(world.cluster);
        world_start(&world, 0);
        fail_alloc_resume();
    }
}

static bool attempt(void *context, uint32_t count)
{
    struct flow_fixture *file = context;
    struct tally tally = {{0}, {0}};
    memset(&world, 0, sizeof world);
    world.seed = 7;
    world_init(&world, file, FLOW, 1);
    world.plan = plan;
    world_start(&world, 0);
    for (int i = 0; i < EVENT_COUNT; i++) {
        char key[8];
        char data[16];
        (void)snprintf(key, sizeof key, "k%d", i % 4);
        (void)snprintf(data, sizeof data, "{\"n\":%d}", i);
        world_send(&world, key, data);
    }
    fail_alloc_arm(count);
    live();
    bool has_failed = fail_alloc_disarm();
    world_read(&world, "results", see_result, &tally);
    world_read(&world, "things.dlq", see_dead, &tally);
    for (int i = 0; i < EVENT_COUNT; i++) {
        bool is_poison = i % 5 == 4;
        if (tally.dead[i] != is_poison || tally.results[i] != !is_poison)
            fail_msg("allocation %u refused: event %d has %d results and %d dead letters", count, i,
                     tally.results[i], tally.dead[i]);
    }
    assert_int_equal(world_committed(&world), EVENT_COUNT);
    world_deinit(&world);
    arena_deinit(&file->arena);
    arena_init(&file->arena, (size_t)64 << 20);
    return has_failed;
}

static void what_was_refused_is_done_later_and_once(void **state)
{
    uint32_t refused = fail_each(attempt, *state);
    print_message("%u allocations refused, one in each life\n", refused);
    assert_true(refused >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_refused_is_done_later_and_once, flow_fixture_setup,
                                        flow_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
