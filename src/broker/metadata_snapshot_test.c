/* metadata_snapshot: the metadata log stays short, and no crash on the way there loses a change. */
#include "support/broker_fixture.h"

#include "base/limits.h"
#include "broker/metadata_log.h"

static int setup(void **state)
{
    static struct broker_fixture fixture;
    broker_fixture_init(&fixture, 11);
    broker_fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct broker_fixture *fixture = *state;
    broker_fixture_close(fixture);
    broker_fixture_deinit(fixture);
    return 0;
}

/* Gives the topic a retention.ms; false where the disk would not have it. */
static bool configure(struct broker_fixture *fixture, const char *name, int64_t retention_ms)
{
    struct topic *topic = broker_peek_topic(fixture->broker, span_text(name));
    struct topic_overrides overrides;
    char text[32];
    int64_t commit;
    (void)snprintf(text, sizeof text, "%lld", (long long)retention_ms);
    topic_overrides_init(&overrides);
    assert_ok(topic_overrides_set(&overrides, span_text("retention.ms"), span_text(text), NULL));
    struct err err = broker_fixture_configure(fixture->broker, topic, &overrides, &commit);
    topic_unref(topic);
    return !err_failed(err);
}

/* The topic's own retention.ms; -1: there is no such topic. */
static int64_t configured(struct broker_fixture *fixture, const char *name)
{
    struct topic *topic = broker_peek_topic(fixture->broker, span_text(name));
    if (topic == NULL)
        return -1;
    struct topic_overrides overrides = {0};
    enum topic_config_id id;
    assert_ok(topic_read_recorded(topic, &overrides));
    assert_true(topic_config_find(span_text("retention.ms"), &id));
    int64_t value = overrides.texts[id] == NULL ? 0 : strtoll(overrides.texts[id], NULL, 10);
    topic_overrides_deinit(&overrides);
    topic_unref(topic);
    return value;
}

/* Makes a topic and forgets it; false where the disk would not have it. */
static bool create(struct broker_fixture *fixture, const char *name, int32_t partition_count)
{
    struct topic_overrides overrides;
    topic_overrides_init(&overrides);
    struct admin_create create = {
        .name = span_text(name), .partition_count = partition_count, .overrides = &overrides};
    struct topic *topic = NULL;
    int64_t commit;
    struct err err = admin_create_topic(fixture->broker, &create, &topic, &commit, NULL);
    topic_unref(topic);
    return !err_failed(err);
}

static void delete (struct broker_fixture *fixture, const char *name)
{
    struct topic *topic = broker_peek_topic(fixture->broker, span_text(name));
    assert_ok(admin_delete_topic(fixture->broker, topic, NULL, NULL));
    topic_unref(topic);
}

static int64_t producer_id(struct broker_fixture *fixture)
{
    int64_t id = -1;
    int64_t commit;
    assert_ok(admin_allocate_producer_id(fixture->broker, &id, &commit, NULL));
    return id;
}

/* So many changes of one topic, the last of which counts. */
static void change_often(struct broker_fixture *fixture, const char *name, int64_t count)
{
    for (int64_t i = 1; i <= count; i++)
        assert_true(configure(fixture, name, i));
}

/* Records that a start would replay. */
static int64_t replay_length(struct broker_fixture *fixture)
{
    struct partition_offsets offsets;
    partition_read_offsets(metadata_log_partition(fixture->broker), &offsets);
    return offsets.end - offsets.start;
}

static int32_t partition_count(struct broker_fixture *fixture, const char *name)
{
    struct topic *topic = broker_peek_topic(fixture->broker, span_text(name));
    int32_t count = topic == NULL ? -1 : topic_recorded_count(topic);
    topic_unref(topic);
    return count;
}

static void log_of_many_changes_stays_short_while_the_broker_runs(void **state)
{
    struct broker_fixture *fixture = *state;
    assert_true(create(fixture, "events", 3));
    for (int round = 0; round < 5; round++) {
        change_often(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN);
        fixture_flush(&fixture->base);
    }
    assert_in_range(replay_length(fixture), 1, 2 * METADATA_SNAPSHOT_RECORD_COUNT_MIN);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    assert_int_equal(configured(fixture, "events"), METADATA_SNAPSHOT_RECORD_COUNT_MIN);
    assert_int_equal(partition_count(fixture, "events"), 3);
}

static void start_shortens_what_was_left_long(void **state)
{
    struct broker_fixture *fixture = *state;
    assert_true(create(fixture, "events", 3));
    change_often(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN - 1);
    fixture_flush(&fixture->base);
    assert_int_equal(replay_length(fixture), METADATA_SNAPSHOT_RECORD_COUNT_MIN);
    for (int start = 0; start < 3; start++) {
        broker_fixture_close(fixture);
        broker_fixture_open(fixture);
        assert_int_equal(replay_length(fixture), 3);
        assert_int_equal(configured(fixture, "events"), METADATA_SNAPSHOT_RECORD_COUNT_MIN - 1);
    }
}

static void snapshot_holds_all_that_exists_and_nothing_else(void **state)
{
    struct broker_fixture *fixture = *state;
    assert_true(create(fixture, "gone", 1));
    assert_true(create(fixture, "plain", 2));
    assert_true(create(fixture, "events", 3));
    struct topic *topic = broker_peek_topic(fixture->broker, span_text("plain"));
    int64_t commit;
    assert_ok(admin_add_partitions(fixture->broker, topic, 5, &commit, NULL));
    struct uuid id = topic->id;
    int64_t created_ms = topic->created_ms;
    topic_unref(topic);
    int64_t given = producer_id(fixture);
    delete (fixture, "gone");
    fixture->base.time.now_ms += 1000;
    change_often(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN);
    fixture_flush(&fixture->base);
    assert_true(create(fixture, "later", 1));
    fixture_flush(&fixture->base);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    assert_true(replay_length(fixture) < METADATA_SNAPSHOT_RECORD_COUNT_MIN);
    topic = broker_find_topic_by_id(fixture->broker, id);
    assert_true(span_equal_text(topic->name, "plain"));
    assert_int_equal(topic_recorded_count(topic), 5);
    assert_int_equal(topic->created_ms, created_ms);
    topic_unref(topic);
    assert_int_equal(configured(fixture, "plain"), 0);
    assert_int_equal(configured(fixture, "gone"), -1);
    assert_int_equal(partition_count(fixture, "later"), 1);
    assert_true(producer_id(fixture) > given);
}

static void segments_below_a_snapshot_are_removed(void **state)
{
    struct broker_fixture *fixture = *state;
    static const char first[] = "/data/__headrace_metadata-0/00000000000000000000.log";
    size_t size;
    assert_true(create(fixture, "events", 3));
    for (int round = 0; round < 20; round++) { /* beyond one segment of 1 MiB */
        change_often(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN);
        fixture_flush(&fixture->base);
    }
    assert_non_null(mem_disk_bytes(fixture->base.disk, first, &size));
    fixture->base.time.now_ms += 24 * 60 * 60 * 1000;
    fixture_work(&fixture->base);
    assert_null(mem_disk_bytes(fixture->base.disk, first, &size));
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    assert_int_equal(configured(fixture, "events"), METADATA_SNAPSHOT_RECORD_COUNT_MIN);
}

static void snapshot_that_cannot_be_written_fails_no_change(void **state)
{
    struct broker_fixture *fixture = *state;
    assert_true(create(fixture, "events", 3));
    change_often(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN - 1);
    mem_disk_fail(fixture->base.disk, MEM_DISK_WRITE, 1);
    assert_true(configure(fixture, "events", 77));
    assert_true(mem_disk_has_failed(fixture->base.disk));
    fixture_flush(&fixture->base);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    assert_int_equal(configured(fixture, "events"), 77);
}

/* What must hold whatever the power took: all of this was durable before. */
static void check_promises(struct broker_fixture *fixture, int64_t given, bool is_late_promised)
{
    assert_int_equal(partition_count(fixture, "events"), 3);
    assert_true(configured(fixture, "events") >= METADATA_SNAPSHOT_RECORD_COUNT_MIN - 5);
    assert_int_equal(partition_count(fixture, "gone"), -1);
    assert_true(producer_id(fixture) > given);
    assert_true(!is_late_promised || partition_count(fixture, "late") == 2);
}

/* Flushes as far as the power allows; whether all that came before is durable. */
static bool flush_if_on(struct broker_fixture *fixture)
{
    struct store_flush_result result = {.is_more = true};
    while (result.is_more) {
        if (err_failed(store_flush_step(fixture->broker->store, &result, &fixture->base.diag)))
            return false;
    }
    return !mem_disk_is_off(fixture->base.disk);
}

/* A history just short of a snapshot, all of it durable; returns a producer id given out. */
static int64_t promise(struct broker_fixture *fixture)
{
    assert_true(create(fixture, "events", 3));
    assert_true(create(fixture, "gone", 1));
    int64_t given = producer_id(fixture);
    delete (fixture, "gone");
    change_often(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN - 5);
    fixture_flush(&fixture->base);
    return given;
}

/* Takes the power at the sync_count-th sync while a snapshot is made; false: it never went. */
static bool crash_while_running(struct broker_fixture *fixture, uint32_t sync_count,
                                enum mem_disk_loss loss)
{
    int64_t given = promise(fixture);
    mem_disk_power_off(fixture->base.disk, sync_count);
    for (int64_t i = 0; i < 3; i++)
        (void)configure(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN + i);
    (void)flush_if_on(fixture);
    bool is_late_promised = create(fixture, "late", 2) && flush_if_on(fixture);
    struct store_background_result result;
    struct err ignored = store_background_step(fixture->broker->store, fixture->base.time.now_ms,
                                               1 << 30, &result, &fixture->base.diag);
    (void)ignored;
    bool is_off = mem_disk_is_off(fixture->base.disk);
    broker_fixture_crash(fixture, loss);
    check_promises(fixture, given, is_late_promised);
    return is_off;
}

/* Takes it at the sync_count-th sync of a start that makes a snapshot; false: it never went. */
static bool crash_while_starting(struct broker_fixture *fixture, uint32_t sync_count,
                                 enum mem_disk_loss loss)
{
    int64_t given = promise(fixture);
    change_often(fixture, "events", METADATA_SNAPSHOT_RECORD_COUNT_MIN - 1);
    fixture_flush(&fixture->base);
    assert_ok(broker_close(fixture->broker, false, NULL));
    mem_disk_crash(fixture->base.disk, MEM_DISK_LOSE_ALL);
    mem_disk_power_off(fixture->base.disk, sync_count);
    struct broker_setup setup = {
        .os = &fixture->os, .config = &fixture->config, .listeners = &fixture->listeners};
    struct err err = broker_create(&setup, &fixture->broker, &fixture->base.diag);
    bool is_off = mem_disk_is_off(fixture->base.disk);
    if (!err_failed(err))
        assert_ok(broker_close(fixture->broker, false, NULL));
    mem_disk_crash(fixture->base.disk, loss);
    broker_fixture_open(fixture);
    check_promises(fixture, given, false);
    return is_off;
}

typedef bool (*crash_scenario)(struct broker_fixture *fixture, uint32_t sync_count,
                               enum mem_disk_loss loss);

/* Plays the scenario for every sync at which the power may go. */
static void crash_everywhere(crash_scenario scenario, enum mem_disk_loss loss)
{
    uint32_t count = 0;
    for (bool is_off = true; is_off;) {
        struct broker_fixture fixture;
        broker_fixture_init(&fixture, 100 + count);
        broker_fixture_open(&fixture);
        is_off = scenario(&fixture, ++count, loss);
        broker_fixture_close(&fixture);
        broker_fixture_deinit(&fixture);
    }
    assert_true(count > 3); /* else there was nothing to interrupt */
}

static void crash_at_any_sync_of_a_snapshot_loses_nothing(void **state)
{
    (void)state;
    crash_everywhere(crash_while_running, MEM_DISK_LOSE_ALL);
    crash_everywhere(crash_while_running, MEM_DISK_LOSE_SOME);
}

static void crash_at_any_sync_of_a_start_loses_nothing(void **state)
{
    (void)state;
    crash_everywhere(crash_while_starting, MEM_DISK_LOSE_ALL);
    crash_everywhere(crash_while_starting, MEM_DISK_LOSE_SOME);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(log_of_many_changes_stays_short_while_the_broker_runs),
        TEST(start_shortens_what_was_left_long),
        TEST(snapshot_holds_all_that_exists_and_nothing_else),
        TEST(segments_below_a_snapshot_are_removed),
        TEST(snapshot_that_cannot_be_written_fails_no_change),
        cmocka_unit_test(crash_at_any_sync_of_a_snapshot_loses_nothing),
        cmocka_unit_test(crash_at_any_sync_of_a_start_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
