/* topic_delete: `headrace topic delete`. */
#include "cli/commands.h"

static struct err run(struct session *session)
{
    for (size_t i = 0; i < session->word_count; i++)
        TRY(diag_wrap(&session->diag,
                      client_topic_delete(session->client, session->words[i], &session->diag),
                      "topic %s", session->words[i]));
    return ERR_NONE;
}

const struct command topic_delete_command = {
    .words = "topic delete",
    .arguments = "TOPIC...",
    .summary = "Delete topics and all that is in them.",
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .size = sizeof(struct session),
    .run = run,
};
