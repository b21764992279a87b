/* value: words and what they mean. */
#include "flow/value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/check.h"

/* A number and its unit. */
struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
    {NULL, 0}};
static const struct unit sizes[] = {
    {"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0}};
static const struct unit counts[] = {{"", 1}, {NULL, 0}};
static const struct unit percents[] = {{"%", 1}, {NULL, 0}};
static const struct unit rates[] = {{"/s", 60}, {"/m", 1}, {NULL, 0}}; /* a minute */

bool flow_is_name(struct span text)
{
    bool is_name = text.size != 0 && text.size <= FLOW_NAME_SIZE_MAX;
    for (size_t i = 0; i < text.size && is_name; i++)
        is_name = isalnum(text.data[i]) != 0 || strchr("._-", text.data[i]) != NULL;
    bool is_dots = span_equal_text(text, ".") || span_equal_text(text, "..");
    return is_name && !is_dots;
}

/* Takes digits and a unit apart. False: it is none, or beyond int64_t. */
static bool read_measure(const char *text, const struct unit *units, int64_t *number)
{
    int64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
            return false;
    }
    for (const struct unit *unit = units; at != text && unit->name != NULL; unit++) {
        if (strcmp(at, unit->name) == 0)
            return !__builtin_mul_overflow(value, unit->factor, number);
    }
    return false;
}

/* The word's place among "a|b|c"; -1: none. */
static int64_t find_choice(const char *choices, const char *word)
{
    size_t size = strlen(word);
    int64_t index = 0;
    for (const char *at = choices; size != 0; index++) {
        const char *end = strchrnul(at, '|');
        if ((size_t)(end - at) == size && memcmp(at, word, size) == 0)
            return index;
        if (*end == '\0')
            break;
        at = end + 1;
    }
    return -1;
}

/* RFC 3339 in UTC, to the second: 2026-01-31T12:00:00Z. */
static bool read_time(const char *text, int64_t *ms)
{
    struct tm time = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &time);
    if (end == NULL || *end != '\0' || strlen(text) != strlen("2026-01-31T12:00:00Z"))
        return false;
    struct tm normal = time;
    time_t seconds = timegm(&normal);
    if (seconds < 0 || normal.tm_mday != time.tm_mday) /* the 31st of June */
        return false;
    *ms = (int64_t)seconds * 1000;
    return true;
}

static bool read_start(const char *text, int64_t *number)
{
    if (strcmp(text, "earliest") == 0)
        *number = FLOW_FROM_EARLIEST;
    else if (strcmp(text, "latest") == 0)
        *number = FLOW_FROM_LATEST;
    else
        return read_time(text, number);
    return true;
}

static bool is_url(const char *text)
{
    const char *host = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : "";
    bool has_host = *host != '\0' && strchr("/:?#", *host) == NULL;
    for (const char *at = text; *at != '\0' && has_host; at++)
        has_host = *at > ' ' && *at < 0x7f && strchr("\"<>\\^`{|}", *at) == NULL;
    return has_host;
}

/* What the text means for the field. False: nothing. */
static bool understand(const struct shape_field *field, const char *text, int64_t *number)
{
    switch (field->kind) {
    case SHAPE_TEXT:
        return *text != '\0';
    case SHAPE_NAME:
    case SHAPE_NAMES:
        return flow_is_name(span_text(text));
    case SHAPE_URL:
        return is_url(text);
    case SHAPE_DURATION:
        return read_measure(text, durations, number);
    case SHAPE_COUNT:
        return read_measure(text, counts, number);
    case SHAPE_PERCENT:
        return read_measure(text, percents, number);
    case SHAPE_SIZE:
        return read_measure(text, sizes, number);
    case SHAPE_RATE:
        return read_measure(text, rates, number);
    case SHAPE_SWITCH:
        *number = strcmp(text, "true") == 0;
        return *number == 1 || strcmp(text, "false") == 0;
    case SHAPE_CHOICE:
        *number = find_choice(field->choices, text);
        return *number >= 0;
    case SHAPE_START:
        return read_start(text, number);
    case SHAPE_OBJECT:
    case SHAPE_MAP:
        break;
    }
    return false;
}

static const char *wanted_text(const struct shape_field *field)
{
    static const char *const texts[] = {
        [SHAPE_TEXT] = "some text",
        [SHAPE_NAME] = "a name of letters, digits, '.', '_' and '-'",
        [SHAPE_NAMES] = "a name of letters, digits, '.', '_' and '-'",
        [SHAPE_URL] = "a URL such as http://localhost:8000/handle",
        [SHAPE_DURATION] = "a duration such as 250ms, 10s, 5m, 2h or 7d",
        [SHAPE_COUNT] = "a whole number",
        [SHAPE_PERCENT] = "a share such as 50%",
        [SHAPE_SIZE] = "a size such as 4096, 64KiB or 1MiB",
        [SHAPE_RATE] = "a rate such as 100/s or 30/m",
        [SHAPE_SWITCH] = "true or false",
        [SHAPE_START] = "earliest, latest or a time such as 2026-01-31T12:00:00Z",
    };
    CHECK(field->kind <= SHAPE_NAMES);
    return field->kind == SHAPE_CHOICE ? field->choices : texts[field->kind];
}

/* The number as one writes it: the largest unit that it is a multiple of. */
static void print_number(const struct shape_field *field, int64_t number, char text[32])
{
    const struct unit *units = field->kind == SHAPE_DURATION  ? durations
                               : field->kind == SHAPE_PERCENT ? percents
                               : field->kind == SHAPE_SIZE    ? sizes
                               : field->kind == SHAPE_RATE    ? rates
                                                              : counts;
    const struct unit *best = &units[0];
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (number % unit->factor == 0 && (unit->factor > best->factor || number % best->factor))
            best = unit;
    }
    (void)snprintf(text, 32, "%lld%s", (long long)(number / best->factor), best->name);
}

static bool is_within(const struct shape_field *field, int64_t number, struct flow_place place,
                      struct flow_problems *problems)
{
    if (field->max == 0 || (number >= field->min && number <= field->max))
        return true;
    char min[32];
    char max[32];
    print_number(field, field->min, min);
    print_number(field, field->max, max);
    flow_complain(problems, place, "%s must be between %s and %s", field->name, min, max);
    return false;
}

/* Filling ${...} in. */
struct filling {
    const struct flow_source *source;
    struct arena *arena;
    struct flow_problems *problems;
    struct flow_place place;
    struct buf text;
    bool is_unknown;
    bool is_wrong;
};

static void lack(struct filling *filling, const char *what, const char *why)
{
    const struct flow_source *source = filling->source;
    if (source->may_lack) {
        flow_warn(filling->problems, filling->place, "%s%s; the flow does not run without", what,
                  why);
        filling->is_unknown = true;
    } else {
        flow_complain(filling->problems, filling->place, "%s%s", what, why);
        filling->is_wrong = true;
    }
}

static struct err fill_file(struct filling *filling, const char *path)
{
    struct span text;
    struct err err = filling->source->file(filling->source->context, path, filling->arena, &text);
    if (err_is(err, ERR_NO_MEMORY))
        return err;
    if (!err_failed(err))
        return buf_append(&filling->text, text.data, text.size);
    char *what = arena_print(filling->arena, "%s: ", path);
    if (what == NULL)
        return err_make(ERR_NO_MEMORY);
    lack(filling, what, err_text(err));
    return ERR_NONE;
}

/* What stands between ${ and }. */
static struct err fill_one(struct filling *filling, struct span name)
{
    char *word = arena_copy_text(filling->arena, name);
    if (word == NULL)
        return err_make(ERR_NO_MEMORY);
    if (strncmp(word, "file:", 5) == 0)
        return fill_file(filling, word + 5);
    bool is_name = *word != '\0' && isdigit((unsigned char)*word) == 0;
    for (const char *at = word; *at != '\0' && is_name; at++)
        is_name = isalnum((unsigned char)*at) != 0 || *at == '_';
    if (!is_name) {
        flow_complain(filling->problems, filling->place,
                      "${%s} is neither ${NAME} nor ${file:PATH}; $$ stands for a dollar", word);
        filling->is_wrong = true;
        return ERR_NONE;
    }
    const char *value = filling->source->variable(filling->source->context, word);
    if (value != NULL)
        return buf_append(&filling->text, value, strlen(value));
    lack(filling, word, " is not set in the environment");
    return ERR_NONE;
}

static struct err fill(struct filling *filling, struct span text)
{
    for (size_t at = 0; at < text.size;) {
        struct span rest = span_make(text.data + at, text.size - at);
        const uint8_t *end;
        if (rest.size >= 2 && rest.data[0] == '$' && rest.data[1] == '$') {
            TRY(buf_append(&filling->text, "$", 1));
            at += 2;
        } else if (rest.size >= 2 && rest.data[0] == '$' && rest.data[1] == '{' &&
                   (end = memchr(rest.data, '}', rest.size)) != NULL) {
            TRY(fill_one(filling, span_make(rest.data + 2, (size_t)(end - rest.data) - 2)));
            at += (size_t)(end - rest.data) + 1;
        } else {
            TRY(buf_append(&filling->text, rest.data, 1));
            at++;
        }
    }
    return ERR_NONE;
}

static struct err read_text(struct filling *filling, const struct shape_field *field,
                            const struct yaml_node *node, struct flow_value *out)
{
    TRY(fill(filling, node->text));
    char *text = arena_copy_text(filling->arena, buf_span(&filling->text));
    if (text == NULL)
        return err_make(ERR_NO_MEMORY);
    if (filling->is_wrong)
        return ERR_NONE;
    int64_t number = out->number;
    if (!filling->is_unknown && !understand(field, text, &number)) {
        flow_complain(filling->problems, node->place, "%s is \"%s\" but must be %s%s", field->name,
                      text, field->kind == SHAPE_CHOICE ? "one of " : "", wanted_text(field));
        return ERR_NONE;
    }
    if (!filling->is_unknown && !is_within(field, number, node->place, filling->problems))
        return ERR_NONE;
    out->text = text;
    out->number = number;
    out->is_unknown = filling->is_unknown;
    if (!filling->is_unknown)
        return ERR_NONE;
    out->text = arena_copy_text(filling->arena, node->text); /* as it stands there */
    return out->text == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

struct err flow_read_value(const struct shape_field *field, const struct yaml_node *node,
                           const struct flow_source *source, struct arena *arena,
                           struct flow_problems *problems, struct flow_value *out)
{
    struct filling filling = {
        .source = source, .arena = arena, .problems = problems, .place = node->place};
    *out = flow_preset(field, node->place);
    size_t before = problems->error_count;
    if (node->kind != YAML_SCALAR) {
        flow_complain(problems, node->place, "%s is %s but must be %s", field->name,
                      yaml_kind_text(node->kind), wanted_text(field));
        out->is_wrong = true;
        return ERR_NONE;
    }
    buf_init(&filling.text, FLOW_FILE_SIZE_MAX);
    struct err err = read_text(&filling, field, node, out);
    buf_deinit(&filling.text);
    if (err_is(err, ERR_LIMIT)) {
        flow_complain(problems, node->place, "%s is too long", field->name);
        err = ERR_NONE;
    }
    out->is_wrong = problems->error_count != before;
    return err;
}

struct flow_value flow_preset(const struct shape_field *field, struct flow_place place)
{
    struct flow_value value = {.place = place};
    if (field->preset != NULL) {
        bool is_meant = understand(field, field->preset, &value.number);
        CHECK(is_meant);
    }
    return value;
}

int64_t flow_preset_number(const struct shape *shape, const char *name)
{
    const struct shape_field *field = shape_find(shape, span_text(name));
    CHECK(field != NULL && field->preset != NULL);
    return flow_preset(field, (struct flow_place){0}).number;
}
