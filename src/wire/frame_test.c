/* Frames in pieces, frames that lie, and frames with spliced records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/frame.h"

#define BODY_SIZE_MAX 100

#define assert_ok(expression) assert_false(err_failed(expression))
#define assert_err(expression, code) assert_true(err_is((expression), (code)))

static void frame_completes_with_its_last_byte(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0};
    struct frame frame;
    for (size_t size = 0; size < sizeof bytes; size++) {
        assert_ok(frame_parse(span_make(bytes, size), BODY_SIZE_MAX, &frame));
        assert_int_equal(frame.size_total, size < 4 ? 4 : 7);
        assert_int_equal(frame.complete, size >= 7);
        assert_true(frame.complete ? span_equal_text(frame.body, "abc") : span_is_null(frame.body));
    }
}

static struct err parse_prefix(int32_t size)
{
    uint8_t prefix[4];
    struct frame frame;
    store_i32(prefix, size);
    return frame_parse(span_make(prefix, sizeof prefix), BODY_SIZE_MAX, &frame);
}

static void absurd_sizes_are_refused_at_once(void **state)
{
    (void)state;
    assert_err(parse_prefix(0), ERR_CORRUPT);
    assert_err(parse_prefix(-1), ERR_CORRUPT);
    assert_err(parse_prefix(INT32_MIN), ERR_CORRUPT);
    assert_err(parse_prefix(BODY_SIZE_MAX + 1), ERR_LIMIT);
    assert_err(parse_prefix(INT32_MAX), ERR_LIMIT);
    assert_err(parse_prefix(0x47455420), ERR_LIMIT); /* "GET ": somebody speaks HTTP */
    assert_ok(parse_prefix(1));
    assert_ok(parse_prefix(BODY_SIZE_MAX));
}

static void written_frame_counts_spliced_bytes(void **state)
{
    (void)state;
    struct buf buf;
    struct writer writer;
    struct wire_splice splices[2];
    struct frame_mark mark;
    int slice;
    struct wire_records records = {.slice = &slice, .slice_size = 500};
    buf_init(&buf, 1000);
    writer_init(&writer, &buf, splices, 2);
    for (int i = 0; i < 2; i++) {
        size_t begin = buf.size;
        assert_ok(frame_begin(&writer, &mark));
        assert_ok(writer_write_int8(&writer, 1));
        assert_ok(writer_write_records(&writer, WIRE_CLASSIC, &records));
        assert_ok(frame_end(&writer, mark));
        assert_int_equal(load_i32(buf.data + begin), 1 + 4 + 500);
    }
    assert_int_equal(writer_size(&writer), 2 * (4 + 1 + 4 + 500));
    buf_deinit(&buf);
}

static void frame_above_the_formats_maximum_is_refused(void **state)
{
    (void)state;
    struct buf buf;
    struct writer writer;
    struct wire_splice splice;
    struct frame_mark mark;
    int slice;
    struct wire_records records = {.slice = &slice, .slice_size = INT32_MAX};
    buf_init(&buf, 1000);
    writer_init(&writer, &buf, &splice, 1);
    assert_ok(frame_begin(&writer, &mark));
    assert_ok(writer_write_records(&writer, WIRE_CLASSIC, &records));
    assert_err(frame_end(&writer, mark), ERR_LIMIT);
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_completes_with_its_last_byte),
        cmocka_unit_test(absurd_sizes_are_refused_at_once),
        cmocka_unit_test(written_frame_counts_spliced_bytes),
        cmocka_unit_test(frame_above_the_formats_maximum_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
