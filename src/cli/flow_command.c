/* flow_command: `headrace flow pause`, `resume` and `circuit`: what all of a handler's processes
 * are told. */
#include "flow/command.h"

#include "cli/commands.h"
#include "cli/flow_file.h"
#include "flow/delivery/parked.h"

struct flow_command {
    struct session session; /* first */
    const char *key;
    const char *value; /* NULL takes it back */
    const struct flow *flow;
};

/* Writes the command to each partition of the handler's parked topic. */
static struct err tell(struct flow_command *command, const struct flow_handler *handler)
{
    struct session *session = &command->session;
    struct client_cluster cluster;
    const char *group = flow_group(command->flow, handler, &session->arena);
    const char *topic = group == NULL ? NULL : parked_topic(group, &session->arena);
    if (topic == NULL)
        return err_make(ERR_NO_MEMORY);
    struct err err =
        client_cluster(session->client, topic, &session->arena, &cluster, &session->diag);
    if (err_is(err, ERR_NOT_FOUND))
        return diag_fail(&session->diag, ERR_NOT_FOUND,
                         "%s was never run on this cluster: there is no topic %s",
                         handler->name.text, topic);
    TRY(err);
    for (size_t i = 0; i < cluster.topics[0].partition_count; i++) {
        const struct client_message record = {.topic = topic,
                                              .partition = (int32_t)i,
                                              .key = span_text(command->key),
                                              .value = span_text(command->value)};
        TRY(client_send(session->client, &record, &session->diag));
    }
    return ERR_NONE;
}

/* All handlers, where none is named. */
static struct err tell_all(struct flow_command *command, size_t first, size_t end)
{
    struct session *session = &command->session;
    for (size_t i = 0; i < command->flow->handlers.count && first == end; i++)
        TRY(tell(command, flow_handler_at(command->flow, i)));
    for (size_t at = first; at < end; at++) {
        const struct flow_handler *found = NULL;
        for (size_t i = 0; i < command->flow->handlers.count && found == NULL; i++) {
            const struct flow_handler *handler = flow_handler_at(command->flow, i);
            if (strcmp(handler->name.text, session->words[at]) == 0)
                found = handler;
        }
        if (found == NULL)
            return diag_fail(&session->diag, ERR_NOT_FOUND, "%s has no handler %s",
                             session->words[0], session->words[at]);
        TRY(tell(command, found));
    }
    return ERR_NONE;
}

/* Sends what the words from first to end are to be told, and waits until it is there. */
static struct err give(struct flow_command *command, size_t first, size_t end)
{
    struct session *session = &command->session;
    struct client_counts counts;
    struct flow *flow;
    TRY(flow_file_load(session, session->words[0], true, &flow));
    command->flow = flow;
    TRY(tell_all(command, first, end));
    TRY(client_flush(session->client, session->timeout_ms, &counts, &session->diag));
    if (counts.waiting > 0)
        return diag_fail(&session->diag, ERR_TIMEOUT, "no acknowledgement within %d ms",
                         session->timeout_ms);
    return ERR_NONE;
}

static struct err run_pause(struct session *session)
{
    struct flow_command *command = (struct flow_command *)session;
    command->key = COMMAND_PAUSE;
    command->value = COMMAND_PAUSE_ON;
    return give(command, 1, session->word_count);
}

static struct err run_resume(struct session *session)
{
    struct flow_command *command = (struct flow_command *)session;
    command->key = COMMAND_PAUSE;
    return give(command, 1, session->word_count);
}

static struct err run_circuit(struct session *session)
{
    struct flow_command *command = (struct flow_command *)session;
    const char *state = session->words[2];
    command->key = COMMAND_CIRCUIT;
    if (strcmp(state, "free") != 0)
        command->value = state;
    if (command->value != NULL && strcmp(state, COMMAND_CIRCUIT_OPEN) != 0 &&
        strcmp(state, COMMAND_CIRCUIT_CLOSED) != 0)
        return session_misuse(session, "a circuit is open, closed or free");
    return give(command, 1, 2);
}

#define HANDLER_COUNT_MAX 1000

const struct command flow_pause_command = {
    .words = "flow pause",
    .arguments = "FILE [HANDLER...]",
    .summary = "Stop handlers from being called, in all processes.",
    .doc = "Calls under way end, and events wait. It holds for processes that come later, until "
           "flow resume.",
    .word_count_min = 1,
    .word_count_max = 1 + HANDLER_COUNT_MAX,
    .size = sizeof(struct flow_command),
    .kind = CLIENT_SENDER,
    .run = run_pause,
};

const struct command flow_resume_command = {
    .words = "flow resume",
    .arguments = "FILE [HANDLER...]",
    .summary = "Let paused handlers be called again.",
    .word_count_min = 1,
    .word_count_max = 1 + HANDLER_COUNT_MAX,
    .size = sizeof(struct flow_command),
    .kind = CLIENT_SENDER,
    .run = run_resume,
};

const struct command flow_circuit_command = {
    .words = "flow circuit",
    .arguments = "FILE HANDLER open|closed|free",
    .summary = "Force a handler's circuit, in all processes.",
    .doc = "open calls nothing, closed calls whatever fails, free leaves it to the calls again.",
    .word_count_min = 3,
    .word_count_max = 3,
    .size = sizeof(struct flow_command),
    .kind = CLIENT_SENDER,
    .run = run_circuit,
};
