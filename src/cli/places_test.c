/* Tests of places: what people may write for an offset, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/places.h"

#define NOW_MS ((int64_t)1700000000000)

static struct place place_of(const char *text)
{
    struct place place = {.value = -7};
    struct diag diag = {""};
    struct err err = place_parse(text, NOW_MS, &place, &diag);
    assert_false(err_failed(err));
    return place;
}

static void expect(const char *text, enum place_kind kind, int64_t value)
{
    struct place place = place_of(text);
    assert_int_equal(place.kind, kind);
    assert_int_equal(place.value, value);
}

static void words_and_numbers_are_places(void **state)
{
    (void)state;
    expect("earliest", PLACE_EARLIEST, 0);
    expect("beginning", PLACE_EARLIEST, 0);
    expect("latest", PLACE_LATEST, 0);
    expect("end", PLACE_LATEST, 0);
    expect("42", PLACE_OFFSET, 42);
    expect("-10", PLACE_BACK, 10);
    expect("9223372036854775807", PLACE_OFFSET, INT64_MAX);
}

static void times_are_places(void **state)
{
    (void)state;
    expect("@1700000000123", PLACE_TIME, NOW_MS + 123);
    expect("@-1h", PLACE_TIME, NOW_MS - 3600000);
    expect("@-30s", PLACE_TIME, NOW_MS - 30000);
    expect("@-2w", PLACE_TIME, NOW_MS - (int64_t)14 * 86400000);
    expect("@-99999w", PLACE_TIME, 0);
    expect("@1970-01-01", PLACE_TIME, 0);
    expect("@2024-02-29T12:30", PLACE_TIME, (int64_t)1709209800000);
    expect("@2023-11-14T22:13:20Z", PLACE_TIME, NOW_MS);
}

static void range_has_two_places(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum place_kind from;
        enum place_kind to;
        bool has_to;
    } cases[] = {
        {"@-1h:end", PLACE_TIME, PLACE_LATEST, true},
        {"10:20", PLACE_OFFSET, PLACE_OFFSET, true},
        {":end", PLACE_EARLIEST, PLACE_LATEST, true},
        {"latest", PLACE_LATEST, PLACE_EARLIEST, false},
        {"@2024-02-29T12:30:15:end", PLACE_TIME, PLACE_LATEST, true},
        {"@2024-02-29T12:30:@2024-03-01", PLACE_TIME, PLACE_TIME, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct range range;
        struct diag diag = {""};
        assert_false(err_failed(range_parse(cases[i].text, NOW_MS, &range, &diag)));
        assert_int_equal(range.from.kind, cases[i].from);
        assert_int_equal(range.has_to, cases[i].has_to);
        if (range.has_to)
            assert_int_equal(range.to.kind, cases[i].to);
    }
}

static void nonsense_is_refused_and_leaves_the_answer_alone(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "-",
                                        "@",
                                        "@-",
                                        "@-1",
                                        "@-1y",
                                        "early",
                                        "earliestx",
                                        "1x",
                                        "1:2:3",
                                        "1:",
                                        "@2024-13-01",
                                        "@2023-02-29",
                                        "@2024-04-31",
                                        "@2024-01-01T25:00",
                                        "@2024-01-01Tx",
                                        "9223372036854775808",
                                        "@-9223372036854775807w"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct range range = {.has_to = true, .from = {.value = 5}};
        struct diag diag = {""};
        struct err err = range_parse(wrong[i], NOW_MS, &range, &diag);
        assert_true(err_is(err, ERR_INVALID));
        assert_true(strstr(diag.text, "is no offset") != NULL);
        assert_int_equal(range.from.value, 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_numbers_are_places),
        cmocka_unit_test(times_are_places),
        cmocka_unit_test(range_has_two_places),
        cmocka_unit_test(nonsense_is_refused_and_leaves_the_answer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
