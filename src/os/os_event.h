/*
 * os_event: a descriptor that becomes readable when it is set, for those who wait for other
 * descriptors, too. Real also in the simulator, where nobody waits.
 */
#ifndef HEADRACE_OS_OS_EVENT_H
#define HEADRACE_OS_OS_EVENT_H

#include <stdint.h>

#include "base/err.h"

/* ERR_LIMIT (descriptors). The caller closes it. */
MUST_USE struct err os_event_open(int *event);
void os_event_close(int event);

/* Any thread. */
void os_event_set(int event);

/* Waits until it is set, or the time is over (-1: never). */
void os_event_wait(int event, int64_t timeout_ms);

/* It is not readable until it is set again. */
void os_event_clear(int event);

#endif
