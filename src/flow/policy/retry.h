/*
 * retry: when a failed call is made again.
 *
 * The pause before the n-th call grows as backoff * 2^(n-2) up to max; what is waited is drawn
 * uniformly from none of it to all of it (full jitter: those who failed together do not come back
 * together). An endpoint that says how long to wait (Retry-After) is waited for at least so long.
 */
#ifndef HEADRACE_FLOW_POLICY_RETRY_H
#define HEADRACE_FLOW_POLICY_RETRY_H

#include "flow/flow.h"
#include "os/os_random.h"

struct retry_rule {
    uint32_t attempts_max; /* calls in all, at least 1 */
    int64_t backoff_ms;    /* at least 1 */
    int64_t pause_ms_max;  /* at least backoff_ms */
};

/* Longer than an endpoint may make an event wait: it is then as if it had asked for this. */
#define RETRY_AFTER_MS_MAX ((int64_t)24 * 3600 * 1000)

/* What holds for a handler: its own retry, else its policy's, else the presets. */
struct retry_rule retry_rule_of(const struct flow *flow, const struct flow_handler *handler);

/* Whether no call may follow after so many. */
bool retry_is_over(const struct retry_rule *rule, uint32_t attempts_made);

/* The pause after attempts_made (at least 1) failed calls, in ms. asked_ms: what the endpoint has
 * asked for, 0: nothing. */
int64_t retry_pause_ms(const struct retry_rule *rule, uint32_t attempts_made, int64_t asked_ms,
                       const struct os_random *random);

#endif
