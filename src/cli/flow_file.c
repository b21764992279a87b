/* flow_file: environment, files and sentences around flow_read. */
#include "cli/flow_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/text_file.h"

static const char *variable(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

/* A secret's file usually ends with a line end that is not part of it. */
static struct err read_secret(void *context, const char *path, struct arena *arena,
                              struct span *text)
{
    (void)context;
    TRY(text_file_read(arena, path, text, NULL));
    if (text->size > 0 && text->data[text->size - 1] == '\n')
        text->size--;
    if (text->size > 0 && text->data[text->size - 1] == '\r')
        text->size--;
    return ERR_NONE;
}

static void tell(const char *path, const struct flow_problem *problem)
{
    const char *kind = problem->is_warning ? "warning: " : "";
    if (problem->place.line == 0)
        (void)fprintf(stderr, "%s: %s%s\n", path, kind, problem->text);
    else /* as compilers do: editors find the place */
        (void)fprintf(stderr, "%s:%u:%u: %s%s\n", path, problem->place.line, problem->place.column,
                      kind, problem->text);
}

struct err flow_file_load(struct session *session, const char *path, bool may_lack,
                          struct flow **flow)
{
    const struct flow_source source = {
        .variable = variable, .file = read_secret, .may_lack = may_lack};
    struct span text;
    TRY(diag_wrap(&session->diag, text_file_read(&session->arena, path, &text, &session->diag),
                  "%s", path));
    struct flow_problems *problems = arena_alloc(&session->arena, sizeof *problems);
    if (problems == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(flow_read(text, &source, &session->arena, problems, flow));
    for (size_t i = 0; i < problems->count; i++)
        tell(path, &problems->items[i]);
    if (problems->error_count == 0)
        return ERR_NONE;
    return diag_fail(&session->diag, ERR_INVALID, "%s: %zu error%s%s", path, problems->error_count,
                     problems->error_count == 1 ? "" : "s",
                     problems->untold_count == 0 ? "" : ", not all of them told");
}
