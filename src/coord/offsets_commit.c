/*
 * offsets_commit: a request's offsets, appended as one batch and kept as `latest`.
 *
 *   commit_pack      without the lock: looks the partitions up and packs their records
 *   commit_prepare   under it, as all that follows: makes the entries, so that nothing fails later
 *   commit_append    in the order in which commits become `latest`
 *   commit_apply     cannot fail, so that state and log agree
 *
 * In a transaction the offsets become pending instead, see offsets_transaction.c.
 *
 * A topic may be deleted between the first two. Its offsets are then refused; its records go into
 * the log all the same, where replay passes over them as their topic's id is gone.
 */
#include "base/check.h"
#include "base/checked.h"
#include "coord/offsets_internal.h"

/* Whether the group takes a commit from this member: Kafka's code. A commit in a transaction may
 * come without a member's name, and amid a rebalance. */
static int16_t check_commit(const struct group *group, const struct offset_commit_request *request,
                            bool is_transactional)
{
    if (group == NULL)
        return request->generation_id_or_member_epoch < 0 ? KAFKA_NONE : KAFKA_ILLEGAL_GENERATION;
    bool is_simple = request->generation_id_or_member_epoch < 0 && request->member_id.size == 0 &&
                     span_is_null(request->group_instance_id);
    if (is_simple)
        return group->state == GROUP_EMPTY || is_transactional ? KAFKA_NONE
                                                               : KAFKA_UNKNOWN_MEMBER_ID;
    if (group->state == GROUP_EMPTY && request->generation_id_or_member_epoch < 0)
        return KAFKA_NONE;
    struct member *member;
    int16_t code = group_identify(group, request->member_id, request->group_instance_id, &member);
    if (code != KAFKA_NONE)
        return code;
    if (request->generation_id_or_member_epoch != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    return group->state == GROUP_COMPLETING && !is_transactional ? KAFKA_REBALANCE_IN_PROGRESS
                                                                 : KAFKA_NONE;
}

/* One request's way through a commit. */
struct commit_work {
    struct coord *coord;
    struct group *group;
    const struct offset_commit_request *request;
    struct offset_commit_response *response;
    const struct coord_transaction *transaction; /* NULL: the offsets count at once */
    struct list pending;                         /* of the transaction, about to be appended */
    struct topic **topics; /* references, by the request's topics; NULL: there is none */
    struct internal_batch batch;
    int64_t end_offset; /* of the batch, once appended */
    int16_t code;       /* why it was not */
};

/* One partition of it. */
struct commit_place {
    struct topic *topic;
    const struct offset_commit_request_partition *asked;
    int16_t *code; /* its answer's */
};

static int16_t check_place(const struct commit_work *work, const struct commit_place *place)
{
    if (place->topic == NULL ||
        topic_partition(place->topic, place->asked->partition_index) == NULL)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    int64_t size_max = config_number(work->coord->config, CONFIG_OFFSET_METADATA_MAX_BYTES);
    return (int64_t)place->asked->committed_metadata.size > size_max
               ? KAFKA_OFFSET_METADATA_TOO_LARGE
               : KAFKA_NONE;
}

/* Fills the answer's shape, without errors yet. */
static struct err commit_shape(struct commit_work *work, struct arena *arena)
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
        }
    }
    return ERR_NONE;
}

/* Finds the topics; ended by commit_drop_topics, also where this fails. */
static struct err commit_find_topics(struct commit_work *work, struct arena *arena)
{
    const struct offset_commit_request *request = work->request;
    work->topics = arena_alloc_array(arena, (size_t)request->topics_count, sizeof(struct topic *));
    if (work->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < request->topics_count; i++) {
        if (!span_is_null(request->topics[i].name))
            work->topics[i] = broker_find_topic(work->coord->broker, request->topics[i].name);
    }
    return ERR_NONE;
}

static void commit_drop_topics(struct commit_work *work)
{
    for (int32_t i = 0; i < work->request->topics_count && work->topics != NULL; i++)
        topic_unref(work->topics[i]);
}

typedef struct err (*commit_visit)(struct commit_work *work, const struct commit_place *place);

/* Visits each partition of the commit that has no error yet. */
static struct err commit_each(struct commit_work *work, commit_visit visit)
{
    for (int32_t i = 0; i < work->request->topics_count; i++) {
        const struct offset_commit_request_topic *asked = &work->request->topics[i];
        for (int32_t j = 0; j < asked->partitions_count; j++) {
            struct commit_place place = {
                .topic = work->topics[i],
                .asked = &asked->partitions[j],
                .code = &work->response->topics[i].partitions[j].error_code,
            };
            if (*place.code == KAFKA_NONE)
                TRY(visit(work, &place));
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

/* What is committed; metadata borrows from the request. */
static struct committed_value commit_value(const struct commit_work *work,
                                           const struct commit_place *place)
{
    struct span metadata = place->asked->committed_metadata;
    return (struct committed_value){.offset = place->asked->committed_offset,
                                    .leader_epoch = place->asked->committed_leader_epoch,
                                    .metadata = span_is_null(metadata) ? SPAN_EMPTY : metadata,
                                    .commit_ms = work->batch.timestamp_ms,
                                    .expire_ms = expire_ms(work)};
}

static struct err commit_pack(struct commit_work *work, const struct commit_place *place)
{
    *place->code = check_place(work, place);
    if (*place->code != KAFKA_NONE)
        return ERR_NONE;
    struct committed_value value = commit_value(work, place);
    return group_log_add_offset(work->request->group_id, place->topic,
                                place->asked->partition_index, &value, &work->batch);
}

static struct err commit_prepare(struct commit_work *work, const struct commit_place *place)
{
    struct committed *committed;
    if (atomic_load(&place->topic->is_deleted)) { /* coord_forget_topic may have been here */
        *place->code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return ERR_NONE;
    }
    TRY(offsets_find_or_make(work->group, place->topic->name, place->asked->partition_index,
                             &committed));
    struct committed_value value = commit_value(work, place);
    if (work->transaction == NULL)
        return blob_replace(&committed->staged, value.metadata);
    struct pending_offset *pending;
    TRY(pending_offset_create(work->group, committed, &value, &pending));
    list_append(&work->pending, &pending->in_transaction);
    return ERR_NONE;
}

static struct err commit_refuse(struct commit_work *work, const struct commit_place *place)
{
    struct committed *committed =
        offsets_find(work->group, place->topic->name, place->asked->partition_index);
    if (committed != NULL && offsets_is_empty(committed))
        offsets_remove(work->group, committed);
    *place->code = work->code;
    return ERR_NONE;
}

static struct err commit_apply(struct commit_work *work, const struct commit_place *place)
{
    struct committed *committed =
        offsets_find(work->group, place->topic->name, place->asked->partition_index);
    CHECK(committed != NULL);
    struct committed_value value = commit_value(work, place);
    value.record_end = work->end_offset;
    if (committed->latest_end == work->end_offset) { /* named twice: the last words are staged */
        value.metadata = committed->latest.metadata;
        committed->latest = value;
        return ERR_NONE;
    }
    value.metadata = committed->staged;
    committed->staged = SPAN_NULL;
    offsets_set_latest(work->group, committed, value, work->end_offset);
    return ERR_NONE;
}

/* Appends the offsets as part of their transaction. */
static struct err append_pending(struct commit_work *work, struct partition *partition)
{
    struct append_result result;
    struct offsets_transaction *open;
    const struct coord_transaction *transaction = work->transaction;
    TRY(offsets_transaction_begin(work->coord, work->group->partition_index,
                                  transaction->producer_id, &open));
    internal_batch_append_transactional(&work->batch, partition, &transaction->guard, &result);
    if (result.verdict == APPEND_DONE) {
        work->end_offset = result.end_offset;
        offsets_transaction_take(open, &work->pending, result.end_offset);
        return ERR_NONE;
    }
    if (result.verdict == APPEND_FAILED)
        return result.err;
    work->code =
        result.verdict == APPEND_FENCED ? KAFKA_INVALID_PRODUCER_EPOCH : KAFKA_INVALID_TXN_STATE;
    return err_make(ERR_INVALID);
}

/* Appends the offsets, which count from then on. */
static struct err append_plain(struct commit_work *work, struct partition *partition)
{
    TRY(internal_batch_append(&work->batch, partition, &work->end_offset, NULL));
    struct err err = commit_each(work, commit_apply);
    CHECK(!err_failed(err));
    return ERR_NONE;
}

static void refuse(struct commit_work *work)
{
    while (!list_is_empty(&work->pending))
        pending_offset_destroy(
            LIST_ENTRY(work->pending.next, struct pending_offset, in_transaction));
    struct err err = commit_each(work, commit_refuse);
    CHECK(!err_failed(err));
}

/* Takes the packed commit in, unless packing it failed with err. */
static void commit_append(struct commit_work *work, struct err err, struct coord_commit *commit)
{
    struct partition *partition = coord_partition(work->coord, work->group->partition_index);
    if (!err_failed(err))
        err = commit_each(work, commit_prepare);
    if (!err_failed(err))
        err = work->transaction == NULL ? append_plain(work, partition)
                                        : append_pending(work, partition);
    if (err_failed(err)) {
        refuse(work);
        return;
    }
    struct member *member = group_find_member(work->group, work->request->member_id);
    if (member != NULL)
        membership_touch(member);
    coord_commit_fill(work->group, work->end_offset, commit);
}

/* The same code for all partitions. */
static void commit_refuse_all(struct commit_work *work, int16_t code)
{
    for (int32_t i = 0; i < work->response->topics_count; i++) {
        const struct offset_commit_response_topic *topic = &work->response->topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++)
            topic->partitions[j].error_code = code;
    }
}

/* What the group says to it, and then the log. err: how packing went. */
static void commit_locked(struct commit_work *work, struct err err, struct coord_commit *commit)
{
    struct coord *coord = work->coord;
    struct span group_id = work->request->group_id;
    bool is_empty = !err_failed(err) && work->batch.record_count == 0;
    int16_t code = coord_find_group(coord, group_id, false, &work->group);
    if (code == KAFKA_NONE)
        code = check_commit(work->group, work->request, work->transaction != NULL);
    if (code == KAFKA_NONE && work->group == NULL && !is_empty)
        code = coord_find_group(coord, group_id, true, &work->group);
    if (code != KAFKA_NONE) {
        commit_refuse_all(work, code);
    } else if (!is_empty) {
        commit_append(work, err, commit);
        if (group_is_vacant(work->group)) /* made for a commit that came to nothing */
            coord_drop_group(coord, work->group);
    }
}

static void commit_begin(struct commit_work *work)
{
    const struct coord_transaction *transaction = work->transaction;
    int64_t now_ms = clock_wall_ms(work->coord->clock);
    work->code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    list_init(&work->pending);
    if (transaction == NULL)
        internal_batch_init(&work->batch, now_ms);
    else
        internal_batch_init_transactional(&work->batch, now_ms, transaction->producer_id,
                                          transaction->producer_epoch);
}

struct err coord_commit_offsets(struct coord *coord, const struct offset_commit_request *request,
                                const struct coord_transaction *transaction, struct arena *arena,
                                struct offset_commit_response *response,
                                struct coord_commit *commit)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    *commit = (struct coord_commit){0};
    struct commit_work work = {
        .coord = coord, .request = request, .response = response, .transaction = transaction};
    commit_begin(&work);
    struct err err = commit_shape(&work, arena);
    if (!err_failed(err))
        err = commit_find_topics(&work, arena);
    if (!err_failed(err)) {
        int64_t unused; /* only who asks for the coordinator waits; others come again */
        struct err packed = coord_prepare(coord, &unused, NULL);
        if (!err_failed(packed))
            packed = commit_each(&work, commit_pack);
        coord_lock(coord);
        commit_locked(&work, packed, commit);
        coord_unlock(coord);
    }
    commit_drop_topics(&work);
    internal_batch_deinit(&work.batch);
    return err;
}
