/* reactor: mail in order, sleeps that end in time, an end that leaves nothing open. */
#include "support/reactor_fixture.h"

/* More sockets than one step takes events of. */
#define PEER_COUNT 300

/* Mail that notes its turn, and may post other mail. */
struct letter {
    struct mail mail;
    struct reactor *reactor;
    struct letter *next; /* posted when this one runs */
    int turn;            /* 0: has not run */
};

static int turn_count;

static void letter_run(struct mail *mail)
{
    struct letter *letter = LIST_ENTRY(mail, struct letter, mail);
    letter->turn = ++turn_count;
    if (letter->next != NULL)
        reactor_post(letter->reactor, &letter->next->mail, letter_run);
}

static void letters_run_in_the_order_they_were_posted(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct letter last = {.reactor = fixture->reactor};
    struct letter letters[3] = {{.reactor = fixture->reactor, .next = &last}};
    turn_count = 0;
    for (int i = 0; i < 3; i++)
        reactor_post(fixture->reactor, &letters[i].mail, letter_run);
    reactor_fixture_step(fixture);
    for (int i = 0; i < 3; i++)
        assert_int_equal(letters[i].turn, i + 1);
    assert_int_equal(last.turn, 0); /* posted meanwhile: no step is without end */
    reactor_fixture_step(fixture);
    assert_int_equal(last.turn, 4);
}

static void nothing_fires(struct timer *timer)
{
    (void)timer;
}

static void step_sleeps_until_the_next_timer_and_never_over_mail(void **state)
{
    struct reactor_fixture *fixture = *state;
    reactor_fixture_step(fixture);
    assert_int_equal(fake_net_slept_ms(fixture->net), -1);
    assert_ok(reactor_step(fixture->reactor, 40));
    assert_int_equal(fake_net_slept_ms(fixture->net), 40);
    struct timer timer;
    timer_init(&timer, nothing_fires);
    wheel_set(reactor_wheel(fixture->reactor), &timer, fixture->now_ms + 30);
    fixture->now_ms += 10; /* spent outside of the step */
    assert_ok(reactor_step(fixture->reactor, 40));
    assert_true(fake_net_slept_ms(fixture->net) > 0 && fake_net_slept_ms(fixture->net) <= 20);
    struct letter letter = {.turn = 0};
    reactor_post(fixture->reactor, &letter.mail, letter_run);
    reactor_fixture_step(fixture);
    assert_int_equal(fake_net_slept_ms(fixture->net), 0);
    timer_cancel(&timer);
}

/* Posts as a second thread would while the reactor is about to sleep. */
static struct letter *posted_in_wait;
static struct err (*true_wait)(void *self, int poller, int timeout_ms, struct os_event *events,
                               size_t *event_count);

static struct err wait_while_mail_comes(void *self, int poller, int timeout_ms,
                                        struct os_event *events, size_t *event_count)
{
    if (posted_in_wait != NULL) {
        struct letter *letter = posted_in_wait;
        posted_in_wait = NULL;
        reactor_post(letter->reactor, &letter->mail, letter_run);
    }
    return true_wait(self, poller, timeout_ms, events, event_count);
}

static void mail_that_comes_when_the_reactor_goes_to_sleep_wakes_it(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct os_net net = *fixture->os.net;
    true_wait = net.poller_wait;
    net.poller_wait = wait_while_mail_comes;
    struct letter letter = {.reactor = fixture->reactor};
    posted_in_wait = &letter;
    fixture->os.net = &net;
    reactor_fixture_step(fixture);
    fixture->os.net = fake_net_vtable(fixture->net);
    assert_int_equal(fake_net_slept_ms(fixture->net), 0);
    assert_true(letter.turn > 0);
}

/* A user that counts. */
static int byte_count;
static int closed_count;

static size_t count_data(void *user, uint8_t *bytes, size_t size, size_t *wanted)
{
    (void)user;
    (void)bytes;
    (void)wanted;
    byte_count += (int)size;
    return size;
}

static void count_closed(void *user)
{
    (void)user;
    closed_count++;
}

static const struct connection_user counting = {.data = count_data, .closed = count_closed};

static void open_connection(struct reactor *reactor, int socket)
{
    struct connection *connection;
    assert_ok(connection_open(reactor, socket, 100, 0, &connection));
    connection_set_user(connection, &counting, NULL);
}

static void more_peers_than_a_step_has_events_for_are_all_served(void **state)
{
    struct reactor_fixture *fixture = *state;
    byte_count = 0;
    for (int i = 0; i < PEER_COUNT; i++) {
        int socket = fake_net_connect(fixture->net, 0);
        open_connection(fixture->reactor, socket);
        fake_net_send(fixture->net, socket, span_text("x"));
    }
    reactor_fixture_run(fixture);
    assert_int_equal(byte_count, PEER_COUNT);
    assert_int_equal(reactor_connection_count(fixture->reactor), PEER_COUNT);
}

static void connections_left_at_the_end_are_closed_and_told(void **state)
{
    struct reactor_fixture *fixture = *state;
    closed_count = 0;
    for (int i = 0; i < 3; i++)
        open_connection(fixture->reactor, fake_net_connect(fixture->net, 0));
    reactor_fixture_destroy(fixture);
    assert_int_equal(closed_count, 3);
    assert_int_equal(fake_net_open_count(fixture->net), 0);
}

/* Mail that opens a connection: a peer on its way to its reactor. */
struct arrival {
    struct mail mail;
    struct reactor *reactor;
    int socket;
};

static void arrival_run(struct mail *mail)
{
    const struct arrival *arrival = LIST_ENTRY(mail, struct arrival, mail);
    open_connection(arrival->reactor, arrival->socket);
}

static void peer_on_its_way_at_the_end_is_closed_too(void **state)
{
    struct reactor_fixture *fixture = *state;
    struct arrival arrival = {.reactor = fixture->reactor,
                              .socket = fake_net_connect(fixture->net, 0)};
    closed_count = 0;
    reactor_post(fixture->reactor, &arrival.mail, arrival_run);
    reactor_fixture_destroy(fixture);
    assert_int_equal(closed_count, 1);
}

/* Takes peers into connections. */
static int accepted_count;

static void accept_peer(void *context, int socket, const char peer[OS_PEER_TEXT_SIZE])
{
    accepted_count++;
    assert_non_null(strstr(peer, "192.0.2."));
    open_connection(context, socket);
}

static void listener_rests_without_descriptors_and_goes_on(void **state)
{
    struct reactor_fixture *fixture = *state;
    int socket;
    uint16_t port;
    struct listener *listener;
    accepted_count = 0;
    assert_ok(net_listen(fixture->os.net, "127.0.0.1", 0, &socket));
    assert_ok(net_local_port(fixture->os.net, socket, &port));
    assert_ok(listener_create(fixture->reactor, fixture->os.net, socket, accept_peer,
                              fixture->reactor, &listener));
    for (int i = 0; i < PEER_COUNT; i++)
        (void)fake_net_connect(fixture->net, port);
    fake_net_refuse_accepting(fixture->net, true);
    reactor_fixture_run(fixture); /* comes to an end: it does not spin */
    assert_int_equal(accepted_count, 0);
    assert_true(fake_net_slept_ms(fixture->net) > 0);
    fake_net_refuse_accepting(fixture->net, false);
    reactor_fixture_pass(fixture, fake_net_slept_ms(fixture->net));
    reactor_fixture_pass(fixture, 100);
    assert_int_equal(accepted_count, PEER_COUNT);
    listener_destroy(listener);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, reactor_fixture_setup, reactor_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(letters_run_in_the_order_they_were_posted),
        TEST(step_sleeps_until_the_next_timer_and_never_over_mail),
        TEST(mail_that_comes_when_the_reactor_goes_to_sleep_wakes_it),
        TEST(more_peers_than_a_step_has_events_for_are_all_served),
        TEST(connections_left_at_the_end_are_closed_and_told),
        TEST(peer_on_its_way_at_the_end_is_closed_too),
        TEST(listener_rests_without_descriptors_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
