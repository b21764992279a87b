/*
 * storage_seeds: inputs from which the fuzzers of batches, codecs and data folders begin.
 *
 *     storage_seeds BATCH_DIR COMPRESS_DIR STORE_DIR    all of them exist
 */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "fuzz/store_world.h"
#include "record/build.h"
#include "storage/manifest_internal.h"

#define PATH_SIZE 4096

static void write_seed(const char *dir, const char *name, uint8_t choice, struct span bytes)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s-%u", dir, name, choice);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fputc(choice, file) == choice);
    CHECK(fwrite(bytes.data, 1, bytes.size, file) == bytes.size);
    CHECK(fclose(file) == 0);
}

static void write_batches(const char *dir)
{
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        struct buf buf;
        struct buf headers;
        struct span batch;
        struct batch_builder builder;
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        options.codec = (enum compression)codec;
        buf_init(&buf, 1 << 20);
        buf_init(&headers, 1 << 10);
        CHECK(!err_failed(record_header_append(&headers, span_text("name"), SPAN_NULL)));
        batch_build_begin(&builder, &options, &buf);
        for (int i = 0; i < 5; i++) {
            const struct record record = {.timestamp = 1700000000000 + i,
                                          .key = i == 2 ? SPAN_NULL : span_text("key"),
                                          .value = i == 3 ? SPAN_NULL : span_text("some value"),
                                          .headers = i == 1 ? buf_span(&headers) : SPAN_NULL,
                                          .header_count = i == 1};
            CHECK(!err_failed(batch_build_add(&builder, &record)));
        }
        CHECK(!err_failed(batch_build_end(&builder, &batch, NULL)));
        for (uint8_t choice = 1; choice < 32; choice = (uint8_t)(choice * 2 + 1))
            write_seed(dir, compression_name(options.codec), choice, batch);
        buf_deinit(&buf);
        buf_deinit(&headers);
    }
}

static void write_compressed(const char *dir)
{
    struct span text = span_text("some words some words some words and some other words");
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        struct buf buf;
        buf_init(&buf, 1 << 20);
        enum compression choice = (enum compression)codec;
        CHECK(!err_failed(compress_append(choice, COMPRESSION_LEVEL_DEFAULT, text, &buf)));
        write_seed(dir, compression_name(choice), (uint8_t)(codec * 2), buf_span(&buf));
        write_seed(dir, compression_name(choice), (uint8_t)(codec * 2 + 1), text);
        buf_deinit(&buf);
    }
}

static void write_file(const char *dir, struct mem_disk *disk, const char *path, uint8_t choice)
{
    size_t size;
    const uint8_t *bytes = mem_disk_bytes(disk, path, &size);
    CHECK(bytes != NULL);
    write_seed(dir, strrchr(path, '/') + 1, choice, span_make(bytes, size));
}

/* Takes kind and body out of each frame and puts a byte of size before them, as store_fuzz reads.
 */
static void add_entries(struct buf *buf, struct span frames)
{
    for (size_t at = 0; at < frames.size;) {
        size_t body = load_u32(frames.data + at);
        uint8_t first = (uint8_t)body;
        CHECK(first == body);
        CHECK(!err_failed(buf_append(buf, &first, 1)));
        CHECK(!err_failed(buf_append(buf, frames.data + at + FRAME_SIZE, body)));
        at += frame_pad(FRAME_SIZE + body);
    }
}

/* What a compaction of the world's log would write, into either of the segment's names. */
static void write_compacted(const char *dir, struct mem_disk *disk, struct span entries,
                            uint32_t copy)
{
    size_t size;
    CHECK(mem_disk_bytes(disk, WORLD_LOG_PATH, &size) != NULL);
    const struct manifest_entry facts[] = {
        {.kind = MANIFEST_REPLACE,
         .id = {.topic_id = world_topic_id},
         .segment = {.next_offset = WORLD_END_OFFSET, .size = (int64_t)size},
         .copy = copy},
        {.kind = MANIFEST_COMPACTED,
         .id = {.topic_id = world_topic_id},
         .offset = WORLD_END_OFFSET,
         .horizon_ms = -1},
    };
    struct buf frames;
    struct buf buf;
    buf_init(&frames, 1 << 20);
    buf_init(&buf, 1 << 20);
    CHECK(!err_failed(buf_append(&buf, entries.data, entries.size)));
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        CHECK(!err_failed(manifest_encode(&facts[i], &frames)));
    add_entries(&buf, buf_span(&frames));
    write_seed(dir, copy == 0 ? "compacted" : "compacted-copy", 5, buf_span(&buf));
    buf_deinit(&buf);
    buf_deinit(&frames);
}

static void write_entries(const char *dir, struct mem_disk *disk)
{
    size_t size;
    const uint8_t *bytes = mem_disk_bytes(disk, WORLD_MANIFEST_PATH, &size);
    struct buf buf;
    buf_init(&buf, 1 << 20);
    CHECK(size >= MANIFEST_HEADER_SIZE);
    add_entries(&buf, span_make(bytes + MANIFEST_HEADER_SIZE, size - MANIFEST_HEADER_SIZE));
    write_seed(dir, "entries", 5, buf_span(&buf));
    write_seed(dir, "entries", 138, buf_span(&buf));
    write_compacted(dir, disk, buf_span(&buf), 0);
    write_compacted(dir, disk, buf_span(&buf), 1);
    buf_deinit(&buf);
}

static void write_files(const char *dir)
{
    struct mem_disk *disk = world_create(true);
    write_file(dir, disk, WORLD_LOG_PATH, 0);
    write_file(dir, disk, WORLD_LOG_PATH, 1);
    write_file(dir, disk, WORLD_INDEX_PATH, 2);
    write_file(dir, disk, WORLD_TIME_INDEX_PATH, 3);
    write_file(dir, disk, WORLD_MANIFEST_PATH, 4);
    write_file(dir, disk, WORLD_SNAPSHOT_PATH, 6);
    write_entries(dir, disk);
    mem_disk_destroy(disk);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: storage_seeds BATCH_DIR COMPRESS_DIR STORE_DIR\n");
        return 2;
    }
    write_batches(argv[1]);
    write_compressed(argv[2]);
    write_files(argv[3]);
    return 0;
}
