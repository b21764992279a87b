/*
 * serve: the one place that wires the halves together, owns the threads and waits.
 *
 *     start: options -> bind -> recover (broker) -> coordinator -> reactors, flusher, background
 *            -> load groups -> "headrace ready ..."
 *     end:   SIGTERM -> drain sessions -> join reactors -> join flusher, background -> close
 * cleanly
 *
 * Threads: one per reactor, the first of which also steps the coordinator's timers; one that
 * flushes; one for background work; libmicrohttpd's; and the main one, which waits for signals.
 */
#include "cli/serve.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/ending.h"
#include "reactor/listener.h"

/* Disk traffic of one background step: a few milliseconds' worth, so that others get their turn. */
#define BACKGROUND_STEP_SIZE (8 * 1024 * 1024)

/* How often idle background work looks at the clock at least. */
#define BACKGROUND_IDLE_MS_MAX 10000

/* When descriptors are short: soon enough for waiting producers, seldom enough to cost nothing. */
#define LOAD_RETRY_MS 1000 /* after a partition of the coordinators that could not be loaded */
#define FLUSH_RETRY_MS 100

/* How long sessions have to finish after SIGTERM. */
#define DRAIN_MS_MAX 5000
#define DRAIN_LOOK_MS 5

#define REACTOR_COUNT_MAX 64

void serve_say(const struct os_clock *clock, const char *sentence)
{
    char line[DIAG_TEXT_MAX + 64];
    int64_t now_ms = clock_wall_ms(clock);
    (void)snprintf(line, sizeof line, "%lld.%03d headrace: %s\n", (long long)(now_ms / 1000),
                   (int)(now_ms % 1000), sentence);
    (void)fputs(line, stderr);
}

static void on_dirty(void *context)
{
    struct serve *serve = context;
    os_signal_set(&serve->flush_needed);
}

static void on_work(void *context)
{
    struct serve *serve = context;
    os_signal_set(&serve->work_needed);
}

static void on_report(void *context, const char *sentence)
{
    const struct serve *serve = context;
    serve_say(serve->os->clock, sentence);
}

static void on_offline(void *context, const char *sentence)
{
    struct serve *serve = context;
    atomic_store(&serve->is_offline, true);
    serve_say(serve->os->clock, sentence);
}

/* A timer of the coordinator is due earlier than its reactor thinks. */
static void on_coord_wake(void *context)
{
    struct serve *serve = context;
    reactor_wake(server_reactor(serve->server, 0));
}

/* One reactor's thread. */
struct reactor_thread {
    struct serve *serve;
    struct reactor *reactor;
    struct os_thread *thread;
    bool steps_coord;
};

static void reactor_run(void *argument)
{
    struct reactor_thread *self = argument;
    struct serve *serve = self->serve;
    while (!atomic_load(&serve->is_stopping)) {
        int64_t wait_ms = -1;
        if (self->steps_coord) {
            coord_step(serve->coord);
            wait_ms = coord_wait_ms(serve->coord);
        }
        struct err err = reactor_step(self->reactor, wait_ms);
        CHECK(!err_failed(err)); /* the poller itself failed: nothing can be served */
    }
}

static void flush_run(void *argument)
{
    struct serve *serve = argument;
    int64_t wait_ms = -1;
    while (!atomic_load(&serve->is_stopping)) {
        (void)os_signal_wait(&serve->flush_needed, wait_ms);
        struct store_flush_result result = {.is_more = true};
        while (result.is_more) {
            struct diag diag = {.text = ""};
            if (err_failed(store_flush_step(serve->broker->store, &result, &diag)))
                break; /* the store is offline and has said so */
        }
        wait_ms = result.is_short ? FLUSH_RETRY_MS : -1;
    }
}

/* Loads groups and transactions until all are loaded, or one partition of them cannot be now. */
static bool load_all(struct serve *serve)
{
    bool is_more = true;
    while (is_more && !atomic_load(&serve->is_stopping)) {
        struct diag diag = {.text = ""};
        if (err_failed(coord_load_step(serve->coord, &is_more, &diag))) {
            serve_say(serve->os->clock, diag.text);
            return false;
        }
    }
    return true;
}

/* Loads groups first, then works through what the store has to do. */
static void background_run(void *argument)
{
    struct serve *serve = argument;
    bool is_loaded = false;
    int64_t load_due_ms = clock_mono_ms(serve->os->clock);
    while (!atomic_load(&serve->is_stopping)) {
        struct store_background_result result = {0};
        struct diag diag = {.text = ""};
        int64_t now_ms = clock_wall_ms(serve->os->clock);
        if (!is_loaded && clock_mono_ms(serve->os->clock) >= load_due_ms) {
            is_loaded = load_all(serve);
            load_due_ms = clock_mono_ms(serve->os->clock) + LOAD_RETRY_MS;
        }
        struct err err = store_background_step(serve->broker->store, now_ms, BACKGROUND_STEP_SIZE,
                                               &result, &diag);
        broker_background_step(serve->broker, now_ms);
        int64_t wait_ms = is_loaded ? BACKGROUND_IDLE_MS_MAX : LOAD_RETRY_MS;
        if (!err_failed(err) && result.next_ms - now_ms < wait_ms)
            wait_ms = result.next_ms > now_ms ? result.next_ms - now_ms : 0;
        if (err_failed(err) || !result.is_more)
            (void)os_signal_wait(&serve->work_needed, wait_ms);
    }
}

static void http_accepted(void *context, int socket, const char peer[OS_PEER_TEXT_SIZE])
{
    struct serve *serve = context;
    (void)peer;
    struct err err = http_take(serve->http, socket);
    if (err_failed(err))
        serve_say(serve->os->clock, "refused an HTTP connection: too many are open");
}

static struct err start_http(struct serve *serve, int socket, struct diag *diag)
{
    struct err err = http_create(serve_routes, serve, &serve->http);
    if (!err_failed(err))
        err = listener_create(server_reactor(serve->server, 0), serve->os->net, socket,
                              http_accepted, serve, &serve->http_door);
    if (err_failed(err))
        net_close(serve->os->net, socket);
    return diag_wrap(diag, err, "starting HTTP");
}

/* Binds the address of health and metrics; *host for the ready line. */
static struct err bind_http(struct serve *serve, int *socket, char host[LISTENER_HOST_SIZE],
                            struct diag *diag)
{
    const char *text = config_text(&serve->config, CONFIG_HTTP_LISTENER);
    uint16_t port;
    TRY(diag_wrap(diag, listener_parse_address(span_text(text), host, &port, diag),
                  "headrace.http.listener"));
    const char *address = strcmp(host, "localhost") == 0 ? "127.0.0.1"
                          : host[0] == '\0'              ? "0.0.0.0"
                                                         : host;
    struct err err = net_listen(serve->os->net, address, port, socket);
    if (err_failed(err))
        return diag_wrap(diag, err, "listening on %s port %u", address, port);
    return net_local_port(serve->os->net, *socket, &serve->http_port);
}

static struct err start_broker(struct serve *serve, struct diag *diag)
{
    struct broker_setup setup = {
        .os = serve->os,
        .config = &serve->config,
        .listeners = &serve->listeners,
        .events = {.context = serve,
                   .dirty = on_dirty,
                   .work = on_work,
                   .offline = on_offline,
                   .report = on_report},
    };
    TRY(broker_create(&setup, &serve->broker, diag));
    struct coord_setup coord_setup = {
        .broker = serve->broker, .wake = on_coord_wake, .context = serve};
    TRY(coord_create(&coord_setup, &serve->coord));
    struct api_setup api_setup = {.broker = serve->broker,
                                  .coord = serve->coord,
                                  .report = on_report,
                                  .report_context = serve};
    TRY(api_create(&api_setup, &serve->api));
    return server_start(serve->server, serve->api);
}

static void print_ready(const struct serve *serve, const char *http_host)
{
    const struct listener_address *kafka = &serve->listeners.addresses[0];
    (void)printf("headrace ready kafka=%s:%u http=%s:%u\n", kafka->advertised_host,
                 kafka->advertised_port, http_host, serve->http_port);
    (void)fflush(stdout);
}

/* Lets sessions send their last answers, for at most DRAIN_MS_MAX. */
static void drain(struct serve *serve)
{
    struct os_signal never;
    os_signal_init(&never);
    coord_close(serve->coord);
    server_drain(serve->server);
    int64_t end_ms = clock_mono_ms(serve->os->clock) + DRAIN_MS_MAX;
    while (!server_is_drained(serve->server) && clock_mono_ms(serve->os->clock) < end_ms)
        (void)os_signal_wait(&never, DRAIN_LOOK_MS);
    os_signal_deinit(&never);
}

/* Runs the threads until a signal comes. */
static struct err run_threads(struct serve *serve, const char *http_host)
{
    struct reactor_thread reactors[REACTOR_COUNT_MAX] = {0};
    struct os_thread *flusher = NULL;
    struct os_thread *background = NULL;
    const struct os_threads *threads = serve->os->threads;
    struct err err = thread_start(threads, "flush", flush_run, serve, &flusher);
    if (!err_failed(err))
        err = thread_start(threads, "background", background_run, serve, &background);
    size_t count = server_reactor_count(serve->server);
    for (size_t i = 0; i < count && !err_failed(err); i++) {
        reactors[i].serve = serve;
        reactors[i].reactor = server_reactor(serve->server, i);
        reactors[i].steps_coord = i == 0;
        err = thread_start(threads, "reactor", reactor_run, &reactors[i], &reactors[i].thread);
    }
    if (!err_failed(err)) {
        atomic_store(&serve->is_ready, true);
        print_ready(serve, http_host);
        ending_wait();
        atomic_store(&serve->is_ready, false);
        drain(serve);
    }
    atomic_store(&serve->is_stopping, true);
    for (size_t i = 0; i < count; i++) {
        reactor_wake(server_reactor(serve->server, i));
        thread_join(threads, reactors[i].thread);
    }
    os_signal_set(&serve->flush_needed);
    os_signal_set(&serve->work_needed);
    thread_join(threads, flusher);
    thread_join(threads, background);
    return err;
}

static struct err serve_all(struct serve *serve, struct diag *diag)
{
    ending_prepare();
    char http_host[LISTENER_HOST_SIZE];
    int http_socket = OS_SOCKET_NONE;
    int64_t wanted = config_number(&serve->config, CONFIG_NUM_NETWORK_THREADS);
    size_t reactor_count = wanted < REACTOR_COUNT_MAX ? (size_t)wanted : REACTOR_COUNT_MAX;
    TRY(listeners_from_config(&serve->config, &serve->listeners, diag));
    TRY(server_bind(serve->os, &serve->listeners, reactor_count, &serve->server, diag));
    TRY(bind_http(serve, &http_socket, http_host, diag));
    struct err err = start_broker(serve, diag);
    if (err_failed(err)) {
        net_close(serve->os->net, http_socket);
        return err;
    }
    TRY(start_http(serve, http_socket, diag));
    return run_threads(serve, http_host);
}

/* Frees everything, in the order that references allow. */
static struct err serve_close(struct serve *serve, bool is_clean, struct diag *diag)
{
    listener_destroy(serve->http_door);
    http_destroy(serve->http);
    broker_stop(serve->broker); /* a drain that took too long leaves waiters in reactor and coord */
    server_destroy(serve->server);
    api_destroy(serve->api);
    coord_destroy(serve->coord);
    return broker_close(serve->broker, is_clean, diag);
}

int serve_main(int argc, char **argv)
{
    struct serve serve = {.os = os_real()};
    struct diag diag = {.text = ""};
    int code = 1;
    os_signal_init(&serve.flush_needed);
    os_signal_init(&serve.work_needed);
    struct err err = config_init(&serve.config);
    if (!err_failed(err)) {
        int parsed = serve_parse(argc, argv, &serve.config);
        if (parsed >= 0) {
            config_deinit(&serve.config);
            return parsed;
        }
        err = serve_all(&serve, &diag);
        bool is_clean = !err_failed(err) && !atomic_load(&serve.is_offline);
        struct err closed = serve_close(&serve, is_clean, err_failed(err) ? NULL : &diag);
        if (!err_failed(err))
            err = closed;
    }
    if (err_failed(err))
        (void)fprintf(stderr, "headrace serve: %s\n",
                      diag.text[0] != '\0' ? diag.text : err_text(err));
    else
        code = atomic_load(&serve.is_offline) ? 1 : 0;
    config_deinit(&serve.config);
    os_signal_deinit(&serve.flush_needed);
    os_signal_deinit(&serve.work_needed);
    return code;
}
