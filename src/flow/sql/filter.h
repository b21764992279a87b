/*
 * filter: an SQL expression over one event, by SQLite.
 *
 * Columns are what the record and its CloudEvent have,
 *
 *     topic partition offset timestamp key type id source subject time headers data
 *
 * and any other name is a field of the data, spelt as there, where that is a JSON object; deeper
 * ones are reached by data ->> '$.customer.name'. Numbers, texts and NULL are SQLite's, true and
 * false are 1 and 0, and objects and arrays are their JSON. headers is a JSON object. An event
 * matches where the expression is true; NULL is not.
 *
 * Nothing but the event can be read: no file, no table, no recursion; and an evaluation has an end.
 *
 * One thread at a time.
 */
#ifndef HEADRACE_FLOW_SQL_FILTER_H
#define HEADRACE_FLOW_SQL_FILTER_H

#include "flow/cloudevent.h"

/* Different fields of the data in one expression. */
#define FILTER_FIELD_COUNT_MAX 64

/* Virtual machine steps of one evaluation: far more than an honest expression takes. */
#define FILTER_STEP_COUNT_MAX 10000000

struct filter;

/* ERR_INVALID: diag has SQLite's words about the expression; ERR_NO_MEMORY. */
MUST_USE struct err filter_create(const char *expression, struct filter **out, struct diag *diag);

/* NULL is taken and ignored. */
void filter_destroy(struct filter *filter);

/* Whether the event matches. ERR_INVALID: the expression cannot be evaluated for it; diag says why.
 * ERR_NO_MEMORY. */
MUST_USE struct err filter_match(struct filter *filter, const struct client_message *message,
                                 const struct cloudevent *event, bool *out, struct diag *diag);

#endif
