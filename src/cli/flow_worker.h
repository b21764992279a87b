/*
 * flow_worker: a handler of a flow at work in this process.
 *
 * Two threads: one receives, delivers and takes answers (all of engine.h); the other writes
 * commits, which takes milliseconds in which the first goes on. Whatever fails so that the handler
 * cannot go on (a fenced member, a client that cannot be had) ends the clients, and they are opened
 * anew; the flow's other handlers do not notice.
 */
#ifndef HEADRACE_CLI_FLOW_WORKER_H
#define HEADRACE_CLI_FLOW_WORKER_H

#include "client/client.h"
#include "flow/flow.h"
#include "flow/log.h"
#include "os/os.h"

struct curl_library;
struct flow_worker;

/* All borrowed; they outlive the worker. */
struct flow_worker_settings {
    const struct os *os;
    const struct flow *flow;
    const struct flow_handler *handler;
    const char *cluster;                      /* its id */
    const struct client_property *properties; /* bootstrap.servers, security */
    size_t property_count;
    const struct flow_log *log;
    const struct curl_library *curl; /* loaded, where the handler is called over HTTP */
};

/* Starts its threads. ERR_NO_MEMORY, ERR_LIMIT. */
MUST_USE struct err flow_worker_start(const struct flow_worker_settings *settings,
                                      struct flow_worker **out);

/* Asks it to end: calls under way are waited for, as long as the flow's drain says. Any thread. */
void flow_worker_stop(struct flow_worker *worker);

/* Waits for its end and frees it. NULL is taken and ignored. */
void flow_worker_join(struct flow_worker *worker);

#endif
