/* find_time_test: the answers to ListOffsets and OffsetForLeaderEpoch, against a plain list. */
#include "support/store_fixture.h"

#define RECORD_COUNT 4000
#define BATCH_COUNT_MAX 40

static int64_t times[RECORD_COUNT];
static bool is_border[RECORD_COUNT + 1]; /* a batch ends below this offset */

/* Appends batches of one to forty records, of every codec, with timestamps that go back and forth;
 * notes them in `times`. */
static void fill_log(struct fixture *fixture, struct log *log, int32_t count_before)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    int32_t at = count_before;
    for (int i = 0; at < RECORD_COUNT; i++) {
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        options.base_offset = at;
        options.leader_epoch = store_leader_epoch(fixture->store);
        options.codec = (enum compression)(i % COMPRESSION_COUNT);
        struct batch_builder builder;
        buf_clear(&buf);
        batch_build_begin(&builder, &options, &buf);
        for (int k = 0; k <= i * 7 % BATCH_COUNT_MAX && at < RECORD_COUNT; k++, at++) {
            times[at] = 1000 + at * 10 + (at * 7919) % 300;
            const struct record record = {.timestamp = times[at], .value = span_text("text")};
            assert_ok(batch_build_add(&builder, &record));
        }
        struct span batch;
        struct batch_header header;
        assert_ok(batch_build_end(&builder, &batch, &header));
        assert_ok(log_append(log, batch, &header, &fixture->diag));
        is_border[at] = true;
    }
    buf_deinit(&buf);
}

static int64_t first_at(int64_t timestamp, int64_t from)
{
    for (int64_t i = from; i < RECORD_COUNT; i++) {
        if (times[i] >= timestamp)
            return i;
    }
    return -1;
}

static void check_times(struct log *log)
{
    struct buf scratch;
    struct log_time found;
    buf_init(&scratch, 1 << 20);
    int64_t start = log_start_offset(log);
    for (int64_t timestamp = 0; timestamp < 1000 + RECORD_COUNT * 10 + 400; timestamp += 37) {
        int64_t wanted = first_at(timestamp, start);
        struct err err = log_find_time(log, timestamp, &scratch, &found, NULL);
        if (wanted < 0) {
            assert_true(err_is(err, ERR_NOT_FOUND));
            continue;
        }
        assert_ok(err);
        assert_int_equal(found.offset, wanted);
        assert_int_equal(found.timestamp, times[wanted]);
        assert_int_equal(found.leader_epoch, log_epoch_at(log, wanted));
    }
    buf_deinit(&scratch);
}

/* The newest record below each border. */
static void check_newest(struct log *log)
{
    struct buf scratch;
    struct log_time found;
    buf_init(&scratch, 1 << 20);
    int64_t start = log_start_offset(log);
    int64_t latest = start;
    for (int64_t i = start; i < RECORD_COUNT; i++) {
        latest = times[i] > times[latest] ? i : latest;
        if (!is_border[i + 1])
            continue;
        assert_ok(log_find_time_max(log, i + 1, &scratch, &found, NULL));
        assert_int_equal(found.timestamp, times[latest]);
        assert_int_equal(found.offset, latest);
    }
    assert_true(err_is(log_find_time_max(log, start, &scratch, &found, NULL), ERR_NOT_FOUND));
    buf_deinit(&scratch);
}

static struct log_setup time_setup(void)
{
    struct log_setup setup = fixture_setup(0);
    setup.config.segment_size = 20000;
    setup.config.index_interval_size = 500;
    setup.config.retention_ms = -1;
    return setup;
}

static int64_t border_at(int64_t offset)
{
    while (!is_border[offset])
        offset++;
    return offset;
}

static void timestamps_find_exact_records(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    const struct log_setup setup = time_setup();
    struct log *log = fixture_log_with(&fixture, &setup);
    fill_log(&fixture, log, 0);
    check_times(log);
    check_newest(log);
    fixture_flush(&fixture);
    fixture.time.now_ms += 3600 * 1000;
    fixture_work(&fixture);
    check_times(log);
    check_newest(log);
    log_unref(log);
    fixture_close(&fixture);
    fixture_open(&fixture);
    log = fixture_log_with(&fixture, &setup);
    check_times(log);
    check_newest(log);
    uint64_t ticket;
    assert_ok(log_delete_records(log, border_at(1234), &ticket, &fixture.diag));
    check_times(log);
    check_newest(log);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log_with(&fixture, &setup);
    check_times(log);
    check_newest(log);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void lost_index_costs_time_not_answers(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    const struct log_setup setup = time_setup();
    struct log *log = fixture_log_with(&fixture, &setup);
    fill_log(&fixture, log, 0);
    log_unref(log);
    fixture_close(&fixture);
    assert_ok(file_remove(fixture.options.files, "/data/topic-0/00000000000000000000.index"));
    assert_true(mem_disk_resize(fixture.disk, "/data/topic-0/00000000000000000000.timeindex", 5));
    fixture_open(&fixture);
    log = fixture_log_with(&fixture, &setup);
    check_times(log);
    check_newest(log);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void empty_log_has_no_times(void **state)
{
    (void)state;
    struct fixture fixture;
    struct buf scratch;
    struct log_time found;
    buf_init(&scratch, 1000);
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    assert_true(err_is(log_find_time(log, 0, &scratch, &found, NULL), ERR_NOT_FOUND));
    assert_true(err_is(log_find_time_max(log, 0, &scratch, &found, NULL), ERR_NOT_FOUND));
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

static void assert_epoch_end(struct log *log, int32_t wanted, int32_t epoch, int64_t end)
{
    int32_t found;
    int64_t found_end;
    log_epoch_end(log, wanted, &found, &found_end);
    assert_int_equal(found, epoch);
    assert_int_equal(found_end, end);
}

/* Three epochs by two unclean starts: 0 with offsets below 10, 1 without any, 2 from 10 on. */
static void epochs_end_as_kafka_says(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    struct log *log = fixture_log(&fixture, 0);
    assert_epoch_end(log, 0, 0, 0);
    fixture_append(&fixture, log, 10);
    assert_epoch_end(log, 0, 0, 10);
    assert_epoch_end(log, 1, -1, -1);
    assert_epoch_end(log, -1, -1, -1);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log(&fixture, 0);
    assert_epoch_end(log, 0, 0, 10);
    assert_epoch_end(log, 1, 1, 10);
    log_unref(log);
    fixture_crash(&fixture, MEM_DISK_LOSE_NONE);
    log = fixture_log(&fixture, 0);
    fixture_append(&fixture, log, 5);
    assert_epoch_end(log, 0, 0, 10);
    assert_epoch_end(log, 1, 0, 10);
    assert_epoch_end(log, 2, 2, 15);
    assert_epoch_end(log, 3, -1, -1);
    assert_int_equal(log_epoch_at(log, 9), 0);
    assert_int_equal(log_epoch_at(log, 10), 2);
    assert_int_equal(log_epoch_at(log, 15), 2);
    log_unref(log);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_int_equal(store_leader_epoch(fixture.store), 2);
    log = fixture_log(&fixture, 0);
    assert_epoch_end(log, 0, 0, 10);
    assert_epoch_end(log, 2, 2, 15);
    uint64_t ticket;
    assert_ok(log_delete_records(log, 12, &ticket, NULL));
    assert_epoch_end(log, 0, 0, 12);
    log_unref(log);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_find_exact_records),
        cmocka_unit_test(lost_index_costs_time_not_answers),
        cmocka_unit_test(empty_log_has_no_times),
        cmocka_unit_test(epochs_end_as_kafka_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
