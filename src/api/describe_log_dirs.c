/* describe_log_dirs: the data folder, its partitions' sizes and its free space (KIP-113, KIP-827).
 */
#include <stdlib.h>

#include "api/handlers.h"
#include "wire/describe_log_dirs.h"

struct dirs_work {
    struct request *request;
    struct broker *broker;
    struct describe_log_dirs_request asked;
};

/* A topic that exists, and which of its partitions were asked for. */
struct dir_topic {
    struct topic *topic;
    int32_t partition_count;
    bool *is_wanted; /* by partition; NULL: none is */
};

/* Marks those that one entry of the request names. */
static struct err mark_partitions(struct dir_topic *topic, struct arena *arena,
                                  const struct describe_log_dirs_request_topic *asked)
{
    if (topic->is_wanted == NULL)
        topic->is_wanted =
            arena_alloc_array(arena, (size_t)topic->partition_count, sizeof *topic->is_wanted);
    if (topic->is_wanted == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        int32_t index = asked->partitions[i];
        if (index >= 0 && index < topic->partition_count)
            topic->is_wanted[index] = true;
    }
    return ERR_NONE;
}

/* Marks what was asked for; no topics at all ask for every partition. */
static struct err mark_all(const struct dirs_work *work, struct dir_topic *topics, size_t count)
{
    struct arena *arena = &work->request->arena;
    struct map by_name;
    struct err err = ERR_NONE;
    map_init(&by_name, random_u64(work->broker->os->random));
    for (size_t i = 0; i < count && !err_failed(err); i++)
        err = map_put(&by_name, topics[i].topic->name, &topics[i]);
    for (int32_t i = 0; i < work->asked.topics_count && !err_failed(err); i++) {
        struct dir_topic *topic = map_get(&by_name, work->asked.topics[i].topic);
        if (topic != NULL)
            err = mark_partitions(topic, arena, &work->asked.topics[i]);
    }
    map_deinit(&by_name);
    return err;
}

static struct err fill_topic(const struct dirs_work *work, const struct dir_topic *topic,
                             struct describe_log_dirs_response_log_dir *dir)
{
    struct arena *arena = &work->request->arena;
    bool is_all_wanted = work->asked.topics_count < 0;
    if (!is_all_wanted && topic->is_wanted == NULL)
        return ERR_NONE;
    struct describe_log_dirs_response_topic *answer = &dir->topics[dir->topics_count];
    TRY(arena_copy(arena, topic->topic->name, &answer->name));
    answer->partitions =
        arena_alloc_array(arena, (size_t)topic->partition_count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < topic->partition_count; i++) {
        if (!is_all_wanted && !topic->is_wanted[i])
            continue;
        answer->partitions[answer->partitions_count++] =
            (struct describe_log_dirs_response_partition){
                .partition_index = i,
                .partition_size = log_size(topic_partition(topic->topic, i)->log),
            };
    }
    if (answer->partitions_count > 0)
        dir->topics_count++;
    return ERR_NONE;
}

static struct err fill_topics(const struct dirs_work *work, const struct topic_list *list,
                              struct describe_log_dirs_response_log_dir *dir)
{
    struct arena *arena = &work->request->arena;
    struct dir_topic *topics = arena_alloc_array(arena, list->count, sizeof *topics);
    dir->topics = arena_alloc_array(arena, list->count, sizeof *dir->topics);
    if (topics == NULL || dir->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < list->count; i++)
        topics[i] = (struct dir_topic){.topic = list->topics[i],
                                       .partition_count = topic_partition_count(list->topics[i])};
    TRY(mark_all(work, topics, list->count));
    for (size_t i = 0; i < list->count; i++)
        TRY(fill_topic(work, &topics[i], dir));
    return ERR_NONE;
}

static struct err fill_dir(const struct dirs_work *work,
                           struct describe_log_dirs_response_log_dir *dir)
{
    const struct os_files *files = work->broker->os->files;
    const char *path = config_text(work->broker->config, CONFIG_LOG_DIR);
    describe_log_dirs_response_log_dir_init(dir);
    dir->log_dir = span_text(path);
    if (store_is_offline(work->broker->store))
        dir->error_code = KAFKA_KAFKA_STORAGE_ERROR;
    int64_t size_free;
    int64_t size_total;
    if (!err_failed(dir_space(files, path, &size_free, &size_total))) {
        dir->usable_bytes = size_free;
        dir->total_bytes = size_total;
    }
    struct topic_list list;
    TRY(broker_list_topics(work->broker, &work->request->arena, &list));
    struct err err = fill_topics(work, &list, dir);
    topic_list_unref(&list);
    return err;
}

struct err describe_log_dirs_handle(struct request *request, struct broker *broker)
{
    struct dirs_work work = {.request = request, .broker = broker};
    struct describe_log_dirs_response response;
    struct describe_log_dirs_response_log_dir dir;
    TRY(describe_log_dirs_request_decode(&request->body, request->version, &request->arena,
                                         &work.asked));
    describe_log_dirs_response_init(&response);
    TRY(fill_dir(&work, &dir));
    response.results = &dir;
    response.results_count = 1;
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(describe_log_dirs_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
