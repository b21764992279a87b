/* transaction: what each request would make of a transactional id, by Kafka's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coord/transaction.h"
#include "wire/error_code.h"

#define NOW 1000

static struct transaction_facts facts_in(enum transaction_state state, int16_t epoch)
{
    struct transaction_facts facts = transaction_facts_new(7, NOW);
    facts.state = state;
    facts.epoch = epoch;
    facts.timeout_ms = 60000;
    facts.client_version = 2;
    return facts;
}

static struct transaction_verdict init(struct transaction_facts facts, int64_t id, int16_t epoch,
                                       int64_t fresh_id)
{
    const struct transaction_init asked = {
        .timeout_ms = 5000, .producer_id = id, .epoch = epoch, .fresh_id = fresh_id, .now_ms = NOW};
    struct transaction_verdict verdict = {.code = KAFKA_NONE};
    transaction_judge_init(&facts, false, &asked, &verdict);
    return verdict;
}

static struct transaction_verdict end(struct transaction_facts facts, int64_t id, int16_t epoch,
                                      int16_t version, bool is_commit)
{
    const struct transaction_end asked = {
        .producer = {.id = id, .epoch = epoch, .client_version = version},
        .is_commit = is_commit,
        .fresh_id = 99,
        .now_ms = NOW};
    struct transaction_verdict verdict = {.code = KAFKA_NONE};
    transaction_judge_end(&facts, false, &asked, &verdict);
    return verdict;
}

static void assert_refused(struct transaction_verdict verdict, int16_t code)
{
    assert_int_equal(verdict.step, STEP_REFUSE);
    assert_int_equal(verdict.code, code);
}

static void assert_changed(struct transaction_verdict verdict, enum transaction_state state,
                           int64_t id, int16_t epoch)
{
    assert_int_equal(verdict.step, STEP_CHANGE);
    assert_int_equal(verdict.next.state, state);
    assert_int_equal(verdict.next.producer_id, id);
    assert_int_equal(verdict.next.epoch, epoch);
}

static void new_instance_raises_the_epoch_and_fences_the_one_before(void **state)
{
    (void)state;
    assert_changed(init(transaction_facts_new(7, NOW), -1, -1, -1), TRANSACTION_EMPTY, 7, 0);
    struct transaction_verdict verdict = init(facts_in(TRANSACTION_COMPLETE_COMMIT, 4), -1, -1, -1);
    assert_changed(verdict, TRANSACTION_EMPTY, 7, 5);
    assert_int_equal(verdict.next.last_epoch, -1);
    assert_int_equal(verdict.next.timeout_ms, 5000);
    assert_refused(init(verdict.next, 7, 4, -1), KAFKA_PRODUCER_FENCED);
}

static void instance_that_goes_on_raises_its_epoch_once(void **state)
{
    (void)state;
    struct transaction_verdict first = init(facts_in(TRANSACTION_EMPTY, 4), 7, 4, -1);
    assert_changed(first, TRANSACTION_EMPTY, 7, 5);
    struct transaction_verdict again = init(first.next, 7, 4, -1); /* the answer was lost */
    assert_changed(again, TRANSACTION_EMPTY, 7, 5);
    assert_refused(init(first.next, 7, 3, -1), KAFKA_PRODUCER_FENCED);
    assert_refused(init(first.next, 8, 5, -1), KAFKA_PRODUCER_FENCED);
}

static void init_amid_a_transaction_aborts_it_first(void **state)
{
    (void)state;
    struct transaction_verdict verdict = init(facts_in(TRANSACTION_ONGOING, 4), -1, -1, -1);
    assert_changed(verdict, TRANSACTION_PREPARE_ABORT, 7, 5);
    assert_int_equal(verdict.code, KAFKA_CONCURRENT_TRANSACTIONS);
    assert_refused(init(verdict.next, -1, -1, -1), KAFKA_CONCURRENT_TRANSACTIONS);
}

static void used_up_epochs_need_a_fresh_id(void **state)
{
    (void)state;
    struct transaction_facts facts = facts_in(TRANSACTION_COMPLETE_ABORT, INT16_MAX - 1);
    assert_int_equal(init(facts, -1, -1, -1).step, STEP_NEED_ID);
    struct transaction_verdict verdict = init(facts, 7, INT16_MAX - 1, 99);
    assert_changed(verdict, TRANSACTION_EMPTY, 99, 0);
    assert_int_equal(verdict.next.previous_producer_id, 7);
    /* The producer never heard of 99 and asks again with what it has. */
    struct transaction_verdict again = init(verdict.next, 7, INT16_MAX - 1, -1);
    assert_int_equal(again.step, STEP_CHANGE);
    assert_int_equal(again.next.producer_id, 99);
    assert_int_equal(again.next.epoch, 0);
}

static void partitions_begin_a_transaction_and_join_one(void **state)
{
    (void)state;
    const struct transaction_producer producer = {.id = 7, .epoch = 4, .client_version = 2};
    const enum transaction_state begins[] = {TRANSACTION_EMPTY, TRANSACTION_COMPLETE_COMMIT,
                                             TRANSACTION_COMPLETE_ABORT, TRANSACTION_ONGOING};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        struct transaction_facts facts = facts_in(begins[i], 4);
        struct transaction_verdict verdict;
        transaction_judge_add(&facts, false, &producer, false, NOW, &verdict);
        assert_changed(verdict, TRANSACTION_ONGOING, 7, 4);
        assert_int_equal(verdict.next.start_ms, begins[i] == TRANSACTION_ONGOING ? -1 : NOW);
    }
    struct transaction_facts facts = facts_in(TRANSACTION_ONGOING, 4);
    struct transaction_verdict verdict;
    transaction_judge_add(&facts, false, &producer, true, NOW, &verdict);
    assert_int_equal(verdict.step, STEP_ANSWER);
}

static void stranger_or_fenced_producer_adds_nothing(void **state)
{
    (void)state;
    struct transaction_facts facts = facts_in(TRANSACTION_ONGOING, 4);
    struct transaction_verdict verdict;
    transaction_judge_add(&facts, false, &(struct transaction_producer){.id = 8, .epoch = 4}, false,
                          NOW, &verdict);
    assert_refused(verdict, KAFKA_INVALID_PRODUCER_ID_MAPPING);
    transaction_judge_add(&facts, false, &(struct transaction_producer){.id = 7, .epoch = 3}, false,
                          NOW, &verdict);
    assert_refused(verdict, KAFKA_PRODUCER_FENCED);
    facts.state = TRANSACTION_PREPARE_COMMIT;
    transaction_judge_add(&facts, false, &(struct transaction_producer){.id = 7, .epoch = 4}, false,
                          NOW, &verdict);
    assert_refused(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
}

static void only_an_open_transaction_is_verified(void **state)
{
    (void)state;
    const struct transaction_producer producer = {.id = 7, .epoch = 4};
    struct transaction_facts facts = facts_in(TRANSACTION_ONGOING, 4);
    assert_int_equal(transaction_judge_verify(&facts, &producer), KAFKA_NONE);
    facts.state = TRANSACTION_COMPLETE_ABORT;
    assert_int_equal(transaction_judge_verify(&facts, &producer), KAFKA_TRANSACTION_ABORTABLE);
}

static void end_of_version_2_raises_the_epoch(void **state)
{
    (void)state;
    struct transaction_facts open = facts_in(TRANSACTION_ONGOING, 4);
    assert_changed(end(open, 7, 4, 2, true), TRANSACTION_PREPARE_COMMIT, 7, 5);
    assert_changed(end(open, 7, 4, 2, false), TRANSACTION_PREPARE_ABORT, 7, 5);
    assert_changed(end(open, 7, 4, 0, true), TRANSACTION_PREPARE_COMMIT, 7, 4);
    assert_refused(end(open, 7, 3, 2, true), KAFKA_PRODUCER_FENCED);
    assert_refused(end(open, 7, 5, 2, true), KAFKA_PRODUCER_FENCED);
    assert_refused(end(open, 8, 4, 2, true), KAFKA_INVALID_PRODUCER_ID_MAPPING);
}

/* The epoch tells whether an end is one sent again or that of the next transaction. */
static void delayed_end_never_touches_a_later_transaction(void **state)
{
    (void)state;
    struct transaction_facts done = facts_in(TRANSACTION_COMPLETE_COMMIT, 5);
    assert_int_equal(end(done, 7, 4, 2, true).step, STEP_ANSWER);
    assert_refused(end(done, 7, 4, 2, false), KAFKA_INVALID_TXN_STATE);
    assert_refused(end(done, 7, 5, 2, true), KAFKA_INVALID_TXN_STATE); /* nothing was written */
    assert_changed(end(done, 7, 5, 2, false), TRANSACTION_PREPARE_ABORT, 7, 6);
    struct transaction_facts next = facts_in(TRANSACTION_ONGOING, 5);
    assert_refused(end(next, 7, 4, 2, true), KAFKA_PRODUCER_FENCED);
    struct transaction_facts prepared = facts_in(TRANSACTION_PREPARE_COMMIT, 5);
    assert_refused(end(prepared, 7, 4, 2, true), KAFKA_CONCURRENT_TRANSACTIONS);
    assert_refused(end(prepared, 7, 4, 2, false), KAFKA_INVALID_TXN_STATE);
    assert_refused(end(prepared, 7, 6, 2, true), KAFKA_PRODUCER_FENCED);
}

/* A producer that was told its new epoch may go on before the markers are there. */
static void next_end_waits_for_the_markers_before_it(void **state)
{
    (void)state;
    struct transaction_facts prepared = facts_in(TRANSACTION_PREPARE_COMMIT, 5);
    assert_refused(end(prepared, 7, 5, 2, false), KAFKA_CONCURRENT_TRANSACTIONS);
    assert_refused(end(prepared, 7, 5, 2, true), KAFKA_CONCURRENT_TRANSACTIONS);
    struct transaction_facts done = transaction_complete(&prepared, NOW);
    assert_changed(end(done, 7, 5, 2, false), TRANSACTION_PREPARE_ABORT, 7, 6);
}

static void end_of_older_clients_goes_by_state_alone(void **state)
{
    (void)state;
    struct transaction_facts done = facts_in(TRANSACTION_COMPLETE_ABORT, 5);
    assert_int_equal(end(done, 7, 5, 0, false).step, STEP_ANSWER);
    assert_refused(end(done, 7, 5, 0, true), KAFKA_INVALID_TXN_STATE);
    assert_refused(end(facts_in(TRANSACTION_EMPTY, 5), 7, 5, 0, false), KAFKA_INVALID_TXN_STATE);
    assert_refused(end(facts_in(TRANSACTION_PREPARE_ABORT, 5), 7, 5, 0, false),
                   KAFKA_CONCURRENT_TRANSACTIONS);
}

static void empty_transaction_of_version_2_is_aborted_and_not_committed(void **state)
{
    (void)state;
    struct transaction_facts empty = facts_in(TRANSACTION_EMPTY, 4);
    assert_changed(end(empty, 7, 4, 2, false), TRANSACTION_PREPARE_ABORT, 7, 5);
    assert_refused(end(empty, 7, 4, 2, true), KAFKA_INVALID_TXN_STATE);
}

static void last_epoch_ends_with_a_new_id(void **state)
{
    (void)state;
    struct transaction_verdict verdict =
        end(facts_in(TRANSACTION_ONGOING, INT16_MAX - 1), 7, INT16_MAX - 1, 2, true);
    assert_changed(verdict, TRANSACTION_PREPARE_COMMIT, 7, INT16_MAX);
    assert_refused(end(verdict.next, 99, 0, 2, false), KAFKA_CONCURRENT_TRANSACTIONS);
    struct transaction_facts done = transaction_complete(&verdict.next, NOW + 1);
    assert_int_equal(done.state, TRANSACTION_COMPLETE_COMMIT);
    assert_int_equal(done.producer_id, 99);
    assert_int_equal(done.epoch, 0);
    assert_int_equal(done.previous_producer_id, 7);
    assert_int_equal(end(done, 7, INT16_MAX - 1, 2, true).step, STEP_ANSWER); /* sent again */
}

static void fence_raises_the_epoch_by_one_and_never_overflows(void **state)
{
    (void)state;
    struct transaction_facts open = facts_in(TRANSACTION_ONGOING, 4);
    assert_int_equal(transaction_fence(&open, 2, NOW).epoch, 5);
    assert_int_equal(transaction_fence(&open, 0, NOW).epoch, 5);
    open.epoch = INT16_MAX - 1;
    assert_int_equal(transaction_fence(&open, 2, NOW).epoch, INT16_MAX);
    open.epoch = INT16_MAX;
    assert_int_equal(transaction_fence(&open, 2, NOW).epoch, INT16_MAX);
}

static void producer_of_a_fenced_transaction_may_learn_of_the_abort(void **state)
{
    (void)state;
    struct transaction_facts open = facts_in(TRANSACTION_ONGOING, 4);
    struct transaction_facts prepared = transaction_fence(&open, 2, NOW);
    struct transaction_facts aborted = transaction_complete(&prepared, NOW + 1);
    assert_int_equal(end(aborted, 7, 4, 2, false).step, STEP_ANSWER);
    assert_refused(end(aborted, 7, 4, 2, true), KAFKA_INVALID_TXN_STATE);
    assert_refused(end(aborted, 7, 4, 0, false), KAFKA_PRODUCER_FENCED);
    assert_changed(init(aborted, 7, 4, -1), TRANSACTION_EMPTY, 7, 5);
}

static void everything_waits_for_a_record_under_way(void **state)
{
    (void)state;
    struct transaction_facts facts = facts_in(TRANSACTION_ONGOING, 4);
    const struct transaction_init asked = {.producer_id = -1, .epoch = -1, .fresh_id = -1};
    const struct transaction_end ending = {.producer = {.id = 7, .epoch = 4}};
    struct transaction_verdict verdict;
    transaction_judge_init(&facts, true, &asked, &verdict);
    assert_refused(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
    transaction_judge_end(&facts, true, &ending, &verdict);
    assert_refused(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
    transaction_judge_add(&facts, true, &ending.producer, true, NOW, &verdict);
    assert_refused(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_instance_raises_the_epoch_and_fences_the_one_before),
        cmocka_unit_test(instance_that_goes_on_raises_its_epoch_once),
        cmocka_unit_test(init_amid_a_transaction_aborts_it_first),
        cmocka_unit_test(used_up_epochs_need_a_fresh_id),
        cmocka_unit_test(partitions_begin_a_transaction_and_join_one),
        cmocka_unit_test(stranger_or_fenced_producer_adds_nothing),
        cmocka_unit_test(only_an_open_transaction_is_verified),
        cmocka_unit_test(end_of_version_2_raises_the_epoch),
        cmocka_unit_test(delayed_end_never_touches_a_later_transaction),
        cmocka_unit_test(next_end_waits_for_the_markers_before_it),
        cmocka_unit_test(end_of_older_clients_goes_by_state_alone),
        cmocka_unit_test(empty_transaction_of_version_2_is_aborted_and_not_committed),
        cmocka_unit_test(last_epoch_ends_with_a_new_id),
        cmocka_unit_test(fence_raises_the_epoch_by_one_and_never_overflows),
        cmocka_unit_test(producer_of_a_fenced_transaction_may_learn_of_the_abort),
        cmocka_unit_test(everything_waits_for_a_record_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
