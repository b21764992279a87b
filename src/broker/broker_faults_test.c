/*
 * broker_faults: an allocation, or a call to the disk, fails somewhere in a broker's life, in its
 * start or in its end. Each change is there as a whole or not at all, also after the power went
 * out; what was refused can be done again; nothing is leaked.
 */
#include "support/broker_fixture.h"

/* Syncs are left out: one that fails is final (W7), and tested there. */
#define DISK_CALLS ((unsigned)MEM_DISK_ALL & ~(unsigned)MEM_DISK_SYNC)

#define PARTITION_COUNT 2
#define PARTITION_COUNT_RAISED 4
#define PRODUCER_ID 7

enum fault { FAULT_MEMORY, FAULT_DISK };

/* A broker, and what it has said that there is. */
struct life {
    struct broker_fixture fixture;
    enum fault fault;
    bool has_events;
    bool is_raised;     /* events has more partitions */
    bool is_configured; /* and a config of its own */
    bool has_other;
    int64_t end;                 /* of the first partition of events */
    int32_t sequences[2];        /* of the producer, and of the one in transactions */
    int16_t transactional_epoch; /* each end raises it */
    int64_t producer_id;         /* the last that was given out; -1: none */
};

static void arm(struct life *life, uint32_t count)
{
    if (life->fault == FAULT_MEMORY)
        fail_alloc_arm(count);
    else
        mem_disk_fail(life->fixture.base.disk, DISK_CALLS, count);
}

static bool disarm(struct life *life)
{
    if (life->fault == FAULT_MEMORY)
        return fail_alloc_disarm();
    bool has_failed = mem_disk_has_failed(life->fixture.base.disk);
    mem_disk_fail(life->fixture.base.disk, DISK_CALLS, 0);
    return has_failed;
}

/* Whether it was done; if not, the fault must be what is told. */
static bool is_done(const struct life *life, struct err err)
{
    if (!err_failed(err))
        return true;
    bool is_told = life->fault == FAULT_MEMORY ? err_is(err, ERR_NO_MEMORY)
                                               : err_is(err, ERR_IO) || err_is(err, ERR_NO_SPACE);
    if (!is_told)
        fail_msg("the fault is told as: %s", err_text(err));
    return false;
}

static bool create(struct life *life, const char *name)
{
    struct topic_overrides overrides;
    topic_overrides_init(&overrides);
    struct admin_create create = {
        .name = span_text(name), .partition_count = PARTITION_COUNT, .overrides = &overrides};
    struct topic *topic = NULL;
    int64_t commit;
    struct err err = admin_create_topic(life->fixture.broker, &create, &topic, &commit, NULL);
    if (!is_done(life, err))
        return false;
    topic_unref(topic);
    return true;
}

static bool grow(struct life *life, struct topic *topic)
{
    int64_t commit;
    return is_done(life, admin_add_partitions(life->fixture.broker, topic, PARTITION_COUNT_RAISED,
                                              &commit, NULL));
}

static bool configure(struct life *life, struct topic *topic)
{
    struct topic_overrides overrides;
    topic_overrides_init(&overrides);
    fail_alloc_pause();
    assert_ok(topic_overrides_set(&overrides, span_text("retention.ms"), span_text("12345"), NULL));
    fail_alloc_resume();
    int64_t commit;
    return is_done(life,
                   broker_fixture_configure(life->fixture.broker, topic, &overrides, &commit));
}

static bool drop(struct life *life, const char *name)
{
    struct topic *topic = broker_peek_topic(life->fixture.broker, span_text(name));
    if (topic == NULL)
        return false;
    struct err err = admin_delete_topic(life->fixture.broker, topic, NULL, NULL);
    topic_unref(topic);
    return is_done(life, err);
}

/* One record of an idempotent producer, in a transaction where wanted. */
static void append(struct life *life, struct topic *topic, bool is_transactional)
{
    struct partition *partition = topic_partition(topic, 0);
    struct buf buf;
    struct batch_builder builder;
    struct batch_header header;
    struct span batch;
    struct append_guard guard = {.is_version_2 = true};
    struct append_result result;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = PRODUCER_ID + is_transactional;
    options.producer_epoch = is_transactional ? life->transactional_epoch : 0;
    options.base_sequence = life->sequences[is_transactional];
    options.is_transactional = is_transactional;
    const struct record record = {.timestamp = 1700000000000, .value = span_text("value")};
    fail_alloc_pause();
    buf_init(&buf, 1 << 20);
    batch_build_begin(&builder, &options, &buf);
    assert_ok(batch_build_add(&builder, &record));
    assert_ok(batch_build_end(&builder, &batch, &header));
    fail_alloc_resume();
    if (is_transactional)
        partition_guard(partition, &header, &guard);
    partition_append(partition, span_writable(batch), &header, is_transactional ? &guard : NULL,
                     &result, NULL);
    buf_deinit(&buf);
    assert_true(result.verdict == APPEND_DONE || result.verdict == APPEND_FAILED);
    if (!is_done(life, result.err))
        return;
    life->sequences[is_transactional]++;
    life->end++;
}

/* Ends the transaction of append, if there is one. */
static void mark(struct life *life, struct topic *topic)
{
    const struct transaction_marker marker = {.producer_id = PRODUCER_ID + 1,
                                              .producer_epoch = life->transactional_epoch + 1,
                                              .transaction_version = 2};
    struct append_result result;
    partition_append_marker(topic_partition(topic, 0), &marker, &result, NULL);
    assert_true(result.verdict == APPEND_DONE || result.verdict == APPEND_FAILED);
    if (!is_done(life, result.err))
        return;
    life->transactional_epoch++;
    life->sequences[true] = 0;
    life->end++;
}

static void allocate_producer_id(struct life *life)
{
    int64_t id;
    int64_t commit;
    if (!is_done(life, admin_allocate_producer_id(life->fixture.broker, &id, &commit, NULL)))
        return;
    assert_true(id > life->producer_id);
    life->producer_id = id;
}

/* The other threads' part: makes durable, checkpoints, retries deletions. */
static void work(struct life *life)
{
    struct broker_fixture *fixture = &life->fixture;
    struct store_flush_result flushed;
    struct store_background_result result;
    assert_ok(store_flush_step(fixture->base.store, &flushed, NULL));
    fixture->base.time.now_ms += 3600 * 1000;
    assert_ok(store_background_step(fixture->base.store, fixture->base.time.now_ms, 1 << 30,
                                    &result, NULL));
    broker_background_step(fixture->broker, fixture->base.time.now_ms);
    assert_ok(store_flush_step(fixture->base.store, &flushed, NULL));
}

/* Does what is not done yet. */
static void change_events(struct life *life)
{
    struct topic *topic = broker_find_topic(life->fixture.broker, span_text("events"));
    if (topic == NULL) /* refused, or not durable yet */
        return;
    append(life, topic, false);
    append(life, topic, true);
    mark(life, topic);
    append(life, topic, false);
    life->is_raised = life->is_raised || grow(life, topic);
    life->is_configured = life->is_configured || configure(life, topic);
    topic_unref(topic);
}

static void live(struct life *life)
{
    life->has_events = life->has_events || create(life, "events");
    life->has_other = life->has_other || create(life, "other");
    work(life);
    change_events(life);
    allocate_producer_id(life);
    work(life);
    if (life->has_other)
        life->has_other = !drop(life, "other");
    work(life);
}

static bool has_config(struct topic *topic)
{
    struct topic_overrides overrides = {0};
    bool found = false;
    assert_ok(topic_read_overrides(topic, &overrides));
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++)
        found = found || overrides.texts[i] != NULL;
    topic_overrides_deinit(&overrides);
    return found;
}

static void check(struct life *life)
{
    struct broker_fixture *fixture = &life->fixture;
    assert_int_equal(fixture->offline_count, 0);
    assert_int_equal(broker_fixture_has(fixture, "other"), life->has_other);
    struct topic *topic = broker_find_topic(fixture->broker, span_text("events"));
    assert_int_equal(topic != NULL, life->has_events);
    if (topic == NULL)
        return;
    assert_int_equal(topic_partition_count(topic),
                     life->is_raised ? PARTITION_COUNT_RAISED : PARTITION_COUNT);
    assert_int_equal(has_config(topic), life->is_configured);
    struct log *log = topic_partition(topic, 0)->log;
    assert_int_equal(log_end_offset(log), life->end);
    assert_int_equal(log_durable_offset(log), life->end);
    topic_unref(topic);
}

static void begin(struct life *life, enum fault fault)
{
    *life = (struct life){.fault = fault, .producer_id = -1};
    broker_fixture_init(&life->fixture, 3);
}

static void end(struct life *life)
{
    broker_fixture_close(&life->fixture);
    broker_fixture_deinit(&life->fixture);
}

/* The rest is done, all is there after the power went out, and the sequence goes on. */
static void go_on(struct life *life)
{
    fixture_flush(&life->fixture.base);
    check(life);
    live(life);
    assert_true(life->has_events && life->is_raised && life->is_configured && !life->has_other);
    check(life);
    broker_fixture_crash(&life->fixture, MEM_DISK_LOSE_ALL);
    check(life);
    live(life);
    check(life);
}

static bool life_attempt(void *context, uint32_t count)
{
    struct life life;
    begin(&life, *(const enum fault *)context);
    broker_fixture_open(&life.fixture);
    arm(&life, count);
    live(&life);
    bool has_failed = disarm(&life);
    go_on(&life);
    end(&life);
    return has_failed;
}

/* A broker with something to load, and the last of it not in a checkpoint. */
static void prepare(struct life *life, enum fault fault)
{
    begin(life, fault);
    broker_fixture_open(&life->fixture);
    live(life);
    change_events(life);
    allocate_producer_id(life);
    fixture_flush(&life->fixture.base);
}

/* Whether the first partition was set aside, because its file could not be opened for its sync. */
static bool is_quarantined(struct life *life)
{
    struct topic *topic = broker_find_topic(life->fixture.broker, span_text("events"));
    assert_non_null(topic);
    bool is_damaged = log_damage(topic_partition(topic, 0)->log, NULL);
    topic_unref(topic);
    return is_damaged;
}

static bool start_attempt(void *context, uint32_t count)
{
    struct life life;
    prepare(&life, *(const enum fault *)context);
    assert_ok(broker_close(life.fixture.broker, false, NULL));
    mem_disk_crash(life.fixture.base.disk, MEM_DISK_LOSE_ALL);
    arm(&life, count);
    bool has_opened = broker_fixture_try_open(&life.fixture);
    bool has_failed = disarm(&life);
    if (!has_opened) {
        assert_true(has_failed && life.fixture.base.diag.text[0] != '\0');
        assert_int_equal(mem_disk_open_count(life.fixture.base.disk), 0);
        broker_fixture_open(&life.fixture);
    }
    if (is_quarantined(&life)) {
        assert_true(has_failed && life.fault == FAULT_DISK);
        broker_fixture_crash(&life.fixture, MEM_DISK_LOSE_NONE);
    }
    go_on(&life);
    end(&life);
    return has_failed;
}

/* An end that fails is a crash: nothing that was durable is lost. */
static bool end_attempt(void *context, uint32_t count)
{
    struct life life;
    prepare(&life, *(const enum fault *)context);
    arm(&life, count);
    bool is_clean = is_done(&life, broker_close(life.fixture.broker, true, NULL));
    bool has_failed = disarm(&life);
    assert_true(is_clean || has_failed);
    mem_disk_crash(life.fixture.base.disk, MEM_DISK_LOSE_ALL);
    broker_fixture_open(&life.fixture);
    go_on(&life);
    end(&life);
    return has_failed;
}

static void any_one_failing_allocation_leaves_a_working_broker(void **state)
{
    (void)state;
    enum fault fault = FAULT_MEMORY;
    assert_true(fail_each(life_attempt, &fault) > 60);
}

static void any_one_failing_call_to_the_disk_leaves_a_working_broker(void **state)
{
    (void)state;
    enum fault fault = FAULT_DISK;
    assert_true(fail_each(life_attempt, &fault) > 30);
}

static void a_start_without_memory_is_a_clean_error(void **state)
{
    (void)state;
    enum fault fault = FAULT_MEMORY;
    assert_true(fail_each(start_attempt, &fault) > 60);
}

static void a_start_on_a_bad_disk_is_a_clean_error(void **state)
{
    (void)state;
    enum fault fault = FAULT_DISK;
    assert_true(fail_each(start_attempt, &fault) > 20);
}

static void an_end_that_fails_loses_nothing(void **state)
{
    (void)state;
    enum fault fault = FAULT_MEMORY;
    assert_true(fail_each(end_attempt, &fault) >= 5);
    fault = FAULT_DISK;
    assert_true(fail_each(end_attempt, &fault) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_failing_allocation_leaves_a_working_broker),
        cmocka_unit_test(any_one_failing_call_to_the_disk_leaves_a_working_broker),
        cmocka_unit_test(a_start_without_memory_is_a_clean_error),
        cmocka_unit_test(a_start_on_a_bad_disk_is_a_clean_error),
        cmocka_unit_test(an_end_that_fails_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
