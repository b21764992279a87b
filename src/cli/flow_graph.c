/* flow_graph: `headrace flow graph`: a flow as a Mermaid flowchart. */
#include "cli/commands.h"
#include "cli/flow_file.h"
#include "flow/graph.h"

static struct err run(struct session *session)
{
    struct flow *flow;
    TRY(flow_file_load(session, session->words[0], &flow));
    TRY(flow_write_mermaid(flow, &session->arena, &session->out));
    return session_print(session);
}

const struct command flow_graph_command = {
    .words = "flow graph",
    .arguments = "FILE",
    .summary = "Draw a flow's topics, handlers and dead letters as a Mermaid chart.",
    .doc = "Mermaid is drawn by GitHub, GitLab and most editors of Markdown.",
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct session),
    .is_offline = true,
    .run = run,
};
