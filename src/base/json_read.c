/* json_read: what the shim shows, in an arena. */
#include "base/json_read.h"

#include <stdlib.h>

#include "base/json_shim.h"

struct json_reader {
    struct json_shim *shim;
};

/* Members arrive one by one. */
struct collector {
    struct arena *arena;
    struct json_value *out;
    size_t capacity;
};

struct err json_reader_create(struct json_reader **reader)
{
    struct json_reader *made = malloc(sizeof *made);
    struct json_shim *shim = json_shim_create();
    if (made == NULL || shim == NULL) {
        free(made);
        json_shim_destroy(shim);
        return err_make(ERR_NO_MEMORY);
    }
    made->shim = shim;
    *reader = made;
    return ERR_NONE;
}

void json_reader_destroy(struct json_reader *reader)
{
    if (reader == NULL)
        return;
    json_shim_destroy(reader->shim);
    free(reader);
}

/* Makes room for one more; the arena keeps the old array until it is reset. */
static bool make_room(struct collector *collector)
{
    struct json_value *out = collector->out;
    if (out->member_count < collector->capacity)
        return true;
    size_t capacity = collector->capacity == 0 ? 16 : 4 * collector->capacity;
    struct json_member *members = arena_alloc_array(collector->arena, capacity, sizeof *members);
    if (members == NULL)
        return false;
    for (size_t i = 0; i < out->member_count; i++)
        members[i] = out->members[i];
    out->members = members;
    collector->capacity = capacity;
    return true;
}

static int collect(void *context, const struct json_shim_item *item)
{
    static const enum json_kind kinds[] = {
        [JSON_SHIM_NULL] = JSON_NULL,     [JSON_SHIM_BOOL] = JSON_BOOL,
        [JSON_SHIM_NUMBER] = JSON_NUMBER, [JSON_SHIM_TEXT] = JSON_TEXT,
        [JSON_SHIM_ARRAY] = JSON_ARRAY,   [JSON_SHIM_OBJECT] = JSON_OBJECT,
    };
    struct collector *collector = context;
    if (!make_room(collector))
        return 1;
    struct json_member *member = &collector->out->members[collector->out->member_count];
    *member = (struct json_member){.kind = kinds[item->kind]};
    struct span name = span_make(item->name, item->name_size);
    struct span text = span_make(item->text, item->text_size);
    if (err_failed(arena_copy(collector->arena, name, &member->name)) ||
        err_failed(arena_copy(collector->arena, text, &member->text)))
        return 1;
    collector->out->member_count++;
    return 0;
}

struct err json_read(struct json_reader *reader, struct span text, struct arena *arena,
                     struct json_value *out)
{
    struct json_value value = {.kind = JSON_NULL};
    struct collector collector = {.arena = arena, .out = &value};
    enum json_shim_kind kind;
    switch (json_shim_visit(reader->shim, (const char *)text.data, text.size, &kind, collect,
                            &collector)) {
    case JSON_SHIM_INVALID:
        return err_make(ERR_INVALID);
    case JSON_SHIM_NO_MEMORY:
    case JSON_SHIM_STOPPED:
        return err_make(ERR_NO_MEMORY);
    case JSON_SHIM_FINE:
        break;
    }
    value.kind = kind == JSON_SHIM_ARRAY ? JSON_ARRAY : JSON_OBJECT;
    *out = value;
    return ERR_NONE;
}

const struct json_member *json_find(const struct json_value *value, const char *name)
{
    for (size_t i = value->member_count; i > 0; i--) {
        if (span_equal_text(value->members[i - 1].name, name))
            return &value->members[i - 1];
    }
    return NULL;
}
