/*
 * json_read: the outermost object or array of a JSON text (RFC 8259), by simdjson.
 *
 * The whole text is checked; what lies deeper is handed out as it stands, so that numbers of any
 * size and the writer's spacing survive. Documents nested deeper than 200 are refused.
 */
#ifndef HEADRACE_BASE_JSON_READ_H
#define HEADRACE_BASE_JSON_READ_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* Owns simdjson's buffers. One thread at a time. */
struct json_reader;

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json_member {
    struct span name; /* null in an array */
    enum json_kind kind;
    struct span text; /* JSON_TEXT: unescaped; otherwise as it stands */
};

struct json_value {
    enum json_kind kind; /* JSON_ARRAY or JSON_OBJECT */
    struct json_member *members;
    size_t member_count;
};

/* ERR_NO_MEMORY. */
MUST_USE struct err json_reader_create(struct json_reader **reader);
void json_reader_destroy(struct json_reader *reader);

/* Everything of *out lies in the arena. ERR_INVALID: it is no JSON, or neither object nor array;
 * ERR_NO_MEMORY, ERR_LIMIT (the arena is full). */
MUST_USE struct err json_read(struct json_reader *reader, struct span text, struct arena *arena,
                              struct json_value *out);

/* The last member of the name, as those who read it into a table would see; NULL: there is none. */
const struct json_member *json_find(const struct json_value *value, const char *name);

#endif
