/* transaction_index: against a model that keeps every transaction in one array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/transaction_index.h"

static void begin(struct transaction_index *index, int64_t producer_id, int64_t offset)
{
    assert_false(err_failed(transaction_index_prepare(index, producer_id)));
    transaction_index_begin(index, producer_id, offset);
}

static void end(struct transaction_index *index, int64_t producer_id, bool is_aborted,
                int64_t offset)
{
    assert_false(err_failed(transaction_index_prepare(index, producer_id)));
    transaction_index_end(index, producer_id, is_aborted, offset);
}

static size_t count_aborted(const struct transaction_index *index, int64_t from, int64_t below)
{
    struct arena arena;
    struct aborted_transaction *found;
    size_t count;
    arena_init(&arena, 1 << 20);
    assert_false(err_failed(transaction_index_collect(index, from, below, &arena, &found, &count)));
    arena_deinit(&arena);
    return count;
}

static int index_setup(void **state)
{
    static struct transaction_index index;
    transaction_index_init(&index);
    *state = &index;
    return 0;
}

static int index_teardown(void **state)
{
    transaction_index_deinit(*state);
    return 0;
}

static void what_is_stable_ends_where_the_first_undecided_begins(void **state)
{
    struct transaction_index *index = *state;
    assert_int_equal(transaction_index_stable(index, 100), 100);
    begin(index, 1, 10);
    begin(index, 2, 20);
    begin(index, 1, 30); /* goes on: the beginning stays */
    assert_int_equal(transaction_index_stable(index, 100), 10);
    assert_int_equal(transaction_index_stable(index, 5), 5);
    end(index, 1, false, 40);
    assert_int_equal(transaction_index_stable(index, 40), 10); /* the marker is not durable yet */
    transaction_index_settle(index, 40);
    assert_int_equal(transaction_index_stable(index, 40), 10);
    transaction_index_settle(index, 41);
    assert_int_equal(transaction_index_stable(index, 41), 20);
    assert_int_equal(transaction_index_first_offset(index, 1), -1);
    assert_int_equal(transaction_index_first_offset(index, 2), 20);
}

static void marker_without_a_transaction_decides_nothing(void **state)
{
    struct transaction_index *index = *state;
    end(index, 9, true, 3);
    assert_int_equal(count_aborted(index, 0, 100), 0);
    assert_int_equal(transaction_index_stable(index, 100), 100);
    assert_int_equal(index->open.count, 0);
}

static void only_the_aborted_that_reach_into_the_range_are_collected(void **state)
{
    struct transaction_index *index = *state;
    begin(index, 1, 0);
    begin(index, 2, 10);
    end(index, 2, true, 20);
    begin(index, 2, 30);
    end(index, 2, true, 40);
    end(index, 1, true, 50); /* from 0 to 50: over all the others */
    begin(index, 3, 60);
    end(index, 3, false, 70);
    assert_int_equal(count_aborted(index, 0, 71), 3);
    assert_int_equal(count_aborted(index, 21, 71), 2);
    assert_int_equal(count_aborted(index, 0, 5), 1);
    assert_int_equal(count_aborted(index, 51, 71), 0);
    assert_int_equal(count_aborted(index, 45, 48), 1);
    transaction_index_trim(index, 21);
    assert_int_equal(index->aborted_count, 2);
}

/* A model: all transactions ever, searched from end to end. */
#define MODEL_COUNT_MAX 2000
struct model {
    struct {
        int64_t producer_id, first, last;
        bool is_aborted;
    } all[MODEL_COUNT_MAX];
    size_t count;
};

static int64_t model_stable(const struct model *model, int64_t watermark)
{
    int64_t stable = watermark;
    for (size_t i = 0; i < model->count; i++) {
        bool is_decided = model->all[i].last >= 0 && model->all[i].last < watermark;
        if (!is_decided && model->all[i].first < stable)
            stable = model->all[i].first;
    }
    return stable;
}

static size_t model_aborted(const struct model *model, int64_t from, int64_t below)
{
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++)
        count +=
            model->all[i].is_aborted && model->all[i].last >= from && model->all[i].first < below;
    return count;
}

static void any_history_gives_the_answers_of_the_model(void **state)
{
    struct transaction_index *index = *state;
    static struct model model;
    int64_t open[8] = {-1, -1, -1, -1, -1, -1, -1, -1}; /* position in the model */
    int64_t watermark = 0;
    uint32_t seed = 12345;
    for (int64_t offset = 0; offset < 3000; offset++) {
        seed = seed * 1664525U + 1013904223U;
        size_t producer = seed >> 29;
        bool ends = (seed >> 20 & 3) == 0;
        if (ends && open[producer] >= 0) {
            bool is_aborted = (seed >> 22 & 1) != 0;
            end(index, (int64_t)producer, is_aborted, offset);
            model.all[open[producer]].last = offset;
            model.all[open[producer]].is_aborted = is_aborted;
            open[producer] = -1;
        } else if (open[producer] < 0 && model.count < MODEL_COUNT_MAX) {
            begin(index, (int64_t)producer, offset);
            open[producer] = (int64_t)model.count;
            model.all[model.count].producer_id = (int64_t)producer;
            model.all[model.count].first = offset;
            model.all[model.count++].last = -1;
        }
        if ((seed >> 10 & 7) == 0) {
            watermark = offset + 1 - (seed >> 13 & 3);
            transaction_index_settle(index, watermark);
        }
        assert_int_equal(transaction_index_stable(index, watermark),
                         model_stable(&model, watermark));
        int64_t from = offset - (int64_t)(seed >> 24);
        int64_t below = from + (int64_t)(seed >> 25);
        assert_int_equal(count_aborted(index, from, below), model_aborted(&model, from, below));
    }
    assert_true(model.count > 300);
}

static void aborted_records_are_known_by_producer_and_offset(void **state)
{
    struct transaction_index *index = *state;
    begin(index, 1, 0);
    begin(index, 2, 5);
    end(index, 1, false, 10);
    begin(index, 1, 12);
    end(index, 2, true, 15);
    end(index, 1, true, 20);
    assert_false(transaction_index_is_aborted(index, 1, 0)); /* the first one was committed */
    assert_true(transaction_index_is_aborted(index, 2, 5));
    assert_false(transaction_index_is_aborted(index, 2, 4));
    assert_true(transaction_index_is_aborted(index, 1, 12));
    assert_true(transaction_index_is_aborted(index, 1, 18));
    assert_false(transaction_index_is_aborted(index, 1, 21));
    assert_false(transaction_index_is_aborted(index, 3, 12));
    transaction_index_trim(index, 16); /* compacted up to there */
    assert_false(transaction_index_is_aborted(index, 2, 5));
    assert_true(transaction_index_is_aborted(index, 1, 12));
}

static void snapshot_gives_the_same_answers(void **state)
{
    struct transaction_index *index = *state;
    struct transaction_index copy;
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    begin(index, 1, 0);
    begin(index, 2, 10);
    end(index, 2, true, 20);
    begin(index, 3, 25);
    end(index, 3, false, 26); /* decided, its marker not durable: not in the snapshot */
    assert_false(err_failed(transaction_index_write(index, &bytes)));
    transaction_index_init(&copy);
    assert_false(err_failed(transaction_index_read(&copy, buf_span(&bytes))));
    assert_int_equal(transaction_index_stable(&copy, 30), 0);
    assert_int_equal(count_aborted(&copy, 0, 30), 1);
    assert_int_equal(copy.aborted[0].stable_offset, 0);
    end(&copy, 1, false, 30);
    transaction_index_settle(&copy, 31);
    assert_int_equal(transaction_index_stable(&copy, 31), 31);
    for (size_t size = 0; size < bytes.size; size++) {
        transaction_index_deinit(&copy);
        assert_true(
            err_is(transaction_index_read(&copy, span_make(bytes.data, size)), ERR_CORRUPT));
        assert_int_equal(transaction_index_stable(&copy, 30), 30);
    }
    transaction_index_deinit(&copy);
    buf_deinit(&bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, index_setup, index_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_stable_ends_where_the_first_undecided_begins),
        TEST(marker_without_a_transaction_decides_nothing),
        TEST(only_the_aborted_that_reach_into_the_range_are_collected),
        TEST(any_history_gives_the_answers_of_the_model),
        TEST(aborted_records_are_known_by_producer_and_offset),
        TEST(snapshot_gives_the_same_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
