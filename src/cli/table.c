/* table: aligns columns, or writes them as JSON. */
#include "cli/table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/json.h"

#define CELL_SIZE_MAX 1024

void table_init(struct table *table, struct session *session, const char *const *columns,
                size_t column_count)
{
    CHECK(column_count > 0 && column_count <= TABLE_COLUMN_COUNT_MAX);
    *table = (struct table){.session = session, .columns = columns, .column_count = column_count};
}

struct err table_add(struct table *table, const char *const *cells)
{
    size_t width = table->column_count;
    if (table->row_count == table->row_capacity) {
        size_t capacity = table->row_capacity == 0 ? 16 : table->row_capacity * 2;
        const char **grown =
            arena_alloc_array(&table->session->arena, capacity * width, sizeof *grown);
        if (grown == NULL)
            return err_make(ERR_NO_MEMORY);
        if (table->row_count > 0)
            memcpy(grown, table->cells, table->row_count * width * sizeof *grown);
        table->cells = grown;
        table->row_capacity = capacity;
    }
    memcpy(table->cells + table->row_count * width, cells, width * sizeof *cells);
    table->row_count++;
    return ERR_NONE;
}

const char *table_print(struct session *session, const char *format, ...)
{
    char text[CELL_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = arena_copy_text(&session->arena, span_text(text));
    return copy == NULL ? "?" : copy;
}

static bool is_number(const struct table *table, size_t column)
{
    return table->columns[column][0] == '#';
}

static const char *column_name(const struct table *table, size_t column)
{
    return table->columns[column] + is_number(table, column);
}

/* Ends a row; empty cells at its end leave no blanks. */
static struct err end_row(struct buf *out)
{
    while (out->size > 0 && out->data[out->size - 1] == ' ')
        out->size--;
    return buf_append(out, "\n", 1);
}

static struct err write_cell(const struct table *table, size_t column, const char *text,
                             size_t width)
{
    struct buf *out = &table->session->out;
    if (is_number(table, column))
        TRY(buf_print(out, "%*s  ", (int)width, text));
    else
        TRY(buf_print(out, "%-*s  ", (int)width, text));
    return column + 1 == table->column_count ? end_row(out) : ERR_NONE;
}

static struct err write_aligned(const struct table *table)
{
    size_t widths[TABLE_COLUMN_COUNT_MAX];
    for (size_t column = 0; column < table->column_count; column++)
        widths[column] = strlen(column_name(table, column));
    for (size_t at = 0; at < table->row_count * table->column_count; at++) {
        size_t size = strlen(table->cells[at]);
        if (size > widths[at % table->column_count])
            widths[at % table->column_count] = size;
    }
    for (size_t column = 0; column < table->column_count; column++)
        TRY(write_cell(table, column, column_name(table, column), widths[column]));
    for (size_t at = 0; at < table->row_count * table->column_count; at++) {
        size_t column = at % table->column_count;
        TRY(write_cell(table, column, table->cells[at], widths[column]));
    }
    return ERR_NONE;
}

static struct err write_object(const struct table *table, const char *const *cells)
{
    struct buf *out = &table->session->out;
    for (size_t column = 0; column < table->column_count; column++) {
        TRY(buf_print(out, "%s\"", column == 0 ? "{" : ","));
        for (const char *at = column_name(table, column); *at != '\0'; at++)
            TRY(buf_print(out, "%c", *at == '-' ? '_' : tolower((unsigned char)*at)));
        TRY(buf_print(out, "\":"));
        if (is_number(table, column))
            TRY(buf_print(out, "%s", strcmp(cells[column], "-") == 0 ? "null" : cells[column]));
        else
            TRY(json_write_text(out, cells[column]));
    }
    return buf_print(out, "}");
}

struct err table_write(const struct table *table)
{
    struct buf *out = &table->session->out;
    if (table->session->format == OUTPUT_TABLE)
        return write_aligned(table);
    TRY(buf_print(out, "["));
    for (size_t row = 0; row < table->row_count; row++) {
        TRY(buf_print(out, "%s\n ", row == 0 ? "" : ","));
        TRY(write_object(table, table->cells + row * table->column_count));
    }
    return buf_print(out, "%s]\n", table->row_count == 0 ? "" : "\n");
}
