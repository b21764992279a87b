/* broker: topics, deletions, producer ids and waiters over restarts and crashes. */
#include "support/broker_fixture.h"

static int setup(void **state)
{
    static struct broker_fixture fixture;
    broker_fixture_init(&fixture, 7);
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

static void flush(struct broker_fixture *fixture)
{
    fixture_flush(&fixture->base);
}

static void configure(struct broker_fixture *fixture, struct topic *topic, const char *value)
{
    struct topic_overrides overrides;
    topic_overrides_init(&overrides);
    assert_ok(topic_overrides_set(&overrides, span_text("retention.ms"), span_text(value), NULL));
    int64_t commit;
    assert_ok(broker_fixture_configure(fixture->broker, topic, &overrides, &commit));
}

/* The topic's own retention.ms, or "" where it has none. */
static const char *read_retention(struct topic *topic)
{
    static char text[32];
    struct topic_overrides overrides = {0};
    assert_ok(topic_read_overrides(topic, &overrides));
    text[0] = '\0';
    for (size_t i = 0; i < TOPIC_CONFIG_ID_COUNT; i++) {
        if (strcmp(topic_config_name((enum topic_config_id)i), "retention.ms") == 0 &&
            overrides.texts[i] != NULL)
            (void)snprintf(text, sizeof text, "%s", overrides.texts[i]);
    }
    topic_overrides_deinit(&overrides);
    return text;
}

static void check_topic_is_back(struct broker_fixture *fixture, struct uuid id)
{
    struct topic *topic = broker_find_topic(fixture->broker, span_text("events"));
    assert_non_null(topic);
    assert_true(uuid_equal(topic->id, id));
    assert_int_equal(topic_partition_count(topic), 5);
    assert_string_equal(read_retention(topic), "12345");
    topic_unref(topic);
}

static void topics_come_back_with_id_partitions_and_configs(void **state)
{
    struct broker_fixture *fixture = *state;
    int64_t commit;
    struct topic *topic = broker_fixture_make(fixture, "events", 3);
    assert_ok(admin_add_partitions(fixture->broker, topic, 5, &commit, NULL));
    configure(fixture, topic, "12345");
    struct uuid id = topic->id;
    topic_unref(topic);
    flush(fixture);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    check_topic_is_back(fixture, id);
    broker_fixture_close(fixture);
    broker_fixture_open(fixture);
    check_topic_is_back(fixture, id);
}

static void topic_that_was_not_durable_is_gone_and_its_name_is_free(void **state)
{
    struct broker_fixture *fixture = *state;
    int64_t commit;
    struct topic *topic = broker_fixture_create(fixture, "events", 3, &commit);
    struct uuid id = topic->id;
    topic_unref(topic);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    assert_false(broker_fixture_has(fixture, "events"));
    topic = broker_fixture_create(fixture, "events", 1, &commit);
    assert_false(uuid_equal(topic->id, id));
    topic_unref(topic);
}

static struct topic *make_filled(struct broker_fixture *fixture, const char *name)
{
    struct topic *topic = broker_fixture_make(fixture, name, 1);
    (void)broker_fixture_append(topic_partition(topic, 0), 10);
    flush(fixture);
    return topic;
}

static bool has_file(struct broker_fixture *fixture)
{
    size_t size;
    return mem_disk_bytes(fixture->base.disk, "/data/events-0/00000000000000000000.log", &size) !=
           NULL;
}

static void files_of_a_deleted_topic_go_only_when_its_deletion_is_durable(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = make_filled(fixture, "events");
    assert_ok(admin_delete_topic(fixture->broker, topic, NULL, NULL));
    assert_false(broker_fixture_has(fixture, "events"));
    assert_true(has_file(fixture));
    assert_true(err_is(admin_delete_topic(fixture->broker, topic, NULL, NULL), ERR_NOT_FOUND));
    topic_unref(topic);
    fixture_work(&fixture->base);
    assert_true(has_file(fixture));
    flush(fixture);
    fixture->base.time.now_ms += 24 * 60 * 60 * 1000;
    fixture_work(&fixture->base);
    assert_false(has_file(fixture));
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    assert_false(broker_fixture_has(fixture, "events"));
}

static void crash_before_a_deletion_is_durable_brings_the_topic_back_whole(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = make_filled(fixture, "events");
    struct uuid id = topic->id;
    assert_ok(admin_delete_topic(fixture->broker, topic, NULL, NULL));
    topic_unref(topic);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    topic = broker_find_topic(fixture->broker, span_text("events"));
    assert_non_null(topic);
    assert_true(uuid_equal(topic->id, id));
    assert_int_equal(log_end_offset(topic_partition(topic, 0)->log), 10);
    topic_unref(topic);
}

/* Power goes out at each sync of a deletion in turn: all of the topic is there, or nothing. */
static void crash_at_any_sync_of_a_deletion_leaves_the_topic_whole_or_gone(void **state)
{
    struct broker_fixture *fixture = *state;
    bool was_whole = false;
    bool was_gone = false;
    for (uint32_t sync = 1; sync <= 12; sync++) {
        if (broker_fixture_has(fixture, "events")) {
            struct topic *old = broker_find_topic(fixture->broker, span_text("events"));
            assert_ok(admin_delete_topic(fixture->broker, old, NULL, NULL));
            topic_unref(old);
            flush(fixture);
        }
        struct topic *topic = make_filled(fixture, "events");
        mem_disk_power_off(fixture->base.disk, sync);
        struct err err = admin_delete_topic(fixture->broker, topic, NULL, NULL);
        topic_unref(topic);
        struct store_flush_result flushed = {.is_more = true};
        while (!err_failed(err) && flushed.is_more)
            err = store_flush_step(fixture->base.store, &flushed, &fixture->base.diag);
        assert_ok(broker_close(fixture->broker, false, NULL));
        mem_disk_power_off(fixture->base.disk, 0);
        mem_disk_crash(fixture->base.disk, MEM_DISK_LOSE_SOME);
        broker_fixture_open(fixture);
        topic = broker_find_topic(fixture->broker, span_text("events"));
        was_gone = was_gone || topic == NULL;
        was_whole = was_whole || topic != NULL;
        if (topic != NULL)
            assert_int_equal(log_end_offset(topic_partition(topic, 0)->log), 10);
        topic_unref(topic);
    }
    assert_true(was_whole && was_gone);
}

/*
 * The process dies between recording a deletion and the sync, so that the next start finds it in
 * the page cache; then the power goes out at each sync of that start in turn.
 */
static void deletion_found_and_lost_again_costs_no_data(void **state)
{
    struct broker_fixture *fixture = *state;
    bool was_whole = false;
    bool was_gone = false;
    for (uint32_t sync = 1; sync <= 12; sync++) {
        if (!broker_fixture_has(fixture, "events"))
            topic_unref(make_filled(fixture, "events"));
        struct topic *topic = broker_find_topic(fixture->broker, span_text("events"));
        assert_ok(admin_delete_topic(fixture->broker, topic, NULL, NULL));
        topic_unref(topic);
        assert_ok(broker_close(fixture->broker, false, NULL));
        mem_disk_crash(fixture->base.disk, MEM_DISK_LOSE_NONE);
        mem_disk_power_off(fixture->base.disk, sync);
        if (broker_fixture_try_open(fixture))
            assert_ok(broker_close(fixture->broker, false, NULL));
        mem_disk_crash(fixture->base.disk, MEM_DISK_LOSE_ALL);
        broker_fixture_open(fixture);
        topic = broker_find_topic(fixture->broker, span_text("events"));
        was_gone = was_gone || topic == NULL;
        was_whole = was_whole || topic != NULL;
        if (topic != NULL)
            assert_int_equal(log_end_offset(topic_partition(topic, 0)->log), 10);
        topic_unref(topic);
    }
    assert_true(was_whole && was_gone);
}

static void name_is_taken_while_a_log_cannot_be_deleted(void **state)
{
    struct broker_fixture *fixture = *state;
    topic_unref(make_filled(fixture, "events"));
    struct topic *topic = broker_find_topic(fixture->broker, span_text("events"));
    assert_ok(admin_delete_topic(fixture->broker, topic, NULL, NULL));
    topic_unref(topic);
    mem_disk_fail(fixture->base.disk, MEM_DISK_WRITE, 1);
    flush(fixture);
    assert_true(mem_disk_has_failed(fixture->base.disk));
    struct topic_overrides overrides = {0};
    struct admin_create create = {
        .name = span_text("events"), .partition_count = 1, .overrides = &overrides};
    assert_true(err_is(admin_check_create(fixture->broker, &create, NULL), ERR_EXISTS));
    assert_true(has_file(fixture));
    broker_background_step(fixture->broker, fixture->base.time.now_ms);
    assert_ok(admin_check_create(fixture->broker, &create, NULL));
    assert_false(has_file(fixture));
}

static void name_is_taken_until_its_deletion_is_durable(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = make_filled(fixture, "events");
    int64_t commit;
    assert_ok(admin_delete_topic(fixture->broker, topic, NULL, NULL));
    topic_unref(topic);
    struct topic_overrides overrides = {0};
    struct admin_create create = {
        .name = span_text("events"), .partition_count = 1, .overrides = &overrides};
    assert_true(
        err_is(admin_create_topic(fixture->broker, &create, &topic, &commit, NULL), ERR_EXISTS));
    flush(fixture);
    topic = broker_fixture_make(fixture, "events", 1);
    (void)broker_fixture_append(topic_partition(topic, 0), 3);
    struct uuid id = topic->id;
    topic_unref(topic);
    flush(fixture);
    fixture->base.time.now_ms += 24 * 60 * 60 * 1000;
    fixture_work(&fixture->base);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
    topic = broker_find_topic(fixture->broker, span_text("events"));
    assert_non_null(topic);
    assert_true(uuid_equal(topic->id, id));
    assert_int_equal(log_end_offset(topic_partition(topic, 0)->log), 3);
    topic_unref(topic);
}

static void names_kafka_refuses_are_refused(void **state)
{
    struct broker_fixture *fixture = *state;
    int64_t commit;
    topic_unref(broker_fixture_create(fixture, "a.b", 1, &commit));
    static const char *const names[] = {"", ".", "..", "a b", "a/b", "a_b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct topic_overrides overrides = {0};
        struct admin_create create = {
            .name = span_text(names[i]), .partition_count = 1, .overrides = &overrides};
        assert_true(err_is(admin_check_create(fixture->broker, &create, NULL), ERR_INVALID));
    }
    struct topic_overrides overrides = {0};
    struct admin_create again = {
        .name = span_text("a.b"), .partition_count = 1, .overrides = &overrides};
    assert_true(err_is(admin_check_create(fixture->broker, &again, NULL), ERR_EXISTS));
}

static uint32_t log_count(struct broker_fixture *fixture)
{
    struct store_stats stats;
    store_read_stats(fixture->base.store, &stats);
    return stats.log_count;
}

static void topic_whose_record_fails_leaves_nothing_behind(void **state)
{
    struct broker_fixture *fixture = *state;
    uint32_t before = log_count(fixture);
    for (uint32_t call = 1; call <= 40; call++) {
        struct topic_overrides overrides = {0};
        struct admin_create create = {
            .name = span_text("events"), .partition_count = 2, .overrides = &overrides};
        struct topic *topic;
        int64_t commit;
        mem_disk_fail(fixture->base.disk, MEM_DISK_WRITE | MEM_DISK_OPEN | MEM_DISK_DIR, call);
        struct err err = admin_create_topic(fixture->broker, &create, &topic, &commit, NULL);
        bool has_failed = mem_disk_has_failed(fixture->base.disk);
        mem_disk_fail(fixture->base.disk, 0, 0);
        flush(fixture);
        assert_int_equal(broker_fixture_has(fixture, "events"), !err_failed(err));
        assert_int_equal(log_count(fixture), before + (err_failed(err) ? 0 : 2));
        if (!err_failed(err)) {
            topic_unref(topic);
            assert_true(call > 1);
            if (!has_failed)
                return;
            fail_msg("call %u failed and nobody noticed", call);
        }
    }
    fail_msg("creating a topic takes more than 40 calls");
}

static void partitions_whose_record_fails_leave_nothing_behind(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = broker_fixture_make(fixture, "events", 1);
    uint32_t before = log_count(fixture);
    int64_t commit;
    mem_disk_fail(fixture->base.disk, MEM_DISK_WRITE, 1);
    assert_true(err_failed(admin_add_partitions(fixture->broker, topic, 3, &commit, NULL)));
    assert_true(mem_disk_has_failed(fixture->base.disk));
    assert_int_equal(log_count(fixture), before);
    assert_ok(admin_add_partitions(fixture->broker, topic, 2, &commit, NULL));
    flush(fixture);
    assert_int_equal(topic_partition_count(topic), 2);
    (void)broker_fixture_append(topic_partition(topic, 1), 1);
    topic_unref(topic);
}

/* What others can see of the topic "events", or may write to. */
struct sight {
    bool is_found;
    bool is_listed;
    int32_t partition_count;
};

static struct sight look(struct broker_fixture *fixture, struct topic *topic)
{
    struct arena arena;
    struct topic_list list;
    struct sight sight = {.is_found = broker_fixture_has(fixture, "events"),
                          .partition_count = topic_partition_count(topic)};
    struct topic *by_id = broker_find_topic_by_id(fixture->broker, topic->id);
    assert_int_equal(by_id != NULL, sight.is_found);
    topic_unref(by_id);
    arena_init(&arena, 1 << 20);
    assert_ok(broker_list_topics(fixture->broker, &arena, &list));
    for (size_t i = 0; i < list.count; i++)
        sight.is_listed = sight.is_listed || list.topics[i] == topic;
    topic_list_unref(&list);
    arena_deinit(&arena);
    return sight;
}

static void what_is_added_is_shown_only_when_durable(void **state)
{
    struct broker_fixture *fixture = *state;
    int64_t commit;
    struct topic *topic = broker_fixture_create(fixture, "events", 2, &commit);
    struct sight sight = look(fixture, topic);
    assert_false(sight.is_found || sight.is_listed);
    assert_null(topic_partition(topic, 0));
    assert_int_equal(topic_recorded_count(topic), 2);
    flush(fixture);
    sight = look(fixture, topic);
    assert_true(sight.is_found && sight.is_listed);
    assert_int_equal(sight.partition_count, 2);
    assert_ok(admin_add_partitions(fixture->broker, topic, 3, &commit, NULL));
    assert_null(topic_partition(topic, 2));
    flush(fixture);
    assert_non_null(topic_partition(topic, 2));
    topic_unref(topic);
}

static void second_creation_waits_for_the_first_to_be_durable(void **state)
{
    struct broker_fixture *fixture = *state;
    int64_t first;
    int64_t second = 0;
    struct topic *topic = broker_fixture_create(fixture, "events", 1, &first);
    struct topic *none;
    struct topic_overrides overrides = {0};
    struct admin_create create = {
        .name = span_text("events"), .partition_count = 1, .overrides = &overrides};
    assert_true(
        err_is(admin_create_topic(fixture->broker, &create, &none, &second, NULL), ERR_EXISTS));
    assert_int_equal(second, first);
    topic_unref(topic);
}

static void configs_count_in_order_and_only_when_durable(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = broker_fixture_make(fixture, "events", 1);
    int64_t kept_ms = topic_read_settings(topic).log.retention_ms;
    configure(fixture, topic, "1000");
    configure(fixture, topic, "2000");
    assert_int_equal(topic_read_settings(topic).log.retention_ms, kept_ms);
    assert_string_equal(read_retention(topic), "");
    struct topic_overrides recorded = {0};
    assert_ok(topic_read_recorded(topic, &recorded));
    assert_string_equal(recorded.texts[TOPIC_RETENTION_MS], "2000");
    topic_overrides_deinit(&recorded);
    (void)broker_fixture_append(topic_partition(topic, 0), 1);
    fixture->base.time.now_ms += 5000;
    fixture_work(&fixture->base);
    assert_int_equal(log_start_offset(topic_partition(topic, 0)->log), 0);
    flush(fixture);
    assert_string_equal(read_retention(topic), "2000");
    fixture->base.time.now_ms += 24 * 60 * 60 * 1000;
    fixture_work(&fixture->base); /* retention hears of it, though nobody has asked */
    assert_int_equal(log_start_offset(topic_partition(topic, 0)->log), 1);
    topic_unref(topic);
}

static void producer_ids_are_never_given_out_twice(void **state)
{
    struct broker_fixture *fixture = *state;
    int64_t last = -1;
    for (int round = 0; round < 8; round++) {
        int64_t acknowledged = last;
        for (int i = 0; i < 700; i++) {
            int64_t id;
            int64_t commit;
            assert_ok(admin_allocate_producer_id(fixture->broker, &id, &commit, NULL));
            assert_true(id > last);
            last = id;
            struct counted_wait wait = {.waiter = {.done = counted_done}};
            if (i == 650)
                flush(fixture);
            if (i >= 650 && id % 1000 != 0) { /* told to a client: durable */
                assert_true(admin_wait(fixture->broker, commit, &wait.waiter, &wait.err));
                acknowledged = id;
            } else if (i >= 650) {
                break;
            }
        }
        last = acknowledged;
        if (round % 2 == 0)
            broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
        else
            broker_fixture_crash(fixture, MEM_DISK_LOSE_SOME);
    }
    assert_true(last > 4000);
}

static void waiters_are_called_once_in_order_when_durable(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = broker_fixture_make(fixture, "events", 1);
    struct partition *partition = topic_partition(topic, 0);
    struct counted_wait waits[3] = {0};
    for (int i = 0; i < 3; i++) {
        waits[i].waiter.done = counted_done;
        waits[i].waiter.offset = broker_fixture_append(partition, 1);
        assert_false(partition_wait(partition, &waits[i].waiter, &waits[i].err));
    }
    struct counted_wait later = {.waiter = {.done = counted_done, .offset = 4}};
    assert_false(partition_wait(partition, &later.waiter, &later.err));
    flush(fixture);
    flush(fixture);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(waits[i].count, 1);
        assert_false(err_failed(waits[i].err));
    }
    assert_int_equal(later.count, 0);
    assert_true(partition_wait(partition, &waits[0].waiter, &waits[0].err));
    assert_int_equal(waits[0].count, 1);
    partition_close(partition);
    assert_int_equal(later.count, 1);
    assert_true(err_is(later.err, ERR_CLOSED));
    assert_true(partition_wait(partition, &later.waiter, &later.err));
    assert_true(err_is(later.err, ERR_CLOSED));
    topic_unref(topic);
}

static void failed_sync_sends_every_waiter_home_once(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = broker_fixture_make(fixture, "events", 1);
    struct partition *partition = topic_partition(topic, 0);
    struct counted_wait wait = {.waiter = {.done = counted_done}};
    wait.waiter.offset = broker_fixture_append(partition, 1);
    assert_false(partition_wait(partition, &wait.waiter, &wait.err));
    mem_disk_fail(fixture->base.disk, MEM_DISK_SYNC, 1);
    struct store_flush_result result;
    struct err err = store_flush_step(fixture->base.store, &result, &fixture->base.diag);
    assert_true(err_is(err, ERR_OFFLINE));
    assert_int_equal(fixture->offline_count, 1);
    assert_int_equal(wait.count, 1);
    assert_true(err_is(wait.err, ERR_OFFLINE));
    wait.waiter.offset = 100;
    assert_true(partition_wait(partition, &wait.waiter, &wait.err));
    assert_true(err_is(wait.err, ERR_OFFLINE));
    topic_unref(topic);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL);
}

static void log_that_cannot_be_flushed_sends_its_own_waiters_home(void **state)
{
    struct broker_fixture *fixture = *state;
    broker_fixture_close(fixture);
    broker_fixture_set(fixture, "headrace.open.files.max", "16");
    broker_fixture_open(fixture);
    struct topic *topic = broker_fixture_make(fixture, "events", 24);
    struct counted_wait waits[24] = {0};
    for (int i = 0; i < 24; i++) { /* the last ones are closed before they are synced */
        struct partition *partition = topic_partition(topic, i);
        waits[i].waiter.done = counted_done;
        waits[i].waiter.offset = broker_fixture_append(partition, 1);
        assert_false(partition_wait(partition, &waits[i].waiter, &waits[i].err));
    }
    assert_ok(file_remove(fixture->os.files, "/data/events-20/00000000000000000000.log"));
    flush(fixture);
    assert_int_equal(waits[0].count, 1);
    assert_false(err_failed(waits[0].err));
    assert_int_equal(waits[20].count, 1);
    assert_true(err_is(waits[20].err, ERR_CORRUPT));
    struct counted_wait late = {.waiter = {.done = counted_done, .offset = 1}};
    assert_true(partition_wait(topic_partition(topic, 20), &late.waiter, &late.err));
    assert_true(err_is(late.err, ERR_CORRUPT));
    topic_unref(topic);
    broker_fixture_crash(fixture, MEM_DISK_LOSE_ALL); /* a clean end is none with damage */
}

static void sync_that_fails_while_closing_is_an_error_and_no_more(void **state)
{
    struct broker_fixture *fixture = *state;
    topic_unref(make_filled(fixture, "events"));
    int64_t commit;
    struct topic *topic = broker_find_topic(fixture->broker, span_text("events"));
    (void)broker_fixture_append(topic_partition(topic, 0), 5);
    topic_unref(topic);
    mem_disk_fail(fixture->base.disk, MEM_DISK_SYNC, 1);
    assert_true(err_failed(broker_close(fixture->broker, true, &fixture->base.diag)));
    assert_int_equal(fixture->offline_count, 1);
    mem_disk_crash(fixture->base.disk, MEM_DISK_LOSE_ALL);
    broker_fixture_open(fixture);
    topic_unref(broker_fixture_create(fixture, "more", 1, &commit));
}

struct told {
    struct partition_watch watch;
    int count;
    int64_t last;
};

static void told_moved(struct partition_watch *watch, int64_t size)
{
    struct told *told = LIST_ENTRY(watch, struct told, watch);
    told->count++;
    told->last = size;
}

static void watchers_hear_of_durable_bytes_and_of_the_end(void **state)
{
    struct broker_fixture *fixture = *state;
    struct topic *topic = broker_fixture_make(fixture, "events", 1);
    struct partition *partition = topic_partition(topic, 0);
    struct told told = {.watch = {.moved = told_moved}};
    partition_watch(partition, &told.watch);
    (void)broker_fixture_append(partition, 10);
    assert_int_equal(told.count, 0);
    flush(fixture);
    assert_int_equal(told.count, 1);
    assert_true(told.last > 1000);
    assert_ok(admin_delete_topic(fixture->broker, topic, NULL, NULL));
    assert_int_equal(told.count, 2);
    assert_int_equal(told.last, 0);
    partition_unwatch(partition, &told.watch);
    topic_unref(topic);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(topics_come_back_with_id_partitions_and_configs),
        TEST(topic_that_was_not_durable_is_gone_and_its_name_is_free),
        TEST(files_of_a_deleted_topic_go_only_when_its_deletion_is_durable),
        TEST(crash_before_a_deletion_is_durable_brings_the_topic_back_whole),
        TEST(crash_at_any_sync_of_a_deletion_leaves_the_topic_whole_or_gone),
        TEST(deletion_found_and_lost_again_costs_no_data),
        TEST(name_is_taken_while_a_log_cannot_be_deleted),
        TEST(name_is_taken_until_its_deletion_is_durable),
        TEST(names_kafka_refuses_are_refused),
        TEST(topic_whose_record_fails_leaves_nothing_behind),
        TEST(partitions_whose_record_fails_leave_nothing_behind),
        TEST(what_is_added_is_shown_only_when_durable),
        TEST(second_creation_waits_for_the_first_to_be_durable),
        TEST(configs_count_in_order_and_only_when_durable),
        TEST(producer_ids_are_never_given_out_twice),
        TEST(waiters_are_called_once_in_order_when_durable),
        TEST(failed_sync_sends_every_waiter_home_once),
        TEST(log_that_cannot_be_flushed_sends_its_own_waiters_home),
        TEST(sync_that_fails_while_closing_is_an_error_and_no_more),
        TEST(watchers_hear_of_durable_bytes_and_of_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
