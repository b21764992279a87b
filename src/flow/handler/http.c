/* http: requests and their life in libcurl. Responses are read in http_response.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "flow/handler/http_internal.h"

#define HTTP_MAGIC 0x68747470 /* "http" */

static struct http_caller *http_of(struct caller *caller)
{
    struct http_caller *http = (struct http_caller *)caller;
    CHECK_MAGIC(http, HTTP_MAGIC);
    return http;
}

static void exchange_destroy(struct http_exchange *exchange)
{
    if (exchange == NULL)
        return;
    exchange->curl->easy_cleanup(exchange->easy);
    exchange->curl->slist_free_all(exchange->fields);
    buf_deinit(&exchange->request);
    http_response_deinit(&exchange->response);
    free(exchange);
}

/* What holds for all requests of the handler. */
static bool set_options(const struct http_caller *http, struct http_exchange *exchange)
{
    CURL *easy = exchange->easy;
    const struct flow_way *way = &http->handler->way;
    const struct flow_tls *tls = way->tls;
    bool is_fine = http->curl->easy_setopt(easy, CURLOPT_URL, way->call.text) == CURLE_OK;
    is_fine = is_fine && http->curl->easy_setopt(easy, CURLOPT_PRIVATE, exchange) == CURLE_OK;
    is_fine =
        is_fine && http->curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    is_fine = is_fine && http->curl->easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK;
    is_fine = is_fine && http->curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    is_fine = is_fine && http->curl->easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L) == CURLE_OK;
    is_fine = is_fine && http->curl->easy_setopt(easy, CURLOPT_USERAGENT, "headrace") == CURLE_OK;
    is_fine =
        is_fine && http->curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->words) == CURLE_OK;
    is_fine = is_fine && http_response_listen(&exchange->response, exchange->curl, easy);
    if (way->bearer.text != NULL) {
        is_fine =
            is_fine && http->curl->easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER) == CURLE_OK;
        is_fine = is_fine && http->curl->easy_setopt(easy, CURLOPT_XOAUTH2_BEARER,
                                                     way->bearer.text) == CURLE_OK;
    }
    if (tls != NULL && tls->ca.text != NULL)
        is_fine =
            is_fine && http->curl->easy_setopt(easy, CURLOPT_CAINFO, tls->ca.text) == CURLE_OK;
    if (tls != NULL && tls->certificate.text != NULL) {
        is_fine = is_fine &&
                  http->curl->easy_setopt(easy, CURLOPT_SSLCERT, tls->certificate.text) == CURLE_OK;
        is_fine =
            is_fine && http->curl->easy_setopt(easy, CURLOPT_SSLKEY, tls->key.text) == CURLE_OK;
    }
    return is_fine;
}

/* One that is idle, or a new one. */
static struct err take_exchange(struct http_caller *http, struct http_exchange **out)
{
    struct list *idle = list_pop(&http->idle);
    if (idle != NULL) {
        *out = LIST_ENTRY(idle, struct http_exchange, link);
        return ERR_NONE;
    }
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return err_make(ERR_NO_MEMORY);
    exchange->curl = http->curl;
    list_init(&exchange->link);
    buf_init(&exchange->request, HTTP_REQUEST_SIZE_MAX);
    http_response_init(&exchange->response);
    exchange->easy = http->curl->easy_init();
    if (exchange->easy == NULL || !set_options(http, exchange)) {
        exchange_destroy(exchange);
        return err_make(ERR_NO_MEMORY);
    }
    *out = exchange;
    return ERR_NONE;
}

/* Ready for the next request. */
static void put_exchange(struct http_caller *http, struct http_exchange *exchange)
{
    http->curl->slist_free_all(exchange->fields);
    exchange->fields = NULL;
    exchange->call = NULL;
    buf_clear(&exchange->request);
    http_response_clear(&exchange->response);
    list_append(&http->idle, &exchange->link);
}

/* --- requests ----------------------------------------------------------------------------- */

static struct err add_field(struct http_exchange *exchange, struct buf *field)
{
    TRY(buf_append(field, "", 1));
    struct curl_slist *more =
        exchange->curl->slist_append(exchange->fields, (const char *)field->data);
    if (more == NULL)
        return err_make(ERR_NO_MEMORY);
    exchange->fields = more;
    buf_clear(field);
    return ERR_NONE;
}

/* An attribute as a field; its value percent-encoded as the binding says (3.1.3.2). */
static struct err add_attribute(struct http_exchange *exchange, struct buf *field, struct span name,
                                struct span value)
{
    TRY(buf_print(field, "ce-%.*s: ", SPAN_ARGS(name)));
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        if (byte <= ' ' || byte > '~' || byte == '"' || byte == '%')
            TRY(buf_print(field, "%%%02X", byte));
        else
            TRY(buf_append(field, &byte, 1));
    }
    return add_field(exchange, field);
}

static struct err add_text_field(struct http_exchange *exchange, struct buf *field,
                                 const char *name, struct span value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < ' ' || value.data[i] == 0x7f)
            return err_make(ERR_INVALID); /* it would end the field */
    }
    TRY(buf_print(field, "%s: %.*s", name, SPAN_ARGS(value)));
    return add_field(exchange, field);
}

static struct err add_number(struct http_exchange *exchange, struct buf *field, const char *name,
                             int64_t value)
{
    TRY(buf_print(field, "%s: %lld", name, (long long)value));
    return add_field(exchange, field);
}

/* Where the event was read, and how often it was tried. */
static struct err add_place(struct http_exchange *exchange, struct buf *field)
{
    const struct delivery *delivery = exchange->call->delivery;
    TRY(add_text_field(exchange, field, "headrace-topic", span_text(delivery->message.topic)));
    TRY(add_number(exchange, field, "headrace-partition", delivery->message.partition));
    TRY(add_number(exchange, field, "headrace-offset", delivery->message.offset));
    TRY(add_number(exchange, field, "headrace-generation", exchange->call->generation));
    TRY(add_number(exchange, field, "headrace-attempt", (int64_t)delivery->attempts + 1));
    /* curl would ask whether a long body is welcome, and wait a second for the answer. */
    TRY(buf_print(field, "Expect:"));
    return add_field(exchange, field);
}

/* Whether the bytes lie in the whole. */
static bool is_part(struct span part, struct span whole)
{
    return part.size > 0 && part.data >= whole.data && part.data < whole.data + whole.size;
}

static struct err write_binary(struct http_exchange *exchange, struct buf *field,
                               const struct cloudevent *event)
{
    TRY(add_attribute(exchange, field, span_text("specversion"), span_text("1.0")));
    TRY(add_attribute(exchange, field, span_text("id"), event->id));
    TRY(add_attribute(exchange, field, span_text("source"), event->source));
    TRY(add_attribute(exchange, field, span_text("type"), event->type));
    for (size_t i = 0; i < event->attribute_count; i++)
        TRY(add_attribute(exchange, field, event->attributes[i].name, event->attributes[i].value));
    struct span type = event->content_type;
    TRY(add_text_field(exchange, field, "Content-Type",
                       span_is_null(type) ? span_text("application/json") : type));
    exchange->body = span_is_null(event->data) ? SPAN_EMPTY : event->data;
    if (is_part(exchange->body, exchange->call->delivery->message.value))
        return ERR_NONE;
    TRY(buf_append(&exchange->request, exchange->body.data, exchange->body.size));
    exchange->body = buf_span(&exchange->request);
    return ERR_NONE;
}

static struct err write_structured(struct http_caller *http, struct http_exchange *exchange,
                                   struct buf *field, const struct cloudevent *event)
{
    arena_reset(&http->arena);
    TRY(cloudevent_write_json(event, http->json, &http->arena, &exchange->request));
    TRY(add_text_field(exchange, field, "Content-Type",
                       span_text(CLOUDEVENT_JSON "; charset=utf-8")));
    exchange->body = buf_span(&exchange->request);
    return ERR_NONE;
}

/* Fields and body. What the event holds lives no longer than this call, but for the delivery's own
 * bytes. */
static struct err write_request(struct http_caller *http, struct http_exchange *exchange,
                                const struct cloudevent *event)
{
    struct buf field;
    buf_init(&field, HTTP_FIELD_SIZE_MAX);
    struct err err = add_place(exchange, &field);
    if (!err_failed(err) && http->handler->way.mode.number == FLOW_MODE_STRUCTURED)
        err = write_structured(http, exchange, &field, event);
    else if (!err_failed(err))
        err = write_binary(exchange, &field, event);
    buf_deinit(&field);
    return err;
}

static struct err start(struct http_caller *http, struct http_exchange *exchange)
{
    CURL *easy = exchange->easy;
    exchange->words[0] = '\0';
    if (http->curl->easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->fields) != CURLE_OK ||
        http->curl->easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body.data) != CURLE_OK ||
        http->curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                (curl_off_t)exchange->body.size) != CURLE_OK ||
        http->curl->multi_add_handle(http->multi, easy) != CURLM_OK)
        return err_make(ERR_NO_MEMORY);
    list_append(&http->busy, &exchange->link);
    return ERR_NONE;
}

static struct err begin(struct caller *caller, struct call *call, const struct cloudevent *event,
                        struct diag *diag)
{
    struct http_caller *http = http_of(caller);
    struct http_exchange *exchange;
    TRY(take_exchange(http, &exchange));
    exchange->call = call;
    struct err err = write_request(http, exchange, event);
    if (!err_failed(err))
        err = start(http, exchange);
    if (err_failed(err)) {
        put_exchange(http, exchange);
        return diag_wrap(diag, err, "the request cannot be written");
    }
    call->place = exchange;
    return ERR_NONE;
}

static void cancel(struct caller *caller, struct call *call)
{
    struct http_caller *http = http_of(caller);
    struct http_exchange *exchange = call->place;
    CHECK(exchange != NULL && exchange->call == call);
    list_remove(&exchange->link);
    (void)http->curl->multi_remove_handle(http->multi, exchange->easy);
    put_exchange(http, exchange);
}

/* --- answers ------------------------------------------------------------------------------ */

/* What it means that libcurl has failed. */
static void read_failure(const struct http_exchange *exchange, CURLcode code, struct answer *answer)
{
    const char *words =
        exchange->words[0] != '\0' ? exchange->words : exchange->curl->easy_strerror(code);
    answer->kind = ANSWER_RETRY;
    answer->fault = "connection";
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
        code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
        code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE)
        answer->kind = ANSWER_UNREACHABLE;
    (void)snprintf(answer->message, sizeof answer->message, "%s", words);
}

/* The next one that libcurl is done with; NULL: none. */
static struct http_exchange *next_done(struct http_caller *http, CURLcode *code)
{
    int left;
    const CURLMsg *message = http->curl->multi_info_read(http->multi, &left);
    if (message == NULL) {
        int running;
        (void)http->curl->multi_perform(http->multi, &running);
        message = http->curl->multi_info_read(http->multi, &left);
    }
    if (message == NULL)
        return NULL;
    struct http_exchange *exchange;
    *code = message->data.result;
    CHECK(http->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange) == CURLE_OK);
    return exchange;
}

static bool next(struct caller *caller, struct answer *answer)
{
    struct http_caller *http = http_of(caller);
    CURLcode code;
    if (http->answered != NULL)
        put_exchange(http, http->answered);
    http->answered = NULL;
    struct http_exchange *exchange = next_done(http, &code);
    if (exchange == NULL)
        return false;
    list_remove(&exchange->link);
    (void)http->curl->multi_remove_handle(http->multi, exchange->easy);
    http->answered = exchange; /* the answer's events lie in its response */
    *answer = (struct answer){.call = exchange->call};
    if (code == CURLE_OK || exchange->response.is_too_long)
        http_response_read(http, exchange, answer);
    else
        read_failure(exchange, code, answer);
    return true;
}

static void wait_for_answer(struct caller *caller, int fd, int64_t timeout_ms)
{
    struct http_caller *http = http_of(caller);
    struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
    int count;
    int limited_ms =
        timeout_ms < 0 || timeout_ms > HTTP_WAIT_MS_MAX ? HTTP_WAIT_MS_MAX : (int)timeout_ms;
    (void)http->curl->multi_poll(http->multi, &extra, fd < 0 ? 0 : 1, limited_ms, &count);
}

static void destroy(struct caller *caller)
{
    struct http_caller *http = http_of(caller);
    CHECK(list_is_empty(&http->busy));
    if (http->answered != NULL)
        list_append(&http->idle, &http->answered->link);
    struct list *link;
    while ((link = list_pop(&http->idle)) != NULL)
        exchange_destroy(LIST_ENTRY(link, struct http_exchange, link));
    if (http->multi != NULL)
        (void)http->curl->multi_cleanup(http->multi);
    json_reader_destroy(http->json);
    arena_deinit(&http->arena);
    http->magic = 0;
    free(http);
}

static const struct caller_ops http_ops = {
    .begin = begin,
    .cancel = cancel,
    .next = next,
    .wait = wait_for_answer,
    .destroy = destroy,
};

struct err http_caller_create(const struct flow_handler *handler, const struct curl_library *curl,
                              const struct os_clock *clock, struct caller **out)
{
    struct http_caller *http = calloc(1, sizeof *http);
    if (http == NULL)
        return err_make(ERR_NO_MEMORY);
    http->caller.ops = &http_ops;
    http->magic = HTTP_MAGIC;
    http->handler = handler;
    http->curl = curl;
    http->clock = clock;
    list_init(&http->idle);
    list_init(&http->busy);
    arena_init(&http->arena, HTTP_ARENA_SIZE_MAX);
    http->multi = http->curl->multi_init();
    struct err err =
        http->multi == NULL ? err_make(ERR_NO_MEMORY) : json_reader_create(&http->json);
    /* As many connections are kept as calls may be under way. */
    if (!err_failed(err) && http->curl->multi_setopt(http->multi, CURLMOPT_MAXCONNECTS,
                                                     (long)handler->concurrency.number) != CURLM_OK)
        err = err_make(ERR_NO_MEMORY);
    if (err_failed(err)) {
        destroy(&http->caller);
        return err;
    }
    *out = &http->caller;
    return ERR_NONE;
}
