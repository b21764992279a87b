/* flow_schema: `headrace flow schema`: the shape of flow files for editors. */
#include "cli/commands.h"
#include "flow/schema.h"

static struct err run(struct session *session)
{
    TRY(flow_write_schema(&session->out));
    return session_print(session);
}

const struct command flow_schema_command = {
    .words = "flow schema",
    .arguments = "",
    .summary = "Print the JSON Schema of flow files, for editors and CI.",
    .doc = "An editor that knows YAML schemas completes and checks flow files by it.",
    .size = sizeof(struct session),
    .is_offline = true,
    .run = run,
};
