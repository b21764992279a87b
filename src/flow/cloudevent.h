/*
 * cloudevent: a record as a CloudEvent, and a CloudEvent as a record.
 *
 * CloudEvents 1.0.2 and its Kafka protocol binding. A record in binary mode has the attributes as
 * headers ce_<name>, its data as value; one in structured mode is a JSON object and has the content
 * type application/cloudevents+json. Any other record is wrapped: it becomes an event whose data is
 * its value, whose id is <topic>-<partition>-<offset> and whose source is /<topic>; so it is
 * the same event however often it is read.
 *
 * Spans of an event live as long as the record that it was read from and the arena.
 */
#ifndef HEADRACE_FLOW_CLOUDEVENT_H
#define HEADRACE_FLOW_CLOUDEVENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json_read.h"
#include "client/client.h"

#define CLOUDEVENT_JSON "application/cloudevents+json"

/* Subject, time, dataschema, and extensions. */
struct cloudevent_attribute {
    struct span name;
    struct span value; /* as CloudEvents writes it as text */
};

struct cloudevent {
    struct span id;
    struct span source;
    struct span type;                              /* null: the record names none */
    struct span content_type;                      /* of the data; null: not told */
    struct span data;                              /* null: there is none */
    const struct cloudevent_attribute *attributes; /* all others */
    size_t attribute_count;
};

/*
 * Reads an event from a record. ERR_INVALID: it says that it is a CloudEvent, and is none that can
 * be understood; diag says why. ERR_NO_MEMORY, ERR_LIMIT (the arena is full).
 */
MUST_USE struct err cloudevent_read(const struct client_message *message, struct json_reader *json,
                                    struct arena *arena, struct cloudevent *out, struct diag *diag);

/* Reads an event from its JSON format. Errors as cloudevent_read. */
MUST_USE struct err cloudevent_from_json(const struct json_value *object, struct arena *arena,
                                         struct cloudevent *out, struct diag *diag);

/* Appends the event in the JSON format. Data that is no JSON goes as text, or as data_base64. */
MUST_USE struct err cloudevent_write_json(const struct cloudevent *event, struct json_reader *json,
                                          struct arena *arena, struct buf *out);

/* The attribute's value; the null span where there is none. */
struct span cloudevent_attribute(const struct cloudevent *event, const char *name);

/* Whether the text can name an attribute: a to z and 0 to 9. */
bool cloudevent_is_name(struct span text);

/* Whether data of this content type is JSON (application/json, +json; null: not told, and JSON). */
bool cloudevent_is_json(struct span content_type);

#endif
