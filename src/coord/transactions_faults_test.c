/*
 * transactions_faults: an allocation, or a call to the disk, fails somewhere in the life of
 * transactions, or while they are loaded. Every request is answered, what is refused is refused
 * with an error that clients try again after, and done when they do; each transaction ends as a
 * whole, and has after a power cut ended the same way.
 */
#include "support/transaction_client.h"

#define TRY_COUNT_MAX 40 /* of one request */
#define PAUSE_MS 100     /* between them */
#define COMMITTED_OFFSET 42

/* Syncs are left out: one that fails is final (W7), and tested elsewhere. */
#define DISK_CALLS ((unsigned)MEM_DISK_ALL & ~(unsigned)MEM_DISK_SYNC)

enum fault { FAULT_MEMORY, FAULT_DISK };

struct life {
    struct coord_fixture fixture;
    enum fault fault;
    struct producer producer;
    int64_t offset; /* that its transaction commits for the group */
    bool is_commit;
    int sequence; /* of the record that is being sent */
};

/* A request: asks, and returns an answer's code or ANSWER_LATER. */
typedef int16_t request_ask(struct life *life);

#define ANSWER_LATER INT16_MAX

static void arm(struct life *life, uint32_t count)
{
    if (life->fault == FAULT_MEMORY)
        fail_alloc_arm(count);
    else
        mem_disk_fail(life->fixture.broker.base.disk, DISK_CALLS, count);
}

static bool disarm(struct life *life)
{
    if (life->fault == FAULT_MEMORY)
        return fail_alloc_disarm();
    bool has_failed = mem_disk_has_failed(life->fixture.broker.base.disk);
    mem_disk_fail(life->fixture.broker.base.disk, DISK_CALLS, 0);
    return has_failed;
}

/* Lets durability and timers do their part. */
static void pass(struct life *life)
{
    coord_fixture_flush(&life->fixture);
    coord_fixture_pass(&life->fixture, PAUSE_MS);
    coord_fixture_flush(&life->fixture);
}

static bool is_retriable(int16_t code)
{
    switch (code) {
    case KAFKA_COORDINATOR_NOT_AVAILABLE:
    case KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
    case KAFKA_CONCURRENT_TRANSACTIONS:
    case KAFKA_KAFKA_STORAGE_ERROR:
    case KAFKA_UNKNOWN_SERVER_ERROR: /* as the client's helper says that the connection is closed */
        return true;
    default:
        return false;
    }
}

/* Asks until it is done, as a client would. */
static void insist(struct life *life, request_ask *ask)
{
    for (int i = 0; i < TRY_COUNT_MAX; i++) {
        life->producer.count = 0;
        int16_t code = ask(life);
        for (int j = 0; j < TRY_COUNT_MAX && code == ANSWER_LATER; j++) {
            if (life->producer.count == 0)
                pass(life);
            else
                code = life->producer.wait.code;
        }
        if (code == KAFKA_NONE)
            return;
        if (code == ANSWER_LATER)
            fail_msg("a request is never answered");
        if (!is_retriable(code))
            fail_msg("a request is refused with %d", code);
        pass(life);
    }
    fail_msg("a request is refused for ever");
}

static int16_t ask_init(struct life *life)
{
    struct producer *producer = &life->producer;
    struct transaction_init asked = {.timeout_ms = 60000,
                                     .producer_id = -1,
                                     .epoch = -1,
                                     .fresh_id = -1,
                                     .now_ms = life->fixture.broker.base.time.now_ms};
    producer->wait = (struct transaction_wait){.done = producer_answered};
    transactions_init(transactions_of(&life->fixture), span_text("tx"), &asked, &producer->wait);
    if (producer->count == 0 || !producer->wait.needs_id)
        return ANSWER_LATER;
    int64_t commit;
    struct err err =
        admin_allocate_producer_id(life->fixture.broker.broker, &asked.fresh_id, &commit, NULL);
    if (err_failed(err))
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    producer->count = 0;
    transactions_init(transactions_of(&life->fixture), span_text("tx"), &asked, &producer->wait);
    return ANSWER_LATER;
}

static int16_t ask_add(struct life *life)
{
    producer_ask_add(&life->fixture, &life->producer);
    return ANSWER_LATER;
}

static int16_t ask_add_group(struct life *life)
{
    producer_ask_add_group(&life->fixture, &life->producer);
    return ANSWER_LATER;
}

static int16_t ask_write(struct life *life)
{
    enum append_verdict verdict =
        producer_write(&life->fixture, &life->producer, 0, life->sequence, NULL);
    assert_true(verdict == APPEND_DONE || verdict == APPEND_DUPLICATE || verdict == APPEND_FAILED);
    return verdict == APPEND_FAILED ? KAFKA_KAFKA_STORAGE_ERROR : KAFKA_NONE;
}

static int16_t ask_commit_offset(struct life *life)
{
    return producer_commit_offset(&life->fixture, &life->producer, life->offset);
}

static int16_t ask_end(struct life *life)
{
    producer_ask_end(&life->fixture, &life->producer, life->is_commit);
    return ANSWER_LATER;
}

static void begin_producer(struct life *life)
{
    insist(life, ask_init);
    life->producer.id = life->producer.wait.producer_id;
    life->producer.epoch = life->producer.wait.epoch;
}

/* One transaction from its first record to its end. */
static void transact(struct life *life, int64_t offset, bool is_commit)
{
    life->offset = offset;
    life->is_commit = is_commit;
    life->sequence = 0;
    insist(life, ask_add);
    insist(life, ask_write);
    life->sequence = 1;
    insist(life, ask_write);
    insist(life, ask_add_group);
    insist(life, ask_commit_offset);
    insist(life, ask_end);
    life->producer.id = life->producer.wait.producer_id;
    life->producer.epoch = life->producer.wait.epoch;
}

/* One committed transaction, one aborted. */
static void live(struct life *life)
{
    begin_producer(life);
    transact(life, COMMITTED_OFFSET, true);
    transact(life, COMMITTED_OFFSET + 1, false);
}

static void check(struct life *life, size_t aborted_count)
{
    struct coord_fixture *fixture = &life->fixture;
    int16_t code;
    for (int i = 0; i < TRY_COUNT_MAX; i++) /* the markers' part may come later */
        pass(life);
    struct partition_offsets offsets = offsets_of(fixture, 0);
    assert_int_equal(offsets.stable, offsets.high_watermark);
    assert_int_equal(count_aborted(fixture, 0), aborted_count);
    assert_int_equal(committed_offset(fixture, &code), COMMITTED_OFFSET);
    assert_int_equal(code, KAFKA_NONE);
}

static void begin(struct life *life, enum fault fault)
{
    *life = (struct life){.fault = fault};
    transaction_fixture_begin(&life->fixture);
    coord_fixture_load(&life->fixture);
}

static bool life_attempt(void *context, uint32_t count)
{
    struct life life;
    begin(&life, *(const enum fault *)context);
    arm(&life, count);
    live(&life);
    bool has_failed = disarm(&life);
    check(&life, 1);
    coord_fixture_crash(&life.fixture);
    coord_fixture_load(&life.fixture);
    check(&life, 1);
    live(&life);
    check(&life, 2);
    coord_fixture_deinit(&life.fixture);
    return has_failed;
}

/* Whether all could be loaded. */
static bool try_load(struct life *life)
{
    bool is_more = true;
    struct err err = ERR_NONE;
    while (is_more && !err_failed(err))
        err = coord_load_step(life->fixture.coord, &is_more, &life->fixture.broker.base.diag);
    return !err_failed(err);
}

/* A transaction is decided and its markers are not written when the machine dies. */
static bool load_attempt(void *context, uint32_t count)
{
    struct life life;
    begin(&life, *(const enum fault *)context);
    begin_producer(&life);
    transact(&life, COMMITTED_OFFSET, true);
    insist(&life, ask_add);
    life.sequence = 0;
    insist(&life, ask_write);
    life.is_commit = false;
    life.producer.count = 0;
    (void)ask_end(&life);
    struct store_flush_result flushed;
    assert_ok(store_flush_step(life.fixture.broker.base.store, &flushed, NULL));
    coord_fixture_crash(&life.fixture);
    arm(&life, count);
    bool is_loaded = try_load(&life);
    bool has_failed = disarm(&life);
    assert_true(is_loaded || has_failed);
    if (!is_loaded)
        coord_fixture_load(&life.fixture);
    check(&life, 1);
    live(&life);
    check(&life, 2);
    coord_fixture_deinit(&life.fixture);
    return has_failed;
}

static void any_one_failing_allocation_is_overcome(void **state)
{
    (void)state;
    enum fault fault = FAULT_MEMORY;
    assert_true(fail_each(life_attempt, &fault) > 110);
}

static void any_one_failing_call_to_the_disk_is_overcome(void **state)
{
    (void)state;
    enum fault fault = FAULT_DISK;
    assert_true(fail_each(life_attempt, &fault) > 35);
}

static void a_load_without_memory_is_made_again(void **state)
{
    (void)state;
    enum fault fault = FAULT_MEMORY;
    assert_true(fail_each(load_attempt, &fault) > 35);
}

static void a_load_from_a_bad_disk_is_made_again(void **state)
{
    (void)state;
    enum fault fault = FAULT_DISK;
    assert_true(fail_each(load_attempt, &fault) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_failing_allocation_is_overcome),
        cmocka_unit_test(any_one_failing_call_to_the_disk_is_overcome),
        cmocka_unit_test(a_load_without_memory_is_made_again),
        cmocka_unit_test(a_load_from_a_bad_disk_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
