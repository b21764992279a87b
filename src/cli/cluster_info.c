/* cluster_info: `headrace cluster info`: the brokers. */
#include "cli/commands.h"
#include "cli/table.h"

static struct err run(struct session *session)
{
    static const char *const columns[] = {"#ID", "HOST", "#PORT", "CONTROLLER", "CLUSTER"};
    struct client_cluster cluster;
    TRY(client_cluster(session->client, NULL, &session->arena, &cluster, &session->diag));
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < cluster.broker_count; i++) {
        const struct client_broker *broker = &cluster.brokers[i];
        const char *cells[] = {table_print(session, "%d", broker->id), broker->host,
                               table_print(session, "%d", broker->port),
                               broker->id == cluster.controller ? "yes" : "no", cluster.id};
        TRY(table_add(&table, cells));
    }
    TRY(table_write(&table));
    return session_print(session);
}

const struct command cluster_info_command = {
    .words = "cluster info",
    .arguments = "",
    .summary = "Show the cluster's id and brokers.",
    .size = sizeof(struct session),
    .run = run,
};
