/* topics: the plan. */
#include "flow/topics.h"

#include <inttypes.h>

#include "base/check.h"
#include "flow/delivery/inbox.h"
#include "flow/delivery/parked.h"

/* A record of Kafka's default size (message.max.bytes) and what is said of it. */
#define RECORD_SIZE_MAX "1114124"

/* Compaction and retention leave the newest segment alone; so much is read that need not be when a
 * partition is taken over, at most. */
#define COMPANION_SEGMENT_SIZE "16777216"

/* What is gathered for a plan. */
struct plan {
    const struct flow *flow;
    const struct client_cluster *cluster;
    struct arena *arena;
    struct flow_topics topics;
};

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
static struct flow_topic *add(struct plan *plan, const char *name, const char *use)
{
    struct flow_topics *topics = &plan->topics;
    struct flow_topic *known = find(topics, name);
    if (known != NULL)
        return known;
    struct flow_topic *topic = &topics->items[topics->count++];
    *topic = (struct flow_topic){.name = name, .use = use, .partition_count = -1};
    look_up(plan->cluster, topic);
    topics->missing_count += !topic->is_there;
    return topic;
}

static void add_events(struct plan *plan)
{
    for (size_t i = 0; i < plan->flow->events.count; i++) {
        const struct flow_event *event = flow_event_at(plan->flow, i);
        struct flow_topic *topic = add(plan, event->topic.text, event->name.text);
        if (!topic->is_there && event->partitions.text != NULL)
            topic->partition_count = (int32_t)event->partitions.number;
    }
}

/* The most partitions that a topic has whose events the handler handles. */
static int32_t most_partitions(const struct plan *plan, const struct flow_handler *handler)
{
    int32_t most = -1;
    for (size_t i = 0; i < handler->handles.count; i++) {
        const char *name = handler->handles.items[i].text;
        const struct flow_topic *source =
            find(&plan->topics, flow_find_event(plan->flow, name)->topic.text);
        CHECK(source != NULL); /* all events' are there */
        if (source->partition_count > most)
            most = source->partition_count;
    }
    return most;
}

/* Adds a topic that belongs to the handler: as many partitions as it needs. */
static struct err add_own(struct plan *plan, const struct flow_handler *handler,
                          enum flow_topic_kind kind, const char *name, const char *what,
                          struct flow_topic **out)
{
    const char *use = arena_print(plan->arena, "%s of %s", what, handler->name.text);
    if (name == NULL || use == NULL)
        return err_make(ERR_NO_MEMORY);
    struct flow_topic *topic = add(plan, name, use);
    topic->kind = kind;
    int32_t most = most_partitions(plan, handler);
    if (!topic->is_there && most > topic->partition_count)
        topic->partition_count = most;
    *out = topic;
    return ERR_NONE;
}

static struct err add_handler(struct plan *plan, const struct flow_handler *handler)
{
    struct flow_topic *topic;
    struct arena *arena = plan->arena;
    const char *group = flow_group(plan->flow, handler, arena);
    if (group == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(add_own(plan, handler, FLOW_TOPIC_DEAD_LETTERS,
                flow_dead_letter_topic(plan->flow, handler, arena), "dead letters", &topic));
    TRY(add_own(plan, handler, FLOW_TOPIC_PARKED, parked_topic(group, arena), "parked events",
                &topic));
    if (handler->inbox.text == NULL)
        return ERR_NONE;
    TRY(add_own(plan, handler, FLOW_TOPIC_INBOX, inbox_topic(group, arena), "inbox", &topic));
    topic->retention = arena_print(arena, "%" PRId64, handler->inbox.number);
    return topic->retention == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

struct err flow_topics_plan(const struct flow *flow, struct client *client, struct arena *arena,
                            struct flow_topics *out, struct diag *diag)
{
    struct client_cluster cluster;
    struct plan plan = {.flow = flow, .cluster = &cluster, .arena = arena};
    size_t count_max = flow->events.count + FLOW_HANDLER_TOPIC_COUNT * flow->handlers.count;
    TRY(client_cluster(client, NULL, arena, &cluster, diag));
    plan.topics.items = arena_alloc_array(arena, count_max, sizeof *plan.topics.items);
    if (plan.topics.items == NULL)
        return err_make(ERR_NO_MEMORY);
    add_events(&plan);
    for (size_t i = 0; i < flow->handlers.count; i++)
        TRY(add_handler(&plan, flow_handler_at(flow, i)));
    *out = plan.topics;
    return ERR_NONE;
}

/* Configs that one topic is made with. */
#define CONFIG_COUNT_MAX 3

/* What a topic is made with; room: for configs that are not the same for all of its kind. */
static void add_configs(const struct flow_topic *from, struct client_property *room,
                        struct client_new_topic *topic)
{
    static const struct client_property dead_letters[] = {{"retention.ms", "-1"},
                                                          {"max.message.bytes", RECORD_SIZE_MAX}};
    static const struct client_property parked[] = {{"cleanup.policy", "compact"},
                                                    {"segment.bytes", COMPANION_SEGMENT_SIZE},
                                                    {"max.message.bytes", RECORD_SIZE_MAX}};
    switch (from->kind) {
    case FLOW_TOPIC_EVENTS:
        break;
    case FLOW_TOPIC_DEAD_LETTERS:
        topic->configs = dead_letters;
        topic->config_count = sizeof dead_letters / sizeof dead_letters[0];
        break;
    case FLOW_TOPIC_PARKED:
        topic->configs = parked;
        topic->config_count = sizeof parked / sizeof parked[0];
        break;
    case FLOW_TOPIC_INBOX:
        room[0] = (struct client_property){"cleanup.policy", "delete"};
        room[1] = (struct client_property){"segment.bytes", COMPANION_SEGMENT_SIZE};
        room[2] = (struct client_property){"retention.ms", from->retention};
        topic->configs = room;
        topic->config_count = CONFIG_COUNT_MAX;
        break;
    }
}

struct err flow_topics_create(const struct flow_topics *topics, struct client *client,
                              struct diag *diag)
{
    for (size_t i = 0; i < topics->count; i++) {
        const struct flow_topic *topic = &topics->items[i];
        struct client_new_topic wanted = {.name = topic->name,
                                          .partition_count = topic->partition_count,
                                          .replication_factor = -1};
        struct client_property room[CONFIG_COUNT_MAX];
        if (topic->is_there)
            continue;
        add_configs(topic, room, &wanted);
        struct err err = client_topic_create(client, &wanted, diag);
        if (err_failed(err) && !err_is(err, ERR_EXISTS))
            return diag_wrap(diag, err, "topic %s", topic->name);
    }
    return ERR_NONE;
}
