/* dispatch: the table. An API that is not in it is not advertised. */
#include "api/dispatch.h"

#include "api/handlers.h"
#include "base/check.h"

struct row {
    struct err (*on_broker)(struct request *request, struct broker *broker);
    struct err (*on_coord)(struct request *request, struct coord *coord);
    struct err (*on_api)(struct request *request, struct api *api);
};

static const struct row rows[API_KEY_MAX + 1] = {
    [API_PRODUCE] = {.on_api = produce_handle},
    [API_FETCH] = {.on_api = fetch_handle},
    [API_LIST_OFFSETS] = {.on_broker = list_offsets_handle},
    [API_METADATA] = {.on_broker = metadata_handle},
    [API_OFFSET_COMMIT] = {.on_api = offset_commit_handle},
    [API_OFFSET_FETCH] = {.on_api = offset_fetch_handle},
    [API_FIND_COORDINATOR] = {.on_api = find_coordinator_handle},
    [API_JOIN_GROUP] = {.on_coord = join_group_handle},
    [API_HEARTBEAT] = {.on_coord = heartbeat_handle},
    [API_LEAVE_GROUP] = {.on_coord = leave_group_handle},
    [API_SYNC_GROUP] = {.on_coord = sync_group_handle},
    [API_DESCRIBE_GROUPS] = {.on_coord = describe_groups_handle},
    [API_LIST_GROUPS] = {.on_coord = list_groups_handle},
    [API_API_VERSIONS] = {.on_api = api_versions_handle},
    [API_CREATE_TOPICS] = {.on_broker = create_topics_handle},
    [API_DELETE_TOPICS] = {.on_api = delete_topics_handle},
    [API_DELETE_RECORDS] = {.on_broker = delete_records_handle},
    [API_INIT_PRODUCER_ID] = {.on_api = init_producer_id_handle},
    [API_ADD_PARTITIONS_TO_TXN] = {.on_api = add_partitions_to_txn_handle},
    [API_ADD_OFFSETS_TO_TXN] = {.on_coord = add_offsets_to_txn_handle},
    [API_END_TXN] = {.on_api = end_txn_handle},
    [API_WRITE_TXN_MARKERS] = {.on_api = write_txn_markers_handle},
    [API_TXN_OFFSET_COMMIT] = {.on_api = txn_offset_commit_handle},
    [API_OFFSET_FOR_LEADER_EPOCH] = {.on_broker = offset_for_leader_epoch_handle},
    [API_DESCRIBE_CONFIGS] = {.on_broker = describe_configs_handle},
    [API_ALTER_CONFIGS] = {.on_broker = alter_configs_handle},
    [API_DESCRIBE_LOG_DIRS] = {.on_broker = describe_log_dirs_handle},
    [API_CREATE_PARTITIONS] = {.on_broker = create_partitions_handle},
    [API_DELETE_GROUPS] = {.on_coord = delete_groups_handle},
    [API_INCREMENTAL_ALTER_CONFIGS] = {.on_broker = incremental_alter_configs_handle},
    [API_OFFSET_DELETE] = {.on_coord = offset_delete_handle},
    [API_DESCRIBE_CLUSTER] = {.on_broker = describe_cluster_handle},
    [API_DESCRIBE_PRODUCERS] = {.on_broker = describe_producers_handle},
    [API_DESCRIBE_TRANSACTIONS] = {.on_coord = describe_transactions_handle},
    [API_LIST_TRANSACTIONS] = {.on_coord = list_transactions_handle},
    [API_DESCRIBE_TOPIC_PARTITIONS] = {.on_broker = describe_topic_partitions_handle},
};

static bool row_is_served(const struct row *row)
{
    return row->on_broker != NULL || row->on_coord != NULL || row->on_api != NULL;
}

bool dispatch_versions(int16_t api_key, int16_t *version_min, int16_t *version_max)
{
    const struct api_info *info = api_find(api_key);
    if (info == NULL || !row_is_served(&rows[api_key]))
        return false;
    *version_min = info->version_min;
    *version_max = (int16_t)(info->version_max - (info->unstable ? 1 : 0));
    return true;
}

struct err dispatch_request(struct api *api, struct request *request)
{
    int16_t version_min;
    int16_t version_max;
    int16_t key = request->api->key;
    if (!dispatch_versions(key, &version_min, &version_max))
        return err_make(ERR_UNSUPPORTED);
    bool is_served = request->version >= version_min && request->version <= version_max;
    if (!is_served && key != API_API_VERSIONS)
        return err_make(ERR_UNSUPPORTED);
    const struct row *row = &rows[key];
    if (row->on_broker != NULL)
        return row->on_broker(request, api->broker);
    if (row->on_coord != NULL)
        return row->on_coord(request, api->coord);
    CHECK(row->on_api != NULL);
    return row->on_api(request, api);
}
