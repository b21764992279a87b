/*
 * session: one client's connection: its frames in, its answers out in the order of the requests.
 *
 * Lives on one reactor. It ends when the connection has closed and no request of it is parked.
 */
#ifndef HEADRACE_API_SESSION_H
#define HEADRACE_API_SESSION_H

#include "api/request.h"
#include "reactor/connection.h"

struct api;

struct session {
    uint32_t magic;
    struct list link; /* among the sessions of its reactor */
    struct api *api;
    struct reactor *reactor;
    struct connection *connection; /* NULL once closed */
    struct list requests;          /* in order of arrival; answered from the front */
    size_t request_count;
    size_t unsent_size; /* of answers made, and not yet given to the connection */
    size_t listener;    /* index of the listener it came in by */
    bool is_flushing;
    bool is_draining;
    bool is_held; /* one request holds up those behind it: see request_hold_line */
    char host[OS_PEER_TEXT_SIZE + 1]; /* "/192.0.2.1" */
};

/* Where a new session comes from and belongs. */
struct session_setup {
    struct api *api;
    struct reactor *reactor;
    struct list *sessions; /* of the reactor; the session takes itself off when it ends */
    int socket;
    size_t listener;
    const char *peer; /* numeric address; copied */
};

/* Begins to serve a socket, which is the session's from here on, also on failure. */
MUST_USE struct err session_create(const struct session_setup *setup);

/* Reads no more; lets what waits for news go; closes when every answer is sent. True: it is over.
 */
bool session_drain(struct session *session);

/* Takes no further request up until session_release, which goes on with those that came. */
void session_hold(struct session *session);
void session_release(struct session *session);

/* A request of the session has its answer: sends what may be sent. */
void session_replied(struct session *session, struct request *request);

/* The client broke the protocol or memory ran out: ends the connection. why: for the log. */
void session_fail(struct session *session, struct request *request, struct err err);

#endif
