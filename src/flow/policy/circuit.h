/*
 * circuit: stops calling an endpoint that fails, and finds out when it is well again.
 *
 *                  too many failures                 the time is over
 *     CLOSED ------------------------------> OPEN ----------------------> HALF_OPEN
 *       ^                                     ^                              |  |
 *       |                                     '------ a probe fails ---------'  |
 *       '------------------------- all probes succeed --------------------------'
 *
 * CLOSED calls everything and counts: failures in a row, or the share of the last calls that failed
 * once the window is full. OPEN calls nothing; waiting for it spends no attempts. HALF_OPEN lets
 * `probes` calls through and waits for them. A breaker can be forced open or closed until that is
 * taken back; it goes on counting.
 *
 * Invariants:
 *  1. In HALF_OPEN at most `probes` calls are under way or answered.
 *  2. What was begun in one state and ends in a later one changes nothing: calls carry the number
 *     of the state's turn that let them through.
 *
 * One for each endpoint and process. No thread, no clock: the caller says what time it is, by a
 * clock that does not jump.
 */
#ifndef HEADRACE_FLOW_POLICY_CIRCUIT_H
#define HEADRACE_FLOW_POLICY_CIRCUIT_H

#include "flow/flow.h"

enum circuit_state { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN, CIRCUIT_STATE_COUNT };

enum circuit_force { CIRCUIT_FREE, CIRCUIT_FORCED_OPEN, CIRCUIT_FORCED_CLOSED };

struct circuit_rule {
    uint32_t failures;     /* in a row; 0: by the rate */
    uint32_t failure_rate; /* per cent of the window */
    uint32_t window;       /* calls */
    int64_t open_ms;
    uint32_t probes;
};

struct circuit {
    struct circuit_rule rule;
    enum circuit_state state;
    enum circuit_force force;
    uint32_t turn;         /* rises with each change of state */
    int64_t open_until_ms; /* OPEN */
    uint32_t let_through;  /* HALF_OPEN: probes begun */
    uint32_t succeeded;    /* HALF_OPEN: probes that came back well */
    uint32_t row;          /* CLOSED: failures in a row */
    uint8_t *results;      /* CLOSED, by the rate: the window's, a byte each; 1: failed */
    uint32_t result_count;
    uint32_t result_at; /* the oldest, once the window is full */
    uint32_t failed_count;
};

/* A call that was let through. */
struct circuit_pass {
    uint32_t turn;
};

/* What holds for a handler: its own circuit, else its policy's, else ten failures in a row. */
struct circuit_rule circuit_rule_of(const struct flow *flow, const struct flow_handler *handler);

/* ERR_NO_MEMORY. */
MUST_USE struct err circuit_init(struct circuit *circuit, const struct circuit_rule *rule);
void circuit_deinit(struct circuit *circuit);

/* Whether a call may be made now; then *pass is to be handed back with its end. */
bool circuit_ask(struct circuit *circuit, int64_t now_ms, struct circuit_pass *pass);

/* The call has come back, well or not. One that was never made, or whose end says nothing about the
 * endpoint, is given back instead. */
void circuit_end(struct circuit *circuit, int64_t now_ms, struct circuit_pass pass, bool is_well);
void circuit_give_back(struct circuit *circuit, struct circuit_pass pass);

/* When asking again may help: 0 now, -1 not before a call comes back or the force is taken back. */
int64_t circuit_wait_ms(const struct circuit *circuit, int64_t now_ms);

void circuit_set_force(struct circuit *circuit, enum circuit_force force);

/* "closed", "open", "half-open"; as forced. */
const char *circuit_state_text(const struct circuit *circuit);

#endif
