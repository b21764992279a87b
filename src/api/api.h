/*
 * api: what all sessions and handlers of one server share.
 *
 * Handlers are given the part that their row in dispatch.c names, not this.
 */
#ifndef HEADRACE_API_API_H
#define HEADRACE_API_API_H

#include "api/request.h"
#include "base/metric.h"
#include "broker/broker.h"
#include "coord/coord.h"

struct fetch_sessions;

/* Counters of one API. Any thread adds. */
struct api_counters {
    struct metric_counter requests;
    struct metric_counter bytes_in;
    struct metric_counter bytes_out;
    struct metric_histogram latency_us;
};

struct api {
    const struct os *os;
    struct broker *broker;
    struct coord *coord;
    struct fetch_sessions *fetch_sessions;
    uint32_t request_size_max;
    int64_t idle_ms;
    struct api_counters counters[API_KEY_MAX + 1];
    /* A sentence for people about something unusual. Any thread. */
    void (*report)(void *context, const char *sentence);
    void *report_context;
};

struct api_setup {
    struct broker *broker;
    struct coord *coord;
    void (*report)(void *context, const char *sentence);
    void *report_context;
};

/* setup's parts outlive the api. ERR_NO_MEMORY. */
MUST_USE struct err api_create(const struct api_setup *setup, struct api **out);

/* Frees it; no session is left. NULL is taken and ignored. */
void api_destroy(struct api *api);

void api_report(struct api *api, const char *sentence);

/* For the session: counts a request come in, and its answer. */
void api_count_request(struct api *api, const struct request *request);
void api_count_reply(struct api *api, const struct request *request);

#endif
