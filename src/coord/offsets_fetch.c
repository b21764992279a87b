/* offsets_fetch: what a group has committed, as far as it is durable. */
#include <stdlib.h>

#include "base/check.h"
#include "coord/offsets_internal.h"

/* Fills one partition of a fetch's answer. metadata is copied: it may change after the lock. */
static struct err fetch_one(const struct group *group, struct span topic, bool is_stable_required,
                            struct arena *arena, struct offset_fetch_response_group_partition *out)
{
    struct committed *committed =
        group == NULL ? NULL : offsets_find(group, topic, out->partition_index);
    out->committed_offset = -1;
    out->committed_leader_epoch = -1;
    out->metadata = span_text("");
    if (committed == NULL)
        return ERR_NONE;
    offsets_settle(group, committed);
    bool is_stable = committed->latest_end == 0 && list_is_empty(&committed->pending);
    if (is_stable_required && !is_stable) {
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
    int order = span_compare(committed_topic(*a), committed_topic(*b));
    if (order != 0)
        return order;
    return committed_partition(*a) < committed_partition(*b)
               ? -1
               : committed_partition(*a) > committed_partition(*b);
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
        offsets_settle(group, committed);
        if (!offsets_is_empty(committed))
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
        struct span name = committed_topic(list[i]);
        if (i == 0 || !span_equal(name, committed_topic(list[i - 1]))) {
            struct offset_fetch_response_group_topic *made =
                &response->topics[response->topics_count++];
            TRY(arena_copy(arena, name, &made->name));
            made->partitions = &partitions[i];
        }
        struct offset_fetch_response_group_topic *topic =
            &response->topics[response->topics_count - 1];
        topic->partitions_count++;
        partitions[i].partition_index = committed_partition(list[i]);
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
