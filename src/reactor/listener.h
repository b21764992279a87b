/* listener: takes new peers from a listening socket. */
#ifndef HEADRACE_REACTOR_LISTENER_H
#define HEADRACE_REACTOR_LISTENER_H

#include "base/err.h"
#include "os/os_net.h"
#include "reactor/reactor.h"

struct listener;

/* What is done with a new peer; the socket is the callee's. peer lives until the call returns. */
typedef void (*listener_accept)(void *context, int socket, const char peer[OS_PEER_TEXT_SIZE]);

/*
 * Starts accepting on the reactor's thread. The socket becomes the listener's. When descriptors run
 * out it rests for a moment instead of spinning.
 */
MUST_USE struct err listener_create(struct reactor *reactor, const struct os_net *net, int socket,
                                    listener_accept accept, void *context,
                                    struct listener **listener);

/* Stops and frees. NULL is taken and ignored. The reactor's thread, or after its last step. */
void listener_destroy(struct listener *listener);

#endif
