/*
 * metadata_log: the internal topic that says which topics exist (protocol/records/metadata.msg).
 *
 * Appending is for admin.c, under the broker's admin_lock; replay happens once, in broker_create.
 */
#ifndef HEADRACE_BROKER_METADATA_LOG_H
#define HEADRACE_BROKER_METADATA_LOG_H

#include "broker/broker.h"
#include "wire/records/metadata.h"

/* Opens the topic of the metadata log and puts it into the table. Errors: topic_grow's. */
MUST_USE struct err metadata_log_open(struct broker *broker, struct diag *diag);

/* Replays it: makes, changes and deletes topics, and opens the partitions of those that remain. */
MUST_USE struct err metadata_log_replay(struct broker *broker, struct diag *diag);

/* The partition whose durability makes changes durable. */
struct partition *metadata_log_partition(struct broker *broker);

/* Packs the record of a topic with so many partitions. */
MUST_USE struct err metadata_log_pack_topic(struct writer *writer, struct topic *topic,
                                            int32_t partition_count);

/* Each records one change. *commit: the offset to wait for. Errors: partition_append's. */
MUST_USE struct err metadata_log_created(struct broker *broker, struct topic *topic,
                                         int32_t partition_count, int64_t *commit,
                                         struct diag *diag);
MUST_USE struct err metadata_log_deleted(struct broker *broker, const struct topic *topic,
                                         int64_t *commit, struct diag *diag);
MUST_USE struct err metadata_log_raised(struct broker *broker, const struct topic *topic,
                                        int32_t partition_count, int64_t *commit,
                                        struct diag *diag);
MUST_USE struct err metadata_log_configured(struct broker *broker, const struct topic *topic,
                                            const struct topic_overrides *overrides,
                                            int64_t *commit, struct diag *diag);
MUST_USE struct err metadata_log_producer_ids(struct broker *broker, int64_t producer_id_next,
                                              int64_t *commit, struct diag *diag);

/* metadata_snapshot.c */
/*
 * Writes a snapshot when the log has become much longer than what it says, or moves the log's start
 * up to the last one when that is durable. Under admin_lock, while the table is what the log says.
 * What fails here is tried again later; nothing is lost by it.
 */
void metadata_snapshot_step(struct broker *broker);

/* Replays the beginning of a snapshot: nothing exists that was recorded before. */
MUST_USE struct err metadata_snapshot_replay(struct broker *broker, int64_t offset);

#endif
