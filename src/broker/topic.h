/*
 * topic: a named, identified, growing set of partitions and its configs.
 *
 * A topic is reference-counted: the broker's table holds one reference while the topic exists, and
 * whoever works with one of its partitions holds another. The name and id never change; partitions
 * are only added; overrides and settings change under the topic's lock.
 *
 * Invariants:
 *  1. A partition is shown once the record that makes it is durable in the metadata log, and stays
 *     shown: what is written to it cannot lose its topic in a crash. A topic is shown with its
 * first partition.
 *  2. Changed configs count and are shown once their record is durable, in the order of records.
 *
 * Both are looked up where they are asked for: whoever was told that a change is durable sees it.
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
    const struct partition *records; /* of the metadata log; NULL: this is its own topic */
    struct os_mutex lock;            /* guards what follows */
    struct partition **partitions;
    int32_t partition_count;        /* opened; changes under the broker's admin_lock */
    int32_t partition_shown_count;  /* seen to be recorded, from the first on */
    int32_t partition_count_wanted; /* while the metadata log is replayed */
    int32_t unreleased_count; /* partitions whose logs may still call their listeners, and itself */
    struct list changes;      /* configs recorded and not yet seen to be durable, oldest first */
    struct topic_overrides overrides;
    struct topic_settings settings;
};

/* Makes a topic without partitions; the caller gets the one reference. records: the metadata log,
 * which outlives the topic's use, or NULL for its own topic. ERR_NO_MEMORY. */
MUST_USE struct err topic_create(struct span name, struct uuid id, bool is_internal,
                                 const struct partition *records, struct topic **topic);

void topic_ref(struct topic *topic);

/* Gives up a reference; the last one frees the topic and its partitions. NULL is ignored. */
void topic_unref(struct topic *topic);

/* For partition.c: this partition's log calls nobody any more. */
void topic_partition_released(struct topic *topic, struct partition *partition);

/*
 * Opens partitions until there are count of them; they are shown to nobody before
 * topic_note_record. On an error those opened so far stay. The caller serialises changes of one
 * topic. Errors: store_open_log's.
 */
MUST_USE struct err topic_grow(struct topic *topic, int32_t count, struct store *store,
                               const struct os_clock *clock, struct diag *diag);

/* The partitions without a record are shown once the metadata log is durable up to commit. */
void topic_note_record(struct topic *topic, int64_t commit);

/* Takes back partitions that topic_grow opened and no record names, down to count of them. */
void topic_shrink(struct topic *topic, int32_t count);

/* Takes the overrides (they become empty) and makes the settings that follow from them count. */
void topic_configure(struct topic *topic, struct topic_overrides *overrides,
                     const struct config *config);

/* Configs that wait for their record; on the heap. */
struct topic_change {
    struct list link;
    int64_t commit; /* set before topic_add_change */
    struct topic_overrides overrides;
    struct topic_settings settings;
};

/* Makes a change; takes the overrides (they become empty). ERR_NO_MEMORY leaves them. */
MUST_USE struct err topic_change_create(struct topic_overrides *overrides,
                                        const struct config *config, struct topic_change **out);

/* NULL is taken and ignored. */
void topic_change_destroy(struct topic_change *change);

/* Takes the change, whose commit is not below those before it; it counts from there on. */
void topic_add_change(struct topic *topic, struct topic_change *change);

/* Makes changes count whose records have become durable, so that logs hear of them. */
void topic_settle(struct topic *topic);

/* Whether others may see it: its creation is durable. */
bool topic_is_shown(struct topic *topic);

/* The partition of that number, or NULL where there is none, or none yet to be shown. Lives as long
 * as the caller's reference to the topic. */
struct partition *topic_partition(struct topic *topic, int32_t index);

/* Partitions that are shown. */
int32_t topic_partition_count(struct topic *topic);

/* Partitions that are recorded, durably or not: for an answer that waits for that. */
int32_t topic_recorded_count(struct topic *topic);

/* A copy of the settings of this moment. */
struct topic_settings topic_read_settings(struct topic *topic);

/* A copy of the overrides, to be deinitialised by the caller. ERR_NO_MEMORY. */
MUST_USE struct err topic_read_overrides(struct topic *topic, struct topic_overrides *out);

/* The same as the next change must begin with: what was recorded last, durable or not. */
MUST_USE struct err topic_read_recorded(struct topic *topic, struct topic_overrides *out);

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
