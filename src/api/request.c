/* request: encoding, parking and waking. */
#include "api/request.h"

#include <stdlib.h>

#include "api/session.h"
#include "base/check.h"
#include "base/limits.h"

struct reactor *request_reactor(const struct request *request)
{
    return request->session->reactor;
}

struct span request_host(const struct request *request)
{
    return span_text(request->session->host);
}

size_t request_listener(const struct request *request)
{
    return request->session->listener;
}

struct err request_create(struct session *session, struct request **out)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return err_make(ERR_NO_MEMORY);
    request->session = session;
    arena_init(&request->arena, REQUEST_ARENA_SIZE_MAX);
    buf_init(&request->out, RESPONSE_SIZE_MAX);
    list_init(&request->link);
    *out = request;
    return ERR_NONE;
}

void request_destroy(struct request *request)
{
    list_remove(&request->link);
    arena_deinit(&request->arena);
    buf_deinit(&request->out);
    free(request);
}

struct err request_keep_body(struct request *request)
{
    struct span left =
        span_make(request->body.data + request->body.position, reader_remaining(&request->body));
    struct span kept;
    TRY(arena_copy(&request->arena, left, &kept));
    reader_init(&request->body, kept);
    request->bytes = span_writable(kept);
    request->bytes_size = kept.size;
    return ERR_NONE;
}

struct err request_begin_reply(struct request *request, size_t slice_count_max,
                               struct writer **writer)
{
    CHECK(request->state != REQUEST_REPLIED);
    struct wire_splice *splices = NULL;
    if (slice_count_max > 0) {
        splices = arena_alloc_array(&request->arena, slice_count_max, sizeof *splices);
        if (splices == NULL)
            return err_make(ERR_NO_MEMORY);
    }
    buf_clear(&request->out);
    writer_init(&request->writer, &request->out, splices, slice_count_max);
    TRY(frame_begin(&request->writer, &request->frame));
    TRY(envelope_write_response(&request->writer, request->api, request->version,
                                request->correlation_id));
    *writer = &request->writer;
    return ERR_NONE;
}

struct err request_end_reply(struct request *request)
{
    TRY(frame_end(&request->writer, request->frame));
    request->state = REQUEST_REPLIED;
    session_replied(request->session, request);
    return ERR_NONE;
}

void request_end_silently(struct request *request)
{
    CHECK(request->state != REQUEST_REPLIED);
    request->is_silent = true;
    request->state = REQUEST_REPLIED;
    session_replied(request->session, request);
}

void request_park(struct request *request, request_resume resume)
{
    CHECK(request->state == REQUEST_HANDLING);
    request->resume = resume;
    request->state = REQUEST_PARKED;
}

void request_unpark(struct request *request)
{
    CHECK(request->state == REQUEST_PARKED);
    request->state = REQUEST_HANDLING;
    request->cancel = NULL;
}

void request_hold_line(struct request *request)
{
    session_hold(request->session);
}

void request_release_line(struct request *request)
{
    session_release(request->session);
}

static void request_mail(struct mail *mail)
{
    struct request *request = LIST_ENTRY(mail, struct request, mail);
    CHECK(request->state == REQUEST_PARKED);
    request->state = REQUEST_HANDLING;
    request->cancel = NULL;
    struct err err = request->resume(request);
    if (err_failed(err))
        session_fail(request->session, request, err);
}

void request_wake(struct request *request)
{
    reactor_post(request_reactor(request), &request->mail, request_mail);
}
