/* topic_create: `headrace topic create`. */
#include "cli/commands.h"

/* Configs of one new topic: Kafka has about forty. */
#define CONFIG_COUNT_MAX 64

struct create {
    struct session session;
    struct client_new_topic topic;
    struct client_property configs[CONFIG_COUNT_MAX];
    bool is_relaxed;
};

enum key { KEY_PARTITIONS = 'p', KEY_REPLICATION = 'r', KEY_CONFIG = 'c', KEY_RELAXED = 1000 };

static const struct argp_option options[] = {
    {"partitions", KEY_PARTITIONS, "COUNT", 0, "Partitions (the server's num.partitions)", 0},
    {"replication", KEY_REPLICATION, "COUNT", 0, "Replicas (the server's default)", 0},
    {"config", KEY_CONFIG, "KEY=VALUE", 0, "A config of the topic; may be repeated", 0},
    {"if-not-exists", KEY_RELAXED, NULL, 0, "Succeed where the topic is there already", 0},
    {0},
};

static struct err option(struct session *session, int key, char *argument)
{
    struct create *create = (struct create *)session;
    int64_t number;
    switch (key) {
    case KEY_PARTITIONS:
        TRY(session_number(session, "--partitions", argument, 1, 1000000, &number));
        create->topic.partition_count = (int32_t)number;
        return ERR_NONE;
    case KEY_REPLICATION:
        TRY(session_number(session, "--replication", argument, 1, 32767, &number));
        create->topic.replication_factor = (int32_t)number;
        return ERR_NONE;
    case KEY_CONFIG:
        if (create->topic.config_count == CONFIG_COUNT_MAX)
            return diag_fail(&session->diag, ERR_LIMIT, "too many --config");
        return session_pair(session, "--config", argument,
                            &create->configs[create->topic.config_count++]);
    case KEY_RELAXED:
        create->is_relaxed = true;
        return ERR_NONE;
    default:
        return err_make(ERR_UNSUPPORTED);
    }
}

static struct err run(struct session *session)
{
    struct create *create = (struct create *)session;
    create->topic.configs = create->configs;
    if (create->topic.partition_count == 0)
        create->topic.partition_count = -1;
    if (create->topic.replication_factor == 0)
        create->topic.replication_factor = -1;
    for (size_t i = 0; i < session->word_count; i++) {
        create->topic.name = session->words[i];
        struct err err = client_topic_create(session->client, &create->topic, &session->diag);
        if (err_is(err, ERR_EXISTS) && create->is_relaxed)
            continue;
        TRY(diag_wrap(&session->diag, err, "topic %s", session->words[i]));
    }
    return ERR_NONE;
}

const struct command topic_create_command = {
    .words = "topic create",
    .arguments = "TOPIC...",
    .summary = "Create topics.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .size = sizeof(struct create),
    .option = option,
    .run = run,
};
