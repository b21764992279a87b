/*
 * faults_test: W1 and W7, and what each failing call leaves behind: a log that still holds exactly
 * what it said it holds.
 */
#include "support/store_fixture.h"

static void W1_full_disk_is_cut_back_and_the_log_goes_on(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    size_t size_before;
    size_t size_after;
    const char *path = "/data/topic-0/00000000000000000000.log";
    (void)mem_disk_bytes(fixture.disk, path, &size_before);
    mem_disk_fail(fixture.disk, MEM_DISK_WRITE, 1);
    struct err err = fixture_append_at(&fixture, log, 5, 100, 1);
    assert_true(err_is(err, ERR_NO_SPACE));
    assert_non_null(strstr(fixture.diag.text, "cannot append at byte"));
    assert_non_null(strstr(fixture.diag.text, "topic-0"));
    (void)mem_disk_bytes(fixture.disk, path, &size_after);
    assert_int_equal(size_before, size_after);
    assert_int_equal(log_end_offset(log), 3);
    assert_false(store_is_offline(fixture.store));
    fixture_append(&fixture, log, 2);
    fixture_flush(&fixture);
    assert_int_equal(fixture_check_log(log, 5, 1000), 5);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log(&fixture, 0);
    assert_int_equal(fixture_check_log(log, 5, 1000), 5);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void W1_failed_cut_back_is_written_over(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    mem_disk_fail(fixture.disk, MEM_DISK_WRITE | MEM_DISK_TRUNCATE, 1);
    assert_true(err_failed(fixture_append_at(&fixture, log, 50, 100, 1)));
    fixture_append(&fixture, log, 1);
    fixture_flush(&fixture);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log(&fixture, 0);
    assert_int_equal(log_end_offset(log), 4);
    assert_int_equal(fixture_check_log(log, 4, 1000), 4);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void W7_failed_sync_takes_the_store_offline_for_good(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    fixture_flush(&fixture);
    fixture_append(&fixture, log, 3);
    mem_disk_fail(fixture.disk, MEM_DISK_SYNC, 1);
    struct store_flush_result result;
    struct store_background_result worked;
    uint64_t ticket;
    assert_true(err_is(store_flush_step(fixture.store, &result, &fixture.diag), ERR_OFFLINE));
    assert_int_equal(fixture.offline_count, 1);
    assert_true(store_is_offline(fixture.store));
    assert_int_equal(log_durable_offset(log), 3);
    assert_true(err_is(fixture_append_at(&fixture, log, 1, 10, 1), ERR_OFFLINE));
    assert_true(err_is(store_flush_step(fixture.store, &result, &fixture.diag), ERR_OFFLINE));
    assert_true(err_is(store_background_step(fixture.store, 0, 1, &worked, NULL), ERR_OFFLINE));
    assert_true(err_is(log_delete_records(log, 1, &ticket, NULL), ERR_OFFLINE));
    assert_int_equal(fixture_check_log(log, 3, 1000), 3);
    assert_int_equal(fixture.offline_count, 1);
    size_t size;
    assert_non_null(mem_disk_bytes(fixture.disk, "/data/sync-failed", &size));
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    assert_false(store_was_clean(fixture.store));
    log = fixture_log(&fixture, 0);
    assert_int_equal(fixture_check_log(log, 3, 1000), 3);
    log_unref(log);
    fixture_close(&fixture);
    assert_null(mem_disk_bytes(fixture.disk, "/data/sync-failed", &size));
    fixture_deinit(&fixture);
}

/* Enough for the manifest's entries to fill sectors. */
#define LIAR_COUNT 12

static void append_large(struct fixture *fixture, struct log *log)
{
    assert_ok(fixture_append_at(fixture, log, 3, 1500, fixture->time.now_ms));
}

/* Opens the logs, checks that each holds at least 3 records if it is to, and appends. */
static void use_liars(struct fixture *fixture, const bool *is_durable)
{
    for (int32_t i = 0; i < LIAR_COUNT; i++) {
        struct log *log = fixture_log(fixture, i);
        if (log_damage(log, &fixture->diag))
            fail_msg("%s", fixture->diag.text);
        int64_t end = log_end_offset(log);
        assert_true(!is_durable[i] || end >= 3);
        assert_int_equal(fixture_check_log(log, end, 1000), end);
        append_large(fixture, log);
        log_unref(log);
    }
}

/* The process dies after a failed sync, the machine lives: what was written reads well and is not
 * on the disk. Synced later, it would be a hole below what is acknowledged. */
static void W7_pages_that_only_look_written_are_not_believed(void **state)
{
    (void)state;
    for (uint32_t sync = 1; sync <= LIAR_COUNT; sync++) {
        bool is_durable[LIAR_COUNT] = {false};
        struct fixture fixture;
        fixture_init(&fixture, sync);
        fixture_open(&fixture);
        use_liars(&fixture, is_durable);
        mem_disk_fail(fixture.disk, MEM_DISK_SYNC, sync);
        struct store_flush_result result;
        assert_true(err_is(store_flush_step(fixture.store, &result, &fixture.diag), ERR_OFFLINE));
        fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
        use_liars(&fixture, is_durable);
        fixture_flush(&fixture);
        for (int32_t i = 0; i < LIAR_COUNT; i++)
            is_durable[i] = true;
        fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
        use_liars(&fixture, is_durable);
        store_abandon(fixture.store);
        fixture_deinit(&fixture);
    }
}

/* Begins with a store whose last sync failed, and lets the count-th open of its next start fail. */
static bool start_after_failed_sync(void *context, uint32_t count)
{
    bool is_durable[LIAR_COUNT] = {false};
    struct fixture fixture;
    struct store_flush_result result;
    (void)context;
    fixture_init(&fixture, count);
    fixture_open(&fixture);
    use_liars(&fixture, is_durable);
    mem_disk_fail(fixture.disk, MEM_DISK_SYNC, 1);
    assert_true(err_is(store_flush_step(fixture.store, &result, &fixture.diag), ERR_OFFLINE));
    store_abandon(fixture.store);
    mem_disk_crash(fixture.disk, MEM_DISK_LOSE_NONE);
    mem_disk_fail(fixture.disk, MEM_DISK_OPEN, count);
    struct err err = store_open(&fixture.options, &fixture.store, &fixture.diag);
    bool has_failed = mem_disk_has_failed(fixture.disk);
    mem_disk_fail(fixture.disk, 0, 0);
    if (err_failed(err))
        fixture_open(&fixture);
    use_liars(&fixture, is_durable);
    fixture_flush(&fixture);
    for (int i = 0; i < LIAR_COUNT; i++)
        is_durable[i] = true;
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    use_liars(&fixture, is_durable);
    store_abandon(fixture.store);
    fixture_deinit(&fixture);
    return has_failed;
}

static void W7_mark_that_cannot_be_looked_for_refuses_the_start(void **state)
{
    (void)state;
    assert_true(fail_each(start_after_failed_sync, NULL) >= 3);
}

/* Told from within the append, its caller's locks would be met again. */
static void W7_sync_that_fails_within_an_append_is_told_by_the_next_flush(void **state)
{
    (void)state;
    struct fixture fixture;
    struct store_flush_result result;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    assert_ok(dir_make(fixture.options.files, "/data/topic-0")); /* in the way */
    struct log *log = fixture_log(&fixture, 0);
    mem_disk_fail(fixture.disk, MEM_DISK_SYNC, 1);
    assert_true(err_is(fixture_append_at(&fixture, log, 1, 10, 1), ERR_OFFLINE));
    assert_true(store_is_offline(fixture.store));
    assert_int_equal(fixture.offline_count, 0);
    assert_true(err_is(store_flush_step(fixture.store, &result, &fixture.diag), ERR_OFFLINE));
    assert_true(err_is(store_flush_step(fixture.store, &result, &fixture.diag), ERR_OFFLINE));
    assert_int_equal(fixture.offline_count, 1);
    log_unref(log);
    store_abandon(fixture.store);
    fixture_deinit(&fixture);
}

static void full_disk_refuses_writes_serves_reads_and_recovers(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log_setup setup = fixture_setup(0);
    setup.config.segment_size = 1000;
    struct log *log = fixture_log_with(&fixture, &setup);
    for (int i = 0; i < 4; i++)
        fixture_append(&fixture, log, 3);
    mem_disk_set_full(fixture.disk, true);
    for (int i = 0; i < 4; i++) {
        struct store_background_result worked;
        assert_true(err_is(fixture_append_at(&fixture, log, 3, 100, 1), ERR_NO_SPACE));
        fixture_flush(&fixture);
        fixture.time.now_ms += 61 * 1000;
        assert_ok(store_background_step(fixture.store, fixture.time.now_ms, 1 << 30, &worked,
                                        &fixture.diag));
        assert_int_equal(fixture_check_log(log, 12, 1000), 12);
    }
    assert_false(store_is_offline(fixture.store));
    assert_int_equal(log_durable_offset(log), 12);
    mem_disk_set_full(fixture.disk, false);
    fixture_append(&fixture, log, 3);
    fixture_flush(&fixture);
    fixture_work(&fixture);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(fixture_check_log(log, 15, 1000), 15);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

struct told {
    int failed_count;
    struct err err;
};

static void tell_failed(void *context, struct err err)
{
    struct told *told = context;
    told->failed_count++;
    told->err = err;
}

/* Two logs and a budget of one file: the first is closed before it is synced. */
static struct log *open_two(struct fixture *fixture, struct told *told, struct log **second)
{
    fixture_init(fixture, 1);
    fixture->options.open_file_count_max = 1;
    fixture_open(fixture);
    struct log_setup setup = fixture_setup(1);
    setup.listener = (struct log_listener){.context = told, .failed = tell_failed};
    *second = fixture_log(fixture, 0);
    fixture_append(fixture, *second, 3);
    struct log *log = fixture_log_with(fixture, &setup);
    fixture_append(fixture, log, 3);
    return log;
}

static void file_gone_before_its_flush_is_told_to_the_owner_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct told told = {0};
    struct log *other;
    struct log *log = open_two(&fixture, &told, &other);
    assert_ok(file_remove(fixture.options.files, "/data/topic-1/00000000000000000000.log"));
    fixture_flush(&fixture);
    fixture_flush(&fixture);
    assert_int_equal(told.failed_count, 1);
    assert_true(err_is(told.err, ERR_CORRUPT));
    assert_true(log_damage(log, NULL));
    assert_int_equal(log_durable_offset(other), 3);
    log_unref(log);
    log_unref(other);
    store_abandon(fixture.store);
    fixture_deinit(&fixture);
}

static void flush_without_descriptors_rests_reports_once_and_goes_on(void **state)
{
    (void)state;
    struct fixture fixture;
    struct told told = {0};
    struct log *other;
    struct log *log = open_two(&fixture, &told, &other);
    uint32_t report_count = fixture.report_count;
    mem_disk_set_open_max(fixture.disk, mem_disk_open_count(fixture.disk));
    struct store_flush_result result;
    for (int i = 0; i < 3; i++) {
        assert_ok(store_flush_step(fixture.store, &result, &fixture.diag));
        assert_true(result.is_short);
        assert_false(result.is_more);
    }
    assert_int_equal(fixture.report_count, report_count + 1);
    assert_false(store_is_offline(fixture.store));
    assert_int_equal(told.failed_count, 0);
    mem_disk_set_open_max(fixture.disk, 1000);
    assert_ok(store_flush_step(fixture.store, &result, &fixture.diag));
    assert_false(result.is_short);
    assert_int_equal(log_durable_offset(log), 3);
    assert_int_equal(log_durable_offset(other), 3);
    log_unref(log);
    log_unref(other);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log(&fixture, 1);
    assert_int_equal(fixture_check_log(log, 3, 1000), 3);
    log_unref(log);
    store_abandon(fixture.store);
    fixture_deinit(&fixture);
}

/* One of everything, each step allowed to fail; returns what must be there afterwards. */
static int64_t workload(struct fixture *fixture, struct log *log)
{
    struct store_flush_result flushed;
    struct store_background_result worked;
    uint64_t ticket;
    for (int i = 0; i < 8; i++) {
        int64_t end = log_end_offset(log);
        struct err err = fixture_append_at(fixture, log, 2, 300, fixture->time.now_ms);
        assert_int_equal(log_end_offset(log), end + (err_failed(err) ? 0 : 2));
        (void)!err_failed(store_flush_step(fixture->store, &flushed, &fixture->diag));
        fixture->time.now_ms += 61 * 1000;
        (void)!err_failed(store_background_step(fixture->store, fixture->time.now_ms, 1 << 30,
                                                &worked, &fixture->diag));
    }
    (void)!err_failed(log_delete_records(log, 1, &ticket, &fixture->diag));
    return log_durable_offset(log);
}

static void any_one_failing_call_leaves_a_working_log(void **state)
{
    (void)state;
    bool has_failed = true;
    for (uint32_t count = 1; has_failed; count++) {
        struct fixture fixture;
        fixture_init(&fixture, count);
        fixture_open(&fixture);
        struct log_setup setup = fixture_setup(0);
        setup.config.segment_size = 1500;
        setup.config.index_interval_size = 100;
        struct log *log = fixture_log_with(&fixture, &setup);
        mem_disk_fail(fixture.disk, MEM_DISK_ALL, count);
        int64_t durable = workload(&fixture, log);
        has_failed = mem_disk_has_failed(fixture.disk);
        mem_disk_fail(fixture.disk, 0, 0);
        if (!store_is_offline(fixture.store)) {
            fixture_append(&fixture, log, 1);
            fixture_flush(&fixture);
            durable = log_durable_offset(log);
            assert_int_equal(durable, log_end_offset(log));
        }
        log_unref(log);
        fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
        log = fixture_log_with(&fixture, &setup);
        if (log_damage(log, &fixture.diag))
            fail_msg("call %u: %s", count, fixture.diag.text);
        assert_true(log_end_offset(log) >= durable);
        int64_t end = log_end_offset(log);
        assert_int_equal(fixture_check_log(log, end, 1000), end);
        log_unref(log);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}

static void any_one_failing_call_of_a_start_is_an_error_or_harmless(void **state)
{
    (void)state;
    bool has_failed = true;
    for (uint32_t count = 1; has_failed; count++) {
        struct fixture fixture;
        fixture_init(&fixture, count);
        fixture_open(&fixture);
        struct log_setup setup = fixture_setup(0);
        setup.config.segment_size = 1500;
        struct log *log = fixture_log_with(&fixture, &setup);
        int64_t durable = workload(&fixture, log);
        log_unref(log);
        store_abandon(fixture.store);
        mem_disk_crash(fixture.disk, MEM_DISK_LOSE_SOME);
        mem_disk_fail(fixture.disk, MEM_DISK_ALL, count);
        struct err err = store_open(&fixture.options, &fixture.store, &fixture.diag);
        if (!err_failed(err)) {
            err = store_open_log(fixture.store, &setup, &log, &fixture.diag);
            if (!err_failed(err)) {
                assert_false(log_damage(log, NULL));
                log_unref(log);
            }
            store_abandon(fixture.store);
        }
        has_failed = mem_disk_has_failed(fixture.disk);
        mem_disk_fail(fixture.disk, 0, 0);
        assert_int_equal(mem_disk_open_count(fixture.disk), 0);
        fixture_open(&fixture);
        log = fixture_log_with(&fixture, &setup);
        int64_t end = log_end_offset(log);
        assert_true(end >= durable);
        assert_int_equal(fixture_check_log(log, end, 1000), end);
        log_unref(log);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}

static void second_process_is_kept_out(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct store *other;
    assert_true(err_is(store_open(&fixture.options, &other, &fixture.diag), ERR_BUSY));
    assert_string_equal(fixture.diag.text, "/data is in use by another process");
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void other_formats_are_refused_with_a_sentence(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    fixture_close(&fixture);
    size_t size;
    uint8_t *bytes = mem_disk_bytes(fixture.disk, "/data/format", &size);
    bytes[size - 2] = '2';
    assert_true(
        err_is(store_open(&fixture.options, &fixture.store, &fixture.diag), ERR_UNSUPPORTED));
    assert_string_equal(
        fixture.diag.text,
        "/data/format says \"headrace 2\"; this program knows \"headrace 1\" alone");
    fixture_deinit(&fixture);
    fixture_init(&fixture, 1);
    assert_ok(dir_make(fixture.options.files, "/data/orders-0"));
    assert_true(
        err_is(store_open(&fixture.options, &fixture.store, &fixture.diag), ERR_UNSUPPORTED));
    assert_non_null(strstr(fixture.diag.text, "another program's logs (orders-0)"));
    fixture_deinit(&fixture);
}

static void damaged_manifest_is_refused_and_a_torn_one_is_not(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    log_unref(log);
    fixture_close(&fixture);
    size_t size;
    uint8_t *bytes = mem_disk_bytes(fixture.disk, "/data/manifest", &size);
    bytes[size / 2] ^= 1;
    assert_true(err_is(store_open(&fixture.options, &fixture.store, &fixture.diag), ERR_CORRUPT));
    assert_non_null(strstr(fixture.diag.text, "/data/manifest: the manifest is damaged at byte"));
    bytes = mem_disk_bytes(fixture.disk, "/data/manifest", &size);
    bytes[size / 2] ^= 1;
    assert_true(mem_disk_resize(fixture.disk, "/data/manifest", size - 3));
    fixture_open(&fixture);
    assert_false(store_was_clean(fixture.store));
    assert_non_null(strstr(fixture.report, "torn end"));
    log = fixture_log(&fixture, 0);
    assert_int_equal(log_end_offset(log), 3);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(W1_full_disk_is_cut_back_and_the_log_goes_on),
        cmocka_unit_test(W1_failed_cut_back_is_written_over),
        cmocka_unit_test(W7_failed_sync_takes_the_store_offline_for_good),
        cmocka_unit_test(W7_pages_that_only_look_written_are_not_believed),
        cmocka_unit_test(W7_mark_that_cannot_be_looked_for_refuses_the_start),
        cmocka_unit_test(W7_sync_that_fails_within_an_append_is_told_by_the_next_flush),
        cmocka_unit_test(full_disk_refuses_writes_serves_reads_and_recovers),
        cmocka_unit_test(file_gone_before_its_flush_is_told_to_the_owner_once),
        cmocka_unit_test(flush_without_descriptors_rests_reports_once_and_goes_on),
        cmocka_unit_test(any_one_failing_call_leaves_a_working_log),
        cmocka_unit_test(any_one_failing_call_of_a_start_is_an_error_or_harmless),
        cmocka_unit_test(second_process_is_kept_out),
        cmocka_unit_test(other_formats_are_refused_with_a_sentence),
        cmocka_unit_test(damaged_manifest_is_refused_and_a_torn_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
