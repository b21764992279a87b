/* checkpoint_test: checkpoints while other threads are at work on the same log. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoint_that_met_a_flush_is_made_right_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
