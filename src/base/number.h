/* number: decimal numbers as machines write them: digits and nothing else. */
#ifndef HEADRACE_BASE_NUMBER_H
#define HEADRACE_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* Reads a number from 0 to INT64_MAX; false: the text is none. */
static inline bool number_read(struct span text, int64_t *out)
{
    int64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        int digit = text.data[i] - '0';
        if (digit < 0 || digit > 9 || number > (INT64_MAX - digit) / 10)
            return false;
        number = 10 * number + digit;
    }
    *out = number;
    return text.size > 0;
}

#endif
