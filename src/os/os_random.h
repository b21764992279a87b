/* os_random: bytes that nobody can guess. */
#ifndef HEADRACE_OS_OS_RANDOM_H
#define HEADRACE_OS_OS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct os_random {
    void *self;
    void (*fill)(void *self, void *bytes, size_t size);
};

/* Fills size bytes. Cannot fail: a system without randomness ends the process. */
static inline void random_fill(const struct os_random *random, void *bytes, size_t size)
{
    random->fill(random->self, bytes, size);
}

static inline uint64_t random_u64(const struct os_random *random)
{
    uint64_t value;
    random->fill(random->self, &value, sizeof value);
    return value;
}

#endif
