/* flow_status: `headrace flow status`: how far a flow's handlers are, from the cluster alone. */
#include <inttypes.h>
#include <stdio.h>

#include "base/map.h"
#include "cli/commands.h"
#include "cli/flow_file.h"
#include "cli/table.h"
#include "cli/topic_read.h"
#include "flow/command.h"
#include "flow/delivery/parked.h"
#include "os/os.h"

#define STATE_SIZE_MAX 32

struct flow_status {
    struct session session; /* first; a receiver */
    struct table table;
};

/* What a handler's parked topic says. */
struct parked_state {
    struct session *session;
    struct map events; /* by key of their record */
    int64_t event_count;
    int64_t pause_ms; /* of the newest command */
    int64_t circuit_ms;
    bool is_paused;
    char circuit[STATE_SIZE_MAX]; /* "": not forced */
};

struct known_event {
    struct span key;
    bool is_there;
};

/* --- the parked topic ------------------------------------------------------------------------ */

static void take_command(const struct client_message *record, struct parked_state *state)
{
    if (span_equal_text(record->key, COMMAND_PAUSE) && record->timestamp_ms >= state->pause_ms) {
        state->pause_ms = record->timestamp_ms;
        state->is_paused = span_equal_text(record->value, COMMAND_PAUSE_ON);
    } else if (span_equal_text(record->key, COMMAND_CIRCUIT) &&
               record->timestamp_ms >= state->circuit_ms) {
        state->circuit_ms = record->timestamp_ms;
        (void)snprintf(state->circuit, sizeof state->circuit, "%.*s", (int)record->value.size,
                       span_is_null(record->value) ? "" : (const char *)record->value.data);
    }
}

/* Notes whether an event is parked. */
static struct err take_event(const struct client_message *record, struct parked_state *state)
{
    struct arena *arena = &state->session->arena;
    struct known_event *event = map_get(&state->events, record->key);
    if (event == NULL) {
        event = arena_alloc(arena, sizeof *event);
        if (event == NULL)
            return err_make(ERR_NO_MEMORY);
        TRY(arena_copy(arena, record->key, &event->key));
        TRY(map_put(&state->events, event->key, event));
    }
    bool is_there = !span_is_null(record->value);
    state->event_count += is_there - event->is_there;
    event->is_there = is_there;
    return ERR_NONE;
}

static struct err take_record(void *context, const struct client_message *record)
{
    struct parked_state *state = context;
    if (span_is_null(record->key) || record->key.size == 0)
        return ERR_NONE;
    if (record->key.data[0] != '!')
        return take_event(record, state);
    take_command(record, state);
    return ERR_NONE;
}

/* *is_there: whether the handler was ever run here. */
static struct err read_parked(struct session *session, const char *group,
                              struct parked_state *state, bool *is_there)
{
    const char *topic = parked_topic(group, &session->arena);
    if (topic == NULL)
        return err_make(ERR_NO_MEMORY);
    *state = (struct parked_state){.session = session};
    map_init(&state->events, random_u64(os_real()->random));
    struct err err = topic_read(session, topic, take_record, state);
    map_deinit(&state->events);
    *is_there = !err_is(err, ERR_NOT_FOUND);
    if (*is_there)
        return err;
    session->diag.text[0] = '\0';
    return ERR_NONE;
}

/* --- the group ------------------------------------------------------------------------------- */

/* Events of the topic that the group has not dealt with; begun: *count of the partitions have an
 * offset. */
static struct err add_lag(struct session *session, const char *group, int64_t *lag)
{
    struct client_offset *places;
    size_t count;
    TRY(client_group_offsets(session->client, group, &session->arena, &places, &count,
                             &session->diag));
    struct client_offset *ends = arena_alloc_array(&session->arena, count, sizeof *ends);
    if (ends == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        ends[i] = places[i];
        ends[i].offset = CLIENT_OFFSET_LATEST;
    }
    if (count > 0)
        TRY(client_offsets_find(session->client, ends, count, &session->diag));
    *lag = 0;
    for (size_t i = 0; i < count; i++)
        *lag += ends[i].offset > places[i].offset ? ends[i].offset - places[i].offset : 0;
    return ERR_NONE;
}

static const char *state_of(struct session *session, const struct parked_state *parked,
                            bool is_there, size_t member_count)
{
    if (!is_there)
        return "never run";
    const char *state = parked->is_paused ? "paused" : member_count > 0 ? "running" : "stopped";
    return parked->circuit[0] == '\0'
               ? state
               : table_print(session, "%s, circuit forced %s", state, parked->circuit);
}

static struct err add_handler(struct flow_status *status, const struct flow *flow,
                              const struct flow_handler *handler)
{
    struct session *session = &status->session;
    struct client_group_detail detail;
    struct parked_state parked;
    bool is_there;
    int64_t lag;
    const char *group = flow_group(flow, handler, &session->arena);
    if (group == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(read_parked(session, group, &parked, &is_there));
    TRY(client_group_describe(session->client, group, &session->arena, &detail, &session->diag));
    TRY(add_lag(session, group, &lag));
    const char *const cells[] = {
        handler->name.text, state_of(session, &parked, is_there, detail.member_count),
        table_print(session, "%zu", detail.member_count), table_print(session, "%" PRId64, lag),
        table_print(session, "%" PRId64, parked.event_count)};
    return table_add(&status->table, cells);
}

static struct err run(struct session *session)
{
    static const char *const columns[] = {"HANDLER", "STATE", "#PROCESSES", "#LAG", "#PARKED"};
    struct flow_status *status = (struct flow_status *)session;
    struct flow *flow;
    TRY(flow_file_load(session, session->words[0], true, &flow));
    table_init(&status->table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < flow->handlers.count; i++)
        TRY(add_handler(status, flow, flow_handler_at(flow, i)));
    TRY(table_write(&status->table));
    return session_print(session);
}

const struct command flow_status_command = {
    .words = "flow status",
    .arguments = "FILE",
    .summary = "Show how far a flow's handlers are.",
    .doc = "LAG: events that were not dealt with and are not parked. PARKED: events that wait for "
           "longer.",
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct flow_status),
    .kind = CLIENT_RECEIVER,
    .run = run,
};
