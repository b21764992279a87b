/* group_list: `headrace group list`. */
#include "cli/commands.h"
#include "cli/table.h"

static struct err run(struct session *session)
{
    static const char *const columns[] = {"GROUP", "STATE", "TYPE"};
    struct client_group *groups;
    size_t count;
    TRY(client_groups(session->client, &session->arena, &groups, &count, &session->diag));
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const char *cells[] = {groups[i].name, groups[i].state, groups[i].type};
        TRY(table_add(&table, cells));
    }
    TRY(table_write(&table));
    return session_print(session);
}

const struct command group_list_command = {
    .words = "group list",
    .arguments = "",
    .summary = "List consumer groups.",
    .size = sizeof(struct session),
    .run = run,
};
