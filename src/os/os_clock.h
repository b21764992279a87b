/* os_clock: what time it is. */
#ifndef HEADRACE_OS_OS_CLOCK_H
#define HEADRACE_OS_OS_CLOCK_H

#include <stdint.h>

struct os_clock {
    void *self;
    int64_t (*mono_us)(void *self);
    int64_t (*wall_ms)(void *self);
};

/* Microseconds since some fixed moment; never goes back. For durations and timers. */
static inline int64_t clock_mono_us(const struct os_clock *clock)
{
    return clock->mono_us(clock->self);
}

static inline int64_t clock_mono_ms(const struct os_clock *clock)
{
    return clock->mono_us(clock->self) / 1000;
}

/* Milliseconds since 1970-01-01 UTC; may jump. For timestamps that people and records see. */
static inline int64_t clock_wall_ms(const struct os_clock *clock)
{
    return clock->wall_ms(clock->self);
}

#endif
