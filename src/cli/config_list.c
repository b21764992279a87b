/* config_list: `headrace config list`: every property there is, and what it means here. */
#include "broker/topic_config.h"
#include "cli/commands.h"
#include "cli/table.h"

struct list {
    struct session session;
    bool is_whole;
    struct table table;
};

static const struct argp_option options[] = {
    {"all", 'a', NULL, 0, "Also those of Kafka's that mean nothing here, and why", 0},
    {"format", 'f', "table|json", 0, "How to print them", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    if (key == 'f')
        return session_format(session, argument);
    if (key != 'a')
        return err_make(ERR_UNSUPPORTED);
    ((struct list *)session)->is_whole = true;
    return ERR_NONE;
}

/* The config that a topic may have instead; "" where there is none. */
static const char *topic_name_of(enum config_id id)
{
    for (enum topic_config_id topic = 0; topic < TOPIC_CONFIG_ID_COUNT; topic++) {
        if (topic_config_synonym(topic) == id)
            return topic_config_name(topic);
    }
    return "";
}

static struct err list_real(struct list *list)
{
    for (enum config_id id = 0; id < CONFIG_ID_COUNT; id++) {
        const struct config_def *def = config_def_of(id);
        const char *cells[] = {def->name,
                               topic_name_of(id),
                               config_type_name(def->type),
                               def->initial == NULL ? "" : def->initial,
                               "",
                               def->doc};
        TRY(table_add(&list->table, cells));
    }
    return ERR_NONE;
}

static struct err list_known(struct list *list)
{
    const char *name;
    const char *why;
    for (size_t i = 0; config_known_at(i, &name, &why); i++)
        TRY(table_add(&list->table, (const char *[]){name, "", "", "", "no effect", why}));
    for (size_t i = 0; topic_config_refused_at(i, &name, &why); i++)
        TRY(table_add(&list->table, (const char *[]){"", name, "", "", "refused", why}));
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    static const char *const columns[] = {"PROPERTY", "TOPIC-CONFIG", "TYPE",
                                          "DEFAULT",  "EFFECT",       "MEANING"};
    struct list *list = (struct list *)session;
    table_init(&list->table, session, columns, sizeof columns / sizeof columns[0]);
    TRY(list_real(list));
    if (list->is_whole)
        TRY(list_known(list));
    TRY(table_write(&list->table));
    return session_print(session);
}

const struct command config_list_command = {
    .words = "config list",
    .summary = "List every property of server.properties and its meaning.",
    .doc = "A topic may have its own value of a property that has a topic config.",
    .options = options,
    .size = sizeof(struct list),
    .is_offline = true,
    .option = option,
    .run = run,
};
