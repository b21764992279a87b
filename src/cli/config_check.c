/* config_check: `headrace config check`: what a server.properties means here. */
#include "broker/config.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text_file.h"

struct check {
    struct session session;
    struct config config;
    bool is_short;
};

static const struct argp_option options[] = {
    {"given", 'g', NULL, 0, "Only what the file sets, no defaults", 0},
    {"format", 'f', "table|json", 0, "How to print them", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    if (key == 'f')
        return session_format(session, argument);
    if (key != 'g')
        return err_make(ERR_UNSUPPORTED);
    ((struct check *)session)->is_short = true;
    return ERR_NONE;
}

static struct err show(struct check *check)
{
    static const char *const columns[] = {"PROPERTY", "VALUE", "FROM"};
    struct session *session = &check->session;
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (enum config_id id = 0; id < CONFIG_ID_COUNT; id++) {
        const struct config_value *value = &check->config.values[id];
        if (check->is_short && value->source == CONFIG_FROM_DEFAULT)
            continue;
        char source[32];
        const char *cells[] = {config_def_of(id)->name, value->text == NULL ? "" : value->text,
                               table_print(session, "%s", config_source_text(value, source))};
        TRY(table_add(&table, cells));
    }
    TRY(table_write(&table));
    return session_print(session);
}

static void warn(const struct buf *warnings)
{
    struct span rest = buf_span(warnings);
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
        session_complain("warning: %.*s", (int)size, (const char *)rest.data);
        size_t taken = size + (end != NULL);
        rest = span_make(rest.data + taken, rest.size - taken);
    }
}

static struct err run(struct session *session)
{
    struct check *check = (struct check *)session;
    const char *path = session->words[0];
    struct span text;
    TRY(diag_wrap(&session->diag, text_file_read(&session->arena, path, &text, &session->diag),
                  "%s", path));
    struct err err = config_init(&check->config);
    if (!err_failed(err))
        err = config_read_properties(&check->config, text, &session->diag);
    if (!err_failed(err))
        err = config_validate(&check->config, &session->diag);
    warn(&check->config.warnings);
    err = diag_wrap(&session->diag, err, "%s", path);
    if (!err_failed(err))
        err = show(check);
    config_deinit(&check->config);
    return err;
}

const struct command config_check_command = {
    .words = "config check",
    .arguments = "FILE",
    .summary = "Show what a server.properties means, and what is wrong with it.",
    .doc = "Warnings name properties that mean nothing on one machine. Exit code 1: serve would "
           "refuse the file.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct check),
    .is_offline = true,
    .option = option,
    .run = run,
};
