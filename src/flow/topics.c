/* topics: the plan. */
#include "flow/topics.h"

#include <stdio.h>

#include "base/check.h"

/* A record of Kafka's default size (message.max.bytes) and what is said of it. */
#define DEAD_LETTER_SIZE_MAX (1048588 + DEAD_LETTER_EXTRA_SIZE)

static struct flow_topic *find(const struct flow_topics *topics, const char *name)
{
    for (size_t i = 0; i < topics->count; i++) {
        if (strcmp(topics->items[i].name, name) == 0)
            return &topics->items[i];
    }
    return NULL;
}

/* What the cluster says of the topic. */
static void look_up(const struct client_cluster *cluster, struct flow_topic *topic)
{
    for (size_t i = 0; i < cluster->topic_count; i++) {
        if (strcmp(cluster->topics[i].name, topic->name) != 0)
            continue;
        topic->is_there = true;
        topic->partition_count = (int32_t)cluster->topics[i].partition_count;
    }
}

/* Adds a topic, or finds it there already. */
static struct flow_topic *add(struct flow_topics *topics, const struct client_cluster *cluster,
                              const char *name, const char *use)
{
    struct flow_topic *known = find(topics, name);
    if (known != NULL)
        return known;
    struct flow_topic *topic = &topics->items[topics->count++];
    *topic = (struct flow_topic){.name = name, .use = use, .partition_count = -1};
    look_up(cluster, topic);
    topics->missing_count += !topic->is_there;
    return topic;
}

static void add_events(const struct flow *flow, const struct client_cluster *cluster,
                       struct flow_topics *topics)
{
    for (size_t i = 0; i < flow->events.count; i++) {
        const struct flow_event *event = flow_event_at(flow, i);
        struct flow_topic *topic = add(topics, cluster, event->topic.text, event->name.text);
        if (!topic->is_there && event->partitions.text != NULL)
            topic->partition_count = (int32_t)event->partitions.number;
    }
}

static struct err add_dead_letters(const struct flow *flow, const struct flow_handler *handler,
                                   const struct client_cluster *cluster, struct arena *arena,
                                   struct flow_topics *topics)
{
    const char *name = flow_dead_letter_topic(flow, handler, arena);
    const char *use = arena_print(arena, "dead letters of %s", handler->name.text);
    if (name == NULL || use == NULL)
        return err_make(ERR_NO_MEMORY);
    struct flow_topic *topic = add(topics, cluster, name, use);
    topic->is_dead_letters = true;
    for (size_t i = 0; i < handler->handles.count && !topic->is_there; i++) {
        const struct flow_event *event = flow_find_event(flow, handler->handles.items[i].text);
        const struct flow_topic *source = find(topics, event->topic.text);
        CHECK(source != NULL); /* all events' are there */
        if (source->partition_count > topic->partition_count)
            topic->partition_count = source->partition_count;
    }
    return ERR_NONE;
}

struct err flow_topics_plan(const struct flow *flow, struct client *client, struct arena *arena,
                            struct flow_topics *out, struct diag *diag)
{
    struct client_cluster cluster;
    struct flow_topics topics = {0};
    TRY(client_cluster(client, NULL, arena, &cluster, diag));
    topics.items =
        arena_alloc_array(arena, flow->events.count + flow->handlers.count, sizeof *topics.items);
    if (topics.items == NULL)
        return err_make(ERR_NO_MEMORY);
    add_events(flow, &cluster, &topics);
    for (size_t i = 0; i < flow->handlers.count; i++)
        TRY(add_dead_letters(flow, flow_handler_at(flow, i), &cluster, arena, &topics));
    *out = topics;
    return ERR_NONE;
}

struct err flow_topics_create(const struct flow_topics *topics, struct client *client,
                              struct diag *diag)
{
    char size[16];
    (void)snprintf(size, sizeof size, "%d", DEAD_LETTER_SIZE_MAX);
    const struct client_property configs[] = {{"retention.ms", "-1"}, {"max.message.bytes", size}};
    for (size_t i = 0; i < topics->count; i++) {
        const struct flow_topic *topic = &topics->items[i];
        const struct client_new_topic wanted = {
            .name = topic->name,
            .partition_count = topic->partition_count,
            .replication_factor = -1,
            .configs = configs,
            .config_count = topic->is_dead_letters ? sizeof configs / sizeof configs[0] : 0,
        };
        if (topic->is_there)
            continue;
        struct err err = client_topic_create(client, &wanted, diag);
        if (err_failed(err) && !err_is(err, ERR_EXISTS))
            return diag_wrap(diag, err, "topic %s", topic->name);
    }
    return ERR_NONE;
}
