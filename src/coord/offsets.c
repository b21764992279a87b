/*
 * offsets: how far a group has read each partition.
 *
 * A commit is appended to the offsets topic and shown to others once that is durable: `latest` is
 * what was appended last, `shown` the last that was durable before it. A reader that requires
 * stable offsets gets UNSTABLE_OFFSET_COMMIT while the two differ.
 *
 * Invariant: latest_end is the log offset at which `latest` becomes durable; below the high
 * watermark of the offsets partition, latest is what counts.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "coord/coord_internal.h"
#include "wire/records/offset_commit.h"

struct committed_value {
    int64_t offset; /* -1: none yet */
    int32_t leader_epoch;
    struct span metadata; /* owned */
    int64_t commit_ms;
};

struct committed {
    struct span key; /* owned: topic, then the partition's 4 bytes */
    struct committed_value shown;
    struct committed_value latest;
    int64_t latest_end;
    struct span staged; /* owned: metadata of a commit about to be appended */
};

/* The longest key: a topic's name and a partition. */
#define KEY_SIZE_MAX (TOPIC_NAME_SIZE_MAX + 4)

static struct span key_make(uint8_t bytes[KEY_SIZE_MAX], struct span topic, int32_t partition)
{
    CHECK(topic.size <= TOPIC_NAME_SIZE_MAX);
    if (topic.size != 0)
        memcpy(bytes, topic.data, topic.size);
    memcpy(bytes + topic.size, &partition, sizeof partition);
    return span_make(bytes, topic.size + sizeof partition);
}

static struct span key_topic(const struct committed *committed)
{
    return span_make(committed->key.data, committed->key.size - sizeof(int32_t));
}

static int32_t key_partition(const struct committed *committed)
{
    int32_t partition;
    memcpy(&partition, committed->key.data + committed->key.size - sizeof partition,
           sizeof partition);
    return partition;
}

static struct committed *find(const struct group *group, struct span topic, int32_t partition)
{
    uint8_t bytes[KEY_SIZE_MAX];
    if (topic.size > TOPIC_NAME_SIZE_MAX)
        return NULL;
    return map_get(&group->offsets, key_make(bytes, topic, partition));
}

static void committed_free(struct committed *committed)
{
    blob_free(&committed->key);
    blob_free(&committed->shown.metadata);
    blob_free(&committed->latest.metadata);
    blob_free(&committed->staged);
    free(committed);
}

static void remove_one(struct group *group, struct committed *committed)
{
    const void *found = map_remove(&group->offsets, committed->key);
    CHECK(found == committed);
    committed_free(committed);
}

void offsets_clear(struct group *group)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->offsets, &position)) != NULL)
        committed_free(entry->value);
    map_deinit(&group->offsets);
}

struct err offsets_add_tombstones(struct group *group, struct internal_batch *batch)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->offsets, &position)) != NULL)
        TRY(group_log_add_offset_tombstone(group, key_topic(entry->value),
                                           key_partition(entry->value), batch));
    return ERR_NONE;
}

static struct err find_or_make(struct group *group, struct span topic, int32_t partition,
                               struct committed **out)
{
    *out = find(group, topic, partition);
    if (*out != NULL)
        return ERR_NONE;
    uint8_t bytes[KEY_SIZE_MAX];
    struct committed *committed = calloc(1, sizeof *committed);
    if (committed == NULL)
        return err_make(ERR_NO_MEMORY);
    committed->shown.offset = -1;
    committed->latest.offset = -1;
    struct err err = blob_copy(key_make(bytes, topic, partition), &committed->key);
    if (!err_failed(err))
        err = map_put(&group->offsets, committed->key, committed);
    if (err_failed(err)) {
        blob_free(&committed->key);
        free(committed);
        return err;
    }
    *out = committed;
    return ERR_NONE;
}

/* Lets the latest value count where it has become durable. */
static void settle(const struct group *group, struct committed *committed)
{
    if (committed->latest_end == 0)
        return;
    struct partition_offsets offsets;
    partition_read_offsets(coord_partition(group->coord, group->partition_index), &offsets);
    if (committed->latest_end > offsets.high_watermark)
        return;
    blob_free(&committed->shown.metadata);
    committed->shown = committed->latest;
    committed->latest = (struct committed_value){.offset = -1};
    committed->latest_end = 0;
}

/* Sets the latest value; metadata (owned) is taken. */
static void set_latest(const struct group *group, struct committed *committed,
                       struct committed_value value, int64_t end_offset)
{
    settle(group, committed);
    blob_free(&committed->latest.metadata);
    committed->latest = value;
    committed->latest_end = end_offset;
}

/* Whether the topic still is the one the offset was committed for; a zero id matches any. */
static bool topic_is_same(const struct coord *coord, struct span name, struct uuid id)
{
    struct topic *topic = broker_find_topic(coord->broker, name);
    bool is_same = topic != NULL && (uuid_is_zero(id) || uuid_equal(id, topic->id));
    topic_unref(topic);
    return is_same;
}

struct err offsets_replay(struct group *group, struct span topic, int32_t partition,
                          const struct record *record)
{
    if (span_is_null(record->value)) {
        struct committed *gone = find(group, topic, partition);
        if (gone != NULL)
            remove_one(group, gone);
        return ERR_NONE;
    }
    struct offset_commit_value value;
    struct reader reader;
    struct arena arena;
    reader_init(&reader, record->value);
    arena_init(&arena, REQUEST_ARENA_SIZE_MAX);
    struct err err = offset_commit_value_unpack(&reader, &arena, &value);
    arena_deinit(&arena);
    TRY(err);
    if (!topic_is_same(group->coord, topic, value.topic_id))
        return ERR_NONE;
    struct span metadata;
    struct committed *committed;
    TRY(find_or_make(group, topic, partition, &committed));
    TRY(blob_copy(value.metadata, &metadata));
    blob_free(&committed->shown.metadata);
    committed->shown = (struct committed_value){.offset = value.offset,
                                                .leader_epoch = value.leader_epoch,
                                                .metadata = metadata,
                                                .commit_ms = value.commit_timestamp};
    return ERR_NONE;
}

/* Whether the group takes a commit from this member: Kafka's code. */
static int16_t check_commit(const struct group *group, const struct offset_commit_request *request)
{
    if (group == NULL)
        return request->generation_id_or_member_epoch < 0 ? KAFKA_NONE : KAFKA_ILLEGAL_GENERATION;
    bool is_simple = request->generation_id_or_member_epoch < 0 && request->member_id.size == 0 &&
                     span_is_null(request->group_instance_id);
    if (is_simple)
        return group->state == GROUP_EMPTY ? KAFKA_NONE : KAFKA_UNKNOWN_MEMBER_ID;
    if (group->state == GROUP_EMPTY && request->generation_id_or_member_epoch < 0)
        return KAFKA_NONE;
    const struct member *member = group_find_member(group, request->member_id);
    if (!span_is_null(request->group_instance_id)) {
        const struct member *named = group_find_static(group, request->group_instance_id);
        if (named == NULL)
            return KAFKA_UNKNOWN_MEMBER_ID;
        if (named != member)
            return KAFKA_FENCED_INSTANCE_ID;
    }
    if (member == NULL)
        return KAFKA_UNKNOWN_MEMBER_ID;
    if (request->generation_id_or_member_epoch != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    return group->state == GROUP_COMPLETING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

static int16_t check_partition(const struct coord *coord, struct span topic,
                               const struct offset_commit_request_partition *partition)
{
    if (span_is_null(topic) || partition->partition_index < 0)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    struct topic *found = broker_find_topic(coord->broker, topic);
    if (found == NULL)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    bool is_there = topic_partition(found, partition->partition_index) != NULL;
    topic_unref(found);
    if (!is_there)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    int64_t size_max = config_number(coord->config, CONFIG_OFFSET_METADATA_MAX_BYTES);
    return (int64_t)partition->committed_metadata.size > size_max ? KAFKA_OFFSET_METADATA_TOO_LARGE
                                                                  : KAFKA_NONE;
}

/* Adds a commit's record to the batch. */
static struct err add_record(const struct group *group, struct span topic,
                             const struct offset_commit_request_partition *partition,
                             struct internal_batch *batch)
{
    struct offset_commit_key key = {
        .group = group->id, .topic = topic, .partition = partition->partition_index};
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = partition->committed_offset;
    value.leader_epoch = partition->committed_leader_epoch;
    value.metadata =
        span_is_null(partition->committed_metadata) ? span_text("") : partition->committed_metadata;
    value.commit_timestamp = batch->timestamp_ms;
    struct topic *found = broker_find_topic(group->coord->broker, topic);
    if (found != NULL)
        value.topic_id = found->id;
    topic_unref(found);
    struct buf bytes;
    struct writer writer;
    buf_init(&bytes, INTERNAL_BATCH_SIZE_MAX);
    writer_init(&writer, &bytes, NULL, 0);
    struct err err = offset_commit_key_pack(&writer, &key);
    size_t key_size = bytes.size;
    if (!err_failed(err))
        err = offset_commit_value_pack(&writer, OFFSET_COMMIT_VALUE_VERSION_MAX, &value);
    if (!err_failed(err))
        err = internal_batch_add(batch, span_make(bytes.data, key_size),
                                 span_make(bytes.data + key_size, bytes.size - key_size));
    buf_deinit(&bytes);
    return err;
}

/* One request's way through a commit. */
struct commit_work {
    struct coord *coord;
    struct group *group;
    const struct offset_commit_request *request;
    struct offset_commit_response *response;
    struct internal_batch batch;
    int64_t end_offset; /* of the batch, once appended */
};

/* Fills the answer's shape with one code for all. */
static struct err commit_shape(struct commit_work *work, struct arena *arena, int16_t code)
{
    const struct offset_commit_request *request = work->request;
    struct offset_commit_response *response = work->response;
    response->topics =
        arena_alloc_array(arena, (size_t)request->topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct offset_commit_request_topic *asked = &request->topics[i];
        struct offset_commit_response_topic *topic = &response->topics[i];
        topic->name = asked->name;
        topic->topic_id = asked->topic_id;
        topic->partitions_count = asked->partitions_count;
        topic->partitions =
            arena_alloc_array(arena, (size_t)asked->partitions_count, sizeof *topic->partitions);
        if (topic->partitions == NULL)
            return err_make(ERR_NO_MEMORY);
        for (int32_t j = 0; j < asked->partitions_count; j++) {
            topic->partitions[j].partition_index = asked->partitions[j].partition_index;
            topic->partitions[j].error_code = code;
        }
    }
    return ERR_NONE;
}

/* Visits each partition of the commit that has no error yet. */
static struct err commit_each(struct commit_work *work,
                              struct err (*visit)(struct commit_work *work, struct span topic,
                                                  const struct offset_commit_request_partition *,
                                                  int16_t *code))
{
    for (int32_t i = 0; i < work->request->topics_count; i++) {
        const struct offset_commit_request_topic *topic = &work->request->topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            int16_t *code = &work->response->topics[i].partitions[j].error_code;
            if (*code == KAFKA_NONE)
                TRY(visit(work, topic->name, &topic->partitions[j], code));
        }
    }
    return ERR_NONE;
}

/* All that can fail, before the append. */
static struct err commit_prepare(struct commit_work *work, struct span topic,
                                 const struct offset_commit_request_partition *partition,
                                 int16_t *code)
{
    struct committed *committed;
    *code = check_partition(work->coord, topic, partition);
    if (*code != KAFKA_NONE)
        return ERR_NONE;
    TRY(find_or_make(work->group, topic, partition->partition_index, &committed));
    struct span metadata =
        span_is_null(partition->committed_metadata) ? span_text("") : partition->committed_metadata;
    TRY(blob_replace(&committed->staged, metadata));
    return add_record(work->group, topic, partition, &work->batch);
}

static struct err commit_fail(struct commit_work *work, struct span topic,
                              const struct offset_commit_request_partition *partition,
                              int16_t *code)
{
    struct committed *committed = find(work->group, topic, partition->partition_index);
    if (committed != NULL && committed->shown.offset < 0 && committed->latest_end == 0)
        remove_one(work->group, committed);
    *code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    return ERR_NONE;
}

static struct err commit_apply(struct commit_work *work, struct span topic,
                               const struct offset_commit_request_partition *partition,
                               int16_t *code)
{
    (void)code;
    struct committed *committed = find(work->group, topic, partition->partition_index);
    CHECK(committed != NULL);
    if (committed->latest_end == work->end_offset) { /* named twice: the last words are staged */
        committed->latest.offset = partition->committed_offset;
        committed->latest.leader_epoch = partition->committed_leader_epoch;
        return ERR_NONE;
    }
    struct committed_value value = {.offset = partition->committed_offset,
                                    .leader_epoch = partition->committed_leader_epoch,
                                    .metadata = committed->staged,
                                    .commit_ms = work->batch.timestamp_ms};
    committed->staged = SPAN_NULL;
    set_latest(work->group, committed, value, work->end_offset);
    return ERR_NONE;
}

/* Says what the answer waits for. */
static void commit_fill(struct group *group, int64_t end_offset, struct coord_commit *commit)
{
    struct partition *partition = coord_partition(group->coord, group->partition_index);
    topic_ref(partition->topic);
    *commit = (struct coord_commit){
        .partition = partition, .topic = partition->topic, .end_offset = end_offset};
}

static void commit_append(struct commit_work *work, struct coord_commit *commit)
{
    struct partition *partition = coord_partition(work->coord, work->group->partition_index);
    struct err err = commit_each(work, commit_prepare);
    if (!err_failed(err) && work->batch.record_count == 0)
        return;
    if (!err_failed(err))
        err = internal_batch_append(&work->batch, partition, &work->end_offset, NULL);
    if (err_failed(err)) {
        struct err ignored = commit_each(work, commit_fail); /* never fails itself */
        (void)ignored;
        return;
    }
    err = commit_each(work, commit_apply);
    CHECK(!err_failed(err));
    struct member *member = group_find_member(work->group, work->request->member_id);
    if (member != NULL)
        membership_touch(member);
    commit_fill(work->group, work->end_offset, commit);
}

struct err coord_commit_offsets(struct coord *coord, const struct offset_commit_request *request,
                                struct arena *arena, struct offset_commit_response *response,
                                struct coord_commit *commit)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    *commit = (struct coord_commit){0};
    struct commit_work work = {.coord = coord, .request = request, .response = response};
    coord_lock(coord);
    int16_t code = coord_find_group(coord, request->group_id, false, &work.group);
    if (code == KAFKA_NONE)
        code = check_commit(work.group, request);
    if (code == KAFKA_NONE && work.group == NULL)
        code = coord_find_group(coord, request->group_id, true, &work.group);
    struct err err = commit_shape(&work, arena, code);
    if (!err_failed(err) && code == KAFKA_NONE) {
        internal_batch_init(&work.batch, clock_wall_ms(coord->clock));
        commit_append(&work, commit);
        internal_batch_deinit(&work.batch);
        if (group_is_vacant(work.group)) /* made for a commit that came to nothing */
            coord_drop_group(coord, work.group);
    }
    coord_unlock(coord);
    return err;
}

/* Fills one partition of a fetch's answer. metadata is copied: it may change after the lock. */
static struct err fetch_one(const struct group *group, struct span topic, bool is_stable_required,
                            struct arena *arena, struct offset_fetch_response_group_partition *out)
{
    struct committed *committed = group == NULL ? NULL : find(group, topic, out->partition_index);
    out->committed_offset = -1;
    out->committed_leader_epoch = -1;
    out->metadata = span_text("");
    if (committed == NULL)
        return ERR_NONE;
    settle(group, committed);
    if (is_stable_required && committed->latest_end != 0) {
        out->error_code = KAFKA_UNSTABLE_OFFSET_COMMIT;
        return ERR_NONE;
    }
    if (committed->shown.offset < 0)
        return ERR_NONE;
    out->committed_offset = committed->shown.offset;
    out->committed_leader_epoch = committed->shown.leader_epoch;
    return arena_copy(arena, committed->shown.metadata, &out->metadata);
}

static struct err fetch_asked(const struct group *group,
                              const struct offset_fetch_request_group *request,
                              bool is_stable_required, struct arena *arena,
                              struct offset_fetch_response_group *response)
{
    response->topics =
        arena_alloc_array(arena, (size_t)request->topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct offset_fetch_request_group_topic *asked = &request->topics[i];
        struct offset_fetch_response_group_topic *topic = &response->topics[i];
        topic->name = asked->name;
        topic->topic_id = asked->topic_id;
        topic->partitions_count = asked->partition_indexes_count;
        topic->partitions = arena_alloc_array(arena, (size_t)asked->partition_indexes_count,
                                              sizeof *topic->partitions);
        if (topic->partitions == NULL)
            return err_make(ERR_NO_MEMORY);
        for (int32_t j = 0; j < asked->partition_indexes_count; j++) {
            topic->partitions[j].partition_index = asked->partition_indexes[j];
            TRY(fetch_one(group, asked->name, is_stable_required, arena, &topic->partitions[j]));
        }
    }
    return ERR_NONE;
}

static int compare_committed(const void *left, const void *right)
{
    struct committed *const *a = left;
    struct committed *const *b = right;
    int order = span_compare(key_topic(*a), key_topic(*b));
    if (order != 0)
        return order;
    return key_partition(*a) < key_partition(*b) ? -1 : key_partition(*a) > key_partition(*b);
}

/* All offsets of the group that are shown, in order, in arena memory. */
static struct err list_shown(const struct group *group, struct arena *arena,
                             struct committed ***out, size_t *count)
{
    struct committed **list =
        arena_alloc_array(arena, group->offsets.count, sizeof(struct committed *));
    if (list == NULL)
        return err_make(ERR_NO_MEMORY);
    *count = 0;
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->offsets, &position)) != NULL) {
        struct committed *committed = entry->value;
        settle(group, committed);
        if (committed->shown.offset >= 0 || committed->latest_end != 0)
            list[(*count)++] = committed;
    }
    qsort(list, *count, sizeof(struct committed *), compare_committed);
    *out = list;
    return ERR_NONE;
}

static struct err fetch_all(const struct group *group, bool is_stable_required, struct arena *arena,
                            struct offset_fetch_response_group *response)
{
    struct committed **list;
    size_t count;
    TRY(list_shown(group, arena, &list, &count));
    response->topics = arena_alloc_array(arena, count, sizeof *response->topics);
    struct offset_fetch_response_group_partition *partitions =
        arena_alloc_array(arena, count, sizeof *partitions);
    if (response->topics == NULL || partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    response->topics_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct span name = key_topic(list[i]);
        if (i == 0 || !span_equal(name, key_topic(list[i - 1]))) {
            struct offset_fetch_response_group_topic *made =
                &response->topics[response->topics_count++];
            TRY(arena_copy(arena, name, &made->name));
            made->partitions = &partitions[i];
        }
        struct offset_fetch_response_group_topic *topic =
            &response->topics[response->topics_count - 1];
        topic->partitions_count++;
        partitions[i].partition_index = key_partition(list[i]);
        TRY(fetch_one(group, name, is_stable_required, arena, &partitions[i]));
    }
    return ERR_NONE;
}

struct err coord_fetch_offsets(struct coord *coord,
                               const struct offset_fetch_request_group *request,
                               bool is_stable_required, struct arena *arena,
                               struct offset_fetch_response_group *response)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    struct group *group = NULL;
    struct err err = ERR_NONE;
    coord_lock(coord);
    response->group_id = request->group_id;
    response->error_code = coord_find_group(coord, request->group_id, false, &group);
    bool is_fine = response->error_code == KAFKA_NONE;
    if (is_fine && request->topics_count >= 0)
        err = fetch_asked(group, request, is_stable_required, arena, response);
    else if (is_fine && group != NULL)
        err = fetch_all(group, is_stable_required, arena, response);
    coord_unlock(coord);
    return err;
}

/* Whose members' topics are not known keeps all of its offsets while it has members. */
static int16_t check_delete(const struct group *group)
{
    if (group == NULL)
        return KAFKA_GROUP_ID_NOT_FOUND;
    bool is_known = span_equal_text(group->protocol_type, "consumer");
    return group->member_count > 0 && !is_known ? KAFKA_NON_EMPTY_GROUP : KAFKA_NONE;
}

static struct err delete_one(struct group *group, struct span topic, int32_t partition,
                             struct internal_batch *batch, int16_t *code)
{
    if (group_may_read(group, topic)) {
        *code = KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
        return ERR_NONE;
    }
    if (find(group, topic, partition) == NULL)
        return ERR_NONE;
    return group_log_add_offset_tombstone(group, topic, partition, batch);
}

static struct err delete_shape(struct group *group, const struct offset_delete_request *request,
                               struct arena *arena, struct internal_batch *batch,
                               struct offset_delete_response *response)
{
    response->topics =
        arena_alloc_array(arena, (size_t)request->topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response->topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct offset_delete_request_topic *asked = &request->topics[i];
        struct offset_delete_response_topic *topic = &response->topics[i];
        topic->name = asked->name;
        topic->partitions_count = asked->partitions_count;
        topic->partitions =
            arena_alloc_array(arena, (size_t)asked->partitions_count, sizeof *topic->partitions);
        if (topic->partitions == NULL)
            return err_make(ERR_NO_MEMORY);
        for (int32_t j = 0; j < asked->partitions_count; j++) {
            topic->partitions[j].partition_index = asked->partitions[j].partition_index;
            TRY(delete_one(group, asked->name, asked->partitions[j].partition_index, batch,
                           &topic->partitions[j].error_code));
        }
    }
    return ERR_NONE;
}

static void delete_apply(struct group *group, const struct offset_delete_response *response)
{
    for (int32_t i = 0; i < response->topics_count; i++) {
        const struct offset_delete_response_topic *topic = &response->topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            struct committed *gone = find(group, topic->name, topic->partitions[j].partition_index);
            if (gone != NULL && topic->partitions[j].error_code == KAFKA_NONE)
                remove_one(group, gone);
        }
    }
}

struct err coord_delete_offsets(struct coord *coord, const struct offset_delete_request *request,
                                struct arena *arena, struct offset_delete_response *response,
                                struct coord_commit *commit)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    *commit = (struct coord_commit){0};
    struct group *group = NULL;
    struct err err = ERR_NONE;
    coord_lock(coord);
    response->error_code = coord_find_group(coord, request->group_id, false, &group);
    if (response->error_code == KAFKA_NONE)
        response->error_code = check_delete(group);
    if (response->error_code == KAFKA_NONE) {
        struct internal_batch batch;
        internal_batch_init(&batch, clock_wall_ms(coord->clock));
        err = delete_shape(group, request, arena, &batch, response);
        int64_t end_offset = 0;
        struct partition *partition = coord_partition(coord, group->partition_index);
        if (!err_failed(err) && batch.record_count > 0)
            err = internal_batch_append(&batch, partition, &end_offset, NULL);
        if (!err_failed(err))
            delete_apply(group, response);
        if (!err_failed(err) && end_offset > 0)
            commit_fill(group, end_offset, commit);
        internal_batch_deinit(&batch);
    }
    coord_unlock(coord);
    return err;
}

/* Kafka's rule: while the group lives, what it no longer subscribes to; once empty, all of it. */
static bool has_expired(const struct group *group, struct committed *committed, int64_t now_ms,
                        int64_t kept_ms)
{
    settle(group, committed);
    if (committed->latest_end != 0)
        return false;
    bool is_simple = span_is_null(group->protocol_type) || group->protocol_type.size == 0;
    int64_t since_ms = committed->shown.commit_ms;
    if (!is_simple && group->state == GROUP_EMPTY && group->state_ms > since_ms)
        since_ms = group->state_ms;
    if (group->state != GROUP_EMPTY && group_may_read(group, key_topic(committed)))
        return false;
    return now_ms - since_ms >= kept_ms;
}

/* Removes a group's expired offsets, and the group itself when nothing is left of it. */
static void expire_group(struct group *group, int64_t now_ms, int64_t kept_ms)
{
    struct coord *coord = group->coord;
    struct internal_batch batch;
    internal_batch_init(&batch, now_ms);
    size_t position = 0;
    size_t expired = 0;
    const struct map_entry *entry;
    struct err err = ERR_NONE;
    while (!err_failed(err) && (entry = map_next(&group->offsets, &position)) != NULL) {
        struct committed *committed = entry->value;
        if (!has_expired(group, committed, now_ms, kept_ms))
            continue;
        expired++;
        err = group_log_add_offset_tombstone(group, key_topic(committed), key_partition(committed),
                                             &batch);
    }
    bool is_over = group->state == GROUP_EMPTY && expired == group->offsets.count &&
                   list_is_empty(&group->pending) && group->write_count == 0;
    if (!err_failed(err) && is_over && group->generation > 0)
        err = group_log_add_tombstone(group, &batch);
    int64_t unused;
    if (!err_failed(err) && batch.record_count > 0)
        err = internal_batch_append(&batch, coord_partition(coord, group->partition_index), &unused,
                                    NULL);
    internal_batch_deinit(&batch);
    position = 0;
    while (!err_failed(err) && expired > 0 &&
           (entry = map_next(&group->offsets, &position)) != NULL) {
        if (!has_expired(group, entry->value, now_ms, kept_ms))
            continue;
        remove_one(group, entry->value);
        position--;
    }
    if (!err_failed(err) && is_over)
        coord_drop_group(coord, group);
}

void offsets_expire_fired(struct timer *timer)
{
    struct coord *coord = LIST_ENTRY(timer, struct coord, expiry);
    int64_t kept_ms = config_number(coord->config, CONFIG_OFFSETS_RETENTION_MINUTES) * 60 * 1000;
    int64_t now_ms = clock_wall_ms(coord->clock);
    struct list all;
    list_init(&all);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        struct group *group = entry->value;
        if (coord->loads[group->partition_index] == LOAD_DONE)
            list_append(&all, &group->work);
    }
    for (struct list *link = list_pop(&all); link != NULL; link = list_pop(&all))
        expire_group(LIST_ENTRY(link, struct group, work), now_ms, kept_ms);
    coord_set_timer(coord, timer,
                    config_number(coord->config, CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS));
}

/* Tombstones for all of a group's offsets of one topic. */
static void forget_in_group(struct group *group, struct span topic)
{
    struct internal_batch batch;
    internal_batch_init(&batch, clock_wall_ms(group->coord->clock));
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->offsets, &position)) != NULL) {
        struct committed *committed = entry->value;
        if (!span_equal(key_topic(committed), topic))
            continue;
        struct err err =
            group_log_add_offset_tombstone(group, topic, key_partition(committed), &batch);
        if (err_failed(err))
            break; /* replay drops offsets of topics that are gone, by their ids */
        remove_one(group, committed);
        position--;
    }
    int64_t unused;
    struct err ignored = ERR_NONE;
    if (batch.record_count > 0)
        ignored = internal_batch_append(
            &batch, coord_partition(group->coord, group->partition_index), &unused, NULL);
    (void)ignored;
    internal_batch_deinit(&batch);
}

void coord_forget_topic(struct coord *coord, struct span topic)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    coord_lock(coord);
    size_t position = 0;
    const struct map_entry *entry;
    while (!coord->is_closed && (entry = map_next(&coord->groups, &position)) != NULL)
        forget_in_group(entry->value, topic);
    coord_unlock(coord);
}

void coord_visit_offsets(struct coord *coord, coord_visit visit, void *context)
{
    coord_lock(coord);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        const struct group *group = entry->value;
        size_t at = 0;
        const struct map_entry *place;
        while ((place = map_next(&group->offsets, &at)) != NULL) {
            struct committed *committed = place->value;
            settle(group, committed);
            if (committed->shown.offset >= 0)
                visit(context, group->id, key_topic(committed), key_partition(committed),
                      committed->shown.offset);
        }
    }
    coord_unlock(coord);
}
