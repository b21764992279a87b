/*
 * api_requests: one request of each API, as a client sends it to a server that has the topic
 * "events".
 *
 * In the order of the table each has what it needs from those before: a record, an offset of the
 * group "g", a transaction of "tx" that is open.
 */
#ifndef HEADRACE_TESTS_SUPPORT_API_REQUESTS_H
#define HEADRACE_TESTS_SUPPORT_API_REQUESTS_H

#include "support/server_fixture.h"

#include "wire/add_offsets_to_txn.h"
#include "wire/add_partitions_to_txn.h"
#include "wire/alter_configs.h"
#include "wire/api_versions.h"
#include "wire/create_partitions.h"
#include "wire/create_topics.h"
#include "wire/delete_groups.h"
#include "wire/delete_records.h"
#include "wire/delete_topics.h"
#include "wire/describe_cluster.h"
#include "wire/describe_configs.h"
#include "wire/describe_groups.h"
#include "wire/describe_log_dirs.h"
#include "wire/describe_producers.h"
#include "wire/describe_topic_partitions.h"
#include "wire/describe_transactions.h"
#include "wire/end_txn.h"
#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/incremental_alter_configs.h"
#include "wire/init_producer_id.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/list_groups.h"
#include "wire/list_offsets.h"
#include "wire/list_transactions.h"
#include "wire/offset_commit.h"
#include "wire/offset_delete.h"
#include "wire/offset_fetch.h"
#include "wire/offset_for_leader_epoch.h"
#include "wire/sync_group.h"
#include "wire/txn_offset_commit.h"
#include "wire/write_txn_markers.h"

#define REQUESTS_TOPIC_TYPE 2  /* of a config resource */
#define REQUESTS_CONFIG_SET 0  /* IncrementalAlterConfigs */
#define REQUESTS_PRODUCER_ID 0 /* the first that a server gives out */
#define REQUESTS_PRODUCER_EPOCH 0

/* The body of a function that encodes request r; its fields are set before. */
#define REQUEST_ENCODE(name, version) assert_ok(name##_request_encode(writer, version, &r))

static inline void request_metadata(struct writer *writer)
{
    struct metadata_request r;
    metadata_request_init(&r);
    r.topics_count = -1; /* all */
    REQUEST_ENCODE(metadata, 12);
}

static inline void request_api_versions(struct writer *writer)
{
    struct api_versions_request r;
    api_versions_request_init(&r);
    r.client_software_name = r.client_software_version = span_text("peer");
    REQUEST_ENCODE(api_versions, 3);
}

static inline void request_fetch(struct writer *writer)
{
    struct fetch_request_partition partition;
    fetch_request_partition_init(&partition);
    partition.partition_max_bytes = 1 << 20;
    struct fetch_request_topic topic = {
        .topic = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct fetch_request r;
    fetch_request_init(&r);
    r.max_bytes = 1 << 20;
    r.topics = &topic;
    r.topics_count = 1; /* session epoch 0: a session is made */
    r.session_epoch = 0;
    REQUEST_ENCODE(fetch, 12);
}

static inline void request_list_offsets(struct writer *writer)
{
    struct list_offsets_request_partition partition = {.current_leader_epoch = -1,
                                                       .timestamp = 1700000000000};
    struct list_offsets_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct list_offsets_request r;
    list_offsets_request_init(&r);
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(list_offsets, 8);
}

static inline void request_offset_for_leader_epoch(struct writer *writer)
{
    struct offset_for_leader_epoch_request_partition partition = {.current_leader_epoch = -1};
    struct offset_for_leader_epoch_request_topic topic = {
        .topic = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_for_leader_epoch_request r;
    offset_for_leader_epoch_request_init(&r);
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(offset_for_leader_epoch, 4);
}

static inline void request_create_topics(struct writer *writer)
{
    struct create_topics_request_config config = {.name = span_text("retention.ms"),
                                                  .value = span_text("12345")};
    struct create_topics_request_topic topic = {.name = span_text("new"),
                                                .num_partitions = 2,
                                                .replication_factor = 1,
                                                .configs = &config,
                                                .configs_count = 1};
    struct create_topics_request r;
    create_topics_request_init(&r);
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(create_topics, 7);
}

static inline void request_create_partitions(struct writer *writer)
{
    struct create_partitions_request_topic topic = {
        .name = span_text("new"), .count = 5, .assignments_count = -1};
    struct create_partitions_request r;
    create_partitions_request_init(&r);
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(create_partitions, 3);
}

static inline void request_delete_topics(struct writer *writer)
{
    struct span name = span_text("new");
    struct delete_topics_request r;
    delete_topics_request_init(&r);
    r.topic_names = &name;
    r.topic_names_count = 1;
    REQUEST_ENCODE(delete_topics, 5);
}

static inline void request_delete_records(struct writer *writer)
{
    struct delete_records_request_partition partition = {.offset = -1};
    struct delete_records_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct delete_records_request r;
    delete_records_request_init(&r);
    r.topics = &topic;
    r.topics_count = 1;
    r.timeout_ms = 1000;
    REQUEST_ENCODE(delete_records, 2);
}

static inline void request_describe_configs(struct writer *writer)
{
    struct describe_configs_request_resource resource = {.resource_type = REQUESTS_TOPIC_TYPE,
                                                         .resource_name = span_text("events"),
                                                         .configuration_keys_count = -1};
    struct describe_configs_request r;
    describe_configs_request_init(&r);
    r.resources = &resource;
    r.resources_count = 1;
    r.include_synonyms = r.include_documentation = true;
    REQUEST_ENCODE(describe_configs, 4);
}

static inline void request_alter_configs(struct writer *writer)
{
    struct alter_configs_request_config config = {.name = span_text("retention.ms"),
                                                  .value = span_text("23456")};
    struct alter_configs_request_resource resource = {.resource_type = REQUESTS_TOPIC_TYPE,
                                                      .resource_name = span_text("events"),
                                                      .configs = &config,
                                                      .configs_count = 1};
    struct alter_configs_request r;
    alter_configs_request_init(&r);
    r.resources = &resource;
    r.resources_count = 1;
    REQUEST_ENCODE(alter_configs, 2);
}

static inline void request_incremental_alter_configs(struct writer *writer)
{
    struct incremental_alter_configs_request_config config = {.name = span_text("cleanup.policy"),
                                                              .config_operation =
                                                                  REQUESTS_CONFIG_SET,
                                                              .value = span_text("compact,delete")};
    struct incremental_alter_configs_request_resource resource = {
        .resource_type = REQUESTS_TOPIC_TYPE,
        .resource_name = span_text("events"),
        .configs = &config,
        .configs_count = 1};
    struct incremental_alter_configs_request r;
    incremental_alter_configs_request_init(&r);
    r.resources = &resource;
    r.resources_count = 1;
    REQUEST_ENCODE(incremental_alter_configs, 1);
}

static inline void request_describe_cluster(struct writer *writer)
{
    struct describe_cluster_request r;
    describe_cluster_request_init(&r);
    REQUEST_ENCODE(describe_cluster, 1);
}

static inline void request_describe_log_dirs(struct writer *writer)
{
    struct describe_log_dirs_request r;
    describe_log_dirs_request_init(&r);
    r.topics_count = -1; /* all */
    REQUEST_ENCODE(describe_log_dirs, 4);
}

static inline void request_describe_topic_partitions(struct writer *writer)
{
    struct describe_topic_partitions_request_topic topic = {.name = span_text("events")};
    struct describe_topic_partitions_request r;
    describe_topic_partitions_request_init(&r);
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(describe_topic_partitions, 0);
}

static inline void request_find_coordinator(struct writer *writer)
{
    struct span key = span_text("g");
    struct find_coordinator_request r;
    find_coordinator_request_init(&r);
    r.coordinator_keys = &key;
    r.coordinator_keys_count = 1;
    REQUEST_ENCODE(find_coordinator, 4);
}

static inline void request_join_group(struct writer *writer)
{
    struct join_group_request_protocol protocol = {.name = span_text("range"),
                                                   .metadata = span_text("m")};
    struct join_group_request r;
    join_group_request_init(&r);
    r.group_id = span_text("joined");
    r.session_timeout_ms = 10000;
    r.rebalance_timeout_ms = 60000;
    r.group_instance_id = span_text("instance"); /* static: no id has to be given out first */
    r.protocol_type = span_text("consumer");
    r.protocols = &protocol;
    r.protocols_count = 1;
    REQUEST_ENCODE(join_group, 5);
}

static inline void request_sync_group(struct writer *writer)
{
    struct sync_group_request r;
    sync_group_request_init(&r);
    r.group_id = span_text("joined");
    r.member_id = span_text("unknown");
    r.group_instance_id = span_text("instance");
    REQUEST_ENCODE(sync_group, 5);
}

static inline void request_heartbeat(struct writer *writer)
{
    struct heartbeat_request r;
    heartbeat_request_init(&r);
    r.group_id = span_text("joined");
    r.member_id = span_text("unknown");
    r.group_instance_id = span_text("instance");
    REQUEST_ENCODE(heartbeat, 4);
}

static inline void request_leave_group(struct writer *writer)
{
    struct leave_group_request_member member = {.member_id = span_text(""),
                                                .group_instance_id = span_text("instance"),
                                                .reason = SPAN_NULL};
    struct leave_group_request r;
    leave_group_request_init(&r);
    r.group_id = span_text("joined");
    r.members = &member;
    r.members_count = 1;
    REQUEST_ENCODE(leave_group, 5);
}

static inline void request_offset_commit(struct writer *writer)
{
    struct offset_commit_request_partition partition = {.committed_offset = 1,
                                                        .committed_leader_epoch = -1,
                                                        .committed_metadata = span_text("note")};
    struct offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request r;
    offset_commit_request_init(&r);
    r.group_id = span_text("g");
    r.generation_id_or_member_epoch = -1;
    r.group_instance_id = SPAN_NULL;
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(offset_commit, 8);
}

static inline void request_offset_fetch(struct writer *writer)
{
    struct offset_fetch_request_group group = {
        .group_id = span_text("g"), .member_id = SPAN_NULL, .member_epoch = -1, .topics_count = -1};
    struct offset_fetch_request r;
    offset_fetch_request_init(&r);
    r.groups = &group;
    r.groups_count = 1;
    r.require_stable = true;
    REQUEST_ENCODE(offset_fetch, 8);
}

static inline void request_offset_delete(struct writer *writer)
{
    struct offset_delete_request_partition partition = {0};
    struct offset_delete_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_delete_request r;
    offset_delete_request_init(&r);
    r.group_id = span_text("g");
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(offset_delete, 0);
}

static inline void request_describe_groups(struct writer *writer)
{
    struct span group = span_text("joined");
    struct describe_groups_request r;
    describe_groups_request_init(&r);
    r.groups = &group;
    r.groups_count = 1;
    REQUEST_ENCODE(describe_groups, 5);
}

static inline void request_list_groups(struct writer *writer)
{
    struct list_groups_request r;
    list_groups_request_init(&r);
    REQUEST_ENCODE(list_groups, 5);
}

static inline void request_delete_groups(struct writer *writer)
{
    struct span group = span_text("g");
    struct delete_groups_request r;
    delete_groups_request_init(&r);
    r.groups_names = &group;
    r.groups_names_count = 1;
    REQUEST_ENCODE(delete_groups, 2);
}

static inline void request_init_producer_id(struct writer *writer)
{
    struct init_producer_id_request r;
    init_producer_id_request_init(&r);
    r.transactional_id = span_text("tx");
    r.transaction_timeout_ms = 60000;
    REQUEST_ENCODE(init_producer_id, 5);
}

static inline void request_add_partitions_to_txn(struct writer *writer)
{
    int32_t index = 0;
    struct add_partitions_to_txn_request_topic topic = {
        .name = span_text("events"), .partitions = &index, .partitions_count = 1};
    struct add_partitions_to_txn_request r;
    add_partitions_to_txn_request_init(&r);
    r.v3_and_below_transactional_id = span_text("tx");
    r.v3_and_below_producer_id = REQUESTS_PRODUCER_ID;
    r.v3_and_below_producer_epoch = REQUESTS_PRODUCER_EPOCH;
    r.v3_and_below_topics = &topic;
    r.v3_and_below_topics_count = 1;
    REQUEST_ENCODE(add_partitions_to_txn, 3);
}

static inline void request_add_offsets_to_txn(struct writer *writer)
{
    struct add_offsets_to_txn_request r;
    add_offsets_to_txn_request_init(&r);
    r.transactional_id = span_text("tx");
    r.producer_id = REQUESTS_PRODUCER_ID;
    r.producer_epoch = REQUESTS_PRODUCER_EPOCH;
    r.group_id = span_text("g");
    REQUEST_ENCODE(add_offsets_to_txn, 3);
}

static inline void request_txn_offset_commit(struct writer *writer)
{
    struct txn_offset_commit_request_partition partition = {
        .committed_offset = 2, .committed_leader_epoch = -1, .committed_metadata = SPAN_NULL};
    struct txn_offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct txn_offset_commit_request r;
    txn_offset_commit_request_init(&r);
    r.transactional_id = span_text("tx");
    r.group_id = span_text("g");
    r.producer_id = REQUESTS_PRODUCER_ID;
    r.producer_epoch = REQUESTS_PRODUCER_EPOCH;
    r.generation_id = -1;
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(txn_offset_commit, 3);
}

static inline void request_end_txn(struct writer *writer)
{
    struct end_txn_request r;
    end_txn_request_init(&r);
    r.transactional_id = span_text("tx");
    r.producer_id = REQUESTS_PRODUCER_ID;
    r.producer_epoch = REQUESTS_PRODUCER_EPOCH;
    r.committed = true;
    REQUEST_ENCODE(end_txn, 4);
}

static inline void request_write_txn_markers(struct writer *writer)
{
    int32_t index = 1;
    struct write_txn_markers_request_topic topic = {
        .name = span_text("events"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct write_txn_markers_request_marker marker = {
        .producer_id = 77, .topics = &topic, .topics_count = 1};
    struct write_txn_markers_request r;
    write_txn_markers_request_init(&r);
    r.markers = &marker;
    r.markers_count = 1;
    REQUEST_ENCODE(write_txn_markers, 1);
}

static inline void request_describe_producers(struct writer *writer)
{
    int32_t index = 0;
    struct describe_producers_request_topic topic = {
        .name = span_text("events"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct describe_producers_request r;
    describe_producers_request_init(&r);
    r.topics = &topic;
    r.topics_count = 1;
    REQUEST_ENCODE(describe_producers, 0);
}

static inline void request_describe_transactions(struct writer *writer)
{
    struct span id = span_text("tx");
    struct describe_transactions_request r;
    describe_transactions_request_init(&r);
    r.transactional_ids = &id;
    r.transactional_ids_count = 1;
    REQUEST_ENCODE(describe_transactions, 0);
}

static inline void request_list_transactions(struct writer *writer)
{
    struct list_transactions_request r;
    list_transactions_request_init(&r);
    r.duration_filter = -1;
    REQUEST_ENCODE(list_transactions, 1);
}

/* A request of an API at a version. */
struct example_request {
    enum api_key api;
    int16_t version;
    void (*encode)(struct writer *writer); /* the body; NULL: write_produce */
};

static const struct example_request example_requests[] = {
    {API_API_VERSIONS, 3, request_api_versions},
    {API_METADATA, 12, request_metadata},
    {API_PRODUCE, 9, NULL},
    {API_FETCH, 12, request_fetch},
    {API_LIST_OFFSETS, 8, request_list_offsets},
    {API_OFFSET_FOR_LEADER_EPOCH, 4, request_offset_for_leader_epoch},
    {API_FIND_COORDINATOR, 4, request_find_coordinator},
    {API_OFFSET_COMMIT, 8, request_offset_commit},
    {API_OFFSET_FETCH, 8, request_offset_fetch},
    {API_JOIN_GROUP, 5, request_join_group},
    {API_SYNC_GROUP, 5, request_sync_group},
    {API_HEARTBEAT, 4, request_heartbeat},
    {API_DESCRIBE_GROUPS, 5, request_describe_groups},
    {API_LIST_GROUPS, 5, request_list_groups},
    {API_LEAVE_GROUP, 5, request_leave_group},
    {API_INIT_PRODUCER_ID, 5, request_init_producer_id},
    {API_ADD_PARTITIONS_TO_TXN, 3, request_add_partitions_to_txn},
    {API_ADD_OFFSETS_TO_TXN, 3, request_add_offsets_to_txn},
    {API_TXN_OFFSET_COMMIT, 3, request_txn_offset_commit},
    {API_DESCRIBE_TRANSACTIONS, 0, request_describe_transactions},
    {API_LIST_TRANSACTIONS, 1, request_list_transactions},
    {API_DESCRIBE_PRODUCERS, 0, request_describe_producers},
    {API_END_TXN, 4, request_end_txn},
    {API_WRITE_TXN_MARKERS, 1, request_write_txn_markers},
    {API_OFFSET_DELETE, 0, request_offset_delete},
    {API_DELETE_GROUPS, 2, request_delete_groups},
    {API_CREATE_TOPICS, 7, request_create_topics},
    {API_CREATE_PARTITIONS, 3, request_create_partitions},
    {API_DELETE_TOPICS, 5, request_delete_topics},
    {API_DESCRIBE_CONFIGS, 4, request_describe_configs},
    {API_ALTER_CONFIGS, 2, request_alter_configs},
    {API_INCREMENTAL_ALTER_CONFIGS, 1, request_incremental_alter_configs},
    {API_DESCRIBE_CLUSTER, 1, request_describe_cluster},
    {API_DESCRIBE_LOG_DIRS, 4, request_describe_log_dirs},
    {API_DESCRIBE_TOPIC_PARTITIONS, 0, request_describe_topic_partitions},
    {API_DELETE_RECORDS, 2, request_delete_records},
};

#define EXAMPLE_COUNT (sizeof example_requests / sizeof example_requests[0])

/* Appends it to fixture->request. */
static inline void write_example(struct server_fixture *fixture,
                                 const struct example_request *example, int32_t correlation)
{
    struct writer writer;
    if (example->encode == NULL) {
        write_produce(fixture, 0, correlation);
        return;
    }
    struct frame_mark mark =
        request_begin(fixture, &writer, (int16_t)example->api, example->version, correlation);
    example->encode(&writer);
    assert_ok(frame_end(&writer, mark));
}

#endif
