/* api: making and counting. */
#include "api/api.h"

#include <stdlib.h>

#include "api/fetch_session.h"
#include "base/check.h"

struct err api_create(const struct api_setup *setup, struct api **out)
{
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL)
        return err_make(ERR_NO_MEMORY);
    const struct config *config = setup->broker->config;
    api->os = setup->broker->os;
    api->broker = setup->broker;
    api->coord = setup->coord;
    api->request_size_max = (uint32_t)config_number(config, CONFIG_SOCKET_REQUEST_MAX_BYTES);
    int64_t idle_ms = config_number(config, CONFIG_CONNECTIONS_MAX_IDLE_MS);
    api->idle_ms = idle_ms > 0 ? idle_ms : 0;
    api->report = setup->report;
    api->report_context = setup->report_context;
    struct err err = fetch_sessions_create(api->broker, &api->fetch_sessions);
    if (err_failed(err)) {
        free(api);
        return err;
    }
    *out = api;
    return ERR_NONE;
}

void api_destroy(struct api *api)
{
    if (api == NULL)
        return;
    fetch_sessions_destroy(api->fetch_sessions);
    free(api);
}

void api_report(struct api *api, const char *sentence)
{
    if (api->report != NULL)
        api->report(api->report_context, sentence);
}

void api_count_request(struct api *api, const struct request *request)
{
    CHECK(request->api->key >= 0 && request->api->key <= API_KEY_MAX);
    struct api_counters *counters = &api->counters[request->api->key];
    metric_add(&counters->requests, 1);
    metric_add(&counters->bytes_in, request->size);
}

void api_count_reply(struct api *api, const struct request *request)
{
    struct api_counters *counters = &api->counters[request->api->key];
    int64_t took_us = clock_mono_us(api->os->clock) - request->begin_us;
    if (!request->is_silent)
        metric_add(&counters->bytes_out, writer_size(&request->writer));
    metric_observe(&counters->latency_us, took_us > 0 ? (uint64_t)took_us : 0);
}
