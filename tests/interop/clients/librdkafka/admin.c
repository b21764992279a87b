/* Topics, configs, groups and their offsets, by librdkafka's admin requests. */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waits for the answer to an admin request; NULL with the error set if the request failed. */
static rd_kafka_event_t *await(struct driver *driver, rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, REQUEST_MS);
    rd_kafka_queue_destroy(queue);
    if (!event) {
        driver_fail(driver, "no answer in time");
        return NULL;
    }
    if (rd_kafka_event_error(event)) {
        driver_fail(driver, "%s", rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

/* Turns the results for topics into a reply: the first error, or an empty object. */
static json_t *topic_reply(struct driver *driver, rd_kafka_event_t *event,
                           const rd_kafka_topic_result_t **results, size_t count)
{
    json_t *reply = json_object();
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_topic_result_error(results[i])) {
            json_decref(reply);
            reply = driver_fail(driver, "%s", rd_kafka_topic_result_error_string(results[i]));
            break;
        }
    }
    rd_kafka_event_destroy(event);
    return reply;
}

static json_t *create_topic(struct driver *driver, const json_t *command)
{
    json_int_t partitions = json_integer_value(json_object_get(command, "partitions"));
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(wire_text(command, "topic"), (int)partitions, 1, NULL, 0);
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(command, "config"), name, value)
    {
        rd_kafka_NewTopic_set_config(topic, name, json_string_value(value));
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(driver->admin);
    rd_kafka_CreateTopics(driver->admin, &topic, 1, NULL, queue);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_event_t *event = await(driver, queue);
    if (!event) {
        return NULL;
    }
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    return topic_reply(driver, event, results, count);
}

static json_t *delete_topic(struct driver *driver, const json_t *command)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(wire_text(command, "topic"));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(driver->admin);
    rd_kafka_DeleteTopics(driver->admin, &topic, 1, NULL, queue);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_event_t *event = await(driver, queue);
    if (!event) {
        return NULL;
    }
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    return topic_reply(driver, event, results, count);
}

static json_t *add_partitions(struct driver *driver, const json_t *command)
{
    json_int_t total = json_integer_value(json_object_get(command, "count"));
    rd_kafka_NewPartitions_t *grown = rd_kafka_NewPartitions_new(
        wire_text(command, "topic"), (size_t)total, driver->error, sizeof driver->error);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(driver->admin);
    rd_kafka_CreatePartitions(driver->admin, &grown, 1, NULL, queue);
    rd_kafka_NewPartitions_destroy(grown);
    rd_kafka_event_t *event = await(driver, queue);
    if (!event) {
        return NULL;
    }
    size_t count;
    const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(
        rd_kafka_event_CreatePartitions_result(event), &count);
    return topic_reply(driver, event, results, count);
}

static json_t *topic_metadata(struct driver *driver, const json_t *command, bool all)
{
    rd_kafka_topic_t *topic =
        all ? NULL : rd_kafka_topic_new(driver->admin, wire_text(command, "topic"), NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(driver->admin, all, topic, &metadata, REQUEST_MS);
    if (topic) {
        rd_kafka_topic_destroy(topic);
    }
    if (err) {
        return driver_fail(driver, "%s", rd_kafka_err2str(err));
    }
    json_t *names = json_array();
    for (int i = 0; i < metadata->topic_cnt; i++) {
        json_array_append_new(names, json_string(metadata->topics[i].topic));
    }
    json_t *reply = json_pack("{s:o, s:i}", "topics", names, "partitions",
                              metadata->topic_cnt ? metadata->topics[0].partition_cnt : 0);
    rd_kafka_metadata_destroy(metadata);
    return reply;
}

/* The topic's configs as a JSON object: all, or those that were set on the topic itself. */
static json_t *read_config(struct driver *driver, const char *topic, bool only_set)
{
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(driver->admin);
    rd_kafka_DescribeConfigs(driver->admin, &resource, 1, NULL, queue);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *event = await(driver, queue);
    if (!event) {
        return NULL;
    }
    size_t count;
    const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(found[0], &count);
    json_t *config = json_object();
    for (size_t i = 0; i < count; i++) {
        bool set =
            rd_kafka_ConfigEntry_source(entries[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
        if (set || !only_set) {
            const char *value = rd_kafka_ConfigEntry_value(entries[i]);
            json_object_set_new(config, rd_kafka_ConfigEntry_name(entries[i]),
                                value ? json_string(value) : json_null());
        }
    }
    rd_kafka_event_destroy(event);
    return config;
}

/* librdkafka 2.0 has only the request that replaces a topic's whole config. */
static json_t *alter_config(struct driver *driver, const json_t *command)
{
    json_t *wanted = read_config(driver, wire_text(command, "topic"), true);
    if (!wanted) {
        return NULL;
    }
    json_object_update(wanted, json_object_get(command, "config"));
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, wire_text(command, "topic"));
    const char *name;
    json_t *value;
    json_object_foreach(wanted, name, value)
    {
        rd_kafka_ConfigResource_set_config(resource, name, json_string_value(value));
    }
    json_decref(wanted);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(driver->admin);
    rd_kafka_AlterConfigs(driver->admin, &resource, 1, NULL, queue);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *event = await(driver, queue);
    if (!event) {
        return NULL;
    }
    size_t count;
    const rd_kafka_ConfigResource_t **done =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    json_t *reply = json_object();
    if (rd_kafka_ConfigResource_error(done[0])) {
        json_decref(reply);
        reply = driver_fail(driver, "%s", rd_kafka_ConfigResource_error_string(done[0]));
    }
    rd_kafka_event_destroy(event);
    return reply;
}

json_t *admin_topics(struct driver *driver, const json_t *command)
{
    const char *name = wire_text(command, "cmd");
    if (!strcmp(name, "create-topic")) {
        return create_topic(driver, command);
    }
    if (!strcmp(name, "delete-topic")) {
        return delete_topic(driver, command);
    }
    if (!strcmp(name, "add-partitions")) {
        return add_partitions(driver, command);
    }
    if (!strcmp(name, "alter-config")) {
        return alter_config(driver, command);
    }
    if (!strcmp(name, "describe-config")) {
        json_t *config = read_config(driver, wire_text(command, "topic"), false);
        return config ? json_pack("{s:o}", "config", config) : NULL;
    }
    return topic_metadata(driver, command, !strcmp(name, "list-topics"));
}
