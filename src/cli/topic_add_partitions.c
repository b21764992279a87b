/* topic_add_partitions: `headrace topic add-partitions`. */
#include "cli/commands.h"

static struct err run(struct session *session)
{
    const char *topic = session->words[0];
    int64_t more;
    TRY(session_number(session, "COUNT", session->words[1], 1, 1000000, &more));
    struct client_cluster cluster;
    TRY(client_cluster(session->client, topic, &session->arena, &cluster, &session->diag));
    int64_t total = (int64_t)cluster.topics[0].partition_count + more;
    return diag_wrap(&session->diag,
                     client_topic_grow(session->client, topic, (int32_t)total, &session->diag),
                     "topic %s", topic);
}

const struct command topic_add_partitions_command = {
    .words = "topic add-partitions",
    .arguments = "TOPIC COUNT",
    .summary = "Give a topic COUNT more partitions.",
    .doc = "From then on the same key may go to another partition than before.",
    .word_count_min = 2,
    .word_count_max = 2,
    .size = sizeof(struct session),
    .run = run,
};
