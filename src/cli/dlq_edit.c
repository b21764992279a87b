/* dlq_edit: `headrace dlq edit`: a dead letter with another value in the place of one. */
#include "cli/dlq.h"
#include "cli/text_file.h"

static const struct argp_option options[] = {
    {"value", 'v', "FILE", 0, "What its value is to be; - is standard input", 0},
    {0},
};

struct dlq_edit {
    struct dlq dlq; /* first */
    const char *path;
    struct span value;
    int64_t count;
};

static struct err option(struct session *session, int key, char *argument)
{
    if (key != 'v')
        return err_make(ERR_UNSUPPORTED);
    ((struct dlq_edit *)session)->path = argument;
    return ERR_NONE;
}

/* The same entry at the end of its partition, and the old one is dealt with. */
static struct err edit(struct dlq *dlq, const struct client_message *record,
                       const struct dead_letter *letter)
{
    struct dlq_edit *edit = (struct dlq_edit *)dlq;
    struct client_message edited = *record;
    (void)letter;
    edited.value = edit->value;
    edited.tag = NULL;
    TRY(dlq_begin(dlq));
    TRY(client_send(dlq->sender, &edited, &dlq->session.diag));
    TRY(dlq_mark(dlq, record, "edited"));
    TRY(dlq_commit(dlq));
    edit->count++;
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    struct dlq_edit *state = (struct dlq_edit *)session;
    struct dlq *dlq = &state->dlq;
    if (state->path == NULL)
        return session_misuse(session, "say its new value with --value FILE");
    TRY(dlq_read_words(dlq));
    struct err err =
        strcmp(state->path, "-") == 0
            ? text_stream_read(&session->arena, stdin, &state->value, &session->diag)
            : text_file_read(&session->arena, state->path, &state->value, &session->diag);
    TRY(diag_wrap(&session->diag, err, "%s", state->path));
    err = dlq_open_sender(dlq);
    if (!err_failed(err))
        err = dlq_scan(dlq, edit);
    if (!err_failed(err) && state->count == 0)
        err = diag_fail(&session->diag, ERR_NOT_FOUND, "%s was dealt with already",
                        session->words[1]);
    dlq_close(dlq);
    return err;
}

const struct command dlq_edit_command = {
    .words = "dlq edit",
    .arguments = "TOPIC ENTRY",
    .summary = "Give a dead letter another value.",
    .doc = "headrace dlq show TOPIC ENTRY --value > it, edit it, and dlq edit TOPIC ENTRY --value "
           "it. It is a new entry of the same topic then, and goes to its handler by dlq redrive.",
    .options = options,
    .word_count_min = 2,
    .word_count_max = 2,
    .size = sizeof(struct dlq_edit),
    .kind = CLIENT_RECEIVER,
    .option = option,
    .run = run,
};
