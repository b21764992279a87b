/* The parts of the librdkafka driver: each command returns its reply, or NULL with error set. */
#ifndef HEADRACE_TESTS_INTEROP_CLIENTS_LIBRDKAFKA_DRIVER_H
#define HEADRACE_TESTS_INTEROP_CLIENTS_LIBRDKAFKA_DRIVER_H

#include "wire.h"
#include <librdkafka/rdkafka.h>

#define REQUEST_MS 20000
#define ERROR_SIZE 512

#define PRODUCERS_MAX 4 /* of transactions, at a time: the checks need two */

/* A transactional producer, by its name in the contract. Free while kafka is NULL. */
struct producer {
    char name[32];
    rd_kafka_t *kafka;
};

struct driver {
    const char *bootstrap;
    struct producer producers[PRODUCERS_MAX];
    rd_kafka_topic_partition_list_t *owned; /* by the member that runs */
    rd_kafka_t *admin; /* a producer handle, which is the cheapest to administer with */
    char error[ERROR_SIZE];
};

/* Sets the driver's error and returns NULL. */
json_t *driver_fail(struct driver *driver, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A configuration with the bootstrap address; settings are pairs ended by NULL. */
rd_kafka_conf_t *driver_conf(const struct driver *driver, ...) __attribute__((sentinel));

/* A consumer that never commits by itself and starts at the beginning. Takes conf. */
rd_kafka_t *driver_consumer(struct driver *driver, rd_kafka_conf_t *conf);

/* Sends records and waits for every ack; false with the driver's error set. The producer must be
 * of a conf that data_watch_deliveries saw. */
bool data_send(struct driver *driver, rd_kafka_t *producer, const char *topic,
               const json_t *records);

/* Makes deliveries report to the driver. */
void data_watch_deliveries(struct driver *driver, rd_kafka_conf_t *conf);

json_t *data_produce(struct driver *driver, const json_t *command);
json_t *data_consume(struct driver *driver, const json_t *command);
json_t *data_group_consume(struct driver *driver, const json_t *command);

json_t *transactions_transact(struct driver *driver, const json_t *command);
json_t *transactions_process(struct driver *driver, const json_t *command);

json_t *admin_topics(struct driver *driver, const json_t *command);
json_t *admin_groups(struct driver *driver, const json_t *command);

#endif
