/* compress_test: round trips, bounds, and what other writers write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <snappy-c.h>

#include "record/compress.h"

#define TEXT_SIZE 200000

static uint8_t text[TEXT_SIZE];

/* Half words, half noise: it shrinks, but not to nothing. */
static int fill_text(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (size_t i = 0; i < TEXT_SIZE; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        text[i] = i % 512 < 256 ? (uint8_t) "some words "[i % 11] : (uint8_t)(random >> 56);
    }
    return 0;
}

static void every_codec_gives_back_what_it_got(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 32768, 32769, 65536, TEXT_SIZE};
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct buf small;
            struct buf large;
            buf_init(&small, 1 << 20);
            buf_init(&large, sizes[i]);
            assert_false(
                err_failed(compress_append((enum compression)codec, COMPRESSION_LEVEL_DEFAULT,
                                           span_make(text, sizes[i]), &small)));
            assert_false(
                err_failed(decompress_append((enum compression)codec, buf_span(&small), &large)));
            assert_int_equal(large.size, sizes[i]);
            if (sizes[i] != 0)
                assert_memory_equal(large.data, text, sizes[i]);
            buf_deinit(&small);
            buf_deinit(&large);
        }
    }
}

static void one_byte_too_much_is_a_limit(void **state)
{
    (void)state;
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        struct buf small;
        struct buf large;
        buf_init(&small, 1 << 20);
        buf_init(&large, TEXT_SIZE - 1);
        assert_false(err_failed(compress_append((enum compression)codec, COMPRESSION_LEVEL_DEFAULT,
                                                span_make(text, TEXT_SIZE), &small)));
        assert_true(err_is(decompress_append((enum compression)codec, buf_span(&small), &large),
                           ERR_LIMIT));
        assert_int_equal(large.size, 0);
        buf_deinit(&small);
        buf_deinit(&large);
    }
}

static void every_cut_of_a_stream_fails(void **state)
{
    (void)state;
    for (int codec = 1; codec < COMPRESSION_COUNT; codec++) {
        struct buf small;
        buf_init(&small, 1 << 20);
        assert_false(err_failed(compress_append((enum compression)codec, COMPRESSION_LEVEL_DEFAULT,
                                                span_make(text, 300), &small)));
        for (size_t size = 0; size < small.size; size++) {
            struct buf large;
            buf_init(&large, 1 << 20);
            uint8_t *exact = malloc(size + 1);
            memcpy(exact, small.data, size);
            struct err err =
                decompress_append((enum compression)codec, span_make(exact, size), &large);
            /* Xerial framing has no end mark: cut where a block begins, it is only shorter. */
            if (codec == COMPRESSION_SNAPPY && size == 16)
                assert_int_equal(large.size, 0);
            else
                assert_true(err_failed(err));
            free(exact);
            buf_deinit(&large);
        }
        buf_deinit(&small);
    }
}

static void streams_one_after_the_other_are_read(void **state)
{
    (void)state;
    for (int codec = 1; codec < COMPRESSION_COUNT; codec++) {
        struct buf small;
        struct buf large;
        buf_init(&small, 1 << 20);
        buf_init(&large, 1 << 20);
        for (int i = 0; i < 2; i++)
            assert_false(
                err_failed(compress_append((enum compression)codec, COMPRESSION_LEVEL_DEFAULT,
                                           span_make(text, 1000), &small)));
        assert_false(
            err_failed(decompress_append((enum compression)codec, buf_span(&small), &large)));
        assert_int_equal(large.size, 2000);
        assert_memory_equal(large.data + 1000, text, 1000);
        buf_deinit(&small);
        buf_deinit(&large);
    }
}

static void raw_snappy_is_read(void **state)
{
    (void)state;
    char raw[4096];
    size_t size = sizeof raw;
    assert_int_equal(snappy_compress((const char *)text, 1000, raw, &size), SNAPPY_OK);
    struct buf large;
    buf_init(&large, 1000);
    assert_false(err_failed(decompress_append(COMPRESSION_SNAPPY, span_make(raw, size), &large)));
    assert_int_equal(large.size, 1000);
    assert_memory_equal(large.data, text, 1000);
    buf_deinit(&large);
}

static void snappy_claims_are_not_believed(void **state)
{
    (void)state;
    /* A raw block that claims 64 MiB in a few bytes. */
    static const uint8_t bomb[] = {0x80, 0x80, 0x80, 0x20, 0, 0, 0, 0};
    struct buf large;
    buf_init(&large, (size_t)1 << 30);
    assert_true(
        err_failed(decompress_append(COMPRESSION_SNAPPY, span_make(bomb, sizeof bomb), &large)));
    assert_true(large.capacity < 4096);
    buf_deinit(&large);
}

static void levels_are_checked(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 20);
    struct span bytes = span_make(text, 1000);
    assert_false(err_failed(compress_append(COMPRESSION_GZIP, 9, bytes, &out)));
    assert_true(err_is(compress_append(COMPRESSION_GZIP, 77, bytes, &out), ERR_INVALID));
    assert_false(err_failed(compress_append(COMPRESSION_LZ4, 12, bytes, &out)));
    assert_false(err_failed(compress_append(COMPRESSION_ZSTD, 1, bytes, &out)));
    assert_false(err_failed(compress_append(COMPRESSION_ZSTD, -5, bytes, &out)));
    assert_true(err_is(compress_append(COMPRESSION_ZSTD, 99, bytes, &out), ERR_INVALID));
    assert_true(err_is(compress_append(COMPRESSION_SNAPPY, 1, bytes, &out), ERR_INVALID));
    buf_deinit(&out);
}

static void names_are_kafkas(void **state)
{
    (void)state;
    assert_string_equal(compression_name(COMPRESSION_NONE), "none");
    assert_string_equal(compression_name(COMPRESSION_ZSTD), "zstd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_gives_back_what_it_got),
        cmocka_unit_test(one_byte_too_much_is_a_limit),
        cmocka_unit_test(every_cut_of_a_stream_fails),
        cmocka_unit_test(streams_one_after_the_other_are_read),
        cmocka_unit_test(raw_snappy_is_read),
        cmocka_unit_test(snappy_claims_are_not_believed),
        cmocka_unit_test(levels_are_checked),
        cmocka_unit_test(names_are_kafkas),
    };
    return cmocka_run_group_tests(tests, fill_text, NULL);
}
