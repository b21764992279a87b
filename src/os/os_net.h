/*
 * os_net: stream sockets and the poller that says which are ready.
 *
 * Sockets never block. Errors are ERR_AGAIN (wait for the poller), ERR_CLOSED (the peer is gone),
 * ERR_BUSY (address in use), ERR_LIMIT (descriptors), ERR_NOT_FOUND (unknown host), ERR_DENIED,
 * ERR_IO.
 */
#ifndef HEADRACE_OS_OS_NET_H
#define HEADRACE_OS_OS_NET_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define OS_SOCKET_NONE (-1)

/* Text of a peer's address without port: IPv6 at its longest, with scope, and NUL. */
#define OS_PEER_TEXT_SIZE 64

enum os_ready {
    OS_READY_READ = 1,
    OS_READY_WRITE = 2,
    OS_READY_CLOSED = 4, /* the peer hung up or the socket failed; reading says which */
};

struct os_event {
    void *tag;      /* as given to poller_set; NULL for a wake */
    unsigned ready; /* a sum of os_ready */
};

struct os_net {
    void *self;
    struct err (*listen)(void *self, const char *address, uint16_t port, int *socket);
    struct err (*local_port)(void *self, int socket, uint16_t *port);
    struct err (*accept)(void *self, int listener, int *socket, char peer[OS_PEER_TEXT_SIZE]);
    struct err (*read)(void *self, int socket, void *bytes, size_t size, size_t *done);
    struct err (*write)(void *self, int socket, const struct span *spans, size_t span_count,
                        size_t *done);
    struct err (*send_file)(void *self, int socket, int file, int64_t at, size_t size,
                            size_t *done);
    void (*close)(void *self, int socket);
    struct err (*poller_open)(void *self, int *poller);
    void (*poller_close)(void *self, int poller);
    struct err (*poller_set)(void *self, int poller, int socket, unsigned ready, void *tag);
    struct err (*poller_wait)(void *self, int poller, int timeout_ms, struct os_event *events,
                              size_t *event_count);
    void (*poller_wake)(void *self, int poller);
};

/*
 * Listens on a numeric IPv4 or IPv6 address, or a name, of which the first address is taken; port 0
 * lets the system choose. Connections get TCP_NODELAY. The caller closes *socket.
 */
MUST_USE static inline struct err net_listen(const struct os_net *net, const char *address,
                                             uint16_t port, int *socket)
{
    return net->listen(net->self, address, port, socket);
}

MUST_USE static inline struct err net_local_port(const struct os_net *net, int socket,
                                                 uint16_t *port)
{
    return net->local_port(net->self, socket, port);
}

/* Takes the next waiting connection. peer: the numeric address of the other side. */
MUST_USE static inline struct err net_accept(const struct os_net *net, int listener, int *socket,
                                             char peer[OS_PEER_TEXT_SIZE])
{
    return net->accept(net->self, listener, socket, peer);
}

/* Reads what is there, 1 to size bytes. ERR_CLOSED at the peer's orderly end too. */
MUST_USE static inline struct err net_read(const struct os_net *net, int socket, void *bytes,
                                           size_t size, size_t *done)
{
    return net->read(net->self, socket, bytes, size, done);
}

/* Writes a prefix of the spans, 1 byte to all. span_count <= OS_SPAN_COUNT_MAX. */
MUST_USE static inline struct err net_write(const struct os_net *net, int socket,
                                            const struct span *spans, size_t span_count,
                                            size_t *done)
{
    return net->write(net->self, socket, spans, span_count, done);
}

/* Sends bytes of a file without copying. *done may be short. ERR_TRUNCATED at the file's end. */
MUST_USE static inline struct err net_send_file(const struct os_net *net, int socket, int file,
                                                int64_t at, size_t size, size_t *done)
{
    return net->send_file(net->self, socket, file, at, size, done);
}

static inline void net_close(const struct os_net *net, int socket)
{
    if (socket != OS_SOCKET_NONE)
        net->close(net->self, socket);
}

MUST_USE static inline struct err poller_open(const struct os_net *net, int *poller)
{
    return net->poller_open(net->self, poller);
}

static inline void poller_close(const struct os_net *net, int poller)
{
    net->poller_close(net->self, poller);
}

/*
 * Says what to tell about a socket: a sum of OS_READY_READ and OS_READY_WRITE, 0 to forget it.
 * Level triggered. A socket is forgotten before it is closed.
 */
MUST_USE static inline struct err poller_set(const struct os_net *net, int poller, int socket,
                                             unsigned ready, void *tag)
{
    return net->poller_set(net->self, poller, socket, ready, tag);
}

/*
 * Waits until something is ready, poller_wake is called or timeout_ms have passed (-1: for ever, 0:
 * only looks). *event_count: in, the room in events; out, how many were filled; 0 after the
 * time-out.
 */
MUST_USE static inline struct err poller_wait(const struct os_net *net, int poller, int timeout_ms,
                                              struct os_event *events, size_t *event_count)
{
    return net->poller_wait(net->self, poller, timeout_ms, events, event_count);
}

/* Ends a poller_wait, the running or the next one. Any thread; also from a signal handler. */
static inline void poller_wake(const struct os_net *net, int poller)
{
    net->poller_wake(net->self, poller);
}

#endif
