/* dlq_show: `headrace dlq show`: one dead letter, whole. */
#include "cli/dlq.h"
#include "cli/message_format.h"

static const struct argp_option options[] = {
    {"value", 'v', NULL, 0, "Its value alone, as it is: for `dlq edit --value`", 0},
    {0},
};

struct dlq_show {
    struct dlq dlq; /* first */
    bool is_value;
};

static struct err option(struct session *session, int key, char *argument)
{
    (void)argument;
    if (key != 'v')
        return err_make(ERR_UNSUPPORTED);
    ((struct dlq_show *)session)->is_value = true;
    return ERR_NONE;
}

static struct err show(struct dlq *dlq, const struct client_message *record,
                       const struct dead_letter *letter)
{
    struct buf *out = &dlq->session.out;
    (void)letter;
    if (((struct dlq_show *)dlq)->is_value)
        return buf_append(out, record->value.data, record->value.size);
    if (dlq->session.format == OUTPUT_JSON)
        return message_format_json(record, out);
    TRY(message_format_write("entry %p:%o\\nkey   %k\\n", record, out));
    for (size_t i = 0; i < record->header_count; i++)
        TRY(buf_print(out, "  %s: %.*s\n", record->headers[i].name,
                      SPAN_ARGS(record->headers[i].value)));
    return message_format_write("\\n%v\\n", record, out);
}

static struct err run(struct session *session)
{
    struct dlq *dlq = (struct dlq *)session;
    TRY(dlq_read_words(dlq));
    struct err err = dlq_scan(dlq, show);
    if (!err_failed(err) && dlq->left_count > 0)
        err = diag_fail(&session->diag, ERR_NOT_FOUND, "%s was dealt with already",
                        session->words[1]);
    dlq_close(dlq);
    TRY(err);
    return session_print(session);
}

const struct command dlq_show_command = {
    .words = "dlq show",
    .arguments = "TOPIC ENTRY",
    .summary = "Show one dead letter: its headers and its value.",
    .doc = "ENTRY is PARTITION:OFFSET, as `dlq list --entries` has it.",
    .options = options,
    .word_count_min = 2,
    .word_count_max = 2,
    .size = sizeof(struct dlq_show),
    .kind = CLIENT_RECEIVER,
    .option = option,
    .run = run,
};
