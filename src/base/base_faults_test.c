/* base_faults: arenas, buffers, maps and expressions when an allocation fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/regex.h"
#include "support/fail_alloc.h"

#define STEP_COUNT 400

/* Either the bytes were appended, or all is as it was. */
static bool fill_buf(void *context, uint32_t count)
{
    (void)context;
    struct buf buf;
    size_t size = 0;
    buf_init(&buf, 1 << 20);
    fail_alloc_arm(count);
    for (int i = 0; i < STEP_COUNT; i++) {
        struct err err = i % 2 == 0 ? buf_append(&buf, "0123456789", 10)
                                    : buf_print(&buf, "%s-%s", "01234", "6789");
        assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
        size += err_failed(err) ? 0 : 10;
        assert_int_equal(buf.size, size);
    }
    bool has_failed = fail_alloc_disarm();
    for (size_t at = 0; at < size; at += 10)
        assert_int_equal(buf.data[at + 9], '9');
    assert_int_equal(size, (STEP_COUNT - (has_failed ? 1 : 0)) * 10);
    buf_deinit(&buf);
    return has_failed;
}

static void buf_without_memory_is_as_before_and_grows_later(void **state)
{
    (void)state;
    assert_true(fail_each(fill_buf, NULL) >= 4);
}

static bool fill_arena(void *context, uint32_t count)
{
    (void)context;
    struct arena arena;
    uint8_t *pieces[STEP_COUNT];
    int refused = 0;
    arena_init(&arena, 1 << 20);
    fail_alloc_arm(count);
    for (int i = 0; i < STEP_COUNT; i++) {
        pieces[i] = arena_alloc(&arena, 100);
        refused += pieces[i] == NULL;
        if (pieces[i] != NULL)
            memset(pieces[i], i % 251, 100);
    }
    bool has_failed = fail_alloc_disarm();
    assert_int_equal(refused, has_failed ? 1 : 0);
    for (int i = 0; i < STEP_COUNT; i++)
        assert_true(pieces[i] == NULL || (pieces[i][0] == i % 251 && pieces[i][99] == i % 251));
    arena_reset(&arena);
    assert_non_null(arena_print(&arena, "%d", 1));
    arena_deinit(&arena);
    return has_failed;
}

static void arena_without_memory_keeps_what_it_gave(void **state)
{
    (void)state;
    assert_true(fail_each(fill_arena, NULL) >= 4);
}

/* All that was put is found, and nothing else. */
static bool fill_map(void *context, uint32_t count)
{
    (void)context;
    struct map map;
    bool is_put[STEP_COUNT];
    int keys[STEP_COUNT];
    size_t put_count = 0;
    map_init(&map, 5);
    fail_alloc_arm(count);
    for (int i = 0; i < STEP_COUNT; i++) {
        keys[i] = i;
        struct err err = map_put(&map, span_make(&keys[i], sizeof keys[i]), &keys[i]);
        is_put[i] = !err_failed(err);
        assert_true(is_put[i] || err_is(err, ERR_NO_MEMORY));
        put_count += is_put[i];
    }
    bool has_failed = fail_alloc_disarm();
    assert_int_equal(map.count, put_count);
    assert_int_equal(put_count, STEP_COUNT - (has_failed ? 1 : 0));
    for (int i = 0; i < STEP_COUNT; i++)
        assert_ptr_equal(map_get(&map, span_make(&keys[i], sizeof keys[i])),
                         is_put[i] ? &keys[i] : NULL);
    map_deinit(&map);
    return has_failed;
}

static void map_without_memory_refuses_one_entry_and_finds_the_others(void **state)
{
    (void)state;
    assert_true(fail_each(fill_map, NULL) >= 4);
}

static bool compile(void *context, uint32_t count)
{
    (void)context;
    struct regex *regex = NULL;
    fail_alloc_arm(count);
    struct err err = regex_compile(span_text("a.*"), &regex);
    bool has_failed = fail_alloc_disarm();
    assert_true(has_failed == err_is(err, ERR_NO_MEMORY));
    assert_true(has_failed || regex_matches(regex, span_text("abc")));
    regex_free(regex);
    return has_failed;
}

static void regex_without_memory_is_an_error(void **state)
{
    (void)state;
    assert_true(fail_each(compile, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_without_memory_is_as_before_and_grows_later),
        cmocka_unit_test(arena_without_memory_keeps_what_it_gave),
        cmocka_unit_test(map_without_memory_refuses_one_entry_and_finds_the_others),
        cmocka_unit_test(regex_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
