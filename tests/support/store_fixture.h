/*
 * store_fixture: a store on a disk in memory, and records to put into it, for the tests of
 * src/storage.
 */
#ifndef HEADRACE_TESTS_SUPPORT_STORE_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "record/build.h"
#include "storage/storage.h"
#include "support/fail_alloc.h"
#include "support/mem_disk.h"

/* A clock that stands still until it is told otherwise. */
struct fixture_time {
    struct os_clock clock;
    int64_t now_ms;
};

struct fixture {
    struct mem_disk *disk;
    struct fixture_time time;
    struct os_random random;
    uint64_t random_state;
    struct store_options options;
    struct store *store;
    struct diag diag;
    uint32_t report_count;
    uint32_t offline_count;
    char report[DIAG_TEXT_MAX]; /* the last one */
};

static inline int64_t fixture_mono_us(void *self)
{
    return ((struct fixture_time *)self)->now_ms * 1000;
}

static inline int64_t fixture_wall_ms(void *self)
{
    return ((struct fixture_time *)self)->now_ms;
}

static inline void fixture_fill(void *self, void *bytes, size_t size)
{
    struct fixture *fixture = self;
    for (size_t i = 0; i < size; i++) {
        fixture->random_state = fixture->random_state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)bytes)[i] = (uint8_t)(fixture->random_state >> 56);
    }
}

static inline void fixture_report(void *context, const char *sentence)
{
    struct fixture *fixture = context;
    fixture->report_count++;
    (void)snprintf(fixture->report, sizeof fixture->report, "%s", sentence);
}

static inline void fixture_offline(void *context, const char *sentence)
{
    (void)sentence;
    ((struct fixture *)context)->offline_count++;
}

static inline void fixture_init(struct fixture *fixture, uint64_t seed)
{
    *fixture = (struct fixture){.disk = mem_disk_create(seed), .random_state = seed};
    fixture->time.now_ms = 1700000000000;
    fixture->time.clock = (struct os_clock){
        .self = &fixture->time, .mono_us = fixture_mono_us, .wall_ms = fixture_wall_ms};
    fixture->random = (struct os_random){.self = fixture, .fill = fixture_fill};
    fixture->options = STORE_OPTIONS_DEFAULT;
    fixture->options.dir = "/data";
    fixture->options.clock = &fixture->time.clock;
    fixture->options.files = mem_disk_files(fixture->disk);
    fixture->options.random = &fixture->random;
    fixture->options.events.context = fixture;
    fixture->options.events.report = fixture_report;
    fixture->options.events.offline = fixture_offline;
}

static inline void fixture_deinit(struct fixture *fixture)
{
    assert_int_equal(mem_disk_open_count(fixture->disk), 0);
    mem_disk_destroy(fixture->disk);
}

static inline void assert_ok(struct err err)
{
    if (err_failed(err))
        fail_msg("%s", err_text(err));
}

static inline void fixture_open(struct fixture *fixture)
{
    diag_clear(&fixture->diag);
    struct err err = store_open(&fixture->options, &fixture->store, &fixture->diag);
    if (err_failed(err))
        fail_msg("%s: %s", err_text(err), fixture->diag.text);
}

static inline void fixture_close(struct fixture *fixture)
{
    diag_clear(&fixture->diag);
    struct err err = store_close(fixture->store, &fixture->diag);
    if (err_failed(err))
        fail_msg("%s: %s", err_text(err), fixture->diag.text);
    fixture->store = NULL;
}

/* The store as a crash leaves it, opened again. */
static inline void fixture_crash(struct fixture *fixture, enum mem_disk_loss loss)
{
    store_abandon(fixture->store);
    mem_disk_crash(fixture->disk, loss);
    fixture_open(fixture);
}

static inline struct log_setup fixture_setup(int32_t partition)
{
    return (struct log_setup){.topic_id = {{1, 2, 3}},
                              .topic = span_text("topic"),
                              .partition = partition,
                              .config = LOG_CONFIG_DEFAULT};
}

static inline struct log *fixture_log_with(struct fixture *fixture, const struct log_setup *setup)
{
    struct log *log;
    diag_clear(&fixture->diag);
    struct err err = store_open_log(fixture->store, setup, &log, &fixture->diag);
    if (err_failed(err))
        fail_msg("%s: %s", err_text(err), fixture->diag.text);
    return log;
}

static inline struct log *fixture_log(struct fixture *fixture, int32_t partition)
{
    const struct log_setup setup = fixture_setup(partition);
    return fixture_log_with(fixture, &setup);
}

/* A batch of record_count records whose values are value_size bytes made of their offsets. */
static inline struct err fixture_append_at(struct fixture *fixture, struct log *log,
                                           int32_t record_count, size_t value_size,
                                           int64_t timestamp)
{
    struct buf buf;
    buf_init(&buf, SIZE_MAX / 2);
    uint8_t value[4096];
    CHECK(value_size <= sizeof value);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = log_end_offset(log);
    options.leader_epoch = store_leader_epoch(fixture->store);
    struct batch_builder builder;
    fail_alloc_pause();
    batch_build_begin(&builder, &options, &buf);
    for (int32_t i = 0; i < record_count; i++) {
        memset(value, (int)((options.base_offset + i) % 251), value_size);
        const struct record record = {.timestamp = timestamp + i,
                                      .value = span_make(value, value_size)};
        assert_ok(batch_build_add(&builder, &record));
    }
    struct span batch;
    struct batch_header header;
    assert_ok(batch_build_end(&builder, &batch, &header));
    fail_alloc_resume();
    diag_clear(&fixture->diag);
    struct err err = log_append(log, batch, &header, &fixture->diag);
    buf_deinit(&buf);
    return err;
}

static inline void fixture_append(struct fixture *fixture, struct log *log, int32_t record_count)
{
    struct err err = fixture_append_at(fixture, log, record_count, 100, fixture->time.now_ms);
    if (err_failed(err))
        fail_msg("%s: %s", err_text(err), fixture->diag.text);
}

static inline void fixture_flush(struct fixture *fixture)
{
    struct store_flush_result result;
    do
        assert_ok(store_flush_step(fixture->store, &result, &fixture->diag));
    while (result.is_more);
}

/* All background work that is due. */
static inline void fixture_work(struct fixture *fixture)
{
    struct store_background_result result;
    do
        assert_ok(store_background_step(fixture->store, fixture->time.now_ms, 1 << 30, &result,
                                        &fixture->diag));
    while (result.is_more);
}

/* Reads the log from its start to `end` and checks each record against what was appended, and what
 * the log says of leader epochs against each batch. */
static inline int64_t fixture_check_log(struct log *log, int64_t end, size_t read_size)
{
    int64_t offset = log_start_offset(log);
    while (offset < end) {
        const struct log_read read = {
            .offset = offset, .offset_below = end, .size_max = read_size, .is_one_needed = true};
        struct log_slice slice;
        struct diag diag = {""};
        struct err err = log_read(log, &read, &slice, &diag);
        if (err_failed(err))
            fail_msg("%s: %s", err_text(err), diag.text);
        if (slice.size == 0)
            return offset;
        uint8_t *bytes = malloc(slice.size);
        assert_ok(slice_read(&slice, 0, bytes, slice.size));
        for (size_t at = 0; at < slice.size;) {
            struct batch_header header;
            struct batch_walk walk;
            struct record record;
            bool is_end = false;
            struct span batch = span_make(bytes + at, slice.size - at);
            assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
            assert_int_equal(log_epoch_at(log, offset), header.leader_epoch);
            assert_ok(batch_walk_begin(&walk, batch, NULL));
            while (!is_end) {
                assert_ok(batch_walk_next(&walk, &record, &is_end));
                if (is_end || record.offset < offset)
                    continue;
                assert_int_equal(record.offset, offset);
                assert_int_equal(record.value.data[0], offset % 251);
                offset++;
            }
            at += header.size;
        }
        free(bytes);
        slice_unref(&slice);
    }
    return offset;
}

#endif
