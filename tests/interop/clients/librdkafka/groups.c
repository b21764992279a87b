/* Groups and their offsets, by librdkafka's admin requests and plain consumers. */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *list_groups(struct driver *driver, const char *group)
{
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(driver->admin, group, &list, REQUEST_MS);
    if (err) {
        return driver_fail(driver, "%s", rd_kafka_err2str(err));
    }
    json_t *reply = NULL;
    if (!group) {
        json_t *names = json_array();
        for (int i = 0; i < list->group_cnt; i++) {
            json_array_append_new(names, json_string(list->groups[i].group));
        }
        reply = json_pack("{s:o}", "groups", names);
    } else if (list->group_cnt == 1) {
        reply = json_pack("{s:s, s:i}", "state", list->groups[0].state, "members",
                          list->groups[0].member_cnt);
    } else {
        driver_fail(driver, "%d groups named %s", list->group_cnt, group);
    }
    rd_kafka_group_list_destroy(list);
    return reply;
}

static json_t *delete_group(struct driver *driver, const char *group)
{
    rd_kafka_DeleteGroup_t *wanted = rd_kafka_DeleteGroup_new(group);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(driver->admin);
    rd_kafka_DeleteGroups(driver->admin, &wanted, 1, NULL, queue);
    rd_kafka_DeleteGroup_destroy(wanted);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, REQUEST_MS);
    rd_kafka_queue_destroy(queue);
    if (!event) {
        return driver_fail(driver, "no answer in time");
    }
    json_t *reply = NULL;
    if (rd_kafka_event_error(event)) {
        driver_fail(driver, "%s", rd_kafka_event_error_string(event));
    } else {
        size_t count;
        const rd_kafka_group_result_t **results =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
        const rd_kafka_error_t *error = rd_kafka_group_result_error(results[0]);
        reply = error ? driver_fail(driver, "%s", rd_kafka_error_string(error)) : json_object();
    }
    rd_kafka_event_destroy(event);
    return reply;
}

static json_t *commit(struct driver *driver, const json_t *command, rd_kafka_t *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const char *partition;
    json_t *offset;
    json_object_foreach(json_object_get(command, "offsets"), partition, offset)
    {
        rd_kafka_topic_partition_list_add(list, wire_text(command, "topic"),
                                          (int32_t)strtol(partition, NULL, 10))
            ->offset = json_integer_value(offset);
    }
    rd_kafka_resp_err_t err = rd_kafka_commit(consumer, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    return err ? driver_fail(driver, "%s", rd_kafka_err2str(err)) : json_object();
}

static json_t *committed(struct driver *driver, const json_t *command, rd_kafka_t *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    size_t i;
    json_t *partition;
    json_array_foreach(json_object_get(command, "partitions"), i, partition)
    {
        rd_kafka_topic_partition_list_add(list, wire_text(command, "topic"),
                                          (int32_t)json_integer_value(partition));
    }
    rd_kafka_resp_err_t err = rd_kafka_committed(consumer, list, REQUEST_MS);
    json_t *offsets = json_object();
    for (int at = 0; at < list->cnt; at++) {
        char name[16];
        snprintf(name, sizeof name, "%d", list->elems[at].partition);
        json_int_t offset = list->elems[at].offset < 0 ? -1 : list->elems[at].offset;
        json_object_set_new(offsets, name, json_integer(offset));
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (err) {
        json_decref(offsets);
        return driver_fail(driver, "%s", rd_kafka_err2str(err));
    }
    return json_pack("{s:o}", "offsets", offsets);
}

/* Runs an offset command on a consumer that only bears the group's name. */
static json_t *with_consumer(struct driver *driver, const json_t *command,
                             json_t *(*run)(struct driver *, const json_t *, rd_kafka_t *))
{
    rd_kafka_conf_t *conf = driver_conf(driver, "group.id", wire_text(command, "group"), NULL);
    rd_kafka_t *consumer = driver_consumer(driver, conf);
    if (!consumer) {
        return NULL;
    }
    json_t *reply = run(driver, command, consumer);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return reply;
}

static json_t *list_offsets(struct driver *driver, const json_t *command)
{
    const char *topic = wire_text(command, "topic");
    int32_t partition = (int32_t)json_integer_value(json_object_get(command, "partition"));
    const json_t *at = json_object_get(command, "at");
    rd_kafka_resp_err_t err;
    int64_t offset;
    if (json_is_integer(at)) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic, partition)->offset = json_integer_value(at);
        err = rd_kafka_offsets_for_times(driver->admin, list, REQUEST_MS);
        offset = list->elems[0].offset;
        rd_kafka_topic_partition_list_destroy(list);
    } else {
        int64_t low, high;
        err = rd_kafka_query_watermark_offsets(driver->admin, topic, partition, &low, &high,
                                               REQUEST_MS);
        offset = strcmp(wire_text(command, "at"), "earliest") ? high : low;
    }
    return err ? driver_fail(driver, "%s", rd_kafka_err2str(err))
               : json_pack("{s:I}", "offset", (json_int_t)offset);
}

json_t *admin_groups(struct driver *driver, const json_t *command)
{
    const char *name = wire_text(command, "cmd");
    if (!strcmp(name, "list-groups")) {
        return list_groups(driver, NULL);
    }
    if (!strcmp(name, "describe-group")) {
        return list_groups(driver, wire_text(command, "group"));
    }
    if (!strcmp(name, "delete-group")) {
        return delete_group(driver, wire_text(command, "group"));
    }
    if (!strcmp(name, "list-offsets")) {
        return list_offsets(driver, command);
    }
    return with_consumer(driver, command, strcmp(name, "commit") ? committed : commit);
}
