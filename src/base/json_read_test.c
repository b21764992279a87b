/* json_read: what comes out of right texts, and that wrong ones are refused whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/json_read.h"

#define ARENA_SIZE_MAX ((size_t)1 << 20)

struct fixture {
    struct json_reader *reader;
    struct arena arena;
};

static int setup(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena, ARENA_SIZE_MAX);
    assert_false(err_failed(json_reader_create(&fixture.reader)));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    json_reader_destroy(fixture->reader);
    arena_deinit(&fixture->arena);
    return 0;
}

static void members_come_out_as_they_stand(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        enum json_kind kind;
        const char *text;
    } expected[] = {
        {"n", JSON_NUMBER, "123456789012345678901234567890"},
        {"", JSON_NULL, "null"},
        {"t", JSON_TEXT, "a\"\xc3\xa9\n"},
        {"o", JSON_OBJECT, "{ \"x\" : [1,  2] }"},
        {"a", JSON_ARRAY, "[ ]"},
        {"b", JSON_BOOL, "true"},
        {"\xc3\xa9", JSON_NUMBER, "-0.5e+7"},
        {"t", JSON_TEXT, ""},
    };
    const char *text = " {\"n\": 123456789012345678901234567890 , \"\":null,"
                       "\"t\":\"a\\\"\\u00e9\\n\", \"o\":{ \"x\" : [1,  2] }, \"a\":[ ],\n"
                       "\"b\" : true , \"\\u00e9\":-0.5e+7, \"t\":\"\"}\n";
    struct json_value value;
    assert_false(err_failed(json_read(fixture->reader, span_text(text), &fixture->arena, &value)));
    assert_int_equal(value.kind, JSON_OBJECT);
    assert_int_equal(value.member_count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_true(span_equal_text(value.members[i].name, expected[i].name));
        assert_int_equal(value.members[i].kind, expected[i].kind);
        assert_true(span_equal_text(value.members[i].text, expected[i].text));
    }
    assert_ptr_equal(json_find(&value, "t"), &value.members[7]);
    assert_null(json_find(&value, "x"));
}

static void elements_of_an_array_have_no_names(void **state)
{
    struct fixture *fixture = *state;
    struct json_value value;
    assert_false(err_failed(
        json_read(fixture->reader, span_text("[{\"a\":1}, 2 ,[3]]"), &fixture->arena, &value)));
    assert_int_equal(value.kind, JSON_ARRAY);
    assert_int_equal(value.member_count, 3);
    assert_true(span_is_null(value.members[1].name));
    assert_true(span_equal_text(value.members[0].text, "{\"a\":1}"));
    assert_true(span_equal_text(value.members[1].text, "2"));
    assert_false(err_failed(json_read(fixture->reader, span_text("[]"), &fixture->arena, &value)));
    assert_int_equal(value.member_count, 0);
}

static void nul_is_no_space(void **state)
{
    struct fixture *fixture = *state;
    static const char *const wrong[] = {"[1\0]", "[1 \0]", "{\"a\":5e1\0}", "[1e\0]", "[1\0,2]"};
    static const size_t sizes[] = {4, 5, 10, 5, 6};
    struct json_value value;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct span text = span_make(wrong[i], sizes[i]);
        assert_true(err_is(json_read(fixture->reader, text, &fixture->arena, &value), ERR_INVALID));
    }
}

static void what_is_no_json_is_refused_wherever_it_is_wrong(void **state)
{
    struct fixture *fixture = *state;
    static const char *const wrong[] = {
        "",
        " ",
        "1",
        "\"text\"",
        "null",
        "{",
        "[",
        "}",
        "{]",
        "[1,]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[1]x",
        "[1][2]",
        "{} {}",
        "[tru]",
        "[nul]",
        "[falsey]",
        "[01]",
        "[1.]",
        "[.5]",
        "[1e]",
        "[+1]",
        "[-]",
        "[0x1]",
        "[1-2]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"a\nb\"]",
        "[\"\xff\"]",
        "[{\"deep\":[{\"a\":tru}]}]",
        "[NaN]",
        "[Infinity]",
        "[\"a]",
        "[123456789012345678901234567890x]",
        "[--1]",
        "[,]",
    };
    struct json_value value;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct err err = json_read(fixture->reader, span_text(wrong[i]), &fixture->arena, &value);
        if (!err_is(err, ERR_INVALID))
            fail_msg("taken: %s", wrong[i]);
    }
}

static void deep_documents_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static char text[100001];
    struct json_value value;
    for (size_t depth = 1; depth <= 50000; depth *= 10) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct err err =
            json_read(fixture->reader, span_make(text, 2 * depth), &fixture->arena, &value);
        assert_true(err_failed(err) == (depth > 100));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_come_out_as_they_stand, setup, teardown),
        cmocka_unit_test_setup_teardown(elements_of_an_array_have_no_names, setup, teardown),
        cmocka_unit_test_setup_teardown(nul_is_no_space, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_json_is_refused_wherever_it_is_wrong, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(deep_documents_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
