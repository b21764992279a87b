/* Tests of message_format: tokens, escapes, nulls, and JSON of any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/message_format.h"

#define OUT_SIZE_MAX 4096

static const struct client_header headers[] = {{"a", {(const uint8_t *)"1", 1}},
                                               {"b", {(const uint8_t *)"", 0}}};

static struct client_message message_of(struct span key, struct span value)
{
    return (struct client_message){.topic = "t",
                                   .partition = 3,
                                   .offset = 42,
                                   .timestamp_ms = 1700000000000,
                                   .key = key,
                                   .value = value,
                                   .headers = headers,
                                   .header_count = 2};
}

static void expect(const char *pattern, const struct client_message *message, struct span wanted)
{
    struct buf out;
    struct diag diag = {""};
    buf_init(&out, OUT_SIZE_MAX);
    assert_false(err_failed(message_format_check(pattern, &diag)));
    assert_false(err_failed(message_format_write(pattern, message, &out)));
    assert_true(out.size == wanted.size && memcmp(out.data, wanted.data, out.size) == 0);
    buf_deinit(&out);
}

static void tokens_print_their_parts(void **state)
{
    (void)state;
    struct client_message message = message_of(span_text("key"), span_text("value"));
    expect("%t %p %o %T %k %K %v %s %S %h %%\\n", &message,
           span_text("t 3 42 1700000000000 key 3 value value 5 a=1,b= %\n"));
    expect("\\x41\\t\\\\\\0", &message, span_make("A\t\\\0", 4));
}

static void nulls_are_empty_and_of_size_minus_one(void **state)
{
    (void)state;
    struct client_message message = message_of(SPAN_NULL, SPAN_NULL);
    expect("[%k|%K|%v|%S]", &message, span_text("[|-1||-1]"));
    message = message_of(SPAN_EMPTY, SPAN_EMPTY);
    expect("[%k|%K|%v|%S]x", &message, span_text("[|0||0]x"));
}

static void wrong_patterns_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"%", "%q", "a\\", "\\q", "\\x4", "\\xzz"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct diag diag = {""};
        assert_true(err_is(message_format_check(wrong[i], &diag), ERR_INVALID));
        assert_int_not_equal(diag.text[0], '\0');
    }
}

static void expect_json(struct span key, const char *wanted)
{
    struct client_message message = message_of(key, SPAN_NULL);
    message.header_count = 0;
    struct buf out;
    buf_init(&out, OUT_SIZE_MAX);
    assert_false(err_failed(message_format_json(&message, &out)));
    assert_false(err_failed(buf_append(&out, "", 1)));
    const char *found = strstr((const char *)out.data, "\"key\":");
    assert_non_null(found);
    assert_int_equal(strncmp(found + 6, wanted, strlen(wanted)), 0);
    assert_int_equal(found[6 + strlen(wanted)], ',');
    buf_deinit(&out);
}

static void json_keeps_every_byte(void **state)
{
    (void)state;
    expect_json(SPAN_NULL, "null");
    expect_json(SPAN_EMPTY, "\"\"");
    expect_json(span_text("a\"\\\n\x01"), "\"a\\\"\\\\\\n\\u0001\"");
    expect_json(span_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    expect_json(span_text("\xff"), "{\"base64\":\"/w==\"}");
    expect_json(span_text("\xc0\x80"), "{\"base64\":\"wIA=\"}");
    expect_json(span_text("\xed\xa0\x80"), "{\"base64\":\"7aCA\"}");
    expect_json(span_text("\xe2\x82"), "{\"base64\":\"4oI=\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_print_their_parts),
        cmocka_unit_test(nulls_are_empty_and_of_size_minus_one),
        cmocka_unit_test(wrong_patterns_are_refused),
        cmocka_unit_test(json_keeps_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
