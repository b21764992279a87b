/* Transactional producers, and one turn of consume, process, produce. */
#include "driver.h"

#include <stdio.h>
#include <string.h>

#define PROCESS_TIMEOUT_MS 60000

/* Takes the error; false and the driver's error when there is one. */
static bool succeeded(struct driver *driver, rd_kafka_error_t *error)
{
    if (!error) {
        return true;
    }
    driver_fail(driver, "%s: %s", rd_kafka_error_name(error), rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

/* A producer that may begin transactions; NULL with the driver's error set. The caller owns it. */
static rd_kafka_t *open_producer(struct driver *driver, const char *id, long long timeout_ms)
{
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%lld", timeout_ms);
    rd_kafka_conf_t *conf =
        driver_conf(driver, "transactional.id", id, "transaction.timeout.ms", timeout, NULL);
    data_watch_deliveries(driver, conf);
    rd_kafka_t *producer =
        rd_kafka_new(RD_KAFKA_PRODUCER, conf, driver->error, sizeof driver->error);
    if (producer && !succeeded(driver, rd_kafka_init_transactions(producer, REQUEST_MS))) {
        rd_kafka_destroy(producer);
        return NULL;
    }
    return producer;
}

/* The named producer, or a free place for it; NULL when all places are taken. */
static struct producer *find(struct driver *driver, const char *name)
{
    struct producer *place = NULL;
    for (size_t i = 0; i < PRODUCERS_MAX; i++) {
        struct producer *one = &driver->producers[i];
        if (one->kafka && !strcmp(one->name, name)) {
            return one;
        }
        place = one->kafka ? place : one;
    }
    return place;
}

static bool take(struct driver *driver, struct producer *producer, const json_t *step)
{
    const char *name = wire_text(step, "do");
    if (!strcmp(name, "begin")) {
        return succeeded(driver, rd_kafka_begin_transaction(producer->kafka));
    }
    if (!strcmp(name, "produce")) {
        return data_send(driver, producer->kafka, wire_text(step, "topic"),
                         json_object_get(step, "records"));
    }
    if (!strcmp(name, "commit")) {
        return succeeded(driver, rd_kafka_commit_transaction(producer->kafka, REQUEST_MS));
    }
    if (!strcmp(name, "abort")) {
        return succeeded(driver, rd_kafka_abort_transaction(producer->kafka, REQUEST_MS));
    }
    rd_kafka_destroy(producer->kafka);
    producer->kafka = NULL;
    return true;
}

json_t *transactions_transact(struct driver *driver, const json_t *command)
{
    struct producer *producer = find(driver, wire_text(command, "producer"));
    if (!producer) {
        return driver_fail(driver, "more than %d producers", PRODUCERS_MAX);
    }
    if (!producer->kafka) {
        snprintf(producer->name, sizeof producer->name, "%s", wire_text(command, "producer"));
        producer->kafka = open_producer(driver, wire_text(command, "id"),
                                        json_integer_value(json_object_get(command, "timeout_ms")));
    }
    bool healthy = producer->kafka;
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(command, "steps"), i, step)
    {
        healthy = healthy && take(driver, producer, step);
    }
    return healthy ? json_object() : NULL;
}

/* Sends on what the consumer is given, count records in all. */
static bool relay(struct driver *driver, rd_kafka_t *consumer, rd_kafka_t *producer,
                  const char *topic, json_int_t count)
{
    while (count > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, REQUEST_MS);
        rd_kafka_resp_err_t err = message ? message->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (!err) {
            err =
                rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                  RD_KAFKA_V_KEY(message->key, message->key_len),
                                  RD_KAFKA_V_VALUE(message->payload, message->len), RD_KAFKA_V_END);
            count--;
        }
        if (message) {
            rd_kafka_message_destroy(message);
        }
        if (err) {
            driver_fail(driver, "%s", rd_kafka_err2str(err));
            return false;
        }
    }
    return true;
}

/* Adds the consumer's positions to the producer's transaction. */
static bool send_positions(struct driver *driver, rd_kafka_t *consumer, rd_kafka_t *producer)
{
    rd_kafka_topic_partition_list_t *positions = NULL;
    rd_kafka_resp_err_t err = rd_kafka_assignment(consumer, &positions);
    if (!err) {
        err = rd_kafka_position(consumer, positions);
    }
    if (err) {
        driver_fail(driver, "%s", rd_kafka_err2str(err));
        return false;
    }
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);
    bool sent = succeeded(
        driver, rd_kafka_send_offsets_to_transaction(producer, positions, group, REQUEST_MS));
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(positions);
    return sent;
}

static bool process(struct driver *driver, rd_kafka_t *consumer, rd_kafka_t *producer,
                    const json_t *command)
{
    if (!succeeded(driver, rd_kafka_begin_transaction(producer)) ||
        !relay(driver, consumer, producer, wire_text(command, "to"),
               json_integer_value(json_object_get(command, "count"))) ||
        !send_positions(driver, consumer, producer)) {
        return false;
    }
    if (!strcmp(wire_text(command, "end"), "commit")) {
        return succeeded(driver, rd_kafka_commit_transaction(producer, REQUEST_MS));
    }
    rd_kafka_flush(producer, REQUEST_MS);
    return succeeded(driver, rd_kafka_abort_transaction(producer, REQUEST_MS));
}

json_t *transactions_process(struct driver *driver, const json_t *command)
{
    rd_kafka_t *producer = open_producer(driver, wire_text(command, "id"), PROCESS_TIMEOUT_MS);
    if (!producer) {
        return NULL;
    }
    rd_kafka_t *consumer =
        driver_consumer(driver, driver_conf(driver, "group.id", wire_text(command, "group"), NULL));
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, wire_text(command, "from"), -1);
    rd_kafka_subscribe(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    bool done = process(driver, consumer, producer, command);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    return done ? json_object() : NULL;
}
