/* Tests of profile: sections, what stands before them, and what is wrong with a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/profile.h"

static const char file[] = "# settings\n"
                           "client.id = me\n"
                           "; more\n"
                           "[ prod ]\n"
                           "bootstrap.servers=a:1,b:2\r\n"
                           "sasl.password = a = b \n"
                           "\n"
                           "[test]\n"
                           "bootstrap.servers = c:3";

static int setup(void **state)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return -1;
    arena_init(&session->arena, 1 << 20);
    *state = session;
    return 0;
}

static int teardown(void **state)
{
    struct session *session = *state;
    arena_deinit(&session->arena);
    free(session);
    return 0;
}

static void expect(const struct session *session, size_t at, const char *name, const char *value)
{
    assert_true(at < session->property_count);
    assert_string_equal(session->properties[at].name, name);
    assert_string_equal(session->properties[at].value, value);
}

static void head_and_named_profile_are_read(void **state)
{
    struct session *session = *state;
    assert_false(err_failed(profile_read(session, span_text(file), "prod")));
    assert_int_equal(session->property_count, 3);
    expect(session, 0, "client.id", "me");
    expect(session, 1, "bootstrap.servers", "a:1,b:2");
    expect(session, 2, "sasl.password", "a = b");
}

static void last_profile_needs_no_line_end(void **state)
{
    struct session *session = *state;
    assert_false(err_failed(profile_read(session, span_text(file), "test")));
    assert_int_equal(session->property_count, 2);
    expect(session, 1, "bootstrap.servers", "c:3");
}

static void without_a_name_the_head_alone_is_read(void **state)
{
    struct session *session = *state;
    assert_false(err_failed(profile_read(session, span_text(file), NULL)));
    assert_int_equal(session->property_count, 1);
}

static void missing_profile_names_the_nearest(void **state)
{
    struct session *session = *state;
    struct err err = profile_read(session, span_text(file), "prd");
    assert_true(err_is(err, ERR_NOT_FOUND));
    assert_string_equal(session->diag.text, "there is no profile prd; did you mean prod?");
}

static void wrong_lines_are_named(void **state)
{
    struct session *session = *state;
    assert_true(err_is(profile_read(session, span_text("\n\nwhat\n"), NULL), ERR_INVALID));
    assert_true(strstr(session->diag.text, "line 3:") != NULL);
    diag_clear(&session->diag);
    assert_true(err_is(profile_read(session, span_text("[open\n"), NULL), ERR_INVALID));
    assert_true(strstr(session->diag.text, "line 1:") != NULL);
    diag_clear(&session->diag);
    struct span cut = span_make("a = b\0c", 7); /* would be taken for b */
    assert_true(err_is(profile_read(session, cut, NULL), ERR_INVALID));
    assert_true(strstr(session->diag.text, "line 1: a zero byte") != NULL);
    assert_int_equal(session->property_count, 0);
}

static void too_many_properties_are_refused(void **state)
{
    struct session *session = *state;
    struct err err = ERR_NONE;
    for (int i = 0; i <= SESSION_PROPERTY_COUNT_MAX && !err_failed(err); i++)
        err = profile_read(session, span_text("a = b\n"), NULL);
    assert_true(err_is(err, ERR_LIMIT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(head_and_named_profile_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(last_profile_needs_no_line_end, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_name_the_head_alone_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_profile_names_the_nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_lines_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_properties_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
