/* profile: reads the file of profiles. */
#include "cli/profile.h"

#include <stdlib.h>

#include "base/suggest.h"
#include "cli/text_file.h"

struct reading {
    struct session *session;
    const char *name;
    int line;
    bool is_wanted; /* the section that is being read */
    bool is_found;
    struct suggestion near;
};

static struct span trim(struct span text)
{
    while (text.size > 0 && strchr(" \t\r", text.data[0]) != NULL)
        text = span_make(text.data + 1, text.size - 1);
    while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]) != NULL)
        text.size--;
    return text;
}

static struct err read_section(struct reading *reading, struct span line)
{
    struct session *session = reading->session;
    if (line.data[line.size - 1] != ']')
        return diag_fail(&session->diag, ERR_INVALID, "line %d: a profile's name ends with ]",
                         reading->line);
    const char *name =
        arena_copy_text(&session->arena, trim(span_make(line.data + 1, line.size - 2)));
    if (name == NULL)
        return err_make(ERR_NO_MEMORY);
    reading->is_wanted = reading->name != NULL && strcmp(name, reading->name) == 0;
    reading->is_found |= reading->is_wanted;
    if (reading->name != NULL)
        suggest_offer(&reading->near, span_text(reading->name), name);
    return ERR_NONE;
}

static struct err read_line(struct reading *reading, struct span line)
{
    struct session *session = reading->session;
    if (line.size > 0 && memchr(line.data, '\0', line.size) != NULL)
        return diag_fail(&session->diag, ERR_INVALID, "line %d: a zero byte; this is no text",
                         reading->line);
    line = trim(line);
    if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
        return ERR_NONE;
    if (line.data[0] == '[')
        return read_section(reading, line);
    const uint8_t *equals = memchr(line.data, '=', line.size);
    if (equals == NULL)
        return diag_fail(&session->diag, ERR_INVALID,
                         "line %d: neither [profile] nor property = value", reading->line);
    if (!reading->is_wanted)
        return ERR_NONE;
    size_t size = (size_t)(equals - line.data);
    const char *name = arena_copy_text(&session->arena, trim(span_make(line.data, size)));
    const char *value =
        arena_copy_text(&session->arena, trim(span_make(equals + 1, line.size - size - 1)));
    if (name == NULL || value == NULL)
        return err_make(ERR_NO_MEMORY);
    return session_set(session, name, value);
}

struct err profile_read(struct session *session, struct span text, const char *name)
{
    struct reading reading = {.session = session, .name = name, .is_wanted = true};
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        reading.line++;
        TRY(read_line(&reading, span_make(text.data, size)));
        size_t taken = size + (end != NULL);
        text = span_make(text.data + taken, text.size - taken);
    }
    if (name == NULL || reading.is_found)
        return ERR_NONE;
    if (reading.near.nearest != NULL)
        return diag_fail(&session->diag, ERR_NOT_FOUND, "there is no profile %s; did you mean %s?",
                         name, reading.near.nearest);
    return diag_fail(&session->diag, ERR_NOT_FOUND, "there is no profile %s", name);
}

static struct err load_file(struct session *session, const char *path, const char *name)
{
    struct span text;
    TRY(text_file_read(&session->arena, path, &text, &session->diag));
    return profile_read(session, text, name);
}

static const char *default_path(struct session *session)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    if (config != NULL && config[0] != '\0')
        return arena_print(&session->arena, "%s/headrace/profiles", config);
    const char *home = getenv("HOME");
    return arena_print(&session->arena, "%s/.config/headrace/profiles", home == NULL ? "" : home);
}

struct err profile_load(struct session *session)
{
    const char *name = session->profile != NULL ? session->profile : getenv("HEADRACE_PROFILE");
    if (name != NULL && name[0] == '\0')
        name = NULL;
    const char *given = getenv("HEADRACE_PROFILES");
    const char *path = given != NULL && given[0] != '\0' ? given : default_path(session);
    if (path == NULL)
        return err_make(ERR_NO_MEMORY);
    struct err err = load_file(session, path, name);
    if (err_is(err, ERR_NOT_FOUND) && session->diag.text[0] == '\0' && name == NULL &&
        path != given)
        return ERR_NONE;
    return diag_wrap(&session->diag, err, "%s", path);
}
