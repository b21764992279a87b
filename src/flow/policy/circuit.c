/* circuit: three states, a window, and turns. */
#include "flow/policy/circuit.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/value.h"

/* In a row, where the file has no circuit: breakers are on by default. */
#define FAILURES_PRESET 10

/* Which state may follow which. */
static const bool may_follow[CIRCUIT_STATE_COUNT][CIRCUIT_STATE_COUNT] = {
    [CIRCUIT_CLOSED] = {[CIRCUIT_OPEN] = true},
    [CIRCUIT_OPEN] = {[CIRCUIT_HALF_OPEN] = true},
    [CIRCUIT_HALF_OPEN] = {[CIRCUIT_OPEN] = true, [CIRCUIT_CLOSED] = true},
};

struct circuit_rule circuit_rule_of(const struct flow *flow, const struct flow_handler *handler)
{
    const struct flow_circuit *circuit = handler->circuit;
    if (circuit == NULL && handler->policy.text != NULL)
        circuit = flow_find_policy(flow, handler->policy.text)->circuit;
    if (circuit == NULL)
        return (struct circuit_rule){
            .failures = FAILURES_PRESET,
            .open_ms = flow_preset_number(&shape_circuit, "open"),
            .probes = (uint32_t)flow_preset_number(&shape_circuit, "probes"),
        };
    bool by_rate = circuit->failure_rate.text != NULL;
    return (struct circuit_rule){
        .failures = by_rate ? 0 : (uint32_t)circuit->failures.number,
        .failure_rate = by_rate ? (uint32_t)circuit->failure_rate.number : 0,
        .window = by_rate ? (uint32_t)circuit->window.number : 0,
        .open_ms = circuit->open.number,
        .probes = (uint32_t)circuit->probes.number,
    };
}

static void check(const struct circuit *circuit)
{
    CHECK(circuit->let_through <= circuit->rule.probes);
    CHECK(circuit->succeeded <= circuit->let_through);
    CHECK(circuit->failed_count <= circuit->result_count);
    CHECK(circuit->result_count <= circuit->rule.window);
}

struct err circuit_init(struct circuit *circuit, const struct circuit_rule *rule)
{
    CHECK((rule->failures == 0) == (rule->failure_rate != 0));
    CHECK(rule->probes >= 1 && (rule->failures != 0 || rule->window >= 1));
    *circuit = (struct circuit){.rule = *rule};
    if (rule->failures != 0)
        return ERR_NONE;
    circuit->results = calloc(rule->window, 1);
    return circuit->results == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

void circuit_deinit(struct circuit *circuit)
{
    free(circuit->results);
    circuit->results = NULL;
}

/* Goes to another state, where everything is counted anew. */
static void enter(struct circuit *circuit, enum circuit_state state)
{
    CHECK(may_follow[circuit->state][state]);
    circuit->state = state;
    circuit->turn++;
    circuit->let_through = 0;
    circuit->succeeded = 0;
    circuit->row = 0;
    circuit->result_count = 0;
    circuit->result_at = 0;
    circuit->failed_count = 0;
}

static void open_up(struct circuit *circuit, int64_t now_ms)
{
    enter(circuit, CIRCUIT_OPEN);
    circuit->open_until_ms = now_ms + circuit->rule.open_ms;
}

bool circuit_ask(struct circuit *circuit, int64_t now_ms, struct circuit_pass *pass)
{
    check(circuit);
    if (circuit->state == CIRCUIT_OPEN && now_ms >= circuit->open_until_ms)
        enter(circuit, CIRCUIT_HALF_OPEN);
    *pass = (struct circuit_pass){.turn = circuit->turn};
    if (circuit->force == CIRCUIT_FORCED_OPEN)
        return false;
    if (circuit->state == CIRCUIT_CLOSED)
        return true;
    if (circuit->state == CIRCUIT_HALF_OPEN && circuit->let_through < circuit->rule.probes) {
        circuit->let_through++;
        return true;
    }
    /* Forced closed lets it through though it is no probe: of no turn, its end changes nothing. */
    pass->turn = circuit->turn - 1;
    return circuit->force == CIRCUIT_FORCED_CLOSED;
}

/* Takes a result into the window, in the place of the oldest where that is full. */
static void note_result(struct circuit *circuit, bool is_well)
{
    uint8_t *place = &circuit->results[circuit->result_at];
    if (circuit->result_count == circuit->rule.window)
        circuit->failed_count -= *place;
    else
        circuit->result_count++;
    *place = !is_well;
    circuit->failed_count += *place;
    circuit->result_at = (circuit->result_at + 1) % circuit->rule.window;
}

static void end_closed(struct circuit *circuit, int64_t now_ms, bool is_well)
{
    circuit->row = is_well ? 0 : circuit->row + 1;
    bool is_over = circuit->row == circuit->rule.failures && circuit->rule.failures != 0;
    if (circuit->rule.failures == 0) {
        note_result(circuit, is_well);
        is_over = circuit->result_count == circuit->rule.window &&
                  (uint64_t)circuit->failed_count * 100 >=
                      (uint64_t)circuit->rule.failure_rate * circuit->rule.window;
    }
    if (is_over)
        open_up(circuit, now_ms);
}

void circuit_end(struct circuit *circuit, int64_t now_ms, struct circuit_pass pass, bool is_well)
{
    check(circuit);
    if (pass.turn != circuit->turn)
        return;
    CHECK(circuit->state != CIRCUIT_OPEN);
    if (circuit->state == CIRCUIT_CLOSED) {
        end_closed(circuit, now_ms, is_well);
    } else if (!is_well) {
        open_up(circuit, now_ms);
    } else if (++circuit->succeeded == circuit->rule.probes) {
        enter(circuit, CIRCUIT_CLOSED);
    }
    check(circuit);
}

void circuit_give_back(struct circuit *circuit, struct circuit_pass pass)
{
    if (pass.turn != circuit->turn || circuit->state != CIRCUIT_HALF_OPEN)
        return;
    CHECK(circuit->let_through > circuit->succeeded);
    circuit->let_through--;
}

int64_t circuit_wait_ms(const struct circuit *circuit, int64_t now_ms)
{
    if (circuit->force == CIRCUIT_FORCED_CLOSED)
        return 0;
    if (circuit->force == CIRCUIT_FORCED_OPEN)
        return -1;
    if (circuit->state == CIRCUIT_OPEN)
        return circuit->open_until_ms > now_ms ? circuit->open_until_ms - now_ms : 0;
    bool is_free = circuit->state == CIRCUIT_CLOSED || circuit->let_through < circuit->rule.probes;
    return is_free ? 0 : -1;
}

void circuit_set_force(struct circuit *circuit, enum circuit_force force)
{
    circuit->force = force;
}

const char *circuit_state_text(const struct circuit *circuit)
{
    static const char *const texts[CIRCUIT_STATE_COUNT] = {
        [CIRCUIT_CLOSED] = "closed",
        [CIRCUIT_OPEN] = "open",
        [CIRCUIT_HALF_OPEN] = "half-open",
    };
    if (circuit->force != CIRCUIT_FREE)
        return circuit->force == CIRCUIT_FORCED_OPEN ? "forced open" : "forced closed";
    return texts[circuit->state];
}
