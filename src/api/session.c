/* session: frames to requests, replies to pieces. */
#include "api/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/dispatch.h"
#include "base/check.h"
#include "base/limits.h"

#define SESSION_MAGIC 0x53455353U /* "SESS" */

/* Frees the session when the connection is gone and nothing is parked. */
static void session_maybe_free(struct session *session)
{
    if (session->connection != NULL || session->request_count > 0 || session->is_flushing)
        return;
    list_remove(&session->link);
    session->magic = 0;
    free(session);
}

static void request_finish(struct session *session, struct request *request)
{
    CHECK(session->request_count > 0);
    session->request_count--;
    request_destroy(request);
}

/* One stretch of an answer on its way out: encoded bytes, or a slice of a segment. */
struct reply_piece {
    struct piece piece;
    struct reply *reply;
    struct log_slice slice;
};

/* An answer being sent; in its request's arena. */
struct reply {
    struct request *request;
    size_t piece_count; /* not yet released */
};

static void reply_release(struct piece *piece)
{
    struct reply_piece *part = LIST_ENTRY(piece, struct reply_piece, piece);
    struct reply *reply = part->reply;
    slice_unref(&part->slice);
    if (--reply->piece_count > 0)
        return;
    struct session *session = reply->request->session;
    request_finish(session, reply->request);
    session_maybe_free(session);
}

static void send_bytes(struct reply_piece *part, struct span bytes)
{
    part->piece = (struct piece){.bytes = bytes, .file = OS_FILE_NONE, .release = reply_release};
    part->slice = LOG_SLICE_EMPTY;
}

static void send_slice(struct reply_piece *part, struct log_slice *slice)
{
    part->piece = (struct piece){.file = slice->file,
                                 .file_at = slice->position,
                                 .file_size = slice->size,
                                 .release = reply_release};
    part->slice = *slice;
    *slice = LOG_SLICE_EMPTY;
}

/* Gives back the slices of an answer that will not be sent. */
static void reply_drop(struct request *request)
{
    for (size_t i = 0; i < request->writer.splice_count; i++)
        slice_unref(request->writer.splices[i].slice);
    request->writer.splice_count = 0;
}

static size_t reply_size(const struct request *request)
{
    return request->is_silent ? 0 : writer_size(&request->writer);
}

/* Cuts the answer into pieces: bytes, slice, bytes, slice ... bytes. */
static struct err reply_send(struct session *session, struct request *request)
{
    struct writer *writer = &request->writer;
    size_t part_count = 2 * writer->splice_count + 1;
    struct reply *reply = arena_alloc(&request->arena, sizeof *reply);
    struct reply_piece *parts = arena_alloc_array(&request->arena, part_count, sizeof *parts);
    if (reply == NULL || parts == NULL)
        return err_make(ERR_NO_MEMORY);
    *reply = (struct reply){.request = request};
    size_t at = 0;
    for (size_t i = 0; i < writer->splice_count; i++) {
        const struct wire_splice *splice = &writer->splices[i];
        if (splice->offset > at)
            send_bytes(&parts[reply->piece_count++],
                       span_make(request->out.data + at, splice->offset - at));
        at = splice->offset;
        send_slice(&parts[reply->piece_count++], splice->slice);
    }
    if (request->out.size > at)
        send_bytes(&parts[reply->piece_count++],
                   span_make(request->out.data + at, request->out.size - at));
    size_t count = reply->piece_count;
    for (size_t i = 0; i < count; i++)
        parts[i].reply = reply;
    list_remove(&request->link);
    struct connection *connection = session->connection; /* outlives a close while sending */
    for (size_t i = 0; i < count; i++)
        connection_send(connection, &parts[i].piece);
    return ERR_NONE;
}

/*
 * Whether the connection should be left unread for now. Answers count from when they are made: many
 * may wait for the end of the receive that brought their requests, or behind one that is parked.
 */
static bool session_is_full(const struct session *session)
{
    size_t waiting_size = connection_queued_size(session->connection) + session->unsent_size;
    return session->is_held || session->request_count >= SESSION_REQUEST_COUNT_MAX ||
           waiting_size >= SESSION_QUEUED_SIZE_MAX;
}

/* Sends every answer at the front of the line. */
static void session_flush(struct session *session)
{
    if (session->is_flushing)
        return;
    session->is_flushing = true;
    while (!list_is_empty(&session->requests)) {
        struct request *request = LIST_ENTRY(session->requests.next, struct request, link);
        if (request->state != REQUEST_REPLIED)
            break;
        session->unsent_size -= reply_size(request);
        if (session->connection == NULL || request->is_silent) {
            reply_drop(request);
            request_finish(session, request);
            continue;
        }
        struct err err = reply_send(session, request);
        if (err_failed(err))
            connection_close(session->connection);
    }
    session->is_flushing = false;
    if (session->connection != NULL && !session->is_draining && !session_is_full(session))
        connection_pause(session->connection, false);
    session_maybe_free(session);
}

void session_hold(struct session *session)
{
    CHECK(!session->is_held);
    session->is_held = true;
}

void session_release(struct session *session)
{
    CHECK(session->is_held);
    session->is_held = false;
    session_flush(session);
}

void session_replied(struct session *session, struct request *request)
{
    api_count_reply(session->api, request);
    session->unsent_size += reply_size(request);
    session_flush(session);
}

void session_fail(struct session *session, struct request *request, struct err err)
{
    char text[256];
    (void)snprintf(text, sizeof text, "closed the connection of %s: %s: %s", session->host,
                   request == NULL ? "a frame" : request->api->name, err_text(err));
    api_report(session->api, text);
    if (request != NULL) { /* it will get no answer */
        request->is_silent = true;
        request->state = REQUEST_REPLIED;
    }
    if (session->connection != NULL)
        connection_close(session->connection);
    else
        session_flush(session);
}

/* Reads the envelope of a whole frame and hands the request on. */
static struct err session_take_frame(struct session *session, uint8_t *bytes, size_t size)
{
    struct request *request;
    struct err err = request_create(session, &request);
    if (err_failed(err)) {
        session_fail(session, NULL, err);
        return err;
    }
    struct request_header header;
    reader_init(&request->body, span_make(bytes, size));
    err = envelope_read_request(&request->body, &request->arena, &header, &request->api);
    if (!err_failed(err))
        err = arena_copy(&request->arena, header.client_id, &request->client_id);
    if (err_failed(err)) {
        request_destroy(request);
        session_fail(session, NULL, err);
        return err;
    }
    request->version = header.request_api_version;
    request->correlation_id = header.correlation_id;
    request->size = (uint32_t)size;
    request->begin_us = clock_mono_us(session->api->os->clock);
    request->bytes = bytes;
    request->bytes_size = size;
    list_append(&session->requests, &request->link);
    session->request_count++;
    api_count_request(session->api, request);
    err = dispatch_request(session->api, request);
    if (err_failed(err))
        session_fail(session, request, err);
    return err;
}

static size_t session_data(void *user, uint8_t *bytes, size_t size, size_t *wanted)
{
    struct session *session = user;
    CHECK_MAGIC(session, SESSION_MAGIC);
    size_t at = 0;
    session->is_flushing = true; /* answers of one receive leave together */
    while (session->connection != NULL) {
        if (session_is_full(session)) {
            connection_pause(session->connection, true);
            break;
        }
        struct frame frame;
        struct err err =
            frame_parse(span_make(bytes + at, size - at), session->api->request_size_max, &frame);
        if (err_failed(err)) {
            session_fail(session, NULL, err);
            break;
        }
        *wanted = frame.size_total;
        if (!frame.complete)
            break;
        uint8_t *body = bytes + at + FRAME_PREFIX_SIZE;
        at += frame.size_total;
        if (err_failed(session_take_frame(session, body, frame.body.size)))
            break;
    }
    session->is_flushing = false;
    session_flush(session); /* may free the session: nothing of it is touched below */
    return at;
}

static void session_closed(void *user)
{
    struct session *session = user;
    CHECK_MAGIC(session, SESSION_MAGIC);
    session->connection = NULL;
    LIST_EACH (&session->requests, link) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->state == REQUEST_PARKED && request->cancel != NULL)
            request->cancel(request);
    }
    session_flush(session); /* may free the session */
}

/* The peer has taken every answer: a session that was full for it reads on. */
static void session_drained(void *user)
{
    struct session *session = user;
    CHECK_MAGIC(session, SESSION_MAGIC);
    if (session->connection != NULL && !session->is_draining && !session_is_full(session))
        connection_pause(session->connection, false);
}

static const struct connection_user session_vtable = {
    .data = session_data,
    .drained = session_drained,
    .closed = session_closed,
};

struct err session_create(const struct session_setup *setup)
{
    struct api *api = setup->api;
    struct session *session = calloc(1, sizeof *session);
    struct err err = session == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
    struct connection *connection = NULL;
    if (!err_failed(err))
        err = connection_open(setup->reactor, setup->socket,
                              api->request_size_max + FRAME_PREFIX_SIZE, api->idle_ms, &connection);
    if (err_failed(err)) {
        net_close(api->os->net, setup->socket);
        free(session);
        return err;
    }
    *session = (struct session){
        .magic = SESSION_MAGIC,
        .api = api,
        .reactor = setup->reactor,
        .connection = connection,
        .listener = setup->listener,
    };
    list_init(&session->requests);
    list_append(setup->sessions, &session->link);
    (void)snprintf(session->host, sizeof session->host, "/%s", setup->peer);
    connection_set_user(connection, &session_vtable, session);
    return ERR_NONE;
}

bool session_drain(struct session *session)
{
    CHECK_MAGIC(session, SESSION_MAGIC);
    if (session->connection == NULL)
        return false; /* its parked requests end by themselves */
    connection_pause(session->connection, true);
    session->is_draining = true;
    LIST_EACH (&session->requests, link) {
        struct request *request = LIST_ENTRY(link, struct request, link);
        if (request->state == REQUEST_PARKED && request->cancel != NULL)
            request->cancel(request);
    }
    if (session->request_count > 0)
        return false;
    connection_close(session->connection);
    return true;
}
