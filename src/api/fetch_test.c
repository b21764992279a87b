/* fetch: sets of partitions that are watched, read in turn and waited for; sessions of them. */
#include "support/broker_fixture.h"

#include "api/fetch_session.h"
#include "api/session.h"

struct fetch_fixture {
    struct broker_fixture broker;
    struct topic *topic; /* "events", 3 partitions */
    struct fetch_set set;
    struct arena arena;
    struct reactor *reactor;
    struct session session;
    struct request request;
    int resume_count;
};

static int setup(void **state)
{
    static struct fetch_fixture fixture;
    fixture = (struct fetch_fixture){0};
    broker_fixture_init(&fixture.broker, 3);
    broker_fixture_open(&fixture.broker);
    fixture.topic = broker_fixture_make(&fixture.broker, "events", 3);
    fetch_set_init(&fixture.set, fixture.broker.broker);
    arena_init(&fixture.arena, 1 << 20);
    assert_ok(reactor_create(os_real(), &fixture.reactor));
    fixture.session.reactor = fixture.reactor;
    fixture.request.session = &fixture.session;
    fixture.request.parked = &fixture;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fetch_fixture *fixture = *state;
    fetch_set_deinit(&fixture->set);
    topic_unref(fixture->topic);
    arena_deinit(&fixture->arena);
    reactor_destroy(fixture->reactor);
    broker_fixture_close(&fixture->broker);
    broker_fixture_deinit(&fixture->broker);
    return 0;
}

static void fill(struct fetch_fixture *fixture, int32_t partition, int32_t record_count)
{
    (void)broker_fixture_append(topic_partition(fixture->topic, partition), record_count);
    fixture_flush(&fixture->broker.base);
}

static void put_as(struct fetch_fixture *fixture, const char *name, int32_t partition,
                   int64_t offset, int32_t epoch)
{
    struct fetch_request_topic topic = {.topic = span_text(name)};
    struct fetch_request_partition asked = {.partition = partition,
                                            .fetch_offset = offset,
                                            .current_leader_epoch = epoch,
                                            .last_fetched_epoch = -1,
                                            .partition_max_bytes = 1 << 20};
    assert_ok(fetch_set_put(&fixture->set, &topic, &asked));
}

static void put(struct fetch_fixture *fixture, int32_t partition, int64_t offset)
{
    put_as(fixture, "events", partition, offset, -1);
}

/* What one fetch was answered: by partition, -1 where the answer names it not. */
struct answer {
    int64_t size[3];
    int64_t start[3];
    int64_t stable[3];
    int16_t code[3];
    size_t count;
    bool has_error;
};

static struct answer read_set(struct fetch_fixture *fixture, int64_t size_max, bool is_incremental)
{
    struct answer answer = {.size = {-1, -1, -1}};
    struct fetch_limits limits = {.size_max = size_max, .is_incremental = is_incremental};
    struct fetch_found found;
    arena_reset(&fixture->arena);
    assert_ok(fetch_set_read(&fixture->set, &limits, &fixture->arena, &found));
    answer.count = found.count;
    answer.has_error = found.has_error;
    for (size_t i = 0; i < found.count; i++) {
        struct fetch_entry *entry = found.entries[i];
        entry->told_watermark = entry->answer.high_watermark; /* as the reply does */
        entry->told_start = entry->answer.log_start_offset;
        if (entry->asked.partition < 3) {
            answer.size[entry->asked.partition] = (int64_t)entry->slice.size;
            answer.start[entry->asked.partition] = entry->answer.log_start_offset;
            answer.stable[entry->asked.partition] = entry->answer.last_stable_offset;
            answer.code[entry->asked.partition] = entry->answer.error_code;
        }
    }
    fetch_found_drop(&found);
    return answer;
}

static void first_batch_is_given_whatever_the_limit(void **state)
{
    struct fetch_fixture *fixture = *state;
    fill(fixture, 0, 10);
    fill(fixture, 1, 10);
    put(fixture, 0, 0);
    put(fixture, 1, 0);
    struct answer answer = read_set(fixture, 1, false);
    assert_true(answer.size[0] > 1000);
    assert_int_equal(answer.size[1], 0);
}

static void partition_without_room_gets_its_turn_next_without_new_data(void **state)
{
    struct fetch_fixture *fixture = *state;
    for (int32_t i = 0; i < 3; i++) {
        fill(fixture, i, 10);
        put(fixture, i, 0);
    }
    int64_t read_size[3] = {0};
    struct answer answer = read_set(fixture, 1, false);
    for (int round = 0; round < 3; round++) {
        assert_true(answer.count > 0);
        for (int32_t i = 0; i < 3; i++) {
            if (answer.size[i] <= 0)
                continue;
            assert_int_equal(read_size[i], 0); /* nobody is served twice before the others */
            read_size[i] = answer.size[i];
            put(fixture, i, 10);
        }
        answer = read_set(fixture, 1, true);
    }
    assert_true(read_size[0] > 0 && read_size[1] > 0 && read_size[2] > 0);
    assert_int_equal(read_set(fixture, 1, true).count, 0);
}

static void busy_partition_does_not_starve_the_others(void **state)
{
    struct fetch_fixture *fixture = *state;
    for (int i = 0; i < 5; i++)
        fill(fixture, 0, 10);
    fill(fixture, 1, 10);
    put(fixture, 0, 0);
    put(fixture, 1, 0);
    assert_true(read_set(fixture, 1, false).size[0] > 0);
    put(fixture, 0, 10);
    assert_true(read_set(fixture, 1, true).size[1] > 0);
    put(fixture, 1, 10);
    assert_true(read_set(fixture, 1, true).size[0] > 0);
}

static void incremental_answer_names_only_what_is_new(void **state)
{
    struct fetch_fixture *fixture = *state;
    put(fixture, 0, 0);
    put(fixture, 1, 0);
    assert_int_equal(read_set(fixture, 1000, false).count, 2);
    assert_int_equal(read_set(fixture, 1000, true).count, 0);
    fill(fixture, 1, 1);
    struct answer answer = read_set(fixture, 1000, true);
    assert_int_equal(answer.count, 1);
    assert_true(answer.size[1] > 0);
}

static void what_is_not_durable_is_not_given(void **state)
{
    struct fetch_fixture *fixture = *state;
    (void)broker_fixture_append(topic_partition(fixture->topic, 0), 1);
    put(fixture, 0, 0);
    assert_int_equal(read_set(fixture, 1000, false).size[0], 0);
    fixture_flush(&fixture->broker.base);
    assert_true(read_set(fixture, 1000, true).size[0] > 0);
}

static void unknown_partitions_epochs_and_offsets_have_their_codes(void **state)
{
    struct fetch_fixture *fixture = *state;
    put_as(fixture, "none", 0, 0, -1);
    put_as(fixture, "events", 1, 5, -1);
    put_as(fixture, "events", 2, 0, 1000);
    struct answer answer = read_set(fixture, 1000, false);
    assert_true(answer.has_error);
    assert_int_equal(answer.code[0], KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(answer.code[1], KAFKA_OFFSET_OUT_OF_RANGE);
    assert_int_equal(answer.start[1], -1);
    assert_int_equal(answer.stable[1], -1);
    assert_int_equal(answer.code[2], KAFKA_UNKNOWN_LEADER_EPOCH);
    topic_unref(broker_fixture_make(&fixture->broker, "none", 1));
    answer = read_set(fixture, 1000, true);
    assert_int_equal(answer.code[0], KAFKA_NONE);
}

static void forgotten_partition_is_not_read(void **state)
{
    struct fetch_fixture *fixture = *state;
    fill(fixture, 0, 1);
    put(fixture, 0, 0);
    put(fixture, 1, 0);
    fetch_set_forget(&fixture->set, span_text("events"), (struct uuid){{0}}, 0);
    fetch_set_forget(&fixture->set, span_text("events"), (struct uuid){{0}}, 2);
    struct answer answer = read_set(fixture, 1000, false);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.size[0], -1);
}

static struct err resume(struct request *request)
{
    struct fetch_fixture *fixture = request->parked;
    fixture->resume_count++;
    return ERR_NONE;
}

static int resumed(struct fetch_fixture *fixture)
{
    assert_ok(reactor_step(fixture->reactor, 0));
    return fixture->resume_count;
}

static void waiting_request_is_woken_once_by_enough_bytes(void **state)
{
    struct fetch_fixture *fixture = *state;
    put(fixture, 0, 0);
    put(fixture, 1, 0);
    (void)read_set(fixture, 1 << 20, false);
    request_park(&fixture->request, resume);
    assert_true(fetch_set_wait(&fixture->set, &fixture->request, 2000));
    fill(fixture, 0, 10); /* about 1,100 bytes */
    assert_int_equal(resumed(fixture), 0);
    fill(fixture, 1, 10);
    assert_int_equal(resumed(fixture), 1);
    fill(fixture, 1, 30);
    assert_int_equal(resumed(fixture), 1);
    assert_false(fetch_set_stop_waiting(&fixture->set));
}

static void bytes_that_came_since_the_read_need_no_wait(void **state)
{
    struct fetch_fixture *fixture = *state;
    put(fixture, 0, 0);
    (void)read_set(fixture, 1 << 20, false);
    fill(fixture, 0, 30);
    assert_false(fetch_set_wait(&fixture->set, &fixture->request, 2000));
    (void)read_set(fixture, 1 << 20, true);
    assert_true(fetch_set_wait(&fixture->set, &fixture->request, 2000));
    assert_true(fetch_set_stop_waiting(&fixture->set));
}

static void deletion_wakes_who_waits_and_is_told(void **state)
{
    struct fetch_fixture *fixture = *state;
    put(fixture, 0, 0);
    (void)read_set(fixture, 1000, false);
    request_park(&fixture->request, resume);
    assert_true(fetch_set_wait(&fixture->set, &fixture->request, 2000));
    assert_ok(admin_delete_topic(fixture->broker.broker, fixture->topic, NULL, NULL));
    assert_int_equal(resumed(fixture), 1);
    assert_int_equal(read_set(fixture, 1000, true).code[0], KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

static void session_is_continued_by_its_next_epoch_alone(void **state)
{
    struct fetch_fixture *fixture = *state;
    struct fetch_sessions *sessions;
    assert_ok(fetch_sessions_create(fixture->broker.broker, &sessions));
    struct fetch_session *session = fetch_session_open(sessions, false);
    assert_non_null(session);
    int32_t id = session->id;
    struct fetch_session *taken;
    assert_int_equal(fetch_session_take(sessions, id, 1, &taken),
                     KAFKA_INVALID_FETCH_SESSION_EPOCH); /* still in use */
    fetch_session_release(sessions, session);
    assert_int_equal(fetch_session_take(sessions, id, 2, &taken),
                     KAFKA_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(fetch_session_take(sessions, id ^ 1, 1, &taken),
                     KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(fetch_session_take(sessions, id, 1, &taken), KAFKA_NONE);
    assert_ptr_equal(taken, session);
    taken->epoch = INT32_MAX;
    fetch_session_release(sessions, taken);
    assert_int_equal(fetch_session_take(sessions, id, INT32_MAX, &taken), KAFKA_NONE);
    assert_int_equal(taken->epoch, 1);
    fetch_session_close(sessions, id); /* while it is in use: freed when given back */
    assert_int_equal(fetch_session_count(sessions), 0);
    fetch_session_release(sessions, taken);
    fetch_sessions_destroy(sessions);
}

static void full_table_gives_up_only_what_was_unused_for_two_minutes(void **state)
{
    struct fetch_fixture *fixture = *state;
    broker_fixture_set(&fixture->broker, "max.incremental.fetch.session.cache.slots", "2");
    struct fetch_sessions *sessions;
    assert_ok(fetch_sessions_create(fixture->broker.broker, &sessions));
    struct fetch_session *first = fetch_session_open(sessions, false);
    struct fetch_session *second = fetch_session_open(sessions, false);
    int32_t ids[] = {first->id, second->id};
    fetch_session_release(sessions, first);
    fetch_session_release(sessions, second);
    fixture->broker.base.time.now_ms += 119999;
    assert_null(fetch_session_open(sessions, false));
    struct fetch_session *taken;
    assert_int_equal(fetch_session_take(sessions, ids[0], 1, &taken), KAFKA_NONE);
    fetch_session_release(sessions, taken); /* now the second is unused longest */
    fixture->broker.base.time.now_ms += 1;
    struct fetch_session *third = fetch_session_open(sessions, false);
    assert_non_null(third);
    assert_int_equal(fetch_session_take(sessions, ids[1], 1, &taken),
                     KAFKA_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(fetch_session_take(sessions, ids[0], 2, &taken), KAFKA_NONE);
    fetch_session_release(sessions, taken);
    fetch_session_release(sessions, third);
    fetch_sessions_destroy(sessions);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_batch_is_given_whatever_the_limit),
        TEST(partition_without_room_gets_its_turn_next_without_new_data),
        TEST(busy_partition_does_not_starve_the_others),
        TEST(incremental_answer_names_only_what_is_new),
        TEST(what_is_not_durable_is_not_given),
        TEST(unknown_partitions_epochs_and_offsets_have_their_codes),
        TEST(forgotten_partition_is_not_read),
        TEST(waiting_request_is_woken_once_by_enough_bytes),
        TEST(bytes_that_came_since_the_read_need_no_wait),
        TEST(deletion_wakes_who_waits_and_is_told),
        TEST(session_is_continued_by_its_next_epoch_alone),
        TEST(full_table_gives_up_only_what_was_unused_for_two_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
