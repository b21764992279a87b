/* http_response: what a response means. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "flow/handler/http_internal.h"

/* All fields of one response. */
#define FIELDS_SIZE_MAX (256 * 1024)

#define BATCH_JSON "application/cloudevents-batch+json"

/* Of a body that is no answer: so much is shown to people. */
#define EXCERPT_SIZE 200

void http_response_init(struct http_response *response)
{
    *response = (struct http_response){0};
    buf_init(&response->body, HTTP_RESPONSE_SIZE_MAX);
    buf_init(&response->fields, FIELDS_SIZE_MAX);
}

void http_response_deinit(struct http_response *response)
{
    buf_deinit(&response->body);
    buf_deinit(&response->fields);
}

void http_response_clear(struct http_response *response)
{
    buf_clear(&response->body);
    buf_clear(&response->fields);
    response->field_count = 0;
    response->is_too_long = false;
}

/* --- as it arrives ------------------------------------------------------------------------ */

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct http_response *response = context;
    struct err err = buf_append(&response->body, bytes, size * count);
    response->is_too_long = err_is(err, ERR_LIMIT);
    return err_failed(err) ? 0 : size * count; /* 0 ends the transfer */
}

static struct span trim(struct span text)
{
    while (text.size > 0 && isspace(text.data[0]))
        text = span_make(text.data + 1, text.size - 1);
    while (text.size > 0 && isspace(text.data[text.size - 1]))
        text.size--;
    return text;
}

static struct err keep_field(struct http_response *response, struct span name, struct span value)
{
    for (size_t i = 0; i < name.size; i++) {
        char letter = (char)tolower(name.data[i]);
        TRY(buf_append(&response->fields, &letter, 1));
    }
    TRY(buf_append(&response->fields, "", 1));
    TRY(buf_append(&response->fields, value.data, value.size));
    TRY(buf_append(&response->fields, "", 1));
    response->field_count++;
    return ERR_NONE;
}

static size_t take_field(char *bytes, size_t size, size_t count, void *context)
{
    struct http_response *response = context;
    struct span line = span_make(bytes, size * count);
    if (line.size >= 5 && memcmp(line.data, "HTTP/", 5) == 0)
        http_response_clear(response); /* of an interim one (100) before it */
    const uint8_t *colon = memchr(line.data, ':', line.size);
    if (colon == NULL || response->field_count == HTTP_FIELD_COUNT_MAX)
        return line.size;
    struct span name = span_make(line.data, (size_t)(colon - line.data));
    struct span value = trim(span_make(colon + 1, line.size - name.size - 1));
    return err_failed(keep_field(response, name, value)) ? 0 : line.size;
}

bool http_response_listen(struct http_response *response, const struct curl_library *curl,
                          CURL *easy)
{
    return curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl->easy_setopt(easy, CURLOPT_WRITEDATA, response) == CURLE_OK &&
           curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_field) == CURLE_OK &&
           curl->easy_setopt(easy, CURLOPT_HEADERDATA, response) == CURLE_OK;
}

/* --- fields ------------------------------------------------------------------------------- */

/* The next field at or behind *at; false: there is none. */
static bool next_field(const struct http_response *response, size_t *at, const char **name,
                       struct span *value)
{
    if (*at >= response->fields.size)
        return false;
    *name = (const char *)response->fields.data + *at;
    const char *text = *name + strlen(*name) + 1;
    *value = span_text(text);
    *at += strlen(*name) + 1 + value->size + 1;
    return true;
}

static struct span find_field(const struct http_response *response, const char *wanted)
{
    const char *name;
    struct span value;
    for (size_t at = 0; next_field(response, &at, &name, &value);) {
        if (strcmp(name, wanted) == 0)
            return value;
    }
    return SPAN_NULL;
}

static int hex_digit(uint8_t letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter = (uint8_t)tolower(letter);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* An attribute's value from its field: quotes are taken off, percent encoding undone (3.1.3.2). */
static struct err decode_value(struct span text, struct arena *arena, struct span *out)
{
    uint8_t *bytes = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    if (bytes == NULL)
        return err_make(ERR_NO_MEMORY);
    bool is_quoted = text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
    size_t end = text.size - is_quoted;
    for (size_t i = is_quoted; i < end; i++) {
        uint8_t byte = text.data[i];
        if (is_quoted && byte == '\\' && i + 1 < end)
            byte = text.data[++i];
        else if (byte == '%' && i + 2 < end && hex_digit(text.data[i + 1]) >= 0 &&
                 hex_digit(text.data[i + 2]) >= 0) {
            byte = (uint8_t)(hex_digit(text.data[i + 1]) << 4 | hex_digit(text.data[i + 2]));
            i += 2;
        }
        bytes[size++] = byte;
    }
    *out = span_make(bytes, size);
    return ERR_NONE;
}

/* --- events ------------------------------------------------------------------------------- */

static bool has_type(struct span content_type, const char *type)
{
    size_t size = strlen(type);
    return content_type.size >= size &&
           strncasecmp((const char *)content_type.data, type, size) == 0;
}

/* One event in binary mode: attributes as ce- fields. */
static struct err read_binary(const struct http_response *response, struct arena *arena,
                              struct cloudevent *event)
{
    struct cloudevent_attribute *attributes =
        arena_alloc_array(arena, response->field_count, sizeof *attributes);
    const char *name;
    struct span value;
    if (attributes == NULL)
        return err_make(ERR_NO_MEMORY);
    event->attributes = attributes;
    for (size_t at = 0; next_field(response, &at, &name, &value);) {
        if (strncmp(name, "ce-", 3) != 0)
            continue;
        struct span own = span_text(name + 3);
        TRY(decode_value(value, arena, &value));
        if (span_equal_text(own, "type"))
            event->type = value;
        else if (span_equal_text(own, "id"))
            event->id = value;
        else if (span_equal_text(own, "source"))
            event->source = value;
        else if (!span_equal_text(own, "specversion") && cloudevent_is_name(own))
            attributes[event->attribute_count++] = (struct cloudevent_attribute){own, value};
    }
    return ERR_NONE;
}

/* Events in the JSON format: one, or an array of them. */
static struct err read_json(struct http_caller *http, struct span body, bool is_batch,
                            struct answer *answer, struct diag *diag)
{
    struct json_value whole;
    struct err err = json_read(http->json, body, &http->arena, &whole);
    if (err_is(err, ERR_INVALID) ||
        (!err_failed(err) && whole.kind != (is_batch ? JSON_ARRAY : JSON_OBJECT)))
        return diag_fail(diag, ERR_INVALID, "its answer is no JSON %s, as its content type says",
                         is_batch ? "array" : "object");
    TRY(err);
    size_t count = is_batch ? whole.member_count : 1;
    struct cloudevent *events = arena_alloc_array(&http->arena, count, sizeof *events);
    if (events == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        struct json_value one = whole;
        if (is_batch && whole.members[i].kind != JSON_OBJECT)
            return diag_fail(diag, ERR_INVALID, "event %zu of its batch is no JSON object", i + 1);
        if (is_batch)
            TRY(json_read(http->json, whole.members[i].text, &http->arena, &one));
        TRY(cloudevent_from_json(&one, &http->arena, &events[i], diag));
    }
    answer->events = events;
    answer->event_count = count;
    return ERR_NONE;
}

/* The events that a successful answer holds. */
static struct err read_events(struct http_caller *http, const struct http_response *response,
                              struct answer *answer, struct diag *diag)
{
    struct span type = find_field(response, "content-type");
    struct span body = trim(buf_span(&response->body));
    bool is_binary = !span_is_null(find_field(response, "ce-type"));
    if (has_type(type, BATCH_JSON))
        return read_json(http, body, true, answer, diag);
    if (has_type(type, CLOUDEVENT_JSON))
        return read_json(http, body, false, answer, diag);
    if (!is_binary && (body.size == 0 || http->handler->emits.count == 0))
        return ERR_NONE;
    if (!is_binary && http->handler->emits.count > 1)
        return diag_fail(diag, ERR_INVALID,
                         "its answer has a body and no ce-type, and it may emit several events");
    struct cloudevent *event = arena_alloc(&http->arena, sizeof *event);
    if (event == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(read_binary(response, &http->arena, event));
    event->content_type = type;
    event->data = response->body.size == 0 ? SPAN_NULL : buf_span(&response->body);
    answer->events = event;
    answer->event_count = 1;
    return ERR_NONE;
}

/* --- failures ----------------------------------------------------------------------------- */

/* Retry-After (RFC 9110, 10.2.3): seconds, or a date. 0: there is none. */
static int64_t retry_after_ms(const struct http_caller *http, const struct http_response *response)
{
    struct span value = find_field(response, "retry-after");
    if (value.size == 0)
        return 0;
    const char *text = (const char *)value.data;
    char *end;
    long long seconds = strtoll(text, &end, 10);
    if (*end != '\0') {
        time_t date = http->curl->getdate(text, NULL);
        seconds = date < 0 ? 0 : (long long)date - clock_wall_ms(http->clock) / 1000;
    }
    if (seconds <= 0)
        return 0;
    return seconds > INT32_MAX ? (int64_t)INT32_MAX * 1000 : (int64_t)seconds * 1000;
}

/* The first line or so of the body, for people. */
static void excerpt(const struct http_response *response, char out[EXCERPT_SIZE])
{
    struct span body = trim(buf_span(&response->body));
    size_t size = 0;
    for (size_t i = 0; i < body.size && size + 1 < EXCERPT_SIZE; i++)
        out[size++] = body.data[i] < ' ' ? ' ' : (char)body.data[i];
    out[size] = '\0';
}

static void read_status(struct http_caller *http, const struct http_response *response, long status,
                        struct answer *answer)
{
    char words[EXCERPT_SIZE];
    answer->kind = answer_kind_of(status);
    if (answer->kind == ANSWER_RETRY)
        answer->retry_after_ms = retry_after_ms(http, response);
    (void)snprintf(http->fault, sizeof http->fault, "http-%ld", status);
    answer->fault = http->fault;
    excerpt(response, words);
    (void)snprintf(answer->message, sizeof answer->message, "HTTP status %ld%s%s", status,
                   words[0] == '\0' ? "" : ": ", words);
}

void http_response_read(struct http_caller *http, const struct http_exchange *exchange,
                        struct answer *answer)
{
    const struct http_response *response = &exchange->response;
    struct diag diag = {""};
    long status = 0;
    arena_reset(&http->arena);
    if (response->is_too_long) {
        answer->kind = ANSWER_REJECTED;
        answer->fault = "contract";
        (void)snprintf(answer->message, sizeof answer->message,
                       "its answer is longer than %zu bytes", HTTP_RESPONSE_SIZE_MAX);
        return;
    }
    CHECK(http->curl->easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK);
    if (answer_kind_of(status) != ANSWER_DONE) {
        read_status(http, response, status, answer);
        return;
    }
    answer->kind = ANSWER_DONE;
    struct err err = read_events(http, response, answer, &diag);
    if (!err_failed(err))
        return;
    answer->kind = err_is(err, ERR_INVALID) ? ANSWER_REJECTED : ANSWER_RETRY;
    answer->fault = "contract";
    answer->events = NULL;
    answer->event_count = 0;
    (void)snprintf(answer->message, sizeof answer->message, "%s",
                   diag.text[0] == '\0' ? err_text(err) : diag.text);
}
