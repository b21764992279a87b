/* circuit: when it opens, probes and closes; late ends; force; and a random life that never calls
 * an endpoint while it is open. */
#include "support/flow_fixture.h"

#include "flow/policy/circuit.h"

#define CALL_COUNT_MAX 8
#define STEP_COUNT 20000

static const struct circuit_rule in_a_row = {.failures = 3, .open_ms = 1000, .probes = 2};
static const struct circuit_rule by_rate = {
    .failure_rate = 50, .window = 10, .open_ms = 1000, .probes = 1};

static void start(struct circuit *circuit, const struct circuit_rule *rule)
{
    assert_false(err_failed(circuit_init(circuit, rule)));
}

/* One call that is let through, and its end. */
static void call(struct circuit *circuit, int64_t now_ms, bool is_well)
{
    struct circuit_pass pass;
    assert_true(circuit_ask(circuit, now_ms, &pass));
    circuit_end(circuit, now_ms, pass, is_well);
}

static void failures_in_a_row_open_and_probes_close(void **state)
{
    (void)state;
    struct circuit circuit;
    struct circuit_pass first;
    struct circuit_pass second;
    start(&circuit, &in_a_row);
    call(&circuit, 0, false);
    call(&circuit, 0, false);
    call(&circuit, 0, true); /* the row ends */
    call(&circuit, 0, false);
    call(&circuit, 0, false);
    assert_string_equal(circuit_state_text(&circuit), "closed");
    call(&circuit, 0, false);
    assert_string_equal(circuit_state_text(&circuit), "open");
    assert_false(circuit_ask(&circuit, 999, &first));
    assert_int_equal(circuit_wait_ms(&circuit, 400), 600);
    assert_true(circuit_ask(&circuit, 1000, &first));
    assert_string_equal(circuit_state_text(&circuit), "half-open");
    assert_true(circuit_ask(&circuit, 1000, &second));
    assert_int_equal(circuit_wait_ms(&circuit, 1000), -1);
    struct circuit_pass third;
    assert_false(circuit_ask(&circuit, 1000, &third));
    circuit_end(&circuit, 1001, first, true);
    assert_string_equal(circuit_state_text(&circuit), "half-open");
    circuit_end(&circuit, 1001, second, true);
    assert_string_equal(circuit_state_text(&circuit), "closed");
    circuit_deinit(&circuit);
}

static void a_probe_that_fails_opens_again(void **state)
{
    (void)state;
    struct circuit circuit;
    struct circuit_pass probe;
    start(&circuit, &by_rate);
    for (int i = 0; i < 10; i++)
        call(&circuit, 0, i % 2 == 0);
    assert_string_equal(circuit_state_text(&circuit), "open");
    assert_true(circuit_ask(&circuit, 1000, &probe));
    circuit_end(&circuit, 1500, probe, false);
    assert_string_equal(circuit_state_text(&circuit), "open");
    assert_int_equal(circuit_wait_ms(&circuit, 1500), 1000);
    circuit_deinit(&circuit);
}

static void the_rate_is_of_a_full_window_that_slides(void **state)
{
    (void)state;
    struct circuit circuit;
    start(&circuit, &by_rate);
    for (int i = 0; i < 9; i++)
        call(&circuit, 0, i >= 4); /* four failures, and the window is not full */
    call(&circuit, 0, true);
    assert_string_equal(circuit_state_text(&circuit), "closed"); /* 4 of 10 */
    call(&circuit, 0, false); /* in the place of a failure: still 4 of 10 */
    assert_string_equal(circuit_state_text(&circuit), "closed");
    for (int i = 0; i < 3; i++)
        call(&circuit, 0, false); /* the other old ones */
    assert_string_equal(circuit_state_text(&circuit), "closed");
    call(&circuit, 0, false); /* in the place of a success: 5 of 10 */
    assert_string_equal(circuit_state_text(&circuit), "open");
    circuit_deinit(&circuit);
}

static void what_comes_back_late_changes_nothing(void **state)
{
    (void)state;
    struct circuit circuit;
    struct circuit_pass late;
    struct circuit_pass probe;
    start(&circuit, &in_a_row);
    assert_true(circuit_ask(&circuit, 0, &late));
    for (int i = 0; i < 3; i++)
        call(&circuit, 0, false);
    circuit_end(&circuit, 1, late, true);
    assert_string_equal(circuit_state_text(&circuit), "open");
    assert_true(circuit_ask(&circuit, 1000, &probe));
    circuit_end(&circuit, 1000, late, false);
    assert_string_equal(circuit_state_text(&circuit), "half-open");
    circuit_give_back(&circuit, probe); /* never made: its place is free again */
    assert_true(circuit_ask(&circuit, 1000, &probe));
    circuit_deinit(&circuit);
}

static void force_outranks_the_state_until_it_is_taken_back(void **state)
{
    (void)state;
    struct circuit circuit;
    struct circuit_pass pass;
    start(&circuit, &in_a_row);
    circuit_set_force(&circuit, CIRCUIT_FORCED_OPEN);
    assert_false(circuit_ask(&circuit, 0, &pass));
    assert_int_equal(circuit_wait_ms(&circuit, 0), -1);
    assert_string_equal(circuit_state_text(&circuit), "forced open");
    circuit_set_force(&circuit, CIRCUIT_FORCED_CLOSED);
    for (int i = 0; i < 10; i++)
        call(&circuit, 0, false); /* through, though it has opened meanwhile */
    assert_string_equal(circuit_state_text(&circuit), "forced closed");
    circuit_set_force(&circuit, CIRCUIT_FREE);
    assert_string_equal(circuit_state_text(&circuit), "open");
    circuit_deinit(&circuit);
}

/* Calls begin and end at random; the model knows when the endpoint must be left alone. */
static void an_open_circuit_lets_nothing_through(void **state)
{
    (void)state;
    struct circuit circuit;
    struct circuit_pass calls[CALL_COUNT_MAX];
    int count = 0;
    int64_t now_ms = 0;
    int64_t open_until_ms = 0;
    uint64_t random = 1;
    start(&circuit, &by_rate);
    for (int i = 0; i < STEP_COUNT; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        uint32_t draw = (uint32_t)(random >> 33);
        now_ms += draw % 40;
        if (count > 0 && (draw / 64 % 2 == 0 || count == CALL_COUNT_MAX)) {
            int at = (int)(draw / 128 % (uint32_t)count);
            circuit_end(&circuit, now_ms, calls[at], draw / 4096 % 3 != 0);
            calls[at] = calls[--count];
            if (circuit.state == CIRCUIT_OPEN && circuit.open_until_ms > open_until_ms)
                open_until_ms = circuit.open_until_ms;
        } else if (circuit_ask(&circuit, now_ms, &calls[count])) {
            assert_true(now_ms >= open_until_ms);
            count++;
        } else {
            assert_true(circuit.state != CIRCUIT_CLOSED);
        }
    }
    assert_true(circuit.turn > 50); /* it had a life */
    circuit_deinit(&circuit);
}

static void rule_is_the_handlers_else_its_policys_else_the_preset(void **state)
{
    struct flow_fixture *fixture = *state;
    const struct flow *flow = flow_fixture_take(
        fixture, FLOW_FIXTURE_HEAD "    exec: run\n    policy: p\n"
                                   "policies:\n  p: {circuit: {failure-rate: 30%, probes: 4}}\n");
    struct circuit_rule rule = circuit_rule_of(flow, flow_handler_at(flow, 0));
    assert_int_equal(rule.failures, 0);
    assert_int_equal(rule.failure_rate, 30);
    assert_int_equal(rule.window, 20);
    assert_int_equal(rule.probes, 4);
    flow = flow_fixture_take(fixture, FLOW_FIXTURE_HEAD "    exec: run\n");
    rule = circuit_rule_of(flow, flow_handler_at(flow, 0));
    assert_int_equal(rule.failures, 10);
    assert_int_equal(rule.open_ms, 10000);
    assert_int_equal(rule.probes, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, flow_fixture_setup, flow_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(failures_in_a_row_open_and_probes_close),
        TEST(a_probe_that_fails_opens_again),
        TEST(the_rate_is_of_a_full_window_that_slides),
        TEST(what_comes_back_late_changes_nothing),
        TEST(force_outranks_the_state_until_it_is_taken_back),
        TEST(an_open_circuit_lets_nothing_through),
        TEST(rule_is_the_handlers_else_its_policys_else_the_preset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
