/* records: headers, keys and ids of what is written. */
#include "flow/delivery/records.h"

#include <stdio.h>
#include <time.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "flow/delivery/parked.h"

/* Attributes that an emitted event has besides its own: id, source, type, specversion, time,
 * causationid, correlationid, and the content type. */
#define OWN_HEADER_COUNT 8

/* Headers of a dead letter besides its own. */
#define DEAD_HEADER_COUNT 9

/* RFC 3339 with milliseconds. */
static const char *time_text(struct arena *arena, int64_t wall_ms)
{
    time_t seconds = wall_ms / 1000;
    struct tm parts;
    char text[32];
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        return NULL;
    return arena_print(arena, "%s.%03dZ", text, (int)(wall_ms % 1000));
}

/* The id of an emitted event: a version 8 UUID (RFC 9562) of what makes it unique. */
static const char *emitted_id(const struct records *records, const struct cloudevent *cause,
                              size_t index, struct arena *arena)
{
    const char *name = arena_print(arena, "%.*s %.*s %s %zu", SPAN_ARGS(cause->source),
                                   SPAN_ARGS(cause->id), records->group, index);
    if (name == NULL)
        return NULL;
    uint64_t high = hash_bytes(span_text(name), 0);
    uint64_t low = hash_bytes(span_text(name), 1);
    return arena_print(arena, "%08x-%04x-8%03x-%04x-%012llx", (unsigned)(high >> 32),
                       (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
                       (unsigned)(0x8000 | (low >> 48 & 0x3fff)),
                       (unsigned long long)(low & 0xffffffffffff));
}

/* The declared event that an answer's event is; NULL: it is none that may be emitted. */
static const struct flow_event *find_declared(const struct records *records, struct span type)
{
    const struct flow_list *emits = &records->handler->emits;
    if (span_is_null(type) || type.size == 0)
        return emits->count == 1 ? flow_find_event(records->flow, emits->items[0].text) : NULL;
    for (size_t i = 0; i < emits->count; i++) {
        if (span_equal_text(type, emits->items[i].text))
            return flow_find_event(records->flow, emits->items[i].text);
    }
    return NULL;
}

/* One answer's events on their way to become outputs. */
struct emission {
    const struct records *records;
    struct delivery *delivery;
    struct cloudevent cause;
    struct arena *arena;
    struct diag *diag;
};

/* The record's key: the declared field of its data; else its partitionkey; else its cause's. */
static struct err find_key(const struct emission *emission, const struct flow_event *declared,
                           const struct cloudevent *event, struct span *key)
{
    const char *field = declared->key.text;
    if (field == NULL) {
        struct span own = cloudevent_attribute(event, "partitionkey");
        *key = span_is_null(own) ? emission->delivery->message.key : own;
        return ERR_NONE;
    }
    struct json_value data;
    struct err err = json_read(emission->records->json, event->data, emission->arena, &data);
    if (err_is(err, ERR_INVALID) || (!err_failed(err) && data.kind != JSON_OBJECT))
        return diag_fail(emission->diag, ERR_INVALID,
                         "%s: its data is no JSON object, its key is %s", declared->name.text,
                         field);
    TRY(err);
    const struct json_member *member = json_find(&data, field);
    if (member == NULL || member->kind == JSON_NULL)
        return diag_fail(emission->diag, ERR_INVALID, "%s: its data has no %s, which is its key",
                         declared->name.text, field);
    *key = member->text;
    return ERR_NONE;
}

/* Headers that the handler may not set. */
static bool is_own_attribute(struct span name)
{
    return span_equal_text(name, "causationid") || span_equal_text(name, "correlationid") ||
           span_equal_text(name, "time");
}

static void add_header(struct client_message *message, struct client_header *headers,
                       const char *name, struct span value)
{
    if (!span_is_null(value))
        headers[message->header_count++] = (struct client_header){name, value};
}

/* Adds what the handler has nothing to say about. */
static struct err add_own_headers(const struct emission *emission, size_t index,
                                  const struct cloudevent *event, struct client_message *message,
                                  struct client_header *headers)
{
    const struct records *records = emission->records;
    const struct cloudevent *cause = &emission->cause;
    const char *id = emitted_id(records, cause, index, emission->arena);
    const char *source = arena_print(emission->arena, "/%s/%s", records->flow->name.text,
                                     records->handler->name.text);
    const char *now = time_text(emission->arena, clock_wall_ms(records->clock));
    if (id == NULL || source == NULL || now == NULL)
        return err_make(ERR_NO_MEMORY);
    struct span chain = cloudevent_attribute(cause, "correlationid");
    struct span time = cloudevent_attribute(event, "time");
    add_header(message, headers, "ce_specversion", span_text("1.0"));
    add_header(message, headers, "ce_id", span_text(id));
    add_header(message, headers, "ce_source", span_text(source));
    add_header(message, headers, "ce_time", span_is_null(time) ? span_text(now) : time);
    add_header(message, headers, "ce_causationid", cause->id);
    add_header(message, headers, "ce_correlationid", span_is_null(chain) ? cause->id : chain);
    return ERR_NONE;
}

static struct err emit_one(const struct emission *emission, const struct cloudevent *event,
                           size_t index)
{
    struct arena *arena = emission->arena;
    const struct flow_event *declared = find_declared(emission->records, event->type);
    if (declared == NULL && event->type.size == 0)
        return diag_fail(emission->diag, ERR_INVALID, "it emitted an event that names no type");
    if (declared == NULL)
        return diag_fail(emission->diag, ERR_INVALID,
                         "it emitted %.*s, which its emits does not name", SPAN_ARGS(event->type));
    struct client_header *headers =
        arena_alloc_array(arena, OWN_HEADER_COUNT + event->attribute_count, sizeof *headers);
    if (headers == NULL)
        return err_make(ERR_NO_MEMORY);
    struct client_message message = {
        .topic = declared->topic.text, .partition = -1, .value = event->data, .headers = headers};
    TRY(find_key(emission, declared, event, &message.key));
    TRY(add_own_headers(emission, index, event, &message, headers));
    add_header(&message, headers, "ce_type", span_text(declared->name.text));
    add_header(&message, headers, "content-type", event->content_type);
    for (size_t i = 0; i < event->attribute_count; i++) {
        const struct cloudevent_attribute *attribute = &event->attributes[i];
        if (is_own_attribute(attribute->name))
            continue;
        const char *name = arena_print(arena, "ce_%.*s", SPAN_ARGS(attribute->name));
        if (name == NULL)
            return err_make(ERR_NO_MEMORY);
        add_header(&message, headers, name, attribute->value);
    }
    return delivery_add_output(emission->delivery, &message);
}

/* Adds what takes the delivery off the parked topic, where it is there. */
static struct err unpark(const struct records *records, struct delivery *delivery,
                         struct arena *arena)
{
    struct client_message gone;
    if (!delivery_is_parked(delivery))
        return ERR_NONE;
    TRY(parked_write_gone(&delivery->message, records->parked_topic, arena, &gone));
    return delivery_add_output(delivery, &gone);
}

struct err records_emit(const struct records *records, struct delivery *delivery,
                        const struct cloudevent *events, size_t count, struct arena *arena,
                        struct diag *diag)
{
    struct emission emission = {
        .records = records, .delivery = delivery, .arena = arena, .diag = diag};
    if (count == 0)
        return unpark(records, delivery, arena);
    TRY(cloudevent_read(&delivery->message, records->json, arena, &emission.cause, diag));
    struct err err;
    for (size_t i = 0; i < count; i++) {
        err = emit_one(&emission, &events[i], i);
        if (err_failed(err)) {
            delivery_clear_outputs(delivery);
            return err;
        }
    }
    err = unpark(records, delivery, arena);
    if (err_failed(err))
        delivery_clear_outputs(delivery);
    return err;
}

struct err records_park(const struct records *records, struct delivery *delivery, int64_t due_ms,
                        struct arena *arena)
{
    const struct parked parked = {.event = delivery->message,
                                  .attempts = delivery->attempts,
                                  .due_ms = due_ms,
                                  .is_unjudged = delivery->is_unjudged,
                                  .writer = span_text(records->writer)};
    struct client_message record;
    CHECK(delivery->outputs == NULL);
    TRY(parked_write(&parked, records->parked_topic, arena, &record));
    return delivery_add_output(delivery, &record);
}

/* One header of a dead letter. */
static struct err add_reason(struct client_message *message, struct client_header *headers,
                             const char *name, const char *value)
{
    if (value == NULL)
        return err_make(ERR_NO_MEMORY);
    add_header(message, headers, name, span_text(value));
    return ERR_NONE;
}

/* The record's own headers, less what an earlier failure has put there. */
static void keep_headers(const struct client_message *from, struct client_message *to,
                         struct client_header *headers)
{
    for (size_t i = 0; i < from->header_count; i++) {
        if (strncmp(from->headers[i].name, DEAD_LETTER_PREFIX, strlen(DEAD_LETTER_PREFIX)) != 0)
            headers[to->header_count++] = from->headers[i];
    }
}

struct err records_dead_letter(const struct records *records, struct delivery *delivery,
                               const char *fault, const char *message, struct arena *arena)
{
    const struct client_message *from = &delivery->message;
    struct client_header *headers =
        arena_alloc_array(arena, from->header_count + DEAD_HEADER_COUNT, sizeof *headers);
    if (headers == NULL)
        return err_make(ERR_NO_MEMORY);
    struct client_message dead = {.topic = records->dead_letter_topic,
                                  .partition = -1,
                                  .key = from->key,
                                  .value = from->value,
                                  .headers = headers};
    keep_headers(from, &dead, headers);
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "topic", from->topic));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "partition",
                   arena_print(arena, "%d", from->partition)));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "offset",
                   arena_print(arena, "%lld", (long long)from->offset)));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "group", records->group));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "handler", records->handler->name.text));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "class", fault));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "message", message));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "delivery.count",
                   arena_print(arena, "%u", delivery->attempts)));
    TRY(add_reason(&dead, headers, DEAD_LETTER_PREFIX "time",
                   time_text(arena, clock_wall_ms(records->clock))));
    struct output *before = delivery_take_outputs(delivery);
    struct err err = delivery_add_output(delivery, &dead);
    if (!err_failed(err))
        err = unpark(records, delivery, arena);
    if (err_failed(err)) {
        delivery_put_outputs(delivery, before);
        return err;
    }
    delivery_free_outputs(before);
    return ERR_NONE;
}
