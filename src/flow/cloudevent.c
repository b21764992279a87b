/* cloudevent: the Kafka binding and the JSON format. */
#include "flow/cloudevent.h"

#include <stdlib.h>
#include <strings.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"

#define PREFIX "ce_"
#define PREFIX_SIZE (sizeof PREFIX - 1)

/* Attributes with a place of their own in struct cloudevent. */
static struct span *own_place(struct cloudevent *event, struct span name)
{
    if (span_equal_text(name, "id"))
        return &event->id;
    if (span_equal_text(name, "source"))
        return &event->source;
    if (span_equal_text(name, "type"))
        return &event->type;
    return NULL;
}

bool cloudevent_is_name(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!((text.data[i] >= 'a' && text.data[i] <= 'z') ||
              (text.data[i] >= '0' && text.data[i] <= '9')))
            return false;
    }
    return text.size > 0;
}

static bool starts_with(struct span text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && strncasecmp((const char *)text.data, prefix, size) == 0;
}

bool cloudevent_is_json(struct span content_type)
{
    size_t end = 0;
    while (end < content_type.size && content_type.data[end] != ';')
        end++;
    while (end > 0 && content_type.data[end - 1] == ' ')
        end--;
    struct span type = span_make(content_type.data, end);
    if (span_is_null(content_type))
        return true;
    if (end < 5)
        return false;
    struct span tail = span_make(type.data + end - 5, 5);
    return starts_with(type, "application/json") || starts_with(type, "text/json") ||
           starts_with(tail, "+json");
}

struct span cloudevent_attribute(const struct cloudevent *event, const char *name)
{
    for (size_t i = 0; i < event->attribute_count; i++) {
        if (span_equal_text(event->attributes[i].name, name))
            return event->attributes[i].value;
    }
    return SPAN_NULL;
}

/* What a record without an id or a source of its own is called. */
static struct err name_by_place(const struct client_message *message, struct arena *arena,
                                struct cloudevent *event)
{
    if (event->id.size == 0) {
        const char *id = arena_print(arena, "%s-%d-%lld", message->topic, message->partition,
                                     (long long)message->offset);
        if (id == NULL)
            return err_make(ERR_NO_MEMORY);
        event->id = span_text(id);
    }
    if (event->source.size == 0) {
        const char *source = arena_print(arena, "/%s", message->topic);
        if (source == NULL)
            return err_make(ERR_NO_MEMORY);
        event->source = span_text(source);
    }
    return ERR_NONE;
}

static struct err check_version(struct span version, struct diag *diag)
{
    if (span_is_null(version) || starts_with(version, "1."))
        return ERR_NONE;
    return diag_fail(diag, ERR_INVALID, "CloudEvents version %.*s is not known",
                     SPAN_ARGS(version));
}

/* Attributes from ce_ headers; others are not the event's. */
static struct err read_binary(const struct client_message *message, struct arena *arena,
                              struct cloudevent *event, struct diag *diag)
{
    struct cloudevent_attribute *attributes =
        arena_alloc_array(arena, message->header_count, sizeof *attributes);
    if (attributes == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < message->header_count; i++) {
        const struct client_header *header = &message->headers[i];
        if (strcasecmp(header->name, "content-type") == 0)
            event->content_type = header->value;
        if (strncmp(header->name, PREFIX, PREFIX_SIZE) != 0)
            continue;
        struct span name = span_text(header->name + PREFIX_SIZE);
        struct span *place = own_place(event, name);
        if (span_equal_text(name, "specversion"))
            TRY(check_version(header->value, diag));
        else if (place != NULL)
            *place = header->value;
        else if (cloudevent_is_name(name) && !span_is_null(header->value))
            attributes[event->attribute_count++] =
                (struct cloudevent_attribute){name, header->value};
    }
    event->attributes = attributes;
    event->data = message->value;
    return ERR_NONE;
}

static struct span find_content_type(const struct client_message *message)
{
    for (size_t i = 0; i < message->header_count; i++) {
        if (strcasecmp(message->headers[i].name, "content-type") == 0)
            return message->headers[i].value;
    }
    return SPAN_NULL;
}

struct err cloudevent_read(const struct client_message *message, struct json_reader *json,
                           struct arena *arena, struct cloudevent *out, struct diag *diag)
{
    struct cloudevent event = {0};
    if (starts_with(find_content_type(message), CLOUDEVENT_JSON)) {
        struct json_value object;
        struct err err = json_read(json, message->value, arena, &object);
        if (err_is(err, ERR_INVALID) || (!err_failed(err) && object.kind != JSON_OBJECT))
            return diag_fail(diag, ERR_INVALID,
                             "its content type is " CLOUDEVENT_JSON
                             ", and its value is no JSON object");
        TRY(err);
        TRY(cloudevent_from_json(&object, arena, &event, diag));
    } else {
        TRY(read_binary(message, arena, &event, diag));
    }
    TRY(name_by_place(message, arena, &event));
    *out = event;
    return ERR_NONE;
}

static struct err from_base64(struct span text, struct arena *arena, struct span *out,
                              struct diag *diag)
{
    uint8_t *bytes = arena_alloc(arena, base64_size_max(text.size));
    size_t size;
    if (bytes == NULL)
        return err_make(ERR_NO_MEMORY);
    if (!base64_decode(BASE64_STANDARD, text, bytes, &size))
        return diag_fail(diag, ERR_INVALID, "data_base64 is not base64");
    *out = span_make(bytes, size);
    return ERR_NONE;
}

/* The data of an event in JSON: a JSON value as it stands, but a text in another content type as
 * its characters. */
static struct err take_data(const struct json_member *member, struct arena *arena,
                            struct cloudevent *event)
{
    if (member->kind != JSON_TEXT || !cloudevent_is_json(event->content_type)) {
        event->data = member->kind == JSON_NULL ? SPAN_NULL : member->text;
        return ERR_NONE;
    }
    struct buf text;
    buf_init(&text, 6 * member->text.size + 2); /* every character as \u00xx */
    struct err err = json_write_bytes(&text, member->text);
    if (!err_failed(err))
        err = arena_copy(arena, buf_span(&text), &event->data);
    buf_deinit(&text);
    return err;
}

struct err cloudevent_from_json(const struct json_value *object, struct arena *arena,
                                struct cloudevent *out, struct diag *diag)
{
    struct cloudevent event = {0};
    struct cloudevent_attribute *attributes =
        arena_alloc_array(arena, object->member_count, sizeof *attributes);
    if (attributes == NULL)
        return err_make(ERR_NO_MEMORY);
    const struct json_member *data = NULL;
    for (size_t i = 0; i < object->member_count; i++) {
        const struct json_member *member = &object->members[i];
        struct span *place = own_place(&event, member->name);
        if (span_equal_text(member->name, "data")) {
            data = member;
        } else if (member->kind == JSON_NULL) {
            continue;
        } else if (span_equal_text(member->name, "data_base64")) {
            TRY(from_base64(member->text, arena, &event.data, diag));
        } else if (!cloudevent_is_name(member->name) || member->kind == JSON_ARRAY ||
                   member->kind == JSON_OBJECT) {
            return diag_fail(diag, ERR_INVALID, "%.*s is no attribute of a CloudEvent",
                             SPAN_ARGS(member->name));
        } else if (span_equal_text(member->name, "specversion")) {
            TRY(check_version(member->text, diag));
        } else if (span_equal_text(member->name, "datacontenttype")) {
            event.content_type = member->text;
        } else if (place != NULL) {
            *place = member->text;
        } else {
            attributes[event.attribute_count++] =
                (struct cloudevent_attribute){member->name, member->text};
        }
    }
    event.attributes = attributes;
    if (data != NULL)
        TRY(take_data(data, arena, &event));
    *out = event;
    return ERR_NONE;
}

static struct err write_member(struct buf *out, const char *name, struct span value)
{
    if (span_is_null(value))
        return ERR_NONE;
    TRY(buf_print(out, ",\"%s\":", name));
    return json_write_bytes(out, value);
}

/* Whether the bytes can stand in a JSON document as they are. */
static struct err is_one_json_value(struct span data, struct json_reader *json, struct arena *arena,
                                    bool *out)
{
    struct json_value ignored;
    char *wrapped = arena_alloc(arena, data.size + 2); /* a scalar counts, too */
    if (wrapped == NULL)
        return err_make(ERR_NO_MEMORY);
    wrapped[0] = '[';
    if (data.size > 0)
        memcpy(wrapped + 1, data.data, data.size);
    wrapped[data.size + 1] = ']';
    struct err err = json_read(json, span_make(wrapped, data.size + 2), arena, &ignored);
    *out = !err_failed(err) && ignored.member_count == 1;
    return err_is(err, ERR_INVALID) ? ERR_NONE : err;
}

static struct err write_data(const struct cloudevent *event, struct json_reader *json,
                             struct arena *arena, struct buf *out)
{
    if (span_is_null(event->data))
        return ERR_NONE;
    bool is_json = cloudevent_is_json(event->content_type);
    if (is_json)
        TRY(is_one_json_value(event->data, json, arena, &is_json));
    if (is_json) {
        TRY(buf_print(out, ",\"data\":"));
        return buf_append(out, event->data.data, event->data.size);
    }
    if (utf8_is_valid(event->data) && !cloudevent_is_json(event->content_type)) {
        TRY(buf_print(out, ",\"data\":"));
        return json_write_bytes(out, event->data);
    }
    size_t size = base64_text_size(BASE64_STANDARD, event->data.size);
    TRY(buf_print(out, ",\"data_base64\":\""));
    TRY(buf_reserve(out, size));
    base64_encode(BASE64_STANDARD, event->data, (char *)out->data + out->size);
    out->size += size;
    return buf_append(out, "\"", 1);
}

struct err cloudevent_write_json(const struct cloudevent *event, struct json_reader *json,
                                 struct arena *arena, struct buf *out)
{
    TRY(buf_print(out, "{\"specversion\":\"1.0\""));
    TRY(write_member(out, "id", event->id));
    TRY(write_member(out, "source", event->source));
    TRY(write_member(out, "type", event->type));
    TRY(write_member(out, "datacontenttype", event->content_type));
    for (size_t i = 0; i < event->attribute_count; i++) {
        const struct cloudevent_attribute *attribute = &event->attributes[i];
        TRY(buf_print(out, ",\"%.*s\":", SPAN_ARGS(attribute->name)));
        TRY(json_write_bytes(out, attribute->value));
    }
    TRY(write_data(event, json, arena, out));
    return buf_append(out, "}", 1);
}
