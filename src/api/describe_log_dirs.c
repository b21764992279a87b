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

/* Whether a partition was asked for; no topics at all asks for every one. */
static bool is_wanted(const struct describe_log_dirs_request *asked, struct span topic,
                      int32_t partition)
{
    if (asked->topics_count < 0)
        return true;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        if (!span_equal(asked->topics[i].topic, topic))
            continue;
        for (int32_t j = 0; j < asked->topics[i].partitions_count; j++) {
            if (asked->topics[i].partitions[j] == partition)
                return true;
        }
    }
    return false;
}

static struct err fill_topic(const struct dirs_work *work, struct topic *topic,
                             struct describe_log_dirs_response_log_dir *dir)
{
    struct arena *arena = &work->request->arena;
    struct describe_log_dirs_response_topic *answer = &dir->topics[dir->topics_count];
    int32_t count = topic_partition_count(topic);
    TRY(arena_copy(arena, topic->name, &answer->name));
    answer->partitions = arena_alloc_array(arena, (size_t)count, sizeof *answer->partitions);
    if (answer->partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < count; i++) {
        if (!is_wanted(&work->asked, topic->name, i))
            continue;
        answer->partitions[answer->partitions_count++] =
            (struct describe_log_dirs_response_partition){
                .partition_index = i,
                .partition_size = log_size(topic_partition(topic, i)->log),
            };
    }
    if (answer->partitions_count > 0)
        dir->topics_count++;
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
    dir->topics = arena_alloc_array(&work->request->arena, list.count, sizeof *dir->topics);
    struct err err = dir->topics == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
    for (size_t i = 0; i < list.count && !err_failed(err); i++)
        err = fill_topic(work, list.topics[i], dir);
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
