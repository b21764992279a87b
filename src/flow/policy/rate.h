/*
 * rate: no more calls than so many a minute.
 *
 * Calls are spaced evenly; what was not used in the last RATE_BURST_MS may be caught up with.
 * Arithmetic only: the caller says what time it is, by a clock that does not jump.
 */
#ifndef HEADRACE_FLOW_POLICY_RATE_H
#define HEADRACE_FLOW_POLICY_RATE_H

#include <stdint.h>

#define RATE_BURST_MS 100

struct rate {
    int64_t interval_us; /* between two calls; 0: no limit */
    int64_t next_us;     /* when the next one is due */
};

/* per_minute: 0 is no limit. */
static inline void rate_init(struct rate *rate, int64_t per_minute)
{
    rate->interval_us = per_minute == 0 ? 0 : 60000000 / per_minute;
    rate->next_us = 0;
}

/* Milliseconds until a call may be made, rounded up; 0: now. */
static inline int64_t rate_wait_ms(const struct rate *rate, int64_t now_us)
{
    return rate->interval_us == 0 || rate->next_us <= now_us
               ? 0
               : (rate->next_us - now_us + 999) / 1000;
}

/* A call is made. */
static inline void rate_take(struct rate *rate, int64_t now_us)
{
    int64_t oldest = now_us - (int64_t)RATE_BURST_MS * 1000;
    rate->next_us = (rate->next_us < oldest ? oldest : rate->next_us) + rate->interval_us;
}

#endif
