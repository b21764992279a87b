/*
 * server: reactors, listeners and sessions of one broker.
 *
 *     server_bind (ports are known, nobody is served yet) -> server_start -> ... -> server_drain
 *
 * The server owns no thread: cli steps each reactor on one.
 */
#ifndef HEADRACE_API_SERVER_H
#define HEADRACE_API_SERVER_H

#include "api/api.h"
#include "broker/listeners.h"
#include "reactor/reactor.h"

struct server;

/*
 * Makes reactor_count reactors and binds every listener; writes the ports that port 0 became into
 * listeners. Errors with one sentence: ERR_BUSY (port in use), ERR_DENIED, ERR_NOT_FOUND (host).
 */
MUST_USE struct err server_bind(const struct os *os, struct listeners *listeners,
                                size_t reactor_count, struct server **out, struct diag *diag);

/* Begins to serve. Before any reactor is stepped. api outlives the server. */
MUST_USE struct err server_start(struct server *server, struct api *api);

size_t server_reactor_count(const struct server *server);
struct reactor *server_reactor(struct server *server, size_t index);

/* Open connections on all reactors. Any thread. */
int64_t server_connection_count(const struct server *server);

/* How many of them are not read: too many requests under way, or answers not taken. Any thread. */
int64_t server_paused_count(const struct server *server);

/*
 * Stops accepting and reading; sessions end when their last answer is sent. Any thread; the
 * reactors go on being stepped until server_is_drained, or until the caller has waited enough.
 */
void server_drain(struct server *server);
bool server_is_drained(const struct server *server);

/* Closes what is left and frees. No reactor is stepped any more. NULL is taken and ignored. */
void server_destroy(struct server *server);

#endif
