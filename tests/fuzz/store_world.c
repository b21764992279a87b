/* store_world: see the header. */
#include "fuzz/store_world.h"

#include <string.h>

#include "base/check.h"
#include "record/build.h"

#define BATCH_COUNT 10
#define TIME_MS 1700000000000

static int64_t no_time(void *self)
{
    (void)self;
    return TIME_MS;
}

static void no_random(void *self, void *bytes, size_t size)
{
    (void)self;
    memset(bytes, 7, size);
}

static struct err see_snapshot(void *context, int64_t offset, struct span bytes)
{
    (void)context;
    CHECK(offset >= 0 && (bytes.size == 0 || bytes.data != NULL));
    return ERR_NONE;
}

static struct err see_batch(void *context, const struct batch_header *header, struct span batch)
{
    (void)context;
    CHECK(batch.size == header->size);
    return ERR_NONE;
}

static struct err give_snapshot(void *context, struct buf *out, int64_t *offset)
{
    *offset = log_end_offset(*(struct log **)context);
    return buf_append(out, "state", 5);
}

static struct err open_world(struct mem_disk *disk, struct store **store, struct log **log)
{
    static const struct os_clock clock = {.mono_us = no_time, .wall_ms = no_time};
    static const struct os_random random = {.fill = no_random};
    struct store_options options = STORE_OPTIONS_DEFAULT;
    struct diag diag = {""};
    options.dir = "/data";
    options.clock = &clock;
    options.random = &random;
    options.files = mem_disk_files(disk);
    TRY(store_open(&options, store, &diag));
    struct log_setup setup = {
        .topic_id = world_topic_id, .topic = span_text("topic"), .config = LOG_CONFIG_DEFAULT};
    setup.config.index_interval_size = 50;
    setup.listener.context = log;
    setup.listener.snapshot = give_snapshot;
    setup.visitor.snapshot = see_snapshot;
    setup.visitor.batch = see_batch;
    struct err err = store_open_log(*store, &setup, log, &diag);
    if (err_failed(err))
        store_abandon(*store);
    return err;
}

static struct err append(struct store *store, struct log *log, int32_t count)
{
    struct buf buf;
    struct span batch;
    struct batch_header header;
    struct batch_builder builder;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = log_end_offset(log);
    options.leader_epoch = store_leader_epoch(store);
    buf_init(&buf, 4096);
    batch_build_begin(&builder, &options, &buf);
    for (int32_t i = 0; i < count; i++) {
        const struct record record = {.timestamp = TIME_MS + options.base_offset + i,
                                      .value = span_text("value")};
        CHECK(!err_failed(batch_build_add(&builder, &record)));
    }
    CHECK(!err_failed(batch_build_end(&builder, &batch, &header)));
    struct err err = log_append(log, batch, &header, NULL);
    buf_deinit(&buf);
    return err;
}

struct mem_disk *world_create(bool is_clean)
{
    struct mem_disk *disk = mem_disk_create(1);
    struct store *store;
    struct log *log;
    CHECK(!err_failed(open_world(disk, &store, &log)));
    for (int32_t i = 0; i < BATCH_COUNT; i++)
        CHECK(!err_failed(append(store, log, 1 + i % 4)));
    CHECK(log_end_offset(log) == WORLD_END_OFFSET);
    log_unref(log);
    if (is_clean)
        CHECK(!err_failed(store_close(store, NULL)));
    else
        store_abandon(store);
    mem_disk_crash(disk, MEM_DISK_LOSE_NONE);
    return disk;
}

static void read_world(struct log *log)
{
    uint8_t bytes[64];
    struct log_slice slice;
    int64_t end = log_end_offset(log);
    for (int64_t offset = log_start_offset(log); offset < end && offset < 100; offset++) {
        const struct log_read read = {
            .offset = offset, .offset_below = end, .size_max = 300, .is_one_needed = true};
        if (err_failed(log_read(log, &read, &slice, NULL)))
            continue;
        size_t part = slice.size < sizeof bytes ? slice.size : sizeof bytes;
        (void)!err_failed(slice_read(&slice, 0, bytes, part));
        slice_unref(&slice);
    }
}

void world_use(struct mem_disk *disk)
{
    struct store *store;
    struct log *log;
    struct buf scratch;
    struct log_time found;
    struct store_flush_result result;
    if (err_failed(open_world(disk, &store, &log)))
        return;
    buf_init(&scratch, 1 << 20);
    read_world(log);
    for (int64_t timestamp = TIME_MS - 1; timestamp < TIME_MS + 30; timestamp += 3)
        (void)!err_failed(log_find_time(log, timestamp, &scratch, &found, NULL));
    (void)!err_failed(log_find_time_max(log, 20, &scratch, &found, NULL));
    if (log_end_offset(log) < INT32_MAX)
        (void)!err_failed(append(store, log, 2));
    (void)!err_failed(store_flush_step(store, &result, NULL));
    read_world(log);
    buf_deinit(&scratch);
    log_unref(log);
    (void)!err_failed(store_close(store, NULL));
}

void world_replace(struct mem_disk *disk, const char *path, struct span bytes)
{
    size_t size;
    CHECK(mem_disk_resize(disk, path, bytes.size));
    uint8_t *there = mem_disk_bytes(disk, path, &size);
    if (size != 0)
        memcpy(there, bytes.data, size);
}
