/* topic_config: names, synonyms, refusals and the resolved settings. */
#include "broker/topic_config.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/suggest.h"

struct topic_config_row {
    const char *name;
    enum config_id synonym;
};

static const struct topic_config_row rows[TOPIC_CONFIG_ID_COUNT] = {
    [TOPIC_CLEANUP_POLICY] = {"cleanup.policy", CONFIG_LOG_CLEANUP_POLICY},
    [TOPIC_COMPRESSION_TYPE] = {"compression.type", CONFIG_COMPRESSION_TYPE},
    [TOPIC_COMPRESSION_GZIP_LEVEL] = {"compression.gzip.level", CONFIG_COMPRESSION_GZIP_LEVEL},
    [TOPIC_COMPRESSION_LZ4_LEVEL] = {"compression.lz4.level", CONFIG_COMPRESSION_LZ4_LEVEL},
    [TOPIC_COMPRESSION_ZSTD_LEVEL] = {"compression.zstd.level", CONFIG_COMPRESSION_ZSTD_LEVEL},
    [TOPIC_DELETE_RETENTION_MS] = {"delete.retention.ms", CONFIG_LOG_CLEANER_DELETE_RETENTION_MS},
    [TOPIC_INDEX_INTERVAL_BYTES] = {"index.interval.bytes", CONFIG_LOG_INDEX_INTERVAL_BYTES},
    [TOPIC_MAX_COMPACTION_LAG_MS] = {"max.compaction.lag.ms",
                                     CONFIG_LOG_CLEANER_MAX_COMPACTION_LAG_MS},
    [TOPIC_MAX_MESSAGE_BYTES] = {"max.message.bytes", CONFIG_MESSAGE_MAX_BYTES},
    [TOPIC_MESSAGE_TIMESTAMP_AFTER_MAX_MS] = {"message.timestamp.after.max.ms",
                                              CONFIG_LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS},
    [TOPIC_MESSAGE_TIMESTAMP_BEFORE_MAX_MS] = {"message.timestamp.before.max.ms",
                                               CONFIG_LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS},
    [TOPIC_MESSAGE_TIMESTAMP_TYPE] = {"message.timestamp.type", CONFIG_LOG_MESSAGE_TIMESTAMP_TYPE},
    [TOPIC_MIN_CLEANABLE_DIRTY_RATIO] = {"min.cleanable.dirty.ratio",
                                         CONFIG_LOG_CLEANER_MIN_CLEANABLE_RATIO},
    [TOPIC_MIN_COMPACTION_LAG_MS] = {"min.compaction.lag.ms",
                                     CONFIG_LOG_CLEANER_MIN_COMPACTION_LAG_MS},
    [TOPIC_MIN_INSYNC_REPLICAS] = {"min.insync.replicas", CONFIG_MIN_INSYNC_REPLICAS},
    [TOPIC_PREALLOCATE] = {"preallocate", CONFIG_LOG_PREALLOCATE},
    [TOPIC_RETENTION_BYTES] = {"retention.bytes", CONFIG_LOG_RETENTION_BYTES},
    [TOPIC_RETENTION_MS] = {"retention.ms", CONFIG_LOG_RETENTION_MS},
    [TOPIC_SEGMENT_BYTES] = {"segment.bytes", CONFIG_LOG_SEGMENT_BYTES},
    [TOPIC_SEGMENT_INDEX_BYTES] = {"segment.index.bytes", CONFIG_LOG_INDEX_SIZE_MAX_BYTES},
    [TOPIC_SEGMENT_JITTER_MS] = {"segment.jitter.ms", CONFIG_LOG_ROLL_JITTER_MS},
    [TOPIC_SEGMENT_MS] = {"segment.ms", CONFIG_LOG_ROLL_MS},
};

static const struct {
    const char *name;
    const char *why;
} refusals[] = {
    {"file.delete.delay.ms", "a deleted segment's file goes with the next background step"},
    {"flush.messages", "flushing follows acks and headrace.flush"},
    {"flush.ms", "flushing follows acks and headrace.flush"},
    {"follower.replication.throttled.replicas", "one machine keeps one copy of each partition"},
    {"leader.replication.throttled.replicas", "one machine keeps one copy of each partition"},
    {"local.retention.bytes", "tiered storage does not exist here"},
    {"local.retention.ms", "tiered storage does not exist here"},
    {"remote.log.copy.disable", "tiered storage does not exist here"},
    {"remote.log.delete.on.disable", "tiered storage does not exist here"},
    {"remote.storage.enable", "tiered storage does not exist here"},
    {"unclean.leader.election.enable", "one machine keeps one copy of each partition"},
};

const char *topic_config_name(enum topic_config_id id)
{
    CHECK(id < TOPIC_CONFIG_ID_COUNT);
    return rows[id].name;
}

enum config_id topic_config_synonym(enum topic_config_id id)
{
    CHECK(id < TOPIC_CONFIG_ID_COUNT);
    return rows[id].synonym;
}

bool topic_config_find(struct span name, enum topic_config_id *id)
{
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++) {
        if (span_equal_text(name, rows[i].name)) {
            *id = (enum topic_config_id)i;
            return true;
        }
    }
    return false;
}

bool topic_config_refused_at(size_t index, const char **name, const char **why)
{
    if (index >= sizeof refusals / sizeof refusals[0])
        return false;
    *name = refusals[index].name;
    *why = refusals[index].why;
    return true;
}

const char *topic_config_refusal(struct span name)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (span_equal_text(name, refusals[i].name))
            return refusals[i].why;
    }
    return NULL;
}

void topic_overrides_init(struct topic_overrides *overrides)
{
    *overrides = (struct topic_overrides){0};
}

void topic_overrides_deinit(struct topic_overrides *overrides)
{
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++)
        free(overrides->texts[i]);
    topic_overrides_init(overrides);
}

struct err topic_overrides_copy(const struct topic_overrides *from, struct topic_overrides *to)
{
    struct topic_overrides copy = {0};
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++) {
        if (from->texts[i] == NULL)
            continue;
        copy.texts[i] = strdup(from->texts[i]);
        if (copy.texts[i] == NULL) {
            topic_overrides_deinit(&copy);
            return err_make(ERR_NO_MEMORY);
        }
    }
    *to = copy;
    return ERR_NONE;
}

static struct err unknown_name(struct span name, struct diag *diag)
{
    const char *why = topic_config_refusal(name);
    if (why != NULL)
        return diag_fail(diag, ERR_INVALID, "%.*s cannot be set here: %s", SPAN_ARGS(name), why);
    struct suggestion guess = {0};
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++)
        suggest_offer(&guess, name, rows[i].name);
    if (guess.nearest == NULL)
        return diag_fail(diag, ERR_INVALID, "Unknown topic config name: %.*s", SPAN_ARGS(name));
    return diag_fail(diag, ERR_INVALID, "Unknown topic config name: %.*s; did you mean %s?",
                     SPAN_ARGS(name), guess.nearest);
}

/* The definition under the topic's own name, for parsing and its messages. */
static struct config_def row_def(enum topic_config_id id)
{
    struct config_def def = *config_def_of(rows[id].synonym);
    def.name = rows[id].name;
    return def;
}

struct err topic_overrides_set(struct topic_overrides *overrides, struct span name,
                               struct span value, struct diag *diag)
{
    enum topic_config_id id;
    if (!topic_config_find(name, &id))
        return unknown_name(name, diag);
    char *text = NULL;
    if (!span_is_null(value)) {
        struct config_def def = row_def(id);
        struct config_value parsed = {0};
        TRY(config_parse_value(&def, value, &parsed, diag));
        text = strndup((const char *)value.data, value.size);
        if (text == NULL)
            return err_make(ERR_NO_MEMORY);
    }
    free(overrides->texts[id]);
    overrides->texts[id] = text;
    return ERR_NONE;
}

const char *topic_config_value(const struct topic_overrides *overrides, const struct config *config,
                               enum topic_config_id id)
{
    const char *text = overrides->texts[id];
    return text != NULL ? text : config_text(config, rows[id].synonym);
}

static int64_t number_of(const struct topic_overrides *overrides, const struct config *config,
                         enum topic_config_id id)
{
    if (overrides->texts[id] == NULL)
        return config_number(config, rows[id].synonym);
    struct config_def def = row_def(id);
    struct config_value value = {0};
    struct err err = config_parse_value(&def, span_text(overrides->texts[id]), &value, NULL);
    CHECK(!err_failed(err));
    return value.number;
}

struct err topic_overrides_check(const struct topic_overrides *overrides,
                                 const struct config *config, struct diag *diag)
{
    int64_t least_ms = number_of(overrides, config, TOPIC_MIN_COMPACTION_LAG_MS);
    int64_t most_ms = number_of(overrides, config, TOPIC_MAX_COMPACTION_LAG_MS);
    if (least_ms <= most_ms)
        return ERR_NONE;
    return diag_fail(diag, ERR_INVALID,
                     "min.compaction.lag.ms is %lld, which is above max.compaction.lag.ms, %lld",
                     (long long)least_ms, (long long)most_ms);
}

/* How the topic's batches are to be compressed. */
static void resolve_compression(const struct topic_overrides *overrides,
                                const struct config *config, struct topic_settings *settings)
{
    static const struct {
        const char *name;
        enum compression codec;
        enum topic_config_id level; /* of no meaning where there are no levels */
    } kinds[] = {
        {"uncompressed", COMPRESSION_NONE, TOPIC_CONFIG_ID_COUNT},
        {"gzip", COMPRESSION_GZIP, TOPIC_COMPRESSION_GZIP_LEVEL},
        {"snappy", COMPRESSION_SNAPPY, TOPIC_CONFIG_ID_COUNT},
        {"lz4", COMPRESSION_LZ4, TOPIC_COMPRESSION_LZ4_LEVEL},
        {"zstd", COMPRESSION_ZSTD, TOPIC_COMPRESSION_ZSTD_LEVEL},
    };
    const char *type = topic_config_value(overrides, config, TOPIC_COMPRESSION_TYPE);
    settings->compression_level = COMPRESSION_LEVEL_DEFAULT;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(type, kinds[i].name) != 0)
            continue;
        settings->is_recompressed = true;
        settings->compression = kinds[i].codec;
        if (kinds[i].level == TOPIC_CONFIG_ID_COUNT)
            continue;
        int64_t level = number_of(overrides, config, kinds[i].level);
        bool is_default = (kinds[i].codec == COMPRESSION_GZIP && level == -1) ||
                          (kinds[i].codec == COMPRESSION_LZ4 && level == 9);
        if (!is_default)
            settings->compression_level = (int)level;
    }
}

static double fraction_of(const struct topic_overrides *overrides, const struct config *config,
                          enum topic_config_id id)
{
    if (overrides->texts[id] == NULL)
        return config_fraction(config, rows[id].synonym);
    struct config_def def = row_def(id);
    struct config_value value = {0};
    struct err err = config_parse_value(&def, span_text(overrides->texts[id]), &value, NULL);
    CHECK(!err_failed(err));
    return value.fraction;
}

void topic_settings_resolve(const struct topic_overrides *overrides, const struct config *config,
                            struct topic_settings *settings)
{
    const char *policy = topic_config_value(overrides, config, TOPIC_CLEANUP_POLICY);
    const char *stamp = topic_config_value(overrides, config, TOPIC_MESSAGE_TIMESTAMP_TYPE);
    *settings = (struct topic_settings){
        .message_size_max = number_of(overrides, config, TOPIC_MAX_MESSAGE_BYTES),
        .timestamp_before_ms_max =
            number_of(overrides, config, TOPIC_MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
        .timestamp_after_ms_max =
            number_of(overrides, config, TOPIC_MESSAGE_TIMESTAMP_AFTER_MAX_MS),
        .insync_count_min = number_of(overrides, config, TOPIC_MIN_INSYNC_REPLICAS),
        .is_log_append_time = strcmp(stamp, "LogAppendTime") == 0,
        .is_compacted = strstr(policy, "compact") != NULL,
        .log =
            {
                .segment_size = number_of(overrides, config, TOPIC_SEGMENT_BYTES),
                .segment_ms = number_of(overrides, config, TOPIC_SEGMENT_MS),
                .segment_jitter_ms = number_of(overrides, config, TOPIC_SEGMENT_JITTER_MS),
                .segment_index_size = number_of(overrides, config, TOPIC_SEGMENT_INDEX_BYTES),
                .index_interval_size = number_of(overrides, config, TOPIC_INDEX_INTERVAL_BYTES),
                .retention_ms = number_of(overrides, config, TOPIC_RETENTION_MS),
                .retention_size = number_of(overrides, config, TOPIC_RETENTION_BYTES),
                .is_deleted = strstr(policy, "delete") != NULL,
                .is_preallocated = number_of(overrides, config, TOPIC_PREALLOCATE) != 0,
                .is_compacted = strstr(policy, "compact") != NULL,
                .dirty_ratio_min = fraction_of(overrides, config, TOPIC_MIN_CLEANABLE_DIRTY_RATIO),
                .compaction_lag_ms_min = number_of(overrides, config, TOPIC_MIN_COMPACTION_LAG_MS),
                .compaction_lag_ms_max = number_of(overrides, config, TOPIC_MAX_COMPACTION_LAG_MS),
                .delete_retention_ms = number_of(overrides, config, TOPIC_DELETE_RETENTION_MS),
            },
    };
    resolve_compression(overrides, config, settings);
    struct log_config *log = &settings->log;
    /* What is in the active segment is not compacted: it must end for the lag to be kept. */
    if (log->is_compacted && log->segment_ms > log->compaction_lag_ms_max)
        log->segment_ms = log->compaction_lag_ms_max;
}
