/* flow_faults: memory is refused somewhere while a flow file is read, drawn, or described. */
#include "support/fail_alloc.h"
#include "support/flow_fixture.h"

#include "base/buf.h"
#include "flow/graph.h"
#include "flow/schema.h"

#define OUT_SIZE_MAX (1 << 20)

static const char file[] = FLOW_FIXTURE_HEAD "    call: http://${HOST}/\n"
                                             "    bearer: ${file:/secret}\n"
                                             "    retry: {attempts: 3}\n";

static struct err work(struct flow_fixture *fixture, struct buf *out)
{
    fixture->problems = (struct flow_problems){0};
    arena_deinit(&fixture->arena);
    arena_init(&fixture->arena, OUT_SIZE_MAX);
    buf_deinit(out);
    buf_init(out, OUT_SIZE_MAX);
    TRY(flow_read(span_text(file), &fixture->source, &fixture->arena, &fixture->problems,
                  &fixture->flow));
    assert_int_equal(fixture->problems.error_count, 0);
    TRY(flow_write_mermaid(fixture->flow, &fixture->arena, out));
    TRY(flow_write_picture(fixture->flow, &fixture->arena, out));
    return flow_write_schema(out);
}

/* Refused whole, and done the next time. What libfyaml allocates is its own. */
static bool attempt(void *context, uint32_t count)
{
    struct buf out;
    buf_init(&out, OUT_SIZE_MAX);
    fail_alloc_arm(count);
    struct err err = work(context, &out);
    bool has_failed = fail_alloc_disarm();
    assert_true(err_failed(err) == has_failed);
    assert_true(!has_failed || err_is(err, ERR_NO_MEMORY));
    assert_false(err_failed(work(context, &out)));
    buf_deinit(&out);
    return has_failed;
}

static void what_was_refused_is_done_the_next_time(void **state)
{
    struct flow_fixture *fixture = *state;
    struct buf out;
    buf_init(&out, OUT_SIZE_MAX);
    assert_false(err_failed(work(fixture, &out)));
    buf_deinit(&out);
    assert_true(fail_each(attempt, fixture) >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_refused_is_done_the_next_time, flow_fixture_setup,
                                        flow_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
