/*
 * problem: what is wrong with a flow file, told all at once.
 *
 * Errors make the file unusable; warnings are for whoever wrote it. A place counts lines and
 * columns from 1, as editors do; line 0 is the file as a whole.
 */
#ifndef HEADRACE_FLOW_PROBLEM_H
#define HEADRACE_FLOW_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* More than anybody reads at once; the rest is counted. */
#define FLOW_PROBLEM_COUNT_MAX 40

/* One sentence; longer ones are cut. */
#define FLOW_PROBLEM_SIZE_MAX 320

struct flow_place {
    uint32_t line;
    uint32_t column;
};

struct flow_problem {
    struct flow_place place;
    bool is_warning;
    char text[FLOW_PROBLEM_SIZE_MAX];
};

struct flow_problems {
    struct flow_problem
        items[FLOW_PROBLEM_COUNT_MAX]; /* in the order of their places once sorted */
    size_t count;
    size_t error_count; /* the untold included */
    size_t untold_count;
};

void flow_complain(struct flow_problems *problems, struct flow_place place, const char *format, ...)
    PRINTF_LIKE(3, 4);
void flow_warn(struct flow_problems *problems, struct flow_place place, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Puts them in the order in which they stand in the file; of one place, errors first. */
void flow_problems_sort(struct flow_problems *problems);

#endif
