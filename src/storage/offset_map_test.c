/* offset_map_test: what the map remembers, and where it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "storage/offset_map.h"

static const uint64_t seeds[2] = {1, 2};

static struct span make_key(uint32_t number, char text[16])
{
    (void)snprintf(text, 16, "%u", number);
    return span_text(text);
}

static void the_newest_offset_of_each_key_counts(void **state)
{
    (void)state;
    struct offset_map map;
    char text[16];
    assert_false(err_failed(offset_map_init(&map, 1 << 20, 0.9, seeds)));
    for (uint32_t i = 0; i < 30000; i++)
        assert_true(offset_map_put(&map, make_key(i % 10000, text), i));
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(offset_map_get(&map, make_key(i, text)), 20000 + i);
    assert_int_equal(offset_map_get(&map, make_key(10000, text)), -1);
    assert_int_equal(offset_map_get(&map, span_make("", 0)), -1);
    offset_map_deinit(&map);
}

static void a_full_map_takes_known_keys_alone(void **state)
{
    (void)state;
    struct offset_map map;
    char text[16];
    uint64_t size_max = 30000 * OFFSET_PLACE_SIZE;
    assert_false(err_failed(offset_map_init(&map, size_max, 0.9, seeds)));
    uint32_t count = 0;
    uint64_t capacity_before = map.capacity;
    while (offset_map_put(&map, make_key(count, text), count)) {
        count++;
        if (map.capacity == capacity_before)
            continue;
        assert_true((map.capacity + capacity_before) * OFFSET_PLACE_SIZE <= size_max);
        capacity_before = map.capacity;
    }
    assert_true(count >= 12000 && count <= 27000);
    assert_int_equal(offset_map_get(&map, make_key(count, text)), -1);
    assert_true(offset_map_put(&map, make_key(0, text), count));
    assert_int_equal(offset_map_get(&map, make_key(0, text)), count);
    for (uint32_t i = 1; i < count; i++)
        assert_int_equal(offset_map_get(&map, make_key(i, text)), i);
    offset_map_deinit(&map);
}

static void the_smallest_map_holds_one_key(void **state)
{
    (void)state;
    struct offset_map map;
    assert_false(err_failed(offset_map_init(&map, 0, 0, seeds)));
    assert_true(offset_map_put(&map, span_text("a"), 0));
    assert_false(offset_map_put(&map, span_text("b"), 1));
    assert_int_equal(offset_map_get(&map, span_text("b")), -1);
    offset_map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_offset_of_each_key_counts),
        cmocka_unit_test(a_full_map_takes_known_keys_alone),
        cmocka_unit_test(the_smallest_map_holds_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
