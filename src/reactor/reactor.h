/*
 * reactor: one thread's event loop, run step by step by its owner.
 *
 * A step waits for sockets, mail or the next timer, whichever comes first, then serves them all.
 */
#ifndef HEADRACE_REACTOR_REACTOR_H
#define HEADRACE_REACTOR_REACTOR_H

#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/wheel.h"
#include "os/os.h"

struct reactor;

/* A function to run on a reactor's thread. Lives in its user's struct until run is called. */
struct mail {
    struct list link;
    void (*run)(struct mail *mail);
};

/* Something that wants to know that a socket is ready: a connection or a listener. */
struct watcher {
    void (*ready)(struct watcher *watcher, unsigned ready);
};

/* Makes a reactor. os must outlive it. ERR_NO_MEMORY, ERR_LIMIT (descriptors). */
MUST_USE struct err reactor_create(const struct os *os, struct reactor **reactor);

/* Closes all connections, runs the mail that is left, and frees. NULL is taken and ignored. */
void reactor_destroy(struct reactor *reactor);

/*
 * Waits at most timeout_ms (-1: as long as it takes) and serves what has come. Returns an error
 * only when the system's poller fails, which nothing mends.
 */
MUST_USE struct err reactor_step(struct reactor *reactor, int64_t timeout_ms);

/* Hands mail to the reactor and wakes it. Any thread, also its own; order of one sender is kept. */
void reactor_post(struct reactor *reactor, struct mail *mail, void (*run)(struct mail *mail));

/* Ends the running or next step early. Any thread, and signal handlers. */
void reactor_wake(struct reactor *reactor);

/* The reactor's timers. Its own thread. */
struct wheel *reactor_wheel(struct reactor *reactor);

/* Monotonic milliseconds at the start of this step; for timers that need no more precision. */
int64_t reactor_now_ms(const struct reactor *reactor);

/* How many connections are open. Any thread. */
int64_t reactor_connection_count(const struct reactor *reactor);

/* How many of them are paused: their users read nothing for now. Any thread. */
int64_t reactor_paused_count(const struct reactor *reactor);

/* Watches a socket; ready: a sum of os_ready, 0 to stop. Its own thread. */
MUST_USE struct err reactor_watch(struct reactor *reactor, int socket, unsigned ready,
                                  struct watcher *watcher);

#endif
