/* sim: life and death of the broker, and what its clients do. */
#include "sim/sim.h"

#include "base/list.h"

/* Actions until a partition's model is full, with room for what is sent again. */
#define APPEND_END_MAX (RECORD_COUNT_MAX - 64)

#define SEGMENT_MS "20000"

/* A step of the clock after which segments roll and checkpoints are due. */
#define CLOCK_STEP_MS 61000

uint32_t sim_draw(struct sim *sim, uint32_t below)
{
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 7;
    sim->random ^= sim->random << 17;
    return (uint32_t)((sim->random >> 33) % below);
}

/* The power is out, or a sync has failed: nothing more is promised. */
static bool is_over(const struct sim *sim)
{
    return mem_disk_is_off(sim->fixture.base.disk) || store_is_offline(sim->fixture.base.store);
}

/* While the disk syncs, other threads go on. */
static void on_sync(void *context)
{
    struct sim *sim = context;
    if (sim->is_nested || sim->fixture.broker == NULL || is_over(sim))
        return;
    sim->is_nested = true;
    if (sim_draw(sim, 3) == 0)
        sim_act(sim);
    sim->is_nested = false;
}

struct sim *sim_create(uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof *sim);
    assert_non_null(sim);
    sim->random = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < SLOT_COUNT; i++)
        (void)snprintf(sim->slots[i].name, sizeof sim->slots[i].name, "topic-%d", i);
    broker_fixture_init(&sim->fixture, seed);
    broker_fixture_open(&sim->fixture);
    for (int i = 0; i < PRODUCER_COUNT; i++) {
        int64_t commit;
        assert_ok(
            admin_allocate_producer_id(sim->fixture.broker, &sim->producer_ids[i], &commit, NULL));
    }
    fixture_flush(&sim->fixture.base);
    mem_disk_on_sync(sim->fixture.base.disk, on_sync, sim);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    mem_disk_on_sync(sim->fixture.base.disk, NULL, NULL);
    broker_fixture_close(&sim->fixture);
    broker_fixture_deinit(&sim->fixture);
    free(sim);
}

/* ---- answers ---- */

static void raise_to(int64_t *number, int64_t value)
{
    *number = value > *number ? value : *number;
}

/* Batches wholly below what is acknowledged are not sent again. */
static void acknowledge(struct sim_partition *partition, int64_t offset)
{
    raise_to(&partition->acknowledged, offset);
    for (int i = 0; i < PRODUCER_COUNT; i++) {
        struct sim_producer *producer = &partition->producers[i];
        uint32_t done = 0;
        while (done < producer->in_flight_count &&
               producer->in_flight[done].base_offset + producer->in_flight[done].count <= offset)
            done++;
        producer->in_flight_count -= done;
        memmove(producer->in_flight, producer->in_flight + done,
                producer->in_flight_count * sizeof producer->in_flight[0]);
    }
}

static void answer(struct sim_promise *promise, struct err err)
{
    struct sim_slot *slot = promise->slot;
    struct sim_partition *partition = &slot->partitions[promise->partition];
    if (err_failed(err) || !uuid_equal(slot->id, promise->id))
        return;
    switch (promise->kind) {
    case SIM_CREATION:
        slot->is_answered = true;
        break;
    case SIM_PARTITIONS:
        slot->partitions_answered = (int32_t)promise->value;
        break;
    case SIM_CONFIG:
        raise_to(&slot->config_answered, promise->value);
        break;
    case SIM_RECORDS:
        acknowledge(partition, promise->value);
        break;
    case SIM_START:
        raise_to(&partition->start_answered, promise->value);
        break;
    case SIM_DELETION:
        slot->is_deletion_answered = true;
        break;
    }
}

static void waiter_done(struct partition_waiter *waiter, struct err err)
{
    answer(LIST_ENTRY(waiter, struct sim_promise, waiter), err);
}

static void ticket_done(struct ticket_waiter *waiter, struct err err)
{
    answer(LIST_ENTRY(waiter, struct sim_promise, ticket), err);
}

static void observer_done(struct deletion_observer *observer, struct err err)
{
    answer(LIST_ENTRY(observer, struct sim_promise, observer), err);
}

static struct sim_promise *promise(struct sim *sim, enum sim_promise_kind kind,
                                   struct sim_slot *slot, int64_t value)
{
    assert_true(sim->promise_count < PROMISE_COUNT_MAX);
    struct sim_promise *made = &sim->promises[sim->promise_count++];
    *made = (struct sim_promise){.waiter = {.done = waiter_done},
                                 .ticket = {.done = ticket_done},
                                 .observer = {.done = observer_done},
                                 .sim = sim,
                                 .kind = kind,
                                 .slot = slot,
                                 .id = slot->id,
                                 .value = value};
    return made;
}

static void wait_for_change(struct sim *sim, struct sim_promise *made, int64_t commit)
{
    struct err err;
    if (admin_wait(sim->fixture.broker, commit, &made->waiter, &err))
        waiter_done(&made->waiter, err);
}

/* ---- requests ---- */

static void set_config(struct topic_overrides *overrides, const char *name, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    assert_ok(topic_overrides_set(overrides, span_text(name), span_text(text), NULL));
}

static void fill_overrides(struct topic_overrides *overrides, int64_t config)
{
    topic_overrides_init(overrides);
    assert_ok(topic_overrides_set(overrides, span_text("segment.ms"), span_text(SEGMENT_MS), NULL));
    set_config(overrides, "retention.ms", SIM_RETENTION_MS + config);
    /* No two records have one key: compaction writes segments anew and removes nothing. */
    assert_ok(topic_overrides_set(overrides, span_text("cleanup.policy"),
                                  span_text("compact,delete"), NULL));
    assert_ok(topic_overrides_set(overrides, span_text("min.cleanable.dirty.ratio"), span_text("0"),
                                  NULL));
}

static void create_topic(struct sim *sim, struct sim_slot *slot)
{
    struct topic_overrides overrides;
    fill_overrides(&overrides, 0);
    int32_t count = 1 + (int32_t)sim_draw(sim, 2);
    struct admin_create create = {
        .name = span_text(slot->name), .partition_count = count, .overrides = &overrides};
    struct topic *topic;
    int64_t commit;
    if (err_failed(admin_create_topic(sim->fixture.broker, &create, &topic, &commit, NULL)))
        return; /* its name is not free yet, or the power is out */
    char name[sizeof slot->name];
    memcpy(name, slot->name, sizeof name);
    *slot = (struct sim_slot){
        .is_asked = true, .id = topic->id, .partitions_asked = count, .partitions_answered = count};
    memcpy(slot->name, name, sizeof name);
    wait_for_change(sim, promise(sim, SIM_CREATION, slot, 0), commit);
    topic_unref(topic);
}

void sim_append(struct sim *sim, struct partition *partition, uint32_t producer,
                const struct sim_batch *batch, struct append_result *result)
{
    uint8_t bytes[700] = {0};
    struct buf buf;
    struct span span;
    struct batch_header header;
    struct batch_builder builder;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = sim->producer_ids[producer];
    options.producer_epoch = 0;
    options.base_sequence = batch->sequence;
    buf_init(&buf, 1 << 20);
    batch_build_begin(&builder, &options, &buf);
    for (int32_t i = 0; i < batch->count; i++) {
        struct sim_value value = {.producer = producer, .sequence = batch->sequence + i};
        memcpy(bytes, &value, sizeof value);
        const struct record record = {
            .timestamp = sim->fixture.base.time.now_ms,
            .key = span_make(&value, sizeof value),
            .value = span_make(bytes, sizeof value + (size_t)(batch->sequence * 53 % 600))};
        assert_ok(batch_build_add(&builder, &record));
    }
    assert_ok(batch_build_end(&builder, &span, &header));
    partition_append(partition, buf.data + (span.data - buf.data), &header, NULL, result, NULL);
    buf_deinit(&buf);
}

static void produce(struct sim *sim, struct sim_slot *slot, struct topic *topic)
{
    int32_t index = (int32_t)sim_draw(sim, (uint32_t)topic_partition_count(topic));
    struct partition *partition = topic_partition(topic, index);
    struct sim_partition *model = &slot->partitions[index];
    uint32_t place = sim_draw(sim, PRODUCER_COUNT);
    struct sim_producer *producer = &model->producers[place];
    struct sim_batch batch = {.sequence = producer->sequence_next,
                              .count = 1 + (int32_t)sim_draw(sim, 4)};
    if (producer->in_flight_count == IN_FLIGHT_COUNT_MAX || model->end > APPEND_END_MAX)
        return;
    struct append_result result;
    sim_append(sim, partition, place, &batch, &result);
    if (result.verdict != APPEND_DONE) {
        assert_int_equal(result.verdict, APPEND_FAILED);
        assert_true(is_over(sim) || mem_disk_has_failed(sim->fixture.base.disk));
        return;
    }
    assert_int_equal(result.base_offset, model->end);
    batch.base_offset = result.base_offset;
    producer->sequence_next += batch.count;
    producer->in_flight[producer->in_flight_count++] = batch;
    for (int32_t i = 0; i < batch.count; i++)
        model->records[model->end++] =
            (struct sim_value){.producer = place, .sequence = batch.sequence + i};
    struct sim_promise *made = promise(sim, SIM_RECORDS, slot, result.end_offset);
    made->partition = index;
    made->waiter.offset = result.end_offset;
    struct err err;
    if (partition_wait(partition, &made->waiter, &err))
        waiter_done(&made->waiter, err);
}

static void delete_records(struct sim *sim, struct sim_slot *slot, struct topic *topic)
{
    int32_t index = (int32_t)sim_draw(sim, (uint32_t)topic_partition_count(topic));
    struct partition *partition = topic_partition(topic, index);
    struct partition_offsets offsets;
    partition_read_offsets(partition, &offsets);
    int64_t offset = offsets.start + (int64_t)sim_draw(sim, 4);
    struct sim_promise *made = promise(sim, SIM_START, slot, offset);
    made->partition = index;
    if (offset > offsets.high_watermark ||
        err_failed(log_delete_records(partition->log, offset, &made->ticket.ticket, NULL)))
        return;
    struct err err;
    if (broker_wait_ticket(sim->fixture.broker, &made->ticket, &err))
        ticket_done(&made->ticket, err);
}

static void add_partition(struct sim *sim, struct sim_slot *slot, struct topic *topic)
{
    int32_t count = slot->partitions_asked + 1;
    int64_t commit;
    if (count > PARTITION_COUNT_MAX ||
        err_failed(admin_add_partitions(sim->fixture.broker, topic, count, &commit, NULL)))
        return;
    slot->partitions_asked = count;
    wait_for_change(sim, promise(sim, SIM_PARTITIONS, slot, count), commit);
}

static void change_config(struct sim *sim, struct sim_slot *slot, struct topic *topic)
{
    struct topic_overrides overrides;
    int64_t commit;
    fill_overrides(&overrides, slot->config_asked + 1);
    if (err_failed(broker_fixture_configure(sim->fixture.broker, topic, &overrides, &commit)))
        return;
    slot->config_asked++;
    wait_for_change(sim, promise(sim, SIM_CONFIG, slot, slot->config_asked), commit);
}

static void delete_topic(struct sim *sim, struct sim_slot *slot, struct topic *topic)
{
    struct sim_promise *made = promise(sim, SIM_DELETION, slot, 0);
    slot->is_deletion_asked = true;
    if (err_failed(admin_delete_topic(sim->fixture.broker, topic, &made->observer, NULL)))
        slot->is_deletion_asked = false;
}

/* A client asks for something. */
static void request(struct sim *sim)
{
    struct sim_slot *slot = &sim->slots[sim_draw(sim, SLOT_COUNT)];
    if (!slot->is_asked || slot->is_deletion_answered) {
        create_topic(sim, slot);
        return;
    }
    struct topic *topic = broker_find_topic(sim->fixture.broker, span_text(slot->name));
    if (topic == NULL)
        return;
    switch (sim_draw(sim, 20)) {
    case 0:
        delete_topic(sim, slot, topic);
        break;
    case 1:
        add_partition(sim, slot, topic);
        break;
    case 2:
        change_config(sim, slot, topic);
        break;
    case 3:
    case 4:
        delete_records(sim, slot, topic);
        break;
    default:
        produce(sim, slot, topic);
    }
    topic_unref(topic);
}

/* ---- the server's threads ---- */

static void flush(struct sim *sim)
{
    struct store_flush_result result;
    (void)!err_failed(store_flush_step(sim->fixture.base.store, &result, NULL));
}

static void work(struct sim *sim)
{
    struct store_background_result result;
    int64_t now_ms = sim->fixture.base.time.now_ms;
    (void)!err_failed(
        store_background_step(sim->fixture.base.store, now_ms, 1 << 30, &result, NULL));
    broker_background_step(sim->fixture.broker, now_ms);
}

void sim_act(struct sim *sim)
{
    if (is_over(sim))
        return;
    switch (sim_draw(sim, 8)) {
    case 0:
        flush(sim);
        break;
    case 1:
        if (!sim->is_nested) { /* there is one background thread */
            sim->fixture.base.time.now_ms += sim_draw(sim, 3) == 0 ? CLOCK_STEP_MS : 1000;
            work(sim);
        } else {
            flush(sim);
        }
        break;
    default:
        request(sim);
    }
    if (!is_over(sim))
        sim_look(sim);
}

void sim_settle(struct sim *sim)
{
    struct store_flush_result result = {.is_more = true};
    while (result.is_more)
        assert_ok(store_flush_step(sim->fixture.base.store, &result, &sim->fixture.base.diag));
    sim_look(sim);
}

void sim_crash(struct sim *sim)
{
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_ALL, MEM_DISK_LOSE_SOME,
                                                MEM_DISK_GARBLE, MEM_DISK_LOSE_NONE};
    struct mem_disk *disk = sim->fixture.base.disk;
    assert_ok(broker_close(sim->fixture.broker, false, NULL));
    sim->fixture.broker = NULL;
    sim->promise_count = 0;
    mem_disk_crash(disk, losses[sim_draw(sim, 4)]);
    if (sim_draw(sim, 3) == 0) {
        mem_disk_power_off(disk, 1 + sim_draw(sim, 12));
        if (broker_fixture_try_open(&sim->fixture))
            assert_ok(broker_close(sim->fixture.broker, false, NULL));
        sim->fixture.broker = NULL;
        mem_disk_crash(disk, losses[sim_draw(sim, 4)]);
    }
    broker_fixture_open(&sim->fixture);
}

void sim_restart(struct sim *sim)
{
    struct broker *broker = sim->fixture.broker;
    sim->fixture.broker = NULL;
    assert_ok(broker_close(broker, true, &sim->fixture.base.diag));
    sim->promise_count = 0;
    broker_fixture_open(&sim->fixture);
}
