/* group_delete: `headrace group delete`. */
#include "cli/commands.h"

static struct err run(struct session *session)
{
    for (size_t i = 0; i < session->word_count; i++)
        TRY(diag_wrap(&session->diag,
                      client_group_delete(session->client, session->words[i], &session->diag),
                      "group %s", session->words[i]));
    return ERR_NONE;
}

const struct command group_delete_command = {
    .words = "group delete",
    .arguments = "GROUP...",
    .summary = "Delete groups without members, and their offsets.",
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .size = sizeof(struct session),
    .run = run,
};
