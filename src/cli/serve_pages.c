/*
 * serve_pages: health, readiness and metrics over HTTP.
 *
 * Names follow kafka_exporter (kafka_topic_partition_current_offset, kafka_consumergroup_lag ...)
 * and the usual JMX exporter rules (kafka_server_brokertopicmetrics...,
 * kafka_network_requestmetrics...), so that dashboards made for them work.
 */
#include "cli/serve.h"
#include "coord/transactions.h"
#include "wire/api_table.h"

static void say(struct http_page *page, const char *sentence)
{
    struct err ignored = buf_print(&page->body, "%s\n", sentence); /* an empty page then */
    (void)ignored;
}

/* Alive: it can answer, and storage works. */
static void fill_health(void *context, struct http_page *page)
{
    struct serve *serve = context;
    bool is_offline = atomic_load(&serve->is_offline);
    page->status = is_offline ? 503 : 200;
    say(page, is_offline ? "storage is offline" : "ok");
}

static void fill_ready(void *context, struct http_page *page)
{
    struct serve *serve = context;
    bool is_ready = atomic_load(&serve->is_ready) && !atomic_load(&serve->is_offline);
    page->status = is_ready ? 200 : 503;
    say(page, is_ready ? "ready" : "not ready");
}

static struct err print_head(struct buf *out, const char *name, const char *type, const char *help)
{
    return buf_print(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

typedef uint64_t (*read_counter)(const struct api_counters *counters);

static uint64_t read_requests(const struct api_counters *counters)
{
    return metric_read(&counters->requests);
}

static uint64_t read_bytes_in(const struct api_counters *counters)
{
    return metric_read(&counters->bytes_in);
}

static uint64_t read_bytes_out(const struct api_counters *counters)
{
    return metric_read(&counters->bytes_out);
}

/* One line for each API that was ever asked. */
static struct err print_per_api(struct buf *out, const struct api *api, const char *name,
                                const char *help, read_counter read)
{
    TRY(print_head(out, name, "counter", help));
    for (size_t i = 0; i < API_COUNT; i++) {
        const struct api_counters *counters = &api->counters[api_table[i].key];
        if (metric_read(&counters->requests) == 0)
            continue;
        TRY(buf_print(out, "%s{request=\"%s\"} %llu\n", name, api_table[i].name,
                      (unsigned long long)read(counters)));
    }
    return ERR_NONE;
}

static struct err print_latency(struct buf *out, const struct api_info *info,
                                const struct metric_histogram *histogram)
{
    static const char name[] = "kafka_network_requestmetrics_totaltime_seconds";
    uint64_t count = 0;
    for (unsigned b = 0; b < METRIC_BUCKET_COUNT; b++) {
        count += metric_read(&histogram->buckets[b]);
        if (b < METRIC_BUCKET_COUNT - 1)
            TRY(buf_print(out, "%s_bucket{request=\"%s\",le=\"%.9g\"} %llu\n", name, info->name,
                          (double)metric_bucket_bound(b) / 1e6, (unsigned long long)count));
    }
    TRY(buf_print(out, "%s_bucket{request=\"%s\",le=\"+Inf\"} %llu\n", name, info->name,
                  (unsigned long long)count));
    TRY(buf_print(out, "%s_sum{request=\"%s\"} %.6f\n", name, info->name,
                  (double)metric_read(&histogram->sum) / 1e6));
    return buf_print(out, "%s_count{request=\"%s\"} %llu\n", name, info->name,
                     (unsigned long long)count);
}

static struct err print_apis(struct buf *out, const struct api *api)
{
    TRY(print_per_api(out, api, "kafka_network_requestmetrics_requests_total",
                      "Requests received, by API.", read_requests));
    TRY(print_per_api(out, api, "kafka_network_requestmetrics_requestbytes_total",
                      "Bytes of requests received, by API.", read_bytes_in));
    TRY(print_per_api(out, api, "kafka_network_requestmetrics_responsebytes_total",
                      "Bytes of answers sent, by API.", read_bytes_out));
    TRY(print_head(out, "kafka_network_requestmetrics_totaltime_seconds", "histogram",
                   "Time from receiving a request to having its answer, by API."));
    for (size_t i = 0; i < API_COUNT; i++) {
        const struct api_counters *counters = &api->counters[api_table[i].key];
        if (metric_read(&counters->requests) != 0)
            TRY(print_latency(out, &api_table[i], &counters->latency_us));
    }
    return ERR_NONE;
}

/* Offsets of each partition, as kafka_exporter names them. */
static struct err print_offsets(struct buf *out, const struct topic_list *list, bool is_oldest)
{
    const char *name =
        is_oldest ? "kafka_topic_partition_oldest_offset" : "kafka_topic_partition_current_offset";
    TRY(print_head(out, name, "gauge",
                   is_oldest ? "First offset of a partition." : "High watermark of a partition."));
    for (size_t i = 0; i < list->count; i++) {
        int32_t count = topic_partition_count(list->topics[i]);
        for (int32_t p = 0; p < count; p++) {
            struct partition_offsets offsets;
            partition_read_offsets(topic_partition(list->topics[i], p), &offsets);
            int64_t offset = is_oldest ? offsets.start : offsets.high_watermark;
            TRY(buf_print(out, "%s{topic=\"%.*s\",partition=\"%d\"} %lld\n", name,
                          SPAN_ARGS(list->topics[i]->name), p, (long long)offset));
        }
    }
    return ERR_NONE;
}

static struct err print_topics(struct buf *out, struct broker *broker)
{
    struct arena arena;
    struct topic_list list;
    arena_init(&arena, SIZE_MAX);
    struct err err = broker_list_topics(broker, &arena, &list);
    if (!err_failed(err)) {
        err = print_head(out, "kafka_topic_partitions", "gauge", "Partitions of a topic.");
        for (size_t i = 0; i < list.count && !err_failed(err); i++)
            err = buf_print(out, "kafka_topic_partitions{topic=\"%.*s\"} %d\n",
                            SPAN_ARGS(list.topics[i]->name), topic_partition_count(list.topics[i]));
        if (!err_failed(err))
            err = print_offsets(out, &list, false);
        if (!err_failed(err))
            err = print_offsets(out, &list, true);
        topic_list_unref(&list);
    }
    arena_deinit(&arena);
    return err;
}

/* A label's value, with what Prometheus's text format escapes. */
static struct err print_label(struct buf *out, const char *name, struct span value)
{
    TRY(buf_print(out, "%s=\"", name));
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        if (byte == '\n')
            TRY(buf_print(out, "\\n"));
        else if (byte == '"' || byte == '\\')
            TRY(buf_print(out, "\\%c", byte));
        else
            TRY(buf_append(out, &byte, 1));
    }
    return buf_print(out, "\"");
}

/* Groups' positions, and how far they are behind. */
struct group_lines {
    struct broker *broker;
    struct buf offsets;
    struct buf lags;
    struct err err;
};

static struct err print_position(struct buf *out, const char *metric, struct span group,
                                 struct span topic, int32_t partition)
{
    TRY(buf_print(out, "%s{", metric));
    TRY(print_label(out, "consumergroup", group));
    return buf_print(out, ",topic=\"%.*s\",partition=\"%d\"} ", SPAN_ARGS(topic), partition);
}

static struct err print_group_offset(struct group_lines *lines, struct span group,
                                     struct span topic, int32_t partition, int64_t offset)
{
    struct topic *found = broker_find_topic(lines->broker, topic);
    struct partition *at = found == NULL ? NULL : topic_partition(found, partition);
    struct partition_offsets offsets = {.high_watermark = offset};
    if (at != NULL)
        partition_read_offsets(at, &offsets);
    topic_unref(found);
    int64_t lag = offsets.high_watermark > offset ? offsets.high_watermark - offset : 0;
    TRY(print_position(&lines->offsets, "kafka_consumergroup_current_offset", group, topic,
                       partition));
    TRY(buf_print(&lines->offsets, "%lld\n", (long long)offset));
    TRY(print_position(&lines->lags, "kafka_consumergroup_lag", group, topic, partition));
    return buf_print(&lines->lags, "%lld\n", (long long)lag);
}

static void visit_offset(void *context, struct span group, struct span topic, int32_t partition,
                         int64_t offset)
{
    struct group_lines *lines = context;
    if (!err_failed(lines->err))
        lines->err = print_group_offset(lines, group, topic, partition, offset);
}

static struct err print_groups(struct buf *out, struct serve *serve)
{
    struct group_lines lines = {.broker = serve->broker};
    buf_init(&lines.offsets, out->size_max);
    buf_init(&lines.lags, out->size_max);
    coord_visit_offsets(serve->coord, visit_offset, &lines);
    struct err err = lines.err;
    if (!err_failed(err))
        err = print_head(out, "kafka_consumergroup_current_offset", "gauge",
                         "Committed offset of a group.");
    if (!err_failed(err))
        err = buf_append(out, lines.offsets.data, lines.offsets.size);
    if (!err_failed(err))
        err = print_head(out, "kafka_consumergroup_lag", "gauge",
                         "Records between a group's committed offset and the high watermark.");
    if (!err_failed(err))
        err = buf_append(out, lines.lags.data, lines.lags.size);
    buf_deinit(&lines.offsets);
    buf_deinit(&lines.lags);
    TRY(err);
    struct coord_counts counts;
    coord_count(serve->coord, &counts);
    static const char *const states[] = {"empty", "preparing_rebalance", "completing_rebalance",
                                         "stable"};
    TRY(print_head(out, "kafka_coordinator_group_groups", "gauge", "Groups, by state."));
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        TRY(buf_print(out, "kafka_coordinator_group_groups{state=\"%s\"} %lld\n", states[i],
                      (long long)counts.groups_by_state[i]));
    TRY(print_head(out, "kafka_coordinator_group_members", "gauge", "Members of all groups."));
    return buf_print(out, "kafka_coordinator_group_members %lld\n", (long long)counts.members);
}

static struct err print_transactions(struct buf *out, struct serve *serve)
{
    struct transaction_counts counts;
    transactions_count(coord_transactions(serve->coord), &counts);
    TRY(print_head(out, "headrace_transactional_ids", "gauge",
                   "Transactional ids, by the state of their transaction."));
    for (int state = 0; state < TRANSACTION_DEAD; state++)
        TRY(buf_print(out, "headrace_transactional_ids{state=\"%s\"} %lld\n",
                      transaction_state_name((enum transaction_state)state),
                      (long long)counts.by_state[state]));
    return ERR_NONE;
}

static struct err print_value(struct buf *out, const char *name, const char *type, const char *help,
                              uint64_t value)
{
    TRY(print_head(out, name, type, help));
    return buf_print(out, "%s %llu\n", name, (unsigned long long)value);
}

static struct err print_storage(struct buf *out, struct serve *serve)
{
    struct store_stats stats;
    store_read_stats(serve->broker->store, &stats);
    TRY(print_value(out, "kafka_brokers", "gauge", "Brokers of the cluster.", 1));
    TRY(print_value(out, "kafka_server_socketservermetrics_connection_count", "gauge",
                    "Open client connections.", (uint64_t)server_connection_count(serve->server)));
    TRY(print_value(out, "headrace_server_paused_connections", "gauge",
                    "Client connections not read until answers are taken or requests are done.",
                    (uint64_t)server_paused_count(serve->server)));
    TRY(print_value(out, "headrace_storage_append_bytes_total", "counter",
                    "Bytes of record batches appended.", stats.append_size));
    TRY(print_value(out, "headrace_storage_appends_total", "counter", "Record batches appended.",
                    stats.append_count));
    TRY(print_value(out, "headrace_storage_flushes_total", "counter", "Group commits.",
                    stats.flush_count));
    TRY(print_value(out, "headrace_storage_syncs_total", "counter", "Files and folders synced.",
                    stats.sync_count));
    TRY(print_value(out, "headrace_storage_open_files", "gauge", "Segment files held open.",
                    stats.open_file_count));
    TRY(print_value(out, "kafka_server_replicamanager_partitioncount", "gauge",
                    "Partitions with a log.", stats.log_count));
    return print_value(out, "headrace_storage_offline", "gauge",
                       "1 when a failed sync has taken storage offline.",
                       atomic_load(&serve->is_offline) ? 1 : 0);
}

static struct err print_metrics(struct buf *out, struct serve *serve)
{
    TRY(print_storage(out, serve));
    TRY(print_apis(out, serve->api));
    TRY(print_topics(out, serve->broker));
    TRY(print_transactions(out, serve));
    return print_groups(out, serve);
}

static void fill_metrics(void *context, struct http_page *page)
{
    page->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (err_failed(print_metrics(&page->body, context))) {
        buf_clear(&page->body);
        page->status = 500;
        say(page, "no memory for the metrics");
    }
}

const struct http_route serve_routes[] = {
    {"/healthz", fill_health},
    {"/readyz", fill_ready},
    {"/metrics", fill_metrics},
    {NULL, NULL},
};
