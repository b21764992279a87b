/*
 * offset_fetch: how far groups have read. One group up to version 7, several since 8 (KIP-709),
 * topics by id since 10.
 */
#include "wire/offset_fetch.h"
#include "api/handlers.h"

struct offset_fetch_work {
    struct request *request;
    struct api *api;
    struct offset_fetch_request asked;
    struct offset_fetch_response response;
};

/* Turns the single group of older versions into the newer shape. */
static struct err take_single(struct offset_fetch_work *work,
                              struct offset_fetch_request_group *group)
{
    const struct offset_fetch_request *asked = &work->asked;
    offset_fetch_request_group_init(group);
    group->group_id = asked->group_id;
    group->topics_count = asked->topics_count;
    if (asked->topics_count < 0)
        return ERR_NONE;
    group->topics = arena_alloc_array(&work->request->arena, (size_t)asked->topics_count,
                                      sizeof *group->topics);
    if (group->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < asked->topics_count; i++) {
        group->topics[i].name = asked->topics[i].name;
        group->topics[i].partition_indexes = asked->topics[i].partition_indexes;
        group->topics[i].partition_indexes_count = asked->topics[i].partition_indexes_count;
    }
    return ERR_NONE;
}

/* Version 1 has no error of its own: each partition asked for carries it. */
static struct err spread_error(struct offset_fetch_work *work,
                               const struct offset_fetch_request_group *asked,
                               struct offset_fetch_response_group *found)
{
    struct arena *arena = &work->request->arena;
    size_t count = asked->topics_count > 0 ? (size_t)asked->topics_count : 0;
    found->topics = arena_alloc_array(arena, count, sizeof *found->topics);
    if (found->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    found->topics_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct offset_fetch_response_group_topic *topic = &found->topics[i];
        int32_t partitions_count = asked->topics[i].partition_indexes_count;
        topic->name = asked->topics[i].name;
        topic->partitions_count = partitions_count;
        topic->partitions =
            arena_alloc_array(arena, (size_t)partitions_count, sizeof *topic->partitions);
        if (topic->partitions == NULL)
            return err_make(ERR_NO_MEMORY);
        for (int32_t j = 0; j < partitions_count; j++)
            topic->partitions[j] = (struct offset_fetch_response_group_partition){
                .partition_index = asked->topics[i].partition_indexes[j],
                .committed_offset = -1,
                .committed_leader_epoch = -1,
                .metadata = SPAN_EMPTY,
                .error_code = found->error_code,
            };
    }
    return ERR_NONE;
}

static struct err answer_single(struct offset_fetch_work *work)
{
    struct arena *arena = &work->request->arena;
    struct offset_fetch_request_group asked;
    struct offset_fetch_response_group found;
    struct offset_fetch_response *response = &work->response;
    TRY(take_single(work, &asked));
    offset_fetch_response_group_init(&found);
    TRY(coord_fetch_offsets(work->api->coord, &asked, work->asked.require_stable, arena, &found));
    if (found.error_code != KAFKA_NONE && work->request->version < 2)
        TRY(spread_error(work, &asked, &found));
    response->error_code = found.error_code;
    response->topics =
        arena_alloc_array(arena, (size_t)found.topics_count, sizeof *response->topics);
    if (response->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response->topics_count = found.topics_count;
    for (int32_t i = 0; i < found.topics_count; i++) {
        const struct offset_fetch_response_group_topic *from = &found.topics[i];
        struct offset_fetch_response_topic *to = &response->topics[i];
        to->name = from->name;
        to->partitions_count = from->partitions_count;
        to->partitions =
            arena_alloc_array(arena, (size_t)from->partitions_count, sizeof *to->partitions);
        if (to->partitions == NULL)
            return err_make(ERR_NO_MEMORY);
        for (int32_t j = 0; j < from->partitions_count; j++)
            to->partitions[j] = (struct offset_fetch_response_partition){
                .partition_index = from->partitions[j].partition_index,
                .committed_offset = from->partitions[j].committed_offset,
                .committed_leader_epoch = from->partitions[j].committed_leader_epoch,
                .metadata = from->partitions[j].metadata,
                .error_code = from->partitions[j].error_code,
            };
    }
    return ERR_NONE;
}

/* Names the topics that version 10 asks for by id; unknown ids keep an empty name. */
static struct err resolve_names(struct offset_fetch_work *work,
                                const struct offset_fetch_request_group *group)
{
    for (int32_t i = 0; i < group->topics_count && work->request->version >= 10; i++) {
        struct topic *topic = broker_find_topic_by_id(work->api->broker, group->topics[i].topic_id);
        group->topics[i].name = span_text("");
        struct err err =
            topic == NULL ? ERR_NONE
                          : arena_copy(&work->request->arena, topic->name, &group->topics[i].name);
        topic_unref(topic);
        TRY(err);
    }
    return ERR_NONE;
}

/* Gives the answer's topics their ids, or partitions of unknown ids their error. */
static void resolve_ids(struct offset_fetch_work *work,
                        const struct offset_fetch_response_group *group)
{
    for (int32_t i = 0; i < group->topics_count && work->request->version >= 10; i++) {
        struct offset_fetch_response_group_topic *answer = &group->topics[i];
        struct topic *topic = broker_find_topic(work->api->broker, answer->name);
        if (topic != NULL)
            answer->topic_id = topic->id;
        for (int32_t j = 0; j < answer->partitions_count && topic == NULL; j++)
            answer->partitions[j].error_code = KAFKA_UNKNOWN_TOPIC_ID;
        topic_unref(topic);
    }
}

static struct err answer_several(struct offset_fetch_work *work)
{
    struct offset_fetch_response *response = &work->response;
    size_t count = (size_t)work->asked.groups_count;
    response->groups = arena_alloc_array(&work->request->arena, count, sizeof *response->groups);
    if (response->groups == NULL)
        return err_make(ERR_NO_MEMORY);
    response->groups_count = work->asked.groups_count;
    for (size_t i = 0; i < count; i++) {
        offset_fetch_response_group_init(&response->groups[i]);
        TRY(resolve_names(work, &work->asked.groups[i]));
        TRY(coord_fetch_offsets(work->api->coord, &work->asked.groups[i],
                                work->asked.require_stable, &work->request->arena,
                                &response->groups[i]));
        resolve_ids(work, &response->groups[i]);
    }
    return ERR_NONE;
}

struct err offset_fetch_handle(struct request *request, struct api *api)
{
    struct offset_fetch_work work = {.request = request, .api = api};
    TRY(offset_fetch_request_decode(&request->body, request->version, &request->arena,
                                    &work.asked));
    offset_fetch_response_init(&work.response);
    TRY(request->version >= 8 ? answer_several(&work) : answer_single(&work));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(offset_fetch_response_encode(writer, request->version, &work.response));
    return request_end_reply(request);
}
