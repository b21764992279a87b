/* topic_config: `headrace topic config`: shows a topic's configs, or changes some. */
#include "cli/commands.h"
#include "cli/table.h"

#define CHANGE_COUNT_MAX 64

struct configure {
    struct session session;
    struct client_property changes[CHANGE_COUNT_MAX];
    size_t change_count;
    bool is_all;
};

enum key { KEY_ALL = 'a', KEY_SET = 's', KEY_UNSET = 'u' };

static const struct argp_option options[] = {
    {"set-config", KEY_SET, "KEY=VALUE", 0, "Set a config; may be repeated", 0},
    {"unset-config", KEY_UNSET, "KEY", 0, "Go back to the default; may be repeated", 0},
    {"all", KEY_ALL, NULL, 0, "Show defaults too", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    struct configure *configure = (struct configure *)session;
    if (key == KEY_ALL) {
        configure->is_all = true;
        return ERR_NONE;
    }
    if (key != KEY_SET && key != KEY_UNSET)
        return err_make(ERR_UNSUPPORTED);
    if (configure->change_count == CHANGE_COUNT_MAX)
        return diag_fail(&session->diag, ERR_LIMIT, "more than %d changes", CHANGE_COUNT_MAX);
    struct client_property *change = &configure->changes[configure->change_count++];
    if (key == KEY_SET)
        return session_pair(session, "--set-config", argument, change);
    *change = (struct client_property){argument, NULL};
    return ERR_NONE;
}

static struct err show(struct session *session, const char *topic)
{
    static const char *const columns[] = {"CONFIG", "VALUE", "FROM"};
    struct client_config *configs;
    size_t count;
    TRY(diag_wrap(
        &session->diag,
        client_configs(session->client, topic, &session->arena, &configs, &count, &session->diag),
        "topic %s", topic));
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        if (configs[i].is_default && !((struct configure *)session)->is_all)
            continue;
        const char *cells[] = {configs[i].name, configs[i].value == NULL ? "" : configs[i].value,
                               configs[i].source};
        TRY(table_add(&table, cells));
    }
    TRY(table_write(&table));
    return session_print(session);
}

static struct err run(struct session *session)
{
    struct configure *configure = (struct configure *)session;
    const char *topic = session->words[0];
    if (configure->change_count == 0)
        return show(session, topic);
    return diag_wrap(&session->diag,
                     client_configs_change(session->client, topic, configure->changes,
                                           configure->change_count, &session->diag),
                     "topic %s", topic);
}

const struct command topic_config_command = {
    .words = "topic config",
    .arguments = "TOPIC",
    .summary = "Show or change a topic's configs.",
    .doc = "Without changes, shows what was set for this topic; with --all, every config.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct configure),
    .option = option,
    .run = run,
};
