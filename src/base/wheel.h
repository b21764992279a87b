/*
 * wheel: timers that cost nothing to set, move and cancel.
 *
 * Hierarchical: level n has 64 slots of 64^n milliseconds. A timer sits in the finest level that
 * reaches its due time and moves down as that comes near, so each is touched at most LEVELS times.
 * Setting a timer allocates nothing and cannot fail; the timer lives in its user's struct.
 *
 * Invariants:
 *  1. now_ms never goes back, and no timer is due before it except those being fired.
 *  2. A timer fires once per setting, never before its due time, in the first wheel_advance at or
 *     after it.
 *
 *  3. A timer that is set again while it fires is due a millisecond later at the earliest.
 *
 * One thread, or under the owner's lock; timers fire on the thread that advances.
 */
#ifndef HEADRACE_BASE_WHEEL_H
#define HEADRACE_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define WHEEL_LEVEL_COUNT 6
#define WHEEL_SLOT_COUNT 64

struct timer {
    struct list link;
    int64_t due_ms;
    void (*fire)(struct timer *timer);
};

struct wheel {
    int64_t now_ms;
    bool is_turning; /* timers are being fired */
    struct list slots[WHEEL_LEVEL_COUNT][WHEEL_SLOT_COUNT];
    uint64_t used[WHEEL_LEVEL_COUNT]; /* bit s: slot s may hold timers */
};

/* now_ms: the clock's monotonic milliseconds. */
void wheel_init(struct wheel *wheel, int64_t now_ms);

/* Prepares a timer that is not set. fire may set it again, or free its struct. */
void timer_init(struct timer *timer, void (*fire)(struct timer *timer));

/* Sets or moves the timer. A due time that has passed fires at the next advance. */
void wheel_set(struct wheel *wheel, struct timer *timer, int64_t due_ms);

/* Takes the timer off the wheel; harmless when it is not set. */
void timer_cancel(struct timer *timer);

bool timer_is_set(const struct timer *timer);

/* Moves to now_ms and fires what is due. */
void wheel_advance(struct wheel *wheel, int64_t now_ms);

/* Milliseconds from now_ms in which nothing can be due, at least 0; -1 when no timer is set. */
int64_t wheel_wait_ms(const struct wheel *wheel);

#endif
