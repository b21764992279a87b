/*
 * store_fuzz: random bytes as one of the files of a data folder, which is then opened and used.
 *
 * The first byte chooses the file. The manifest also comes as a row of entries (a byte of size,
 * then kind and body) that get intact frames; batches of a segment get their CRC made right.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "fuzz/store_world.h"
#include "storage/manifest_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Keeps the header of the manifest that is there, and frames the entries behind it. */
static void frame_entries(struct mem_disk *disk, struct span bytes, struct buf *out)
{
    size_t size;
    const uint8_t *there = mem_disk_bytes(disk, WORLD_MANIFEST_PATH, &size);
    CHECK(size >= MANIFEST_HEADER_SIZE);
    CHECK(!err_failed(buf_append(out, there, MANIFEST_HEADER_SIZE)));
    while (bytes.size > 1 && bytes.data[0] != 0) {
        size_t body = bytes.data[0] < bytes.size ? bytes.data[0] : bytes.size - 1;
        size_t padded = frame_pad(FRAME_SIZE + body);
        CHECK(!err_failed(buf_reserve(out, padded)));
        uint8_t *at = out->data + out->size;
        memset(at, 0, padded);
        store_u32(at, (uint32_t)body);
        memcpy(at + FRAME_SIZE, bytes.data + 1, body);
        manifest_seal_frames(span_make(at, padded), at, 0);
        out->size += padded;
        bytes = span_make(bytes.data + 1 + body, bytes.size - 1 - body);
    }
}

static void fix_batches(struct buf *bytes)
{
    size_t at = 0;
    struct batch_header header;
    while (at < bytes->size &&
           batch_parse(span_make(bytes->data + at, bytes->size - at), &header) == BATCH_FINE &&
           header.size <= bytes->size - at) {
        uint8_t *batch = bytes->data + at;
        store_u32(batch + BATCH_AT_CRC, crc32c(span_make(batch + BATCH_AT_ATTRIBUTES,
                                                         header.size - BATCH_AT_ATTRIBUTES)));
        at += header.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {
        WORLD_LOG_PATH,      WORLD_LOG_PATH,      WORLD_INDEX_PATH,    WORLD_TIME_INDEX_PATH,
        WORLD_MANIFEST_PATH, WORLD_MANIFEST_PATH, WORLD_SNAPSHOT_PATH,
    };
    enum { COUNT = sizeof paths / sizeof paths[0] };
    if (size == 0)
        return 0;
    unsigned choice = data[0] % COUNT;
    struct mem_disk *disk = world_create(choice > 1 && data[0] < 128);
    struct buf bytes;
    buf_init(&bytes, 1 << 24);
    if (choice == 5)
        frame_entries(disk, span_make(data + 1, size - 1), &bytes);
    else
        CHECK(!err_failed(buf_append(&bytes, data + 1, size - 1)));
    if (choice == 1)
        fix_batches(&bytes);
    size_t size_there;
    if (mem_disk_bytes(disk, paths[choice], &size_there) != NULL)
        world_replace(disk, paths[choice], buf_span(&bytes));
    world_use(disk);
    buf_deinit(&bytes);
    mem_disk_destroy(disk);
    return 0;
}
