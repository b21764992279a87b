/* kafka_topics: brokers, topics and their configs, asked of librdkafka. */
#include <stdlib.h>

#include "client/kafka_internal.h"

static int topic_order(const void *left, const void *right)
{
    const struct client_topic *a = left;
    const struct client_topic *b = right;
    return strcmp(a->name, b->name);
}

static int partition_order(const void *left, const void *right)
{
    const struct client_partition *a = left;
    const struct client_partition *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

static int config_order(const void *left, const void *right)
{
    const struct client_config *a = left;
    const struct client_config *b = right;
    return strcmp(a->name, b->name);
}

static struct err copy_topic(const struct rd_kafka_metadata_topic *from, struct arena *arena,
                             struct client_topic *to)
{
    TRY(kafka_text(arena, from->topic, &to->name));
    to->partition_count = (size_t)from->partition_cnt;
    to->partitions = arena_alloc_array(arena, to->partition_count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < to->partition_count; i++) {
        const struct rd_kafka_metadata_partition *partition = &from->partitions[i];
        to->partitions[i] = (struct client_partition){
            .id = partition->id,
            .leader = partition->leader,
            .replica_count = (size_t)partition->replica_cnt,
            .insync_count = (size_t)partition->isr_cnt,
        };
    }
    qsort(to->partitions, to->partition_count, sizeof *to->partitions, partition_order);
    return ERR_NONE;
}

static struct err copy_cluster(const struct rd_kafka_metadata *from, struct arena *arena,
                               struct client_cluster *to, struct diag *diag)
{
    to->broker_count = (size_t)from->broker_cnt;
    to->brokers = arena_alloc_array(arena, to->broker_count, sizeof *to->brokers);
    to->topic_count = (size_t)from->topic_cnt;
    to->topics = arena_alloc_array(arena, to->topic_count, sizeof *to->topics);
    if (to->brokers == NULL || to->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < to->broker_count; i++) {
        to->brokers[i].id = from->brokers[i].id;
        to->brokers[i].port = from->brokers[i].port;
        TRY(kafka_text(arena, from->brokers[i].host, &to->brokers[i].host));
    }
    for (size_t i = 0; i < to->topic_count; i++) {
        if (from->topics[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return diag_wrap(diag, kafka_fail(from->topics[i].err, NULL, diag), "topic %s",
                             from->topics[i].topic);
        TRY(copy_topic(&from->topics[i], arena, &to->topics[i]));
    }
    qsort(to->topics, to->topic_count, sizeof *to->topics, topic_order);
    return ERR_NONE;
}

struct err kafka_cluster(struct client *client, const char *topic, struct arena *arena,
                         struct client_cluster *out, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_t *only = NULL;
    if (topic != NULL) {
        only = rd_kafka_topic_new(kafka->handle, topic, NULL);
        if (only == NULL)
            return kafka_fail(rd_kafka_last_error(), NULL, diag);
    }
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(kafka->handle, topic == NULL, only, &metadata, kafka->timeout_ms);
    if (only != NULL)
        rd_kafka_topic_destroy(only);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(code, NULL, diag);
    struct client_cluster cluster = {.controller = rd_kafka_controllerid(kafka->handle, 0)};
    char *id = rd_kafka_clusterid(kafka->handle, 0);
    struct err err = kafka_text(arena, id == NULL ? "" : id, &cluster.id);
    if (!err_failed(err))
        err = copy_cluster(metadata, arena, &cluster, diag);
    if (id != NULL)
        rd_kafka_mem_free(kafka->handle, id);
    rd_kafka_metadata_destroy(metadata);
    if (!err_failed(err))
        *out = cluster;
    return err;
}

/* The first error among the answers about topics. */
static struct err topic_result(const rd_kafka_topic_result_t **results, size_t count,
                               struct diag *diag)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return kafka_fail(code, rd_kafka_topic_result_error_string(results[i]), diag);
    }
    return ERR_NONE;
}

struct err kafka_topic_create(struct client *client, const struct client_new_topic *topic,
                              struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    char text[256];
    rd_kafka_NewTopic_t *request = rd_kafka_NewTopic_new(
        topic->name, topic->partition_count, topic->replication_factor, text, sizeof text);
    if (request == NULL)
        return diag_fail(diag, ERR_INVALID, "%s", text);
    for (size_t i = 0; i < topic->config_count; i++) {
        rd_kafka_resp_err_t code =
            rd_kafka_NewTopic_set_config(request, topic->configs[i].name, topic->configs[i].value);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_NewTopic_destroy(request);
            return kafka_fail(code, NULL, diag);
        }
    }
    rd_kafka_CreateTopics(kafka->handle, &request, 1, kafka->options, kafka->answers);
    rd_kafka_NewTopic_destroy(request);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    struct err err = topic_result(results, count, diag);
    rd_kafka_event_destroy(event);
    return err;
}

struct err kafka_topic_delete(struct client *client, const char *topic, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(kafka->handle, &request, 1, kafka->options, kafka->answers);
    rd_kafka_DeleteTopic_destroy(request);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    struct err err = topic_result(results, count, diag);
    rd_kafka_event_destroy(event);
    return err;
}

struct err kafka_topic_grow(struct client *client, const char *topic, int32_t partition_count,
                            struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    char text[256];
    rd_kafka_NewPartitions_t *request =
        rd_kafka_NewPartitions_new(topic, (size_t)partition_count, text, sizeof text);
    if (request == NULL)
        return diag_fail(diag, ERR_INVALID, "%s", text);
    rd_kafka_CreatePartitions(kafka->handle, &request, 1, kafka->options, kafka->answers);
    rd_kafka_NewPartitions_destroy(request);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
        rd_kafka_event_CreatePartitions_result(event), &count);
    struct err err = topic_result(results, count, diag);
    rd_kafka_event_destroy(event);
    return err;
}

static const char *source_text(rd_kafka_ConfigSource_t source)
{
    static const char *const texts[] = {
        [RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG] = "topic",
        [RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG] = "broker",
        [RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG] = "brokers",
        [RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG] = "server.properties",
        [RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG] = "default",
    };
    size_t at = (size_t)source;
    return at < sizeof texts / sizeof texts[0] && texts[at] != NULL ? texts[at] : "unknown";
}

static struct err copy_configs(const rd_kafka_ConfigResource_t *resource, struct arena *arena,
                               struct client_config **out, size_t *count)
{
    size_t entry_count;
    const rd_kafka_ConfigEntry_t **entries =
        rd_kafka_ConfigResource_configs(resource, &entry_count);
    struct client_config *configs = arena_alloc_array(arena, entry_count, sizeof *configs);
    if (configs == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < entry_count; i++) {
        TRY(kafka_text(arena, rd_kafka_ConfigEntry_name(entries[i]), &configs[i].name));
        TRY(kafka_text(arena, rd_kafka_ConfigEntry_value(entries[i]), &configs[i].value));
        rd_kafka_ConfigSource_t source = rd_kafka_ConfigEntry_source(entries[i]);
        configs[i].source = source_text(source);
        configs[i].is_default = source != RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
    }
    qsort(configs, entry_count, sizeof *configs, config_order);
    *out = configs;
    *count = entry_count;
    return ERR_NONE;
}

struct err kafka_configs(struct client *client, const char *topic, struct arena *arena,
                         struct client_config **out, size_t *count, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_ConfigResource_t *request =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(kafka->handle, &request, 1, kafka->options, kafka->answers);
    rd_kafka_ConfigResource_destroy(request);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t resource_count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &resource_count);
    struct err err = diag_fail(diag, ERR_INVALID, "the answer names no topic");
    if (resource_count == 1) {
        rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[0]);
        err = code == RD_KAFKA_RESP_ERR_NO_ERROR
                  ? copy_configs(resources[0], arena, out, count)
                  : kafka_fail(code, rd_kafka_ConfigResource_error_string(resources[0]), diag);
    }
    rd_kafka_event_destroy(event);
    return err;
}

static struct err add_changes(rd_kafka_ConfigResource_t *request,
                              const struct client_property *changes, size_t count,
                              struct diag *diag)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_AlterConfigOpType_t operation = changes[i].value == NULL
                                                     ? RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE
                                                     : RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
        rd_kafka_error_t *error = rd_kafka_ConfigResource_add_incremental_config(
            request, changes[i].name, operation, changes[i].value);
        if (error != NULL) {
            struct err err =
                kafka_fail(rd_kafka_error_code(error), rd_kafka_error_string(error), diag);
            rd_kafka_error_destroy(error);
            return err;
        }
    }
    return ERR_NONE;
}

struct err kafka_configs_change(struct client *client, const char *topic,
                                const struct client_property *changes, size_t count,
                                struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_ConfigResource_t *request =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    struct err err = add_changes(request, changes, count, diag);
    if (!err_failed(err))
        rd_kafka_IncrementalAlterConfigs(kafka->handle, &request, 1, kafka->options,
                                         kafka->answers);
    rd_kafka_ConfigResource_destroy(request);
    TRY(err);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t resource_count;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_IncrementalAlterConfigs_result_resources(
        rd_kafka_event_IncrementalAlterConfigs_result(event), &resource_count);
    for (size_t i = 0; i < resource_count && !err_failed(err); i++) {
        rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            err = kafka_fail(code, rd_kafka_ConfigResource_error_string(resources[i]), diag);
    }
    rd_kafka_event_destroy(event);
    return err;
}
