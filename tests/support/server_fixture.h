/*
 * server_fixture: a whole server on one thread: disk, sockets and clock in memory, one reactor, and
 * peers who write requests and read answers by hand.
 */
#ifndef HEADRACE_TESTS_SUPPORT_SERVER_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_SERVER_FIXTURE_H

#include "support/coord_fixture.h"

#include "api/server.h"
#include "support/fake_net.h"
#include "wire/fetch.h"
#include "wire/metadata.h"
#include "wire/produce.h"

#define SERVER_PORT 9092 /* the default listener's */

struct server_fixture {
    struct coord_fixture coord; /* its topic "events" has 4 partitions */
    struct fake_net *net;
    struct server *server;
    struct api *api;
    struct buf request; /* being written by a peer */
    int report_count;
    char report[DIAG_TEXT_MAX]; /* the last one */
};

static inline void server_fixture_report(void *context, const char *sentence)
{
    struct server_fixture *fixture = context;
    fixture->report_count++;
    (void)snprintf(fixture->report, sizeof fixture->report, "%s", sentence);
}

static inline void server_fixture_start(struct server_fixture *fixture)
{
    struct broker_fixture *broker = &fixture->coord.broker;
    struct api_setup setup = {.broker = broker->broker,
                              .coord = fixture->coord.coord,
                              .report = server_fixture_report,
                              .report_context = fixture};
    assert_ok(listeners_from_config(&broker->config, &broker->listeners, NULL));
    assert_ok(server_bind(&broker->os, &broker->listeners, 1, &fixture->server, NULL));
    assert_ok(api_create(&setup, &fixture->api));
    assert_ok(server_start(fixture->server, fixture->api));
}

/* Everything but the server itself, so that a test may set configs before server_fixture_start. */
static inline void server_fixture_init(struct server_fixture *fixture)
{
    *fixture = (struct server_fixture){0};
    coord_fixture_init(&fixture->coord);
    coord_fixture_load(&fixture->coord);
    struct broker_fixture *broker = &fixture->coord.broker;
    fixture->net = fake_net_create(broker->os.files);
    broker->os.net = fake_net_vtable(fixture->net);
    buf_init(&fixture->request, SIZE_MAX);
}

/* As serve ends, whatever is still under way. */
static inline void server_fixture_deinit(struct server_fixture *fixture)
{
    coord_close(fixture->coord.coord);
    broker_stop(fixture->coord.broker.broker);
    server_destroy(fixture->server);
    api_destroy(fixture->api);
    assert_int_equal(fake_net_open_count(fixture->net), 0);
    coord_fixture_deinit(&fixture->coord);
    fake_net_destroy(fixture->net);
    buf_deinit(&fixture->request);
}

/* Steps the reactor until there is nothing left to do at once. */
static inline void server_fixture_run(struct server_fixture *fixture)
{
    do
        assert_ok(reactor_step(server_reactor(fixture->server, 0), -1));
    while (fake_net_slept_ms(fixture->net) == 0);
}

static inline void server_fixture_pass(struct server_fixture *fixture, int64_t passed_ms)
{
    fixture->coord.broker.base.time.now_ms += passed_ms;
    server_fixture_run(fixture);
}

/* Makes durable what is not yet, and lets those who wait for it go on. */
static inline void server_fixture_flush(struct server_fixture *fixture)
{
    coord_fixture_flush(&fixture->coord);
    server_fixture_run(fixture);
}

/* A peer that has been accepted. */
static inline int peer_connect(struct server_fixture *fixture)
{
    int socket = fake_net_connect(fixture->net, SERVER_PORT);
    server_fixture_run(fixture);
    return socket;
}

/* Begins a request in fixture->request; the caller encodes the body and calls request_written. */
static inline struct frame_mark request_begin(struct server_fixture *fixture, struct writer *writer,
                                              int16_t key, int16_t version, int32_t correlation)
{
    struct frame_mark mark;
    struct request_header header;
    request_header_init(&header);
    header.request_api_key = key;
    header.request_api_version = version;
    header.correlation_id = correlation;
    header.client_id = span_text("peer");
    writer_init(writer, &fixture->request, NULL, 0);
    assert_ok(frame_begin(writer, &mark));
    assert_ok(envelope_write_request(writer, &header));
    return mark;
}

/* Appends Metadata for no topic. */
static inline void write_metadata(struct server_fixture *fixture, int32_t correlation)
{
    struct writer writer;
    struct metadata_request request;
    metadata_request_init(&request);
    request.topics_count = 0;
    struct frame_mark mark = request_begin(fixture, &writer, API_METADATA, 9, correlation);
    assert_ok(metadata_request_encode(&writer, 9, &request));
    assert_ok(frame_end(&writer, mark));
}

/* Appends Produce of one small batch with acks=all. */
static inline void write_produce(struct server_fixture *fixture, int32_t partition,
                                 int32_t correlation)
{
    struct buf batch;
    struct span bytes;
    struct batch_builder builder;
    struct batch_header header;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    const struct record record = {.timestamp = 1700000000000, .value = span_text("value")};
    buf_init(&batch, SIZE_MAX);
    batch_build_begin(&builder, &options, &batch);
    assert_ok(batch_build_add(&builder, &record));
    assert_ok(batch_build_end(&builder, &bytes, &header));
    struct produce_request_partition part = {.index = partition, .records = {.bytes = bytes}};
    struct produce_request_topic topic = {
        .name = span_text("events"), .partition_data = &part, .partition_data_count = 1};
    struct produce_request request;
    produce_request_init(&request);
    request.acks = -1;
    request.timeout_ms = 30000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    struct writer writer;
    struct frame_mark mark = request_begin(fixture, &writer, API_PRODUCE, 9, correlation);
    assert_ok(produce_request_encode(&writer, 9, &request));
    assert_ok(frame_end(&writer, mark));
    buf_deinit(&batch);
}

/* Appends Fetch of a partition from an offset on, which waits for a byte at most wait_ms. */
static inline void write_fetch(struct server_fixture *fixture, int32_t partition, int64_t offset,
                               int32_t wait_ms, int32_t correlation)
{
    struct fetch_request_partition part;
    fetch_request_partition_init(&part);
    part.partition = partition;
    part.fetch_offset = offset;
    part.partition_max_bytes = 1 << 20;
    struct fetch_request_topic topic = {
        .topic = span_text("events"), .partitions = &part, .partitions_count = 1};
    struct fetch_request request;
    fetch_request_init(&request);
    request.max_wait_ms = wait_ms;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.topics = &topic;
    request.topics_count = 1;
    struct writer writer;
    struct frame_mark mark = request_begin(fixture, &writer, API_FETCH, 4, correlation);
    assert_ok(fetch_request_encode(&writer, 4, &request));
    assert_ok(frame_end(&writer, mark));
}

/* The peer sends what was written, and the server sees it. */
static inline void peer_send(struct server_fixture *fixture, int socket)
{
    fake_net_send(fixture->net, socket, buf_span(&fixture->request));
    buf_clear(&fixture->request);
    server_fixture_run(fixture);
}

/* Takes the first whole answer; returns its correlation id, or -1 where there is none. */
static inline int32_t peer_take_answer(struct server_fixture *fixture, int socket)
{
    struct frame frame;
    assert_ok(frame_parse(fake_net_look(fixture->net, socket), INT32_MAX, &frame));
    if (!frame.complete)
        return -1;
    int32_t correlation = load_i32(frame.body.data);
    (void)fake_net_take(fixture->net, socket, NULL, frame.size_total);
    return correlation;
}

#endif
