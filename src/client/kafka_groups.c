/* kafka_groups: groups, their members and offsets, and offsets by time, asked of librdkafka. */
#include <stdlib.h>

#include "client/kafka_internal.h"

static int group_order(const void *left, const void *right)
{
    const struct client_group *a = left;
    const struct client_group *b = right;
    return strcmp(a->name, b->name);
}

static int offset_order(const void *left, const void *right)
{
    const struct client_offset *a = left;
    const struct client_offset *b = right;
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* librdkafka's list of the places. The caller destroys it. NULL: no memory. */
static rd_kafka_topic_partition_list_t *list_of(const struct client_offset *offsets, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; list != NULL && i < count; i++)
        rd_kafka_topic_partition_list_add(list, offsets[i].topic, offsets[i].partition)->offset =
            offsets[i].offset;
    return list;
}

static struct err copy_offsets(const rd_kafka_topic_partition_list_t *list, struct arena *arena,
                               struct client_offset **out, size_t *count)
{
    size_t size = list == NULL ? 0 : (size_t)list->cnt;
    struct client_offset *offsets = arena_alloc_array(arena, size, sizeof *offsets);
    if (offsets == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < size; i++) {
        TRY(kafka_text(arena, list->elems[i].topic, &offsets[i].topic));
        offsets[i].partition = list->elems[i].partition;
        offsets[i].offset = list->elems[i].offset;
    }
    qsort(offsets, size, sizeof *offsets, offset_order);
    *out = offsets;
    *count = size;
    return ERR_NONE;
}

/* Puts each answered offset to its question. */
static struct err take_found(rd_kafka_event_t *event, struct client_offset *offsets, size_t count,
                             struct diag *diag)
{
    size_t info_count;
    const rd_kafka_ListOffsetsResultInfo_t **infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &info_count);
    for (size_t i = 0; i < info_count; i++) {
        const rd_kafka_topic_partition_t *found =
            rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return diag_wrap(diag, kafka_fail(found->err, NULL, diag), "%s partition %d",
                             found->topic, found->partition);
        for (size_t j = 0; j < count; j++)
            if (offsets[j].partition == found->partition &&
                strcmp(offsets[j].topic, found->topic) == 0)
                offsets[j].offset = found->offset;
    }
    return ERR_NONE;
}

struct err kafka_offsets_find(struct client *client, struct client_offset *offsets, size_t count,
                              struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    if (count == 0)
        return ERR_NONE;
    rd_kafka_topic_partition_list_t *list = list_of(offsets, count);
    if (list == NULL)
        return err_make(ERR_NO_MEMORY);
    rd_kafka_ListOffsets(kafka->handle, list, kafka->options, kafka->answers);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    struct err err = take_found(event, offsets, count, diag);
    rd_kafka_event_destroy(event);
    return err;
}

static struct err copy_groups(const rd_kafka_ListConsumerGroups_result_t *result,
                              struct arena *arena, struct client_group **out, size_t *count)
{
    size_t size;
    const rd_kafka_ConsumerGroupListing_t **listings =
        rd_kafka_ListConsumerGroups_result_valid(result, &size);
    struct client_group *groups = arena_alloc_array(arena, size, sizeof *groups);
    if (groups == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < size; i++) {
        TRY(kafka_text(arena, rd_kafka_ConsumerGroupListing_group_id(listings[i]),
                       &groups[i].name));
        groups[i].state =
            rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(listings[i]));
        groups[i].type =
            rd_kafka_consumer_group_type_name(rd_kafka_ConsumerGroupListing_type(listings[i]));
    }
    qsort(groups, size, sizeof *groups, group_order);
    *out = groups;
    *count = size;
    return ERR_NONE;
}

struct err kafka_groups(struct client *client, struct arena *arena, struct client_group **out,
                        size_t *count, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_ListConsumerGroups(kafka->handle, kafka->options, kafka->answers);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    const rd_kafka_ListConsumerGroups_result_t *result =
        rd_kafka_event_ListConsumerGroups_result(event);
    size_t error_count;
    const rd_kafka_error_t **errors =
        rd_kafka_ListConsumerGroups_result_errors(result, &error_count);
    struct err err = error_count > 0 ? kafka_fail(rd_kafka_error_code(errors[0]),
                                                  rd_kafka_error_string(errors[0]), diag)
                                     : copy_groups(result, arena, out, count);
    rd_kafka_event_destroy(event);
    return err;
}

static struct err copy_member(const rd_kafka_MemberDescription_t *from, struct arena *arena,
                              struct client_member *to)
{
    TRY(kafka_text(arena, rd_kafka_MemberDescription_consumer_id(from), &to->id));
    TRY(kafka_text(arena, rd_kafka_MemberDescription_client_id(from), &to->client_id));
    TRY(kafka_text(arena, rd_kafka_MemberDescription_host(from), &to->host));
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(from);
    return copy_offsets(assignment == NULL ? NULL
                                           : rd_kafka_MemberAssignment_partitions(assignment),
                        arena, &to->assigned, &to->assigned_count);
}

static struct err copy_detail(const rd_kafka_ConsumerGroupDescription_t *from, struct arena *arena,
                              struct client_group_detail *to)
{
    to->state = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(from));
    TRY(kafka_text(arena, rd_kafka_ConsumerGroupDescription_partition_assignor(from),
                   &to->assignor));
    const rd_kafka_Node_t *coordinator = rd_kafka_ConsumerGroupDescription_coordinator(from);
    to->coordinator = coordinator == NULL ? -1 : rd_kafka_Node_id(coordinator);
    to->member_count = rd_kafka_ConsumerGroupDescription_member_count(from);
    to->members = arena_alloc_array(arena, to->member_count, sizeof *to->members);
    if (to->members == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < to->member_count; i++)
        TRY(copy_member(rd_kafka_ConsumerGroupDescription_member(from, i), arena, &to->members[i]));
    return ERR_NONE;
}

struct err kafka_group_describe(struct client *client, const char *group, struct arena *arena,
                                struct client_group_detail *out, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_DescribeConsumerGroups(kafka->handle, &group, 1, kafka->options, kafka->answers);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t count;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    struct err err = ERR_NONE;
    struct client_group_detail detail = {0};
    const rd_kafka_error_t *error =
        count == 1 ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : NULL;
    if (count != 1)
        err = diag_fail(diag, ERR_INVALID, "the answer names no group");
    else if (error != NULL)
        err = kafka_fail(rd_kafka_error_code(error), rd_kafka_error_string(error), diag);
    else
        err = copy_detail(groups[0], arena, &detail);
    rd_kafka_event_destroy(event);
    if (!err_failed(err))
        *out = detail;
    return err;
}

/* The first error among the answers about groups, or about their partitions. */
static struct err group_result(const rd_kafka_group_result_t **results, size_t count,
                               struct diag *diag)
{
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_error_t *error = rd_kafka_group_result_error(results[i]);
        if (error != NULL)
            return kafka_fail(rd_kafka_error_code(error), rd_kafka_error_string(error), diag);
        const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(results[i]);
        for (int j = 0; list != NULL && j < list->cnt; j++)
            if (list->elems[j].err != RD_KAFKA_RESP_ERR_NO_ERROR)
                return diag_wrap(diag, kafka_fail(list->elems[j].err, NULL, diag),
                                 "%s partition %d", list->elems[j].topic, list->elems[j].partition);
    }
    return ERR_NONE;
}

struct err kafka_group_delete(struct client *client, const char *group, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_DeleteGroup_t *request = rd_kafka_DeleteGroup_new(group);
    rd_kafka_DeleteGroups(kafka->handle, &request, 1, kafka->options, kafka->answers);
    rd_kafka_DeleteGroup_destroy(request);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t count;
    const rd_kafka_group_result_t **results =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
    struct err err = group_result(results, count, diag);
    rd_kafka_event_destroy(event);
    return err;
}

struct err kafka_group_offsets(struct client *client, const char *group, struct arena *arena,
                               struct client_offset **out, size_t *count, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
    rd_kafka_ListConsumerGroupOffsets(kafka->handle, &request, 1, kafka->options, kafka->answers);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t result_count;
    const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &result_count);
    struct err err = group_result(results, result_count, diag);
    if (!err_failed(err))
        err = copy_offsets(result_count == 0 ? NULL : rd_kafka_group_result_partitions(results[0]),
                           arena, out, count);
    rd_kafka_event_destroy(event);
    return err;
}

struct err kafka_group_offsets_set(struct client *client, const char *group,
                                   const struct client_offset *offsets, size_t count,
                                   struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_partition_list_t *list = list_of(offsets, count);
    if (list == NULL)
        return err_make(ERR_NO_MEMORY);
    rd_kafka_AlterConsumerGroupOffsets_t *request =
        rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AlterConsumerGroupOffsets(kafka->handle, &request, 1, kafka->options, kafka->answers);
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    rd_kafka_event_t *event;
    TRY(kafka_answer(kafka, &event, diag));
    size_t result_count;
    const rd_kafka_group_result_t **results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &result_count);
    struct err err = group_result(results, result_count, diag);
    rd_kafka_event_destroy(event);
    return err;
}
