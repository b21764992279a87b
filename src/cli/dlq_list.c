/* dlq_list: `headrace dlq list`: dead letters, by handler and kind of failure, or one by one. */
#include <inttypes.h>

#include "cli/dlq.h"
#include "cli/table.h"

/* Different handlers and kinds of failure in one topic. */
#define GROUP_COUNT_MAX 1000

/* Entries listed one by one. */
#define ENTRY_COUNT_MAX 100000

/* Letters of a failure's words in a table. */
#define WORDS_SIZE_MAX 60

enum key { KEY_ENTRIES = 'e' };

static const struct argp_option options[] = {
    DLQ_CHOICE_OPTIONS,
    {"entries", KEY_ENTRIES, NULL, 0, "List them one by one", 0},
    {0},
};

struct dead_group {
    const char *handler;
    const char *fault;
    const char *first; /* times */
    const char *last;
    const char *words; /* of the last */
    int64_t count;
};

struct dlq_list {
    struct dlq dlq; /* first */
    bool are_entries;
    struct dead_group groups[GROUP_COUNT_MAX];
    size_t group_count;
    struct table table;
};

static struct dlq_list *list_of(struct dlq *dlq)
{
    return (struct dlq_list *)dlq;
}

static struct err option(struct session *session, int key, char *argument)
{
    struct dlq *dlq = (struct dlq *)session;
    if (key != KEY_ENTRIES)
        return dlq_option(dlq, key, argument);
    list_of(dlq)->are_entries = true;
    return ERR_NONE;
}

/* A copy for a cell, without line ends; "-" where there is nothing. */
static const char *cell(struct dlq *dlq, struct span text, size_t size_max)
{
    size_t size = text.size < size_max ? text.size : size_max;
    char *copy = arena_copy_text(&dlq->session.arena, span_make(text.data, size));
    if (copy == NULL)
        return "?";
    for (char *at = copy; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    return size == 0 ? "-" : copy;
}

static struct err add_to_group(struct dlq *dlq, const struct client_message *record,
                               const struct dead_letter *letter)
{
    struct dlq_list *list = list_of(dlq);
    struct dead_group *group = NULL;
    (void)record;
    for (size_t i = 0; i < list->group_count && group == NULL; i++) {
        if (span_equal_text(letter->handler, list->groups[i].handler) &&
            span_equal_text(letter->fault, list->groups[i].fault))
            group = &list->groups[i];
    }
    const char *time = cell(dlq, letter->time, WORDS_SIZE_MAX);
    if (group == NULL) {
        if (list->group_count == GROUP_COUNT_MAX)
            return diag_fail(&dlq->session.diag, ERR_LIMIT, "more than %d kinds of failure",
                             GROUP_COUNT_MAX);
        group = &list->groups[list->group_count++];
        *group = (struct dead_group){.handler = cell(dlq, letter->handler, WORDS_SIZE_MAX),
                                     .fault = cell(dlq, letter->fault, WORDS_SIZE_MAX),
                                     .first = time,
                                     .last = time};
    }
    group->count++;
    if (strcmp(time, group->first) < 0)
        group->first = time;
    if (group->words == NULL || strcmp(time, group->last) >= 0) {
        group->last = time;
        group->words = cell(dlq, letter->message, WORDS_SIZE_MAX);
    }
    return ERR_NONE;
}

static struct err add_entry(struct dlq *dlq, const struct client_message *record,
                            const struct dead_letter *letter)
{
    struct dlq_list *list = list_of(dlq);
    struct session *session = &dlq->session;
    if (list->table.row_count == ENTRY_COUNT_MAX)
        return diag_fail(&session->diag, ERR_LIMIT, "more than %d entries: choose some",
                         ENTRY_COUNT_MAX);
    const char *const cells[] = {
        table_print(session, "%d:%" PRId64, record->partition, record->offset),
        cell(dlq, letter->handler, WORDS_SIZE_MAX),
        cell(dlq, letter->fault, WORDS_SIZE_MAX),
        table_print(session, "%" PRId64, letter->calls),
        table_print(session, "%" PRId64, letter->journeys),
        cell(dlq, letter->time, WORDS_SIZE_MAX),
        cell(dlq, record->key, WORDS_SIZE_MAX),
        cell(dlq, letter->message, WORDS_SIZE_MAX),
    };
    return table_add(&list->table, cells);
}

static struct err add_groups(struct dlq_list *list)
{
    struct session *session = &list->dlq.session;
    for (size_t i = 0; i < list->group_count; i++) {
        const struct dead_group *group = &list->groups[i];
        const char *const cells[] = {
            group->handler, group->fault, table_print(session, "%" PRId64, group->count),
            group->first,   group->last,  group->words};
        TRY(table_add(&list->table, cells));
    }
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    static const char *const groups[] = {"HANDLER", "CLASS", "#COUNT", "FIRST", "LAST", "MESSAGE"};
    static const char *const entries[] = {"ENTRY",     "HANDLER", "CLASS", "#CALLS",
                                          "#JOURNEYS", "TIME",    "KEY",   "MESSAGE"};
    struct dlq_list *list = (struct dlq_list *)session;
    bool are_entries = list->are_entries;
    table_init(&list->table, session, are_entries ? entries : groups,
               are_entries ? sizeof entries / sizeof entries[0] : sizeof groups / sizeof groups[0]);
    struct err err = dlq_scan(&list->dlq, are_entries ? add_entry : add_to_group);
    if (!err_failed(err) && !are_entries)
        err = add_groups(list);
    dlq_close(&list->dlq);
    TRY(err);
    TRY(table_write(&list->table));
    return session_print(session);
}

const struct command dlq_list_command = {
    .words = "dlq list",
    .arguments = "TOPIC",
    .summary = "Count dead letters by handler and failure, or list them.",
    .doc = "TOPIC is one of dead letters, as orders.dlq. Those that were redriven, edited or "
           "discarded are not listed.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct dlq_list),
    .kind = CLIENT_RECEIVER,
    .option = option,
    .run = run,
};
