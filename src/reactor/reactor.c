/*
 * reactor: the loop.
 *
 * Sleeping and mail: a sender appends under mail_lock and then wakes the poller only if
 * is_wake_needed is set. The loop sets it before it looks at the mailbox for the last time, so mail
 * that comes later always finds it set. A wake costs 30 us on another core; most mail needs none.
 */
#include "reactor/reactor.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "reactor/connection.h"
#include "reactor/reactor_internal.h"

/* Events served between two looks at mail and timers. */
#define STEP_EVENT_COUNT_MAX 128

struct err reactor_create(const struct os *os, struct reactor **out)
{
    struct reactor *reactor = calloc(1, sizeof *reactor);
    if (reactor == NULL)
        return err_make(ERR_NO_MEMORY);
    reactor->scratch = malloc(READ_SCRATCH_SIZE);
    struct err err =
        reactor->scratch == NULL ? err_make(ERR_NO_MEMORY) : poller_open(os->net, &reactor->poller);
    if (err_failed(err)) {
        free(reactor->scratch);
        free(reactor);
        return err;
    }
    reactor->magic = REACTOR_MAGIC;
    reactor->os = os;
    reactor->now_ms = clock_mono_ms(os->clock);
    wheel_init(&reactor->wheel, reactor->now_ms);
    os_mutex_init(&reactor->mail_lock);
    list_init(&reactor->mail);
    list_init(&reactor->connections);
    list_init(&reactor->dead);
    *out = reactor;
    return ERR_NONE;
}

static void mail_run_all(struct reactor *reactor)
{
    struct list taken;
    list_init(&taken);
    os_mutex_lock(&reactor->mail_lock);
    list_move_all(&taken, &reactor->mail);
    os_mutex_unlock(&reactor->mail_lock);
    for (struct list *link = list_pop(&taken); link != NULL; link = list_pop(&taken)) {
        struct mail *mail = LIST_ENTRY(link, struct mail, link);
        mail->run(mail);
    }
}

static bool mail_is_empty(struct reactor *reactor)
{
    os_mutex_lock(&reactor->mail_lock);
    bool is_empty = list_is_empty(&reactor->mail);
    os_mutex_unlock(&reactor->mail_lock);
    return is_empty;
}

void reactor_destroy(struct reactor *reactor)
{
    if (reactor == NULL)
        return;
    CHECK_MAGIC(reactor, REACTOR_MAGIC);
    while (!list_is_empty(&reactor->connections) || !mail_is_empty(reactor)) {
        LIST_EACH (&reactor->connections, link)
            connection_close(connection_from_link(link));
        mail_run_all(reactor); /* may open connections */
    }
    reactor_bury(reactor);
    poller_close(reactor->os->net, reactor->poller);
    os_mutex_deinit(&reactor->mail_lock);
    free(reactor->scratch);
    reactor->magic = 0;
    free(reactor);
}

/* How long the poller may sleep: until the next timer, the caller's bound, or not at all. */
static int step_timeout_ms(struct reactor *reactor, int64_t bound_ms)
{
    int64_t timer_ms = wheel_wait_ms(&reactor->wheel);
    if (timer_ms >= 0) {
        int64_t passed_ms = clock_mono_ms(reactor->os->clock) - reactor->wheel.now_ms;
        timer_ms = timer_ms > passed_ms ? timer_ms - passed_ms : 0;
    }
    int64_t wait_ms = bound_ms;
    if (timer_ms >= 0 && (wait_ms < 0 || timer_ms < wait_ms))
        wait_ms = timer_ms;
    if (!mail_is_empty(reactor))
        wait_ms = 0;
    return wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
}

struct err reactor_step(struct reactor *reactor, int64_t timeout_ms)
{
    CHECK_MAGIC(reactor, REACTOR_MAGIC);
    struct os_event events[STEP_EVENT_COUNT_MAX];
    size_t event_count = STEP_EVENT_COUNT_MAX;
    atomic_store(&reactor->is_wake_needed, true);
    int wait_ms = step_timeout_ms(reactor, timeout_ms);
    struct err err = poller_wait(reactor->os->net, reactor->poller, wait_ms, events, &event_count);
    atomic_store(&reactor->is_wake_needed, false);
    TRY(err);
    reactor->now_ms = clock_mono_ms(reactor->os->clock);
    for (size_t i = 0; i < event_count; i++) {
        struct watcher *watcher = events[i].tag;
        if (watcher != NULL)
            watcher->ready(watcher, events[i].ready);
    }
    mail_run_all(reactor);
    wheel_advance(&reactor->wheel, reactor->now_ms);
    reactor_bury(reactor);
    return ERR_NONE;
}

void reactor_post(struct reactor *reactor, struct mail *mail, void (*run)(struct mail *mail))
{
    CHECK_MAGIC(reactor, REACTOR_MAGIC);
    mail->run = run;
    os_mutex_lock(&reactor->mail_lock);
    list_append(&reactor->mail, &mail->link);
    os_mutex_unlock(&reactor->mail_lock);
    if (atomic_exchange(&reactor->is_wake_needed, false))
        reactor_wake(reactor);
}

void reactor_wake(struct reactor *reactor)
{
    poller_wake(reactor->os->net, reactor->poller);
}

struct wheel *reactor_wheel(struct reactor *reactor)
{
    return &reactor->wheel;
}

int64_t reactor_now_ms(const struct reactor *reactor)
{
    return reactor->now_ms;
}

int64_t reactor_connection_count(const struct reactor *reactor)
{
    return atomic_load(&reactor->connection_count);
}

int64_t reactor_paused_count(const struct reactor *reactor)
{
    return atomic_load(&reactor->paused_count);
}

struct err reactor_watch(struct reactor *reactor, int socket, unsigned ready,
                         struct watcher *watcher)
{
    return poller_set(reactor->os->net, reactor->poller, socket, ready, watcher);
}
