/*
 * topic: a named, identified, growing set of partitions and its configs.
 *
 * A topic is reference-counted: the broker's table holds one reference while the topic exists, and
 * whoever works with one of its partitions holds another. The name and id never change; partitions
 * are only added; overrides and settings change under the topic's lock.
 */
#ifndef HEADRACE_BROKER_TOPIC_H
#define HEADRACE_BROKER_TOPIC_H

#include <stdatomic.h>

#include "base/uuid.h"
#include "broker/partition.h"
#include "broker/topic_config.h"

/* Internal topics, by their established names and our own. */
#define TOPIC_OFFSETS "__consumer_offsets"
#define TOPIC_TRANSACTIONS "__transaction_state"
#define TOPIC_METADATA "__headrace_metadata"

/* Kafka's longest topic name: 249 bytes leave room for "-<partition>.<id>.deleted" in 255. */
#define TOPIC_NAME_SIZE_MAX 249

#define TOPIC_MAGIC 0x544f5049U /* "TOPI" */

struct topic {
    uint32_t magic;
    atomic_int reference_count;
    struct span name; /* on the heap, owned */
    struct uuid id;
    int64_t created_ms; /* wall clock */
    bool is_internal;
    atomic_bool is_deleted;
    struct os_mutex lock; /* guards what follows */
    struct partition **partitions;
    int32_t partition_count;
    int32_t partition_count_wanted;     /* while the metadata log is replayed */
    int32_t partition_unreleased_count; /* whose logs may still call their listeners */
    struct topic_overrides overrides;
    struct topic_settings settings;
};

/* Makes a topic without partitions; the caller gets the one reference. ERR_NO_MEMORY. */
MUST_USE struct err topic_create(struct span name, struct uuid id, bool is_internal,
                                 struct topic **topic);

void topic_ref(struct topic *topic);

/* Gives up a reference; the last one frees the topic and its partitions. NULL is ignored. */
void topic_unref(struct topic *topic);

/* For partition.c: this partition's log calls nobody any more. */
void topic_partition_released(struct topic *topic, struct partition *partition);

/*
 * Opens partitions until there are count of them. On an error those opened so far stay. The caller
 * serialises changes of one topic. Errors: store_open_log's.
 */
MUST_USE struct err topic_grow(struct topic *topic, int32_t count, struct store *store,
                               const struct os_clock *clock, struct diag *diag);

/* Takes the overrides (they become empty) and makes the settings that follow from them count. */
void topic_configure(struct topic *topic, struct topic_overrides *overrides,
                     const struct config *config);

/* The partition of that number, or NULL. Lives as long as the caller's reference to the topic. */
struct partition *topic_partition(struct topic *topic, int32_t index);

int32_t topic_partition_count(struct topic *topic);

/* A copy of the settings of this moment. */
struct topic_settings topic_read_settings(struct topic *topic);

/* A copy of the overrides, to be deinitialised by the caller. ERR_NO_MEMORY. */
MUST_USE struct err topic_read_overrides(struct topic *topic, struct topic_overrides *out);

/*
 * Whether Kafka takes the name: 1 to 249 of [a-zA-Z0-9._-], not "." or "..". ERR_INVALID with
 * Kafka's sentence.
 */
MUST_USE struct err topic_check_name(struct span name, struct diag *diag);

/* Whether the name is one of the internal topics', which clients may not write to or make. */
bool topic_name_is_internal(struct span name);

/* Whether two names would be one as metrics, where "." and "_" are the same. */
bool topic_names_collide(struct span a, struct span b);

#endif
