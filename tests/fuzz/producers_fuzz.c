/*
 * producers_fuzz: random bytes as a producer snapshot: what a partition remembers of its producers
 * and transactions. What is taken in is written again, and must read as the same.
 */
#include <stdlib.h>

#include "base/check.h"
#include "broker/producer_state.h"
#include "broker/transaction_index.h"

struct remembered {
    struct producer_state producers;
    struct transaction_index transactions;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void init(struct remembered *remembered)
{
    producer_state_init(&remembered->producers);
    transaction_index_init(&remembered->transactions);
}

static void deinit(struct remembered *remembered)
{
    producer_state_deinit(&remembered->producers);
    transaction_index_deinit(&remembered->transactions);
}

static bool take(struct remembered *remembered, struct span bytes)
{
    return !err_failed(producer_state_read(&remembered->producers, &bytes)) &&
           !err_failed(transaction_index_read(&remembered->transactions, bytes));
}

static void write_again(const struct remembered *remembered, struct buf *out)
{
    CHECK(!err_failed(producer_state_write(&remembered->producers, out)));
    CHECK(!err_failed(transaction_index_write(&remembered->transactions, out)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remembered first;
    struct remembered second;
    struct buf once;
    struct buf twice;
    init(&first);
    init(&second);
    buf_init(&once, SIZE_MAX / 2);
    buf_init(&twice, SIZE_MAX / 2);
    if (take(&first, span_make(data, size))) {
        write_again(&first, &once);
        CHECK(take(&second, buf_span(&once)));
        write_again(&second, &twice);
        CHECK(span_equal(buf_span(&once), buf_span(&twice)));
    }
    deinit(&first);
    deinit(&second);
    buf_deinit(&once);
    buf_deinit(&twice);
    return 0;
}
