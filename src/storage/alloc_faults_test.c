/*
 * alloc_faults: an allocation fails somewhere in a store's life. Nothing that was durable is lost,
 * no log is quarantined, the store stays online, and what was refused can be done again.
 */
#include "support/store_fixture.h"

#define LOG_COUNT 3

static struct log_setup small_setup(int32_t partition)
{
    struct log_setup setup = fixture_setup(partition);
    setup.config.segment_size = 1500;
    setup.config.index_interval_size = 100;
    setup.config.retention_size = 3000;
    return setup;
}

/* A snapshot of the owner's state: its log's end, told in eight bytes. */
static struct err write_snapshot(void *context, struct buf *out, int64_t *offset)
{
    *offset = log_end_offset(*(struct log **)context);
    return buf_append(out, offset, sizeof *offset);
}

/* What recovery shows an owner: a snapshot, and each batch behind it. */
struct owner {
    int64_t next; /* the offset that the next batch has */
    bool has_gap;
};

static struct err read_snapshot(void *context, int64_t offset, struct span bytes)
{
    struct owner *owner = context;
    int64_t told;
    assert_int_equal(bytes.size, sizeof told);
    memcpy(&told, bytes.data, sizeof told);
    assert_int_equal(told, offset);
    owner->next = offset;
    return ERR_NONE;
}

static struct err read_batch(void *context, const struct batch_header *header, struct span batch)
{
    struct owner *owner = context;
    (void)batch;
    owner->has_gap = owner->has_gap || header->base_offset > owner->next;
    owner->next = batch_last_offset(header) + 1;
    return ERR_NONE;
}

static void read_some(struct log *log)
{
    const struct log_read read = {.offset = log_start_offset(log),
                                  .offset_below = log_end_offset(log),
                                  .size_max = 500,
                                  .is_one_needed = true};
    struct log_slice slice;
    struct err err = log_read(log, &read, &slice, NULL);
    assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
    slice_unref(&slice);
}

static void find_some(struct log *log, int64_t timestamp)
{
    struct buf scratch;
    struct log_time time;
    buf_init(&scratch, 1 << 20);
    struct err err = log_find_time(log, timestamp, &scratch, &time, NULL);
    assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY) || err_is(err, ERR_NOT_FOUND));
    buf_deinit(&scratch);
}

/* Appends, flushes, seals, checkpoints, applies retention, reads: each may want memory. */
static void live(struct fixture *fixture, struct log *const *logs)
{
    struct store_flush_result flushed;
    struct store_background_result worked;
    for (int i = 0; i < 24; i++) {
        struct log *log = logs[i % LOG_COUNT];
        int64_t end = log_end_offset(log);
        struct err err = fixture_append_at(fixture, log, 2, 300, fixture->time.now_ms);
        assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
        assert_int_equal(log_end_offset(log), end + (err_failed(err) ? 0 : 2));
        assert_ok(store_flush_step(fixture->store, &flushed, &fixture->diag));
        fixture->time.now_ms += 61 * 1000;
        assert_ok(store_background_step(fixture->store, fixture->time.now_ms, 1 << 30, &worked,
                                        &fixture->diag));
        read_some(log);
        find_some(log, fixture->time.now_ms - 200 * 1000);
    }
}

static void check_logs(struct log *const *logs, const int64_t *ends)
{
    for (int i = 0; i < LOG_COUNT; i++) {
        struct diag diag;
        if (log_damage(logs[i], &diag))
            fail_msg("%s", diag.text);
        assert_true(log_end_offset(logs[i]) >= ends[i]);
        int64_t end = log_end_offset(logs[i]);
        assert_int_equal(fixture_check_log(logs[i], end, 1000), end);
    }
}

static void open_logs(struct fixture *fixture, struct log **logs)
{
    for (int32_t i = 0; i < LOG_COUNT; i++) {
        struct log_setup setup = small_setup(i);
        setup.listener = (struct log_listener){.context = &logs[i], .snapshot = write_snapshot};
        logs[i] = fixture_log_with(fixture, &setup);
    }
}

static void close_logs(struct log *const *logs)
{
    for (int i = 0; i < LOG_COUNT; i++)
        log_unref(logs[i]);
}

/* Everything that was appended is flushed at last, and is there after a crash. */
static bool live_attempt(void *context, uint32_t count)
{
    struct fixture fixture;
    struct log *logs[LOG_COUNT];
    int64_t ends[LOG_COUNT];
    (void)context;
    fixture_init(&fixture, count);
    fixture.options.retention_interval_ms = 1;
    fixture.options.open_file_count_max = 3;
    fixture_open(&fixture);
    open_logs(&fixture, logs);
    fail_alloc_arm(count);
    live(&fixture, logs);
    bool has_failed = fail_alloc_disarm();
    assert_false(store_is_offline(fixture.store));
    for (int i = 0; i < LOG_COUNT; i++)
        fixture_append(&fixture, logs[i], 1);
    fixture_flush(&fixture);
    for (int i = 0; i < LOG_COUNT; i++) {
        ends[i] = log_end_offset(logs[i]);
        assert_int_equal(log_durable_offset(logs[i]), ends[i]);
    }
    check_logs(logs, ends);
    close_logs(logs);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    open_logs(&fixture, logs);
    check_logs(logs, ends);
    close_logs(logs);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
    return has_failed;
}

static void any_one_failing_allocation_leaves_working_logs(void **state)
{
    (void)state;
    assert_true(fail_each(live_attempt, NULL) > 50);
}

/* A store with something to recover: a torn tail, sealed segments, snapshots. */
static void prepare_start(struct fixture *fixture, int64_t *ends)
{
    struct log *logs[LOG_COUNT];
    fixture_init(fixture, 7);
    fixture->options.retention_interval_ms = 1;
    fixture_open(fixture);
    open_logs(fixture, logs);
    live(fixture, logs);
    for (int i = 0; i < LOG_COUNT; i++)
        ends[i] = log_durable_offset(logs[i]);
    for (int i = 0; i < LOG_COUNT; i++)
        fixture_append(fixture, logs[i], 2);
    close_logs(logs);
    store_abandon(fixture->store);
    mem_disk_crash(fixture->disk, MEM_DISK_LOSE_SOME);
}

/* Opens the store and its logs as far as they can be opened; the owners' states have no gap. */
static struct err try_start(struct fixture *fixture, struct log **logs)
{
    memset(logs, 0, LOG_COUNT * sizeof(struct log *));
    fixture->store = NULL;
    TRY(store_open(&fixture->options, &fixture->store, &fixture->diag));
    for (int32_t i = 0; i < LOG_COUNT; i++) {
        struct owner owner = {0};
        struct log_setup setup = small_setup(i);
        setup.visitor =
            (struct log_visitor){.context = &owner, .snapshot = read_snapshot, .batch = read_batch};
        TRY(store_open_log(fixture->store, &setup, &logs[i], &fixture->diag));
        assert_false(log_damage(logs[i], NULL));
        assert_false(owner.has_gap);
        assert_int_equal(owner.next, log_end_offset(logs[i]));
    }
    uint32_t dropped;
    TRY(store_drop_unclaimed(fixture->store, &dropped, &fixture->diag));
    assert_int_equal(dropped, 0);
    return ERR_NONE;
}

static bool start_attempt(void *context, uint32_t count)
{
    struct fixture fixture;
    struct log *logs[LOG_COUNT];
    int64_t ends[LOG_COUNT];
    (void)context;
    prepare_start(&fixture, ends);
    fail_alloc_arm(count);
    struct err err = try_start(&fixture, logs);
    bool has_failed = fail_alloc_disarm();
    assert_true(!err_failed(err) || (has_failed && err_is(err, ERR_NO_MEMORY)));
    for (int i = 0; i < LOG_COUNT; i++)
        log_unref(logs[i]);
    if (fixture.store != NULL)
        store_abandon(fixture.store);
    assert_int_equal(mem_disk_open_count(fixture.disk), 0);
    assert_ok(try_start(&fixture, logs));
    check_logs(logs, ends);
    close_logs(logs);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
    return has_failed;
}

static void any_one_failing_allocation_of_a_start_is_a_clean_error(void **state)
{
    (void)state;
    assert_true(fail_each(start_attempt, NULL) > 50);
}

/* What was not closed cleanly for want of memory is recovered by the next start. */
static bool close_attempt(void *context, uint32_t count)
{
    struct fixture fixture;
    struct log *logs[LOG_COUNT];
    int64_t ends[LOG_COUNT];
    (void)context;
    fixture_init(&fixture, count);
    fixture_open(&fixture);
    open_logs(&fixture, logs);
    live(&fixture, logs);
    for (int i = 0; i < LOG_COUNT; i++) {
        fixture_append(&fixture, logs[i], 2);
        ends[i] = log_end_offset(logs[i]);
        log_unref(logs[i]);
    }
    fail_alloc_arm(count);
    struct err err = store_close(fixture.store, &fixture.diag);
    bool has_failed = fail_alloc_disarm();
    assert_true(!err_failed(err) || (has_failed && err_is(err, ERR_NO_MEMORY)));
    mem_disk_crash(fixture.disk, err_failed(err) ? MEM_DISK_LOSE_NONE : MEM_DISK_LOSE_ALL);
    fixture_open(&fixture);
    assert_true(store_was_clean(fixture.store) == !err_failed(err));
    open_logs(&fixture, logs);
    check_logs(logs, ends);
    close_logs(logs);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
    return has_failed;
}

static void any_one_failing_allocation_of_an_end_makes_it_an_unclean_one(void **state)
{
    (void)state;
    assert_true(fail_each(close_attempt, NULL) > 5);
}

/* Deletes the log and makes another of its name; each is done, or refused and can be done again. */
static struct log *replace(struct fixture *fixture, struct log *log, const struct log_setup *next)
{
    uint64_t ticket;
    struct err err = store_delete_log(fixture->store, log, &ticket, &fixture->diag);
    if (err_failed(err)) {
        assert_true(err_is(err, ERR_NO_MEMORY));
        assert_int_equal(fixture_append_at(fixture, log, 1, 10, 1).code, ERR_OK);
        assert_ok(store_delete_log(fixture->store, log, &ticket, &fixture->diag));
    }
    log_unref(log);
    assert_ok(store_sync_names(fixture->store, &fixture->diag));
    err = store_open_log(fixture->store, next, &log, &fixture->diag);
    if (err_failed(err)) {
        assert_true(err_is(err, ERR_NO_MEMORY));
        assert_ok(store_open_log(fixture->store, next, &log, &fixture->diag));
    }
    return log;
}

static bool replace_attempt(void *context, uint32_t count)
{
    struct fixture fixture;
    struct store_background_result worked;
    struct log_setup next = small_setup(0);
    next.topic_id.bytes[0] = 9;
    (void)context;
    fixture_init(&fixture, count);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 5);
    fixture_flush(&fixture);
    fail_alloc_arm(count);
    log = replace(&fixture, log, &next);
    struct err err = fixture_append_at(&fixture, log, 3, 100, fixture.time.now_ms);
    assert_ok(
        store_background_step(fixture.store, fixture.time.now_ms, 1 << 30, &worked, &fixture.diag));
    bool has_failed = fail_alloc_disarm();
    if (err_failed(err)) {
        assert_true(has_failed && err_is(err, ERR_NO_MEMORY));
        assert_int_equal(log_end_offset(log), 0);
        fixture_append(&fixture, log, 3);
    }
    fixture_flush(&fixture);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log_with(&fixture, &next);
    assert_int_equal(log_end_offset(log), 3);
    assert_int_equal(fixture_check_log(log, 3, 1000), 3);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
    return has_failed;
}

static void log_deleted_and_made_again_without_memory_is_there_once(void **state)
{
    (void)state;
    assert_true(fail_each(replace_attempt, NULL) > 5);
}

/* A log of 24 records in several segments, all of them durable. */
static struct log *prepare_cut(struct fixture *fixture, const struct log_setup *setup)
{
    fixture_init(fixture, 1);
    fixture_open(fixture);
    struct log *log = fixture_log_with(fixture, setup);
    for (int i = 0; i < 8; i++)
        fixture_append(fixture, log, 3);
    fixture_flush(fixture);
    return log;
}

/* The log ends at `end`, or before the append that follows a truncation, and holds what it says. */
static void check_cut(struct fixture *fixture, const struct log_setup *setup, int64_t end)
{
    fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    struct log *log = fixture_log_with(fixture, setup);
    assert_int_equal(log_end_offset(log), end);
    assert_int_equal(fixture_check_log(log, end, 1000), end);
    log_unref(log);
    fixture_close(fixture);
    fixture_deinit(fixture);
}

static bool truncate_without_memory(void *context, uint32_t count)
{
    struct fixture fixture;
    struct log_setup setup = small_setup(0);
    uint64_t ticket;
    (void)context;
    struct log *log = prepare_cut(&fixture, &setup);
    fail_alloc_arm(count);
    struct err cut = log_truncate(log, 15, &fixture.diag);
    struct err moved = log_delete_records(log, 6, &ticket, &fixture.diag);
    bool has_failed = fail_alloc_disarm();
    assert_true(!err_failed(cut) || err_is(cut, ERR_NO_MEMORY));
    assert_true(!err_failed(moved) || err_is(moved, ERR_NO_MEMORY));
    assert_int_equal(log_end_offset(log), err_failed(cut) ? 24 : 15);
    assert_int_equal(log_start_offset(log), err_failed(moved) ? 0 : 6);
    fixture_append(&fixture, log, 2);
    fixture_flush(&fixture);
    int64_t end = log_end_offset(log);
    assert_int_equal(fixture_check_log(log, end, 1000), end);
    log_unref(log);
    check_cut(&fixture, &setup, end);
    return has_failed;
}

static void truncation_without_memory_leaves_the_log_as_it_was(void **state)
{
    (void)state;
    assert_true(fail_each(truncate_without_memory, NULL) > 2);
}

/* Refused, the log goes on as it was. Begun and failed, the store is offline: it cannot be said
 * where the log ends, and the next start decides it. */
static bool truncate_on_a_bad_disk(void *context, uint32_t count)
{
    struct fixture fixture;
    struct log_setup setup = small_setup(0);
    (void)context;
    struct log *log = prepare_cut(&fixture, &setup);
    mem_disk_fail(fixture.disk, MEM_DISK_ALL, count);
    struct err err = log_truncate(log, 15, &fixture.diag);
    bool has_failed = mem_disk_has_failed(fixture.disk);
    mem_disk_fail(fixture.disk, 0, 0);
    int64_t end = log_end_offset(log);
    if (!store_is_offline(fixture.store)) {
        assert_int_equal(end, err_failed(err) ? 24 : 15);
        fixture_append(&fixture, log, 2);
        fixture_flush(&fixture);
        end += 2;
        assert_int_equal(fixture_check_log(log, end, 1000), end);
        log_unref(log);
        check_cut(&fixture, &setup, end);
        return has_failed;
    }
    assert_true(err_is(err, ERR_OFFLINE));
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    log = fixture_log_with(&fixture, &setup);
    end = log_end_offset(log);
    assert_true(end >= 15 && end <= 24);
    assert_false(log_damage(log, NULL));
    log_unref(log);
    check_cut(&fixture, &setup, end);
    return has_failed;
}

static void truncation_on_a_bad_disk_is_refused_or_final(void **state)
{
    (void)state;
    assert_true(fail_each(truncate_on_a_bad_disk, NULL) >= 5);
}

static void truncation_on_a_full_disk_is_refused_and_the_log_goes_on(void **state)
{
    (void)state;
    struct fixture fixture;
    struct log_setup setup = small_setup(0);
    struct log *log = prepare_cut(&fixture, &setup);
    mem_disk_set_full(fixture.disk, true);
    assert_true(err_is(log_truncate(log, 15, &fixture.diag), ERR_NO_SPACE));
    mem_disk_set_full(fixture.disk, false);
    assert_false(store_is_offline(fixture.store));
    assert_int_equal(log_end_offset(log), 24);
    fixture_append(&fixture, log, 2);
    fixture_flush(&fixture);
    assert_int_equal(fixture_check_log(log, 26, 1000), 26);
    log_unref(log);
    check_cut(&fixture, &setup, 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_failing_allocation_leaves_working_logs),
        cmocka_unit_test(any_one_failing_allocation_of_a_start_is_a_clean_error),
        cmocka_unit_test(any_one_failing_allocation_of_an_end_makes_it_an_unclean_one),
        cmocka_unit_test(log_deleted_and_made_again_without_memory_is_there_once),
        cmocka_unit_test(truncation_without_memory_leaves_the_log_as_it_was),
        cmocka_unit_test(truncation_on_a_bad_disk_is_refused_or_final),
        cmocka_unit_test(truncation_on_a_full_disk_is_refused_and_the_log_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
