/* producer_state: the sequence rules, and snapshots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "broker/producer_state.h"

static struct batch_header make(int64_t id, int16_t epoch, int32_t first, int32_t count,
                                int64_t offset)
{
    return (struct batch_header){.producer_id = id,
                                 .producer_epoch = epoch,
                                 .base_sequence = first,
                                 .last_offset_delta = count - 1,
                                 .record_count = count,
                                 .base_offset = offset};
}

static enum producer_verdict check(const struct producer_state *state, struct batch_header header,
                                   int64_t *base_offset)
{
    struct producer_duplicate stored = {.base_offset = -1};
    enum producer_verdict verdict = producer_state_check(state, &header, &stored);
    if (base_offset != NULL)
        *base_offset = stored.base_offset;
    return verdict;
}

static void update(struct producer_state *state, struct batch_header header)
{
    assert_false(err_failed(producer_state_update(state, &header, 1000)));
}

static int state_setup(void **state)
{
    static struct producer_state producers;
    producer_state_init(&producers);
    *state = &producers;
    return 0;
}

static int state_teardown(void **state)
{
    producer_state_deinit(*state);
    return 0;
}

static void the_last_batch_of_a_producer_is_known(void **state)
{
    struct producer_state *producers = *state;
    update(producers, make(7, 0, 0, 10, 0));
    update(producers, make(7, 0, 10, 5, 10));
    struct batch_header batch = make(7, 0, 0, 10, 0);
    assert_false(producer_state_is_last(producers, &batch));
    batch = make(7, 0, 10, 5, 10);
    assert_true(producer_state_is_last(producers, &batch));
    batch.producer_id = 8;
    assert_false(producer_state_is_last(producers, &batch));
    struct batch_header marker = make(7, 1, -1, 1, 15);
    marker.attributes = BATCH_CONTROL | BATCH_TRANSACTIONAL;
    producer_state_mark(producers, &marker, 0, 1000); /* a new epoch, which has no batch yet */
    assert_true(producer_state_is_last(producers, &marker));
    batch = make(7, 0, 10, 5, 10);
    assert_false(producer_state_is_last(producers, &batch));
}

static void next_sequence_is_in_order_and_a_gap_is_not(void **state)
{
    struct producer_state *producers = *state;
    update(producers, make(7, 0, 0, 10, 0));
    assert_int_equal(check(producers, make(7, 0, 10, 1, -1), NULL), PRODUCER_IN_ORDER);
    assert_int_equal(check(producers, make(7, 0, 11, 1, -1), NULL), PRODUCER_OUT_OF_ORDER);
    assert_int_equal(check(producers, make(8, 0, 11, 1, -1), NULL), PRODUCER_IN_ORDER);
}

static void any_of_the_last_five_batches_is_a_duplicate(void **state)
{
    struct producer_state *producers = *state;
    int64_t base_offset;
    for (int32_t i = 0; i < 6; i++)
        update(producers, make(7, 0, i, 1, 100 + i));
    assert_int_equal(check(producers, make(7, 0, 1, 1, -1), &base_offset), PRODUCER_DUPLICATE);
    assert_int_equal(base_offset, 101);
    assert_int_equal(check(producers, make(7, 0, 5, 1, -1), &base_offset), PRODUCER_DUPLICATE);
    assert_int_equal(base_offset, 105);
    assert_int_equal(check(producers, make(7, 0, 0, 1, -1), NULL), PRODUCER_OUT_OF_ORDER);
    assert_int_equal(check(producers, make(7, 0, 5, 2, -1), NULL), PRODUCER_OUT_OF_ORDER);
}

static void newer_epoch_starts_at_zero_and_fences_the_older(void **state)
{
    struct producer_state *producers = *state;
    update(producers, make(7, 3, 0, 5, 0));
    assert_int_equal(check(producers, make(7, 4, 5, 1, -1), NULL), PRODUCER_OUT_OF_ORDER);
    assert_int_equal(check(producers, make(7, 4, 0, 1, -1), NULL), PRODUCER_IN_ORDER);
    update(producers, make(7, 4, 0, 1, 5));
    assert_int_equal(check(producers, make(7, 3, 5, 1, -1), NULL), PRODUCER_FENCED);
}

static void sequence_wraps_from_the_largest_to_zero(void **state)
{
    struct producer_state *producers = *state;
    update(producers, make(7, 0, INT32_MAX - 1, 2, 0));
    assert_int_equal(check(producers, make(7, 0, 0, 3, -1), NULL), PRODUCER_IN_ORDER);
    update(producers, make(7, 0, INT32_MAX - 1, 4, 2)); /* over the edge: ends at 1 */
    assert_int_equal(check(producers, make(7, 0, 2, 1, -1), NULL), PRODUCER_IN_ORDER);
}

static void snapshot_gives_the_same_answers(void **state)
{
    struct producer_state *producers = *state;
    struct producer_state copy;
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    producer_state_init(&copy);
    for (int64_t id = 1; id <= 100; id++) {
        for (int32_t i = 0; i < id % 7; i++)
            update(producers, make(id, (int16_t)(id % 3), i, 1, id * 10 + i));
    }
    assert_false(err_failed(producer_state_write(producers, &bytes)));
    assert_false(err_failed(buf_append(&bytes, "next", 4)));
    struct span rest = buf_span(&bytes);
    assert_false(err_failed(producer_state_read(&copy, &rest)));
    assert_int_equal(rest.size, 4);
    for (int64_t id = 1; id <= 100; id++) {
        for (int32_t first = 0; first < 8; first++) {
            struct batch_header header = make(id, (int16_t)(id % 3), first, 1, -1);
            int64_t left;
            int64_t right;
            assert_int_equal(check(producers, header, &left), check(&copy, header, &right));
            assert_int_equal(left, right);
        }
    }
    producer_state_deinit(&copy);
    buf_deinit(&bytes);
}

static void damaged_snapshot_is_refused_at_every_length(void **state)
{
    struct producer_state *producers = *state;
    struct producer_state copy;
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    producer_state_init(&copy);
    update(producers, make(7, 0, 0, 5, 0));
    update(producers, make(8, 0, 0, 5, 0));
    assert_false(err_failed(producer_state_write(producers, &bytes)));
    for (size_t size = 0; size < bytes.size; size++) {
        struct span cut = span_make(bytes.data, size);
        assert_true(err_is(producer_state_read(&copy, &cut), ERR_CORRUPT));
        assert_int_equal(copy.entries.count, 0);
    }
    producer_state_deinit(&copy);
    buf_deinit(&bytes);
}

static void silent_producers_expire_and_others_stay(void **state)
{
    struct producer_state *producers = *state;
    for (int64_t id = 0; id < 50; id++) {
        struct batch_header header = make(id, 0, 0, 1, 0);
        header.attributes = id == 3 ? BATCH_TRANSACTIONAL : 0;
        assert_false(err_failed(producer_state_update(producers, &header, id)));
    }
    size_t expired = 0;
    for (int pass = 0; pass < 3; pass++)
        expired += producer_state_expire(producers, 25);
    assert_int_equal(expired, 24); /* all but the one with an open transaction */
    assert_int_equal(producers->entries.count, 26);
    assert_int_equal(check(producers, make(30, 0, 0, 1, -1), NULL), PRODUCER_DUPLICATE);
}

static void mark(struct producer_state *state, int64_t id, int16_t epoch, int64_t offset)
{
    struct batch_header header = make(id, epoch, BATCH_NO_SEQUENCE, 1, offset);
    header.attributes = BATCH_CONTROL | BATCH_TRANSACTIONAL;
    assert_false(err_failed(producer_state_prepare(state, &header, 1000)));
    producer_state_mark(state, &header, 4, 1000);
}

static void marker_with_a_new_epoch_begins_sequences_anew(void **state)
{
    struct producer_state *producers = *state;
    struct producer_view view;
    update(producers, make(7, 3, 0, 5, 0));
    mark(producers, 7, 4, 5);
    producer_state_view(producers, 7, &view);
    assert_int_equal(view.epoch, 4);
    assert_int_equal(view.last_sequence, -1);
    assert_int_equal(view.coordinator_epoch, 4);
    assert_int_equal(view.marker_offset, 5);
    assert_int_equal(check(producers, make(7, 3, 5, 1, -1), NULL), PRODUCER_FENCED);
    assert_int_equal(check(producers, make(7, 4, 5, 1, -1), NULL), PRODUCER_OUT_OF_ORDER);
    assert_int_equal(check(producers, make(7, 4, 0, 1, -1), NULL), PRODUCER_IN_ORDER);
}

static void marker_of_the_same_epoch_keeps_sequences(void **state)
{
    struct producer_state *producers = *state;
    update(producers, make(7, 3, 0, 5, 0));
    mark(producers, 7, 3, 5);
    assert_int_equal(check(producers, make(7, 3, 5, 1, -1), NULL), PRODUCER_IN_ORDER);
    assert_int_equal(check(producers, make(7, 3, 6, 1, -1), NULL), PRODUCER_OUT_OF_ORDER);
}

static void prepared_but_never_written_counts_as_unknown(void **state)
{
    struct producer_state *producers = *state;
    struct batch_header header = make(7, 3, 9, 1, -1);
    struct producer_view view;
    size_t position = 0;
    assert_false(err_failed(producer_state_prepare(producers, &header, 1000)));
    assert_int_equal(check(producers, make(7, 1, 4, 1, -1), NULL), PRODUCER_IN_ORDER);
    assert_false(producer_state_next(producers, &position, &view));
}

static void producer_that_wrote_longest_ago_makes_room(void **state)
{
    struct producer_state *producers = *state;
    for (int64_t id = 0; id < PRODUCER_COUNT_MAX; id++)
        update(producers, make(id, 0, 0, 1, id));
    update(producers, make(0, 0, 1, 1, PRODUCER_COUNT_MAX));
    update(producers, make(PRODUCER_COUNT_MAX, 0, 0, 1, PRODUCER_COUNT_MAX + 1));
    assert_int_equal(producers->entries.count, PRODUCER_COUNT_MAX);
    assert_int_equal(check(producers, make(0, 0, 1, 1, -1), NULL), PRODUCER_DUPLICATE);
    assert_int_equal(check(producers, make(1, 0, 0, 1, -1), NULL), PRODUCER_IN_ORDER);
    assert_int_equal(check(producers, make(2, 0, 0, 1, -1), NULL), PRODUCER_DUPLICATE);
}

/* A snapshot keeps who wrote longest ago. */
static void order_of_producers_outlives_a_snapshot(void **state)
{
    struct producer_state *producers = *state;
    struct buf bytes;
    buf_init(&bytes, SIZE_MAX / 2);
    for (int64_t id = 0; id < PRODUCER_COUNT_MAX; id++)
        update(producers, make(id, 0, 0, 1, id));
    update(producers, make(0, 0, 1, 1, PRODUCER_COUNT_MAX));
    assert_false(err_failed(producer_state_write(producers, &bytes)));
    struct span rest = buf_span(&bytes);
    assert_false(err_failed(producer_state_read(producers, &rest)));
    update(producers, make(PRODUCER_COUNT_MAX, 0, 0, 1, 0));
    assert_int_equal(check(producers, make(0, 0, 1, 1, -1), NULL), PRODUCER_DUPLICATE);
    assert_int_equal(check(producers, make(1, 0, 0, 1, -1), NULL), PRODUCER_IN_ORDER);
    buf_deinit(&bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, state_setup, state_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_last_batch_of_a_producer_is_known),
        TEST(next_sequence_is_in_order_and_a_gap_is_not),
        TEST(any_of_the_last_five_batches_is_a_duplicate),
        TEST(newer_epoch_starts_at_zero_and_fences_the_older),
        TEST(sequence_wraps_from_the_largest_to_zero),
        TEST(snapshot_gives_the_same_answers),
        TEST(damaged_snapshot_is_refused_at_every_length),
        TEST(silent_producers_expire_and_others_stay),
        TEST(marker_with_a_new_epoch_begins_sequences_anew),
        TEST(marker_of_the_same_epoch_keeps_sequences),
        TEST(prepared_but_never_written_counts_as_unknown),
        TEST(producer_that_wrote_longest_ago_makes_room),
        TEST(order_of_producers_outlives_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
