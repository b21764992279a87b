/* engine_commands: obeying what operators tell a handler. */
#include "flow/command.h"
#include "flow/delivery/engine_internal.h"

static const char *name_of(const struct engine *engine)
{
    return engine->settings.handler->name.text;
}

static void pause_all(struct engine *engine, bool is_paused)
{
    if (engine->orders.is_paused == is_paused)
        return;
    engine->orders.is_paused = is_paused;
    flow_say(engine->settings.log, FLOW_LOG_WARN, name_of(engine),
             is_paused ? "it is paused by a command: nothing is called"
                       : "the pause is taken back");
}

static void force_circuit(struct engine *engine, struct span value)
{
    enum circuit_force force = CIRCUIT_FREE;
    if (span_equal_text(value, COMMAND_CIRCUIT_OPEN))
        force = CIRCUIT_FORCED_OPEN;
    else if (span_equal_text(value, COMMAND_CIRCUIT_CLOSED))
        force = CIRCUIT_FORCED_CLOSED;
    if (engine->circuit.force == force)
        return;
    circuit_set_force(&engine->circuit, force);
    flow_say(engine->settings.log, FLOW_LOG_WARN, name_of(engine), "by a command the circuit is %s",
             circuit_state_text(&engine->circuit));
}

/* Whether it is the newest of its kind; then *last_ms is its time. */
static bool is_newest(const struct client_message *record, int64_t *last_ms)
{
    if (record->timestamp_ms < *last_ms)
        return false;
    *last_ms = record->timestamp_ms;
    return true;
}

void engine_obey(struct engine *engine, const struct client_message *record)
{
    struct engine_orders *orders = &engine->orders;
    if (span_equal_text(record->key, COMMAND_PAUSE)) {
        if (is_newest(record, &orders->pause_ms))
            pause_all(engine, span_equal_text(record->value, COMMAND_PAUSE_ON));
    } else if (span_equal_text(record->key, COMMAND_CIRCUIT)) {
        if (is_newest(record, &orders->circuit_ms))
            force_circuit(engine, record->value);
    }
}
