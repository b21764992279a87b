/* compress_fuzz: random bytes, by the first one's choice as a codec's output or as its input. */
#include "base/check.h"
#include "record/compress.h"

#define SIZE_MAX_OUT ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(enum compression codec, struct span bytes)
{
    struct buf small;
    struct buf large;
    buf_init(&small, 2 * SIZE_MAX_OUT);
    buf_init(&large, bytes.size);
    CHECK(!err_failed(compress_append(codec, COMPRESSION_LEVEL_DEFAULT, bytes, &small)));
    CHECK(!err_failed(decompress_append(codec, buf_span(&small), &large)));
    CHECK(large.size == bytes.size);
    CHECK(bytes.size == 0 || memcmp(large.data, bytes.data, bytes.size) == 0);
    buf_deinit(&small);
    buf_deinit(&large);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum compression codec = (enum compression)(data[0] / 2 % COMPRESSION_COUNT);
    struct span bytes = span_make(data + 1, size - 1);
    if (data[0] % 2 != 0) {
        round_trip(codec, bytes);
        return 0;
    }
    struct buf out;
    buf_init(&out, SIZE_MAX_OUT);
    struct err err = decompress_append(codec, bytes, &out);
    CHECK(out.size <= SIZE_MAX_OUT && out.capacity <= SIZE_MAX_OUT);
    CHECK(!err_failed(err) || out.size == 0);
    buf_deinit(&out);
    return 0;
}
