/* flow_graph: `headrace flow graph`: a flow as a picture, or as a Mermaid flowchart. */
#include <string.h>

#include "cli/commands.h"
#include "cli/flow_file.h"
#include "flow/graph.h"

struct graph {
    struct session session;
    bool is_mermaid;
};

static const struct argp_option options[] = {
    {"format", 'f', "picture|mermaid", 0, "A picture for the terminal, or text for Markdown", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    struct graph *graph = (struct graph *)session;
    if (key != 'f')
        return err_make(ERR_UNSUPPORTED);
    graph->is_mermaid = strcmp(argument, "mermaid") == 0;
    if (graph->is_mermaid || strcmp(argument, "picture") == 0)
        return ERR_NONE;
    return diag_fail(&session->diag, ERR_INVALID, "--format is picture or mermaid, not %s",
                     argument);
}

static struct err run(struct session *session)
{
    const struct graph *graph = (const struct graph *)session;
    struct flow *flow;
    TRY(flow_file_load(session, session->words[0], true, &flow));
    if (graph->is_mermaid)
        TRY(flow_write_mermaid(flow, &session->arena, &session->out));
    else
        TRY(flow_write_picture(flow, &session->arena, &session->out));
    return session_print(session);
}

const struct command flow_graph_command = {
    .words = "flow graph",
    .arguments = "FILE",
    .summary = "Draw a flow's topics, handlers and dead letters.",
    .doc = "Mermaid is drawn by GitHub, GitLab and most editors of Markdown.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct graph),
    .is_offline = true,
    .option = option,
    .run = run,
};
