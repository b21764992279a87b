/* topic_describe: `headrace topic describe`: partitions, their leaders and offsets. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/places.h"
#include "cli/table.h"

static struct err run(struct session *session)
{
    static const char *const columns[] = {"TOPIC",   "#PARTITION", "#LEADER", "#REPLICAS",
                                          "#INSYNC", "#EARLIEST",  "#LATEST", "#MESSAGES"};
    struct table table;
    table_init(&table, session, columns, sizeof columns / sizeof columns[0]);
    for (size_t word = 0; word < session->word_count; word++) {
        struct client_cluster cluster;
        TRY(client_cluster(session->client, session->words[word], &session->arena, &cluster,
                           &session->diag));
        const struct client_topic *topic = &cluster.topics[0];
        struct client_offset *earliest;
        struct client_offset *latest;
        TRY(places_find(session, topic, CLIENT_OFFSET_EARLIEST, &earliest));
        TRY(places_find(session, topic, CLIENT_OFFSET_LATEST, &latest));
        for (size_t i = 0; i < topic->partition_count; i++) {
            const struct client_partition *partition = &topic->partitions[i];
            const char *cells[] = {
                topic->name,
                table_print(session, "%d", partition->id),
                table_print(session, "%d", partition->leader),
                table_print(session, "%zu", partition->replica_count),
                table_print(session, "%zu", partition->insync_count),
                table_print(session, "%" PRId64, earliest[i].offset),
                table_print(session, "%" PRId64, latest[i].offset),
                table_print(session, "%" PRId64, latest[i].offset - earliest[i].offset),
            };
            TRY(table_add(&table, cells));
        }
    }
    TRY(table_write(&table));
    return session_print(session);
}

const struct command topic_describe_command = {
    .words = "topic describe",
    .arguments = "TOPIC...",
    .summary = "Show partitions, leaders and offsets of topics.",
    .doc = "MESSAGES is LATEST less EARLIEST: compaction and transactions leave fewer.",
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .size = sizeof(struct session),
    .run = run,
};
