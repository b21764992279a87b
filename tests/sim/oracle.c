/* oracle: what a recovered broker is held to; sim.h numbers it. */
#include "sim/sim.h"

#include "record/walk.h"

/* 5. */
static void look_at(struct sim_partition *model, struct partition *partition)
{
    struct partition_offsets offsets;
    partition_read_offsets(partition, &offsets);
    assert_true(offsets.high_watermark >= model->shown);
    assert_true(offsets.start >= model->start_shown);
    assert_true(offsets.start <= offsets.high_watermark && offsets.high_watermark <= offsets.end);
    model->shown = offsets.high_watermark;
    model->start_shown = offsets.start;
}

void sim_look(struct sim *sim)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        struct sim_slot *slot = &sim->slots[i];
        struct topic *topic = broker_find_topic(sim->fixture.broker, span_text(slot->name));
        if (topic == NULL)
            continue;
        slot->is_answered = true; /* shown is as good as answered */
        int32_t count = topic_partition_count(topic);
        if (count > slot->partitions_answered)
            slot->partitions_answered = count;
        for (int32_t j = 0; j < count; j++)
            look_at(&slot->partitions[j], topic_partition(topic, j));
        topic_unref(topic);
    }
}

/* One batch as it lies in the log; returns the offset behind it. */
static int64_t check_batch(const struct sim_partition *model, struct span batch, int64_t offset)
{
    struct batch_walk walk;
    struct record record;
    bool is_end = false;
    assert_ok(batch_walk_begin(&walk, batch, NULL));
    while (!is_end) {
        assert_ok(batch_walk_next(&walk, &record, &is_end));
        if (is_end || record.offset < offset)
            continue;
        assert_int_equal(record.offset, offset);
        struct sim_value value;
        assert_true(record.value.size >= sizeof value);
        memcpy(&value, record.value.data, sizeof value);
        assert_int_equal(value.producer, model->records[offset].producer);
        assert_int_equal(value.sequence, model->records[offset].sequence);
        offset++;
    }
    return offset;
}

/* 3. */
static void check_records(const struct sim_partition *model, struct partition *partition,
                          int64_t start, int64_t end)
{
    static uint8_t bytes[256 * 1024];
    int64_t offset = start;
    while (offset < end) {
        const struct log_read read = {
            .offset = offset, .offset_below = end, .size_max = 65536, .is_one_needed = true};
        struct log_slice slice;
        assert_ok(log_read(partition->log, &read, &slice, NULL));
        assert_true(slice.size > 0 && slice.size <= sizeof bytes);
        assert_ok(slice_read(&slice, 0, bytes, slice.size));
        for (size_t at = 0; at < slice.size;) {
            struct batch_header header;
            struct span batch = span_make(bytes + at, slice.size - at);
            assert_int_equal(batch_check_stored(batch, &header), BATCH_FINE);
            offset = check_batch(model, span_make(batch.data, header.size), offset);
            at += header.size;
        }
        slice_unref(&slice);
    }
}

/* 2. */
static void check_partition(struct sim_partition *model, struct partition *partition)
{
    struct diag diag = {""};
    if (log_damage(partition->log, &diag))
        fail_msg("%s", diag.text);
    struct partition_offsets offsets;
    partition_read_offsets(partition, &offsets);
    assert_int_equal(offsets.high_watermark, offsets.end);
    assert_true(offsets.end >= model->acknowledged);
    assert_true(offsets.end >= model->shown);
    assert_true(offsets.end <= model->end);
    assert_true(offsets.start >= model->start_answered);
    assert_true(offsets.start <= offsets.end);
    check_records(model, partition, offsets.start, offsets.end);
    model->end = model->shown = offsets.end;
    model->start_shown = offsets.start;
}

/* A partition, or a topic, that nobody was told of is gone. */
static void check_nothing_lost(const struct sim_partition *model)
{
    assert_int_equal(model->acknowledged, 0);
    assert_int_equal(model->shown, 0);
    assert_int_equal(model->start_answered, 0);
}

static void forget_slot(struct sim_slot *slot)
{
    struct sim_slot empty = {.name = ""};
    memcpy(empty.name, slot->name, sizeof empty.name);
    *slot = empty;
}

static void check_found(struct sim_slot *slot, struct topic *topic)
{
    assert_true(slot->is_asked && !slot->is_deletion_answered);
    assert_true(uuid_equal(topic->id, slot->id));
    int32_t count = topic_partition_count(topic);
    assert_true(count >= slot->partitions_answered && count <= slot->partitions_asked);
    int64_t first = topic->settings.log.retention_ms - slot->config_answered;
    int64_t last = topic->settings.log.retention_ms - slot->config_asked;
    assert_true(first >= SIM_RETENTION_MS && last <= SIM_RETENTION_MS);
    for (int32_t i = 0; i < count; i++)
        check_partition(&slot->partitions[i], topic_partition(topic, i));
    for (int32_t i = count; i < PARTITION_COUNT_MAX; i++) {
        check_nothing_lost(&slot->partitions[i]);
        slot->partitions[i] = (struct sim_partition){0};
    }
    slot->is_answered = true;
    slot->is_deletion_asked = false;
    slot->partitions_asked = slot->partitions_answered = count;
    slot->config_asked = slot->config_answered =
        topic->settings.log.retention_ms - SIM_RETENTION_MS;
}

/* 1. */
static void check_slot(struct sim *sim, struct sim_slot *slot)
{
    struct topic *topic = broker_find_topic(sim->fixture.broker, span_text(slot->name));
    if (topic != NULL) {
        check_found(slot, topic);
        topic_unref(topic);
        return;
    }
    assert_true(!slot->is_answered || slot->is_deletion_asked);
    for (int32_t i = 0; i < PARTITION_COUNT_MAX && !slot->is_deletion_asked; i++)
        check_nothing_lost(&slot->partitions[i]);
    forget_slot(slot);
}

void sim_check(struct sim *sim)
{
    uint32_t log_count = 1; /* the metadata log's */
    for (int i = 0; i < SLOT_COUNT; i++) {
        check_slot(sim, &sim->slots[i]);
        log_count += (uint32_t)sim->slots[i].partitions_asked;
    }
    struct store_stats stats; /* 6. */
    store_read_stats(sim->fixture.base.store, &stats);
    assert_int_equal(stats.log_count, log_count);
    int64_t id;
    int64_t commit;
    assert_ok(admin_allocate_producer_id(sim->fixture.broker, &id, &commit, NULL));
    for (int i = 0; i < PRODUCER_COUNT; i++)
        assert_true(id > sim->producer_ids[i]);
}

/* 4. A batch that is lost is stored anew, at the end. */
static void resend_batch(struct sim *sim, struct sim_partition *model, struct partition *partition,
                         uint32_t producer, struct sim_batch *batch)
{
    struct append_result result;
    bool has_survived = batch->base_offset + batch->count <= partition->high_watermark;
    sim_append(sim, partition, producer, batch, &result);
    assert_int_equal(result.verdict, has_survived ? APPEND_DUPLICATE : APPEND_DONE);
    assert_int_equal(result.base_offset, has_survived ? batch->base_offset : model->end);
    batch->base_offset = result.base_offset;
    for (int32_t i = 0; i < batch->count && !has_survived; i++)
        model->records[model->end++] =
            (struct sim_value){.producer = producer, .sequence = batch->sequence + i};
}

void sim_resend(struct sim *sim)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        struct sim_slot *slot = &sim->slots[i];
        struct topic *topic = broker_find_topic(sim->fixture.broker, span_text(slot->name));
        if (topic == NULL)
            continue;
        for (int32_t j = 0; j < topic_partition_count(topic); j++) {
            struct sim_partition *model = &slot->partitions[j];
            for (uint32_t k = 0; k < PRODUCER_COUNT; k++) {
                struct sim_producer *producer = &model->producers[k];
                for (uint32_t n = 0; n < producer->in_flight_count; n++)
                    resend_batch(sim, model, topic_partition(topic, j), k, &producer->in_flight[n]);
                producer->in_flight_count = 0;
            }
        }
        topic_unref(topic);
    }
    sim_settle(sim);
}
