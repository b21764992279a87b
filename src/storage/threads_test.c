/*
 * threads_test: appenders, readers, a flusher, a background worker and a deleter at the same time,
 * on Linux's own files; one log is compacted all the while. For the thread sanitizer, and for what
 * only real threads find.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "support/store_fixture.h"

#define APPENDER_COUNT 2
#define BATCH_COUNT 1500
#define LOG_COUNT 4
#define COMPACTED 3 /* its records have no keys: hardly any stays */

/* What all threads share. */
struct work {
    struct fixture *fixture;
    struct log *logs[LOG_COUNT];
    struct os_mutex locks[LOG_COUNT]; /* the partitions' own, as the broker holds them */
    atomic_int next_appender;
    atomic_bool is_over;
};

static void append_all(void *argument)
{
    struct work *work = argument;
    int self = atomic_fetch_add(&work->next_appender, 1);
    struct fixture local = *work->fixture;
    for (int i = 0; i < BATCH_COUNT; i++) {
        int at = (i + self) % LOG_COUNT;
        os_mutex_lock(&work->locks[at]);
        fixture_append(&local, work->logs[at], 1 + i % 5);
        os_mutex_unlock(&work->locks[at]);
    }
}

static void flush_all(void *argument)
{
    struct work *work = argument;
    struct store_flush_result result;
    while (!atomic_load(&work->is_over))
        assert_ok(store_flush_step(work->fixture->store, &result, NULL));
}

static void clean_all(void *argument)
{
    struct work *work = argument;
    struct store_background_result result;
    int64_t now_ms = clock_wall_ms(os_real()->clock);
    while (!atomic_load(&work->is_over)) {
        now_ms += 3600 * 1000;
        assert_ok(store_background_step(work->fixture->store, now_ms, 1 << 20, &result, NULL));
        uint64_t ticket;
        int64_t below = log_durable_offset(work->logs[2]) / 2;
        assert_ok(log_delete_records(work->logs[2], below, &ticket, NULL));
    }
}

/* Reads what compaction has left: batches whose offsets rise, whole and as they were written. */
static void check_compacted(struct log *log, int64_t end)
{
    int64_t offset = log_start_offset(log);
    while (offset < end) {
        const struct log_read read = {
            .offset = offset, .offset_below = end, .size_max = 20000, .is_one_needed = true};
        struct log_slice slice;
        assert_ok(log_read(log, &read, &slice, NULL));
        uint8_t *bytes = malloc(slice.size + 1);
        assert_ok(slice_read(&slice, 0, bytes, slice.size));
        struct batch_header header;
        for (size_t at = 0; at < slice.size; at += header.size) {
            struct span batch = span_make(bytes + at, slice.size - at);
            assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
            assert_true(batch_last_offset(&header) >= offset);
            offset = batch_last_offset(&header) + 1;
        }
        bool is_empty = slice.size == 0;
        slice_unref(&slice);
        free(bytes);
        if (is_empty) /* nothing is left from there to the end */
            return;
    }
}

static void read_all(void *argument)
{
    struct work *work = argument;
    for (int i = 0; !atomic_load(&work->is_over); i++) {
        struct log *compacted = work->logs[COMPACTED];
        check_compacted(compacted, log_durable_offset(compacted));
        struct log *log = work->logs[i % 2];
        int64_t durable = log_durable_offset(log);
        assert_true(fixture_check_log(log, durable, 20000) == durable);
    }
}

static struct err remove_entry(void *context, const char *name, bool is_dir)
{
    char path[STORE_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir)
        return file_remove(os_real()->files, path);
    TRY(dir_list(os_real()->files, path, remove_entry, path));
    return dir_remove(os_real()->files, path);
}

static void fixture_init_real(struct fixture *fixture, char *dir)
{
    fixture_init(fixture, 1);
    fixture->options.dir = dir;
    fixture->options.clock = os_real()->clock;
    fixture->options.files = os_real()->files;
    fixture->options.random = os_real()->random;
    fixture->options.open_file_count_max = 6;
    fixture->options.checkpoint_size = 50 * 1000;
}

static struct log *open_small(struct fixture *fixture, int32_t partition)
{
    struct log_setup setup = fixture_setup(partition);
    setup.config.segment_size = 30 * 1000;
    setup.config.index_interval_size = 1000;
    setup.config.retention_ms = -1;
    setup.config.is_compacted = partition == COMPACTED;
    setup.config.dirty_ratio_min = 0;
    return fixture_log_with(fixture, &setup);
}

static void all_threads_at_once_keep_the_logs_whole(void **state)
{
    (void)state;
    const struct os_threads *threads = os_real()->threads;
    char dir[] = "/tmp/headrace-threads-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct fixture fixture;
    fixture_init_real(&fixture, dir);
    fixture_open(&fixture);
    struct work work = {.fixture = &fixture};
    for (int i = 0; i < LOG_COUNT; i++) {
        work.logs[i] = open_small(&fixture, i);
        os_mutex_init(&work.locks[i]);
    }
    struct os_thread *appenders[APPENDER_COUNT];
    struct os_thread *others[4];
    for (int i = 0; i < APPENDER_COUNT; i++)
        assert_ok(thread_start(threads, "append", append_all, &work, &appenders[i]));
    assert_ok(thread_start(threads, "flush", flush_all, &work, &others[0]));
    assert_ok(thread_start(threads, "flush", flush_all, &work, &others[1]));
    assert_ok(thread_start(threads, "clean", clean_all, &work, &others[2]));
    assert_ok(thread_start(threads, "read", read_all, &work, &others[3]));
    for (int i = 0; i < APPENDER_COUNT; i++)
        thread_join(threads, appenders[i]);
    atomic_store(&work.is_over, true);
    for (int i = 0; i < 4; i++)
        thread_join(threads, others[i]);
    int64_t ends[LOG_COUNT];
    for (int i = 0; i < LOG_COUNT; i++) {
        ends[i] = log_end_offset(work.logs[i]);
        log_unref(work.logs[i]);
        os_mutex_deinit(&work.locks[i]);
    }
    /* However few turns the background worker had. */
    fixture.time.now_ms = clock_wall_ms(os_real()->clock) + INT32_MAX;
    fixture_flush(&fixture);
    fixture_work(&fixture);
    fixture.time.now_ms += INT32_MAX;
    fixture_work(&fixture);
    struct store_stats stats;
    store_read_stats(fixture.store, &stats);
    assert_true(stats.compaction_count > 0);
    fixture_close(&fixture);
    fixture_open(&fixture);
    assert_true(store_was_clean(fixture.store));
    for (int i = 0; i < LOG_COUNT; i++) {
        struct log *log = open_small(&fixture, i);
        assert_int_equal(log_end_offset(log), ends[i]);
        if (i == COMPACTED)
            check_compacted(log, ends[i]);
        else
            assert_int_equal(fixture_check_log(log, ends[i], 20000), ends[i]);
        log_unref(log);
    }
    store_read_stats(fixture.store, &stats);
    assert_true(stats.open_file_count <= 6);
    fixture_close(&fixture);
    assert_ok(dir_list(os_real()->files, dir, remove_entry, dir));
    assert_int_equal(rmdir(dir), 0);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_at_once_keep_the_logs_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
