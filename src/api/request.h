/*
 * request: one request's life.
 *
 *     HANDLING --reply--> REPLIED --all before it sent--> (sent, freed)
 *        |                  ^
 *      park                 | resume replies
 *        v                  |
 *     PARKED --wake, by any thread--> resume, on the request's reactor
 *
 * A handler is given a request with its body decoded by itself; it replies, or parks. What must
 * survive parking is copied into the request's arena. If the connection closes meanwhile, resume is
 * called all the same and its reply goes nowhere.
 */
#ifndef HEADRACE_API_REQUEST_H
#define HEADRACE_API_REQUEST_H

#include "base/arena.h"
#include "reactor/reactor.h"
#include "storage/log.h"
#include "wire/cursor.h"
#include "wire/envelope.h"
#include "wire/error_code.h"
#include "wire/frame.h"

struct session;
struct request;

/* Goes on with a parked request: replies, or parks again. An error closes the connection. */
typedef struct err (*request_resume)(struct request *request);

enum request_state { REQUEST_HANDLING, REQUEST_PARKED, REQUEST_REPLIED };

struct request {
    struct list link; /* in the session, in order of arrival */
    struct session *session;
    enum request_state state;
    const struct api_info *api;
    int16_t version;
    bool is_silent; /* acks=0: no answer is sent */
    int32_t correlation_id;
    uint32_t size; /* of the request, for metrics */
    int64_t begin_us;
    struct span client_id; /* in the arena */
    struct reader body;    /* valid only until the handler returns */
    uint8_t *bytes;        /* those of the frame, or kept: the handler may patch them; as body */
    size_t bytes_size;
    struct arena arena;
    struct buf out; /* the encoded answer */
    struct frame_mark frame;
    struct writer writer;
    struct mail mail;
    request_resume resume;
    void (*cancel)(struct request *request); /* the connection closed while it is parked; or NULL */
    void *parked;                            /* the handler's own */
};

/* The reactor on whose thread the request lives. */
struct reactor *request_reactor(const struct request *request);

/* The peer's address as Kafka shows it: "/127.0.0.1". Lives as long as the request. */
struct span request_host(const struct request *request);

/* Which of the broker's listeners the request came in by. */
size_t request_listener(const struct request *request);

/* Copies the body into the arena, so that what is decoded from it survives parking. ERR_NO_MEMORY.
 */
MUST_USE struct err request_keep_body(struct request *request);

/*
 * Begins the answer: frame and header are written, the handler encodes the body into *writer and
 * ends with request_end_reply. slice_count_max: record slices it may hold.
 */
MUST_USE struct err request_begin_reply(struct request *request, size_t slice_count_max,
                                        struct writer **writer);

/* Ends the answer. Each slice in the writer is a struct log_slice whose reference passes. */
MUST_USE struct err request_end_reply(struct request *request);

/* Ends a request that gets no answer (acks=0). */
void request_end_silently(struct request *request);

/* The handler returns without an answer; resume will be called once after request_wake. */
void request_park(struct request *request, request_resume resume);

/* Takes back request_park, where nobody will wake the request. Its own thread. */
void request_unpark(struct request *request);

/*
 * Holds up the requests behind this one on its connection, for one whose effects must come before
 * theirs though it has to wait; request_release_line ends that. Its own thread.
 */
void request_hold_line(struct request *request);
void request_release_line(struct request *request);

/* Lets a parked request go on. Any thread, once per park. */
void request_wake(struct request *request);

/* For the session: makes and frees. */
MUST_USE struct err request_create(struct session *session, struct request **out);
void request_destroy(struct request *request);

#endif
