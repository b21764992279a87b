/* topic_list: `headrace topic list`. */
#include "cli/commands.h"
#include "cli/table.h"

struct list_topics {
    struct session session;
    bool is_all;
};

static const struct argp_option options[] = {
    {"all", 'a', NULL, 0, "Internal topics too (their names start with __)", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    (void)argument;
    if (key != 'a')
        return err_make(ERR_UNSUPPORTED);
    ((struct list_topics *)session)->is_all = true;
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    static const char *const columns[] = {"TOPIC", "#PARTITIONS", "#REPLICAS"};
    struct client_cluster cluster;
    TRY(client_cluster(session->client, NULL, &session->arena, &cluster, &session->diag));
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < cluster.topic_count; i++) {
        const struct client_topic *topic = &cluster.topics[i];
        if (!((struct list_topics *)session)->is_all && strncmp(topic->name, "__", 2) == 0)
            continue;
        size_t replicas = topic->partition_count > 0 ? topic->partitions[0].replica_count : 0;
        const char *cells[] = {topic->name, table_print(session, "%zu", topic->partition_count),
                               table_print(session, "%zu", replicas)};
        TRY(table_add(&table, cells));
    }
    TRY(table_write(&table));
    return session_print(session);
}

const struct command topic_list_command = {
    .words = "topic list",
    .arguments = "",
    .summary = "List topics.",
    .options = options,
    .size = sizeof(struct list_topics),
    .option = option,
    .run = run,
};
