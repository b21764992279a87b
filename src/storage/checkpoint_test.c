/* checkpoint_test: flushes and checkpoints while other threads are at work on the same log. */
#include "support/store_fixture.h"

/* Who plays the background thread while the flusher syncs. */
struct meddler {
    struct fixture *fixture;
    bool is_at_work;
    uint32_t count; /* how often it worked */
};

static void work_meanwhile(void *context)
{
    struct meddler *meddler = context;
    if (meddler->is_at_work)
        return;
    meddler->is_at_work = true;
    fixture_work(meddler->fixture);
    meddler->count++;
    meddler->is_at_work = false;
}

static uint64_t checkpoint_count(struct fixture *fixture)
{
    struct store_stats stats;
    store_read_stats(fixture->store, &stats);
    return stats.checkpoint_count;
}

static void checkpoint_that_met_a_flush_is_made_right_after_it(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log_setup setup = fixture_setup(0);
    setup.config.segment_ms = 1000;
    struct log *log = fixture_log_with(&fixture, &setup);
    fixture_append(&fixture, log, 1);
    fixture_flush(&fixture);
    fixture_work(&fixture);
    uint64_t before = checkpoint_count(&fixture);
    /* The next append begins a segment: the one before is to be sealed, and is urgent. */
    fixture.time.now_ms += 2000;
    fixture_append(&fixture, log, 1);
    struct meddler meddler = {.fixture = &fixture};
    mem_disk_on_sync(fixture.disk, work_meanwhile, &meddler);
    fixture_flush(&fixture);
    mem_disk_on_sync(fixture.disk, NULL, NULL);
    assert_true(meddler.count > 0);
    assert_int_equal(checkpoint_count(&fixture), before);
    fixture_work(&fixture); /* no time has passed */
    assert_int_equal(checkpoint_count(&fixture), before + 1);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

/* A log that rolls, is checkpointed and loses its oldest segments, until the power goes out at the
 * sync-th sync; *durable: what was so by then. False where it stays on. */
static bool live_until(struct fixture *fixture, uint32_t sync, const struct log_setup *setup,
                       int64_t *durable)
{
    struct log *log = fixture_log_with(fixture, setup);
    mem_disk_power_off(fixture->disk, sync);
    for (int i = 0; i < 12 && !mem_disk_is_off(fixture->disk); i++) {
        struct store_background_result worked;
        fixture->time.now_ms += 2000;
        (void)!err_failed(fixture_append_at(fixture, log, 3, 100, fixture->time.now_ms));
        /* The checkpoint comes before the flush: it must not vouch for what is not synced. */
        (void)!err_failed(store_background_step(fixture->store, fixture->time.now_ms + 61000,
                                                1 << 30, &worked, &fixture->diag));
    }
    *durable = log_durable_offset(log);
    log_unref(log);
    return mem_disk_is_off(fixture->disk);
}

static void W5_checkpoint_vouches_only_for_what_is_safe(void **state)
{
    (void)state;
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_ALL, MEM_DISK_LOSE_SOME,
                                                MEM_DISK_GARBLE};
    bool was_off = true;
    for (uint32_t sync = 1; was_off; sync++) {
        struct fixture fixture;
        int64_t durable;
        struct log_setup setup = fixture_setup(0);
        setup.config.segment_ms = 1000;
        setup.config.retention_size = 2000;
        fixture_init(&fixture, sync);
        fixture.options.retention_interval_ms = 1;
        fixture_open(&fixture);
        was_off = live_until(&fixture, sync, &setup, &durable);
        fixture_crash(&fixture, losses[sync % 3]);
        struct log *log = fixture_log_with(&fixture, &setup);
        if (log_damage(log, &fixture.diag))
            fail_msg("sync %u: %s", sync, fixture.diag.text);
        int64_t end = log_end_offset(log);
        assert_true(end >= durable);
        assert_int_equal(fixture_check_log(log, end, 1000), end);
        assert_true(was_off || log_start_offset(log) > 0);
        log_unref(log);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}

static void W3_with_flush_by_os_the_durable_offset_is_the_end(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture.options.flush_by_os = true;
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    uint32_t sync_count = mem_disk_sync_count(fixture.disk);
    for (int i = 0; i < 10; i++) {
        fixture_append(&fixture, log, 3);
        assert_int_equal(log_durable_offset(log), log_end_offset(log));
    }
    assert_int_equal(mem_disk_sync_count(fixture.disk), sync_count);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

/* Who plays an appender while the flusher syncs. */
struct appender {
    struct fixture *fixture;
    struct log *log;
    uint32_t count; /* of appends */
};

static void append_meanwhile(void *context)
{
    struct appender *appender = context;
    fixture_append(appender->fixture, appender->log, 1);
    appender->count++;
}

static void W2_what_is_appended_during_a_sync_waits_for_the_next(void **state)
{
    (void)state;
    struct fixture fixture;
    struct store_flush_result result;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 1);
    fixture_flush(&fixture); /* its names are synced: from here on there is one sync for a flush */
    fixture_append(&fixture, log, 1);
    struct appender appender = {.fixture = &fixture, .log = log};
    mem_disk_on_sync(fixture.disk, append_meanwhile, &appender);
    assert_ok(store_flush_step(fixture.store, &result, &fixture.diag));
    mem_disk_on_sync(fixture.disk, NULL, NULL);
    assert_int_equal(appender.count, 1);
    assert_int_equal(log_end_offset(log), 3);
    assert_int_equal(log_durable_offset(log), 2);
    assert_true(result.is_more);
    fixture_flush(&fixture);
    assert_int_equal(log_durable_offset(log), 3);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoint_that_met_a_flush_is_made_right_after_it),
        cmocka_unit_test(W2_what_is_appended_during_a_sync_waits_for_the_next),
        cmocka_unit_test(W5_checkpoint_vouches_only_for_what_is_safe),
        cmocka_unit_test(W3_with_flush_by_os_the_durable_offset_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
