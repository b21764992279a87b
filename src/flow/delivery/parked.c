/* parked: events as records of the parked topic, and back. */
#include "flow/delivery/parked.h"

#include <inttypes.h>

#include "base/number.h"

/* Headers that a parked record has besides its event's. */
#define OWN_HEADER_COUNT 7

const char *parked_topic(const char *group, struct arena *arena)
{
    return arena_print(arena, "%s.parked", group);
}

/* The key of the record of an event at a place. */
static struct err write_place(const struct client_message *event, struct arena *arena,
                              struct span *out)
{
    const char *text =
        arena_print(arena, "%s/%d/%" PRId64, event->topic, event->partition, event->offset);
    *out = span_text(text);
    return text == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

/* Splits the text at its last slash; false: there is none, or no number behind it. */
static bool split_number(struct span *text, int64_t *number)
{
    size_t at = text->size;
    while (at > 0 && text->data[at - 1] != '/')
        at--;
    if (at < 2 || !number_read(span_make(text->data + at, text->size - at), number))
        return false;
    text->size = at - 1;
    return true;
}

static struct err read_place(struct span key, struct arena *arena, struct client_message *event,
                             bool *is_place)
{
    int64_t partition = 0;
    bool is_text = key.size > 0 && memchr(key.data, '\0', key.size) == NULL;
    *is_place = !span_is_null(key) && is_text && key.data[0] != '!' &&
                split_number(&key, &event->offset) && split_number(&key, &partition) &&
                partition <= INT32_MAX;
    if (!*is_place)
        return ERR_NONE;
    event->partition = (int32_t)partition;
    event->topic = arena_copy_text(arena, key);
    return event->topic == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

static void add(struct client_message *message, struct client_header *headers, const char *name,
                struct span value)
{
    headers[message->header_count++] = (struct client_header){name, value};
}

static struct err add_number(struct client_message *message, struct client_header *headers,
                             const char *name, int64_t number, struct arena *arena)
{
    const char *text = arena_print(arena, "%" PRId64, number);
    if (text == NULL)
        return err_make(ERR_NO_MEMORY);
    add(message, headers, name, span_text(text));
    return ERR_NONE;
}

static bool is_own(const char *name)
{
    return strncmp(name, PARKED_PREFIX, strlen(PARKED_PREFIX)) == 0;
}

/* The event's headers, without those that only look as if they were the parked topic's. */
static void copy_headers(const struct client_message *from, struct client_message *to,
                         struct client_header *headers)
{
    for (size_t i = 0; i < from->header_count; i++) {
        if (!is_own(from->headers[i].name))
            headers[to->header_count++] = from->headers[i];
    }
}

struct err parked_write(const struct parked *parked, const char *topic, struct arena *arena,
                        struct client_message *out)
{
    const struct client_message *event = &parked->event;
    struct client_header *headers =
        arena_alloc_array(arena, event->header_count + OWN_HEADER_COUNT, sizeof *headers);
    if (headers == NULL)
        return err_make(ERR_NO_MEMORY);
    *out = (struct client_message){
        .topic = topic, .partition = event->partition, .value = event->value, .headers = headers};
    TRY(write_place(event, arena, &out->key));
    copy_headers(event, out, headers);
    if (!span_is_null(event->key))
        add(out, headers, PARKED_PREFIX "key", event->key);
    if (span_is_null(event->value)) {
        add(out, headers, PARKED_PREFIX "null", span_text("1"));
        out->value = SPAN_EMPTY;
    }
    if (event->timestamp_ms >= 0)
        TRY(add_number(out, headers, PARKED_PREFIX "time", event->timestamp_ms, arena));
    TRY(add_number(out, headers, PARKED_PREFIX "attempts", parked->attempts, arena));
    TRY(add_number(out, headers, PARKED_PREFIX "due", parked->due_ms, arena));
    if (parked->is_unjudged)
        add(out, headers, PARKED_PREFIX "unjudged", span_text("1"));
    if (!span_is_null(parked->writer))
        add(out, headers, PARKED_PREFIX "writer", parked->writer);
    return ERR_NONE;
}

struct err parked_write_gone(const struct client_message *event, const char *topic,
                             struct arena *arena, struct client_message *out)
{
    *out = (struct client_message){.topic = topic, .partition = event->partition};
    return write_place(event, arena, &out->key);
}

/* What one of the parked topic's own headers says; what it cannot mean is passed over. */
static void read_header(const struct client_header *header, struct parked *out)
{
    const char *name = header->name + strlen(PARKED_PREFIX);
    if (strcmp(name, "key") == 0)
        out->event.key = header->value;
    else if (strcmp(name, "null") == 0)
        out->event.value = SPAN_NULL;
    else if (strcmp(name, "time") == 0)
        (void)number_read(header->value, &out->event.timestamp_ms);
    else if (strcmp(name, "attempts") == 0)
        (void)number_read(header->value, &out->attempts);
    else if (strcmp(name, "due") == 0)
        (void)number_read(header->value, &out->due_ms);
    else if (strcmp(name, "unjudged") == 0)
        out->is_unjudged = true;
    else if (strcmp(name, "writer") == 0)
        out->writer = header->value;
}

struct err parked_read(const struct client_message *record, struct arena *arena, struct parked *out,
                       bool *is_parked, bool *is_gone)
{
    *out = (struct parked){.event.value = record->value, .event.timestamp_ms = -1};
    *is_gone = span_is_null(record->value);
    TRY(read_place(record->key, arena, &out->event, is_parked));
    if (!*is_parked || *is_gone)
        return ERR_NONE;
    struct client_header *headers = arena_alloc_array(arena, record->header_count, sizeof *headers);
    if (headers == NULL)
        return err_make(ERR_NO_MEMORY);
    out->event.headers = headers;
    copy_headers(record, &out->event, headers);
    for (size_t i = 0; i < record->header_count; i++) {
        if (is_own(record->headers[i].name))
            read_header(&record->headers[i], out);
    }
    if (out->attempts > UINT32_MAX)
        out->attempts = UINT32_MAX;
    return ERR_NONE;
}
