/*
 * table: rows for people, or the same as JSON for programs.
 *
 * A column whose name starts with '#' holds numbers: right-aligned, and unquoted in JSON; "-" there
 * is none, null in JSON. JSON's names are the columns' in small letters.
 */
#ifndef HEADRACE_CLI_TABLE_H
#define HEADRACE_CLI_TABLE_H

#include "cli/session.h"

#define TABLE_COLUMN_COUNT_MAX 12

struct table {
    struct session *session;
    const char *const *columns;
    size_t column_count;
    const char **cells; /* row by row, in the session's arena */
    size_t row_count;
    size_t row_capacity;
};

/* columns live as long as the table; at most TABLE_COLUMN_COUNT_MAX. */
void table_init(struct table *table, struct session *session, const char *const *columns,
                size_t column_count);

/* Adds a row of column_count cells, which live as long as the session. ERR_NO_MEMORY. */
MUST_USE struct err table_add(struct table *table, const char *const *cells);

/* Appends the table to session->out: aligned text, or a JSON array of objects. */
MUST_USE struct err table_write(const struct table *table);

/* Prints into the session's arena, for cells; "?" when memory is out. */
const char *table_print(struct session *session, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
