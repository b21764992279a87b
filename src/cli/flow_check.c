/* flow_check: `headrace flow check`: what a flow file means, and what is wrong with it. */
#include "cli/commands.h"
#include "cli/flow_file.h"
#include "cli/table.h"

static const struct argp_option options[] = {
    {"format", 'f', "table|json", 0, "How to print the handlers", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    return key == 'f' ? session_format(session, argument) : err_make(ERR_UNSUPPORTED);
}

/* "a, b"; "-" for none. */
static const char *join(struct session *session, const struct flow_list *names)
{
    const char *text = names->count == 0 ? "-" : names->items[0].text;
    for (size_t i = 1; i < names->count; i++)
        text = table_print(session, "%s, %s", text, names->items[i].text);
    return text;
}

static struct err run(struct session *session)
{
    static const char *const columns[] = {"HANDLER", "GROUP", "HANDLES",
                                          "WAY",     "EMITS", "DEAD LETTERS"};
    struct flow *flow;
    struct table table;
    TRY(flow_file_load(session, session->words[0], true, &flow));
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < flow->handlers.count; i++) {
        const struct flow_handler *handler = flow_handler_at(flow, i);
        const char *dead_letters = flow_dead_letter_topic(flow, handler, &session->arena);
        if (dead_letters == NULL)
            return err_make(ERR_NO_MEMORY);
        const char *cells[] = {
            handler->name.text,
            table_print(session, "%s.%s", flow->name.text, handler->name.text),
            join(session, &handler->handles),
            handler->way.call.text != NULL   ? handler->way.call.text
            : handler->way.exec.text != NULL ? handler->way.exec.text
                                             : handler->way.library.text,
            join(session, &handler->emits),
            dead_letters,
        };
        TRY(table_add(&table, cells));
    }
    TRY(table_write(&table));
    return session_print(session);
}

const struct command flow_check_command = {
    .words = "flow check",
    .arguments = "FILE",
    .summary = "Show what a flow file means, and what is wrong with it.",
    .doc =
        "Every problem is told at once, with its line and column. GROUP is the consumer group in "
        "which a handler keeps its place: another name of the flow or of the handler is another "
        "group, which begins anew. Exit code 1: the file cannot be used.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct session),
    .is_offline = true,
    .option = option,
    .run = run,
};
