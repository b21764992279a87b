/* config: setting, finding and checking of properties. */
#include "broker/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/checked.h"
#include "base/limits.h"
#include "base/suggest.h"
#include "broker/config_internal.h"

/* Numbers and booleans are short; anything longer is not one. */
#define NUMBER_TEXT_SIZE_MAX 40

bool config_known_at(size_t index, const char **name, const char **why)
{
    if (index >= config_known_count)
        return false;
    *name = config_known[index].name;
    *why = config_known[index].why;
    return true;
}

const char *config_type_name(enum config_type type)
{
    static const char *const names[] = {
        [CONFIG_TYPE_BOOLEAN] = "boolean", [CONFIG_TYPE_STRING] = "string",
        [CONFIG_TYPE_INT] = "int",         [CONFIG_TYPE_SHORT] = "short",
        [CONFIG_TYPE_LONG] = "long",       [CONFIG_TYPE_DOUBLE] = "double",
        [CONFIG_TYPE_LIST] = "list",
    };
    CHECK((size_t)type < sizeof names / sizeof names[0] && names[type] != NULL);
    return names[type];
}

const struct config_def *config_def_of(enum config_id id)
{
    CHECK(id < CONFIG_ID_COUNT);
    return &config_defs[id];
}

bool config_find(struct span name, enum config_id *id)
{
    for (size_t i = 0; i < CONFIG_ID_COUNT; i++) {
        if (span_equal_text(name, config_defs[i].name)) {
            *id = (enum config_id)i;
            return true;
        }
    }
    return false;
}

static const struct config_alias *alias_find(struct span name)
{
    for (size_t i = 0; i < config_alias_count; i++) {
        if (span_equal_text(name, config_aliases[i].name))
            return &config_aliases[i];
    }
    return NULL;
}

static const struct config_known *known_find(struct span name)
{
    for (size_t i = 0; i < config_known_count; i++) {
        size_t size = strlen(config_known[i].name);
        bool is_prefix = config_known[i].name[size - 1] == '*';
        struct span head =
            span_make(name.data, is_prefix && size - 1 < name.size ? size - 1 : name.size);
        if (span_equal(head, span_make(config_known[i].name, is_prefix ? size - 1 : size)))
            return &config_known[i];
    }
    return NULL;
}

/* Cuts white space off both ends. */
static struct span span_trim(struct span text)
{
    while (text.size != 0 && memchr(" \t\r\f", text.data[text.size - 1], 4) != NULL)
        text.size--;
    while (text.size != 0 && memchr(" \t\r\f", text.data[0], 4) != NULL)
        text = span_make(text.data + 1, text.size - 1);
    return text;
}

/* Whether the comma-separated choices hold the word. */
static bool choices_hold(const char *choices, struct span word)
{
    for (const char *at = choices; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (span_equal(span_make(at, size), word))
            return true;
        at += size + (at[size] == ',');
    }
    return false;
}

static struct err parse_choice(const struct config_def *def, struct span text, struct diag *diag)
{
    if (def->choices == NULL)
        return ERR_NONE;
    bool is_list = def->type == CONFIG_TYPE_LIST;
    struct span rest = text;
    do {
        const uint8_t *comma = is_list && rest.size != 0 ? memchr(rest.data, ',', rest.size) : NULL;
        size_t size = comma == NULL ? rest.size : (size_t)(comma - rest.data);
        struct span word = span_trim(span_make(rest.data, size));
        if (!choices_hold(def->choices, word))
            return diag_fail(diag, ERR_INVALID, "%s is \"%.*s\" but must be %s %s", def->name,
                             SPAN_ARGS(word), is_list ? "made of" : "one of", def->choices);
        rest = comma == NULL ? span_make(text.data, 0) : span_make(comma + 1, rest.size - size - 1);
    } while (rest.size != 0);
    return ERR_NONE;
}

static struct err parse_number(const struct config_def *def, const char *text, int64_t *number,
                               struct diag *diag)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return diag_fail(diag, ERR_INVALID, "%s is \"%s\" but must be a whole number", def->name,
                         text);
    if (parsed < def->min || parsed > def->max || (parsed == 0 && def->is_zero_refused))
        return diag_fail(diag, ERR_INVALID, "%s is %lld but must be between %lld and %lld%s",
                         def->name, parsed, (long long)def->min, (long long)def->max,
                         def->is_zero_refused ? ", and not 0" : "");
    *number = parsed;
    return ERR_NONE;
}

static struct err parse_double(const struct config_def *def, const char *text, double *fraction,
                               struct diag *diag)
{
    char *end;
    double parsed = strtod(text, &end);
    if (end == text || *end != '\0')
        return diag_fail(diag, ERR_INVALID, "%s is \"%s\" but must be a number", def->name, text);
    if (def->min == 0 && def->max == 0) {
        if (!(parsed >= 0))
            return diag_fail(diag, ERR_INVALID, "%s is %s but must be at least 0", def->name, text);
    } else if (!(parsed >= (double)def->min && parsed <= (double)def->max)) {
        return diag_fail(diag, ERR_INVALID, "%s is %s but must be between %lld and %lld", def->name,
                         text, (long long)def->min, (long long)def->max);
    }
    *fraction = parsed;
    return ERR_NONE;
}

static struct err parse_boolean(const struct config_def *def, struct span text, int64_t *number,
                                struct diag *diag)
{
    bool is_true = span_equal_text(text, "true");
    if (!is_true && !span_equal_text(text, "false"))
        return diag_fail(diag, ERR_INVALID, "%s is \"%.*s\" but must be true or false", def->name,
                         SPAN_ARGS(text));
    *number = is_true;
    return ERR_NONE;
}

struct err config_parse_value(const struct config_def *def, struct span raw,
                              struct config_value *value, struct diag *diag)
{
    struct span text = span_trim(raw);
    if (def->type == CONFIG_TYPE_STRING || def->type == CONFIG_TYPE_LIST)
        return parse_choice(def, text, diag);
    if (def->type == CONFIG_TYPE_BOOLEAN)
        return parse_boolean(def, text, &value->number, diag);
    char copy[NUMBER_TEXT_SIZE_MAX];
    if (text.size >= sizeof copy)
        return diag_fail(diag, ERR_INVALID, "%s is %zu characters long but must be a number",
                         def->name, text.size);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (def->type == CONFIG_TYPE_DOUBLE)
        return parse_double(def, copy, &value->fraction, diag);
    return parse_number(def, copy, &value->number, diag);
}

struct err config_init(struct config *config)
{
    *config = (struct config){0};
    arena_init(&config->arena, CONFIG_SIZE_MAX);
    buf_init(&config->warnings, CONFIG_SIZE_MAX);
    for (size_t i = 0; i < CONFIG_ID_COUNT; i++) {
        const struct config_def *def = &config_defs[i];
        CHECK(def->name != NULL);
        config->values[i].text = def->initial;
        config->values[i].rank = -1;
        if (def->initial != NULL)
            TRY(config_parse_value(def, span_text(def->initial), &config->values[i], NULL));
    }
    return ERR_NONE;
}

void config_deinit(struct config *config)
{
    arena_deinit(&config->arena);
    buf_deinit(&config->warnings);
}

/* Stores a parsed value unless one of higher rank or later source is there. */
static struct err value_store(struct config *config, enum config_id id, struct config_value value)
{
    struct config_value *stored = &config->values[id];
    bool is_outranked = stored->source > value.source ||
                        (stored->source == value.source && stored->rank > value.rank);
    if (!is_outranked)
        *stored = value;
    return ERR_NONE;
}

/* Turns the alias's number into the real property's text. */
static const char *alias_scale(struct config *config, const struct config_alias *alias,
                               struct span text, struct diag *diag)
{
    struct config_def def = config_defs[alias->id];
    def.name = alias->name;
    struct config_value value = {0};
    if (err_failed(config_parse_value(&def, text, &value, diag)))
        return NULL;
    int64_t scaled = value.number;
    if (scaled > 0 && !checked_mul_i64(scaled, alias->factor, &scaled))
        scaled = INT64_MAX;
    return arena_print(&config->arena, "%lld", (long long)scaled);
}

static struct err unknown_name(struct span name, struct diag *diag)
{
    struct suggestion guess = {0};
    for (size_t i = 0; i < CONFIG_ID_COUNT; i++)
        suggest_offer(&guess, name, config_defs[i].name);
    for (size_t i = 0; i < config_alias_count; i++)
        suggest_offer(&guess, name, config_aliases[i].name);
    for (size_t i = 0; i < config_known_count; i++)
        suggest_offer(&guess, name, config_known[i].name);
    if (guess.nearest == NULL)
        return diag_fail(diag, ERR_INVALID, "unknown property %.*s", SPAN_ARGS(name));
    return diag_fail(diag, ERR_INVALID, "unknown property %.*s; did you mean %s?", SPAN_ARGS(name),
                     guess.nearest);
}

struct err config_set(struct config *config, struct span name, struct span raw,
                      enum config_source source, int line, struct diag *diag)
{
    struct span text = span_trim(raw);
    enum config_id id;
    int rank = CONFIG_RANK_MAIN;
    const struct config_alias *alias = alias_find(name);
    const char *copy = NULL;
    if (alias != NULL) {
        id = alias->id;
        rank = alias->rank;
        if (alias->factor != 0) {
            copy = alias_scale(config, alias, text, diag);
            if (copy == NULL)
                return err_make(ERR_INVALID);
        }
    } else if (!config_find(name, &id)) {
        const struct config_known *known = known_find(name);
        if (known == NULL)
            return unknown_name(name, diag);
        char place[32] = "";
        if (line > 0)
            (void)snprintf(place, sizeof place, "line %d: ", line);
        return buf_print(&config->warnings, "%s%.*s has no effect: %s\n", place, SPAN_ARGS(name),
                         known->why);
    }
    if (copy == NULL)
        copy = arena_copy_text(&config->arena, text);
    if (copy == NULL)
        return err_make(ERR_NO_MEMORY);
    struct config_value value = {.text = copy, .source = source, .line = line, .rank = rank};
    TRY(config_parse_value(&config_defs[id], span_text(copy), &value, diag));
    return value_store(config, id, value);
}

const char *config_source_text(const struct config_value *value, char text[32])
{
    if (value->source == CONFIG_FROM_DEFAULT)
        return "default";
    if (value->source == CONFIG_FROM_FLAG)
        return "flag";
    (void)snprintf(text, 32, "file line %d", value->line);
    return text;
}

struct err config_validate(const struct config *config, struct diag *diag)
{
    int64_t shortest = config_number(config, CONFIG_GROUP_MIN_SESSION_TIMEOUT_MS);
    int64_t longest = config_number(config, CONFIG_GROUP_MAX_SESSION_TIMEOUT_MS);
    if (shortest > longest)
        return diag_fail(diag, ERR_INVALID,
                         "group.min.session.timeout.ms is %lld, more than "
                         "group.max.session.timeout.ms, which is %lld",
                         (long long)shortest, (long long)longest);
    const char *dir = config_text(config, CONFIG_LOG_DIR);
    if (dir == NULL || dir[0] == '\0' || strchr(dir, ',') != NULL)
        return diag_fail(diag, ERR_INVALID, "log.dirs is \"%s\" but must name one folder",
                         dir == NULL ? "" : dir);
    return ERR_NONE;
}
