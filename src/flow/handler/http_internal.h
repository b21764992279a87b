/* http_internal: what the files of the HTTP caller share. */
#ifndef HEADRACE_FLOW_HANDLER_HTTP_INTERNAL_H
#define HEADRACE_FLOW_HANDLER_HTTP_INTERNAL_H

#include "base/buf.h"
#include "flow/handler/http.h"

/* An event in structured mode: a record of a MiB with each byte escaped, and more. */
#define HTTP_REQUEST_SIZE_MAX ((size_t)256 * 1024 * 1024)

/* An answer's events, or a request in structured mode, being read and written. */
#define HTTP_ARENA_SIZE_MAX ((size_t)512 * 1024 * 1024)

/* The longest single wait; the engine asks again. */
#define HTTP_WAIT_MS_MAX 60000

/* Fields of a response that are kept; further ones are not looked at. */
#define HTTP_FIELD_COUNT_MAX 64

/* A response as it arrives. */
struct http_response {
    struct buf body;
    struct buf fields; /* "name\0value\0", names in small letters; of the last response alone */
    size_t field_count;
    bool is_too_long;
};

/* A request and its response. */
struct http_exchange {
    struct list link; /* idle or busy */
    const struct curl_library *curl;
    CURL *easy;
    struct call *call;
    struct curl_slist *fields;
    struct buf request; /* structured mode's body */
    struct span body;   /* what is sent: request, or the delivery's own bytes */
    struct http_response response;
    char words[CURL_ERROR_SIZE];
};

struct http_caller {
    struct caller caller; /* first: the vtable's functions get a pointer to it */
    uint32_t magic;
    const struct flow_handler *handler;
    const struct curl_library *curl;
    const struct os_clock *clock;
    CURLM *multi;
    struct list idle;
    struct list busy;
    struct http_exchange *answered; /* whose answer was given out last */
    struct json_reader *json;
    struct arena arena;
    char fault[ANSWER_FAULT_SIZE];
};

void http_response_init(struct http_response *response);
void http_response_deinit(struct http_response *response);
void http_response_clear(struct http_response *response);

/* Has libcurl fill it. False: no memory. */
bool http_response_listen(struct http_response *response, const struct curl_library *curl,
                          CURL *easy);

/* What the response means. */
void http_response_read(struct http_caller *http, const struct http_exchange *exchange,
                        struct answer *answer);

#endif
