/*
 * schema: the table of keys, printed as a JSON Schema.
 *
 * It says as much as the table does; what check.c knows it cannot. Numbers may come as words, as
 * they do from ${...}, and every word may hold such a part: hence the patterns.
 */
#include "flow/schema.h"

#include <stdio.h>

#include "base/json.h"
#include "flow/value.h"

#include <string.h>

#define SCHEMA_URI "https://json-schema.org/draft/2020-12/schema"

/* Words that hold a ${...}, whatever becomes of it. */
#define ANY_VARIABLE "\\$\\{[^}]+\\}"

static struct err write_fields(struct buf *out, const struct shape *shape, int indent);

static struct err new_line(struct buf *out, int indent)
{
    return buf_print(out, "\n%*s", indent, "");
}

static struct err write_key(struct buf *out, const char *name)
{
    TRY(json_write_text(out, name));
    return buf_append(out, ": ", 2);
}

/* What a word must look like; NULL: anything. */
static const char *pattern_of(const struct shape_field *field)
{
    static const char *const patterns[] = {
        [SHAPE_NAME] = "[A-Za-z0-9._-]+",
        [SHAPE_NAMES] = "[A-Za-z0-9._-]+",
        [SHAPE_URL] = "https?://[^/:?#].*",
        [SHAPE_DURATION] = "[0-9]+(ms|s|m|h|d)",
        [SHAPE_COUNT] = "[0-9]+",
        [SHAPE_PERCENT] = "[0-9]+%",
        [SHAPE_SIZE] = "[0-9]+(KiB|MiB|GiB)?",
        [SHAPE_RATE] = "[0-9]+/[sm]",
        [SHAPE_SWITCH] = "true|false",
        [SHAPE_START] = "earliest|latest|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
    };
    if (field->kind == SHAPE_CHOICE)
        return field->choices;
    return field->kind <= SHAPE_NAMES ? patterns[field->kind] : NULL;
}

static const char *types_of(const struct shape_field *field)
{
    if (field->kind == SHAPE_COUNT || field->kind == SHAPE_SIZE)
        return "[\"integer\", \"string\"]";
    if (field->kind == SHAPE_SWITCH)
        return "[\"boolean\", \"string\"]";
    bool is_free =
        field->kind == SHAPE_TEXT || field->kind == SHAPE_NAME || field->kind == SHAPE_NAMES;
    return is_free ? "[\"string\", \"number\", \"boolean\"]" : "\"string\"";
}

/* {"type": ..., "pattern": ...}, without the braces. */
static struct err write_word(struct buf *out, const struct shape_field *field)
{
    char text[256];
    const char *pattern = pattern_of(field);
    TRY(buf_print(out, "\"type\": %s", types_of(field)));
    if (field->kind == SHAPE_COUNT)
        TRY(buf_print(out, ", \"minimum\": %lld, \"maximum\": %lld", (long long)field->min,
                      (long long)field->max));
    if (pattern == NULL)
        return ERR_NONE;
    (void)snprintf(text, sizeof text, "^(%s)$|%s", pattern, ANY_VARIABLE);
    TRY(buf_append(out, ", ", 2));
    TRY(write_key(out, "pattern"));
    return json_write_text(out, text);
}

static struct err write_names(struct buf *out, const struct shape_field *field)
{
    TRY(buf_print(out, "\"anyOf\": [{"));
    TRY(write_word(out, field));
    TRY(buf_print(out, "}, {\"type\": \"array\", \"minItems\": 1, \"uniqueItems\": true, "
                       "\"items\": {"));
    TRY(write_word(out, field));
    return buf_print(out, "}}]");
}

static struct err write_map(struct buf *out, const struct shape_field *field, int indent)
{
    TRY(buf_print(out, "\"type\": \"object\", \"minProperties\": 1,"));
    TRY(new_line(out, indent));
    TRY(buf_print(out,
                  "\"propertyNames\": {\"pattern\": \"^[A-Za-z0-9._-]+$\", \"maxLength\": %d},",
                  FLOW_NAME_SIZE_MAX));
    TRY(new_line(out, indent));
    TRY(buf_print(out, "\"additionalProperties\": {"));
    TRY(write_fields(out, field->of, indent + 2));
    TRY(new_line(out, indent));
    return buf_append(out, "}", 1);
}

static struct err write_field(struct buf *out, const struct shape_field *field, int indent)
{
    TRY(write_key(out, field->name));
    TRY(buf_append(out, "{", 1));
    TRY(new_line(out, indent + 2));
    TRY(write_key(out, "description"));
    TRY(json_write_text(out, field->doc));
    TRY(buf_append(out, ",", 1));
    TRY(new_line(out, indent + 2));
    if (field->preset != NULL) {
        TRY(write_key(out, "default"));
        TRY(json_write_text(out, field->preset));
        TRY(buf_append(out, ",", 1));
        TRY(new_line(out, indent + 2));
    }
    if (field->kind == SHAPE_NAMES)
        TRY(write_names(out, field));
    else if (field->kind == SHAPE_MAP)
        TRY(write_map(out, field, indent + 2));
    else if (field->kind == SHAPE_OBJECT)
        TRY(write_fields(out, field->of, indent + 2));
    else
        TRY(write_word(out, field));
    TRY(new_line(out, indent));
    return buf_append(out, "}", 1);
}

static bool has_required(const struct shape *shape)
{
    for (size_t i = 0; i < shape->field_count; i++) {
        if (shape->fields[i].is_required)
            return true;
    }
    return false;
}

static struct err write_required(struct buf *out, const struct shape *shape, int indent)
{
    const char *comma = "";
    if (!has_required(shape))
        return ERR_NONE;
    TRY(buf_print(out, "\"required\": ["));
    for (size_t i = 0; i < shape->field_count; i++) {
        if (!shape->fields[i].is_required)
            continue;
        TRY(buf_print(out, "%s", comma));
        TRY(json_write_text(out, shape->fields[i].name));
        comma = ", ";
    }
    TRY(buf_print(out, "],"));
    return new_line(out, indent);
}

/* What a mapping of that shape may hold, without the braces. */
static struct err write_fields(struct buf *out, const struct shape *shape, int indent)
{
    TRY(new_line(out, indent));
    TRY(buf_print(out, "\"type\": %s,",
                  has_required(shape) ? "\"object\"" : "[\"object\", \"null\"]"));
    TRY(new_line(out, indent));
    TRY(buf_print(out, "\"additionalProperties\": false,"));
    TRY(new_line(out, indent));
    TRY(write_required(out, shape, indent));
    TRY(buf_print(out, "\"properties\": {"));
    for (size_t i = 0; i < shape->field_count; i++) {
        TRY(buf_print(out, "%s", i == 0 ? "" : ","));
        TRY(new_line(out, indent + 2));
        TRY(write_field(out, &shape->fields[i], indent + 2));
    }
    TRY(new_line(out, indent));
    return buf_append(out, "}", 1);
}

struct err flow_write_schema(struct buf *out)
{
    TRY(buf_print(out, "{\n  \"$schema\": \"%s\",\n  \"title\": \"Headrace flow file\",",
                  SCHEMA_URI));
    TRY(write_fields(out, &shape_flow, 2));
    return buf_print(out, "\n}\n");
}
