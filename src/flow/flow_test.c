/* flow: what words mean, what holds where nothing is said, variables and secrets. The sentences for
 * what is wrong have files of their own, in tests/flow. */
#include "support/flow_fixture.h"

#include <stdio.h>

static struct flow_handler *take_handler(struct flow_fixture *fixture, const char *lines)
{
    char *text = arena_print(&fixture->arena, FLOW_FIXTURE_HEAD "%s", lines);
    assert_non_null(text);
    return flow_handler_at(flow_fixture_take(fixture, text), 0);
}

static void words_mean_numbers(void **state)
{
    const struct flow_handler *handler = take_handler(*state, "    exec: run it\n"
                                                              "    concurrency: 64\n"
                                                              "    timeout: 2s\n"
                                                              "    inbox: 7d\n"
                                                              "    rate: 100/s\n"
                                                              "    order: none\n"
                                                              "    from: 2026-01-31T12:00:00Z\n"
                                                              "    in-flight: {bytes: 64KiB}\n"
                                                              "    dead-letter: {hold-key: true}\n"
                                                              "    circuit: {failure-rate: 50%}\n");
    assert_int_equal(handler->concurrency.number, 64);
    assert_int_equal(handler->timeout.number, 2000);
    assert_int_equal(handler->inbox.number, (int64_t)7 * 24 * 3600 * 1000);
    assert_int_equal(handler->rate.number, 6000); /* a minute */
    assert_int_equal(handler->order.number, FLOW_ORDER_NONE);
    assert_int_equal(handler->from.number, (int64_t)1769860800000);
    assert_int_equal(handler->in_flight->bytes.number, 65536);
    assert_int_equal(handler->dead_letter->hold_key.number, 1);
    assert_int_equal(handler->circuit->failure_rate.number, 50);
}

static void what_is_absent_has_its_preset(void **state)
{
    const struct flow_handler *handler =
        take_handler(*state, "    exec: run it\n    retry: {}\n    circuit: {failures: 3}\n");
    assert_null(handler->order.text);
    assert_int_equal(handler->order.number, FLOW_ORDER_KEY);
    assert_int_equal(handler->concurrency.number, 16);
    assert_int_equal(handler->from.number, FLOW_FROM_EARLIEST);
    assert_int_equal(handler->retry->attempts.number, 5);
    assert_int_equal(handler->retry->backoff.number, 200);
    assert_int_equal(handler->circuit->open.number, 10000);
    assert_null(handler->dead_letter);
    const struct flow_fixture *fixture = *state;
    assert_int_equal(fixture->flow->drain.number, 30000);
    assert_string_equal(
        flow_dead_letter_topic(fixture->flow, handler, &(*(struct flow_fixture *)*state).arena),
        "things.dlq");
}

static void variables_and_secrets_are_filled_in(void **state)
{
    const struct flow_handler *handler =
        take_handler(*state, "    call: https://${HOST}/x?y=$$1\n    bearer: ${file:/secret}\n");
    assert_string_equal(handler->way.call.text, "https://example.org/x?y=$1");
    assert_string_equal(handler->way.bearer.text, "s3cret");
}

static void what_is_not_set_is_an_error_or_where_allowed_a_warning(void **state)
{
    struct flow_fixture *fixture = *state;
    static const char text[] = FLOW_FIXTURE_HEAD "    call: http://${NOBODY}/\n";
    flow_fixture_expect(fixture, text, 9, 11, "NOBODY is not set in the environment");
    fixture->source.may_lack = true;
    const struct flow_handler *handler = flow_handler_at(flow_fixture_take(fixture, text), 0);
    assert_true(handler->way.call.is_unknown);
    assert_string_equal(handler->way.call.text, "http://${NOBODY}/");
    assert_int_equal(fixture->problems.count, 1);
    assert_true(fixture->problems.items[0].is_warning);
    flow_fixture_expect(fixture, FLOW_FIXTURE_HEAD "    exec: run\n    policy: ${NOBODY}\n", 10, 13,
                        "a handler's policy must not hang on a variable that is not set");
}

static void too_many_problems_are_counted(void **state)
{
    struct flow_fixture *fixture = *state;
    char text[4096] = FLOW_FIXTURE_HEAD "    exec: run\n";
    for (int i = 0; i < FLOW_PROBLEM_COUNT_MAX + 5; i++) {
        size_t size = strlen(text);
        (void)snprintf(text + size, sizeof text - size, "    x%d: 1\n", i);
    }
    flow_fixture_read(fixture, text);
    assert_int_equal(fixture->problems.count, FLOW_PROBLEM_COUNT_MAX);
    assert_int_equal(fixture->problems.error_count, FLOW_PROBLEM_COUNT_MAX + 5);
    assert_int_equal(fixture->problems.untold_count, 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, flow_fixture_setup, flow_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(words_mean_numbers),
        TEST(what_is_absent_has_its_preset),
        TEST(variables_and_secrets_are_filled_in),
        TEST(what_is_not_set_is_an_error_or_where_allowed_a_warning),
        TEST(too_many_problems_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
