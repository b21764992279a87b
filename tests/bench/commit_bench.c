/*
 * commit_bench: what committing offsets costs when threads do it at once.
 *
 *     commit_bench DIR THREADS GROUPS PARTITIONS COMMITS
 *
 * Each thread makes COMMITS commits of PARTITIONS partitions, in turn for each of its GROUPS
 * groups; a flush follows now and then, as in serve. Prints commits a second of all threads
 * together.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker/admin.h"
#include "coord/coord.h"
#include "wire/error_code.h"

/* Bounds of the command line. */
#define THREAD_COUNT_MAX 16
#define PARTITION_COUNT_MAX 1000

struct bench {
    struct config config;
    struct listeners listeners;
    struct broker *broker;
    struct coord *coord;
    int32_t group_count;
    int32_t partition_count;
    int64_t commit_count; /* of each thread */
};

struct worker {
    struct bench *bench;
    pthread_t thread;
    int index;
};

static void must(struct err err, const struct diag *diag)
{
    if (err_failed(err)) {
        (void)fprintf(stderr, "%s: %s\n", err_text(err), diag->text);
        exit(1);
    }
}

static void nobody_to_wake(void *context)
{
    (void)context;
}

static void commit_once(struct bench *bench, const char *group, int64_t offset, struct arena *arena)
{
    static _Thread_local struct offset_commit_request_partition partitions[PARTITION_COUNT_MAX];
    struct offset_commit_request_topic topic = {.name = span_text("events"),
                                                .partitions = partitions,
                                                .partitions_count = bench->partition_count};
    for (int32_t i = 0; i < bench->partition_count; i++)
        partitions[i] = (struct offset_commit_request_partition){
            .partition_index = i, .committed_offset = offset, .committed_leader_epoch = -1};
    struct offset_commit_request request;
    struct offset_commit_response response = {0};
    struct coord_commit commit;
    struct diag diag = {""};
    offset_commit_request_init(&request);
    request.group_id = span_text(group);
    request.generation_id_or_member_epoch = -1;
    request.member_id = span_text("");
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    arena_reset(arena);
    must(coord_commit_offsets(bench->coord, &request, arena, &response, &commit), &diag);
    CHECK(response.topics[0].partitions[0].error_code == KAFKA_NONE);
    topic_unref(commit.topic);
}

static void *work(void *argument)
{
    const struct worker *worker = argument;
    struct bench *bench = worker->bench;
    struct arena arena;
    arena_init(&arena, 1 << 24);
    for (int64_t i = 0; i < bench->commit_count; i++) {
        char group[32];
        (void)snprintf(group, sizeof group, "group-%d-%d", worker->index,
                       (int)(i % bench->group_count));
        commit_once(bench, group, i, &arena);
    }
    arena_deinit(&arena);
    return NULL;
}

static void open_bench(struct bench *bench, const char *dir)
{
    struct diag diag = {""};
    must(config_init(&bench->config), &diag);
    must(config_set(&bench->config, span_text("log.dirs"), span_text(dir), CONFIG_FROM_FLAG, 0,
                    &diag),
         &diag);
    struct broker_setup setup = {
        .os = os_real(), .config = &bench->config, .listeners = &bench->listeners};
    must(broker_create(&setup, &bench->broker, &diag), &diag);
    struct coord_setup coord_setup = {.broker = bench->broker, .wake = nobody_to_wake};
    must(coord_create(&coord_setup, &bench->coord), &diag);
    int64_t commit;
    struct store_flush_result flushed;
    struct err err = coord_prepare(bench->coord, &commit, &diag);
    if (!err_is(err, ERR_AGAIN)) /* durable with the next flush */
        must(err, &diag);
    must(store_flush_step(bench->broker->store, &flushed, &diag), &diag);
    must(coord_prepare(bench->coord, &commit, &diag), &diag);
    struct topic_overrides overrides;
    topic_overrides_init(&overrides);
    struct admin_create create = {.name = span_text("events"),
                                  .partition_count = bench->partition_count,
                                  .overrides = &overrides};
    struct topic *topic;
    must(admin_create_topic(bench->broker, &create, &topic, &commit, &diag), &diag);
    topic_unref(topic);
    must(store_flush_step(bench->broker->store, &flushed, &diag), &diag);
}

static void close_bench(struct bench *bench)
{
    struct diag diag = {""};
    coord_close(bench->coord);
    broker_stop(bench->broker);
    coord_destroy(bench->coord);
    must(broker_close(bench->broker, true, &diag), &diag);
    config_deinit(&bench->config);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fprintf(stderr, "usage: commit_bench DIR THREADS GROUPS PARTITIONS COMMITS\n");
        return 2;
    }
    static struct bench bench;
    static struct worker workers[THREAD_COUNT_MAX];
    int thread_count = (int)strtol(argv[2], NULL, 10);
    bench.group_count = (int32_t)strtol(argv[3], NULL, 10);
    bench.partition_count = (int32_t)strtol(argv[4], NULL, 10);
    bench.commit_count = strtoll(argv[5], NULL, 10);
    CHECK(thread_count >= 1 && thread_count <= THREAD_COUNT_MAX);
    CHECK(bench.partition_count >= 1 && bench.partition_count <= PARTITION_COUNT_MAX);
    open_bench(&bench, argv[1]);
    int64_t begin_us = clock_mono_us(os_real()->clock);
    for (int i = 0; i < thread_count; i++) {
        workers[i] = (struct worker){.bench = &bench, .index = i};
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < thread_count; i++)
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    double took_s = (double)(clock_mono_us(os_real()->clock) - begin_us) / 1e6;
    (void)printf("%d threads: %.0f commits/s\n", thread_count,
                 (double)(thread_count * bench.commit_count) / took_s);
    close_bench(&bench);
    return 0;
}
