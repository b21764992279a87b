/* describe_topic_partitions: topics page by page, by name (KIP-966). */
#include <stdlib.h>

#include "api/handlers.h"
#include "api/operations.h"
#include "wire/describe_topic_partitions.h"

struct page_work {
    struct request *request;
    struct broker *broker;
    struct describe_topic_partitions_request asked;
    struct describe_topic_partitions_response response;
    struct describe_topic_partitions_response_cursor cursor;
    int32_t node_id;
    int32_t room; /* partitions that still fit on the page */
};

static struct err fill_partitions(struct page_work *work, struct topic *topic, int32_t first,
                                  struct describe_topic_partitions_response_topic *answer)
{
    int32_t total = topic_partition_count(topic);
    int32_t left = total > first ? total - first : 0;
    int32_t count = left < work->room ? left : work->room;
    answer->partitions =
        arena_alloc_array(&work->request->arena, (size_t)count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct describe_topic_partitions_response_partition *partition = &answer->partitions[i];
        describe_topic_partitions_response_partition_init(partition);
        partition->partition_index = first + i;
        partition->leader_id = work->node_id;
        partition->leader_epoch = store_leader_epoch(work->broker->store);
        partition->replica_nodes = &work->node_id;
        partition->replica_nodes_count = 1;
        partition->isr_nodes = &work->node_id;
        partition->isr_nodes_count = 1;
        partition->eligible_leader_replicas_count = 0;
        partition->last_known_elr_count = 0;
    }
    work->room -= count;
    if (count == left)
        return ERR_NONE;
    TRY(arena_copy(&work->request->arena, topic->name, &work->cursor.topic_name));
    work->cursor.partition_index = first + count;
    work->response.next_cursor = &work->cursor;
    return ERR_NONE;
}

/* Adds one topic from the given partition on. */
static struct err add_topic(struct page_work *work, struct span name, int32_t first)
{
    struct describe_topic_partitions_response_topic *answer =
        &work->response.topics[work->response.topics_count++];
    describe_topic_partitions_response_topic_init(answer);
    answer->name = name;
    struct topic *topic = broker_find_topic(work->broker, name);
    if (topic == NULL) {
        answer->error_code = err_failed(topic_check_name(name, NULL))
                                 ? KAFKA_INVALID_TOPIC_EXCEPTION
                                 : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return ERR_NONE;
    }
    answer->topic_id = topic->id;
    answer->is_internal = topic->is_internal;
    answer->topic_authorized_operations = OPERATIONS_TOPIC;
    struct err err = fill_partitions(work, topic, first, answer);
    topic_unref(topic);
    return err;
}

static int compare_spans(const void *left, const void *right)
{
    const struct span *a = left;
    const struct span *b = right;
    return span_compare(*a, *b);
}

/* The names asked for, or all, in order. */
static struct err list_names(struct page_work *work, struct span **names, size_t *count)
{
    struct arena *arena = &work->request->arena;
    struct topic_list list = {0};
    bool is_all = work->asked.topics_count == 0;
    if (is_all)
        TRY(broker_list_topics(work->broker, arena, &list));
    *count = is_all ? list.count : (size_t)work->asked.topics_count;
    *names = arena_alloc_array(arena, *count, sizeof **names);
    struct err err = *names == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
    for (size_t i = 0; i < *count && !err_failed(err); i++)
        err = arena_copy(arena, is_all ? list.topics[i]->name : work->asked.topics[i].name,
                         &(*names)[i]);
    topic_list_unref(&list);
    TRY(err);
    qsort(*names, *count, sizeof **names, compare_spans);
    return ERR_NONE;
}

static struct err fill_page(struct page_work *work)
{
    struct span *names;
    size_t count;
    TRY(list_names(work, &names, &count));
    work->response.topics =
        arena_alloc_array(&work->request->arena, count, sizeof *work->response.topics);
    if (work->response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    const struct describe_topic_partitions_request_cursor *from = work->asked.cursor;
    for (size_t i = 0; i < count; i++) {
        int order = from == NULL ? 1 : span_compare(names[i], from->topic_name);
        bool is_repeated = i > 0 && span_equal(names[i], names[i - 1]);
        if (order < 0 || is_repeated)
            continue;
        if (work->response.next_cursor != NULL)
            return ERR_NONE;
        if (work->room == 0) {
            work->cursor.topic_name = names[i];
            work->response.next_cursor = &work->cursor;
            return ERR_NONE;
        }
        TRY(add_topic(work, names[i], order == 0 ? from->partition_index : 0));
    }
    return ERR_NONE;
}

struct err describe_topic_partitions_handle(struct request *request, struct broker *broker)
{
    struct page_work work = {.request = request, .broker = broker};
    TRY(describe_topic_partitions_request_decode(&request->body, request->version, &request->arena,
                                                 &work.asked));
    describe_topic_partitions_response_init(&work.response);
    describe_topic_partitions_response_cursor_init(&work.cursor);
    work.node_id = (int32_t)config_number(broker->config, CONFIG_NODE_ID);
    int64_t limit = config_number(broker->config, CONFIG_MAX_REQUEST_PARTITION_SIZE_LIMIT);
    int32_t asked = work.asked.response_partition_limit;
    work.room = asked < limit ? asked : (int32_t)limit;
    if (work.room < 1)
        work.room = 1;
    TRY(fill_page(&work));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(describe_topic_partitions_response_encode(writer, request->version, &work.response));
    return request_end_reply(request);
}
