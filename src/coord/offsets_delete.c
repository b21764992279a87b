/* offsets_delete: offsets that go by request, or with their topic. */
#include "base/check.h"
#include "coord/offsets_internal.h"

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
    if (offsets_find(group, topic, partition) == NULL)
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
            struct committed *gone =
                offsets_find(group, topic->name, topic->partitions[j].partition_index);
            if (gone != NULL && topic->partitions[j].error_code == KAFKA_NONE)
                offsets_remove(group, gone);
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
            coord_commit_fill(group, end_offset, commit);
        internal_batch_deinit(&batch);
    }
    coord_unlock(coord);
    return err;
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
        if (!span_equal(committed_topic(committed), topic))
            continue;
        struct err err =
            group_log_add_offset_tombstone(group, topic, committed_partition(committed), &batch);
        if (err_failed(err))
            break; /* replay drops offsets of topics that are gone, by their ids */
        offsets_remove(group, committed);
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
