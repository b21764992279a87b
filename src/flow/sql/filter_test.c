/* filter: what expressions see of an event, what they may not do, and what is said of wrong ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/sql/filter.h"

#define DATA                                                                                       \
    "{\"total\": 12.5, \"count\": 3, \"big\": 12345678901234567890, \"name\": \"A'b\","            \
    " \"paid\": true, \"none\": null, \"customer\": {\"city\": \"Graz\", \"id\": 7},"              \
    " \"tags\": [1, 2], \"with-dash\": 1, \"order\": \"o\", \"offset\": \"mine\"}"

static const struct client_header headers[] = {{"h", {(const uint8_t *)"v", 1}}};

static const struct client_message message = {.topic = "orders",
                                              .partition = 2,
                                              .offset = 40,
                                              .timestamp_ms = 1700000000000,
                                              .key = {(const uint8_t *)"k1", 2},
                                              .headers = headers,
                                              .header_count = 1};

static const struct cloudevent_attribute attributes[] = {
    {{(const uint8_t *)"subject", 7}, {(const uint8_t *)"s", 1}}};

/* 1 or 0, or -1 where it cannot be evaluated. */
static int match(const char *expression, const char *data)
{
    struct cloudevent event = {.id = span_text("i"),
                               .source = span_text("/s"),
                               .type = span_text("t"),
                               .data = span_text(data),
                               .attributes = attributes,
                               .attribute_count = 1};
    struct filter *filter;
    struct diag diag = {""};
    bool is_true;
    struct err err = filter_create(expression, &filter, &diag);
    if (err_failed(err))
        fail_msg("%s: %s", expression, diag.text);
    err = filter_match(filter, &message, &event, &is_true, &diag);
    filter_destroy(filter);
    return err_failed(err) ? -1 : is_true;
}

static void expressions_see_fields_and_the_record(void **state)
{
    (void)state;
    static const char *const trues[] = {
        "total > 12",
        "count = 3 AND typeof(count) = 'integer'",
        "typeof(total) = 'real'",
        "big > 1e19",
        "name = 'A''b'",
        "paid",
        "none IS NULL",
        "nowhere IS NULL",
        "data ->> '$.customer.city' = 'Graz'",
        "customer ->> 'id' = 7",
        "json_array_length(tags) = 2",
        "\"with-dash\" = 1",
        "\"order\" = 'o'",
        "offset = 40 AND data ->> 'offset' = 'mine'",
        "topic = 'orders' AND partition = 2 AND key = 'k1' AND timestamp > 1",
        "type = 't' AND id = 'i' AND source = '/s' AND subject = 's' AND time IS NULL",
        "headers ->> 'h' = 'v'",
        "name LIKE 'a%' AND total BETWEEN 1 AND 20",
        "(SELECT count + 1) = 4",
    };
    for (size_t i = 0; i < sizeof trues / sizeof trues[0]; i++) {
        if (match(trues[i], DATA) != 1)
            fail_msg("not true: %s", trues[i]);
    }
    assert_int_equal(match("total > 13", DATA), 0);
    assert_int_equal(match("nowhere > 1", DATA), 0);
    assert_int_equal(match("'text'", DATA), 0);
    assert_int_equal(match("TOTAL > 1", DATA), 0); /* fields are spelt as in the data */
}

static void data_that_is_no_object_has_no_fields(void **state)
{
    (void)state;
    assert_int_equal(match("total IS NULL", "[1]"), 1);
    assert_int_equal(match("total IS NULL", "plain text"), 1);
    assert_int_equal(match("data LIKE 'plain%'", "plain text"), 1);
    assert_int_equal(match("data ->> 'a' = 1", "plain text"), -1); /* SQLite: malformed JSON */
}

static void evaluation_has_an_end(void **state)
{
    (void)state;
    assert_int_equal(match("length(replace(hex(zeroblob(2000000)), '0', '11')) > 0", DATA), 1);
    assert_int_equal(match("abs(-9223372036854775807 - 1) > 0", DATA), -1); /* integer overflow */
}

static void refuse(const char *expression, const char *words)
{
    struct filter *filter;
    struct diag diag = {""};
    struct err err = filter_create(expression, &filter, &diag);
    if (!err_is(err, ERR_INVALID) || strstr(diag.text, words) == NULL)
        fail_msg("%s: %s", expression, diag.text);
}

static void wrong_expressions_are_told(void **state)
{
    (void)state;
    refuse("total >", "syntax error");
    refuse("total > 1; SELECT 2", "syntax error");
    refuse("1), (2", "more than one expression");
    refuse("nosuch(total)", "no such function: nosuch");
    refuse("customer.city = 'Graz'", "data ->> '$.field.field'");
    refuse("(SELECT 1 FROM sqlite_schema)", "not authorized");
    refuse("(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT max(x) FROM c)",
           "not authorized");
    refuse("load_extension('x')", "not authorized");
    refuse("", "syntax error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_see_fields_and_the_record),
        cmocka_unit_test(data_that_is_no_object_has_no_fields),
        cmocka_unit_test(evaluation_has_an_end),
        cmocka_unit_test(wrong_expressions_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
