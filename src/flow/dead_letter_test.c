/* dead_letter: what is said of one, and the event that it was. */
#include "flow/dead_letter.h"
#include "support/memory_fixture.h"

#define HEADER_COUNT 9

static struct client_message make(struct client_header *headers)
{
    static const char *const pairs[HEADER_COUNT][2] = {
        {"ce_id", "7"},
        {"__dlq.errors.topic", "things"},
        {"__dlq.errors.partition", "3"},
        {"__dlq.errors.offset", "41"},
        {"__dlq.errors.group", "f.h"},
        {"__dlq.errors.handler", "h"},
        {"__dlq.errors.class", "http-500"},
        {"__dlq.errors.delivery.count", "5"},
        {"__dlq.journeys", "2"},
    };
    for (size_t i = 0; i < HEADER_COUNT; i++)
        headers[i] = (struct client_header){pairs[i][0], span_text(pairs[i][1])};
    return (struct client_message){.topic = "things.dlq",
                                   .partition = 1,
                                   .offset = 9,
                                   .timestamp_ms = 5,
                                   .key = span_text("k"),
                                   .value = span_text("v"),
                                   .headers = headers,
                                   .header_count = HEADER_COUNT};
}

static void its_headers_say_what_happened(void **state)
{
    (void)state;
    struct client_header headers[HEADER_COUNT];
    struct client_message record = make(headers);
    struct dead_letter letter;
    assert_true(dead_letter_read(&record, &letter));
    assert_true(span_equal_text(letter.group, "f.h"));
    assert_true(span_equal_text(letter.handler, "h"));
    assert_true(span_equal_text(letter.fault, "http-500"));
    assert_true(span_is_null(letter.message));
    assert_true(span_equal_text(letter.topic, "things"));
    assert_int_equal(letter.partition, 3);
    assert_int_equal(letter.offset, 41);
    assert_int_equal(letter.calls, 5);
    assert_int_equal(letter.journeys, 2);
}

static void event_is_as_it_was_but_for_its_journeys(void **state)
{
    (void)state;
    struct client_header headers[HEADER_COUNT];
    struct client_message record = make(headers);
    struct client_message event;
    struct dead_letter letter;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    assert_true(dead_letter_read(&record, &letter));
    assert_ok(dead_letter_restore(&record, &letter, &arena, &event));
    assert_string_equal(event.topic, "things");
    assert_int_equal(event.partition, 3);
    assert_int_equal(event.offset, 41);
    assert_true(span_equal_text(event.key, "k"));
    assert_true(span_equal_text(event.value, "v"));
    assert_int_equal(event.header_count, 2);
    assert_string_equal(event.headers[0].name, "ce_id");
    assert_string_equal(event.headers[1].name, "__dlq.journeys");
    assert_true(span_equal_text(event.headers[1].value, "3"));
    arena_deinit(&arena);
}

static void record_that_does_not_say_whose_it_is_is_none(void **state)
{
    (void)state;
    static const size_t needed[] = {1, 2, 3, 4};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        struct client_header headers[HEADER_COUNT];
        struct client_message record = make(headers);
        struct dead_letter letter;
        headers[needed[i]].value = span_text("");
        assert_false(dead_letter_read(&record, &letter));
        headers[needed[i]].name = "other";
        assert_false(dead_letter_read(&record, &letter));
    }
    struct client_header headers[HEADER_COUNT];
    struct client_message record = make(headers);
    struct dead_letter letter;
    headers[2].value = span_text("2147483648");
    assert_false(dead_letter_read(&record, &letter));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_headers_say_what_happened),
        cmocka_unit_test(event_is_as_it_was_but_for_its_journeys),
        cmocka_unit_test(record_that_does_not_say_whose_it_is_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
