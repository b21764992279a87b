/* cluster_health: `headrace cluster health`: what is wrong, for people and for scripts. */
#include "cli/commands.h"
#include "cli/table.h"

static struct err run(struct session *session)
{
    static const char *const columns[] = {"TOPIC", "#PARTITION", "PROBLEM"};
    struct client_cluster cluster;
    TRY(client_cluster(session->client, NULL, &session->arena, &cluster, &session->diag));
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < cluster.topic_count; i++) {
        const struct client_topic *topic = &cluster.topics[i];
        for (size_t j = 0; j < topic->partition_count; j++) {
            const struct client_partition *partition = &topic->partitions[j];
            bool is_led = partition->leader >= 0;
            if (is_led && partition->insync_count >= partition->replica_count)
                continue;
            const char *cells[] = {topic->name, table_print(session, "%d", partition->id),
                                   is_led ? "under-replicated" : "no leader"};
            TRY(table_add(&table, cells));
        }
    }
    if (table.row_count > 0)
        session->code = EXIT_FAILED;
    if (table.row_count > 0 || session->format == OUTPUT_JSON)
        TRY(table_write(&table));
    else
        TRY(buf_print(&session->out, "healthy: %zu broker%s, %zu topic%s\n", cluster.broker_count,
                      cluster.broker_count == 1 ? "" : "s", cluster.topic_count,
                      cluster.topic_count == 1 ? "" : "s"));
    return session_print(session);
}

const struct command cluster_health_command = {
    .words = "cluster health",
    .arguments = "",
    .summary = "Say whether every partition is led and fully replicated.",
    .doc = "Exit codes: 0 healthy, 1 not, 3 no server answers.",
    .size = sizeof(struct session),
    .run = run,
};
