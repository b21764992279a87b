/* retention_test: what goes, what stays, by time, by size, by DeleteRecords, by deletion. */
#include "support/store_fixture.h"

#define HOUR_MS (3600 * 1000)

/* Ten segments of a hundred offsets, an hour apart. */
static struct log *make_hours(struct fixture *fixture, struct log_setup *setup)
{
    *setup = fixture_setup(0);
    setup->config.segment_ms = HOUR_MS - 1;
    setup->config.retention_ms = -1;
    fixture_init(fixture, 1);
    fixture_open(fixture);
    struct log *log = fixture_log_with(fixture, setup);
    for (int i = 0; i < 10; i++) {
        fixture_append(fixture, log, 100);
        fixture->time.now_ms += HOUR_MS;
    }
    fixture_flush(fixture);
    return log;
}

static void end_fixture(struct fixture *fixture, struct log *log)
{
    log_unref(log);
    fixture_close(fixture);
    fixture_deinit(fixture);
}

static bool has_file(struct fixture *fixture, const char *name)
{
    char path[STORE_PATH_SIZE];
    size_t size;
    (void)snprintf(path, sizeof path, "/data/topic-0/%s", name);
    return mem_disk_bytes(fixture->disk, path, &size) != NULL;
}

static void time_takes_whole_segments(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    setup.config.retention_ms = 5 * HOUR_MS;
    log_configure(log, &setup.config);
    fixture_work(&fixture);
    assert_int_equal(log_start_offset(log), 500);
    assert_int_equal(log_end_offset(log), 1000);
    assert_false(has_file(&fixture, "00000000000000000400.log"));
    assert_false(has_file(&fixture, "00000000000000000400.index"));
    assert_false(has_file(&fixture, "00000000000000000400.timeindex"));
    assert_true(has_file(&fixture, "00000000000000000500.log"));
    assert_int_equal(fixture_check_log(log, 1000, 1000), 1000);
    struct log_slice slice;
    const struct log_read read = {.offset = 499, .offset_below = 1000, .size_max = 100};
    assert_true(err_is(log_read(log, &read, &slice, &fixture.diag), ERR_RANGE));
    end_fixture(&fixture, log);
}

static void time_takes_everything_and_the_log_goes_on(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    setup.config.retention_ms = HOUR_MS / 2;
    log_configure(log, &setup.config);
    fixture_work(&fixture);
    assert_int_equal(log_start_offset(log), 1000);
    assert_int_equal(log_end_offset(log), 1000);
    assert_int_equal(log_size(log), 0);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_SOME);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_start_offset(log), 1000);
    assert_int_equal(log_end_offset(log), 1000);
    fixture_append(&fixture, log, 5);
    assert_int_equal(fixture_check_log(log, 1005, 1000), 1005);
    end_fixture(&fixture, log);
}

static void size_keeps_at_least_what_it_says(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    int64_t segment_size = log_size(log) / 10;
    setup.config.retention_size = 3 * segment_size + 1;
    log_configure(log, &setup.config);
    fixture_work(&fixture);
    assert_int_equal(log_start_offset(log), 600);
    assert_int_equal(log_size(log), 4 * segment_size);
    end_fixture(&fixture, log);
}

static void compacted_logs_are_not_deleted(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    setup.config.retention_ms = 1;
    setup.config.is_deleted = false;
    log_configure(log, &setup.config);
    fixture_work(&fixture);
    assert_int_equal(log_start_offset(log), 0);
    end_fixture(&fixture, log);
}

static void what_is_not_durable_is_not_deleted(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    fixture_append(&fixture, log, 1);
    setup.config.retention_size = 0;
    log_configure(log, &setup.config);
    fixture.options.flush_by_os = false;
    struct store_background_result result;
    assert_ok(store_background_step(fixture.store, fixture.time.now_ms, 1, &result, NULL));
    assert_true(log_start_offset(log) <= log_durable_offset(log));
    end_fixture(&fixture, log);
}

static void W6_deleted_records_stay_deleted_when_the_ticket_is_durable(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    uint64_t ticket;
    assert_true(err_is(log_delete_records(log, 1001, &ticket, &fixture.diag), ERR_RANGE));
    assert_ok(log_delete_records(log, 350, &ticket, &fixture.diag));
    assert_true(store_durable_ticket(fixture.store) < ticket);
    assert_int_equal(log_start_offset(log), 350);
    fixture_flush(&fixture);
    assert_true(store_durable_ticket(fixture.store) >= ticket);
    assert_ok(log_delete_records(log, 10, &ticket, &fixture.diag));
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_start_offset(log), 350);
    assert_int_equal(log_end_offset(log), 1000);
    fixture_work(&fixture);
    assert_int_equal(fixture_check_log(log, 1000, 1000), 1000);
    end_fixture(&fixture, log);
}

static void W6_deleted_log_is_gone_and_its_name_is_free(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    uint64_t ticket;
    const struct log_read read = {
        .offset = 0, .offset_below = 1000, .size_max = 1 << 20, .is_one_needed = true};
    struct log_slice slice;
    assert_ok(log_read(log, &read, &slice, &fixture.diag));
    assert_ok(store_delete_log(fixture.store, log, &ticket, &fixture.diag));
    assert_true(err_is(fixture_append_at(&fixture, log, 1, 1, 1), ERR_CLOSED));
    struct log_slice none;
    assert_true(err_is(log_read(log, &read, &none, NULL), ERR_CLOSED));
    log_unref(log);
    setup.topic_id.bytes[0] = 9;
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_end_offset(log), 0);
    fixture_append(&fixture, log, 5);
    fixture_flush(&fixture);
    fixture_work(&fixture);
    assert_int_equal(fixture_check_log(log, 5, 100), 5);
    uint8_t *bytes = malloc(slice.size);
    assert_ok(slice_read(&slice, 0, bytes, slice.size));
    struct batch_header header;
    assert_int_equal(batch_check_stored(span_make(bytes, slice.size), &header), BATCH_FINE);
    free(bytes);
    slice_unref(&slice);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_end_offset(log), 5);
    uint32_t count;
    assert_ok(store_drop_unclaimed(fixture.store, &count, &fixture.diag));
    assert_int_equal(count, 0);
    end_fixture(&fixture, log);
}

static void unclaimed_logs_are_dropped(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    uint32_t count;
    assert_ok(store_drop_unclaimed(fixture.store, &count, &fixture.diag));
    assert_int_equal(count, 1);
    fixture_flush(&fixture);
    fixture_work(&fixture);
    assert_false(has_file(&fixture, "00000000000000000000.log"));
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_end_offset(log), 0);
    end_fixture(&fixture, log);
}

static void truncated_log_ends_there_after_a_crash(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    fixture_work(&fixture);
    assert_true(err_is(log_truncate(log, 450, &fixture.diag), ERR_RANGE));
    assert_ok(log_truncate(log, 400, &fixture.diag));
    assert_int_equal(log_end_offset(log), 400);
    assert_int_equal(log_durable_offset(log), 400);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_end_offset(log), 400);
    assert_int_equal(fixture_check_log(log, 400, 1000), 400);
    fixture_append(&fixture, log, 5);
    assert_int_equal(fixture_check_log(log, 405, 1000), 405);
    end_fixture(&fixture, log);
}

static void what_a_crash_left_behind_is_removed_after_the_next_start(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    uint64_t ticket;
    struct log *log = make_hours(&fixture, &setup);
    fixture_work(&fixture);
    assert_ok(log_delete_records(log, 350, &ticket, &fixture.diag));
    fixture_flush(&fixture);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log_with(&fixture, &setup);
    assert_true(has_file(&fixture, "00000000000000000100.log"));
    fixture_work(&fixture);
    assert_false(has_file(&fixture, "00000000000000000100.log"));
    assert_false(has_file(&fixture, "00000000000000000200.timeindex"));
    assert_true(has_file(&fixture, "00000000000000000300.log"));
    assert_int_equal(fixture_check_log(log, 1000, 1000), 1000);
    end_fixture(&fixture, log);
}

static void check_removed(struct fixture *fixture, uint32_t count)
{
    static const char *const suffixes[] = {"log", "index", "timeindex", "log.deleted"};
    for (int offset = 0; offset < 300; offset += 100) {
        for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%020d.%s", offset, suffixes[i]);
            if (has_file(fixture, name))
                fail_msg("call %u: %s is left", count, name);
        }
    }
}

/* What cannot be removed, or was forgotten for want of memory, is looked for in the next round. */
static bool remove_attempt(void *context, uint32_t count)
{
    struct fixture fixture;
    struct log_setup setup;
    uint64_t ticket;
    bool is_disk = *(const bool *)context;
    struct log *log = make_hours(&fixture, &setup);
    fixture_work(&fixture);
    if (is_disk)
        mem_disk_fail(fixture.disk, MEM_DISK_DIR | MEM_DISK_RENAME, count);
    else
        fail_alloc_arm(count);
    assert_ok(log_delete_records(log, 350, &ticket, &fixture.diag));
    fixture_work(&fixture);
    bool has_failed = is_disk ? mem_disk_has_failed(fixture.disk) : fail_alloc_disarm();
    mem_disk_fail(fixture.disk, 0, 0);
    fixture.time.now_ms += fixture.options.retention_interval_ms;
    fixture_work(&fixture);
    check_removed(&fixture, count);
    assert_int_equal(fixture_check_log(log, 1000, 1000), 1000);
    end_fixture(&fixture, log);
    return has_failed;
}

static void what_could_not_be_removed_is_removed_later(void **state)
{
    (void)state;
    bool is_disk = false;
    assert_true(fail_each(remove_attempt, &is_disk) >= 3);
    is_disk = true;
    assert_true(fail_each(remove_attempt, &is_disk) >= 3);
}

static void segment_that_only_retention_began_is_there_after_a_clean_end(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup;
    struct log *log = make_hours(&fixture, &setup);
    setup.config.retention_size = 0;
    log_configure(log, &setup.config);
    fixture.time.now_ms += fixture.options.retention_interval_ms;
    fixture_work(&fixture);
    assert_int_equal(log_start_offset(log), 1000);
    log_unref(log);
    fixture_close(&fixture);
    mem_disk_crash(fixture.disk, MEM_DISK_LOSE_ALL);
    fixture_open(&fixture);
    assert_true(store_was_clean(fixture.store));
    log = fixture_log_with(&fixture, &setup);
    fixture_append(&fixture, log, 1);
    assert_int_equal(log_end_offset(log), 1001);
    end_fixture(&fixture, log);
}

static void rewritten_manifest_says_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup = fixture_setup(0);
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    setup.config.segment_size = 200;
    setup.config.retention_size = 5000;
    struct log *log = fixture_log_with(&fixture, &setup);
    struct store_stats stats;
    do {
        fixture_append(&fixture, log, 1);
        fixture_flush(&fixture);
        fixture.time.now_ms += 10 * 60 * 1000;
        fixture_work(&fixture);
        store_read_stats(fixture.store, &stats);
    } while (stats.manifest_rewrite_count < 2);
    int64_t start = log_start_offset(log);
    int64_t end = log_end_offset(log);
    assert_true(start > 0);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(log_start_offset(log), start);
    assert_int_equal(log_end_offset(log), end);
    assert_int_equal(fixture_check_log(log, end, 1000), end);
    end_fixture(&fixture, log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_takes_whole_segments),
        cmocka_unit_test(time_takes_everything_and_the_log_goes_on),
        cmocka_unit_test(size_keeps_at_least_what_it_says),
        cmocka_unit_test(compacted_logs_are_not_deleted),
        cmocka_unit_test(what_is_not_durable_is_not_deleted),
        cmocka_unit_test(W6_deleted_records_stay_deleted_when_the_ticket_is_durable),
        cmocka_unit_test(W6_deleted_log_is_gone_and_its_name_is_free),
        cmocka_unit_test(unclaimed_logs_are_dropped),
        cmocka_unit_test(truncated_log_ends_there_after_a_crash),
        cmocka_unit_test(what_a_crash_left_behind_is_removed_after_the_next_start),
        cmocka_unit_test(what_could_not_be_removed_is_removed_later),
        cmocka_unit_test(segment_that_only_retention_began_is_there_after_a_clean_end),
        cmocka_unit_test(rewritten_manifest_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
