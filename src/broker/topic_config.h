/*
 * topic_config: a topic's own configs, each falling back to a property of the broker.
 *
 * What Kafka has and this broker does not obey is refused with a reason (topic_config_refusal),
 * never stored and ignored.
 */
#ifndef HEADRACE_BROKER_TOPIC_CONFIG_H
#define HEADRACE_BROKER_TOPIC_CONFIG_H

#include "broker/config.h"
#include "storage/log.h"

enum topic_config_id {
    TOPIC_CLEANUP_POLICY,
    TOPIC_COMPRESSION_GZIP_LEVEL,
    TOPIC_COMPRESSION_LZ4_LEVEL,
    TOPIC_COMPRESSION_TYPE,
    TOPIC_COMPRESSION_ZSTD_LEVEL,
    TOPIC_DELETE_RETENTION_MS,
    TOPIC_INDEX_INTERVAL_BYTES,
    TOPIC_MAX_COMPACTION_LAG_MS,
    TOPIC_MAX_MESSAGE_BYTES,
    TOPIC_MESSAGE_TIMESTAMP_AFTER_MAX_MS,
    TOPIC_MESSAGE_TIMESTAMP_BEFORE_MAX_MS,
    TOPIC_MESSAGE_TIMESTAMP_TYPE,
    TOPIC_MIN_CLEANABLE_DIRTY_RATIO,
    TOPIC_MIN_COMPACTION_LAG_MS,
    TOPIC_MIN_INSYNC_REPLICAS,
    TOPIC_PREALLOCATE,
    TOPIC_RETENTION_BYTES,
    TOPIC_RETENTION_MS,
    TOPIC_SEGMENT_BYTES,
    TOPIC_SEGMENT_INDEX_BYTES,
    TOPIC_SEGMENT_JITTER_MS,
    TOPIC_SEGMENT_MS,
    TOPIC_CONFIG_ID_COUNT
};

/* A topic's overrides: texts on the heap, NULL where the broker's property counts. */
struct topic_overrides {
    char *texts[TOPIC_CONFIG_ID_COUNT];
};

/* What follows from overrides and broker properties, ready for use. */
struct topic_settings {
    int64_t message_size_max;
    int64_t timestamp_before_ms_max;
    int64_t timestamp_after_ms_max;
    int64_t insync_count_min;
    bool is_log_append_time;
    bool is_compacted;
    bool is_recompressed; /* to `compression`, where a batch has another */
    enum compression compression;
    int compression_level; /* as compress_append */
    struct log_config log;
};

const char *topic_config_name(enum topic_config_id id);

/* The broker's property behind a topic config. */
enum config_id topic_config_synonym(enum topic_config_id id);

/* False where no config served has that name. */
bool topic_config_find(struct span name, enum topic_config_id *id);

/* Why a config of Kafka's is refused, or NULL where the name is not even Kafka's. */
const char *topic_config_refusal(struct span name);

/* The index-th of those and why; false beyond the last. */
bool topic_config_refused_at(size_t index, const char **name, const char **why);

void topic_overrides_init(struct topic_overrides *overrides);
void topic_overrides_deinit(struct topic_overrides *overrides);
MUST_USE struct err topic_overrides_copy(const struct topic_overrides *from,
                                         struct topic_overrides *to);

/*
 * Sets (or, with a null value, removes) an override after checking name and value. ERR_INVALID with
 * one sentence; ERR_NO_MEMORY.
 */
MUST_USE struct err topic_overrides_set(struct topic_overrides *overrides, struct span name,
                                        struct span value, struct diag *diag);

/*
 * Checks what no override alone can be blamed for, with the broker's properties where there is
 * none: min.compaction.lag.ms above max.compaction.lag.ms is ERR_INVALID with one sentence.
 */
MUST_USE struct err topic_overrides_check(const struct topic_overrides *overrides,
                                          const struct config *config, struct diag *diag);

/* The value in force: the override, else the broker's. Lives until either changes. */
const char *topic_config_value(const struct topic_overrides *overrides, const struct config *config,
                               enum topic_config_id id);

/* Works out the settings. Overrides were checked when they were set, so this cannot fail. */
void topic_settings_resolve(const struct topic_overrides *overrides, const struct config *config,
                            struct topic_settings *settings);

#endif
