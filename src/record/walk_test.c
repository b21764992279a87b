/* walk_test: what was built is walked, for every codec, with every kind of null. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "record/build.h"
#include "record/varint.h"

#define RECORD_COUNT 500

/* Key, value and headers of the i-th record: null, empty or some text. */
static struct span some(char text[64], int i, int kind)
{
    if (kind == 0)
        return SPAN_NULL;
    int size = kind == 1 ? 0 : snprintf(text, 64, "some text %d", i * kind);
    return span_make(text, (size_t)size);
}

static struct span build_mixed(struct buf *out, enum compression codec)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.codec = codec;
    options.base_offset = 1000;
    struct batch_builder builder;
    batch_build_begin(&builder, &options, out);
    struct buf headers;
    buf_init(&headers, 4096);
    for (int i = 0; i < RECORD_COUNT; i++) {
        char key[64];
        char value[64];
        char more[64];
        buf_clear(&headers);
        for (int k = 0; k < i % 3; k++)
            assert_false(err_failed(
                record_header_append(&headers, span_text("name"), some(more, i, (i + k) % 4))));
        const struct record record = {.timestamp = 5000 - i * 3,
                                      .key = some(key, i, i % 4),
                                      .value = some(value, i, i / 2 % 4),
                                      .headers = buf_span(&headers),
                                      .header_count = i % 3};
        assert_false(err_failed(batch_build_add(&builder, &record)));
    }
    struct span batch;
    assert_false(err_failed(batch_build_end(&builder, &batch, NULL)));
    buf_deinit(&headers);
    return batch;
}

static void check_record(const struct record *record, int i)
{
    char text[64];
    assert_int_equal(record->offset, 1000 + i);
    assert_int_equal(record->timestamp, 5000 - i * 3);
    assert_true(span_equal(record->key, some(text, i, i % 4)));
    assert_true(span_equal(record->value, some(text, i, i / 2 % 4)));
    assert_int_equal(record->header_count, i % 3);
    struct span headers = record->headers;
    struct record_header header;
    int count = 0;
    while (record_header_next(&headers, &header)) {
        assert_true(span_equal_text(header.key, "name"));
        assert_true(span_equal(header.value, some(text, i, (i + count) % 4)));
        count++;
    }
    assert_int_equal(count, i % 3);
}

static void built_batches_are_walked_record_by_record(void **state)
{
    (void)state;
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++) {
        struct buf out;
        struct buf scratch;
        buf_init(&out, 1 << 20);
        buf_init(&scratch, 1 << 20);
        struct span batch = build_mixed(&out, (enum compression)codec);
        struct batch_header header;
        assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
        assert_int_equal(batch_codec(&header), codec);
        assert_int_equal(header.max_timestamp, 5000);
        assert_int_equal(header.size, batch.size);
        struct batch_walk walk;
        assert_false(err_failed(batch_walk_begin(&walk, batch, &scratch)));
        struct record record;
        bool is_end = false;
        for (int i = 0; i < RECORD_COUNT; i++) {
            assert_false(err_failed(batch_walk_next(&walk, &record, &is_end)));
            assert_false(is_end);
            check_record(&record, i);
        }
        assert_false(err_failed(batch_walk_next(&walk, &record, &is_end)));
        assert_true(is_end);
        buf_deinit(&out);
        buf_deinit(&scratch);
    }
}

static void walk_is_bounded_by_its_scratch(void **state)
{
    (void)state;
    for (int codec = 1; codec < COMPRESSION_COUNT; codec++) {
        struct buf out;
        struct buf scratch;
        buf_init(&out, 1 << 20);
        buf_init(&scratch, 1000);
        struct span batch = build_mixed(&out, (enum compression)codec);
        struct batch_walk walk;
        assert_true(err_is(batch_walk_begin(&walk, batch, &scratch), ERR_LIMIT));
        assert_true(scratch.capacity <= 1000);
        buf_deinit(&out);
        buf_deinit(&scratch);
    }
}

static void log_append_time_stamps_every_record(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 20);
    struct span batch = build_mixed(&out, COMPRESSION_NONE);
    struct batch_header header;
    assert_int_equal(batch_parse(batch, &header), BATCH_FINE);
    batch_patch_timestamp(out.data, &header, 123, true);
    struct batch_walk walk;
    struct record record;
    bool is_end;
    assert_false(err_failed(batch_walk_begin(&walk, batch, NULL)));
    assert_false(err_failed(batch_walk_next(&walk, &record, &is_end)));
    assert_int_equal(record.timestamp, 123);
    buf_deinit(&out);
}

static void markers_are_read_back(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = 7;
    options.producer_epoch = 3;
    struct span batch;
    assert_false(err_failed(batch_build_marker(&options, CONTROL_COMMIT, 12, 1000, &out, &batch)));
    struct batch_header header;
    assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
    assert_true(batch_is_control(&header) && batch_is_transactional(&header));
    enum control_kind kind;
    int32_t epoch;
    assert_false(err_failed(batch_read_marker(batch, &kind, &epoch)));
    assert_int_equal(kind, CONTROL_COMMIT);
    assert_int_equal(epoch, 12);
    buf_deinit(&out);
    buf_init(&out, 1 << 20);
    assert_true(
        err_is(batch_read_marker(build_mixed(&out, COMPRESSION_NONE), &kind, &epoch), ERR_CORRUPT));
    buf_deinit(&out);
}

static void compacted_batches_keep_offsets_and_timestamps(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = 100;
    options.keeps_offsets = true;
    options.last_offset_delta = 9;
    options.has_delete_horizon = true;
    options.delete_horizon_ms = 5000000;
    struct batch_builder builder;
    batch_build_begin(&builder, &options, &out);
    struct record record = {.offset = 103, .timestamp = 1000, .key = span_text("a")};
    assert_false(err_failed(batch_build_add(&builder, &record)));
    record = (struct record){.offset = 107, .timestamp = 900, .key = span_text("b")};
    assert_false(err_failed(batch_build_add(&builder, &record)));
    struct span batch;
    struct batch_header header;
    assert_false(err_failed(batch_build_end(&builder, &batch, &header)));
    assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
    assert_int_equal(batch_last_offset(&header), 109);
    assert_int_equal(batch_delete_horizon_ms(&header), 5000000);
    assert_int_equal(header.max_timestamp, 1000);
    struct batch_walk walk;
    bool is_end;
    assert_false(err_failed(batch_walk_begin(&walk, batch, NULL)));
    assert_false(err_failed(batch_walk_next(&walk, &record, &is_end)));
    assert_int_equal(record.offset, 103);
    assert_int_equal(record.timestamp, 1000);
    assert_false(err_failed(batch_walk_next(&walk, &record, &is_end)));
    assert_int_equal(record.offset, 107);
    assert_int_equal(record.timestamp, 900);
    assert_true(span_is_null(record.value));
    assert_false(err_failed(batch_walk_next(&walk, &record, &is_end)));
    assert_true(is_end);
    buf_deinit(&out);
}

static void a_stripped_batch_keeps_its_header_alone(void **state)
{
    (void)state;
    struct buf out;
    struct buf scratch;
    buf_init(&out, 1 << 20);
    buf_init(&scratch, 1 << 20);
    struct span batch = build_mixed(&out, COMPRESSION_ZSTD);
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct batch_header before;
    struct batch_header after;
    batch_strip(batch, bytes);
    struct span stripped = span_make(bytes, sizeof bytes);
    assert_int_equal(batch_check_stored(batch, &before), BATCH_FINE);
    assert_int_equal(batch_check_stored(stripped, &after), BATCH_FINE);
    assert_int_equal(after.size, BATCH_HEADER_SIZE);
    assert_int_equal(batch_last_offset(&after), batch_last_offset(&before));
    assert_int_equal(after.max_timestamp, before.max_timestamp);
    assert_int_equal(after.base_sequence, before.base_sequence);
    assert_int_equal(after.record_count, 0);
    struct batch_walk walk;
    struct record record;
    bool is_end;
    assert_false(err_failed(batch_walk_begin(&walk, stripped, &scratch)));
    assert_false(err_failed(batch_walk_next(&walk, &record, &is_end)));
    assert_true(is_end);
    buf_deinit(&scratch);
    buf_deinit(&out);
}

static void varints_round_trip_and_know_their_size(void **state)
{
    (void)state;
    static const int64_t values[] = {0,         1,         -1,        63,        64,
                                     -64,       -65,       8191,      8192,      INT32_MAX,
                                     INT32_MIN, 1LL << 40, INT64_MAX, INT64_MIN, -300};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t bytes[VARLONG_SIZE_MAX];
        size_t size = varlong_put(bytes, values[i]);
        assert_int_equal(size, varlong_size(values[i]));
        struct span rest = span_make(bytes, size);
        int64_t out;
        assert_true(varlong_take(&rest, &out));
        assert_int_equal(rest.size, 0);
        assert_true(out == values[i]);
        int32_t narrow;
        rest = span_make(bytes, size);
        bool fits = values[i] >= INT32_MIN && values[i] <= INT32_MAX;
        assert_true(varint_take(&rest, &narrow) == fits);
        rest = span_make(bytes, size - 1);
        assert_false(varlong_take(&rest, &out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_batches_are_walked_record_by_record),
        cmocka_unit_test(walk_is_bounded_by_its_scratch),
        cmocka_unit_test(log_append_time_stamps_every_record),
        cmocka_unit_test(markers_are_read_back),
        cmocka_unit_test(compacted_batches_keep_offsets_and_timestamps),
        cmocka_unit_test(a_stripped_batch_keeps_its_header_alone),
        cmocka_unit_test(varints_round_trip_and_know_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
