/* recompress: from every codec to every other the records stay what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "record/build.h"
#include "record/recompress.h"

#define RECORD_COUNT 50

/* A transactional batch of records with keys, values and rising timestamps. */
static struct span build(enum compression codec, struct buf *out)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = 1000;
    options.codec = codec;
    options.producer_id = 7;
    options.producer_epoch = 3;
    options.base_sequence = 20;
    options.is_transactional = true;
    struct batch_builder builder;
    struct span batch;
    batch_build_begin(&builder, &options, out);
    for (int i = 0; i < RECORD_COUNT; i++) {
        uint8_t value[100];
        memset(value, i, sizeof value);
        const struct record record = {.timestamp = 1700000000000 + i,
                                      .key = i % 5 == 0 ? SPAN_NULL : span_make(value, 8),
                                      .value =
                                          i % 7 == 0 ? SPAN_NULL : span_make(value, sizeof value)};
        assert_false(err_failed(batch_build_add(&builder, &record)));
    }
    assert_false(err_failed(batch_build_end(&builder, &batch, NULL)));
    return batch;
}

static void assert_same_record(const struct record *a, const struct record *b)
{
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->timestamp, b->timestamp);
    assert_true(span_is_null(a->key) == span_is_null(b->key) && span_equal(a->key, b->key));
    assert_true(span_is_null(a->value) == span_is_null(b->value) && span_equal(a->value, b->value));
}

static void assert_same_records(struct span a, struct span b)
{
    struct batch_walk left;
    struct batch_walk right;
    struct buf scratch[2];
    bool is_end = false;
    buf_init(&scratch[0], 1 << 20);
    buf_init(&scratch[1], 1 << 20);
    assert_false(err_failed(batch_walk_begin(&left, a, &scratch[0])));
    assert_false(err_failed(batch_walk_begin(&right, b, &scratch[1])));
    for (int count = 0; !is_end; count++) {
        struct record records[2];
        assert_false(err_failed(batch_walk_next(&left, &records[0], &is_end)));
        assert_false(err_failed(batch_walk_next(&right, &records[1], &is_end)));
        assert_int_equal(is_end, count == RECORD_COUNT);
        if (!is_end)
            assert_same_record(&records[0], &records[1]);
    }
    buf_deinit(&scratch[0]);
    buf_deinit(&scratch[1]);
}

static void records_stay_the_same_under_every_codec(void **state)
{
    (void)state;
    for (enum compression from = COMPRESSION_NONE; from < COMPRESSION_COUNT; from++) {
        for (enum compression to = COMPRESSION_NONE; to < COMPRESSION_COUNT; to++) {
            struct buf bytes;
            struct buf scratch;
            struct buf out;
            struct span made;
            struct batch_header header;
            buf_init(&bytes, 1 << 20);
            buf_init(&scratch, 1 << 20);
            buf_init(&out, 1 << 20);
            struct span batch = build(from, &bytes);
            assert_false(err_failed(buf_append(&out, "before", 6)));
            assert_false(err_failed(
                batch_recompress(batch, to, COMPRESSION_LEVEL_DEFAULT, &scratch, &out, &made)));
            assert_int_equal(batch_check_stored(made, &header), BATCH_FINE);
            assert_int_equal(batch_codec(&header), to);
            assert_int_equal(header.size, made.size);
            assert_int_equal(header.base_offset, 1000);
            assert_int_equal(header.producer_id, 7);
            assert_int_equal(header.base_sequence, 20);
            assert_true(batch_is_transactional(&header));
            assert_int_equal(header.max_timestamp, 1700000000000 + RECORD_COUNT - 1);
            assert_same_records(batch, made);
            buf_deinit(&bytes);
            buf_deinit(&scratch);
            buf_deinit(&out);
        }
    }
}

static void higher_level_makes_less(void **state)
{
    (void)state;
    size_t sizes[2];
    const int levels[2] = {1, 9};
    for (size_t i = 0; i < 2; i++) {
        struct buf bytes;
        struct buf scratch;
        struct buf out;
        struct span made;
        buf_init(&bytes, 1 << 20);
        buf_init(&scratch, 1 << 20);
        buf_init(&out, 1 << 20);
        assert_false(err_failed(batch_recompress(build(COMPRESSION_NONE, &bytes), COMPRESSION_GZIP,
                                                 levels[i], &scratch, &out, &made)));
        sizes[i] = made.size;
        buf_deinit(&bytes);
        buf_deinit(&scratch);
        buf_deinit(&out);
    }
    assert_true(sizes[1] < sizes[0]);
}

static void what_does_not_fit_leaves_out_as_it_was(void **state)
{
    (void)state;
    struct buf bytes;
    struct buf scratch;
    struct buf out;
    struct span made;
    buf_init(&bytes, 1 << 20);
    buf_init(&scratch, 1 << 20);
    buf_init(&out, 200);
    assert_true(err_is(batch_recompress(build(COMPRESSION_GZIP, &bytes), COMPRESSION_NONE,
                                        COMPRESSION_LEVEL_DEFAULT, &scratch, &out, &made),
                       ERR_LIMIT));
    assert_int_equal(out.size, 0);
    buf_deinit(&bytes);
    buf_deinit(&scratch);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_stay_the_same_under_every_codec),
        cmocka_unit_test(higher_level_makes_less),
        cmocka_unit_test(what_does_not_fit_leaves_out_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
