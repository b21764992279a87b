/*
 * config: the broker's properties, under Kafka's names, each with its type, default, bounds, words
 * and the place its value came from.
 *
 * Three kinds of property exist: *real* ones, which this program obeys; *known* ones of Kafka,
 * which mean nothing on one machine (a warning says why); and *unknown* ones, which are errors with
 * a guess at what was meant. config_defs.c is the table of the real, config_known.c that of the
 * known.
 *
 * A config is built once at start by one thread and read-only afterwards.
 */
#ifndef HEADRACE_BROKER_CONFIG_H
#define HEADRACE_BROKER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* The real properties. The order is that of config_defs. */
enum config_id {
    CONFIG_NODE_ID,
    CONFIG_CLUSTER_ID,
    CONFIG_LOG_DIR,
    CONFIG_LISTENERS,
    CONFIG_ADVERTISED_LISTENERS,
    CONFIG_SECURITY_PROTOCOL_MAP,
    CONFIG_CONTROLLER_LISTENER_NAMES,
    CONFIG_HTTP_LISTENER,
    CONFIG_FLUSH,
    CONFIG_VALIDATE_COMPRESSED,
    CONFIG_OPEN_FILES_MAX,
    CONFIG_NUM_NETWORK_THREADS,
    CONFIG_NUM_PARTITIONS,
    CONFIG_AUTO_CREATE_TOPICS_ENABLE,
    CONFIG_DELETE_TOPIC_ENABLE,
    CONFIG_MESSAGE_MAX_BYTES,
    CONFIG_COMPRESSION_TYPE,
    CONFIG_COMPRESSION_GZIP_LEVEL,
    CONFIG_COMPRESSION_LZ4_LEVEL,
    CONFIG_COMPRESSION_ZSTD_LEVEL,
    CONFIG_LOG_CLEANUP_POLICY,
    CONFIG_LOG_SEGMENT_BYTES,
    CONFIG_LOG_ROLL_MS,
    CONFIG_LOG_ROLL_JITTER_MS,
    CONFIG_LOG_RETENTION_MS,
    CONFIG_LOG_RETENTION_BYTES,
    CONFIG_LOG_RETENTION_CHECK_INTERVAL_MS,
    CONFIG_LOG_INDEX_INTERVAL_BYTES,
    CONFIG_LOG_INDEX_SIZE_MAX_BYTES,
    CONFIG_LOG_PREALLOCATE,
    CONFIG_LOG_MESSAGE_TIMESTAMP_TYPE,
    CONFIG_LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS,
    CONFIG_LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS,
    CONFIG_LOG_CLEANER_ENABLE,
    CONFIG_LOG_CLEANER_BACKOFF_MS,
    CONFIG_LOG_CLEANER_DEDUPE_BUFFER_SIZE,
    CONFIG_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR,
    CONFIG_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND,
    CONFIG_LOG_CLEANER_DELETE_RETENTION_MS,
    CONFIG_LOG_CLEANER_MIN_COMPACTION_LAG_MS,
    CONFIG_LOG_CLEANER_MAX_COMPACTION_LAG_MS,
    CONFIG_LOG_CLEANER_MIN_CLEANABLE_RATIO,
    CONFIG_MIN_INSYNC_REPLICAS,
    CONFIG_PRODUCER_ID_EXPIRATION_MS,
    CONFIG_FETCH_MAX_BYTES,
    CONFIG_FETCH_SESSION_SLOTS_MAX,
    CONFIG_SOCKET_REQUEST_MAX_BYTES,
    CONFIG_CONNECTIONS_MAX_IDLE_MS,
    CONFIG_MAX_CONNECTIONS,
    CONFIG_MAX_REQUEST_PARTITION_SIZE_LIMIT,
    CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS,
    CONFIG_OFFSETS_TOPIC_SEGMENT_BYTES,
    CONFIG_TRANSACTION_MAX_TIMEOUT_MS,
    CONFIG_TRANSACTION_STATE_LOG_NUM_PARTITIONS,
    CONFIG_TRANSACTION_STATE_LOG_SEGMENT_BYTES,
    CONFIG_TRANSACTION_REMOVE_EXPIRED_INTERVAL_MS,
    CONFIG_TRANSACTION_PARTITION_VERIFICATION_ENABLE,
    CONFIG_TRANSACTIONAL_ID_EXPIRATION_MS,
    CONFIG_OFFSETS_RETENTION_MINUTES,
    CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS,
    CONFIG_OFFSET_METADATA_MAX_BYTES,
    CONFIG_GROUP_INITIAL_REBALANCE_DELAY_MS,
    CONFIG_GROUP_MIN_SESSION_TIMEOUT_MS,
    CONFIG_GROUP_MAX_SESSION_TIMEOUT_MS,
    CONFIG_GROUP_MAX_SIZE,
    CONFIG_ID_COUNT
};

/* Kafka's numbers for types of configuration values, as DescribeConfigs answers them. */
enum config_type {
    CONFIG_TYPE_BOOLEAN = 1,
    CONFIG_TYPE_STRING = 2,
    CONFIG_TYPE_INT = 3,
    CONFIG_TYPE_SHORT = 4,
    CONFIG_TYPE_LONG = 5,
    CONFIG_TYPE_DOUBLE = 6,
    CONFIG_TYPE_LIST = 7
};

/* Where a value came from; the later wins. */
enum config_source { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_FLAG };

struct config_def {
    const char *name;
    enum config_type type;
    const char *initial; /* the default's text; NULL: none */
    int64_t min;         /* bounds of numbers; both 0: unbounded, doubles from 0 on */
    int64_t max;
    bool is_zero_refused; /* though it is within the bounds */
    const char *choices;  /* comma-separated words allowed, or NULL */
    const char *doc;
};

/* Another spelling of a real property in another unit: log.retention.hours for log.retention.ms. */
struct config_alias {
    const char *name;
    enum config_id id;
    int64_t factor; /* value times factor is the real property's; 0: the same text */
    int rank;       /* of several given, the highest rank wins, as in Kafka */
};

struct config_value {
    const char *text; /* in the config's arena; NULL: not set */
    int64_t number;   /* of booleans 0 or 1 */
    double fraction;  /* of doubles */
    enum config_source source;
    int line; /* in the file, from 1; 0: not from the file */
    int rank; /* see config_alias; the real name ranks highest */
};

struct config {
    struct arena arena;
    struct config_value values[CONFIG_ID_COUNT];
    struct buf warnings; /* one line each, NL-terminated: known properties that mean nothing here */
};

/* All defaults. ERR_NO_MEMORY. config_deinit also after a failure. */
MUST_USE struct err config_init(struct config *config);
void config_deinit(struct config *config);

/*
 * Sets a property by any of its names. line: where in the file, or 0. ERR_INVALID with one sentence
 * that names the property, what is wrong and, for unknown ones, the nearest name.
 */
MUST_USE struct err config_set(struct config *config, struct span name, struct span value,
                               enum config_source source, int line, struct diag *diag);

/*
 * Reads Java properties text (Kafka's server.properties): comments, continuation lines, escapes.
 * The sentence of an error starts with "line N: ".
 */
MUST_USE struct err config_read_properties(struct config *config, struct span text,
                                           struct diag *diag);

/* What only the whole can tell: listeners that fit together, bounds between two properties. */
MUST_USE struct err config_validate(const struct config *config, struct diag *diag);

const struct config_def *config_def_of(enum config_id id);

/* The index-th property of Kafka's that means nothing here, and why; false beyond the last. */
bool config_known_at(size_t index, const char **name, const char **why);

/* Kafka's word for the type: "int", "boolean" ... */
const char *config_type_name(enum config_type type);

/* Finds a real property by its main name; false where there is none. */
bool config_find(struct span name, enum config_id *id);

static inline double config_fraction(const struct config *config, enum config_id id)
{
    return config->values[id].fraction;
}

static inline int64_t config_number(const struct config *config, enum config_id id)
{
    return config->values[id].number;
}

static inline bool config_bool(const struct config *config, enum config_id id)
{
    return config->values[id].number != 0;
}

/* The value's text, or NULL when it is not set and has no default. Lives as long as the config. */
static inline const char *config_text(const struct config *config, enum config_id id)
{
    return config->values[id].text;
}

/* "default", "file line 12", "flag": for config check. */
const char *config_source_text(const struct config_value *value, char text[32]);

/*
 * Parses the text as a value of the definition. On success fills number and fraction. ERR_INVALID
 * with a sentence. Shared with the topics' own configs.
 */
MUST_USE struct err config_parse_value(const struct config_def *def, struct span text,
                                       struct config_value *value, struct diag *diag);

#endif
