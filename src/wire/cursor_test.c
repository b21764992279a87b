/* The cursor at its boundaries: every form, null, lengths that lie, and bytes that end too early.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "wire/cursor.h"

#define BUF_SIZE_MAX (128 * 1024)

#define BYTES(...) span_make(((const uint8_t[]){__VA_ARGS__}), sizeof((uint8_t[]){__VA_ARGS__}))

#define assert_ok(expression) assert_false(err_failed(expression))
#define assert_err(expression, code) assert_true(err_is((expression), (code)))

struct fixture {
    struct buf buf;
    struct writer writer;
    struct wire_splice splices[2];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    buf_init(&f->buf, BUF_SIZE_MAX);
    writer_init(&f->writer, &f->buf, f->splices, 2);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->buf);
    free(f);
    return 0;
}

static struct reader over(struct span bytes)
{
    struct reader reader;
    reader_init(&reader, bytes);
    return reader;
}

static struct reader written(const struct fixture *f)
{
    return over(buf_span(&f->buf));
}

static void numbers_are_big_endian_and_survive(void **state)
{
    struct fixture *f = *state;
    struct uuid id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    assert_ok(writer_write_int8(&f->writer, -2));
    assert_ok(writer_write_int16(&f->writer, 0x0102));
    assert_ok(writer_write_uint16(&f->writer, 0xfffe));
    assert_ok(writer_write_int32(&f->writer, INT32_MIN));
    assert_ok(writer_write_uint32(&f->writer, 0xfffffffe));
    assert_ok(writer_write_int64(&f->writer, INT64_MIN));
    assert_ok(writer_write_float64(&f->writer, -0.5));
    assert_ok(writer_write_uuid(&f->writer, id));
    assert_ok(writer_write_bool(&f->writer, true));
    assert_int_equal(f->buf.data[1], 1);
    assert_int_equal(f->buf.data[2], 2);

    struct reader reader = written(f);
    int8_t i8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    double f64;
    struct uuid read_id;
    bool truth;
    assert_ok(reader_read_int8(&reader, &i8));
    assert_ok(reader_read_int16(&reader, &i16));
    assert_ok(reader_read_uint16(&reader, &u16));
    assert_ok(reader_read_int32(&reader, &i32));
    assert_ok(reader_read_uint32(&reader, &u32));
    assert_ok(reader_read_int64(&reader, &i64));
    assert_ok(reader_read_float64(&reader, &f64));
    assert_ok(reader_read_uuid(&reader, &read_id));
    assert_ok(reader_read_bool(&reader, &truth));
    assert_ok(reader_finish(&reader));
    assert_int_equal(i8, -2);
    assert_int_equal(i16, 0x0102);
    assert_int_equal(u16, 0xfffe);
    assert_int_equal(i32, INT32_MIN);
    assert_true(u32 == 0xfffffffe);
    assert_true(i64 == INT64_MIN);
    assert_true(f64 == -0.5);
    assert_true(uuid_equal(id, read_id));
    assert_true(truth);
}

static void number_cut_short_is_truncated(void **state)
{
    (void)state;
    const uint8_t zeros[16] = {0};
    for (size_t size = 0; size < 16; size++) {
        struct reader reader = over(span_make(zeros, size));
        struct uuid id;
        assert_err(reader_read_uuid(&reader, &id), ERR_TRUNCATED);
        reader.position = size;
        bool truth;
        int64_t number;
        assert_err(reader_read_bool(&reader, &truth), ERR_TRUNCATED);
        assert_err(reader_read_int64(&reader, &number), ERR_TRUNCATED);
    }
}

static void any_byte_but_zero_is_true(void **state)
{
    (void)state;
    struct reader reader = over(BYTES(0x80, 0x00));
    bool truth;
    assert_ok(reader_read_bool(&reader, &truth));
    assert_true(truth);
    assert_ok(reader_read_bool(&reader, &truth));
    assert_false(truth);
}

static void varints_survive_at_each_size(void **state)
{
    struct fixture *f = *state;
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int step = -1; step <= 1; step++) {
            int64_t wide = (int64_t)(((uint64_t)1 << shift) + (uint64_t)step);
            int32_t narrow = (int32_t)(uint32_t)(uint64_t)wide;
            buf_clear(&f->buf);
            assert_ok(writer_write_uvarint(&f->writer, (uint32_t)narrow));
            assert_ok(writer_write_varint(&f->writer, narrow));
            assert_ok(writer_write_varlong(&f->writer, wide));
            struct reader reader = written(f);
            uint32_t unsigned_read;
            int32_t narrow_read;
            int64_t wide_read;
            assert_ok(reader_read_uvarint(&reader, &unsigned_read));
            assert_ok(reader_read_varint(&reader, &narrow_read));
            assert_ok(reader_read_varlong(&reader, &wide_read));
            assert_ok(reader_finish(&reader));
            assert_true(unsigned_read == (uint32_t)narrow);
            assert_int_equal(narrow_read, narrow);
            assert_true(wide_read == wide);
        }
    }
}

static void varint_zigzags_like_kafka(void **state)
{
    struct fixture *f = *state;
    assert_ok(writer_write_varint(&f->writer, -1));
    assert_ok(writer_write_varint(&f->writer, 64));
    assert_ok(writer_write_uvarint(&f->writer, 300));
    assert_true(span_equal(buf_span(&f->buf), BYTES(0x01, 0x80, 0x01, 0xac, 0x02)));
}

static void overlong_varint_is_corrupt(void **state)
{
    (void)state;
    uint32_t value;
    int64_t wide;
    struct reader six = over(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x00));
    assert_err(reader_read_uvarint(&six, &value), ERR_CORRUPT);
    struct reader too_many_bits = over(BYTES(0xff, 0xff, 0xff, 0xff, 0x1f));
    assert_err(reader_read_uvarint(&too_many_bits, &value), ERR_CORRUPT);
    struct reader largest = over(BYTES(0xff, 0xff, 0xff, 0xff, 0x0f));
    assert_ok(reader_read_uvarint(&largest, &value));
    assert_true(value == UINT32_MAX);
    struct reader padded = over(BYTES(0x81, 0x80, 0x00));
    assert_ok(reader_read_uvarint(&padded, &value));
    assert_true(value == 1);
    struct reader eleven =
        over(BYTES(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0));
    assert_err(reader_read_varlong(&eleven, &wide), ERR_CORRUPT);
    struct reader wide_bits =
        over(BYTES(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02));
    assert_err(reader_read_varlong(&wide_bits, &wide), ERR_CORRUPT);
}

static void varint_without_its_end_is_truncated(void **state)
{
    (void)state;
    const uint8_t open[9] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    uint32_t value;
    int64_t wide;
    for (size_t size = 0; size < 5; size++) {
        struct reader reader = over(span_make(open, size));
        assert_err(reader_read_uvarint(&reader, &value), ERR_TRUNCATED);
    }
    for (size_t size = 0; size < 10; size++) {
        struct reader reader = over(span_make(open, size));
        assert_err(reader_read_varlong(&reader, &wide), ERR_TRUNCATED);
    }
}

static void strings_survive_in_every_form(void **state)
{
    struct fixture *f = *state;
    static const char longest[WIRE_STRING_SIZE_MAX] = {'x'};
    const struct span values[] = {SPAN_EMPTY, span_text("a"), span_make(longest, 126),
                                  span_make(longest, 127), span_make(longest, sizeof longest)};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        for (unsigned form = WIRE_CLASSIC; form <= (WIRE_COMPACT | WIRE_NULLABLE); form++) {
            struct span text;
            struct span bytes;
            buf_clear(&f->buf);
            assert_ok(writer_write_string(&f->writer, form, values[i]));
            size_t text_size = f->buf.size;
            assert_ok(writer_write_bytes(&f->writer, form, values[i]));
            struct reader reader = written(f);
            assert_ok(reader_read_string(&reader, form, &text));
            assert_int_equal(reader.position, text_size);
            assert_ok(reader_read_bytes(&reader, form, &bytes));
            assert_ok(reader_finish(&reader));
            assert_true(span_equal(text, values[i]));
            assert_true(span_equal(bytes, values[i]));
        }
    }
}

static void null_needs_the_nullable_form(void **state)
{
    struct fixture *f = *state;
    struct span out;
    for (unsigned form = WIRE_CLASSIC; form <= WIRE_COMPACT; form++) {
        buf_clear(&f->buf);
        assert_err(writer_write_string(&f->writer, form, SPAN_NULL), ERR_INVALID);
        assert_err(writer_write_bytes(&f->writer, form, SPAN_NULL), ERR_INVALID);
        assert_err(writer_write_count(&f->writer, form, -1), ERR_INVALID);
        assert_int_equal(f->buf.size, 0);
        assert_ok(writer_write_string(&f->writer, form | WIRE_NULLABLE, SPAN_NULL));
        struct reader strict = written(f);
        assert_err(reader_read_string(&strict, form, &out), ERR_CORRUPT);
        struct reader reader = written(f);
        assert_ok(reader_read_string(&reader, form | WIRE_NULLABLE, &out));
        assert_true(span_is_null(out));
        int32_t count;
        buf_clear(&f->buf);
        assert_ok(writer_write_count(&f->writer, form | WIRE_NULLABLE, -1));
        strict = written(f);
        assert_err(reader_read_count(&strict, form, 1, &count), ERR_CORRUPT);
        reader = written(f);
        assert_ok(reader_read_count(&reader, form | WIRE_NULLABLE, 1, &count));
        assert_int_equal(count, -1);
    }
}

static void absurd_lengths_are_refused(void **state)
{
    (void)state;
    struct span out;
    struct reader negative = over(BYTES(0xff, 0xfe, 'a'));
    assert_err(reader_read_string(&negative, WIRE_NULLABLE, &out), ERR_CORRUPT);
    struct reader negative_bytes = over(BYTES(0x80, 0, 0, 0, 'a'));
    assert_err(reader_read_bytes(&negative_bytes, WIRE_NULLABLE, &out), ERR_CORRUPT);
    struct reader beyond = over(BYTES(0x00, 0x02, 'a'));
    assert_err(reader_read_string(&beyond, WIRE_CLASSIC, &out), ERR_TRUNCATED);
    struct reader beyond_bytes = over(BYTES(0x7f, 0xff, 0xff, 0xff, 'a'));
    assert_err(reader_read_bytes(&beyond_bytes, WIRE_CLASSIC, &out), ERR_TRUNCATED);
    struct reader huge_compact = over(BYTES(0xff, 0xff, 0xff, 0xff, 0x0f, 'a'));
    assert_err(reader_read_bytes(&huge_compact, WIRE_COMPACT, &out), ERR_CORRUPT);
    struct reader long_compact = over(BYTES(0x81, 0x80, 0x02));
    assert_err(reader_read_string(&long_compact, WIRE_COMPACT, &out), ERR_CORRUPT);
}

static void too_long_text_is_not_written(void **state)
{
    struct fixture *f = *state;
    static const char text[WIRE_STRING_SIZE_MAX + 1] = {'x'};
    struct span value = span_make(text, sizeof text);
    assert_err(writer_write_string(&f->writer, WIRE_CLASSIC, value), ERR_INVALID);
    assert_err(writer_write_string(&f->writer, WIRE_COMPACT, value), ERR_INVALID);
}

static void count_is_bounded_by_the_bytes_left(void **state)
{
    (void)state;
    int32_t count;
    struct reader fits = over(BYTES(0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8));
    assert_ok(reader_read_count(&fits, WIRE_CLASSIC, 4, &count));
    assert_int_equal(count, 2);
    struct reader lacks_one = over(BYTES(0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7));
    assert_err(reader_read_count(&lacks_one, WIRE_CLASSIC, 4, &count), ERR_TRUNCATED);
    struct reader absurd = over(BYTES(0x7f, 0xff, 0xff, 0xff));
    assert_err(reader_read_count(&absurd, WIRE_CLASSIC, 1, &count), ERR_LIMIT);
    struct reader negative = over(BYTES(0xff, 0xff, 0xff, 0xfe));
    assert_err(reader_read_count(&negative, WIRE_NULLABLE, 1, &count), ERR_CORRUPT);
}

static void count_is_bounded_by_the_limit(void **state)
{
    struct fixture *f = *state;
    size_t size = WIRE_ARRAY_COUNT_MAX + 8;
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    int32_t count;
    store_i32(bytes, WIRE_ARRAY_COUNT_MAX);
    struct reader reader = over(span_make(bytes, size));
    assert_ok(reader_read_count(&reader, WIRE_CLASSIC, 1, &count));
    store_i32(bytes, WIRE_ARRAY_COUNT_MAX + 1);
    reader = over(span_make(bytes, size));
    assert_err(reader_read_count(&reader, WIRE_CLASSIC, 1, &count), ERR_LIMIT);
    assert_err(writer_write_count(&f->writer, WIRE_CLASSIC, WIRE_ARRAY_COUNT_MAX + 1), ERR_LIMIT);
    free(bytes);
}

static void tagged_fields_are_written_with_their_size(void **state)
{
    struct fixture *f = *state;
    for (size_t size = 0; size < 300; size++) {
        size_t mark;
        buf_clear(&f->buf);
        assert_ok(writer_tag_begin(&f->writer, 7, &mark));
        for (size_t i = 0; i < size; i++)
            assert_ok(writer_write_int8(&f->writer, (int8_t)i));
        assert_ok(writer_tag_end(&f->writer, mark));
        struct reader reader = written(f);
        struct reader field;
        uint32_t tag;
        assert_ok(reader_read_tag(&reader, &tag, &field));
        assert_ok(reader_finish(&reader));
        assert_int_equal(tag, 7);
        assert_int_equal(reader_remaining(&field), size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal((int8_t)field.data[i], (int8_t)i);
    }
}

static void unknown_tags_are_stepped_over(void **state)
{
    (void)state;
    struct reader reader = over(BYTES(2, 5, 3, 'a', 'b', 'c', 0x80, 0x01, 0, 9));
    assert_ok(reader_skip_tags(&reader));
    int8_t next;
    assert_ok(reader_read_int8(&reader, &next));
    assert_int_equal(next, 9);
    struct reader short_field = over(BYTES(1, 5, 3, 'a', 'b'));
    assert_err(reader_skip_tags(&short_field), ERR_TRUNCATED);
    struct reader too_many = over(BYTES(0x91, 0x4e)); /* 10,001 */
    assert_err(reader_skip_tags(&too_many), ERR_LIMIT);
    struct reader enough = over(BYTES(0x90, 0x4e)); /* 10,000, none of which comes */
    assert_err(reader_skip_tags(&enough), ERR_TRUNCATED);
}

static void presence_is_a_sign(void **state)
{
    struct fixture *f = *state;
    assert_ok(writer_write_presence(&f->writer, true));
    assert_ok(writer_write_presence(&f->writer, false));
    assert_true(span_equal(buf_span(&f->buf), BYTES(0x01, 0xff)));
    struct reader reader = written(f);
    bool present;
    assert_ok(reader_read_presence(&reader, &present));
    assert_true(present);
    assert_ok(reader_read_presence(&reader, &present));
    assert_false(present);
}

static void slices_are_spliced_and_counted(void **state)
{
    struct fixture *f = *state;
    int first;
    int second;
    struct wire_records in_place = {.bytes = span_text("abc")};
    struct wire_records outside = {.slice = &first, .slice_size = 1000};
    struct wire_records empty = {.slice = &second, .slice_size = 0};
    assert_ok(writer_write_records(&f->writer, WIRE_CLASSIC, &in_place));
    assert_ok(writer_write_records(&f->writer, WIRE_CLASSIC, &outside));
    assert_ok(writer_write_records(&f->writer, WIRE_COMPACT, &empty));
    assert_err(writer_write_records(&f->writer, WIRE_COMPACT, &outside), ERR_LIMIT);
    assert_int_equal(f->writer.splice_count, 2);
    assert_int_equal(f->splices[0].offset, 7 + 4);
    assert_ptr_equal(f->splices[0].slice, &first);
    assert_int_equal(f->splices[0].slice_size, 1000);
    assert_int_equal(f->splices[1].offset, 7 + 4 + 1);
    assert_int_equal(load_i32(f->buf.data + 7), 1000);
    assert_int_equal(f->buf.data[11], 1);
    assert_int_equal(writer_size(&f->writer), 12 + 1000);
}

static void decoded_records_can_be_patched_by_their_owner(void **state)
{
    (void)state;
    uint8_t request[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    struct reader reader = over(span_make(request, sizeof request));
    struct wire_records records;
    assert_ok(reader_read_records(&reader, WIRE_NULLABLE, &records));
    wire_writable(request, sizeof request, records.bytes)[1] = 'X';
    assert_true(span_equal_text(records.bytes, "aXc"));
    assert_null(records.slice);
}

static void writer_stops_at_its_bufs_bound(void **state)
{
    (void)state;
    for (size_t room = 0; room < 8; room++) {
        struct buf tight;
        struct writer writer;
        buf_init(&tight, room);
        writer_init(&writer, &tight, NULL, 0);
        assert_err(writer_write_int64(&writer, 1), ERR_LIMIT);
        assert_err(writer_write_uuid(&writer, UUID_ZERO), ERR_LIMIT);
        assert_err(writer_write_string(&writer, WIRE_CLASSIC, span_text("seven..")), ERR_LIMIT);
        buf_deinit(&tight);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_are_big_endian_and_survive),
        TEST(number_cut_short_is_truncated),
        TEST(any_byte_but_zero_is_true),
        TEST(varints_survive_at_each_size),
        TEST(varint_zigzags_like_kafka),
        TEST(overlong_varint_is_corrupt),
        TEST(varint_without_its_end_is_truncated),
        TEST(strings_survive_in_every_form),
        TEST(null_needs_the_nullable_form),
        TEST(absurd_lengths_are_refused),
        TEST(too_long_text_is_not_written),
        TEST(count_is_bounded_by_the_bytes_left),
        TEST(count_is_bounded_by_the_limit),
        TEST(tagged_fields_are_written_with_their_size),
        TEST(unknown_tags_are_stepped_over),
        TEST(presence_is_a_sign),
        TEST(slices_are_spliced_and_counted),
        TEST(decoded_records_can_be_patched_by_their_owner),
        TEST(writer_stops_at_its_bufs_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
