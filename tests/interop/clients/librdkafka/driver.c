/* librdkafka behind the command contract (../README.md). Built against the system's version. */
#include "driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *driver_fail(struct driver *driver, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(driver->error, sizeof driver->error, format, args);
    va_end(args);
    return NULL;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[ERROR_SIZE];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s=%s: %s\n", name, value, text);
        exit(1);
    }
}

rd_kafka_conf_t *driver_conf(const struct driver *driver, ...)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", driver->bootstrap);
    va_list pairs;
    va_start(pairs, driver);
    for (const char *name; (name = va_arg(pairs, const char *));) {
        set(conf, name, va_arg(pairs, const char *));
    }
    va_end(pairs);
    return conf;
}

rd_kafka_t *driver_consumer(struct driver *driver, rd_kafka_conf_t *conf)
{
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "enable.auto.commit", "false");
    rd_kafka_t *consumer =
        rd_kafka_new(RD_KAFKA_CONSUMER, conf, driver->error, sizeof driver->error);
    if (consumer) {
        rd_kafka_poll_set_consumer(consumer);
    }
    return consumer;
}

static const struct {
    const char *name;
    json_t *(*run)(struct driver *, const json_t *);
} commands[] = {
    {"produce", data_produce},
    {"consume", data_consume},
    {"group-consume", data_group_consume},
    {"transact", transactions_transact},
    {"process", transactions_process},
    {"create-topic", admin_topics},
    {"delete-topic", admin_topics},
    {"list-topics", admin_topics},
    {"describe-topic", admin_topics},
    {"describe-config", admin_topics},
    {"alter-config", admin_topics},
    {"add-partitions", admin_topics},
    {"list-offsets", admin_groups},
    {"commit", admin_groups},
    {"committed", admin_groups},
    {"list-groups", admin_groups},
    {"describe-group", admin_groups},
    {"delete-group", admin_groups},
};

static json_t *answer(struct driver *driver, const json_t *command)
{
    const char *name = wire_text(command, "cmd");
    if (!strcmp(name, "describe")) {
        return json_pack("{s:s, s:s}", "client", "librdkafka", "version", rd_kafka_version_str());
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!strcmp(name, commands[i].name)) {
            return commands[i].run(driver, command);
        }
    }
    return driver_fail(driver, "unknown command %s", name);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
        return 2;
    }
    struct driver driver = {.bootstrap = argv[1]};
    driver.admin = rd_kafka_new(RD_KAFKA_PRODUCER, driver_conf(&driver, NULL), driver.error,
                                sizeof driver.error);
    for (json_t *command; driver.admin && (command = wire_read());) {
        json_t *reply = answer(&driver, command);
        if (reply) {
            json_object_set_new(reply, "ok", json_true());
            wire_send(reply);
        } else {
            wire_send(json_pack("{s:b, s:s}", "ok", 0, "error", driver.error));
        }
        json_decref(command);
    }
    rd_kafka_destroy(driver.admin);
    return 0;
}
