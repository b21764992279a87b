/*
 * regex: regular expressions from outside, matched in bounded work.
 *
 * Kafka takes RE2's syntax here; PCRE2 knows all of it and a little more (look-around, references).
 * One thread at a time may use an expression.
 */
#ifndef HEADRACE_BASE_REGEX_H
#define HEADRACE_BASE_REGEX_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct regex;

/* Compiles a pattern of UTF-8. The caller ends with regex_free. ERR_INVALID, ERR_NO_MEMORY. */
MUST_USE struct err regex_compile(struct span pattern, struct regex **out);

/* Whether the expression matches the whole text; false also where that takes too much work. */
bool regex_matches(struct regex *regex, struct span text);

/* NULL is taken and ignored. */
void regex_free(struct regex *regex);

#endif
