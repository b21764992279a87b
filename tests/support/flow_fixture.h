/* flow_fixture: flow files as text, with an environment of their own. */
#ifndef HEADRACE_TESTS_SUPPORT_FLOW_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_FLOW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow.h"

/* An event and one way to handle it; tests put more lines of the handler behind it. */
#define FLOW_FIXTURE_HEAD                                                                          \
    "flow: f\n"                                                                                    \
    "events:\n"                                                                                    \
    "  made: {topic: things, key: id}\n"                                                           \
    "  done: {topic: results}\n"                                                                   \
    "handlers:\n"                                                                                  \
    "  h:\n"                                                                                       \
    "    handles: made\n"                                                                          \
    "    emits: [done]\n"

struct flow_fixture {
    struct arena arena;
    struct flow_problems problems;
    struct flow_source source;
    struct flow *flow;
};

static inline const char *flow_fixture_variable(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "HOST") == 0 ? "example.org" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static inline struct err flow_fixture_file(void *context, const char *path, struct arena *arena,
                                           struct span *text)
{
    (void)context;
    if (strcmp(path, "/secret") != 0)
        return err_make(ERR_NOT_FOUND);
    return arena_copy(arena, span_text("s3cret"), text);
}

static inline int flow_fixture_setup(void **state)
{
    static struct flow_fixture fixture;
    fixture = (struct flow_fixture){
        .source = {.variable = flow_fixture_variable, .file = flow_fixture_file}};
    arena_init(&fixture.arena, (size_t)64 << 20);
    *state = &fixture;
    return 0;
}

static inline int flow_fixture_teardown(void **state)
{
    arena_deinit(&((struct flow_fixture *)*state)->arena);
    return 0;
}

static inline void flow_fixture_read(struct flow_fixture *fixture, const char *text)
{
    fixture->problems = (struct flow_problems){0};
    struct err err = flow_read(span_text(text), &fixture->source, &fixture->arena,
                               &fixture->problems, &fixture->flow);
    assert_false(err_failed(err));
}

/* A file that is right; warnings may be. */
static inline struct flow *flow_fixture_take(struct flow_fixture *fixture, const char *text)
{
    flow_fixture_read(fixture, text);
    if (fixture->problems.error_count != 0)
        fail_msg("%u:%u: %s", fixture->problems.items[0].place.line,
                 fixture->problems.items[0].place.column, fixture->problems.items[0].text);
    assert_non_null(fixture->flow);
    return fixture->flow;
}

/* The first problem of a file that has errors. */
static inline const struct flow_problem *flow_fixture_refuse(struct flow_fixture *fixture,
                                                             const char *text)
{
    flow_fixture_read(fixture, text);
    assert_true(fixture->problems.error_count > 0);
    return &fixture->problems.items[0];
}

static inline void flow_fixture_expect(struct flow_fixture *fixture, const char *text,
                                       uint32_t line, uint32_t column, const char *sentence)
{
    const struct flow_problem *problem = flow_fixture_refuse(fixture, text);
    assert_string_equal(problem->text, sentence);
    assert_int_equal(problem->place.line, line);
    assert_int_equal(problem->place.column, column);
}

#endif
