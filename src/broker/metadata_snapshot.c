/*
 * metadata_snapshot: keeps the metadata log as long as what it says, not as all that ever happened.
 *
 * A snapshot is one batch of the log: a record which says that all before it is void, then a record
 * for each topic and one for the producer ids.
 *
 *   1. append   all of it in one batch, so that a torn tail loses the whole snapshot or nothing of
 * it
 *   2. flush    as for any change, by whoever flushes
 *   3. move     the log's start goes up to it; segments below are removed in the background
 *
 * A crash before 2 is done leaves the old records, which say the same; one before 3 is done leaves
 * both, and the replay begins anew where it meets the snapshot. The next start or change goes on.
 */
#include "base/check.h"
#include "base/limits.h"
#include "broker/internal_log.h"
#include "broker/metadata_log.h"

/* Adds what was packed, unless that failed with err, and clears it. */
static struct err add_record(struct internal_batch *batch, struct buf *value, struct err err)
{
    if (!err_failed(err))
        err = internal_batch_add(batch, SPAN_NULL, buf_span(value));
    buf_clear(value);
    return err;
}

/* Adds all that exists. value: room for one record. */
static struct err add_all(struct broker *broker, const struct topic_list *list, struct buf *value,
                          struct internal_batch *batch)
{
    struct writer writer;
    const struct metadata_snapshot_begun begun = {.taken_ms = batch->timestamp_ms};
    writer_init(&writer, value, NULL, 0);
    TRY(add_record(
        batch, value,
        metadata_snapshot_begun_pack(&writer, METADATA_SNAPSHOT_BEGUN_VERSION_MAX, &begun)));
    for (size_t i = 0; i < list->count; i++) {
        struct topic *topic = list->topics[i];
        if (topic == broker->metadata)
            continue;
        writer_init(&writer, value, NULL, 0);
        TRY(add_record(batch, value,
                       metadata_log_pack_topic(&writer, topic, topic_recorded_count(topic))));
    }
    const struct metadata_producer_ids_allocated allocated = {.producer_id_next =
                                                                  broker->producer_id_end};
    writer_init(&writer, value, NULL, 0);
    return add_record(batch, value,
                      metadata_producer_ids_allocated_pack(
                          &writer, METADATA_PRODUCER_IDS_ALLOCATED_VERSION_MAX, &allocated));
}

/* Appends a snapshot of all topics. */
static struct err take(struct broker *broker)
{
    struct arena arena;
    struct topic_list list;
    struct internal_batch batch;
    struct buf value;
    arena_init(&arena, INTERNAL_BATCH_SIZE_MAX);
    internal_batch_init(&batch, clock_wall_ms(broker->os->clock));
    buf_init(&value, INTERNAL_BATCH_SIZE_MAX);
    struct err err = broker_peek_topics(broker, &arena, &list);
    if (!err_failed(err)) {
        err = add_all(broker, &list, &value, &batch);
        topic_list_unref(&list);
    }
    int64_t end_offset;
    if (!err_failed(err))
        err = internal_batch_append(&batch, metadata_log_partition(broker), &end_offset, NULL);
    if (!err_failed(err))
        broker->metadata_tail = (struct metadata_tail){
            .record_count = batch.record_count,
            .snapshot_offset = end_offset - batch.record_count,
            .snapshot_end = end_offset,
        };
    buf_deinit(&value);
    internal_batch_deinit(&batch);
    arena_deinit(&arena);
    return err;
}

/* Moves the log's start up to the last snapshot, when that is durable. */
static struct err move_start(struct broker *broker)
{
    struct metadata_tail *tail = &broker->metadata_tail;
    struct partition *partition = metadata_log_partition(broker);
    struct partition_offsets offsets;
    uint64_t ticket; /* nobody waits: until then, the log is longer than it need be */
    partition_read_offsets(partition, &offsets);
    if (offsets.high_watermark < tail->snapshot_end)
        return ERR_NONE;
    TRY(log_delete_records(partition->log, tail->snapshot_offset, &ticket, NULL));
    tail->snapshot_end = 0;
    return ERR_NONE;
}

void metadata_snapshot_step(struct broker *broker)
{
    struct metadata_tail *tail = &broker->metadata_tail;
    int64_t needed = (int64_t)broker->by_id.count;
    struct err err = ERR_NONE;
    if (tail->snapshot_end > 0)
        err = move_start(broker);
    else if (tail->record_count >= METADATA_SNAPSHOT_RECORD_COUNT_MIN &&
             tail->record_count >= 2 * needed)
        err = take(broker);
    if (err_failed(err))
        tail->record_count = 0; /* not with every change that follows */
}

struct err metadata_snapshot_replay(struct broker *broker, int64_t offset)
{
    struct arena arena;
    struct topic_list list;
    arena_init(&arena, INTERNAL_BATCH_SIZE_MAX);
    struct err err = broker_peek_topics(broker, &arena, &list);
    if (!err_failed(err)) {
        for (size_t i = 0; i < list.count; i++) {
            if (list.topics[i] != broker->metadata)
                topic_unref(broker_take_topic(broker, list.topics[i]->id));
        }
        topic_list_unref(&list);
    }
    arena_deinit(&arena);
    broker->producer_id_next = 0;
    broker->producer_id_end = 0;
    broker->metadata_tail = (struct metadata_tail){
        .record_count = 1, .snapshot_offset = offset, .snapshot_end = offset + 1};
    return err;
}
