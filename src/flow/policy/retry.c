/* retry: exponential backoff with full jitter. */
#include "flow/policy/retry.h"

#include "base/check.h"
#include "flow/value.h"

struct retry_rule retry_rule_of(const struct flow *flow, const struct flow_handler *handler)
{
    const struct flow_retry *retry = handler->retry;
    if (retry == NULL && handler->policy.text != NULL)
        retry = flow_find_policy(flow, handler->policy.text)->retry;
    if (retry == NULL)
        return (struct retry_rule){
            .attempts_max = (uint32_t)flow_preset_number(&shape_retry, "attempts"),
            .backoff_ms = flow_preset_number(&shape_retry, "backoff"),
            .pause_ms_max = flow_preset_number(&shape_retry, "max"),
        };
    return (struct retry_rule){.attempts_max = (uint32_t)retry->attempts.number,
                               .backoff_ms = retry->backoff.number,
                               .pause_ms_max = retry->max.number};
}

bool retry_is_over(const struct retry_rule *rule, uint32_t attempts_made)
{
    return attempts_made >= rule->attempts_max;
}

/* backoff * 2^(n-1), at most max. */
static int64_t ceiling_ms(const struct retry_rule *rule, uint32_t attempts_made)
{
    int64_t pause_ms = rule->backoff_ms;
    for (uint32_t i = 1; i < attempts_made && pause_ms < rule->pause_ms_max; i++)
        pause_ms = pause_ms > rule->pause_ms_max / 2 ? rule->pause_ms_max : 2 * pause_ms;
    return pause_ms < rule->pause_ms_max ? pause_ms : rule->pause_ms_max;
}

int64_t retry_pause_ms(const struct retry_rule *rule, uint32_t attempts_made, int64_t asked_ms,
                       const struct os_random *random)
{
    CHECK(attempts_made >= 1);
    CHECK(rule->backoff_ms >= 1 && rule->pause_ms_max >= rule->backoff_ms);
    uint64_t ceiling = (uint64_t)ceiling_ms(rule, attempts_made);
    int64_t drawn_ms = (int64_t)(random_u64(random) % (ceiling + 1));
    int64_t least_ms = asked_ms < RETRY_AFTER_MS_MAX ? asked_ms : RETRY_AFTER_MS_MAX;
    return drawn_ms > least_ms ? drawn_ms : least_ms;
}
