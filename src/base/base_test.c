/* base: errors, arenas, buffers, maps, hashes, checksums, ids and suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/suggest.h"
#include "base/uuid.h"

static void diag_wrap_puts_context_in_front(void **state)
{
    (void)state;
    struct diag diag = {.text = ""};
    struct err err = diag_fail(&diag, ERR_NOT_FOUND, "no topic %s", "t");
    err = diag_wrap(&diag, err, "deleting");
    assert_string_equal(diag.text, "deleting: no topic t");
    assert_true(err_is(err, ERR_NOT_FOUND));
}

static void diag_wrap_without_sentence_uses_the_code(void **state)
{
    (void)state;
    struct diag diag = {.text = ""};
    struct err err = diag_wrap(&diag, err_make(ERR_BUSY), "the port");
    assert_string_equal(diag.text, "the port: in use");
    assert_true(err_is(err, ERR_BUSY));
}

static void diag_wrap_of_success_changes_nothing(void **state)
{
    (void)state;
    struct diag diag = {.text = "as it was"};
    assert_false(err_failed(diag_wrap(&diag, ERR_NONE, "context")));
    assert_string_equal(diag.text, "as it was");
}

static void diag_cuts_long_sentences_with_dots(void **state)
{
    (void)state;
    char longer[2 * DIAG_TEXT_MAX];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct diag diag;
    assert_true(err_is(diag_fail(&diag, ERR_INVALID, "%s", longer), ERR_INVALID));
    assert_int_equal(strlen(diag.text), DIAG_TEXT_MAX - 1);
    assert_string_equal(diag.text + DIAG_TEXT_MAX - 4, "...");
}

static void errno_keeps_its_number_and_words(void **state)
{
    (void)state;
    struct err err = err_from_errno(28); /* ENOSPC */
    assert_true(err_is(err, ERR_NO_SPACE));
    assert_string_equal(err_text(err), "No space left on device");
}

static void arena_refuses_beyond_its_bound(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 100);
    assert_non_null(arena_alloc(&arena, 64));
    assert_null(arena_alloc(&arena, 64));
    assert_non_null(arena_alloc(&arena, 16));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 64));
    assert_null(arena_alloc_array(&arena, SIZE_MAX, 2));
    arena_deinit(&arena);
}

static void arena_gives_zeroed_memory_again_after_reset(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    memset(arena_alloc(&arena, 1000), 0xff, 1000);
    arena_reset(&arena);
    const uint8_t *again = arena_alloc(&arena, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(again[i], 0);
    arena_deinit(&arena);
}

static void buf_append_at_the_bound_changes_nothing(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_false(err_failed(buf_append(&buf, "12345678", 8)));
    assert_true(err_is(buf_append(&buf, "abc", 3), ERR_LIMIT));
    assert_int_equal(buf.size, 8);
    assert_false(err_failed(buf_append(&buf, "ab", 2)));
    buf_consume(&buf, 8);
    assert_true(span_equal_text(buf_span(&buf), "ab"));
    buf_deinit(&buf);
}

static void checked_arithmetic_refuses_overflow(void **state)
{
    (void)state;
    int32_t out = 7;
    assert_false(checked_add_i32(INT32_MAX, 1, &out));
    assert_int_equal(out, 7);
    assert_true(checked_mul_i32(-3, 4, &out));
    assert_int_equal(out, -12);
    assert_false(checked_cast_i32((int64_t)INT32_MAX + 1, &out));
}

static void list_each_may_remove_the_visited(void **state)
{
    (void)state;
    struct list head;
    struct list links[3];
    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_append(&head, &links[i]);
    int visited = 0;
    LIST_EACH (&head, link) {
        list_remove(link);
        visited++;
    }
    assert_int_equal(visited, 3);
    assert_true(list_is_empty(&head));
}

#define MAP_ENTRY_COUNT 5000

static void map_finds_what_remains_after_removals(void **state)
{
    (void)state;
    static char keys[MAP_ENTRY_COUNT][8];
    struct map map;
    map_init(&map, 42);
    for (int i = 0; i < MAP_ENTRY_COUNT; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        assert_false(err_failed(map_put(&map, span_text(keys[i]), keys[i])));
    }
    assert_true(err_is(map_put(&map, span_text("k17"), keys[0]), ERR_EXISTS));
    for (int i = 0; i < MAP_ENTRY_COUNT; i += 3)
        assert_ptr_equal(map_remove(&map, span_text(keys[i])), keys[i]);
    for (int i = 0; i < MAP_ENTRY_COUNT; i++)
        assert_ptr_equal(map_get(&map, span_text(keys[i])), i % 3 == 0 ? NULL : keys[i]);
    size_t position = 0;
    size_t count = 0;
    while (map_next(&map, &position) != NULL)
        count++;
    assert_int_equal(count, map.count);
    map_deinit(&map);
}

/* Values from Java: "console-consumer-12345".hashCode() and so on. */
static void java_string_hash_is_javas(void **state)
{
    (void)state;
    assert_int_equal(hash_java_string(span_text("")), 0);
    assert_int_equal(hash_java_string(span_text("hello")), 99162322);
    assert_int_equal(hash_java_string(span_text("polygenelubricants")), INT32_MIN);
    assert_int_equal(hash_java_string(span_text("\xc3\xa4")), 228);             /* one unit */
    assert_int_equal(hash_java_string(span_text("\xf0\x9f\x98\x80")), 1772899); /* two units */
    assert_int_equal(hash_partition(span_text("polygenelubricants"), 50), 0);
    assert_int_equal(hash_partition(span_text("hello"), 50), 22);
}

static void crc32c_is_castagnolis(void **state)
{
    (void)state;
    assert_int_equal(crc32c(span_text("123456789")), 0xe3069283U);
    assert_int_equal(crc32c_extend(crc32c(span_text("1234")), span_text("56789")), 0xe3069283U);
    assert_int_equal(crc32c(SPAN_NULL), 0);
}

static void uuid_text_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t random[16];
    for (uint8_t i = 0; i < 16; i++)
        random[i] = (uint8_t)(i * 37 + 5);
    struct uuid id = uuid_from_random(random);
    struct uuid parsed;
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    assert_int_equal(strlen(text), 22);
    assert_false(err_failed(uuid_parse(span_text(text), &parsed)));
    assert_true(uuid_equal(id, parsed));
    assert_true(err_failed(uuid_parse(span_text("too short"), &parsed)));
    assert_true(err_failed(uuid_parse(span_text("!!!!!!!!!!!!!!!!!!!!!!"), &parsed)));
}

static void suggestion_is_the_nearest_and_only_if_near(void **state)
{
    (void)state;
    struct suggestion guess = {0};
    suggest_offer(&guess, span_text("log.retention.sm"), "log.retention.bytes");
    suggest_offer(&guess, span_text("log.retention.sm"), "log.retention.ms");
    assert_string_equal(guess.nearest, "log.retention.ms");
    struct suggestion none = {0};
    suggest_offer(&none, span_text("xyz"), "log.retention.ms");
    assert_null(none.nearest);
}

static void histogram_counts_at_the_bound_below_it(void **state)
{
    (void)state;
    struct metric_histogram histogram = {0};
    metric_observe(&histogram, metric_bucket_bound(0));
    metric_observe(&histogram, metric_bucket_bound(0) + 1);
    metric_observe(&histogram, UINT64_MAX);
    assert_int_equal(metric_read(&histogram.buckets[0]), 1);
    assert_int_equal(metric_read(&histogram.buckets[1]), 1);
    assert_int_equal(metric_read(&histogram.buckets[METRIC_BUCKET_COUNT - 1]), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diag_wrap_puts_context_in_front),
        cmocka_unit_test(diag_wrap_without_sentence_uses_the_code),
        cmocka_unit_test(diag_wrap_of_success_changes_nothing),
        cmocka_unit_test(diag_cuts_long_sentences_with_dots),
        cmocka_unit_test(errno_keeps_its_number_and_words),
        cmocka_unit_test(arena_refuses_beyond_its_bound),
        cmocka_unit_test(arena_gives_zeroed_memory_again_after_reset),
        cmocka_unit_test(buf_append_at_the_bound_changes_nothing),
        cmocka_unit_test(checked_arithmetic_refuses_overflow),
        cmocka_unit_test(list_each_may_remove_the_visited),
        cmocka_unit_test(map_finds_what_remains_after_removals),
        cmocka_unit_test(java_string_hash_is_javas),
        cmocka_unit_test(crc32c_is_castagnolis),
        cmocka_unit_test(uuid_text_goes_there_and_back),
        cmocka_unit_test(suggestion_is_the_nearest_and_only_if_near),
        cmocka_unit_test(histogram_counts_at_the_bound_below_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
