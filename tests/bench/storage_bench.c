/*
 * storage_bench: what the storage layer alone does on this machine.
 *
 *     storage_bench DIR append BATCH_SIZE TOTAL_MB     one log, a flush step every 64 batches
 *     storage_bench DIR sync BATCH_SIZE COUNT LOGS     each round: one batch to each log, one flush
 *     storage_bench DIR read READ_SIZE                 the log of `append`, whole
 *     storage_bench DIR fill LOGS                      one batch each, flushed, then a sudden end
 *     storage_bench DIR start LOGS                     opens what `fill` left, until it is durable
 *     storage_bench DIR empty LOGS                     memory of logs without records
 *     storage_bench DIR compact TOTAL_MB KEYS          writes keys at random, then compacts them
 *     storage_bench DIR mix COUNT                      small segments of every codec, for other
 * tools
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "record/build.h"
#include "storage/storage.h"

static struct store *store;

static void report(void *context, const char *sentence)
{
    (void)context;
    (void)fprintf(stderr, "%s\n", sentence);
}

static double now_s(void)
{
    return (double)clock_mono_us(os_real()->clock) / 1e6;
}

static void must(struct err err, const struct diag *diag)
{
    if (err_failed(err)) {
        (void)fprintf(stderr, "%s: %s\n", err_text(err), diag->text);
        exit(1);
    }
}

static void open_store(const char *dir)
{
    struct diag diag = {""};
    struct store_options options = STORE_OPTIONS_DEFAULT;
    options.dir = dir;
    options.clock = os_real()->clock;
    options.files = os_real()->files;
    options.random = os_real()->random;
    options.events.report = report;
    must(store_open(&options, &store, &diag), &diag);
}

static struct log *open_log(int32_t partition)
{
    struct diag diag = {""};
    struct log *log;
    const struct log_setup setup = {.topic_id = {{7}},
                                    .topic = span_text("bench"),
                                    .partition = partition,
                                    .config = LOG_CONFIG_DEFAULT};
    must(store_open_log(store, &setup, &log, &diag), &diag);
    return log;
}

static void flush(void)
{
    struct diag diag = {""};
    struct store_flush_result result;
    do
        must(store_flush_step(store, &result, &diag), &diag);
    while (result.is_more);
}

static void background(void)
{
    struct diag diag = {""};
    struct store_background_result result;
    must(store_background_step(store, clock_wall_ms(os_real()->clock), 1 << 26, &result, &diag),
         &diag);
}

static uint8_t *make_batch(size_t size, struct batch_header *header)
{
    struct buf buf;
    struct diag diag = {""};
    buf_init(&buf, SIZE_MAX / 2);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    uint8_t value[100];
    memset(value, 'x', sizeof value);
    const struct record record = {.timestamp = clock_wall_ms(os_real()->clock),
                                  .value = span_make(value, sizeof value)};
    struct span batch;
    batch_build_begin(&builder, &options, &buf);
    do
        must(batch_build_add(&builder, &record), &diag);
    while (buf.size < size);
    must(batch_build_end(&builder, &batch, header), &diag);
    return buf.data;
}

static void append(struct log *log, uint8_t *batch, struct batch_header *header)
{
    struct diag diag = {""};
    batch_patch_offset(batch, header, log_end_offset(log), store_leader_epoch(store));
    must(log_append(log, span_make(batch, header->size), header, &diag), &diag);
}

static void run_append(size_t batch_size, size_t total_mb)
{
    struct batch_header header;
    uint8_t *batch = make_batch(batch_size, &header);
    struct log *log = open_log(0);
    double begin = now_s();
    double appending = 0;
    size_t count = total_mb * 1024 * 1024 / header.size;
    for (size_t i = 0; i < count; i++) {
        double before = now_s();
        append(log, batch, &header);
        appending += now_s() - before;
        if (i % 64 == 63)
            flush();
        if (i % 1024 == 1023)
            background();
    }
    flush();
    double whole = now_s() - begin;
    double mb = (double)count * header.size / 1e6;
    (void)printf("append %u bytes: %.0f MB/s appending, %.0f MB/s with flushes, %.2f us each\n",
                 header.size, mb / appending, mb / whole, appending * 1e6 / (double)count);
    free(batch);
    log_unref(log);
}

static void run_sync(size_t batch_size, size_t count, int32_t log_count)
{
    struct batch_header header;
    uint8_t *batch = make_batch(batch_size, &header);
    struct log **logs = calloc((size_t)log_count, sizeof(struct log *));
    for (int32_t i = 0; i < log_count; i++)
        logs[i] = open_log(i);
    double begin = now_s();
    for (size_t i = 0; i < count; i++) {
        for (int32_t k = 0; k < log_count; k++)
            append(logs[k], batch, &header);
        flush();
    }
    double whole = now_s() - begin;
    (void)printf("sync %u bytes x %d logs: %.0f appends/s, %.3f ms a flush\n", header.size,
                 log_count, (double)count * log_count / whole, whole * 1e3 / (double)count);
    for (int32_t i = 0; i < log_count; i++)
        log_unref(logs[i]);
    free(logs);
    free(batch);
}

static void run_read(size_t read_size)
{
    struct diag diag = {""};
    struct log *log = open_log(0);
    uint8_t *bytes = malloc(64 * 1024 * 1024);
    int64_t offset = log_start_offset(log);
    int64_t end = log_end_offset(log);
    double size = 0;
    size_t count = 0;
    double begin = now_s();
    while (offset < end) {
        const struct log_read read = {
            .offset = offset, .offset_below = end, .size_max = read_size, .is_one_needed = true};
        struct log_slice slice;
        must(log_read(log, &read, &slice, &diag), &diag);
        must(slice_read(&slice, 0, bytes, slice.size), &diag);
        struct batch_header header;
        for (size_t at = 0; at < slice.size; at += header.size) {
            CHECK(batch_parse(span_make(bytes + at, slice.size - at), &header) == BATCH_FINE);
            offset = batch_last_offset(&header) + 1;
        }
        size += (double)slice.size;
        count++;
        slice_unref(&slice);
    }
    double whole = now_s() - begin;
    (void)printf("read %zu bytes: %.0f MB/s, %.2f us each\n", read_size, size / 1e6 / whole,
                 whole * 1e6 / (double)count);
    free(bytes);
    log_unref(log);
}

static void run_fill(int32_t log_count)
{
    struct batch_header header;
    uint8_t *batch = make_batch(1000, &header);
    for (int32_t i = 0; i < log_count; i++)
        append(open_log(i), batch, &header);
    flush();
    (void)fflush(NULL);
    _exit(0);
}

static void run_start(const char *dir, int32_t log_count)
{
    double begin = now_s();
    open_store(dir);
    double opened = now_s();
    for (int32_t i = 0; i < log_count; i++)
        (void)open_log(i);
    double recovered = now_s();
    flush();
    double durable = now_s();
    (void)printf("start %d logs: open %.1f ms, recover %.1f ms, flush %.1f ms, whole %.1f ms\n",
                 log_count, (opened - begin) * 1e3, (recovered - opened) * 1e3,
                 (durable - recovered) * 1e3, (durable - begin) * 1e3);
    (void)fflush(NULL);
    _exit(0);
}

static long resident_kb(void)
{
    char text[256];
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    (void)fclose(file);
    (void)sscanf(text, "%*d %ld", &pages);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void run_empty(int32_t log_count)
{
    long before = resident_kb();
    for (int32_t i = 0; i < log_count; i++)
        (void)open_log(i);
    long after = resident_kb();
    (void)printf("empty: %d logs take %ld KB, %ld bytes each\n", log_count, after - before,
                 (after - before) * 1024 / log_count);
    (void)fflush(NULL);
    _exit(0);
}

/* One batch of about 16 KiB: keys drawn at random, values of 100 bytes. */
static void append_keys(struct log *log, size_t key_count, uint64_t *random, struct buf *buf)
{
    struct diag diag = {""};
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = log_end_offset(log);
    options.leader_epoch = store_leader_epoch(store);
    struct batch_builder builder;
    struct span batch;
    struct batch_header header;
    char value[100] = "value";
    buf_clear(buf);
    batch_build_begin(&builder, &options, buf);
    while (buf->size < 16 * 1024) {
        *random = *random * 6364136223846793005U + 1442695040888963407U;
        char key[24];
        (void)snprintf(key, sizeof key, "key-%zu", (size_t)(*random >> 20) % key_count);
        const struct record record = {.timestamp = clock_wall_ms(os_real()->clock),
                                      .key = span_text(key),
                                      .value = span_make(value, sizeof value)};
        must(batch_build_add(&builder, &record), &diag);
    }
    must(batch_build_end(&builder, &batch, &header), &diag);
    must(log_append(log, batch, &header, &diag), &diag);
}

static void run_compact(size_t total_mb, size_t key_count)
{
    struct diag diag = {""};
    struct log *log;
    struct log_setup setup = {
        .topic_id = {{7}}, .topic = span_text("compact"), .config = LOG_CONFIG_DEFAULT};
    setup.config.segment_size = 64 * 1024 * 1024;
    setup.config.is_compacted = true;
    setup.config.is_deleted = false;
    must(store_open_log(store, &setup, &log, &diag), &diag);
    struct buf buf;
    uint64_t random = 1;
    buf_init(&buf, SIZE_MAX / 2);
    double begin = now_s();
    for (size_t i = 0; log_size(log) < (int64_t)total_mb * 1024 * 1024; i++) {
        append_keys(log, key_count, &random, &buf);
        if (i % 64 == 63)
            flush();
    }
    flush();
    buf_deinit(&buf);
    double written = now_s();
    double size_before = (double)log_size(log);
    long memory_before = resident_kb();
    long memory_max = 0;
    struct store_background_result result = {.is_more = true};
    while (result.is_more) {
        must(store_background_step(store, clock_wall_ms(os_real()->clock), 1 << 23, &result, &diag),
             &diag);
        long memory = resident_kb();
        memory_max = memory > memory_max ? memory : memory_max;
    }
    double whole = now_s() - written;
    (void)printf("compact: %.0f MB of %zu keys, written in %.2f s; to %.0f MB in %.2f s (%.2f), "
                 "%.1f MB of memory\n",
                 size_before / 1e6, key_count, written - begin, (double)log_size(log) / 1e6, whole,
                 whole / (written - begin), (double)(memory_max - memory_before) / 1e3);
    log_unref(log);
}

/* Batches of every codec with timestamps that go back and forth, in segments of 100 KB. */
static void run_mix(size_t count)
{
    struct diag diag = {""};
    struct log *log;
    struct log_setup setup = {
        .topic_id = {{7}}, .topic = span_text("mix"), .config = LOG_CONFIG_DEFAULT};
    setup.config.segment_size = 100 * 1000;
    must(store_open_log(store, &setup, &log, &diag), &diag);
    int64_t now_ms = clock_wall_ms(os_real()->clock);
    for (size_t i = 0; i < count; i++) {
        struct buf buf;
        buf_init(&buf, SIZE_MAX / 2);
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        options.codec = (enum compression)(i % COMPRESSION_COUNT);
        options.base_offset = log_end_offset(log);
        options.leader_epoch = store_leader_epoch(store);
        struct batch_builder builder;
        batch_build_begin(&builder, &options, &buf);
        for (size_t k = 0; k < 1 + i % 40; k++) {
            const struct record record = {
                .timestamp = now_ms + (int64_t)(i * 10 + (k * 7 + i * 31) % 97),
                .key = span_make(&k, 1 + k % 8),
                .value = span_make("0123456789abcdefghijklmnopqrstuvwxyz", i % 36)};
            must(batch_build_add(&builder, &record), &diag);
        }
        struct span batch;
        struct batch_header header;
        must(batch_build_end(&builder, &batch, &header), &diag);
        must(log_append(log, batch, &header, &diag), &diag);
        buf_deinit(&buf);
    }
    flush();
    background();
    log_unref(log);
}

static size_t number(int argc, char **argv, int at)
{
    return at < argc ? strtoul(argv[at], NULL, 10) : 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(
            stderr, "usage: storage_bench DIR append|sync|read|fill|start|empty|compact|mix ...\n");
        return 2;
    }
    const char *what = argv[2];
    if (strcmp(what, "start") == 0)
        run_start(argv[1], (int32_t)number(argc, argv, 3));
    open_store(argv[1]);
    if (strcmp(what, "append") == 0)
        run_append(number(argc, argv, 3), number(argc, argv, 4));
    else if (strcmp(what, "sync") == 0)
        run_sync(number(argc, argv, 3), number(argc, argv, 4), (int32_t)number(argc, argv, 5));
    else if (strcmp(what, "read") == 0)
        run_read(number(argc, argv, 3));
    else if (strcmp(what, "fill") == 0)
        run_fill((int32_t)number(argc, argv, 3));
    else if (strcmp(what, "empty") == 0)
        run_empty((int32_t)number(argc, argv, 3));
    else if (strcmp(what, "compact") == 0)
        run_compact(number(argc, argv, 3), number(argc, argv, 4));
    else if (strcmp(what, "mix") == 0)
        run_mix(number(argc, argv, 3));
    struct diag diag = {""};
    must(store_close(store, &diag), &diag);
    return 0;
}
