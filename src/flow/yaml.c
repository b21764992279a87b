/* yaml: libfyaml's events, taken into a tree. */
#include "flow/yaml.h"

#include <libfyaml.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"

struct reading {
    struct arena *arena;
    struct flow_problems *problems;
    struct fy_parser *parser;
    uint32_t depth;
    size_t node_count;
    bool is_over; /* what follows makes no sense any more, and that was told */
};

static const struct flow_place nowhere = {0, 0};

const char *yaml_kind_text(enum yaml_kind kind)
{
    static const char *const texts[] = {
        [YAML_NULL] = "nothing",
        [YAML_SCALAR] = "a word",
        [YAML_SEQUENCE] = "a list",
        [YAML_MAPPING] = "a mapping",
    };
    CHECK(kind <= YAML_MAPPING);
    return texts[kind];
}

static struct flow_place place_of(struct fy_token *token)
{
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
    if (mark == NULL)
        return nowhere;
    return (struct flow_place){.line = (uint32_t)mark->line + 1,
                               .column = (uint32_t)mark->column + 1};
}

/* Tokens of quoted words and of anchors begin behind their sign. */
static struct flow_place before(struct flow_place place)
{
    place.column -= place.column > 1;
    return place;
}

static void stop(struct reading *reading, struct flow_place place, const char *text)
{
    if (!reading->is_over)
        flow_complain(reading->problems, place, "%s", text);
    reading->is_over = true;
}

/* What an event says of its node. */
struct said {
    struct fy_token *begin;
    struct fy_token *tag;
    struct fy_token *anchor;
    enum yaml_kind kind;
    bool is_plain;
};

static bool take_event(const struct fy_event *event, struct said *said)
{
    *said = (struct said){0};
    switch (event->type) {
    case FYET_SCALAR:
        said->kind = YAML_SCALAR;
        said->begin = event->scalar.value;
        said->tag = event->scalar.tag;
        said->anchor = event->scalar.anchor;
        said->is_plain = fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
        return true;
    case FYET_SEQUENCE_START:
        said->kind = YAML_SEQUENCE;
        said->begin = event->sequence_start.sequence_start;
        said->tag = event->sequence_start.tag;
        said->anchor = event->sequence_start.anchor;
        return true;
    case FYET_MAPPING_START:
        said->kind = YAML_MAPPING;
        said->begin = event->mapping_start.mapping_start;
        said->tag = event->mapping_start.tag;
        said->anchor = event->mapping_start.anchor;
        return true;
    case FYET_ALIAS:
        said->begin = said->anchor = event->alias.anchor;
        return true;
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_START:
    case FYET_DOCUMENT_END:
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        break;
    }
    return false;
}

static struct err take_scalar(struct reading *reading, const struct fy_event *event,
                              struct yaml_node *node)
{
    size_t size = 0;
    const char *text = fy_token_get_text(event->scalar.value, &size);
    struct span span = span_make((const uint8_t *)text, text == NULL ? 0 : size);
    bool is_null = node->is_plain &&
                   (span.size == 0 || span_equal_text(span, "~") || span_equal_text(span, "null"));
    if (is_null)
        node->kind = YAML_NULL;
    if (span.size > 0 && memchr(span.data, '\0', span.size) != NULL)
        stop(reading, node->place, "a NUL stands here, where nothing may follow it");
    char *copy = arena_copy_text(reading->arena, span);
    if (copy == NULL)
        return err_make(ERR_NO_MEMORY);
    node->text = span_make((const uint8_t *)copy, span.size);
    return ERR_NONE;
}

static bool is_quoted(struct fy_token *token)
{
    enum fy_scalar_style style = fy_token_scalar_style(token);
    return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

/* Makes the node that the event begins; NULL where it is refused. */
static struct err make_node(struct reading *reading, const struct fy_event *event,
                            struct yaml_node **out)
{
    struct said said;
    *out = NULL;
    if (!take_event(event, &said))
        return ERR_NONE;
    struct flow_place place = place_of(said.begin);
    if (said.anchor != NULL)
        stop(reading, before(place_of(said.anchor)),
             "anchors and aliases are not for flow files: write it out");
    if (said.tag != NULL)
        stop(reading, place_of(said.tag), "tags are not for flow files");
    if (++reading->node_count > YAML_NODE_COUNT_MAX)
        stop(reading, place, "the file has more than 100000 keys and values");
    if (reading->is_over)
        return ERR_NONE;
    struct yaml_node *node = arena_alloc(reading->arena, sizeof *node);
    if (node == NULL)
        return err_make(ERR_NO_MEMORY);
    node->kind = said.kind;
    node->place = place;
    node->is_plain = said.is_plain;
    if (said.kind == YAML_SCALAR && is_quoted(said.begin))
        node->place = before(node->place);
    if (said.kind == YAML_SCALAR)
        TRY(take_scalar(reading, event, node));
    *out = node;
    return ERR_NONE;
}

static struct err read_children(struct reading *reading, struct yaml_node *parent);

/* Reads the next node with all below it; NULL where its parent ends, or nothing can be read. */
static struct err read_node(struct reading *reading, struct yaml_node **out)
{
    *out = NULL;
    struct fy_event *event = reading->is_over ? NULL : fy_parser_parse(reading->parser);
    if (event == NULL) {
        reading->is_over = true;
        return ERR_NONE;
    }
    struct err err = make_node(reading, event, out);
    fy_parser_event_free(reading->parser, event);
    TRY(err);
    if (*out == NULL || (*out)->kind == YAML_SCALAR || (*out)->kind == YAML_NULL)
        return ERR_NONE;
    if (++reading->depth > YAML_DEPTH_MAX)
        stop(reading, (*out)->place, "this is nested more than 16 deep");
    TRY(read_children(reading, *out));
    reading->depth--;
    return ERR_NONE;
}

static bool has_key(const struct yaml_node *parent, struct span key)
{
    for (const struct yaml_node *child = parent->first; child != NULL; child = child->next) {
        if (span_equal(child->key, key))
            return true;
    }
    return false;
}

/* Takes the key for the value that follows; false where it cannot be one. */
static bool take_key(struct reading *reading, const struct yaml_node *parent,
                     const struct yaml_node *key)
{
    if (key->kind != YAML_SCALAR) {
        flow_complain(reading->problems, key->place, "a key is a word, not %s",
                      yaml_kind_text(key->kind));
        return false;
    }
    if (has_key(parent, key->text)) {
        flow_complain(reading->problems, key->place, "%.*s stands here a second time",
                      SPAN_ARGS(key->text));
        return false;
    }
    return true;
}

static struct err read_children(struct reading *reading, struct yaml_node *parent)
{
    struct yaml_node **end = &parent->first;
    for (;;) {
        struct yaml_node *key = NULL;
        struct yaml_node *value;
        if (parent->kind == YAML_MAPPING) {
            TRY(read_node(reading, &key));
            if (key == NULL)
                return ERR_NONE;
        }
        TRY(read_node(reading, &value));
        if (value == NULL)
            return ERR_NONE;
        if (key != NULL && !take_key(reading, parent, key))
            continue;
        if (key != NULL) {
            value->key = key->text;
            value->key_place = key->place;
            if (value->place.line == 0)
                value->place = key->place;
        }
        *end = value;
        end = &value->next;
        parent->count++;
    }
}

/* Skips to the first node of the document. */
static struct err read_document(struct reading *reading, struct yaml_node **root)
{
    *root = NULL;
    for (;;) {
        struct fy_event *event = fy_parser_parse(reading->parser);
        if (event == NULL)
            return ERR_NONE;
        enum fy_event_type type = event->type;
        struct flow_place place =
            type == FYET_DOCUMENT_START ? place_of(event->document_start.document_start) : nowhere;
        fy_parser_event_free(reading->parser, event);
        if (type == FYET_STREAM_END)
            return ERR_NONE;
        if (type != FYET_DOCUMENT_START)
            continue;
        if (*root != NULL) {
            stop(reading, place, "a flow file holds one document");
            return ERR_NONE;
        }
        TRY(read_node(reading, root));
        if (reading->is_over)
            return ERR_NONE;
    }
}

/* What libfyaml has found; its places count lines from 1 already where it gives any. */
static void tell_errors(struct reading *reading, struct fy_diag *diag)
{
    void *position = NULL;
    const struct fy_diag_error *error;
    bool is_told = false;
    while ((error = fy_diag_errors_iterate(diag, &position)) != NULL && !is_told) {
        const struct flow_place place = {(uint32_t)error->line, (uint32_t)error->column};
        flow_complain(reading->problems, place, "this is not YAML: %s", error->msg);
        is_told = true;
    }
    if (!is_told && fy_parser_get_stream_error(reading->parser))
        flow_complain(reading->problems, nowhere, "this is not YAML");
}

/* What libfyaml passes over, or says less clearly. */
static bool check_text(struct reading *reading, struct span text)
{
    struct flow_place place = {1, 1};
    bool is_indentation = true;
    for (size_t at = 0; at < text.size;) {
        size_t size = utf8_size(span_make(text.data + at, text.size - at));
        uint8_t byte = text.data[at];
        if (size == 0 || byte == 0) {
            stop(reading, place, "these bytes are not UTF-8 text");
            return false;
        }
        if (is_indentation && byte == '\t') {
            stop(reading, place, "a tab indents this line; YAML takes spaces");
            return false;
        }
        is_indentation = byte == '\n' || (is_indentation && byte == ' ');
        place.line += byte == '\n';
        place.column = byte == '\n' ? 1 : place.column + 1;
        at += size;
    }
    return true;
}

static struct err parse(struct reading *reading, struct span text, struct yaml_node **root)
{
    struct fy_diag_cfg settings;
    fy_diag_cfg_default(&settings);
    settings.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&settings);
    if (diag == NULL)
        return err_make(ERR_NO_MEMORY);
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg config = {
        .flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE, .diag = diag};
    struct err err = err_make(ERR_NO_MEMORY);
    reading->parser = fy_parser_create(&config);
    if (reading->parser != NULL &&
        fy_parser_set_string(reading->parser, (const char *)text.data, text.size) == 0) {
        err = read_document(reading, root);
        tell_errors(reading, diag);
    }
    if (reading->parser != NULL)
        fy_parser_destroy(reading->parser);
    fy_diag_destroy(diag);
    return err;
}

struct err yaml_read(struct span text, struct arena *arena, struct flow_problems *problems,
                     struct yaml_node **root)
{
    struct reading reading = {.arena = arena, .problems = problems};
    *root = NULL;
    size_t before = problems->error_count;
    if (text.size == 0 || !check_text(&reading, text))
        return ERR_NONE;
    TRY(parse(&reading, text, root));
    if (problems->error_count != before && reading.is_over)
        *root = NULL; /* half of a file would only be misunderstood */
    return ERR_NONE;
}
