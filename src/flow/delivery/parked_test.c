/* parked: what becomes a record of the parked topic comes back as it was. */
#include "flow/delivery/parked.h"
#include "support/memory_fixture.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct parked there_and_back(const struct parked *parked)
{
    struct client_message record;
    struct parked out;
    bool is_parked;
    bool is_gone;
    assert_ok(parked_write(parked, "f.h.parked", &arena, &record));
    assert_string_equal(record.topic, "f.h.parked");
    assert_int_equal(record.partition, parked->event.partition);
    assert_false(span_is_null(record.value));
    assert_ok(parked_read(&record, &arena, &out, &is_parked, &is_gone));
    assert_true(is_parked);
    assert_false(is_gone);
    assert_string_equal(out.event.topic, parked->event.topic);
    assert_int_equal(out.event.partition, parked->event.partition);
    assert_int_equal(out.event.offset, parked->event.offset);
    assert_int_equal(out.event.timestamp_ms, parked->event.timestamp_ms);
    assert_true(span_equal(out.event.key, parked->event.key));
    assert_true(span_equal(out.event.value, parked->event.value));
    assert_int_equal(out.attempts, parked->attempts);
    assert_int_equal(out.due_ms, parked->due_ms);
    assert_int_equal(out.is_unjudged, parked->is_unjudged);
    assert_true(span_equal(out.writer, parked->writer));
    return out;
}

static void event_comes_back_as_it_was(void **state)
{
    (void)state;
    const struct client_header headers[] = {{"a", span_text("1")}, {"b", SPAN_NULL}};
    struct parked parked = {.event = {.topic = "a/b",
                                      .partition = 7,
                                      .offset = 1234567890123,
                                      .timestamp_ms = 99,
                                      .key = span_text("k"),
                                      .value = span_text("v"),
                                      .headers = headers,
                                      .header_count = 2},
                            .attempts = 3,
                            .due_ms = 1700000000000,
                            .is_unjudged = true,
                            .writer = span_text("me")};
    struct parked out = there_and_back(&parked);
    assert_int_equal(out.event.header_count, 2);
    assert_string_equal(out.event.headers[1].name, "b");
    assert_true(span_is_null(out.event.headers[1].value));
    parked.event.key = SPAN_NULL;
    parked.event.value = SPAN_NULL;
    parked.event.timestamp_ms = -1;
    parked.event.header_count = 0;
    parked.writer = SPAN_NULL;
    parked.is_unjudged = false;
    (void)there_and_back(&parked);
    parked.event.value = SPAN_EMPTY;
    parked.event.key = SPAN_EMPTY;
    (void)there_and_back(&parked);
}

static void headers_of_an_event_do_not_pass_for_the_parked_topics(void **state)
{
    (void)state;
    const struct client_header headers[] = {{"__parked.key", span_text("forged")},
                                            {"mine", span_text("1")},
                                            {"__parked.null", span_text("1")}};
    const struct parked parked = {.event = {.topic = "t",
                                            .value = span_text("v"),
                                            .timestamp_ms = -1,
                                            .headers = headers,
                                            .header_count = 3}};
    struct parked out = there_and_back(&parked);
    assert_int_equal(out.event.header_count, 1);
    assert_string_equal(out.event.headers[0].name, "mine");
}

static void record_that_is_gone_says_which(void **state)
{
    (void)state;
    const struct client_message event = {.topic = "t", .partition = 2, .offset = 5};
    struct client_message record;
    struct parked out;
    bool is_parked;
    bool is_gone;
    assert_ok(parked_write_gone(&event, "p", &arena, &record));
    assert_true(span_is_null(record.value));
    assert_ok(parked_read(&record, &arena, &out, &is_parked, &is_gone));
    assert_true(is_parked && is_gone);
    assert_string_equal(out.event.topic, "t");
    assert_int_equal(out.event.partition, 2);
    assert_int_equal(out.event.offset, 5);
}

static void keys_that_name_no_place_are_no_events(void **state)
{
    (void)state;
    static const char *const keys[] = {"",
                                       "t",
                                       "t/1",
                                       "/1/2",
                                       "t//2",
                                       "t/1/",
                                       "t/1/x",
                                       "t/x/1",
                                       "!t/1/2",
                                       "t/4294967296/1",
                                       "t/1/99999999999999999999"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct client_message record = {.key = span_text(keys[i]), .value = span_text("v")};
        struct parked out;
        bool is_parked;
        bool is_gone;
        assert_ok(parked_read(&record, &arena, &out, &is_parked, &is_gone));
        assert_false(is_parked);
    }
    const struct client_message record = {.key = span_make("a\0b/1/2", 7), .value = span_text("v")};
    struct parked out;
    bool is_parked;
    bool is_gone;
    assert_ok(parked_read(&record, &arena, &out, &is_parked, &is_gone));
    assert_false(is_parked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(event_comes_back_as_it_was),
        TEST(headers_of_an_event_do_not_pass_for_the_parked_topics),
        TEST(record_that_is_gone_says_which),
        TEST(keys_that_name_no_place_are_no_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
