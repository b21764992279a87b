/* config_defs: the real properties. Defaults are Kafka's; each that differs says so in its words.
 */
#include "broker/config_internal.h"

#define BOOLEAN(id_, name_, initial_, doc_)                                                        \
    [id_] = {.name = (name_), .type = CONFIG_TYPE_BOOLEAN, .initial = (initial_), .doc = (doc_)}
#define TEXT(id_, name_, initial_, choices_, doc_)                                                 \
    [id_] = {.name = (name_),                                                                      \
             .type = CONFIG_TYPE_STRING,                                                           \
             .initial = (initial_),                                                                \
             .choices = (choices_),                                                                \
             .doc = (doc_)}
#define LIST(id_, name_, initial_, choices_, doc_)                                                 \
    [id_] = {.name = (name_),                                                                      \
             .type = CONFIG_TYPE_LIST,                                                             \
             .initial = (initial_),                                                                \
             .choices = (choices_),                                                                \
             .doc = (doc_)}
#define NUMBER(id_, name_, type_, initial_, min_, max_, doc_)                                      \
    [id_] = {.name = (name_),                                                                      \
             .type = (type_),                                                                      \
             .initial = (initial_),                                                                \
             .min = (min_),                                                                        \
             .max = (max_),                                                                        \
             .doc = (doc_)}
#define INT(id_, name_, initial_, min_, doc_)                                                      \
    NUMBER(id_, name_, CONFIG_TYPE_INT, initial_, min_, INT32_MAX, doc_)
#define LONG(id_, name_, initial_, min_, doc_)                                                     \
    NUMBER(id_, name_, CONFIG_TYPE_LONG, initial_, min_, INT64_MAX, doc_)

const struct config_def config_defs[CONFIG_ID_COUNT] = {
    INT(CONFIG_NODE_ID, "node.id", "1", 0, "The number under which clients know this broker."),
    TEXT(CONFIG_CLUSTER_ID, "headrace.cluster.id", NULL, NULL,
         "The cluster's id for a new data folder, 22 characters of base64; random when not set."),
    TEXT(CONFIG_LOG_DIR, "log.dir", "data", NULL, "The folder that holds all data."),
    LIST(CONFIG_LISTENERS, "listeners", "PLAINTEXT://localhost:9092", NULL,
         "Where clients connect: NAME://HOST:PORT, several separated by commas. Port 0 lets the "
         "system choose."),
    LIST(CONFIG_ADVERTISED_LISTENERS, "advertised.listeners", NULL, NULL,
         "What clients are told to connect to, per listener name; the listeners themselves when "
         "not set. A listener on all addresses needs one."),
    LIST(CONFIG_SECURITY_PROTOCOL_MAP, "listener.security.protocol.map",
         "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", NULL,
         "The protocol of each listener name. PLAINTEXT is served."),
    LIST(CONFIG_CONTROLLER_LISTENER_NAMES, "controller.listener.names", "CONTROLLER", NULL,
         "Listeners meant for Kafka's controllers; they are left out, as there is no quorum."),
    TEXT(CONFIG_HTTP_LISTENER, "headrace.http.listener", "localhost:8080", NULL,
         "Where health and metrics are served: HOST:PORT."),
    TEXT(CONFIG_FLUSH, "headrace.flush", "disk", "disk,os",
         "When acks=all is answered: once the records are on disk, or already when the operating "
         "system has them, which loses the last moments in a power cut."),
    TEXT(CONFIG_VALIDATE_COMPRESSED, "headrace.validate.compressed", "header", "header,full",
         "How compressed batches are checked: header and checksum, or each record inside."),
    INT(CONFIG_OPEN_FILES_MAX, "headrace.open.files.max", "4096", 16,
        "How many segment files are held open at once."),
    INT(CONFIG_NUM_NETWORK_THREADS, "num.network.threads", "2", 1,
        "How many reactors serve connections."),
    INT(CONFIG_NUM_PARTITIONS, "num.partitions", "1", 1,
        "Partitions of a topic that is made without saying how many."),
    BOOLEAN(CONFIG_AUTO_CREATE_TOPICS_ENABLE, "auto.create.topics.enable", "true",
            "Whether asking for an unknown topic makes it."),
    BOOLEAN(CONFIG_DELETE_TOPIC_ENABLE, "delete.topic.enable", "true",
            "Whether topics may be deleted."),
    INT(CONFIG_MESSAGE_MAX_BYTES, "message.max.bytes", "1048588", 0,
        "The largest record batch taken."),
    TEXT(CONFIG_COMPRESSION_TYPE, "compression.type", "producer",
         "producer,uncompressed,gzip,snappy,lz4,zstd",
         "How batches are stored: as the producer compressed them, or compressed anew."),
    [CONFIG_COMPRESSION_GZIP_LEVEL] = {.name = "compression.gzip.level",
                                       .type = CONFIG_TYPE_INT,
                                       .initial = "-1",
                                       .min = -1,
                                       .max = 9,
                                       .is_zero_refused = true,
                                       .doc = "How hard gzip tries where compression.type asks "
                                              "for it: 1 to 9; -1 is gzip's own default."},
    NUMBER(CONFIG_COMPRESSION_LZ4_LEVEL, "compression.lz4.level", CONFIG_TYPE_INT, "9", 1, 17,
           "How hard lz4 tries where compression.type asks for it; 9 is its fast default."),
    NUMBER(CONFIG_COMPRESSION_ZSTD_LEVEL, "compression.zstd.level", CONFIG_TYPE_INT, "3", -131072,
           22, "How hard zstd tries where compression.type asks for it."),
    LIST(CONFIG_LOG_CLEANUP_POLICY, "log.cleanup.policy", "delete", "delete,compact",
         "What becomes of old records."),
    INT(CONFIG_LOG_SEGMENT_BYTES, "log.segment.bytes", "1073741824", 1024 * 1024,
        "The size at which a segment is closed and the next begun."),
    LONG(CONFIG_LOG_ROLL_MS, "log.roll.ms", "604800000", 1,
         "The age at which a segment is closed and the next begun."),
    LONG(CONFIG_LOG_ROLL_JITTER_MS, "log.roll.jitter.ms", "0", 0,
         "The most that a random part takes off the rolling age."),
    LONG(CONFIG_LOG_RETENTION_MS, "log.retention.ms", "604800000", -1,
         "How long records are kept; -1: for ever."),
    LONG(CONFIG_LOG_RETENTION_BYTES, "log.retention.bytes", "-1", -1,
         "How many bytes a partition keeps; -1: any number."),
    LONG(CONFIG_LOG_RETENTION_CHECK_INTERVAL_MS, "log.retention.check.interval.ms", "300000", 1,
         "How often retention looks for segments to delete."),
    INT(CONFIG_LOG_INDEX_INTERVAL_BYTES, "log.index.interval.bytes", "4096", 0,
        "Bytes of records between two entries of the offset index."),
    INT(CONFIG_LOG_INDEX_SIZE_MAX_BYTES, "log.index.size.max.bytes", "10485760", 4,
        "The size of an index at which its segment is closed."),
    BOOLEAN(CONFIG_LOG_PREALLOCATE, "log.preallocate", "false",
            "Whether a new segment takes its whole disk space at once."),
    TEXT(CONFIG_LOG_MESSAGE_TIMESTAMP_TYPE, "log.message.timestamp.type", "CreateTime",
         "CreateTime,LogAppendTime", "Whose clock stamps the records."),
    LONG(CONFIG_LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS, "log.message.timestamp.before.max.ms",
         "9223372036854775807", 0, "How far in the past a record's timestamp may lie."),
    LONG(CONFIG_LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS, "log.message.timestamp.after.max.ms", "3600000",
         0, "How far in the future a record's timestamp may lie."),
    BOOLEAN(CONFIG_LOG_CLEANER_ENABLE, "log.cleaner.enable", "true",
            "Whether topics with cleanup.policy=compact are compacted."),
    LONG(CONFIG_LOG_CLEANER_BACKOFF_MS, "log.cleaner.backoff.ms", "15000", 0,
         "How long compaction waits before it looks again, when there was nothing to do."),
    LONG(CONFIG_LOG_CLEANER_DEDUPE_BUFFER_SIZE, "log.cleaner.dedupe.buffer.size", "134217728",
         1024 * 1024, "The most memory for the keys of a topic being compacted, 24 bytes each."),
    [CONFIG_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR] =
        {.name = "log.cleaner.io.buffer.load.factor",
         .type = CONFIG_TYPE_DOUBLE,
         .initial = "0.9",
         .min = 0,
         .max = 1,
         .doc = "How full that memory may become; less is faster and holds fewer keys."},
    [CONFIG_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND] =
        {.name = "log.cleaner.io.max.bytes.per.second",
         .type = CONFIG_TYPE_DOUBLE,
         .initial = "1.7976931348623157E308",
         .doc = "The most that compaction reads and writes in a second."},
    LONG(CONFIG_LOG_CLEANER_DELETE_RETENTION_MS, "log.cleaner.delete.retention.ms", "86400000", 0,
         "How long compaction keeps tombstones."),
    LONG(CONFIG_LOG_CLEANER_MIN_COMPACTION_LAG_MS, "log.cleaner.min.compaction.lag.ms", "0", 0,
         "How long a record stays out of compaction at least."),
    LONG(CONFIG_LOG_CLEANER_MAX_COMPACTION_LAG_MS, "log.cleaner.max.compaction.lag.ms",
         "9223372036854775807", 1, "How long a record stays out of compaction at most."),
    [CONFIG_LOG_CLEANER_MIN_CLEANABLE_RATIO] =
        {.name = "log.cleaner.min.cleanable.ratio",
         .type = CONFIG_TYPE_DOUBLE,
         .initial = "0.5",
         .min = 0,
         .max = 1,
         .doc = "The share of uncompacted bytes at which a log is compacted."},
    NUMBER(CONFIG_MIN_INSYNC_REPLICAS, "min.insync.replicas", CONFIG_TYPE_INT, "1", 1, INT32_MAX,
           "Copies that must have a record before acks=all is answered; more than one refuses."),
    INT(CONFIG_PRODUCER_ID_EXPIRATION_MS, "producer.id.expiration.ms", "86400000", 1,
        "How long the state of a silent idempotent producer is kept."),
    INT(CONFIG_FETCH_MAX_BYTES, "fetch.max.bytes", "57671680", 1024,
        "The most bytes that one fetch returns, beyond its first batch."),
    INT(CONFIG_FETCH_SESSION_SLOTS_MAX, "max.incremental.fetch.session.cache.slots", "1000", 0,
        "How many fetch sessions are kept."),
    INT(CONFIG_SOCKET_REQUEST_MAX_BYTES, "socket.request.max.bytes", "104857600", 1,
        "The largest request taken."),
    LONG(CONFIG_CONNECTIONS_MAX_IDLE_MS, "connections.max.idle.ms", "600000", -1,
         "How long a silent connection is kept; -1: for ever."),
    INT(CONFIG_MAX_CONNECTIONS, "max.connections", "2147483647", 0,
        "How many connections are served at once."),
    INT(CONFIG_MAX_REQUEST_PARTITION_SIZE_LIMIT, "max.request.partition.size.limit", "2000", 1,
        "The most partitions that one answer to DescribeTopicPartitions holds."),
    INT(CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS, "offsets.topic.num.partitions", "50", 1,
        "Partitions of the topic that holds groups and offsets; fixed once it exists."),
    INT(CONFIG_OFFSETS_TOPIC_SEGMENT_BYTES, "offsets.topic.segment.bytes", "104857600", 1,
        "Segment size of the topic that holds groups and offsets."),
    INT(CONFIG_TRANSACTION_MAX_TIMEOUT_MS, "transaction.max.timeout.ms", "900000", 1,
        "The longest time a producer may ask for its transactions."),
    INT(CONFIG_TRANSACTION_STATE_LOG_NUM_PARTITIONS, "transaction.state.log.num.partitions", "50",
        1, "Partitions of __transaction_state, when it is made."),
    INT(CONFIG_TRANSACTION_STATE_LOG_SEGMENT_BYTES, "transaction.state.log.segment.bytes",
        "104857600", 1, "segment.bytes of __transaction_state, when it is made."),
    INT(CONFIG_TRANSACTION_REMOVE_EXPIRED_INTERVAL_MS,
        "transaction.remove.expired.transaction.cleanup.interval.ms", "3600000", 1,
        "How often transactional ids are looked at that nobody has used for long."),
    BOOLEAN(CONFIG_TRANSACTION_PARTITION_VERIFICATION_ENABLE,
            "transaction.partition.verification.enable", "true",
            "Whether a write that begins a transaction in a partition must have been announced to "
            "the coordinator, by clients that do not leave that to the broker."),
    INT(CONFIG_TRANSACTIONAL_ID_EXPIRATION_MS, "transactional.id.expiration.ms", "604800000", 1,
        "How long a transactional id is remembered after its last use."),
    INT(CONFIG_OFFSETS_RETENTION_MINUTES, "offsets.retention.minutes", "10080", 1,
        "How long the offsets of an empty group are kept."),
    LONG(CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS, "offsets.retention.check.interval.ms",
         "600000", 1, "How often expired offsets are looked for."),
    INT(CONFIG_OFFSET_METADATA_MAX_BYTES, "offset.metadata.max.bytes", "4096", 0,
        "The longest text that may be committed with an offset."),
    INT(CONFIG_GROUP_INITIAL_REBALANCE_DELAY_MS, "group.initial.rebalance.delay.ms", "100", 0,
        "How long a new group waits for more members before its first rebalance; Kafka waits "
        "3000."),
    INT(CONFIG_GROUP_MIN_SESSION_TIMEOUT_MS, "group.min.session.timeout.ms", "6000", 1,
        "The shortest session timeout a member may ask for."),
    INT(CONFIG_GROUP_MAX_SESSION_TIMEOUT_MS, "group.max.session.timeout.ms", "1800000", 1,
        "The longest session timeout a member may ask for."),
    INT(CONFIG_GROUP_MAX_SIZE, "group.max.size", "2147483647", 1,
        "How many members a group may have."),
};

const struct config_alias config_aliases[] = {
    {"broker.id", CONFIG_NODE_ID, 0, 1},
    {"log.dirs", CONFIG_LOG_DIR, 0, 3},
    {"log.retention.minutes", CONFIG_LOG_RETENTION_MS, INT64_C(60) * 1000, 1},
    {"log.retention.hours", CONFIG_LOG_RETENTION_MS, INT64_C(3600) * 1000, 0},
    {"log.roll.hours", CONFIG_LOG_ROLL_MS, INT64_C(3600) * 1000, 0},
    {"log.roll.jitter.hours", CONFIG_LOG_ROLL_JITTER_MS, INT64_C(3600) * 1000, 0},
};

const size_t config_alias_count = sizeof config_aliases / sizeof config_aliases[0];
