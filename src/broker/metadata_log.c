/* metadata_log: one record per change, null key, value = type, version, fields. */
#include "broker/metadata_log.h"

#include "base/check.h"
#include "base/limits.h"
#include "broker/internal_log.h"

/* The metadata log's own topic id; the same everywhere, as Kafka's for its metadata topic is. */
static const struct uuid metadata_topic_id = {
    {'h', 'e', 'a', 'd', 'r', 'a', 'c', 'e', ' ', 'm', 'e', 't', 'a', 'd', 'a', 't'}};

/* Bytes of one record: a topic with all its configs. */
#define METADATA_RECORD_SIZE_MAX (64 * 1024)

/* Small segments, so that those below a snapshot are soon whole and can go. */
#define METADATA_SEGMENT_BYTES "1048576"

struct partition *metadata_log_partition(struct broker *broker)
{
    struct partition *partition = topic_partition(broker->metadata, 0);
    CHECK(partition != NULL);
    return partition;
}

struct err metadata_log_open(struct broker *broker, struct diag *diag)
{
    struct topic *topic;
    TRY(topic_create(span_text(TOPIC_METADATA), metadata_topic_id, true, NULL, &topic));
    struct topic_overrides overrides = {0};
    struct err err =
        topic_overrides_set(&overrides, span_text("retention.ms"), span_text("-1"), diag);
    if (!err_failed(err))
        err = topic_overrides_set(&overrides, span_text("retention.bytes"), span_text("-1"), diag);
    if (!err_failed(err))
        err = topic_overrides_set(&overrides, span_text("segment.bytes"),
                                  span_text(METADATA_SEGMENT_BYTES), diag);
    if (!err_failed(err)) {
        topic_configure(topic, &overrides, broker->config);
        err = topic_grow(topic, 1, broker->store, broker->os->clock, diag);
    }
    topic_note_record(topic, 0);
    topic_overrides_deinit(&overrides);
    if (!err_failed(err))
        err = broker_put_topic(broker, topic);
    if (err_failed(err)) {
        topic_unref(topic);
        return err;
    }
    topic_ref(topic);
    broker->metadata = topic;
    return ERR_NONE;
}

/* One record being packed: change_begin, pack into the writer, change_append. */
struct change {
    struct buf value;
    struct writer writer;
};

static void change_begin(struct change *change)
{
    buf_init(&change->value, METADATA_RECORD_SIZE_MAX);
    writer_init(&change->writer, &change->value, NULL, 0);
}

/* Appends what was packed, unless packing failed with err; ends the change. */
static struct err change_append(struct broker *broker, struct change *change, struct err err,
                                int64_t *commit, struct diag *diag)
{
    struct internal_batch batch;
    internal_batch_init(&batch, clock_wall_ms(broker->os->clock));
    if (!err_failed(err))
        err = internal_batch_add(&batch, SPAN_NULL, buf_span(&change->value));
    if (!err_failed(err))
        err = internal_batch_append(&batch, metadata_log_partition(broker), commit, diag);
    if (!err_failed(err))
        broker->metadata_tail.record_count++;
    internal_batch_deinit(&batch);
    buf_deinit(&change->value);
    return diag_wrap(diag, err, "the metadata log");
}

struct err metadata_log_pack_topic(struct writer *writer, struct topic *topic,
                                   int32_t partition_count)
{
    struct topic_overrides overrides; /* as recorded: some may not be durable, nor count, yet */
    struct metadata_topic_created_config configs[TOPIC_CONFIG_ID_COUNT];
    TRY(topic_read_recorded(topic, &overrides));
    struct metadata_topic_created created;
    metadata_topic_created_init(&created);
    created.topic_id = topic->id;
    created.name = topic->name;
    created.partition_count = partition_count;
    created.created_ms = topic->created_ms;
    created.configs = configs;
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++) {
        if (overrides.texts[i] == NULL)
            continue;
        struct metadata_topic_created_config *config = &configs[created.configs_count++];
        config->name = span_text(topic_config_name((enum topic_config_id)i));
        config->value = span_text(overrides.texts[i]);
    }
    struct err err =
        metadata_topic_created_pack(writer, METADATA_TOPIC_CREATED_VERSION_MAX, &created);
    topic_overrides_deinit(&overrides);
    return err;
}

struct err metadata_log_created(struct broker *broker, struct topic *topic, int32_t partition_count,
                                int64_t *commit, struct diag *diag)
{
    struct change change;
    change_begin(&change);
    struct err err = metadata_log_pack_topic(&change.writer, topic, partition_count);
    return change_append(broker, &change, err, commit, diag);
}

struct err metadata_log_deleted(struct broker *broker, const struct topic *topic, int64_t *commit,
                                struct diag *diag)
{
    struct metadata_topic_deleted deleted = {.topic_id = topic->id};
    struct change change;
    change_begin(&change);
    struct err err =
        metadata_topic_deleted_pack(&change.writer, METADATA_TOPIC_DELETED_VERSION_MAX, &deleted);
    return change_append(broker, &change, err, commit, diag);
}

struct err metadata_log_raised(struct broker *broker, const struct topic *topic,
                               int32_t partition_count, int64_t *commit, struct diag *diag)
{
    struct metadata_partitions_raised raised = {.topic_id = topic->id,
                                                .partition_count = partition_count};
    struct change change;
    change_begin(&change);
    struct err err = metadata_partitions_raised_pack(
        &change.writer, METADATA_PARTITIONS_RAISED_VERSION_MAX, &raised);
    return change_append(broker, &change, err, commit, diag);
}

struct err metadata_log_configured(struct broker *broker, const struct topic *topic,
                                   const struct topic_overrides *overrides, int64_t *commit,
                                   struct diag *diag)
{
    struct metadata_config_changed_config configs[TOPIC_CONFIG_ID_COUNT];
    struct metadata_config_changed changed;
    metadata_config_changed_init(&changed);
    changed.resource_type = 2;
    changed.topic_id = topic->id;
    changed.resource_name = topic->name;
    changed.configs = configs;
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++) {
        struct metadata_config_changed_config *config = &configs[changed.configs_count++];
        config->name = span_text(topic_config_name((enum topic_config_id)i));
        config->value = span_text(overrides->texts[i]);
    }
    struct change change;
    change_begin(&change);
    struct err err =
        metadata_config_changed_pack(&change.writer, METADATA_CONFIG_CHANGED_VERSION_MAX, &changed);
    return change_append(broker, &change, err, commit, diag);
}

struct err metadata_log_producer_ids(struct broker *broker, int64_t producer_id_next,
                                     int64_t *commit, struct diag *diag)
{
    struct metadata_producer_ids_allocated allocated = {.producer_id_next = producer_id_next};
    struct change change;
    change_begin(&change);
    struct err err = metadata_producer_ids_allocated_pack(
        &change.writer, METADATA_PRODUCER_IDS_ALLOCATED_VERSION_MAX, &allocated);
    return change_append(broker, &change, err, commit, diag);
}

/* A replay first gathers what remains of each topic, and opens partitions only at the end. */
struct replay_state {
    struct broker *broker;
    struct arena arena; /* of one record */
    struct diag *diag;
};

static struct err replay_created(struct replay_state *state, struct reader *reader)
{
    struct metadata_topic_created created;
    TRY(metadata_topic_created_unpack(reader, &state->arena, &created));
    if (err_failed(topic_check_name(created.name, NULL)) || created.partition_count < 1)
        return err_make(ERR_CORRUPT);
    struct topic *topic;
    bool is_internal = topic_name_is_internal(created.name);
    TRY(topic_create(created.name, created.topic_id, is_internal,
                     metadata_log_partition(state->broker), &topic));
    topic->created_ms = created.created_ms;
    struct topic_overrides overrides = {0};
    struct err err = ERR_NONE;
    for (int32_t i = 0; i < created.configs_count && !err_failed(err); i++)
        err = topic_overrides_set(&overrides, created.configs[i].name, created.configs[i].value,
                                  state->diag);
    if (!err_failed(err)) {
        topic_configure(topic, &overrides, state->broker->config);
        topic->partition_count_wanted = created.partition_count;
        err = broker_put_topic(state->broker, topic);
    }
    topic_overrides_deinit(&overrides);
    if (err_failed(err))
        topic_unref(topic);
    return err;
}

static struct err replay_deleted(struct replay_state *state, struct reader *reader)
{
    struct metadata_topic_deleted deleted;
    TRY(metadata_topic_deleted_unpack(reader, &state->arena, &deleted));
    struct topic *topic = broker_take_topic(state->broker, deleted.topic_id);
    if (topic == NULL)
        return err_make(ERR_CORRUPT);
    topic_unref(topic);
    return ERR_NONE;
}

static struct err replay_raised(struct replay_state *state, struct reader *reader)
{
    struct metadata_partitions_raised raised;
    TRY(metadata_partitions_raised_unpack(reader, &state->arena, &raised));
    struct topic *topic = broker_peek_topic_by_id(state->broker, raised.topic_id);
    if (topic == NULL)
        return err_make(ERR_CORRUPT);
    topic->partition_count_wanted = raised.partition_count;
    topic_unref(topic);
    return ERR_NONE;
}

static struct err replay_configured(struct replay_state *state, struct reader *reader)
{
    struct metadata_config_changed changed;
    TRY(metadata_config_changed_unpack(reader, &state->arena, &changed));
    struct topic *topic = broker_peek_topic_by_id(state->broker, changed.topic_id);
    if (topic == NULL)
        return err_make(ERR_CORRUPT);
    struct topic_overrides overrides = {0};
    struct err err = topic_read_recorded(topic, &overrides);
    for (int32_t i = 0; i < changed.configs_count && !err_failed(err); i++)
        err = topic_overrides_set(&overrides, changed.configs[i].name, changed.configs[i].value,
                                  state->diag);
    if (!err_failed(err))
        topic_configure(topic, &overrides, state->broker->config);
    topic_overrides_deinit(&overrides);
    topic_unref(topic);
    return err;
}

static struct err replay_producer_ids(struct replay_state *state, struct reader *reader)
{
    struct metadata_producer_ids_allocated allocated;
    TRY(metadata_producer_ids_allocated_unpack(reader, &state->arena, &allocated));
    state->broker->producer_id_next = allocated.producer_id_next;
    state->broker->producer_id_end = allocated.producer_id_next;
    return ERR_NONE;
}

static struct err replay_record(void *context, const struct batch_header *header,
                                const struct record *record)
{
    (void)header;
    struct replay_state *state = context;
    struct reader reader;
    reader_init(&reader, record->value);
    int16_t type;
    TRY(reader_read_int16(&reader, &type));
    arena_reset(&state->arena);
    state->broker->metadata_tail.record_count++;
    switch (type) {
    case METADATA_TOPIC_CREATED_TYPE:
        return replay_created(state, &reader);
    case METADATA_TOPIC_DELETED_TYPE:
        return replay_deleted(state, &reader);
    case METADATA_PARTITIONS_RAISED_TYPE:
        return replay_raised(state, &reader);
    case METADATA_CONFIG_CHANGED_TYPE:
        return replay_configured(state, &reader);
    case METADATA_PRODUCER_IDS_ALLOCATED_TYPE:
        return replay_producer_ids(state, &reader);
    case METADATA_SNAPSHOT_BEGUN_TYPE:
        return metadata_snapshot_replay(state->broker, record->offset);
    default:
        return diag_fail(state->diag, ERR_UNSUPPORTED,
                         "the metadata log holds a record of type %d, which a newer version wrote",
                         type);
    }
}

static struct err open_partitions(struct broker *broker, struct diag *diag)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&broker->by_id, &position)) != NULL) {
        struct topic *topic = entry->value;
        if (topic->partition_count_wanted > topic->partition_count)
            TRY(topic_grow(topic, topic->partition_count_wanted, broker->store, broker->os->clock,
                           diag));
        topic_note_record(topic, 0);
    }
    return ERR_NONE;
}

struct err metadata_log_replay(struct broker *broker, struct diag *diag)
{
    struct replay_state state = {.broker = broker, .diag = diag};
    arena_init(&state.arena, METADATA_RECORD_SIZE_MAX * 4);
    const struct internal_visitor visitor = {.context = &state, .record = replay_record};
    struct err err = internal_log_replay(metadata_log_partition(broker), &visitor, diag);
    arena_deinit(&state.arena);
    TRY(diag_wrap(diag, err, "replaying the metadata log"));
    return open_partitions(broker, diag);
}
