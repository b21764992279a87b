/*
 * http: handlers that are called over HTTP(S), by libcurl.
 *
 * CloudEvents 1.0.2's HTTP binding, binary mode or structured; docs/handlers.md is the contract.
 *
 *     2xx                          done; the body holds no event, one, or a batch
 *     408, 425, 429, 5xx, 3xx      failed, to be tried again; Retry-After is heeded
 *     other 4xx                    rejected
 *     refused, unknown host, TLS   nobody was reached
 *     anything else                failed, to be tried again
 *
 * Connections are kept and reused. Requests carry, besides the event, where it was read and with
 * which generation of the group it was given to this process, so that a handler can tell a late
 * call from a current one.
 */
#ifndef HEADRACE_FLOW_HANDLER_HTTP_H
#define HEADRACE_FLOW_HANDLER_HTTP_H

#include "flow/handler/caller.h"
#include "flow/handler/curl_library.h"
#include "os/os_clock.h"

/* A response's body; a longer one fails the call. */
#define HTTP_RESPONSE_SIZE_MAX ((size_t)16 * 1024 * 1024)

/* One header field of a request, name included. */
#define HTTP_FIELD_SIZE_MAX 65536

/* All borrowed; they outlive the caller. ERR_NO_MEMORY. */
MUST_USE struct err http_caller_create(const struct flow_handler *handler,
                                       const struct curl_library *curl,
                                       const struct os_clock *clock, struct caller **out);

#endif
