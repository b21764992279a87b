/* listener: accept until there is nobody left, in bounded turns. */
#include "reactor/listener.h"

#include <stdlib.h>

#include "base/check.h"

/* Peers taken in one step, so that a burst of them does not starve the connected. */
#define ACCEPTS_PER_STEP_MAX 64

/* How long to rest when the system has no descriptor left. */
#define REST_MS 100

struct listener {
    struct watcher watcher;
    struct timer rest;
    struct reactor *reactor;
    const struct os_net *net;
    int socket;
    listener_accept accept;
    void *context;
};

static void listener_ready(struct watcher *watcher, unsigned ready)
{
    struct listener *listener = LIST_ENTRY(watcher, struct listener, watcher);
    (void)ready;
    for (int i = 0; i < ACCEPTS_PER_STEP_MAX; i++) {
        char peer[OS_PEER_TEXT_SIZE];
        int socket;
        struct err err = net_accept(listener->net, listener->socket, &socket, peer);
        if (err_is(err, ERR_AGAIN))
            return;
        if (err_failed(err)) {
            (void)!err_failed(reactor_watch(listener->reactor, listener->socket, 0, NULL));
            wheel_set(reactor_wheel(listener->reactor), &listener->rest,
                      reactor_now_ms(listener->reactor) + REST_MS);
            return;
        }
        listener->accept(listener->context, socket, peer);
    }
}

static void listener_wake(struct timer *timer)
{
    struct listener *listener = LIST_ENTRY(timer, struct listener, rest);
    struct err err =
        reactor_watch(listener->reactor, listener->socket, OS_READY_READ, &listener->watcher);
    if (err_failed(err))
        wheel_set(reactor_wheel(listener->reactor), timer,
                  reactor_now_ms(listener->reactor) + REST_MS);
}

struct err listener_create(struct reactor *reactor, const struct os_net *net, int socket,
                           listener_accept accept, void *context, struct listener **out)
{
    CHECK(socket != OS_SOCKET_NONE && accept != NULL);
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return err_make(ERR_NO_MEMORY);
    *listener = (struct listener){
        .watcher = {.ready = listener_ready},
        .reactor = reactor,
        .net = net,
        .socket = socket,
        .accept = accept,
        .context = context,
    };
    timer_init(&listener->rest, listener_wake);
    struct err err = reactor_watch(reactor, socket, OS_READY_READ, &listener->watcher);
    if (err_failed(err)) {
        free(listener);
        return err;
    }
    *out = listener;
    return ERR_NONE;
}

void listener_destroy(struct listener *listener)
{
    if (listener == NULL)
        return;
    timer_cancel(&listener->rest);
    (void)!err_failed(reactor_watch(listener->reactor, listener->socket, 0, NULL));
    net_close(listener->net, listener->socket);
    free(listener);
}
