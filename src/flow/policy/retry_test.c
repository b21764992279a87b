/* retry: pauses double up to their bound, are drawn from all of it, and heed Retry-After. */
#include "support/flow_fixture.h"

#include "flow/policy/retry.h"

#define DRAW_COUNT 2000

/* Random that is told. */
struct told {
    struct os_random random;
    uint64_t next;
    uint64_t step;
};

static void fill(void *self, void *bytes, size_t size)
{
    struct told *told = self;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(told->next >> (8 * (i % 8)));
    told->next = told->next * 6364136223846793005U + told->step;
}

static const struct retry_rule rule = {.attempts_max = 8, .backoff_ms = 200, .pause_ms_max = 5000};

/* The largest of many pauses, and the smallest. */
static void draw(uint32_t attempts, int64_t asked_ms, int64_t *least, int64_t *most)
{
    struct told told = {.next = 7, .step = 1442695040888963407U};
    told.random = (struct os_random){.self = &told, .fill = fill};
    *least = INT64_MAX;
    *most = 0;
    for (int i = 0; i < DRAW_COUNT; i++) {
        int64_t pause = retry_pause_ms(&rule, attempts, asked_ms, &told.random);
        *least = pause < *least ? pause : *least;
        *most = pause > *most ? pause : *most;
    }
}

static void pauses_double_up_to_their_bound_and_use_all_of_it(void **state)
{
    (void)state;
    static const int64_t ceilings[] = {200, 400, 800, 1600, 3200, 5000, 5000};
    for (uint32_t i = 0; i < sizeof ceilings / sizeof ceilings[0]; i++) {
        int64_t least;
        int64_t most;
        draw(i + 1, 0, &least, &most);
        assert_true(most <= ceilings[i] && most > ceilings[i] * 95 / 100);
        assert_true(least < ceilings[i] / 20);
    }
    int64_t least;
    int64_t most;
    draw(UINT32_MAX, 0, &least, &most); /* nothing overflows */
    assert_true(most <= rule.pause_ms_max);
}

static void what_the_endpoint_asks_for_is_the_least(void **state)
{
    (void)state;
    int64_t least;
    int64_t most;
    draw(1, 7000, &least, &most);
    assert_int_equal(least, 7000);
    assert_int_equal(most, 7000);
    draw(1, INT64_MAX, &least, &most);
    assert_int_equal(most, RETRY_AFTER_MS_MAX);
}

static void attempts_end(void **state)
{
    (void)state;
    assert_false(retry_is_over(&rule, 7));
    assert_true(retry_is_over(&rule, 8));
}

static void rule_is_the_handlers_else_its_policys_else_the_presets(void **state)
{
    struct flow_fixture *fixture = *state;
    static const char *const cases[] = {
        FLOW_FIXTURE_HEAD "    exec: run\n    policy: p\n    retry: {attempts: 2}\n"
                          "policies:\n  p: {retry: {attempts: 3}}\n",
        FLOW_FIXTURE_HEAD "    exec: run\n    policy: p\n"
                          "policies:\n  p: {retry: {attempts: 3}}\n",
        FLOW_FIXTURE_HEAD "    exec: run\n    policy: p\npolicies:\n  p: {timeout: 1s}\n",
    };
    static const uint32_t wanted[] = {2, 3, 5};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct flow *flow = flow_fixture_take(fixture, cases[i]);
        const struct retry_rule found = retry_rule_of(flow, flow_handler_at(flow, 0));
        assert_int_equal(found.attempts_max, wanted[i]);
        assert_int_equal(found.backoff_ms, 200);
        assert_int_equal(found.pause_ms_max, 30000);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, flow_fixture_setup, flow_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pauses_double_up_to_their_bound_and_use_all_of_it),
        TEST(what_the_endpoint_asks_for_is_the_least),
        TEST(attempts_end),
        TEST(rule_is_the_handlers_else_its_policys_else_the_presets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
