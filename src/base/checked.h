/*
 * checked: arithmetic on numbers that came from outside or that size an allocation.
 *
 * Each returns false and leaves *out alone where the true result does not fit.
 */
#ifndef HEADRACE_BASE_CHECKED_H
#define HEADRACE_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CHECKED_PAIR(name, type)                                                                   \
    MUST_USE static inline bool checked_add_##name(type a, type b, type *out)                      \
    {                                                                                              \
        type sum;                                                                                  \
        if (__builtin_add_overflow(a, b, &sum))                                                    \
            return false;                                                                          \
        *out = sum;                                                                                \
        return true;                                                                               \
    }                                                                                              \
    MUST_USE static inline bool checked_mul_##name(type a, type b, type *out)                      \
    {                                                                                              \
        type product;                                                                              \
        if (__builtin_mul_overflow(a, b, &product))                                                \
            return false;                                                                          \
        *out = product;                                                                            \
        return true;                                                                               \
    }

CHECKED_PAIR(i32, int32_t)
CHECKED_PAIR(i64, int64_t)
CHECKED_PAIR(u32, uint32_t)
CHECKED_PAIR(size, size_t)

MUST_USE static inline bool checked_cast_i32(int64_t value, int32_t *out)
{
    if (value < INT32_MIN || value > INT32_MAX)
        return false;
    *out = (int32_t)value;
    return true;
}

MUST_USE static inline bool checked_cast_u32(uint64_t value, uint32_t *out)
{
    if (value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

#endif
