/* flow_init: `headrace flow init`: writes a flow that runs as it is, to begin from. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/flow_templates.h"
#include "os/os.h"

#define LANGUAGE_PRESET "python"

enum key { KEY_LANGUAGE = 'l' };

struct flow_init {
    struct session session; /* first */
    const char *language;
};

static const struct argp_option options[] = {
    {"lang", KEY_LANGUAGE, "c|python|node", 0, "In which language its handler is (python)", 0},
    {0},
};

static bool is_language(const char *name)
{
    for (const struct flow_template *at = flow_templates; at->language != NULL; at++) {
        if (strcmp(at->language, name) == 0)
            return true;
    }
    return false;
}

static struct err option(struct session *session, int key, char *argument)
{
    if (key != KEY_LANGUAGE)
        return err_make(ERR_UNSUPPORTED);
    if (!is_language(argument))
        return diag_fail(&session->diag, ERR_INVALID, "--lang is c, python or node, not %s",
                         argument);
    ((struct flow_init *)session)->language = argument;
    return ERR_NONE;
}

/* Makes a folder where there is none. */
static struct err have_folder(struct session *session, const char *path)
{
    struct err err = os_real()->files->dir_make(os_real()->files->self, path);
    if (!err_failed(err) || err_is(err, ERR_EXISTS))
        return ERR_NONE;
    return diag_fail(&session->diag, err.code, "%s: %s", path, err_text(err));
}

/* Writes a file that is not there yet. */
static struct err write_file(struct session *session, const char *path, const char *text)
{
    const struct os_files *files = os_real()->files;
    const struct span span = span_text(text);
    int file;
    size_t done;
    struct err err =
        file_open(files, path, OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_EXCLUSIVE, &file);
    if (err_is(err, ERR_EXISTS))
        return diag_fail(&session->diag, ERR_EXISTS, "%s is there already; nothing of it is lost",
                         path);
    if (!err_failed(err)) {
        err = file_write_at(files, file, &span, 1, 0, &done);
        file_close(files, file);
    }
    if (err_failed(err))
        return diag_fail(&session->diag, err.code, "%s: %s", path, err_text(err));
    return buf_print(&session->out, "  %s\n", path);
}

static struct err write_template(struct session *session, const char *folder,
                                 const struct flow_template *template)
{
    const char *slash = strchr(template->name, '/');
    const char *path = arena_print(&session->arena, "%s/%s", folder, template->name);
    if (path == NULL)
        return err_make(ERR_NO_MEMORY);
    if (slash != NULL) {
        const char *inner = arena_print(&session->arena, "%s/%.*s", folder,
                                        (int)(slash - template->name), template->name);
        if (inner == NULL)
            return err_make(ERR_NO_MEMORY);
        TRY(have_folder(session, inner));
    }
    return write_file(session, path, template->text);
}

static struct err print_steps(struct session *session, const char *folder, bool is_c)
{
    TRY(buf_print(&session->out, "\nThen, with a log (`headrace serve`) at localhost:9092:\n"));
    if (strcmp(folder, ".") != 0)
        TRY(buf_print(&session->out, "  cd %s\n", folder));
    if (is_c)
        TRY(buf_print(&session->out, "  make\n"));
    return buf_print(&session->out, "  headrace flow run flow.yaml\n"
                                    "and in another terminal:\n"
                                    "  echo '{\"name\":\"Ada\"}' | headrace produce greetings\n"
                                    "  headrace consume answers\n");
}

static struct err run(struct session *session)
{
    const struct flow_init *init = (const struct flow_init *)session;
    const char *language = init->language == NULL ? LANGUAGE_PRESET : init->language;
    const char *folder = session->word_count == 0 ? "." : session->words[0];
    TRY(have_folder(session, folder));
    TRY(buf_print(&session->out, "written:\n"));
    for (const struct flow_template *at = flow_templates; at->language != NULL; at++) {
        if (strcmp(at->language, language) == 0)
            TRY(write_template(session, folder, at));
    }
    TRY(print_steps(session, folder, strcmp(language, "c") == 0));
    return session_print(session);
}

const struct command flow_init_command = {
    .words = "flow init",
    .arguments = "[FOLDER]",
    .summary = "Write a flow that runs as it is, to begin from.",
    .doc = "Nothing that is there already is written over.",
    .options = options,
    .word_count_max = 1,
    .size = sizeof(struct flow_init),
    .is_offline = true,
    .option = option,
    .run = run,
};
