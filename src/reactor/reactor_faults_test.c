/*
 * reactor_faults: memory is refused, or a call to the network fails, somewhere in the life of a
 * reactor, its listener and a connection. That is served or closed, and told so once; the others
 * are served as before.
 */
#include "support/fail_alloc.h"
#include "support/reactor_fixture.h"

#define PORT 9092
#define RECORD_SIZE 8
#define RECORD_COUNT 40
#define KEPT_SIZE_MAX 4096

/* Takes whole records and sends each back. */
struct echo {
    struct connection *connection;
    int closed_count;
};

struct servant {
    struct reactor_fixture *fixture;
    struct echo echoes[4];
    int echo_count;
};

/* A record on its way back. */
struct answer {
    struct piece piece;
    uint8_t bytes[RECORD_SIZE];
};

static void answer_release(struct piece *piece)
{
    free(LIST_ENTRY(piece, struct answer, piece));
}

static size_t echo_data(void *user, uint8_t *bytes, size_t size, size_t *wanted)
{
    struct echo *echo = user;
    size_t at = 0;
    for (; size - at >= RECORD_SIZE; at += RECORD_SIZE) {
        struct answer *answer = malloc(sizeof *answer);
        if (answer == NULL) {
            connection_close(echo->connection);
            return at;
        }
        memcpy(answer->bytes, bytes + at, RECORD_SIZE);
        answer->piece = (struct piece){.bytes = span_make(answer->bytes, RECORD_SIZE),
                                       .file = OS_FILE_NONE,
                                       .release = answer_release};
        connection_send(echo->connection, &answer->piece);
    }
    *wanted = RECORD_SIZE;
    return at;
}

static void echo_closed(void *user)
{
    ((struct echo *)user)->closed_count++;
}

static const struct connection_user echo_vtable = {.data = echo_data, .closed = echo_closed};

static void serve(struct servant *servant, int socket)
{
    struct reactor_fixture *fixture = servant->fixture;
    struct echo *echo = &servant->echoes[servant->echo_count++];
    struct err err =
        connection_open(fixture->reactor, socket, KEPT_SIZE_MAX, 1000, &echo->connection);
    if (err_failed(err)) {
        assert_true(err_is(err, ERR_NO_MEMORY) || err_is(err, ERR_LIMIT));
        net_close(fixture->os.net, socket);
        echo->closed_count = 1;
        return;
    }
    connection_set_user(echo->connection, &echo_vtable, echo);
}

/* Whether the peer gets all of its records back; if not, its connection must be closed. */
static bool talk(struct servant *servant, int at, uint32_t count, bool is_armed)
{
    struct reactor_fixture *fixture = servant->fixture;
    uint8_t sent[RECORD_SIZE * RECORD_COUNT];
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 7 + (size_t)at);
    int socket = fake_net_connect(fixture->net, 0);
    if (is_armed)
        fail_alloc_arm(count);
    serve(servant, socket);
    fake_net_set_pace(fixture->net, 13); /* records are cut: what is begun is kept */
    if (fake_net_is_open(fixture->net, socket))
        fake_net_send(fixture->net, socket, span_make(sent, sizeof sent));
    reactor_fixture_run(fixture);
    struct span got = fake_net_look(fixture->net, socket);
    bool is_whole = got.size == sizeof sent && memcmp(got.data, sent, sizeof sent) == 0;
    assert_true(is_whole || servant->echoes[at].closed_count == 1);
    if (got.size != 0)
        assert_memory_equal(got.data, sent, got.size);
    if (is_whole)
        fake_net_end(fixture->net, socket);
    reactor_fixture_run(fixture);
    assert_int_equal(servant->echoes[at].closed_count, 1);
    return is_whole;
}

static bool attempt(void *context, uint32_t count)
{
    void *state;
    (void)context;
    assert_int_equal(reactor_fixture_setup(&state), 0);
    struct reactor_fixture *fixture = state;
    struct servant servant = {.fixture = fixture};
    reactor_fixture_destroy(fixture);
    fail_alloc_arm(count);
    struct err err = reactor_create(&fixture->os, &fixture->reactor);
    bool has_failed = fail_alloc_disarm();
    assert_true(!err_failed(err) || (has_failed && err_is(err, ERR_NO_MEMORY)));
    if (err_failed(err)) {
        assert_int_equal(fake_net_open_count(fixture->net), 0);
        fixture->reactor = NULL;
    } else {
        bool was_whole = talk(&servant, 0, count, true);
        has_failed = fail_alloc_disarm();
        assert_true(was_whole || has_failed);
        assert_true(talk(&servant, 1, 0, false));
    }
    assert_int_equal(reactor_fixture_teardown(&state), 0);
    return has_failed;
}

static void take_peer(void *context, int socket, const char peer[OS_PEER_TEXT_SIZE])
{
    (void)peer;
    serve(context, socket);
}

/* A peer sends a record and has it back. */
static void assert_served(struct reactor_fixture *fixture, int socket, uint8_t mark)
{
    uint8_t record[RECORD_SIZE];
    memset(record, mark, sizeof record);
    fake_net_send(fixture->net, socket, span_make(record, sizeof record));
    reactor_fixture_run(fixture);
    struct span got = fake_net_look(fixture->net, socket);
    assert_int_equal(got.size, sizeof record);
    assert_memory_equal(got.data, record, sizeof record);
    (void)fake_net_take(fixture->net, socket, NULL, got.size);
}

/* One peer talks while another, who was there before, and a third must not notice. */
static bool network_attempt(void *context, uint32_t count)
{
    void *state;
    (void)context;
    assert_int_equal(reactor_fixture_setup(&state), 0);
    struct reactor_fixture *fixture = state;
    struct servant servant = {.fixture = fixture};
    struct listener *listener;
    int socket;
    assert_ok(net_listen(fixture->os.net, "0.0.0.0", PORT, &socket));
    assert_ok(
        listener_create(fixture->reactor, fixture->os.net, socket, take_peer, &servant, &listener));
    int bystander = fake_net_connect(fixture->net, PORT);
    assert_served(fixture, bystander, 1);
    int peer = fake_net_connect(fixture->net, PORT);
    uint8_t sent[RECORD_SIZE] = {2};
    fake_net_send(fixture->net, peer, span_make(sent, sizeof sent));
    (void)fake_net_fail(fixture->net, count);
    for (int i = 0; i < 5; i++) /* a listener rests before it goes on */
        reactor_fixture_pass(fixture, 100);
    bool has_failed = fake_net_fail(fixture->net, 0);
    bool is_whole = fake_net_look(fixture->net, peer).size == sizeof sent;
    assert_true(is_whole || (has_failed && !fake_net_is_open(fixture->net, peer)));
    assert_int_equal(servant.echoes[1].closed_count, is_whole ? 0 : 1);
    assert_served(fixture, bystander, 3);
    assert_served(fixture, fake_net_connect(fixture->net, PORT), 4);
    listener_destroy(listener);
    assert_int_equal(reactor_fixture_teardown(&state), 0);
    return has_failed;
}

static void a_call_to_the_network_that_fails_costs_its_connection_at_most(void **state)
{
    (void)state;
    assert_true(fail_each(network_attempt, NULL) >= 5);
}

static void a_connection_without_memory_is_closed_and_the_others_go_on(void **state)
{
    (void)state;
    assert_true(fail_each(attempt, NULL) >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_to_the_network_that_fails_costs_its_connection_at_most),
        cmocka_unit_test(a_connection_without_memory_is_closed_and_the_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
