/*
 * connection: one peer's byte stream, both ways.
 *
 * What comes in is offered to the user's `data` function, which says how much of it is done with;
 * the rest is kept and offered again with more behind it. The bytes offered are mutable and live
 * until the function returns: a record batch is patched where it lies and written to disk from
 * there.
 *
 * What goes out is a queue of pieces, sent in order as the peer takes them.
 *
 * States: OPEN -> DRAINING (connection_finish: no more reading, close when all is sent) -> CLOSED.
 * CLOSED calls `closed` once; the struct is freed when the reactor's step ends.
 */
#ifndef HEADRACE_REACTOR_CONNECTION_H
#define HEADRACE_REACTOR_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "reactor/reactor.h"

struct connection;

/* Bytes in memory (file == OS_FILE_NONE) or a range of a file, to be sent. */
struct piece {
    struct list link;
    struct span bytes;
    int file;
    int64_t file_at;
    size_t file_size;
    void (*release)(struct piece *piece); /* sent, or never to be; may free the struct */
};

/*
 * What the connection's user does. All are called on the reactor's thread.
 *
 * data: bytes[0..size) have come and are not yet done with; returns how many from the front now
 * are. *wanted (0 on entry) may be set to the whole size of a thing begun, so that its memory is
 * taken once. The function may close the connection. drained: the queue of pieces has become empty.
 * May be NULL. closed: the connection is over; its pieces have been released. The user lets go of
 * it.
 */
struct connection_user {
    size_t (*data)(void *user, uint8_t *bytes, size_t size, size_t *wanted);
    void (*drained)(void *user);
    void (*closed)(void *user);
};

/*
 * A filter between connection and socket, as TLS will be. Errors as os_net's. send_file may be
 * NULL: then file pieces are read and go through write.
 */
struct connection_filter {
    struct err (*read)(struct connection *connection, void *bytes, size_t size, size_t *done);
    struct err (*write)(struct connection *connection, const struct span *spans, size_t span_count,
                        size_t *done);
    struct err (*send_file)(struct connection *connection, int file, int64_t at, size_t size,
                            size_t *done);
};

/*
 * Takes a socket into the reactor and starts reading. size_max bounds the bytes kept between two
 * calls of data. idle_ms: closed after so long without a byte in either direction, 0: never. On
 * error the socket stays the caller's.
 */
MUST_USE struct err connection_open(struct reactor *reactor, int socket, size_t size_max,
                                    int64_t idle_ms, struct connection **connection);

/* Names the user; called once, right after connection_open. vtable outlives the connection. */
void connection_set_user(struct connection *connection, const struct connection_user *vtable,
                         void *user);

/* Queues a piece; ownership passes even if the connection is closed already. Sends what it can. */
void connection_send(struct connection *connection, struct piece *piece);

/* Stops or resumes reading. Resuming offers the kept bytes again, at the latest in the next step.
 */
void connection_pause(struct connection *connection, bool is_paused);

/* No more reading; closes when everything queued is sent. */
void connection_finish(struct connection *connection);

/* Closes at once; releases what is queued. Calls closed. Harmless when closed. */
void connection_close(struct connection *connection);

bool connection_is_closed(const struct connection *connection);

/* Bytes queued and not yet taken by the kernel. */
size_t connection_queued_size(const struct connection *connection);

struct reactor *connection_reactor(struct connection *connection);

/* For the reactor: the connection that holds this link. */
struct connection *connection_from_link(struct list *link);

#endif
