/* compaction_test: what stays and what goes, rule by rule; then histories at random. */
#include "support/compaction_model.h"

/* Fills the log with keys 0 to 9 over and over, until there are about so many segments. */
static void fill(struct model *model, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        model_append_key(model, (int)(i % 10));
        model->base.time.now_ms += 10;
    }
}

static int64_t count_records(const struct model *model)
{
    struct model_found *found = malloc(sizeof *found);
    assert_non_null(found);
    model_find_all(model, found);
    int64_t count = found->record_count;
    free(found);
    return count;
}

static bool has_record(const struct model *model, int64_t offset)
{
    struct model_found *found = malloc(sizeof *found);
    assert_non_null(found);
    model_find_all(model, found);
    bool has = found->has_record[offset];
    free(found);
    return has;
}

static struct model *start(uint64_t seed)
{
    struct model *model = malloc(sizeof *model);
    assert_non_null(model);
    model_init(model, seed);
    return model;
}

static void finish(struct model *model)
{
    model_check(model);
    model_close(model);
    free(model);
}

static void the_newest_of_each_key_stays_at_its_offset(void **state)
{
    (void)state;
    struct model *model = start(1);
    fill(model, 500);
    int64_t size_before = log_size(model->log);
    model_compact(model);
    model_check(model);
    int64_t count = count_records(model);
    assert_true(count < 50); /* ten below, and the active segment's */
    assert_true(log_size(model->log) < size_before / 5);
    struct store_stats stats;
    store_read_stats(model->base.store, &stats);
    assert_int_equal(stats.compaction_count, 1);
    model_compact(model); /* nothing is dirty any more */
    store_read_stats(model->base.store, &stats);
    assert_int_equal(stats.compaction_count, 1);
    finish(model);
}

static void what_was_compacted_is_the_same_after_a_restart(void **state)
{
    (void)state;
    struct model *model = start(2);
    for (int round = 0; round < 4; round++) {
        fill(model, 200);
        model_compact(model);
        int64_t count = count_records(model);
        int64_t size = log_size(model->log);
        log_unref(model->log);
        fixture_close(&model->base);
        fixture_open(&model->base);
        model_open(model);
        assert_int_equal(count_records(model), count);
        assert_int_equal(log_size(model->log), size);
        model_check(model);
    }
    finish(model);
}

static void C3_tombstones_stay_for_their_time_and_then_go(void **state)
{
    (void)state;
    struct model *model = start(3);
    const int gone = -1; /* of key 0 */
    fill(model, 20);
    model_append(model, -1, &gone, 1);
    int64_t tombstone = model->end - 1;
    for (int i = 0; i < 60; i++)
        model_append_key(model, 1 + i % 9);
    model_compact(model);
    assert_true(has_record(model, tombstone));
    model->base.time.now_ms += MODEL_DELETE_RETENTION_MS - 2;
    model_compact(model);
    assert_true(has_record(model, tombstone));
    model_compact(model); /* by itself: nothing new was written */
    assert_false(has_record(model, tombstone));
    finish(model);
}

static void C3_the_time_of_a_tombstone_survives_a_crash(void **state)
{
    (void)state;
    struct model *model = start(4);
    const int gone = -1;
    model_append(model, -1, &gone, 1);
    fill(model, 60);
    const int again = -1;
    model_append(model, -1, &again, 1);
    int64_t tombstone = model->end - 1;
    for (int i = 0; i < 60; i++)
        model_append_key(model, 1 + i % 9);
    model_compact(model);
    log_unref(model->log);
    fixture_crash(&model->base, MEM_DISK_LOSE_NONE);
    model_open(model);
    fixture_flush(&model->base);
    assert_true(has_record(model, tombstone));
    model->base.time.now_ms += MODEL_DELETE_RETENTION_MS;
    model_compact(model);
    assert_false(has_record(model, tombstone));
    finish(model);
}

static void C2_aborted_records_go_and_their_marker_after_them(void **state)
{
    (void)state;
    struct model *model = start(5);
    const int keys[] = {20, 21, 22};
    model_append(model, 2, keys, 3);
    model_append(model, 3, keys, 2);
    model_mark(model, 2, false);
    int64_t aborted_marker = model->end - 1;
    model_mark(model, 3, true);
    int64_t committed_marker = model->end - 1;
    const int later = 23;
    model_append(model, 2, &later, 1);
    model_mark(model, 2, true);
    fill(model, 100);
    model_compact(model);
    assert_false(has_record(model, 0));
    assert_false(has_record(model, 2));
    assert_true(has_record(model, 3));
    assert_true(has_record(model, 4));
    assert_true(has_record(model, aborted_marker)); /* its batches were met by this run */
    assert_true(model->told_compacted > committed_marker);
    fill(model, 100);
    model_compact(model); /* none were met: its time begins */
    assert_true(has_record(model, aborted_marker));
    model->base.time.now_ms += MODEL_DELETE_RETENTION_MS;
    fill(model, 100);
    model_compact(model);
    assert_false(has_record(model, aborted_marker));
    assert_true(has_record(model, committed_marker));
    finish(model);
}

static void C4_a_producers_last_batch_keeps_its_header(void **state)
{
    (void)state;
    struct model *model = start(6);
    const int key = 0;
    model_append(model, 0, &key, 1);
    model_append(model, 0, &key, 1);
    fill(model, 100);
    model_compact(model);
    struct model_found *found = malloc(sizeof *found);
    model_find_all(model, found);
    assert_false(found->has_batch[0]);
    assert_true(found->has_batch[1]);
    assert_false(found->has_record[1]);
    free(found);
    finish(model);
}

static void what_is_undecided_or_young_is_not_touched(void **state)
{
    (void)state;
    struct model *model = start(7);
    const int key = 0;
    fill(model, 50);
    model_append(model, 2, &key, 1);
    int64_t open = model->end - 1;
    fill(model, 200);
    model_compact(model);
    for (int64_t i = open; i < model->end; i++)
        assert_true(has_record(model, i));
    model_mark(model, 2, true);
    model->setup.config.compaction_lag_ms_min = 1000 * 1000;
    log_configure(model->log, &model->setup.config);
    int64_t size = log_size(model->log);
    model_compact(model);
    assert_int_equal(log_size(model->log), size);
    model->base.time.now_ms += 1000 * 1000;
    model_compact(model);
    assert_true(log_size(model->log) < size / 2);
    finish(model);
}

static void a_run_waits_for_its_share_of_dirt_or_for_the_lag(void **state)
{
    (void)state;
    struct model *model = start(8);
    model->setup.config.dirty_ratio_min = 1;
    model->setup.config.compaction_lag_ms_max = 50000;
    log_configure(model->log, &model->setup.config);
    fill(model, 200);
    int64_t size = log_size(model->log);
    model_compact(model);
    assert_int_equal(log_size(model->log), size);
    model->base.time.now_ms += 50001;
    model_compact(model);
    assert_true(log_size(model->log) < size / 2);
    finish(model);
}

static void a_map_that_is_too_small_goes_only_as_far_as_it_fits(void **state)
{
    (void)state;
    struct model *model = start(9);
    model->base.options.compaction.map_size = 0; /* one key */
    log_unref(model->log);
    fixture_close(&model->base);
    fixture_open(&model->base);
    model_open(model);
    fill(model, 300);
    model_compact(model);
    model_check(model);
    assert_true(count_records(model) < 80);
    struct store_stats stats;
    store_read_stats(model->base.store, &stats);
    assert_true(stats.compaction_count > 100);
    finish(model);
}

static void small_segments_become_one(void **state)
{
    (void)state;
    struct model *model = start(10);
    for (int i = 0; i < 300; i++)
        model_append_key(model, i % 200);
    model_compact(model);
    size_t size;
    const char *first = "/data/topic-0/000000000000000000000.log";
    assert_non_null(mem_disk_bytes(model->base.disk, first, &size));
    assert_null(mem_disk_bytes(model->base.disk, "/data/topic-0/00000000000000000000.log", &size));
    for (int i = 0; i < 300; i++)
        model_append_key(model, i % 200);
    model_compact(model);
    assert_null(mem_disk_bytes(model->base.disk, first, &size)); /* its other name is in use now */
    finish(model);
}

static void a_slice_taken_before_is_readable_after(void **state)
{
    (void)state;
    struct model *model = start(11);
    fill(model, 200);
    fixture_flush(&model->base);
    const struct log_read read = {.offset = 3, .offset_below = model->end, .size_max = 400};
    struct log_slice slice;
    uint8_t before[400];
    uint8_t after[400];
    assert_ok(log_read(model->log, &read, &slice, NULL));
    assert_ok(slice_read(&slice, 0, before, slice.size));
    uint64_t count = log_compaction_count(model->log);
    model_compact(model);
    assert_true(log_compaction_count(model->log) > count);
    assert_false(has_record(model, 3));
    assert_ok(slice_read(&slice, 0, after, slice.size));
    assert_memory_equal(before, after, slice.size);
    slice_unref(&slice);
    finish(model);
}

static void truncation_stops_at_what_was_compacted(void **state)
{
    (void)state;
    struct model *model = start(12);
    fill(model, 200);
    model_compact(model);
    assert_true(err_is(log_truncate(model->log, 5, &model->base.diag), ERR_RANGE));
    model->end -= 1;
    assert_ok(log_truncate(model->log, model->end, &model->base.diag));
    model_recompute(model);
    finish(model);
}

static void a_full_disk_leaves_the_log_as_it_was(void **state)
{
    (void)state;
    struct model *model = start(13);
    fill(model, 200);
    fixture_flush(&model->base);
    struct store_background_result result;
    int64_t size = log_size(model->log);
    while (log_size(model->log) == size && model->base.report_count == 0) {
        mem_disk_fail(model->base.disk, MEM_DISK_WRITE, 1 + model_draw(model, 20));
        assert_ok(store_background_step(model->base.store, model->base.time.now_ms, 1, &result,
                                        &model->base.diag));
    }
    mem_disk_fail(model->base.disk, 0, 0);
    model_check(model);
    model->base.time.now_ms += 10 * 60 * 1000;
    model_compact(model);
    assert_true(count_records(model) < 50);
    finish(model);
}

/* A file that a crash has left, as its name says. */
static void leave_stray(struct model *model)
{
    const struct os_files *files = model->base.options.files;
    int file;
    assert_ok(file_open(files, "/data/topic-0/00000000000000000000.log.deleted",
                        OS_FILE_WRITE | OS_FILE_CREATE, &file));
    const struct span byte = span_text("x");
    size_t done;
    assert_ok(file_write_at(files, file, &byte, 1, 0, &done));
    file_close(files, file);
}

static bool has_stray(const struct model *model)
{
    size_t size;
    return mem_disk_bytes(model->base.disk, "/data/topic-0/00000000000000000000.log.deleted",
                          &size) != NULL;
}

static void what_a_run_is_writing_is_not_taken_for_a_stray(void **state)
{
    (void)state;
    struct model *model = start(14);
    struct store_background_result result;
    fill(model, 500);
    fixture_flush(&model->base);
    log_unref(model->log);
    fixture_crash(&model->base, MEM_DISK_LOSE_NONE);
    model_open(model);
    leave_stray(model);
    mem_disk_fail(model->base.disk, MEM_DISK_DIR, 1); /* the first look fails, another is due */
    size_t size;
    while (mem_disk_bytes(model->base.disk, "/data/topic-0/000000000000000000000.log", &size) ==
           NULL)
        assert_ok(store_background_step(model->base.store, model->base.time.now_ms, 1, &result,
                                        &model->base.diag));
    assert_true(has_stray(model));
    model->base.time.now_ms += model->base.options.retention_interval_ms;
    model_compact(model);
    model_check(model);
    assert_true(count_records(model) < 50);
    model->base.time.now_ms += model->base.options.retention_interval_ms;
    model_compact(model);
    assert_false(has_stray(model));
    finish(model);
}

struct compaction_life {
    bool is_disk; /* calls to the disk fail, not allocations */
};

/* A run that fails is given up, said, and made later; nothing is lost, the store stays online. */
static bool compact_attempt(void *context, uint32_t count)
{
    const struct compaction_life *life = context;
    struct model *model = start(15);
    struct store_background_result result;
    const int keys[] = {20, 21, 22};
    model_append(model, 2, keys, 3);
    model_mark(model, 2, false);
    fill(model, 150);
    model_append(model, 3, keys, 2);
    model_mark(model, 3, true);
    fill(model, 50);
    fixture_flush(&model->base);
    unsigned calls = MEM_DISK_ALL & ~(unsigned)MEM_DISK_SYNC; /* those are final, and tested */
    if (life->is_disk)
        mem_disk_fail(model->base.disk, calls, count);
    else
        fail_alloc_arm(count);
    do {
        model->base.time.now_ms += 1;
        assert_ok(store_background_step(model->base.store, model->base.time.now_ms, 1 << 30,
                                        &result, &model->base.diag));
    } while (result.is_more);
    bool has_failed = life->is_disk ? mem_disk_has_failed(model->base.disk) : fail_alloc_disarm();
    mem_disk_fail(model->base.disk, 0, 0);
    assert_false(store_is_offline(model->base.store));
    model_check(model);
    fill(model, 1);
    model->base.time.now_ms += 10 * 60 * 1000;
    model_compact(model);
    model_check(model);
    assert_true(count_records(model) < 60);
    log_unref(model->log);
    fixture_crash(&model->base, MEM_DISK_LOSE_ALL);
    model_open(model);
    finish(model);
    return has_failed;
}

static void a_run_without_memory_is_made_later(void **state)
{
    (void)state;
    struct compaction_life life = {.is_disk = false};
    assert_true(fail_each(compact_attempt, &life) > 20);
}

static void a_run_on_a_bad_disk_is_made_later(void **state)
{
    (void)state;
    struct compaction_life life = {.is_disk = true};
    assert_true(fail_each(compact_attempt, &life) > 20);
}

static void append_at_random(struct model *model)
{
    int keys[6];
    int count = 1 + (int)model_draw(model, 6);
    int producer = (int)model_draw(model, MODEL_PRODUCER_COUNT + 2) - 2;
    enum compression codec = model_draw(model, 2) == 0
                                 ? COMPRESSION_NONE
                                 : (enum compression)model_draw(model, COMPRESSION_COUNT);
    for (int i = 0; i < count; i++) {
        keys[i] = (int)model_draw(model, model->key_count);
        keys[i] = model_draw(model, 6) == 0 ? -keys[i] - 1 : keys[i];
    }
    if (producer >= 2 && model->producers[producer].open_from >= 0 && model_draw(model, 2) == 0)
        (void)!err_failed(model_try_mark(model, producer, model_draw(model, 2) == 0));
    else
        (void)!err_failed(
            model_try_append(model, producer < 0 ? -1 : producer, keys, count, codec));
}

/* One action of a history; errors are the disk's. */
static void act(struct model *model)
{
    struct store_flush_result flushed;
    struct store_background_result result;
    uint32_t what = model_draw(model, 30);
    struct fixture *base = &model->base;
    base->time.now_ms += model_draw(model, 100);
    if (what == 0)
        (void)!err_failed(store_flush_step(base->store, &flushed, NULL));
    else if (what < 4)
        (void)!err_failed(
            store_background_step(base->store, base->time.now_ms, 2000, &result, NULL));
    else if (what == 5)
        base->time.now_ms += MODEL_DELETE_RETENTION_MS / 2;
    else if (model->end < MODEL_END_MAX - 16)
        append_at_random(model);
}

static void crash(struct model *model, enum mem_disk_loss loss)
{
    int64_t durable = log_durable_offset(model->log);
    log_unref(model->log);
    fixture_crash(&model->base, loss);
    model_open(model);
    assert_true(model->end >= durable);
    fixture_flush(&model->base);
    model_check(model);
}

static void histories_hold_at_every_sync(void **state)
{
    (void)state;
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_ALL, MEM_DISK_LOSE_SOME,
                                                MEM_DISK_GARBLE, MEM_DISK_LOSE_NONE};
    for (uint64_t seed = 1; seed <= 80; seed++) {
        struct model *model = start(seed);
        model->base.options.compaction.map_size = seed % 3 == 0 ? 5 * 24 : 1 << 20;
        for (int life = 0; life < 6; life++) {
            mem_disk_power_off(model->base.disk, 1 + model_draw(model, 60));
            for (int i = 0; i < 400 && !mem_disk_is_off(model->base.disk); i++)
                act(model);
            crash(model, losses[model_draw(model, 4)]);
        }
        model->base.time.now_ms += 10 * MODEL_DELETE_RETENTION_MS;
        model_compact(model);
        finish(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_of_each_key_stays_at_its_offset),
        cmocka_unit_test(what_was_compacted_is_the_same_after_a_restart),
        cmocka_unit_test(C3_tombstones_stay_for_their_time_and_then_go),
        cmocka_unit_test(C3_the_time_of_a_tombstone_survives_a_crash),
        cmocka_unit_test(C2_aborted_records_go_and_their_marker_after_them),
        cmocka_unit_test(C4_a_producers_last_batch_keeps_its_header),
        cmocka_unit_test(what_is_undecided_or_young_is_not_touched),
        cmocka_unit_test(a_run_waits_for_its_share_of_dirt_or_for_the_lag),
        cmocka_unit_test(a_map_that_is_too_small_goes_only_as_far_as_it_fits),
        cmocka_unit_test(small_segments_become_one),
        cmocka_unit_test(a_slice_taken_before_is_readable_after),
        cmocka_unit_test(truncation_stops_at_what_was_compacted),
        cmocka_unit_test(a_full_disk_leaves_the_log_as_it_was),
        cmocka_unit_test(what_a_run_is_writing_is_not_taken_for_a_stray),
        cmocka_unit_test(a_run_without_memory_is_made_later),
        cmocka_unit_test(a_run_on_a_bad_disk_is_made_later),
        cmocka_unit_test(histories_hold_at_every_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
