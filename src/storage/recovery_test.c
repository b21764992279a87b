/*
 * recovery_test: the power goes out at each sync of a workload in turn; what was durable is there
 * afterwards, and the log works on. Then damage, where nothing may be cut.
 */
#include "base/bytes.h"
#include "support/store_fixture.h"

#define LOG_COUNT 3

/* What the workload was told is safe. */
struct promise {
    struct log *logs[LOG_COUNT];
    struct log *asked[LOG_COUNT]; /* the same, for the listener, until the store is gone */
    int64_t durable[LOG_COUNT];
    int64_t start[LOG_COUNT];
    uint64_t start_ticket[LOG_COUNT];
    int64_t start_wanted[LOG_COUNT];
};

static struct err give_state(void *context, struct buf *out, int64_t *offset)
{
    *offset = log_end_offset(*(struct log **)context);
    return buf_append(out, "producers", 9);
}

static struct err see_state(void *context, int64_t offset, struct span bytes)
{
    (void)context;
    assert_true(offset >= 0 && span_equal_text(bytes, "producers"));
    return ERR_NONE;
}

static struct err see_any_batch(void *context, const struct batch_header *header, struct span batch)
{
    (void)context;
    assert_int_equal(header->size, batch.size);
    return ERR_NONE;
}

static struct log_setup small_setup(int32_t partition)
{
    struct log_setup setup = fixture_setup(partition);
    setup.config.segment_size = 3000;
    setup.config.index_interval_size = 200;
    setup.config.retention_ms = -1;
    return setup;
}

static void note_promises(struct fixture *fixture, struct promise *promise)
{
    for (int i = 0; i < LOG_COUNT; i++) {
        if (promise->logs[i] == NULL)
            continue;
        int64_t durable = log_durable_offset(promise->logs[i]);
        if (durable > promise->durable[i])
            promise->durable[i] = durable;
        if (promise->start_ticket[i] != 0 &&
            store_durable_ticket(fixture->store) >= promise->start_ticket[i])
            promise->start[i] = promise->start_wanted[i];
    }
}

static bool open_logs(struct fixture *fixture, struct promise *promise)
{
    for (int i = 0; i < LOG_COUNT; i++) {
        struct log_setup setup = small_setup(i);
        setup.listener.context = &promise->asked[i];
        setup.listener.snapshot = give_state;
        setup.visitor.snapshot = see_state;
        setup.visitor.batch = see_any_batch;
        if (err_failed(store_open_log(fixture->store, &setup, &promise->logs[i], &fixture->diag)))
            return false;
        promise->asked[i] = promise->logs[i];
    }
    return true;
}

static void close_logs(struct promise *promise)
{
    for (int i = 0; i < LOG_COUNT; i++)
        log_unref(promise->logs[i]);
    memset(promise->logs, 0, sizeof promise->logs);
}

/* One round of everything; false as soon as something fails, as it does when the power is out. */
static bool work_round(struct fixture *fixture, struct promise *promise, int round)
{
    struct store_flush_result flushed;
    struct store_background_result worked;
    for (int i = 0; i < LOG_COUNT; i++) {
        for (int k = 0; k <= i; k++) {
            if (err_failed(fixture_append_at(fixture, promise->logs[i], 1 + (round + k) % 3, 150,
                                             fixture->time.now_ms)))
                return false;
        }
    }
    fixture->time.now_ms += 20 * 1000;
    /* Sealing and checkpoints meet what is not flushed yet. */
    if (round % 2 == 1 && err_failed(store_background_step(fixture->store, fixture->time.now_ms,
                                                           1 << 30, &worked, &fixture->diag)))
        return false;
    if (err_failed(store_flush_step(fixture->store, &flushed, &fixture->diag)))
        return false;
    note_promises(fixture, promise);
    if (round % 4 == 3) {
        int i = round % LOG_COUNT;
        promise->start_wanted[i] = promise->durable[i] / 2;
        if (err_failed(log_delete_records(promise->logs[i], promise->start_wanted[i],
                                          &promise->start_ticket[i], &fixture->diag)))
            return false;
    }
    struct err err = store_background_step(fixture->store, fixture->time.now_ms, 1 << 30, &worked,
                                           &fixture->diag);
    note_promises(fixture, promise);
    return !err_failed(err);
}

static void check_promises(struct fixture *fixture, struct promise *promise)
{
    if (!open_logs(fixture, promise))
        fail_msg("%s", fixture->diag.text);
    for (int i = 0; i < LOG_COUNT; i++) {
        struct log *log = promise->logs[i];
        struct diag diag;
        if (log_damage(log, &diag))
            fail_msg("%s", diag.text);
        if (strstr(fixture->report, "snapshot at offset") != NULL)
            fail_msg("%s", fixture->report);
        assert_true(log_end_offset(log) >= promise->durable[i]);
        assert_true(log_start_offset(log) >= promise->start[i]);
        int64_t end = log_end_offset(log);
        assert_int_equal(fixture_check_log(log, end, 1000), end);
    }
}

/* The last offset of the batch at a position; -1 where none begins there. */
static int64_t last_offset_at(struct span segment, int64_t position)
{
    struct batch_header header;
    if (position < 0 || (uint64_t)position >= segment.size)
        return -1;
    struct span rest = span_make(segment.data + position, segment.size - (size_t)position);
    return batch_parse(rest, &header) == BATCH_FINE ? batch_last_offset(&header) : -1;
}

/* An index as Kafka's own tool checks it: each entry points at the batch that it names. */
static struct err check_index(void *context, const char *name, bool is_dir)
{
    struct mem_disk *disk = context;
    char path[STORE_PATH_SIZE];
    size_t index_size;
    size_t segment_size;
    const char *dot = strrchr(name, '.');
    if (is_dir || dot == NULL || strcmp(dot, ".index") != 0)
        return ERR_NONE;
    (void)snprintf(path, sizeof path, "/data/topic-0/%s", name);
    const uint8_t *index = mem_disk_bytes(disk, path, &index_size);
    (void)snprintf(strrchr(path, '.'), 10, ".log");
    const uint8_t *segment = mem_disk_bytes(disk, path, &segment_size);
    assert_non_null(index);
    assert_non_null(segment);
    assert_int_equal(index_size % 8, 0);
    for (size_t at = 0; at < index_size; at += 8) {
        int64_t offset = strtoll(name, NULL, 10) + load_i32(index + at);
        int64_t position = load_i32(index + at + 4);
        assert_int_equal(last_offset_at(span_make(segment, segment_size), position), offset);
    }
    return ERR_NONE;
}

/* A process that wrote a little, made a checkpoint and was killed: the next one has another epoch.
 */
static void live_an_epoch(struct fixture *fixture, struct promise *promise)
{
    fixture_open(fixture);
    assert_true(open_logs(fixture, promise));
    assert_true(work_round(fixture, promise, 0));
    fixture->time.now_ms += fixture->options.checkpoint_interval_ms;
    fixture_work(fixture);
    close_logs(promise);
    store_abandon(fixture->store);
    mem_disk_crash(fixture->disk, MEM_DISK_LOSE_NONE);
}

/* The workload with the power out at the given sync, twice: recovery is cut short too. False where
 * the workload came to its end before. */
static bool crash_at(uint32_t sync, uint32_t sync_again, const enum mem_disk_loss losses[2])
{
    struct fixture fixture;
    struct promise promise = {0};
    fixture_init(&fixture, sync * 7 + sync_again);
    fixture.options.checkpoint_size = 2000;
    live_an_epoch(&fixture, &promise);
    fixture_open(&fixture);
    assert_true(open_logs(&fixture, &promise));
    mem_disk_power_off(fixture.disk, sync);
    for (int round = 0; round < 12 && work_round(&fixture, &promise, round); round++)
        ;
    bool was_off = mem_disk_is_off(fixture.disk);
    close_logs(&promise);
    store_abandon(fixture.store);
    mem_disk_crash(fixture.disk, losses[0]);
    mem_disk_power_off(fixture.disk, sync_again);
    struct store *store;
    if (!err_failed(store_open(&fixture.options, &store, &fixture.diag))) {
        fixture.store = store;
        struct store_flush_result result;
        if (open_logs(&fixture, &promise)) {
            note_promises(&fixture, &promise);
            (void)!err_failed(store_flush_step(store, &result, &fixture.diag));
        }
        note_promises(&fixture, &promise);
        close_logs(&promise);
        store_abandon(store);
    }
    mem_disk_crash(fixture.disk, losses[1]);
    fixture_open(&fixture);
    check_promises(&fixture, &promise);
    for (int round = 0; round < 3; round++)
        assert_true(work_round(&fixture, &promise, round));
    close_logs(&promise);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_true(store_was_clean(fixture.store));
    check_promises(&fixture, &promise);
    close_logs(&promise);
    fixture_close(&fixture);
    assert_ok(dir_list(fixture.options.files, "/data/topic-0", check_index, fixture.disk));
    fixture_deinit(&fixture);
    return was_off;
}

static void W2_power_cut_at_every_sync_keeps_what_was_durable(void **state)
{
    (void)state;
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_ALL, MEM_DISK_LOSE_ALL};
    for (uint32_t sync = 1; crash_at(sync, 1 + sync % 5, losses); sync++)
        assert_true(sync < 10000);
}

static void W2_torn_writes_at_every_sync_keep_what_was_durable(void **state)
{
    (void)state;
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_SOME, MEM_DISK_LOSE_SOME};
    for (uint32_t sync = 1; crash_at(sync, 1 + sync % 7, losses); sync++)
        assert_true(sync < 10000);
}

static void kill_at_every_sync_keeps_everything_written(void **state)
{
    (void)state;
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_NONE, MEM_DISK_LOSE_NONE};
    for (uint32_t sync = 1; crash_at(sync, 1 + sync % 3, losses); sync++)
        assert_true(sync < 10000);
}

static void W2_power_cut_after_a_kill_keeps_what_recovery_called_durable(void **state)
{
    (void)state;
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_NONE, MEM_DISK_LOSE_ALL};
    for (uint32_t sync = 1; crash_at(sync, 1 + sync % 13, losses); sync++)
        assert_true(sync < 10000);
}

/* A store with one flushed, checkpointed log of several segments, abandoned. */
static void make_checkpointed(struct fixture *fixture)
{
    fixture_init(fixture, 1);
    fixture_open(fixture);
    const struct log_setup setup = small_setup(0);
    struct log *log = fixture_log_with(fixture, &setup);
    for (int i = 0; i < 40; i++)
        fixture_append(fixture, log, 3);
    fixture_flush(fixture);
    fixture->time.now_ms += 3600 * 1000;
    fixture_work(fixture);
    fixture_append(fixture, log, 3);
    fixture_flush(fixture);
    log_unref(log);
}

static void torn_tail_is_cut_with_a_sentence(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    fixture_append(&fixture, log, 3);
    fixture_flush(&fixture);
    log_unref(log);
    size_t size;
    uint8_t *bytes = mem_disk_bytes(fixture.disk, "/data/topic-0/00000000000000000000.log", &size);
    assert_non_null(bytes);
    bytes[size - 1] ^= 1;
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log(&fixture, 0);
    assert_int_equal(log_end_offset(log), 3);
    assert_int_equal(fixture.report_count, 1);
    assert_non_null(strstr(fixture.report, "topic-0: segment 0 is cut at byte"));
    struct store_stats stats;
    store_read_stats(fixture.store, &stats);
    assert_int_equal(stats.size_truncated, size / 2);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void intact_batch_of_another_place_is_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    fixture_append(&fixture, log, 3);
    log_unref(log);
    size_t size;
    uint8_t *bytes = mem_disk_bytes(fixture.disk, "/data/topic-0/00000000000000000000.log", &size);
    /* Base offset and leader epoch lie outside the CRC. */
    uint8_t *second = bytes + size / 2;
    second[BATCH_AT_BASE_OFFSET + 7] = 9;
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log(&fixture, 0);
    assert_int_equal(log_end_offset(log), 3);
    assert_non_null(strstr(fixture.report, "its offset does not follow"));
    fixture_append(&fixture, log, 3);
    log_unref(log);
    bytes = mem_disk_bytes(fixture.disk, "/data/topic-0/00000000000000000000.log", &size);
    second = bytes + size / 2;
    second[BATCH_AT_LEADER_EPOCH + 3] = 77;
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log(&fixture, 0);
    assert_int_equal(log_end_offset(log), 3);
    assert_non_null(strstr(fixture.report, "its leader epoch cannot be"));
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void power_cut_after_a_clean_start_is_no_clean_end(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    log_unref(log);
    fixture_close(&fixture);
    fixture_open(&fixture);
    log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 3);
    fixture_flush(&fixture);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    assert_false(store_was_clean(fixture.store));
    log = fixture_log(&fixture, 0);
    assert_int_equal(log_end_offset(log), 6);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void many_segments_of_many_logs_are_flushed_together(void **state)
{
    (void)state;
    enum { COUNT = STORE_SYNCFS_COUNT + 1 };
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log_setup setup = small_setup(0);
    setup.config.segment_size = 200;
    struct log *logs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        setup.partition = i;
        logs[i] = fixture_log_with(&fixture, &setup);
        for (int k = 0; k < (i == 0 ? 30 : 1); k++)
            fixture_append(&fixture, logs[i], 1);
    }
    uint32_t sync_count = mem_disk_sync_count(fixture.disk);
    fixture_flush(&fixture);
    assert_true(mem_disk_sync_count(fixture.disk) - sync_count < 100);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(log_durable_offset(logs[i]), i == 0 ? 30 : 1);
        log_unref(logs[i]);
    }
    fixture_crash(&fixture, MEM_DISK_LOSE_ALL);
    setup.partition = 0;
    logs[0] = fixture_log_with(&fixture, &setup);
    assert_int_equal(fixture_check_log(logs[0], 30, 1000), 30);
    log_unref(logs[0]);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void damage_below_the_checkpoint_quarantines_that_log_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    make_checkpointed(&fixture);
    struct log *other = fixture_log(&fixture, 1);
    fixture_append(&fixture, other, 3);
    log_unref(other);
    const char *path = "/data/topic-0/00000000000000000105.log";
    size_t size;
    assert_non_null(mem_disk_bytes(fixture.disk, path, &size));
    store_abandon(fixture.store);
    mem_disk_crash(fixture.disk, MEM_DISK_LOSE_NONE);
    assert_true(mem_disk_resize(fixture.disk, path, 100));
    fixture_open(&fixture);
    const struct log_setup setup = small_setup(0);
    struct log *log = fixture_log_with(&fixture, &setup);
    struct diag diag;
    assert_true(log_damage(log, &diag));
    assert_non_null(strstr(diag.text, "topic-0: segment 105 has 100 bytes"));
    assert_true(err_is(fixture_append_at(&fixture, log, 1, 10, 1), ERR_CORRUPT));
    const struct log_read read = {.offset = 0, .offset_below = 1, .size_max = 100};
    struct log_slice slice;
    assert_true(err_is(log_read(log, &read, &slice, NULL), ERR_CORRUPT));
    assert_non_null(mem_disk_bytes(fixture.disk, path, &size));
    assert_int_equal(size, 100);
    other = fixture_log(&fixture, 1);
    assert_false(log_damage(other, NULL));
    assert_int_equal(log_end_offset(other), 3);
    log_unref(log);
    log_unref(other);
    assert_true(err_is(store_close(fixture.store, &fixture.diag), ERR_CORRUPT));
    fixture_deinit(&fixture);
}

/* What a visitor saw. */
struct seen {
    int64_t snapshot_offset;
    char snapshot[32];
    int64_t first_offset;
    int64_t last_offset;
    uint32_t batch_count;
};

static struct err see_snapshot(void *context, int64_t offset, struct span bytes)
{
    struct seen *seen = context;
    seen->snapshot_offset = offset;
    memcpy(seen->snapshot, bytes.data, bytes.size);
    return ERR_NONE;
}

static struct err see_batch(void *context, const struct batch_header *header, struct span batch)
{
    struct seen *seen = context;
    assert_int_equal(batch.size, header->size);
    if (seen->batch_count++ == 0)
        seen->first_offset = header->base_offset;
    seen->last_offset = batch_last_offset(header);
    return ERR_NONE;
}

static struct err give_snapshot(void *context, struct buf *out, int64_t *offset)
{
    *offset = log_end_offset(*(struct log **)context);
    return buf_append(out, "producers", 9);
}

static void recovery_shows_the_snapshot_and_what_follows_it(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = NULL;
    struct seen seen = {0};
    struct log_setup setup = small_setup(0);
    setup.listener.context = &log;
    setup.listener.snapshot = give_snapshot;
    setup.visitor.context = &seen;
    setup.visitor.snapshot = see_snapshot;
    setup.visitor.batch = see_batch;
    log = fixture_log_with(&fixture, &setup);
    for (int i = 0; i < 40; i++)
        fixture_append(&fixture, log, 3);
    fixture_flush(&fixture);
    fixture_work(&fixture);
    for (int i = 0; i < 5; i++)
        fixture_append(&fixture, log, 3);
    log_unref(log);
    assert_int_equal(seen.batch_count, 0);
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(seen.snapshot_offset, 120);
    assert_string_equal(seen.snapshot, "producers");
    assert_int_equal(seen.batch_count, 5);
    assert_int_equal(seen.first_offset, 120);
    assert_int_equal(seen.last_offset, 134);
    log_unref(log);
    size_t size;
    uint8_t *bytes =
        mem_disk_bytes(fixture.disk, "/data/topic-0/00000000000000000120.snapshot", &size);
    assert_non_null(bytes);
    bytes[size - 1] ^= 1;
    seen = (struct seen){0};
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log_with(&fixture, &setup);
    assert_int_equal(seen.batch_count, 45);
    assert_int_equal(seen.first_offset, 0);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_tail_is_cut_with_a_sentence),
        cmocka_unit_test(damage_below_the_checkpoint_quarantines_that_log_alone),
        cmocka_unit_test(recovery_shows_the_snapshot_and_what_follows_it),
        cmocka_unit_test(W2_power_cut_at_every_sync_keeps_what_was_durable),
        cmocka_unit_test(W2_torn_writes_at_every_sync_keep_what_was_durable),
        cmocka_unit_test(many_segments_of_many_logs_are_flushed_together),
        cmocka_unit_test(intact_batch_of_another_place_is_cut),
        cmocka_unit_test(power_cut_after_a_clean_start_is_no_clean_end),
        cmocka_unit_test(W2_power_cut_after_a_kill_keeps_what_recovery_called_durable),
        cmocka_unit_test(kill_at_every_sync_keeps_everything_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
