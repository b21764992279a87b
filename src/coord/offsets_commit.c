/*
 * offsets_commit: a request's offsets, appended as one batch and kept as `latest`.
 *
 * All that can fail comes before the append; what follows it cannot, so that state and log agree.
 */
#include "base/check.h"
#include "base/checked.h"
#include "coord/offsets_internal.h"

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
    struct member *member;
    int16_t code = group_identify(group, request->member_id, request->group_instance_id, &member);
    if (code != KAFKA_NONE)
        return code;
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

/* When the client's own retention time (versions 2 to 4) ends; -1 where it leaves that to us. */
static int64_t expire_ms(const struct commit_work *work)
{
    int64_t retention_ms = work->request->retention_time_ms;
    int64_t end_ms;
    if (retention_ms == -1)
        return -1;
    if (!checked_add_i64(work->batch.timestamp_ms, retention_ms, &end_ms))
        return INT64_MAX;
    return end_ms < 0 ? 0 : end_ms;
}

static struct committed_value commit_value(const struct commit_work *work,
                                           const struct offset_commit_request_partition *partition,
                                           struct span metadata)
{
    return (struct committed_value){.offset = partition->committed_offset,
                                    .leader_epoch = partition->committed_leader_epoch,
                                    .metadata = metadata,
                                    .commit_ms = work->batch.timestamp_ms,
                                    .expire_ms = expire_ms(work)};
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
    TRY(offsets_find_or_make(work->group, topic, partition->partition_index, &committed));
    struct span metadata =
        span_is_null(partition->committed_metadata) ? span_text("") : partition->committed_metadata;
    TRY(blob_replace(&committed->staged, metadata));
    struct committed_value value = commit_value(work, partition, metadata);
    return group_log_add_offset(work->group, topic, partition->partition_index, &value,
                                &work->batch);
}

static struct err commit_fail(struct commit_work *work, struct span topic,
                              const struct offset_commit_request_partition *partition,
                              int16_t *code)
{
    struct committed *committed = offsets_find(work->group, topic, partition->partition_index);
    if (committed != NULL && committed->shown.offset < 0 && committed->latest_end == 0)
        offsets_remove(work->group, committed);
    *code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    return ERR_NONE;
}

static struct err commit_apply(struct commit_work *work, struct span topic,
                               const struct offset_commit_request_partition *partition,
                               int16_t *code)
{
    (void)code;
    struct committed *committed = offsets_find(work->group, topic, partition->partition_index);
    CHECK(committed != NULL);
    if (committed->latest_end == work->end_offset) { /* named twice: the last words are staged */
        committed->latest.offset = partition->committed_offset;
        committed->latest.leader_epoch = partition->committed_leader_epoch;
        return ERR_NONE;
    }
    struct committed_value value = commit_value(work, partition, committed->staged);
    committed->staged = SPAN_NULL;
    offsets_set_latest(work->group, committed, value, work->end_offset);
    return ERR_NONE;
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
    coord_commit_fill(work->group, work->end_offset, commit);
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
