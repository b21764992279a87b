/* handlers: one per API; see the file of the same name. Each runs on the request's reactor. */
#ifndef HEADRACE_API_HANDLERS_H
#define HEADRACE_API_HANDLERS_H

#include "api/api.h"

MUST_USE struct err api_versions_handle(struct request *request, struct api *api);
MUST_USE struct err fetch_handle(struct request *request, struct api *api);
MUST_USE struct err find_coordinator_handle(struct request *request, struct api *api);
MUST_USE struct err delete_topics_handle(struct request *request, struct api *api);
MUST_USE struct err offset_commit_handle(struct request *request, struct api *api);
MUST_USE struct err offset_fetch_handle(struct request *request, struct api *api);
MUST_USE struct err produce_handle(struct request *request, struct api *api);
MUST_USE struct err init_producer_id_handle(struct request *request, struct api *api);
MUST_USE struct err add_partitions_to_txn_handle(struct request *request, struct api *api);
MUST_USE struct err end_txn_handle(struct request *request, struct api *api);
MUST_USE struct err txn_offset_commit_handle(struct request *request, struct api *api);
MUST_USE struct err write_txn_markers_handle(struct request *request, struct api *api);

MUST_USE struct err metadata_handle(struct request *request, struct broker *broker);
MUST_USE struct err list_offsets_handle(struct request *request, struct broker *broker);
MUST_USE struct err create_topics_handle(struct request *request, struct broker *broker);
MUST_USE struct err create_partitions_handle(struct request *request, struct broker *broker);
MUST_USE struct err delete_records_handle(struct request *request, struct broker *broker);
MUST_USE struct err describe_configs_handle(struct request *request, struct broker *broker);
MUST_USE struct err alter_configs_handle(struct request *request, struct broker *broker);
MUST_USE struct err incremental_alter_configs_handle(struct request *request,
                                                     struct broker *broker);
MUST_USE struct err describe_cluster_handle(struct request *request, struct broker *broker);
MUST_USE struct err describe_topic_partitions_handle(struct request *request,
                                                     struct broker *broker);
MUST_USE struct err describe_log_dirs_handle(struct request *request, struct broker *broker);
MUST_USE struct err offset_for_leader_epoch_handle(struct request *request, struct broker *broker);
MUST_USE struct err describe_producers_handle(struct request *request, struct broker *broker);

MUST_USE struct err join_group_handle(struct request *request, struct coord *coord);
MUST_USE struct err sync_group_handle(struct request *request, struct coord *coord);
MUST_USE struct err heartbeat_handle(struct request *request, struct coord *coord);
MUST_USE struct err leave_group_handle(struct request *request, struct coord *coord);
MUST_USE struct err offset_delete_handle(struct request *request, struct coord *coord);
MUST_USE struct err describe_groups_handle(struct request *request, struct coord *coord);
MUST_USE struct err list_groups_handle(struct request *request, struct coord *coord);
MUST_USE struct err delete_groups_handle(struct request *request, struct coord *coord);
MUST_USE struct err add_offsets_to_txn_handle(struct request *request, struct coord *coord);
MUST_USE struct err describe_transactions_handle(struct request *request, struct coord *coord);
MUST_USE struct err list_transactions_handle(struct request *request, struct coord *coord);

#endif
