/* Produce, consume, and consume in a group. */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 100

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    struct driver *driver = opaque;
    if (message->err && !driver->error[0]) {
        driver_fail(driver, "%s", rd_kafka_err2str(message->err));
    }
}

static rd_kafka_headers_t *read_headers(const json_t *list)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(json_array_size(list));
    size_t i;
    json_t *pair;
    json_array_foreach(list, i, pair)
    {
        struct bytes value = wire_decode(json_array_get(pair, 1));
        rd_kafka_header_add(headers, json_string_value(json_array_get(pair, 0)), -1, value.data,
                            (ssize_t)value.size);
        free(value.data);
    }
    return headers;
}

static rd_kafka_resp_err_t produce_one(rd_kafka_t *producer, const char *topic,
                                       const json_t *record)
{
    struct bytes key = wire_decode(json_object_get(record, "key"));
    struct bytes value = wire_decode(json_object_get(record, "value"));
    rd_kafka_headers_t *headers = read_headers(json_object_get(record, "headers"));
    rd_kafka_resp_err_t err = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_PARTITION((int32_t)json_integer_value(json_object_get(record, "partition"))),
        RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE(value.data, value.size),
        RD_KAFKA_V_TIMESTAMP(json_integer_value(json_object_get(record, "timestamp"))),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (err) {
        rd_kafka_headers_destroy(headers);
    }
    free(key.data);
    free(value.data);
    return err;
}

void data_watch_deliveries(struct driver *driver, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_opaque(conf, driver);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

bool data_send(struct driver *driver, rd_kafka_t *producer, const char *topic,
               const json_t *records)
{
    driver->error[0] = '\0';
    size_t i;
    json_t *record;
    json_array_foreach(records, i, record)
    {
        rd_kafka_resp_err_t err = produce_one(producer, topic, record);
        if (err && !driver->error[0]) {
            driver_fail(driver, "%s", rd_kafka_err2str(err));
        }
        rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, REQUEST_MS) && !driver->error[0]) {
        driver_fail(driver, "not delivered in time");
    }
    return !driver->error[0];
}

json_t *data_produce(struct driver *driver, const json_t *command)
{
    char limit[32] = "1000000";
    json_int_t largest = json_integer_value(json_object_get(command, "max_bytes"));
    if (largest) {
        snprintf(limit, sizeof limit, "%lld", (long long)largest + 1000);
    }
    const char *codec = wire_text(command, "codec");
    bool idempotent = json_is_true(json_object_get(command, "idempotent"));
    rd_kafka_conf_t *conf = driver_conf(driver, "compression.type", codec[0] ? codec : "none",
                                        "enable.idempotence", idempotent ? "true" : "false",
                                        "message.max.bytes", limit, "linger.ms", "20", NULL);
    data_watch_deliveries(driver, conf);
    rd_kafka_t *producer =
        rd_kafka_new(RD_KAFKA_PRODUCER, conf, driver->error, sizeof driver->error);
    if (!producer) {
        return NULL;
    }
    bool sent = data_send(driver, producer, wire_text(command, "topic"),
                          json_object_get(command, "records"));
    rd_kafka_destroy(producer);
    return sent ? json_object() : NULL;
}

static json_t *write_headers(const rd_kafka_message_t *message)
{
    json_t *list = json_array();
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers)) {
        return list;
    }
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++) {
        json_array_append_new(list, json_pack("[s, o]", name, wire_encode(value, size)));
    }
    return list;
}

static json_t *write_record(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    json_int_t timestamp = rd_kafka_message_timestamp(message, &type);
    return json_pack("{s:i, s:I, s:I, s:o, s:o, s:o}", "partition", (int)message->partition,
                     "offset", (json_int_t)message->offset, "timestamp", timestamp, "key",
                     wire_encode(message->key, message->key_len), "value",
                     wire_encode(message->payload, message->len), "headers",
                     write_headers(message));
}

static rd_kafka_topic_partition_list_t *whole_topic(struct driver *driver, const char *topic)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(driver->admin, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(driver->admin, 0, handle, &metadata, REQUEST_MS);
    rd_kafka_topic_destroy(handle);
    if (err) {
        driver_fail(driver, "%s", rd_kafka_err2str(err));
        return NULL;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (int i = 0; i < metadata->topics[0].partition_cnt; i++) {
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_metadata_destroy(metadata);
    return list;
}

static json_t *collect(struct driver *driver, rd_kafka_t *consumer, const json_t *command)
{
    size_t count = (size_t)json_integer_value(json_object_get(command, "count"));
    json_int_t patience_ms = json_integer_value(json_object_get(command, "timeout_ms"));
    json_t *records = json_array();
    while (json_array_size(records) < count) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, POLL_MS);
        if (message && !message->err) {
            json_array_append_new(records, write_record(message));
        } else if (message) {
            driver_fail(driver, "%s", rd_kafka_message_errstr(message));
            rd_kafka_message_destroy(message);
            json_decref(records);
            return NULL;
        } else if ((patience_ms -= POLL_MS) < 0) {
            driver_fail(driver, "got %zu of %zu records in time", json_array_size(records), count);
            json_decref(records);
            return NULL;
        }
        if (message) {
            rd_kafka_message_destroy(message);
        }
    }
    return json_pack("{s:o}", "records", records);
}

json_t *data_consume(struct driver *driver, const json_t *command)
{
    rd_kafka_topic_partition_list_t *list = whole_topic(driver, wire_text(command, "topic"));
    if (!list) {
        return NULL;
    }
    const char *isolation = wire_text(command, "isolation");
    rd_kafka_conf_t *conf = driver_conf(driver, "group.id", "unused", "isolation.level",
                                        isolation[0] ? isolation : "read_committed", NULL);
    rd_kafka_t *consumer = driver_consumer(driver, conf);
    rd_kafka_assign(consumer, list);
    json_t *reply = collect(driver, consumer, command);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return reply;
}

/* Tells the orchestrator what the member owns now. The client itself is not asked: when the last
 * partition is let go at a close, nobody may be left to answer. */
static void report(const rd_kafka_topic_partition_list_t *owned)
{
    json_t *numbers = json_array();
    for (int i = 0; i < owned->cnt; i++) {
        json_array_append_new(numbers, json_integer(owned->elems[i].partition));
    }
    wire_send(json_pack("{s:s, s:o}", "event", "assigned", "partitions", numbers));
}

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t err,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct driver *driver = opaque;
    bool cooperative = !strcmp(rd_kafka_rebalance_protocol(consumer), "COOPERATIVE");
    bool assign = err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &partitions->elems[i];
        rd_kafka_topic_partition_list_del(driver->owned, at->topic, at->partition);
        if (assign) {
            rd_kafka_topic_partition_list_add(driver->owned, at->topic, at->partition);
        }
    }
    if (cooperative) {
        rd_kafka_error_destroy(assign ? rd_kafka_incremental_assign(consumer, partitions)
                                      : rd_kafka_incremental_unassign(consumer, partitions));
    } else {
        rd_kafka_assign(consumer, assign ? partitions : NULL);
    }
    report(driver->owned);
}

/* Handles what one poll gives and commits it. False when the client reports an error. */
static bool handle_one(struct driver *driver, rd_kafka_t *consumer)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, POLL_MS);
    if (!message) {
        return true;
    }
    rd_kafka_resp_err_t err = message->err;
    if (!err) {
        wire_send(json_pack("{s:s, s:i, s:I, s:o}", "event", "record", "partition",
                            (int)message->partition, "offset", (json_int_t)message->offset, "value",
                            wire_encode(message->payload, message->len)));
        err = rd_kafka_commit_message(consumer, message, 0);
    }
    rd_kafka_message_destroy(message);
    if (err) {
        driver_fail(driver, "%s", rd_kafka_err2str(err));
    }
    return !err;
}

json_t *data_group_consume(struct driver *driver, const json_t *command)
{
    char session[32];
    snprintf(session, sizeof session, "%lld",
             (long long)json_integer_value(json_object_get(command, "session_timeout_ms")));
    bool cooperative = !strcmp(wire_text(command, "strategy"), "cooperative");
    rd_kafka_conf_t *conf =
        driver_conf(driver, "group.id", wire_text(command, "group"), "session.timeout.ms", session,
                    "heartbeat.interval.ms", "500", "partition.assignment.strategy",
                    cooperative ? "cooperative-sticky" : "range", "group.instance.id",
                    wire_text(command, "instance"), NULL);
    rd_kafka_conf_set_opaque(conf, driver);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    driver->owned = rd_kafka_topic_partition_list_new(1);
    rd_kafka_t *consumer = driver_consumer(driver, conf);
    if (!consumer) {
        rd_kafka_topic_partition_list_destroy(driver->owned);
        return NULL;
    }
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, wire_text(command, "topic"), -1);
    rd_kafka_subscribe(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    bool healthy = true;
    while (healthy && !wire_waiting()) {
        healthy = handle_one(driver, consumer);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_topic_partition_list_destroy(driver->owned);
    json_decref(wire_read());
    return healthy ? json_object() : NULL;
}
