/* read: the tree of a file into structs, by the table. */
#include "base/suggest.h"
#include "flow/check.h"
#include "flow/value.h"

#include <string.h>

#include "base/check.h"

struct flow_reader {
    const struct flow_source *source;
    struct arena *arena;
    struct flow_problems *problems;
};

static struct err read_shape(const struct flow_reader *reader, const struct shape *shape,
                             const struct yaml_node *node, void *out);

/* Where the field's value goes. */
static void *member_of(void *object, const struct shape_field *field)
{
    return (char *)object + field->offset;
}

/* Fields that are absent have what holds then. */
static void preset(const struct shape *shape, struct flow_place place, void *out)
{
    for (size_t i = 0; i < shape->field_count; i++) {
        const struct shape_field *field = &shape->fields[i];
        if (field->kind < SHAPE_KIND_SCALAR_COUNT) {
            const struct flow_value value = flow_preset(field, place);
            memcpy(member_of(out, field), &value, sizeof value);
        }
    }
}

static struct err read_names(const struct flow_reader *reader, const struct shape_field *field,
                             const struct yaml_node *node, struct flow_list *list)
{
    bool is_list = node->kind == YAML_SEQUENCE;
    const struct yaml_node *first = is_list ? node->first : node;
    size_t count = is_list ? node->count : 1;
    if (count == 0)
        flow_complain(reader->problems, node->place, "%s is empty", field->name);
    list->items = arena_alloc_array(reader->arena, count, sizeof *list->items);
    if (list->items == NULL)
        return err_make(ERR_NO_MEMORY);
    for (const struct yaml_node *at = first; list->count < count; at = at->next) {
        struct flow_value *item = &list->items[list->count];
        TRY(flow_read_value(field, at, reader->source, reader->arena, reader->problems, item));
        if (item->text == NULL) /* complained of */
            count--;
        else
            list->count++;
    }
    return ERR_NONE;
}

static struct err read_object(const struct flow_reader *reader, const struct shape *shape,
                              const struct yaml_node *node, void *member)
{
    void *object = arena_alloc(reader->arena, shape->size);
    if (object == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(read_shape(reader, shape, node, object));
    memcpy(member, &object, sizeof object);
    return ERR_NONE;
}

static struct err read_map(const struct flow_reader *reader, const struct shape_field *field,
                           const struct yaml_node *node, struct flow_map *map)
{
    if (node->kind != YAML_MAPPING) {
        flow_complain(reader->problems, node->place, "%s is %s but must be a mapping of names",
                      field->name, yaml_kind_text(node->kind));
        return ERR_NONE;
    }
    if (node->count == 0)
        flow_complain(reader->problems, node->place, "%s is empty", field->name);
    map->items = arena_alloc_array(reader->arena, node->count, field->of->size);
    if (map->items == NULL)
        return err_make(ERR_NO_MEMORY);
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next) {
        char *item = (char *)map->items + map->count++ * field->of->size;
        if (!flow_is_name(at->key))
            flow_complain(reader->problems, at->key_place,
                          "\"%.*s\" is no name: letters, digits, '.', '_' and '-', at most %d",
                          SPAN_ARGS(at->key), FLOW_NAME_SIZE_MAX);
        TRY(read_shape(reader, field->of, at, item));
        char *text = arena_copy_text(reader->arena, at->key);
        if (text == NULL)
            return err_make(ERR_NO_MEMORY);
        const struct flow_value name = {.text = text, .place = at->key_place};
        memcpy(item, &name, sizeof name); /* each begins with its name */
    }
    return ERR_NONE;
}

static struct err read_field(const struct flow_reader *reader, const struct shape_field *field,
                             const struct yaml_node *node, void *object)
{
    void *member = member_of(object, field);
    switch (field->kind) {
    case SHAPE_NAMES:
        return read_names(reader, field, node, member);
    case SHAPE_OBJECT:
        return read_object(reader, field->of, node, member);
    case SHAPE_MAP:
        return read_map(reader, field, node, member);
    case SHAPE_TEXT:
    case SHAPE_NAME:
    case SHAPE_URL:
    case SHAPE_DURATION:
    case SHAPE_COUNT:
    case SHAPE_PERCENT:
    case SHAPE_SIZE:
    case SHAPE_RATE:
    case SHAPE_SWITCH:
    case SHAPE_CHOICE:
    case SHAPE_START:
        break;
    }
    return flow_read_value(field, node, reader->source, reader->arena, reader->problems, member);
}

static void complain_of_key(const struct flow_reader *reader, const struct shape *shape,
                            const struct yaml_node *node)
{
    struct suggestion suggestion = {0};
    for (size_t i = 0; i < shape->field_count; i++)
        suggest_offer(&suggestion, node->key, shape->fields[i].name);
    const char *nearest = span_equal_text(node->key, "on") ? "handles" : suggestion.nearest;
    flow_complain(reader->problems, node->key_place, "%s has no key %.*s%s%s%s", shape->title,
                  SPAN_ARGS(node->key), nearest == NULL ? "" : "; did you mean ",
                  nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
}

static bool has_key(const struct yaml_node *node, const char *name)
{
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next) {
        if (span_equal_text(at->key, name))
            return true;
    }
    return false;
}

static struct err read_shape(const struct flow_reader *reader, const struct shape *shape,
                             const struct yaml_node *node, void *out)
{
    preset(shape, node->place, out);
    if (node->kind != YAML_MAPPING && !(node->kind == YAML_NULL && node->key.size != 0)) {
        flow_complain(reader->problems, node->place, "%s is %s but must be a mapping", shape->title,
                      yaml_kind_text(node->kind));
        return ERR_NONE;
    }
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next) {
        const struct shape_field *field = shape_find(shape, at->key);
        if (field == NULL)
            complain_of_key(reader, shape, at);
        else
            TRY(read_field(reader, field, at, out));
    }
    for (size_t i = 0; i < shape->field_count; i++) {
        if (shape->fields[i].is_required && !has_key(node, shape->fields[i].name))
            flow_complain(reader->problems, node->place, "%s lacks %s", shape->title,
                          shape->fields[i].name);
    }
    return ERR_NONE;
}

struct err flow_read(struct span text, const struct flow_source *source, struct arena *arena,
                     struct flow_problems *problems, struct flow **flow)
{
    const struct flow_reader reader = {.source = source, .arena = arena, .problems = problems};
    struct yaml_node *root;
    *flow = NULL;
    TRY(yaml_read(text, arena, problems, &root));
    if (root == NULL) {
        if (problems->error_count == 0)
            flow_complain(problems, (struct flow_place){0}, "the file is empty");
        return ERR_NONE;
    }
    struct flow *made = arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(read_shape(&reader, &shape_flow, root, made));
    TRY(flow_check(made, arena, problems));
    flow_problems_sort(problems);
    *flow = made;
    return ERR_NONE;
}

struct flow_event *flow_event_at(const struct flow *flow, size_t at)
{
    CHECK(at < flow->events.count);
    return (struct flow_event *)flow->events.items + at;
}

struct flow_policy *flow_policy_at(const struct flow *flow, size_t at)
{
    CHECK(at < flow->policies.count);
    return (struct flow_policy *)flow->policies.items + at;
}

struct flow_handler *flow_handler_at(const struct flow *flow, size_t at)
{
    CHECK(at < flow->handlers.count);
    return (struct flow_handler *)flow->handlers.items + at;
}

struct flow_event *flow_find_event(const struct flow *flow, const char *name)
{
    for (size_t i = 0; i < flow->events.count; i++) {
        if (strcmp(flow_event_at(flow, i)->name.text, name) == 0)
            return flow_event_at(flow, i);
    }
    return NULL;
}

struct flow_policy *flow_find_policy(const struct flow *flow, const char *name)
{
    for (size_t i = 0; i < flow->policies.count; i++) {
        if (strcmp(flow_policy_at(flow, i)->name.text, name) == 0)
            return flow_policy_at(flow, i);
    }
    return NULL;
}

const char *flow_group(const struct flow *flow, const struct flow_handler *handler,
                       struct arena *arena)
{
    return arena_print(arena, "%s.%s", flow->name.text, handler->name.text);
}

const char *flow_dead_letter_topic(const struct flow *flow, const struct flow_handler *handler,
                                   struct arena *arena)
{
    if (handler->dead_letter != NULL && handler->dead_letter->topic.text != NULL)
        return handler->dead_letter->topic.text;
    const struct flow_event *event = flow_find_event(flow, handler->handles.items[0].text);
    CHECK(event != NULL);
    return arena_print(arena, "%s.dlq", event->topic.text);
}
