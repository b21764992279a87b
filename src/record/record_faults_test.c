/* record_faults: building, walking and recompressing batches when an allocation fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "record/build.h"
#include "record/recompress.h"
#include "support/fail_alloc.h"

#define RECORD_COUNT 60
#define VALUE_SIZE 2000

/* Adds the records, each again where there was no memory for it; on failure the batch is as before.
 */
static void add_all(struct batch_builder *builder)
{
    for (int i = 0; i < RECORD_COUNT; i++) {
        uint8_t value[VALUE_SIZE];
        memset(value, i, sizeof value);
        const struct record record = {.timestamp = 1700000000000 + i,
                                      .key = span_make(value, 8),
                                      .value = span_make(value, sizeof value)};
        size_t before = builder->out->size;
        struct err err = batch_build_add(builder, &record);
        if (!err_failed(err))
            continue;
        assert_true(err_is(err, ERR_NO_MEMORY));
        assert_int_equal(builder->out->size, before);
        assert_false(err_failed(batch_build_add(builder, &record)));
    }
}

/* Whether the batch holds the records. ERR_NO_MEMORY. */
static struct err check_all(struct span batch, struct buf *scratch)
{
    struct batch_walk walk;
    struct record record;
    struct batch_header header;
    bool is_end = false;
    assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
    TRY(batch_walk_begin(&walk, batch, scratch));
    for (int i = 0; i < RECORD_COUNT; i++) {
        TRY(batch_walk_next(&walk, &record, &is_end));
        assert_false(is_end);
        assert_int_equal(record.offset, i);
        assert_int_equal(record.value.size, VALUE_SIZE);
        assert_int_equal(record.value.data[VALUE_SIZE - 1], i);
    }
    TRY(batch_walk_next(&walk, &record, &is_end));
    assert_true(is_end);
    return ERR_NONE;
}

struct buffers {
    struct buf out;
    struct buf scratch;
    struct buf again;
};

/* Builds, recompresses and walks; each step once more where the memory was short. */
static void work(struct buffers *buffers, enum compression codec, int *refused)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    struct span batch = SPAN_NULL;
    struct span made = SPAN_NULL;
    options.codec = codec;
    batch_build_begin(&builder, &options, &buffers->out);
    add_all(&builder);
    struct err err = batch_build_end(&builder, &batch, NULL);
    if (err_failed(err)) {
        assert_true(err_is(err, ERR_NO_MEMORY));
        assert_int_equal(buffers->out.size, 0);
        (*refused)++;
        return;
    }
    for (int other = 0; other < COMPRESSION_COUNT; other++) {
        size_t before = buffers->again.size;
        err = batch_recompress(batch, (enum compression)other, COMPRESSION_LEVEL_DEFAULT,
                               &buffers->scratch, &buffers->again, &made);
        if (err_failed(err)) {
            assert_true(err_is(err, ERR_NO_MEMORY));
            assert_int_equal(buffers->again.size, before);
            (*refused)++;
            continue;
        }
        err = check_all(made, &buffers->scratch);
        assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
        *refused += err_failed(err);
    }
}

static bool build_and_walk(void *context, uint32_t count)
{
    const enum compression *codec = context;
    struct buffers buffers;
    int refused = 0;
    buf_init(&buffers.out, 1 << 24);
    buf_init(&buffers.scratch, 1 << 24);
    buf_init(&buffers.again, 1 << 24);
    fail_alloc_arm(count);
    work(&buffers, *codec, &refused);
    bool has_failed = fail_alloc_disarm();
    assert_true(refused <= (has_failed ? 1 : 0));
    if (buffers.out.size != 0)
        assert_false(err_failed(check_all(buf_span(&buffers.out), &buffers.scratch)));
    buf_deinit(&buffers.out);
    buf_deinit(&buffers.scratch);
    buf_deinit(&buffers.again);
    return has_failed;
}

static void batch_without_memory_is_refused_whole_in_every_codec(void **state)
{
    (void)state;
    for (int codec = 0; codec < COMPRESSION_COUNT; codec++)
        assert_true(fail_each(build_and_walk, &codec) >= 5);
}

static bool build_marker(void *context, uint32_t count)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct buf out;
    struct span batch;
    (void)context;
    options.producer_id = 3;
    options.producer_epoch = 1;
    buf_init(&out, 1 << 10);
    fail_alloc_arm(count);
    struct err err = batch_build_marker(&options, CONTROL_COMMIT, 5, 1700000000000, &out, &batch);
    bool has_failed = fail_alloc_disarm();
    assert_true(has_failed == err_is(err, ERR_NO_MEMORY));
    assert_true(!has_failed || out.size == 0);
    buf_deinit(&out);
    return has_failed;
}

static void marker_without_memory_is_refused_whole(void **state)
{
    (void)state;
    assert_true(fail_each(build_marker, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_without_memory_is_refused_whole_in_every_codec),
        cmocka_unit_test(marker_without_memory_is_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
