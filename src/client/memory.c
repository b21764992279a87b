/* memory: the cluster: topics, groups, and what can be asked about them. */
#include "client/memory_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"

struct memory *memory_of(struct client *client)
{
    struct memory *memory = (struct memory *)client;
    CHECK(memory->magic == MEMORY_MAGIC);
    return memory;
}

struct memory_topic *memory_find_topic(const struct memory_cluster *cluster, const char *name)
{
    LIST_EACH (&cluster->topics, link) {
        struct memory_topic *topic = LIST_ENTRY(link, struct memory_topic, link);
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

struct memory_group *memory_find_group(const struct memory_cluster *cluster, const char *name)
{
    LIST_EACH (&cluster->groups, link) {
        struct memory_group *group = LIST_ENTRY(link, struct memory_group, link);
        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

struct err memory_make_group(struct memory_cluster *cluster, const char *name,
                             struct memory_group **out)
{
    *out = memory_find_group(cluster, name);
    if (*out != NULL)
        return ERR_NONE;
    struct memory_group *group = arena_alloc(&cluster->arena, sizeof *group);
    const char *kept = arena_copy_text(&cluster->arena, span_text(name));
    if (group == NULL || kept == NULL)
        return err_make(ERR_NO_MEMORY);
    group->name = kept;
    list_init(&group->members);
    list_init(&group->offsets);
    list_append(&cluster->groups, &group->link);
    *out = group;
    return ERR_NONE;
}

struct memory_offset *memory_get_offset(const struct list *offsets,
                                        const struct memory_group *group, const char *topic,
                                        int32_t partition)
{
    LIST_EACH (offsets, link) {
        struct memory_offset *offset = LIST_ENTRY(link, struct memory_offset, link);
        if (offset->group == group && offset->at.partition == partition &&
            strcmp(offset->at.topic, topic) == 0)
            return offset;
    }
    return NULL;
}

struct err memory_put_offset(struct memory_cluster *cluster, struct list *offsets,
                             struct memory_group *group, const struct client_offset *at)
{
    struct memory_offset *offset = memory_get_offset(offsets, group, at->topic, at->partition);
    const char *metadata = arena_copy_text(
        &cluster->arena, at->metadata == NULL ? SPAN_EMPTY : span_text(at->metadata));
    if (metadata == NULL)
        return err_make(ERR_NO_MEMORY);
    if (offset == NULL) {
        const char *topic = arena_copy_text(&cluster->arena, span_text(at->topic));
        offset = arena_alloc(&cluster->arena, sizeof *offset);
        if (offset == NULL || topic == NULL)
            return err_make(ERR_NO_MEMORY);
        offset->group = group;
        offset->at = (struct client_offset){.topic = topic, .partition = at->partition};
        list_append(offsets, &offset->link);
    }
    offset->at.offset = at->offset;
    offset->at.metadata = metadata;
    return ERR_NONE;
}

int64_t memory_committed(const struct memory_group *group, const char *topic, int32_t partition)
{
    const struct memory_offset *offset = memory_get_offset(&group->offsets, NULL, topic, partition);
    return offset == NULL ? -1 : offset->at.offset;
}

struct err memory_set_committed(struct memory_cluster *cluster, struct memory_group *group,
                                const struct client_offset *at)
{
    return memory_put_offset(cluster, &group->offsets, NULL, at);
}

struct err memory_count_call(struct memory_cluster *cluster, enum memory_call call)
{
    CHECK(call < MEMORY_CALL_COUNT);
    uint32_t *count = &cluster->faults[call].count;
    return *count > 0 && --*count == 0 ? err_make(cluster->faults[call].code) : ERR_NONE;
}

static struct err memory_open(const struct client_settings *settings, struct client **client,
                              struct diag *diag)
{
    (void)settings;
    (void)client;
    return diag_fail(diag, ERR_UNSUPPORTED, "a cluster in memory has no address");
}

/* Frees a client that nobody uses any more. */
static void forget(struct memory *memory)
{
    memory_leave(memory);
    if (memory->transaction != NULL)
        memory->transaction->owner = NULL;
    free(memory->places);
    free(memory->member.told);
    memory->magic = 0;
    free(memory);
}

static void memory_close(struct client *client)
{
    forget(memory_of(client));
}

void memory_cluster_crash(struct client *client)
{
    struct memory *memory = memory_of(client);
    list_append(&memory->cluster->dead, &memory->dead_link);
}

void memory_cluster_notice(struct memory_cluster *cluster)
{
    struct list *link;
    while ((link = list_pop(&cluster->dead)) != NULL)
        forget(LIST_ENTRY(link, struct memory, dead_link));
    LIST_EACH (&cluster->transactions, open) {
        struct memory_transaction *transaction = LIST_ENTRY(open, struct memory_transaction, link);
        if (transaction->owner == NULL)
            CHECK(!err_failed(memory_finish(cluster, transaction, false)));
    }
}

void memory_cluster_compact(struct memory_cluster *cluster, const struct client_offset *at)
{
    const struct memory_topic *topic = memory_find_topic(cluster, at->topic);
    CHECK(topic != NULL && at->partition < topic->partition_count);
    CHECK(at->offset < (int64_t)topic->partitions[at->partition].count);
    topic->partitions[at->partition].slots[at->offset].message = NULL;
}

void memory_cluster_truncate(struct memory_cluster *cluster, const struct client_offset *start)
{
    const struct memory_topic *topic = memory_find_topic(cluster, start->topic);
    CHECK(topic != NULL && start->partition < topic->partition_count);
    struct memory_partition *partition = &topic->partitions[start->partition];
    CHECK(start->offset >= (int64_t)partition->start && start->offset <= (int64_t)partition->count);
    partition->start = (size_t)start->offset;
}

/* The topic as an answer; its partitions are all led by the one broker. */
static struct err tell_topic(const struct memory_topic *topic, struct arena *arena,
                             struct client_topic *out)
{
    size_t count = (size_t)topic->partition_count;
    *out = (struct client_topic){.name = topic->name, .partition_count = count};
    out->partitions = arena_alloc_array(arena, count, sizeof *out->partitions);
    if (out->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        out->partitions[i] = (struct client_partition){
            .id = (int32_t)i, .leader = 1, .replica_count = 1, .insync_count = 1};
    return ERR_NONE;
}

static struct err memory_cluster_tell(struct client *client, const char *topic, struct arena *arena,
                                      struct client_cluster *out, struct diag *diag)
{
    const struct memory_cluster *cluster = memory_of(client)->cluster;
    if (topic != NULL && memory_find_topic(cluster, topic) == NULL)
        return diag_fail(diag, ERR_NOT_FOUND, "topic %s does not exist", topic);
    size_t count_max = 0;
    LIST_EACH (&cluster->topics, link)
        count_max++;
    *out = (struct client_cluster){.id = "memory", .controller = 1, .broker_count = 1};
    out->brokers = arena_alloc(arena, sizeof *out->brokers);
    out->topics = arena_alloc_array(arena, count_max, sizeof *out->topics);
    if (out->brokers == NULL || out->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    *out->brokers = (struct client_broker){.id = 1, .host = "memory"};
    LIST_EACH (&cluster->topics, link) {
        const struct memory_topic *one = LIST_ENTRY(link, struct memory_topic, link);
        if (topic == NULL || strcmp(one->name, topic) == 0)
            TRY(tell_topic(one, arena, &out->topics[out->topic_count++]));
    }
    return ERR_NONE;
}

static struct err memory_topic_create(struct client *client, const struct client_new_topic *topic,
                                      struct diag *diag)
{
    struct memory_cluster *cluster = memory_of(client)->cluster;
    if (memory_find_topic(cluster, topic->name) != NULL)
        return diag_fail(diag, ERR_EXISTS, "topic %s exists already", topic->name);
    if (topic->config_count > 0)
        return diag_fail(diag, ERR_UNSUPPORTED, "a cluster in memory keeps no configs");
    struct memory_topic *made = arena_alloc(&cluster->arena, sizeof *made);
    const char *name = arena_copy_text(&cluster->arena, span_text(topic->name));
    int32_t count = topic->partition_count > 0 ? topic->partition_count : 1;
    struct memory_partition *partitions =
        arena_alloc_array(&cluster->arena, (size_t)count, sizeof *partitions);
    if (made == NULL || name == NULL || partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    *made = (struct memory_topic){.name = name, .partitions = partitions, .partition_count = count};
    list_append(&cluster->topics, &made->link);
    return ERR_NONE;
}

/* Where a question's answer lies in the partition; -1: no message is so late. */
static int64_t find_place(const struct memory_partition *partition, int64_t asked)
{
    if (asked == CLIENT_OFFSET_EARLIEST)
        return (int64_t)partition->start;
    if (asked == CLIENT_OFFSET_LATEST)
        return (int64_t)partition->count;
    for (size_t i = partition->start; i < partition->count; i++) {
        const struct client_message *message = partition->slots[i].message;
        if (message != NULL && message->timestamp_ms >= asked)
            return (int64_t)i;
    }
    return -1;
}

static struct err memory_offsets_find(struct client *client, struct client_offset *offsets,
                                      size_t count, struct diag *diag)
{
    const struct memory_cluster *cluster = memory_of(client)->cluster;
    for (size_t i = 0; i < count; i++) {
        const struct memory_topic *topic = memory_find_topic(cluster, offsets[i].topic);
        if (topic == NULL || offsets[i].partition >= topic->partition_count)
            return diag_fail(diag, ERR_NOT_FOUND, "there is no partition %d of %s",
                             offsets[i].partition, offsets[i].topic);
        offsets[i].offset = find_place(&topic->partitions[offsets[i].partition], offsets[i].offset);
    }
    return ERR_NONE;
}

static struct err memory_group_offsets(struct client *client, const char *name, struct arena *arena,
                                       struct client_offset **out, size_t *count, struct diag *diag)
{
    (void)diag;
    const struct memory_group *group = memory_find_group(memory_of(client)->cluster, name);
    *count = 0;
    if (group == NULL)
        return ERR_NONE;
    size_t count_max = 0;
    LIST_EACH (&group->offsets, link)
        count_max++;
    *out = arena_alloc_array(arena, count_max, sizeof **out);
    if (*out == NULL)
        return err_make(ERR_NO_MEMORY);
    LIST_EACH (&group->offsets, link)
        (*out)[(*count)++] = LIST_ENTRY(link, struct memory_offset, link)->at;
    return ERR_NONE;
}

static struct err memory_group_offsets_set(struct client *client, const char *name,
                                           const struct client_offset *offsets, size_t count,
                                           struct diag *diag)
{
    struct memory_cluster *cluster = memory_of(client)->cluster;
    struct memory_group *group;
    TRY(memory_make_group(cluster, name, &group));
    if (!list_is_empty(&group->members))
        return diag_fail(diag, ERR_BUSY, "group %s has members", name);
    for (size_t i = 0; i < count; i++)
        TRY(memory_set_committed(cluster, group, &offsets[i]));
    return ERR_NONE;
}

static struct err refuse(struct diag *diag)
{
    return diag_fail(diag, ERR_UNSUPPORTED, "a cluster in memory cannot do that");
}

static struct err refuse_topic(struct client *client, const char *name, struct diag *diag)
{
    (void)client;
    (void)name;
    return refuse(diag);
}

static struct err refuse_grow(struct client *client, const char *topic, int32_t partition_count,
                              struct diag *diag)
{
    (void)partition_count;
    return refuse_topic(client, topic, diag);
}

static struct err refuse_configs(struct client *client, const char *topic, struct arena *arena,
                                 struct client_config **out, size_t *count, struct diag *diag)
{
    (void)arena;
    (void)out;
    (void)count;
    return refuse_topic(client, topic, diag);
}

static struct err refuse_change(struct client *client, const char *topic,
                                const struct client_property *changes, size_t count,
                                struct diag *diag)
{
    (void)changes;
    (void)count;
    return refuse_topic(client, topic, diag);
}

static struct err refuse_groups(struct client *client, struct arena *arena,
                                struct client_group **out, size_t *count, struct diag *diag)
{
    (void)client;
    (void)arena;
    (void)out;
    (void)count;
    return refuse(diag);
}

static struct err refuse_describe(struct client *client, const char *group, struct arena *arena,
                                  struct client_group_detail *out, struct diag *diag)
{
    (void)arena;
    (void)out;
    return refuse_topic(client, group, diag);
}

/* Nobody waits for a cluster in memory. */
static void memory_wake_by(struct client *client, int fd)
{
    (void)client;
    (void)fd;
}

static const struct client_ops memory_ops = {
    .open = memory_open,
    .close = memory_close,
    .cluster = memory_cluster_tell,
    .topic_create = memory_topic_create,
    .topic_delete = refuse_topic,
    .topic_grow = refuse_grow,
    .configs = refuse_configs,
    .configs_change = refuse_change,
    .offsets_find = memory_offsets_find,
    .groups = refuse_groups,
    .group_describe = refuse_describe,
    .group_delete = refuse_topic,
    .group_offsets = memory_group_offsets,
    .group_offsets_set = memory_group_offsets_set,
    .sender.send = memory_send,
    .sender.flush = memory_flush,
    .receiver.assign = memory_assign,
    .receiver.subscribe = memory_subscribe,
    .receiver.receive = memory_receive,
    .receiver.commit = memory_commit,
    .receiver.join = memory_join,
    .receiver.take = memory_take,
    .receiver.release = memory_release,
    .receiver.pause = memory_pause,
    .receiver.committed = memory_committed_ask,
    .receiver.offsets_commit = memory_offsets_commit,
    .receiver.wake_by = memory_wake_by,
    .receiver.generation = memory_generation,
    .sender.begin = memory_begin,
    .sender.offsets_add = memory_offsets_add,
    .sender.end = memory_end,
};

struct err memory_cluster_create(const struct os_clock *clock, struct memory_cluster **out)
{
    struct memory_cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL)
        return err_make(ERR_NO_MEMORY);
    arena_init(&cluster->arena, MEMORY_CLUSTER_SIZE_MAX);
    cluster->clock = clock;
    list_init(&cluster->topics);
    list_init(&cluster->groups);
    list_init(&cluster->transactions);
    list_init(&cluster->dead);
    *out = cluster;
    return ERR_NONE;
}

void memory_cluster_destroy(struct memory_cluster *cluster)
{
    if (cluster == NULL)
        return;
    struct list *link;
    while ((link = list_pop(&cluster->dead)) != NULL)
        forget(LIST_ENTRY(link, struct memory, dead_link));
    LIST_EACH (&cluster->groups, group)
        CHECK(list_is_empty(&LIST_ENTRY(group, struct memory_group, link)->members));
    arena_deinit(&cluster->arena);
    free(cluster);
}

/* Keeps what counts of the properties; the caller's texts may go. */
static struct err configure(struct memory *memory, const struct client_settings *settings)
{
    for (size_t i = 0; i < settings->property_count; i++) {
        const struct client_property *property = &settings->properties[i];
        const char **kept = NULL;
        if (strcmp(property->name, "group.id") == 0)
            kept = &memory->group_id;
        if (strcmp(property->name, "transactional.id") == 0)
            kept = &memory->transactional_id;
        if (strcmp(property->name, "auto.offset.reset") == 0)
            memory->is_reset_to_end = strcmp(property->value, "latest") == 0;
        if (strcmp(property->name, "enable.gapless.guarantee") == 0)
            memory->is_gapless = strcmp(property->value, "true") == 0;
        if (kept == NULL)
            continue;
        *kept = arena_copy_text(&memory->cluster->arena, span_text(property->value));
        if (*kept == NULL)
            return err_make(ERR_NO_MEMORY);
    }
    return memory_fence(memory);
}

struct err memory_cluster_connect(struct memory_cluster *cluster,
                                  const struct client_settings *settings, struct client **client,
                                  struct diag *diag)
{
    (void)diag;
    struct memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return err_make(ERR_NO_MEMORY);
    memory->client.ops = &memory_ops;
    memory->magic = MEMORY_MAGIC;
    memory->cluster = cluster;
    list_init(&memory->member.link);
    list_init(&memory->dead_link);
    struct err err = configure(memory, settings);
    if (err_failed(err)) {
        forget(memory);
        return err;
    }
    *client = &memory->client;
    return ERR_NONE;
}

void memory_cluster_fail(struct memory_cluster *cluster, enum memory_call call, uint32_t count,
                         enum err_code code)
{
    CHECK(call < MEMORY_CALL_COUNT);
    cluster->faults[call].count = count;
    cluster->faults[call].code = code;
}
