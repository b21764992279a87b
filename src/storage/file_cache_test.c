/* file_cache_test: the budget, and files that outlive their slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "storage/file_cache.h"
#include "support/mem_disk.h"

#define FILE_COUNT 6
#define BUDGET 3

static struct cached_file *open_number(struct file_cache *cache, struct cached_file **slots, int i)
{
    char path[64];
    struct cached_file *file;
    (void)snprintf(path, sizeof path, "/data/%d", i);
    struct err err = file_cache_open(cache, &slots[i], path,
                                     OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE, &file);
    assert_false(err_failed(err));
    return file;
}

static void unused_files_are_closed_beyond_the_budget(void **state)
{
    (void)state;
    struct mem_disk *disk = mem_disk_create(1);
    struct file_cache cache;
    struct cached_file *slots[FILE_COUNT] = {0};
    file_cache_init(&cache, mem_disk_files(disk), BUDGET);
    for (int i = 0; i < FILE_COUNT; i++)
        file_cache_unref(open_number(&cache, slots, i));
    assert_int_equal(mem_disk_open_count(disk), BUDGET);
    assert_true(file_cache_is_full(&cache));
    for (int i = 0; i < FILE_COUNT; i++)
        assert_true((slots[i] != NULL) == (i >= FILE_COUNT - BUDGET));
    /* The least recently used one goes first: 3 was just used, 4 not. */
    file_cache_unref(file_cache_take(&cache, &slots[3]));
    file_cache_unref(open_number(&cache, slots, 0));
    assert_non_null(slots[3]);
    assert_null(slots[4]);
    for (int i = 0; i < FILE_COUNT; i++)
        file_cache_forget(&cache, &slots[i]);
    assert_int_equal(mem_disk_open_count(disk), 0);
    file_cache_deinit(&cache);
    mem_disk_destroy(disk);
}

static void used_files_stay_open_past_the_budget(void **state)
{
    (void)state;
    struct mem_disk *disk = mem_disk_create(1);
    struct file_cache cache;
    struct cached_file *slots[FILE_COUNT] = {0};
    struct cached_file *held[FILE_COUNT];
    file_cache_init(&cache, mem_disk_files(disk), BUDGET);
    for (int i = 0; i < FILE_COUNT; i++)
        held[i] = open_number(&cache, slots, i);
    assert_int_equal(mem_disk_open_count(disk), FILE_COUNT);
    assert_ptr_equal(file_cache_take(&cache, &slots[0]), held[0]);
    file_cache_unref(held[0]);
    for (int i = 0; i < FILE_COUNT; i++)
        file_cache_unref(held[i]);
    assert_int_equal(mem_disk_open_count(disk), BUDGET);
    for (int i = 0; i < FILE_COUNT; i++)
        file_cache_forget(&cache, &slots[i]);
    file_cache_deinit(&cache);
    mem_disk_destroy(disk);
}

static void forgotten_file_is_readable_until_let_go(void **state)
{
    (void)state;
    struct mem_disk *disk = mem_disk_create(1);
    struct file_cache cache;
    struct cached_file *slots[FILE_COUNT] = {0};
    file_cache_init(&cache, mem_disk_files(disk), BUDGET);
    struct cached_file *file = open_number(&cache, slots, 0);
    file_cache_ref(file);
    file_cache_forget(&cache, &slots[0]);
    assert_null(slots[0]);
    int64_t size;
    file_cache_unref(file);
    assert_false(err_failed(file_size(cache.files, file->file, &size)));
    file_cache_unref(file);
    assert_int_equal(mem_disk_open_count(disk), 0);
    file_cache_deinit(&cache);
    mem_disk_destroy(disk);
}

static void failed_open_leaves_nothing(void **state)
{
    (void)state;
    struct mem_disk *disk = mem_disk_create(1);
    struct file_cache cache;
    struct cached_file *slot = NULL;
    struct cached_file *file;
    file_cache_init(&cache, mem_disk_files(disk), BUDGET);
    assert_true(
        err_is(file_cache_open(&cache, &slot, "/data/none", OS_FILE_READ, &file), ERR_NOT_FOUND));
    assert_null(slot);
    assert_null(file_cache_take(&cache, &slot));
    file_cache_deinit(&cache);
    mem_disk_destroy(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unused_files_are_closed_beyond_the_budget),
        cmocka_unit_test(used_files_stay_open_past_the_budget),
        cmocka_unit_test(forgotten_file_is_readable_until_let_go),
        cmocka_unit_test(failed_open_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
