/*
 * api_fixture: requests by hand to the handlers over a broker on a disk in memory.
 *
 * No socket: a request's body is encoded here, dispatched, and its answer decoded from the bytes
 * that would have been sent. Durability, background work and mail are driven until it is there.
 */
#ifndef HEADRACE_TESTS_SUPPORT_API_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_API_FIXTURE_H

#include "support/coord_fixture.h"

#include "api/dispatch.h"
#include "api/session.h"

/* A message of a few thousand topics. */
#define API_FIXTURE_MESSAGE_SIZE_MAX (16 << 20)

struct api_fixture {
    struct coord_fixture coord;
    struct api *api;
    struct reactor *reactor;
    struct session session;  /* without a connection; its answers are not flushed */
    struct request *request; /* the last one */
    struct buf body;         /* of the last one */
    struct arena arena;      /* of the last answer */
    struct writer writer;
    struct reader reader;
};

static inline void api_fixture_init(struct api_fixture *fixture)
{
    *fixture = (struct api_fixture){0};
    coord_fixture_init(&fixture->coord);
    struct broker_fixture *broker = &fixture->coord.broker;
    broker->listeners.count = 1;
    (void)snprintf(broker->listeners.addresses[0].advertised_host, LISTENER_HOST_SIZE, "%s",
                   "broker.example");
    broker->listeners.addresses[0].advertised_port = 9092;
    struct api_setup setup = {.broker = broker->broker, .coord = fixture->coord.coord};
    assert_ok(api_create(&setup, &fixture->api));
    assert_ok(reactor_create(os_real(), &fixture->reactor));
    fixture->session.api = fixture->api;
    fixture->session.reactor = fixture->reactor;
    fixture->session.is_flushing = true;
    list_init(&fixture->session.requests);
    buf_init(&fixture->body, API_FIXTURE_MESSAGE_SIZE_MAX);
    arena_init(&fixture->arena, 4 * API_FIXTURE_MESSAGE_SIZE_MAX);
}

static inline void api_fixture_deinit(struct api_fixture *fixture)
{
    if (fixture->request != NULL)
        request_destroy(fixture->request);
    buf_deinit(&fixture->body);
    arena_deinit(&fixture->arena);
    reactor_destroy(fixture->reactor);
    api_destroy(fixture->api);
    coord_fixture_deinit(&fixture->coord);
}

/* The machine dies with what was not synced, and starts again; nothing is loaded yet. */
static inline void api_fixture_crash(struct api_fixture *fixture)
{
    coord_fixture_crash(&fixture->coord);
    fixture->api->broker = fixture->coord.broker.broker;
    fixture->api->coord = fixture->coord.coord;
}

/* Where the next request's body goes; what the last answer said is gone. */
static inline struct writer *api_fixture_begin(struct api_fixture *fixture)
{
    if (fixture->request != NULL)
        request_destroy(fixture->request);
    fixture->request = NULL;
    arena_reset(&fixture->arena);
    buf_clear(&fixture->body);
    writer_init(&fixture->writer, &fixture->body, NULL, 0);
    return &fixture->writer;
}

/* Hands the request over; it may be parked afterwards. */
static inline void api_fixture_send(struct api_fixture *fixture, enum api_key key, int16_t version)
{
    assert_ok(request_create(&fixture->session, &fixture->request));
    struct request *request = fixture->request;
    request->api = api_find((int16_t)key);
    request->version = version;
    request->bytes = fixture->body.data;
    request->bytes_size = fixture->body.size;
    reader_init(&request->body, buf_span(&fixture->body));
    assert_ok(dispatch_request(fixture->api, request));
}

static inline bool api_fixture_is_answered(const struct api_fixture *fixture)
{
    return fixture->request->state == REQUEST_REPLIED;
}

/* Lets all that is due be done, once. */
static inline void api_fixture_turn(struct api_fixture *fixture)
{
    coord_fixture_flush(&fixture->coord);
    fixture_work(&fixture->coord.broker.base);
    assert_ok(reactor_step(fixture->reactor, 0));
}

/* Waits for the answer and returns a reader at its body. */
static inline struct reader *api_fixture_answer(struct api_fixture *fixture)
{
    for (int turn = 0; turn < 10 && !api_fixture_is_answered(fixture); turn++)
        api_fixture_turn(fixture);
    const struct request *request = fixture->request;
    assert_true(api_fixture_is_answered(fixture));
    bool has_tags =
        api_is_flexible(request->api, request->version) && request->api->key != API_API_VERSIONS;
    size_t head = FRAME_PREFIX_SIZE + sizeof(int32_t) + (has_tags ? 1 : 0);
    assert_true(request->out.size >= head);
    reader_init(&fixture->reader, span_make(request->out.data + head, request->out.size - head));
    return &fixture->reader;
}

/* Asks and waits for the answer; name: the API's in the codec. The answer lives until the next. */
#define API_ASK(fixture, key, name, version, asked, answer)                                        \
    do {                                                                                           \
        assert_ok(name##_request_encode(api_fixture_begin(fixture), version, asked));              \
        api_fixture_send(fixture, key, version);                                                   \
        assert_ok(name##_response_decode(api_fixture_answer(fixture), version, &(fixture)->arena,  \
                                         answer));                                                 \
    } while (0)

#endif
