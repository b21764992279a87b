/* log_test: append, read, roll, close and open again. */
#include "support/store_fixture.h"

static void appended_batches_are_read_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    for (int i = 0; i < 200; i++)
        fixture_append(&fixture, log, 1 + i % 7);
    int64_t end = log_end_offset(log);
    assert_int_equal(fixture_check_log(log, end, 1 << 20), end);
    assert_int_equal(fixture_check_log(log, end, 5000), end);
    assert_int_equal(fixture_check_log(log, end, 1), end);
    /* A bound inside a batch keeps the whole batch back. */
    int64_t below = fixture_check_log(log, end / 2, 5000);
    assert_true(below <= end / 2 && below > end / 2 - 7);
    assert_int_equal(log_durable_offset(log), 0);
    fixture_flush(&fixture);
    assert_int_equal(log_durable_offset(log), end);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void clean_close_brings_everything_back_without_a_scan(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    assert_int_equal(store_leader_epoch(fixture.store), 0);
    struct log_setup setup = fixture_setup(0);
    setup.config.segment_size = 20000;
    struct log *log = fixture_log_with(&fixture, &setup);
    for (int i = 0; i < 300; i++)
        fixture_append(&fixture, log, 3);
    int64_t end = log_end_offset(log);
    int64_t size = log_size(log);
    log_unref(log);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_true(store_was_clean(fixture.store));
    assert_int_equal(store_leader_epoch(fixture.store), 0);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_end_offset(log), end);
    assert_int_equal(log_durable_offset(log), end);
    assert_int_equal(log_size(log), size);
    struct store_stats stats;
    store_read_stats(fixture.store, &stats);
    assert_int_equal(stats.batches_scanned, 0);
    assert_int_equal(fixture_check_log(log, end, 3000), end);
    fixture_append(&fixture, log, 3);
    assert_int_equal(fixture_check_log(log, end + 3, 3000), end + 3);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void kill_loses_nothing_written_and_raises_the_epoch(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log_setup setup = fixture_setup(0);
    setup.config.segment_size = 20000;
    struct log *log = fixture_log_with(&fixture, &setup);
    for (int i = 0; i < 100; i++) {
        fixture_append(&fixture, log, 3);
        if (i == 50)
            fixture_work(&fixture);
    }
    int64_t end = log_end_offset(log);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    assert_false(store_was_clean(fixture.store));
    assert_int_equal(store_leader_epoch(fixture.store), 1);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_end_offset(log), end);
    fixture_flush(&fixture);
    assert_int_equal(log_durable_offset(log), end);
    assert_int_equal(fixture_check_log(log, end, 3000), end);
    fixture_append(&fixture, log, 1);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void power_cut_keeps_what_was_durable(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    fixture_flush(&fixture);
    fixture_append(&fixture, log, 3);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log(&fixture, 0);
    assert_int_equal(log_end_offset(log), 3);
    assert_int_equal(fixture_check_log(log, 3, 3000), 3);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void empty_logs_have_no_files(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 7);
    size_t size;
    assert_null(mem_disk_bytes(fixture.disk, "/data/topic-7", &size));
    assert_int_equal(log_end_offset(log), 0);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_batches_are_read_back),
        cmocka_unit_test(clean_close_brings_everything_back_without_a_scan),
        cmocka_unit_test(kill_loses_nothing_written_and_raises_the_epoch),
        cmocka_unit_test(power_cut_keeps_what_was_durable),
        cmocka_unit_test(empty_logs_have_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
