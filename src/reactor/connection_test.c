/* connection: every byte in order both ways, whatever the socket does; every piece released once.
 */
#include "support/reactor_fixture.h"

#define RECORD_SIZE 10
#define RECORD_COUNT 500
#define KEPT_SIZE_MAX 4096

/* A user that takes whole records only, and notes what it is told. */
struct taker {
    struct connection *connection;
    int socket;
    uint8_t taken[RECORD_SIZE * RECORD_COUNT];
    size_t taken_size;
    size_t taken_size_max; /* pauses the connection when it has so much; 0: never */
    bool closes;           /* closes the connection when it is offered anything */
    int drained_count;
    int closed_count;
};

static size_t taker_data(void *user, uint8_t *bytes, size_t size, size_t *wanted)
{
    struct taker *taker = user;
    size_t at = 0;
    if (taker->closes) {
        connection_close(taker->connection);
        return 0;
    }
    for (; size - at >= RECORD_SIZE; at += RECORD_SIZE) {
        if (taker->taken_size_max != 0 && taker->taken_size >= taker->taken_size_max) {
            connection_pause(taker->connection, true);
            return at;
        }
        memcpy(taker->taken + taker->taken_size, bytes + at, RECORD_SIZE);
        taker->taken_size += RECORD_SIZE;
    }
    *wanted = RECORD_SIZE;
    return at;
}

static void taker_drained(void *user)
{
    ((struct taker *)user)->drained_count++;
}

static void taker_closed(void *user)
{
    ((struct taker *)user)->closed_count++;
}

static const struct connection_user taker_vtable = {
    .data = taker_data, .drained = taker_drained, .closed = taker_closed};

/* Opens a connection of the fixture's reactor; idle_ms as connection_open's. */
static struct taker *open_taker(struct reactor_fixture *fixture, int64_t idle_ms)
{
    static struct taker taker;
    taker = (struct taker){.socket = fake_net_connect(fixture->net, 0)};
    assert_ok(
        connection_open(fixture->reactor, taker.socket, KEPT_SIZE_MAX, idle_ms, &taker.connection));
    connection_set_user(taker.connection, &taker_vtable, &taker);
    return &taker;
}

/* Bytes of which none is like its neighbours. */
static void fill_pattern(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
}

/* A piece on the heap; counts how often any is released. */
static int release_count;

static void release_piece(struct piece *piece)
{
    release_count++;
    free(piece);
}

static void send_bytes(struct taker *taker, const void *bytes, size_t size)
{
    struct piece *piece = calloc(1, sizeof *piece);
    assert_non_null(piece);
    *piece = (struct piece){
        .bytes = span_make(bytes, size), .file = OS_FILE_NONE, .release = release_piece};
    connection_send(taker->connection, piece);
}

static void send_file(struct taker *taker, int file, int64_t at, size_t size)
{
    struct piece *piece = calloc(1, sizeof *piece);
    assert_non_null(piece);
    *piece =
        (struct piece){.file = file, .file_at = at, .file_size = size, .release = release_piece};
    connection_send(taker->connection, piece);
}

static void records_arrive_whole_and_in_order_however_they_are_cut(void **state)
{
    struct reactor_fixture *fixture = *state;
    static const size_t paces[] = {1, 3, RECORD_SIZE, 17, 4096};
    uint8_t sent[RECORD_SIZE * RECORD_COUNT];
    fill_pattern(sent, sizeof sent);
    for (size_t i = 0; i < sizeof paces / sizeof paces[0]; i++) {
        struct taker *taker = open_taker(fixture, 0);
        fake_net_set_pace(fixture->net, paces[i]);
        fake_net_send(fixture->net, taker->socket, span_make(sent, sizeof sent));
        reactor_fixture_run(fixture);
        assert_int_equal(taker->taken_size, sizeof sent);
        assert_memory_equal(taker->taken, sent, sizeof sent);
        connection_close(taker->connection);
    }
}

static void pieces_of_memory_and_files_leave_in_order_however_slowly_they_are_taken(void **state)
{
    struct reactor_fixture *fixture = *state;
    static const size_t paces[] = {1, 7, 64, 4096};
    uint8_t bytes[900];
    fill_pattern(bytes, sizeof bytes);
    int file;
    size_t done;
    const struct os_files *files = fixture->os.files = mem_disk_files(fixture->disk);
    assert_ok(file_open(files, "/data/f", OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE, &file));
    assert_ok(file_write_at(files, file, &(struct span){bytes, sizeof bytes}, 1, 0, &done));
    for (size_t i = 0; i < sizeof paces / sizeof paces[0]; i++) {
        struct taker *taker = open_taker(fixture, 0);
        fake_net_set_pace(fixture->net, paces[i]);
        fake_net_set_window(fixture->net, taker->socket, 50);
        release_count = 0;
        send_bytes(taker, bytes, 100);
        send_bytes(taker, bytes + 100, 0);
        send_bytes(taker, bytes + 100, 200);
        send_file(taker, file, 300, 400);
        send_bytes(taker, bytes + 700, 200);
        uint8_t taken[sizeof bytes];
        size_t taken_size = 0;
        while (taken_size < sizeof taken) {
            assert_true(connection_queued_size(taker->connection) + taken_size < sizeof taken);
            size_t part = fake_net_take(fixture->net, taker->socket, taken + taken_size,
                                        sizeof taken - taken_size);
            assert_true(part > 0);
            taken_size += part;
            reactor_fixture_run(fixture);
        }
        assert_memory_equal(taken, bytes, sizeof bytes);
        assert_int_equal(release_count, 5);
        assert_int_equal(taker->drained_count, 1);
        connection_close(taker->connection);
    }
    file_close(files, file);
}

static void every_piece_is_released_once_wherever_the_connection_ends(void **state)
{
    struct reactor_fixture *fixture = *state;
    static const uint8_t bytes[300];
    struct taker *taker = open_taker(fixture, 0);
    release_count = 0;
    fake_net_set_window(fixture->net, taker->socket, 150);
    for (int i = 0; i < 3; i++)
        send_bytes(taker, bytes, 100);
    assert_int_equal(release_count, 1);
    fake_net_reset(fixture->net, taker->socket);
    reactor_fixture_run(fixture);
    assert_int_equal(release_count, 3);
    assert_int_equal(taker->closed_count, 1);
    assert_int_equal(reactor_connection_count(fixture->reactor), 0);
}

static void piece_sent_after_the_end_is_released_at_once(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    release_count = 0;
    connection_close(taker->connection);
    send_bytes(taker, "x", 1);
    assert_int_equal(release_count, 1);
    assert_true(connection_is_closed(taker->connection));
}

static void paused_connection_leaves_the_bytes_with_the_peer(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    uint8_t sent[RECORD_SIZE * 3] = {0};
    connection_pause(taker->connection, true);
    assert_int_equal(reactor_paused_count(fixture->reactor), 1);
    fake_net_send(fixture->net, taker->socket, span_make(sent, sizeof sent));
    reactor_fixture_run(fixture);
    assert_int_equal(taker->taken_size, 0);
    connection_pause(taker->connection, false);
    assert_int_equal(reactor_paused_count(fixture->reactor), 0);
    reactor_fixture_run(fixture);
    assert_int_equal(taker->taken_size, sizeof sent);
}

static void resumed_connection_offers_what_it_kept_without_new_bytes(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    uint8_t sent[RECORD_SIZE * 9];
    fill_pattern(sent, sizeof sent);
    taker->taken_size_max = RECORD_SIZE * 4; /* pauses in the middle of what was read */
    fake_net_send(fixture->net, taker->socket, span_make(sent, sizeof sent));
    reactor_fixture_run(fixture);
    assert_int_equal(taker->taken_size, RECORD_SIZE * 4);
    taker->taken_size_max = 0;
    connection_pause(taker->connection, false);
    connection_pause(taker->connection, true);
    connection_pause(taker->connection, false);
    reactor_fixture_run(fixture);
    assert_int_equal(taker->taken_size, sizeof sent);
    assert_memory_equal(taker->taken, sent, sizeof sent);
}

static void paused_connection_that_closes_is_paused_no_more(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    connection_pause(taker->connection, true);
    connection_close(taker->connection);
    assert_int_equal(reactor_paused_count(fixture->reactor), 0);
    reactor_fixture_step(fixture);
}

static void connection_closed_behind_a_resume_outlives_its_mail(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    connection_pause(taker->connection, true);
    connection_pause(taker->connection, false);
    connection_close(taker->connection);
    reactor_fixture_run(fixture); /* a stray touch is the sanitizer's to find */
    assert_int_equal(taker->closed_count, 1);
}

static void finished_connection_sends_the_rest_and_reads_no_more(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    static const uint8_t bytes[RECORD_SIZE * 10];
    fake_net_set_window(fixture->net, taker->socket, 60);
    send_bytes(taker, bytes, sizeof bytes);
    connection_finish(taker->connection);
    fake_net_send(fixture->net, taker->socket, span_make(bytes, RECORD_SIZE));
    reactor_fixture_run(fixture);
    assert_true(fake_net_is_open(fixture->net, taker->socket));
    uint8_t taken[60];
    assert_int_equal(fake_net_take(fixture->net, taker->socket, taken, 60), 60);
    reactor_fixture_run(fixture);
    assert_int_equal(fake_net_look(fixture->net, taker->socket).size, 40);
    assert_false(fake_net_is_open(fixture->net, taker->socket));
    assert_int_equal(taker->taken_size, 0);
    assert_int_equal(taker->closed_count, 1);
}

static void silent_connection_is_closed_and_traffic_postpones_it(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 1000);
    reactor_fixture_pass(fixture, 900);
    fake_net_send(fixture->net, taker->socket, span_text("x"));
    reactor_fixture_run(fixture);
    reactor_fixture_pass(fixture, 900);
    send_bytes(taker, "y", 1);
    reactor_fixture_pass(fixture, 999);
    assert_int_equal(taker->closed_count, 0);
    reactor_fixture_pass(fixture, 1);
    assert_int_equal(taker->closed_count, 1);
    assert_false(fake_net_is_open(fixture->net, taker->socket));
}

static void end_of_the_peers_bytes_closes_after_they_are_taken(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    uint8_t sent[RECORD_SIZE * 2] = {0};
    fake_net_send(fixture->net, taker->socket, span_make(sent, sizeof sent));
    fake_net_end(fixture->net, taker->socket);
    reactor_fixture_run(fixture);
    assert_int_equal(taker->taken_size, sizeof sent);
    assert_int_equal(taker->closed_count, 1);
}

static size_t take_nothing(void *user, uint8_t *bytes, size_t size, size_t *wanted)
{
    (void)user;
    (void)bytes;
    *wanted = size + 1;
    return 0;
}

static void thing_larger_than_the_bound_closes(void **state)
{
    struct reactor_fixture *fixture = *state;
    static const struct connection_user greedy = {.data = take_nothing, .closed = taker_closed};
    static const uint8_t bytes[KEPT_SIZE_MAX + 1];
    struct taker taker = {.socket = fake_net_connect(fixture->net, 0)};
    assert_ok(connection_open(fixture->reactor, taker.socket, KEPT_SIZE_MAX, 0, &taker.connection));
    connection_set_user(taker.connection, &greedy, &taker);
    fake_net_send(fixture->net, taker.socket, span_make(bytes, KEPT_SIZE_MAX - 1));
    reactor_fixture_run(fixture);
    assert_int_equal(taker.closed_count, 0);
    fake_net_send(fixture->net, taker.socket, span_make(bytes, 1));
    reactor_fixture_run(fixture);
    assert_int_equal(taker.closed_count, 1);
}

static void user_may_close_while_it_is_offered_bytes(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    fake_net_send(fixture->net, taker->socket, span_text("half")); /* kept */
    reactor_fixture_run(fixture);
    taker->closes = true;
    fake_net_send(fixture->net, taker->socket, span_text("another"));
    reactor_fixture_run(fixture);
    assert_int_equal(taker->closed_count, 1);
}

static void socket_that_cannot_be_watched_stays_the_callers(void **state)
{
    struct reactor_fixture *fixture = *state;
    int socket = fake_net_connect(fixture->net, 0);
    struct connection *connection = NULL;
    fake_net_refuse_watching(fixture->net, true);
    assert_true(err_is(connection_open(fixture->reactor, socket, 1, 0, &connection), ERR_LIMIT));
    assert_true(fake_net_is_open(fixture->net, socket));
    assert_int_equal(reactor_connection_count(fixture->reactor), 0);
    net_close(fixture->os.net, socket);
}

static void connection_whose_watch_cannot_be_changed_is_closed(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct taker *taker = open_taker(fixture, 0);
    release_count = 0;
    fake_net_set_window(fixture->net, taker->socket, 1);
    fake_net_refuse_watching(fixture->net, true);
    send_bytes(taker, "ab", 2);
    assert_int_equal(taker->closed_count, 1);
    assert_int_equal(release_count, 1);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, reactor_fixture_setup, reactor_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_arrive_whole_and_in_order_however_they_are_cut),
        TEST(pieces_of_memory_and_files_leave_in_order_however_slowly_they_are_taken),
        TEST(every_piece_is_released_once_wherever_the_connection_ends),
        TEST(piece_sent_after_the_end_is_released_at_once),
        TEST(paused_connection_leaves_the_bytes_with_the_peer),
        TEST(resumed_connection_offers_what_it_kept_without_new_bytes),
        TEST(paused_connection_that_closes_is_paused_no_more),
        TEST(connection_closed_behind_a_resume_outlives_its_mail),
        TEST(finished_connection_sends_the_rest_and_reads_no_more),
        TEST(silent_connection_is_closed_and_traffic_postpones_it),
        TEST(end_of_the_peers_bytes_closes_after_they_are_taken),
        TEST(thing_larger_than_the_bound_closes),
        TEST(user_may_close_while_it_is_offered_bytes),
        TEST(socket_that_cannot_be_watched_stays_the_callers),
        TEST(connection_whose_watch_cannot_be_changed_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
