/*
 * api_faults: an allocation, or a call to the disk or to the network, fails while a request is
 * served, for each API.
 *
 * Who asked gets its own answer, or its connection is closed; nobody waits for ever. Others are
 * served as before, and the request can be made again.
 */
#include "support/api_requests.h"

#include "coord/transactions.h"

#define PATIENCE 30 /* so often time passes before a request is taken for forgotten */
#define PAUSE_MS 200
#define CORRELATION 5

/* Syncs are left out: one that fails is final (W7), and tested elsewhere. */
#define DISK_CALLS ((unsigned)MEM_DISK_ALL & ~(unsigned)MEM_DISK_SYNC)

enum fault { FAULT_MEMORY, FAULT_DISK, FAULT_NETWORK };

struct trial {
    struct server_fixture *fixture;
    enum fault fault;
    size_t at; /* of example_requests; those before it are served first */
};

static void arm(const struct trial *trial, uint32_t count)
{
    if (trial->fault == FAULT_MEMORY)
        fail_alloc_arm(count);
    else if (trial->fault == FAULT_NETWORK)
        (void)fake_net_fail(trial->fixture->net, count);
    else
        mem_disk_fail(trial->fixture->coord.broker.base.disk, DISK_CALLS, count);
}

static bool disarm(const struct trial *trial)
{
    if (trial->fault == FAULT_MEMORY)
        return fail_alloc_disarm();
    if (trial->fault == FAULT_NETWORK)
        return fake_net_fail(trial->fixture->net, 0);
    bool has_failed = mem_disk_has_failed(trial->fixture->coord.broker.base.disk);
    mem_disk_fail(trial->fixture->coord.broker.base.disk, DISK_CALLS, 0);
    return has_failed;
}

static void begin(struct server_fixture *fixture)
{
    int64_t commit;
    server_fixture_init(fixture);
    struct transactions *transactions = coord_transactions(fixture->coord.coord);
    assert_true(err_is(transactions_prepare(transactions, &commit, NULL), ERR_AGAIN));
    coord_fixture_flush(&fixture->coord);
    assert_ok(transactions_prepare(transactions, &commit, NULL));
    server_fixture_start(fixture);
}

/* Lets the other threads do their part until there is an answer, or the connection is closed. */
static bool is_answered(struct server_fixture *fixture, int socket)
{
    for (int i = 0; i < PATIENCE; i++) {
        int32_t correlation = peer_take_answer(fixture, socket);
        if (correlation >= 0) {
            assert_int_equal(correlation, CORRELATION);
            return true;
        }
        if (!fake_net_is_open(fixture->net, socket))
            return false;
        server_fixture_flush(fixture);
        coord_step(fixture->coord.coord);
        server_fixture_pass(fixture, PAUSE_MS);
    }
    fail_msg("no answer");
    return false;
}

/* By a peer of its own. */
static bool ask(struct server_fixture *fixture, const struct example_request *example)
{
    int socket = peer_connect(fixture);
    write_example(fixture, example, CORRELATION);
    peer_send(fixture, socket);
    bool was_answered = is_answered(fixture, socket);
    if (fake_net_is_open(fixture->net, socket))
        fake_net_end(fixture->net, socket);
    server_fixture_run(fixture);
    return was_answered;
}

static bool attempt(void *context, uint32_t count)
{
    struct trial *trial = context;
    struct server_fixture *fixture = trial->fixture;
    const struct example_request *example = &example_requests[trial->at];
    begin(fixture);
    for (size_t i = 0; i < trial->at; i++)
        assert_true(ask(fixture, &example_requests[i]));
    int bystander = peer_connect(fixture);
    int socket = peer_connect(fixture);
    write_example(fixture, example, CORRELATION);
    fake_net_send(fixture->net, socket, buf_span(&fixture->request));
    buf_clear(&fixture->request);
    arm(trial, count);
    server_fixture_run(fixture);
    server_fixture_flush(fixture);
    coord_step(fixture->coord.coord);
    server_fixture_run(fixture);
    bool has_failed = disarm(trial);
    if (!is_answered(fixture, socket))
        assert_true(has_failed);
    write_metadata(fixture, CORRELATION);
    peer_send(fixture, bystander);
    assert_true(is_answered(fixture, bystander));
    assert_true(ask(fixture, example));
    server_fixture_deinit(fixture);
    return has_failed;
}

static uint32_t try_all(enum fault fault)
{
    static struct server_fixture fixture;
    uint32_t count = 0;
    for (size_t i = 0; i < EXAMPLE_COUNT; i++) {
        struct trial trial = {.fixture = &fixture, .fault = fault, .at = i};
        uint32_t calls = fail_each(attempt, &trial);
        assert_true(fault != FAULT_MEMORY || calls >= 3); /* a request's own, at the least */
        count += calls;
    }
    return count;
}

static void each_api_answers_or_closes_where_memory_fails(void **state)
{
    (void)state;
    assert_true(try_all(FAULT_MEMORY) > 270);
}

static void each_api_answers_or_closes_where_the_disk_fails(void **state)
{
    (void)state;
    assert_true(try_all(FAULT_DISK) >= 40);
}

static void each_api_answers_or_closes_where_the_network_fails(void **state)
{
    (void)state;
    assert_true(try_all(FAULT_NETWORK) >= 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_api_answers_or_closes_where_memory_fails),
        cmocka_unit_test(each_api_answers_or_closes_where_the_disk_fails),
        cmocka_unit_test(each_api_answers_or_closes_where_the_network_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
