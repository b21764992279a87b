/* reactor_internal: what the loop and its connections share. */
#ifndef HEADRACE_REACTOR_REACTOR_INTERNAL_H
#define HEADRACE_REACTOR_REACTOR_INTERNAL_H

#include <stdatomic.h>

#include "reactor/reactor.h"

#define REACTOR_MAGIC 0x52454143U /* "REAC" */

struct reactor {
    uint32_t magic;
    const struct os *os;
    int poller;
    int64_t now_ms;
    struct wheel wheel;
    struct os_mutex mail_lock;
    struct list mail;           /* under mail_lock */
    atomic_bool is_wake_needed; /* the thread sleeps or is about to: a sender must wake it */
    struct list connections;
    atomic_int_fast64_t connection_count;
    atomic_int_fast64_t paused_count; /* of these, the ones that are not read */
    struct list dead;                 /* closed connections, freed when the step ends */
    uint8_t *scratch;                 /* READ_SCRATCH_SIZE bytes into which idle connections read */
};

/* Frees the connections that were closed during this step. */
void reactor_bury(struct reactor *reactor);

#endif
