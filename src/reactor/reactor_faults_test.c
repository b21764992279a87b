/*
 * reactor_faults: memory is refused somewhere in the life of a reactor and of a connection. That is
 * served or closed, and told so once; the next one is served.
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
    struct echo echoes[2];
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
        assert_true(err_is(err, ERR_NO_MEMORY));
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

static void a_connection_without_memory_is_closed_and_the_others_go_on(void **state)
{
    (void)state;
    assert_true(fail_each(attempt, NULL) >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_without_memory_is_closed_and_the_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
