/*
 * filter: a virtual table of one row, and a prepared statement over it.
 *
 * SQLite must know a table's columns before it compiles an expression, but which fields an event
 * has is known to nobody. So the expression is compiled again and again: each name that SQLite
 * misses becomes a column, until it misses none.
 */
#include "flow/sql/filter.h"

#include <errno.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "base/check.h"
#include "base/json.h"

#define MISSING "no such column: "

/* Data, headers, and what is read of them. */
#define FILTER_ARENA_SIZE_MAX ((size_t)512 * 1024 * 1024)

/* How often the end of an evaluation is looked for. */
#define PROGRESS_STEPS 10000

enum column {
    COLUMN_TOPIC,
    COLUMN_PARTITION,
    COLUMN_OFFSET,
    COLUMN_TIMESTAMP,
    COLUMN_KEY,
    COLUMN_TYPE,
    COLUMN_ID,
    COLUMN_SOURCE,
    COLUMN_SUBJECT,
    COLUMN_TIME,
    COLUMN_HEADERS,
    COLUMN_DATA,
    COLUMN_COUNT
};

static const char *const column_names[COLUMN_COUNT] = {
    "topic", "partition", "offset",  "timestamp", "key",     "type",
    "id",    "source",    "subject", "time",      "headers", "data",
};

struct filter {
    sqlite3 *db;
    sqlite3_stmt *statement;
    char *fields[FILTER_FIELD_COUNT_MAX];
    size_t field_count;
    struct json_reader *json;
    struct arena arena;
    /* The row, while it is matched. */
    const struct client_message *message;
    const struct cloudevent *event;
    struct json_value data; /* no members where it is no object */
    bool is_data_read;
    int64_t steps_left;
};

/* SQLite's structs, ours behind theirs. */
struct event_table {
    sqlite3_vtab base;
    struct filter *filter;
};

struct event_cursor {
    sqlite3_vtab_cursor base;
    bool is_over;
};

/* --- values ------------------------------------------------------------------------------- */

static void give_text(sqlite3_context *to, struct span text)
{
    if (span_is_null(text))
        sqlite3_result_null(to);
    else
        sqlite3_result_text64(to, (const char *)text.data, text.size, SQLITE_TRANSIENT,
                              SQLITE_UTF8);
}

/* Whole numbers that fit stay whole. */
static void give_number(sqlite3_context *to, struct span text)
{
    char digits[64];
    size_t size = text.size < sizeof digits - 1 ? text.size : sizeof digits - 1;
    memcpy(digits, text.data, size);
    digits[size] = '\0';
    char *end;
    errno = 0;
    long long whole = strtoll(digits, &end, 10);
    if (errno == 0 && *end == '\0' && size == text.size)
        sqlite3_result_int64(to, whole);
    else
        sqlite3_result_double(to, strtod(digits, NULL));
}

static void give_member(sqlite3_context *to, const struct json_member *member)
{
    if (member == NULL || member->kind == JSON_NULL)
        sqlite3_result_null(to);
    else if (member->kind == JSON_NUMBER)
        give_number(to, member->text);
    else if (member->kind == JSON_BOOL)
        sqlite3_result_int(to, member->text.data[0] == 't');
    else
        give_text(to, member->text);
}

static struct err write_headers(const struct client_message *message, struct buf *out)
{
    TRY(buf_append(out, "{", 1));
    for (size_t i = 0; i < message->header_count; i++) {
        if (i > 0)
            TRY(buf_append(out, ",", 1));
        TRY(json_write_text(out, message->headers[i].name));
        TRY(buf_append(out, ":", 1));
        TRY(json_write_bytes(out, message->headers[i].value));
    }
    return buf_append(out, "}", 1);
}

static void give_headers(sqlite3_context *to, const struct client_message *message)
{
    struct buf text;
    buf_init(&text, FILTER_ARENA_SIZE_MAX);
    if (err_failed(write_headers(message, &text)))
        sqlite3_result_error_nomem(to);
    else
        give_text(to, buf_span(&text));
    buf_deinit(&text);
}

static int give_field(struct filter *filter, sqlite3_context *to, const char *name)
{
    if (!filter->is_data_read) {
        filter->is_data_read = true;
        struct err err =
            json_read(filter->json, filter->event->data, &filter->arena, &filter->data);
        if (err_is(err, ERR_NO_MEMORY))
            return SQLITE_NOMEM;
        if (err_failed(err) || filter->data.kind != JSON_OBJECT)
            filter->data = (struct json_value){0};
    }
    give_member(to, json_find(&filter->data, name));
    return SQLITE_OK;
}

static int give_column(sqlite3_vtab_cursor *cursor, sqlite3_context *to, int index)
{
    struct filter *filter = ((struct event_table *)cursor->pVtab)->filter;
    const struct client_message *message = filter->message;
    const struct cloudevent *event = filter->event;
    if (index >= COLUMN_COUNT)
        return give_field(filter, to, filter->fields[index - COLUMN_COUNT]);
    switch ((enum column)index) {
    case COLUMN_TOPIC:
        give_text(to, span_text(message->topic));
        break;
    case COLUMN_PARTITION:
        sqlite3_result_int(to, message->partition);
        break;
    case COLUMN_OFFSET:
        sqlite3_result_int64(to, message->offset);
        break;
    case COLUMN_TIMESTAMP:
        sqlite3_result_int64(to, message->timestamp_ms);
        break;
    case COLUMN_KEY:
        give_text(to, message->key);
        break;
    case COLUMN_TYPE:
        give_text(to, event->type);
        break;
    case COLUMN_ID:
        give_text(to, event->id);
        break;
    case COLUMN_SOURCE:
        give_text(to, event->source);
        break;
    case COLUMN_SUBJECT:
    case COLUMN_TIME:
        give_text(to, cloudevent_attribute(event, column_names[index]));
        break;
    case COLUMN_HEADERS:
        give_headers(to, message);
        break;
    case COLUMN_DATA:
        give_text(to, event->data);
        break;
    case COLUMN_COUNT:
        break;
    }
    return SQLITE_OK;
}

/* --- the virtual table -------------------------------------------------------------------- */

static int table_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **words)
{
    struct filter *filter = context;
    (void)argc;
    (void)argv;
    (void)words;
    sqlite3_str *text = sqlite3_str_new(db);
    sqlite3_str_appendall(text, "CREATE TABLE event(");
    for (int i = 0; i < COLUMN_COUNT; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i == 0 ? "" : ",", column_names[i]);
    for (size_t i = 0; i < filter->field_count; i++)
        sqlite3_str_appendf(text, ",\"%w\"", filter->fields[i]);
    sqlite3_str_appendall(text, ")");
    char *declaration = sqlite3_str_finish(text);
    struct event_table *table = sqlite3_malloc64(sizeof *table);
    int code =
        declaration == NULL || table == NULL ? SQLITE_NOMEM : sqlite3_declare_vtab(db, declaration);
    sqlite3_free(declaration);
    if (code != SQLITE_OK) {
        sqlite3_free(table);
        return code;
    }
    *table = (struct event_table){.filter = filter};
    *out = &table->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

static int table_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    info->estimatedCost = 1;
    info->estimatedRows = 1;
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
    (void)table;
    struct event_cursor *cursor = sqlite3_malloc64(sizeof *cursor);
    if (cursor == NULL)
        return SQLITE_NOMEM;
    *cursor = (struct event_cursor){.is_over = true};
    *out = &cursor->base;
    return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *cursor)
{
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int table_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int argc,
                        sqlite3_value **argv)
{
    (void)number;
    (void)text;
    (void)argc;
    (void)argv;
    ((struct event_cursor *)cursor)->is_over = false;
    return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *cursor)
{
    ((struct event_cursor *)cursor)->is_over = true;
    return SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *cursor)
{
    return ((struct event_cursor *)cursor)->is_over;
}

static int table_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
    (void)cursor;
    *out = 1;
    return SQLITE_OK;
}

static const sqlite3_module event_module = {
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xOpen = table_open,
    .xClose = table_close,
    .xFilter = table_filter,
    .xNext = table_next,
    .xEof = table_eof,
    .xColumn = give_column,
    .xRowid = table_rowid,
};

/* --- compiling ---------------------------------------------------------------------------- */

/* Whatever is more than looking at the event is refused. */
static int authorize(void *context, int action, const char *first, const char *second,
                     const char *third, const char *fourth)
{
    (void)context;
    (void)third;
    (void)fourth;
    bool is_loading =
        action == SQLITE_FUNCTION && second != NULL &&
        (strcmp(second, "load_extension") == 0 || strcmp(second, "fts3_tokenizer") == 0);
    bool is_other_table = action == SQLITE_READ && first != NULL && strcmp(first, "event") != 0;
    bool is_fine =
        (action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION) &&
        !is_loading && !is_other_table;
    return is_fine ? SQLITE_OK : SQLITE_DENY;
}

static int watch_steps(void *context)
{
    struct filter *filter = context;
    filter->steps_left -= PROGRESS_STEPS;
    return filter->steps_left < 0;
}

/* Makes a column of the name that SQLite misses. False: it is no such complaint, or too many. */
static struct err add_field(struct filter *filter, const char *words, bool *is_added)
{
    *is_added = false;
    if (strncmp(words, MISSING, sizeof MISSING - 1) != 0 ||
        filter->field_count == FILTER_FIELD_COUNT_MAX)
        return ERR_NONE;
    const char *name = words + sizeof MISSING - 1;
    size_t size = strlen(name);
    if (size >= 2 && name[0] == '"' && name[size - 1] == '"') {
        name++;
        size -= 2;
    } else if (strchr(name, '.') != NULL) {
        return ERR_NONE;
    }
    char *field = strndup(name, size);
    if (field == NULL)
        return err_make(ERR_NO_MEMORY);
    filter->fields[filter->field_count++] = field;
    *is_added = true;
    return ERR_NONE;
}

/* Declares the table anew, with the fields that are known by now. Nobody authorises that: it is us.
 */
static struct err declare(struct filter *filter)
{
    sqlite3_stmt *ignored = NULL;
    (void)sqlite3_set_authorizer(filter->db, NULL, NULL);
    int code = sqlite3_create_module_v2(filter->db, "event", &event_module, filter, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(filter->db, "SELECT 1 FROM event", -1, &ignored, NULL);
    (void)sqlite3_finalize(ignored);
    (void)sqlite3_set_authorizer(filter->db, authorize, NULL);
    return code == SQLITE_OK ? ERR_NONE : err_make(ERR_NO_MEMORY);
}

static struct err compile(struct filter *filter, const char *statement, struct diag *diag)
{
    bool is_added = true;
    while (is_added) {
        const char *rest = "";
        TRY(declare(filter));
        int code = sqlite3_prepare_v3(filter->db, statement, -1, SQLITE_PREPARE_PERSISTENT,
                                      &filter->statement, &rest);
        if (code == SQLITE_OK && *rest == '\0' && sqlite3_column_count(filter->statement) == 1)
            return ERR_NONE;
        if (code == SQLITE_OK)
            return diag_fail(diag, ERR_INVALID, "it is more than one expression");
        if (code == SQLITE_NOMEM)
            return err_make(ERR_NO_MEMORY);
        TRY(add_field(filter, sqlite3_errmsg(filter->db), &is_added));
    }
    const char *words = sqlite3_errmsg(filter->db);
    if (strncmp(words, MISSING, sizeof MISSING - 1) == 0 && strchr(words, '.') != NULL)
        return diag_fail(diag, ERR_INVALID, "%s: a field in a field is data ->> '$.field.field'",
                         words);
    return diag_fail(diag, ERR_INVALID, "%s", words);
}

static struct err open_database(struct filter *filter)
{
    if (sqlite3_open_v2(":memory:", &filter->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return err_make(ERR_NO_MEMORY);
    /* "name" is a name and never a text: otherwise a misspelt one would be compared as a text. */
    (void)sqlite3_db_config(filter->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(filter->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_progress_handler(filter->db, PROGRESS_STEPS, watch_steps, filter);
    return json_reader_create(&filter->json);
}

struct err filter_create(const char *expression, struct filter **out, struct diag *diag)
{
    struct filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL)
        return err_make(ERR_NO_MEMORY);
    arena_init(&filter->arena, FILTER_ARENA_SIZE_MAX);
    filter->steps_left = FILTER_STEP_COUNT_MAX;
    struct err err = open_database(filter);
    char *statement = sqlite3_mprintf("SELECT (%s) FROM event", expression);
    if (!err_failed(err))
        err = statement == NULL ? err_make(ERR_NO_MEMORY) : compile(filter, statement, diag);
    sqlite3_free(statement);
    if (err_failed(err)) {
        filter_destroy(filter);
        return err;
    }
    *out = filter;
    return ERR_NONE;
}

void filter_destroy(struct filter *filter)
{
    if (filter == NULL)
        return;
    (void)sqlite3_finalize(filter->statement);
    CHECK(sqlite3_close(filter->db) == SQLITE_OK);
    for (size_t i = 0; i < filter->field_count; i++)
        free(filter->fields[i]);
    json_reader_destroy(filter->json);
    arena_deinit(&filter->arena);
    free(filter);
}

struct err filter_match(struct filter *filter, const struct client_message *message,
                        const struct cloudevent *event, bool *out, struct diag *diag)
{
    arena_reset(&filter->arena);
    filter->message = message;
    filter->event = event;
    filter->is_data_read = false;
    filter->steps_left = FILTER_STEP_COUNT_MAX;
    int code = sqlite3_step(filter->statement);
    bool is_true = code == SQLITE_ROW && sqlite3_column_type(filter->statement, 0) != SQLITE_NULL &&
                   sqlite3_column_double(filter->statement, 0) != 0;
    struct err err = ERR_NONE;
    if (code == SQLITE_NOMEM)
        err = err_make(ERR_NO_MEMORY);
    else if (code != SQLITE_ROW)
        err = diag_fail(diag, ERR_INVALID, "%s", sqlite3_errmsg(filter->db));
    (void)sqlite3_reset(filter->statement);
    if (!err_failed(err))
        *out = is_true;
    return err;
}
