/* inbox: against a list that remembers everything. */
#include "flow/delivery/inbox.h"

#include <stdio.h>

#include "support/memory_fixture.h"

#define WINDOW_MS 1000
#define SPACE 200

static uint64_t seed;

static uint64_t draw(uint64_t bound)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (seed >> 33) % bound;
}

static struct inbox_id number_id(uint64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return inbox_id_of(span_text("/source"), span_text(text));
}

static void it_knows_what_a_list_knows(void **state)
{
    (void)state;
    int64_t times[SPACE];
    struct inbox inbox;
    int64_t now_ms = 5000;
    int hits = 0;
    seed = 1;
    for (int i = 0; i < SPACE; i++)
        times[i] = -WINDOW_MS;
    inbox_init(&inbox, WINDOW_MS, 77);
    for (int i = 0; i < 100000; i++) {
        uint64_t number = draw(SPACE);
        now_ms += (int64_t)draw(20);
        bool is_known = now_ms - times[number] < WINDOW_MS;
        assert_int_equal(inbox_has(&inbox, number_id(number), now_ms), is_known);
        hits += is_known;
        switch (draw(3)) {
        case 0:
            assert_ok(inbox_add(&inbox, number_id(number), now_ms));
            times[number] = now_ms;
            break;
        case 1:
            inbox_remove(&inbox, number_id(number));
            times[number] = -WINDOW_MS;
            break;
        default:
            break;
        }
    }
    assert_true(hits > 1000);
    assert_true(inbox.capacity <= 256);
    inbox_deinit(&inbox);
}

static void oldest_are_forgotten_beyond_the_bound(void **state)
{
    (void)state;
    struct inbox inbox;
    inbox_init(&inbox, INT64_MAX, 3);
    for (uint64_t i = 0; i < INBOX_COUNT_MAX + 1000; i++)
        assert_ok(inbox_add(&inbox, number_id(i), 1));
    assert_int_equal(inbox.count, INBOX_COUNT_MAX);
    assert_false(inbox_has(&inbox, number_id(0), 1));
    assert_false(inbox_has(&inbox, number_id(999), 1));
    assert_true(inbox_has(&inbox, number_id(1000), 1));
    assert_true(inbox_has(&inbox, number_id(INBOX_COUNT_MAX + 999), 1));
    inbox_deinit(&inbox);
}

static void ids_go_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[3 * INBOX_ID_SIZE] = {0}; /* the last one is none */
    struct inbox inbox;
    inbox_init(&inbox, WINDOW_MS, 3);
    inbox_write_id(number_id(1), bytes);
    inbox_write_id(number_id(2), bytes + INBOX_ID_SIZE);
    assert_ok(inbox_load(&inbox, span_make(bytes, sizeof bytes - 1), 100));
    assert_ok(inbox_load(&inbox, SPAN_NULL, 100));
    assert_int_equal(inbox.count, 2);
    assert_true(inbox_has(&inbox, number_id(1), 100 + WINDOW_MS - 1));
    assert_true(inbox_has(&inbox, number_id(2), 100));
    assert_false(inbox_has(&inbox, number_id(2), 100 + WINDOW_MS));
    inbox_deinit(&inbox);
}

/* Other processes, and other versions, must come to the same id. */
static void id_is_the_same_everywhere(void **state)
{
    (void)state;
    struct inbox_id id = inbox_id_of(span_text("/orders"), span_text("42"));
    struct inbox_id other = inbox_id_of(span_text("/orders4"), span_text("2"));
    uint8_t bytes[INBOX_ID_SIZE];
    char text[2 * INBOX_ID_SIZE + 1];
    inbox_write_id(id, bytes);
    for (size_t i = 0; i < INBOX_ID_SIZE; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, "7646f914e4349e00427a99412baf74dc");
    assert_true(id.high != other.high && id.low != other.low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_knows_what_a_list_knows),
        cmocka_unit_test(oldest_are_forgotten_beyond_the_bound),
        cmocka_unit_test(ids_go_there_and_back),
        cmocka_unit_test(id_is_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
