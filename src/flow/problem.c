/* problem: a bounded list of sentences with places. */
#include "flow/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct flow_problems *problems, struct flow_place place, bool is_warning,
                const char *format, va_list arguments) PRINTF_LIKE(4, 0);

static void add(struct flow_problems *problems, struct flow_place place, bool is_warning,
                const char *format, va_list arguments)
{
    problems->error_count += !is_warning;
    if (problems->count == FLOW_PROBLEM_COUNT_MAX) {
        problems->untold_count++;
        return;
    }
    struct flow_problem *problem = &problems->items[problems->count++];
    problem->place = place;
    problem->is_warning = is_warning;
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
}

void flow_complain(struct flow_problems *problems, struct flow_place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(problems, place, false, format, arguments);
    va_end(arguments);
}

void flow_warn(struct flow_problems *problems, struct flow_place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(problems, place, true, format, arguments);
    va_end(arguments);
}

static int compare_places(const void *left, const void *right)
{
    const struct flow_problem *a = left;
    const struct flow_problem *b = right;
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    if (a->place.column != b->place.column)
        return a->place.column < b->place.column ? -1 : 1;
    if (a->is_warning != b->is_warning)
        return a->is_warning ? 1 : -1;
    return strcmp(a->text, b->text); /* the same order each time */
}

void flow_problems_sort(struct flow_problems *problems)
{
    qsort(problems->items, problems->count, sizeof problems->items[0], compare_places);
}
