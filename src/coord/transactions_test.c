/*
 * transactions: whole transactions over data and offsets, through crashes, faults and time.
 */
#include "support/transaction_client.h"

static int setup(void **state)
{
    static struct coord_fixture fixture;
    transaction_fixture_begin(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    coord_fixture_deinit(*state);
    return 0;
}

static void committed_records_and_offsets_show_together_at_the_end(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    int16_t code;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 42), KAFKA_NONE);
    coord_fixture_flush(fixture);
    assert_int_equal(offsets_of(fixture, 0).high_watermark, 1);
    assert_int_equal(offsets_of(fixture, 0).stable, 0);
    assert_int_equal(committed_offset(fixture, &code), -1);
    assert_int_equal(code, KAFKA_UNSTABLE_OFFSET_COMMIT);
    assert_string_equal(state_name_of(fixture), "Ongoing");
    assert_int_equal(producer_end(fixture, &producer, true), KAFKA_NONE);
    assert_string_equal(state_name_of(fixture), "CompleteCommit");
    assert_int_equal(producer.epoch, 1);
    assert_int_equal(offsets_of(fixture, 0).stable, 2);
    assert_int_equal(offsets_of(fixture, 1).stable, 2);
    assert_int_equal(count_aborted(fixture, 0), 0);
    assert_int_equal(committed_offset(fixture, &code), 42);
    assert_int_equal(code, KAFKA_NONE);
}

static void aborted_records_are_named_and_their_offsets_are_gone(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    int16_t code;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 42), KAFKA_NONE);
    assert_int_equal(producer_end(fixture, &producer, false), KAFKA_NONE);
    assert_int_equal(offsets_of(fixture, 1).stable, 2);
    assert_int_equal(count_aborted(fixture, 0), 1);
    assert_int_equal(count_aborted(fixture, 1), 1);
    assert_int_equal(committed_offset(fixture, &code), -1);
    assert_int_equal(code, KAFKA_NONE);
}

static void plain_commit_after_a_pending_one_stays(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    int16_t code;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 42), KAFKA_NONE);
    struct offset_commit_request_partition partition = {
        .committed_offset = 50, .committed_leader_epoch = -1, .committed_metadata = span_text("")};
    struct offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = span_text("g");
    request.generation_id_or_member_epoch = -1;
    request.member_id = span_text("");
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    struct offset_commit_response response = {0};
    struct coord_commit commit;
    arena_reset(&fixture->arena);
    assert_ok(
        coord_commit_offsets(fixture->coord, &request, NULL, &fixture->arena, &response, &commit));
    topic_unref(commit.topic);
    assert_int_equal(producer_end(fixture, &producer, true), KAFKA_NONE);
    assert_int_equal(committed_offset(fixture, &code), 50);
}

/* KIP-890: what was delayed belongs to an epoch that is over. */
static void delayed_write_of_an_ended_transaction_is_fenced(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 42), KAFKA_NONE);
    struct producer old = producer;
    assert_int_equal(producer_end(fixture, &producer, true), KAFKA_NONE);
    assert_int_equal(producer_write(fixture, &old, 0, 1, NULL), APPEND_FENCED);
    assert_int_equal(producer_commit_offset(fixture, &old, 1), KAFKA_INVALID_PRODUCER_EPOCH);
}

static void write_that_a_marker_overtook_begins_nothing(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    struct append_guard stale = {.marker_offset = -1}; /* of before the marker */
    assert_int_equal(producer_end(fixture, &producer, false), KAFKA_NONE);
    assert_int_equal(producer_write(fixture, &producer, 0, 0, &stale), APPEND_NOT_IN_TRANSACTION);
    assert_int_equal(producer_write(fixture, &producer, 0, 0, NULL), APPEND_DONE);
}

static void next_transaction_of_version_2_may_be_asked_for_before_the_marker(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    struct producer old = producer;
    struct append_guard stale = {.marker_offset = -1, .is_version_2 = true};
    assert_int_equal(producer_end(fixture, &producer, true), KAFKA_NONE);
    assert_int_equal(producer_write(fixture, &old, 0, 1, &stale), APPEND_FENCED);
    assert_int_equal(producer_write(fixture, &producer, 0, 0, &stale), APPEND_DONE);
}

static void addition_amid_an_end_waits_for_it(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    coord_fixture_flush(fixture);
    producer_ask_end(fixture, &producer, true);
    struct producer next = producer;
    next.epoch++;
    producer_ask_add(fixture, &next);
    assert_int_equal(next.count, 0);
    coord_fixture_flush(fixture);
    assert_int_equal(producer.count, 1);
    assert_int_equal(next.count, 1);
    assert_int_equal(next.wait.code, KAFKA_NONE);
    assert_string_equal(state_name_of(fixture), "Ongoing");
}

static void transaction_whose_time_is_over_is_aborted_and_its_producer_fenced(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    assert_int_equal(producer_init_as(fixture, &producer, 5000), KAFKA_NONE);
    producer_write_both(fixture, &producer);
    coord_fixture_pass(fixture, 4900);
    coord_fixture_flush(fixture);
    assert_string_equal(state_name_of(fixture), "Ongoing");
    coord_fixture_pass(fixture, 200);
    coord_fixture_flush(fixture);
    assert_string_equal(state_name_of(fixture), "CompleteAbort");
    assert_int_equal(count_aborted(fixture, 0), 1);
    assert_int_equal(producer_write(fixture, &producer, 0, 1, NULL), APPEND_FENCED);
    assert_int_equal(producer_end(fixture, &producer, true), KAFKA_INVALID_TXN_STATE);
}

static void second_instance_aborts_what_the_first_left_open(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer first;
    struct producer second;
    producer_init(fixture, &first);
    producer_write_both(fixture, &first);
    assert_int_equal(producer_init_as(fixture, &second, 60000), KAFKA_CONCURRENT_TRANSACTIONS);
    producer_init(fixture, &second);
    assert_int_equal(second.id, first.id);
    assert_true(second.epoch > first.epoch);
    assert_int_equal(count_aborted(fixture, 0), 1);
    assert_int_equal(producer_add(fixture, &first), KAFKA_PRODUCER_FENCED);
}

static void unused_id_is_forgotten(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    producer_init(fixture, &producer);
    assert_string_equal(state_name_of(fixture), "Empty");
    coord_fixture_pass(fixture, (int64_t)7 * 24 * 3600 * 1000 + 3600 * 1000);
    coord_fixture_pass(fixture, 3600 * 1000);
    coord_fixture_flush(fixture);
    assert_string_equal(state_name_of(fixture), "");
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    assert_string_equal(state_name_of(fixture), "");
}

static void bad_timeouts_are_refused(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    assert_int_equal(producer_init_as(fixture, &producer, 0), KAFKA_INVALID_TRANSACTION_TIMEOUT);
    assert_int_equal(producer_init_as(fixture, &producer, 900001),
                     KAFKA_INVALID_TRANSACTION_TIMEOUT);
}

static void marker_on_a_full_disk_is_written_when_there_is_room(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    coord_fixture_flush(fixture);
    producer_ask_end(fixture, &producer, true);
    struct store_flush_result result;
    mem_disk_fail(fixture->broker.base.disk, MEM_DISK_WRITE, 1);
    assert_ok(store_flush_step(fixture->broker.base.store, &result, &fixture->broker.base.diag));
    coord_fixture_flush(fixture);
    assert_true(mem_disk_has_failed(fixture->broker.base.disk));
    assert_int_equal(producer.wait.code, KAFKA_NONE);
    assert_string_equal(state_name_of(fixture), "PrepareCommit");
    coord_fixture_pass(fixture, 1000);
    coord_fixture_flush(fixture);
    assert_string_equal(state_name_of(fixture), "CompleteCommit");
    assert_int_equal(offsets_of(fixture, 0).stable, 2);
    assert_int_equal(offsets_of(fixture, 1).stable, 2);
}

/* One whole transaction; true where its commit was answered. Stops where the power goes out. */
static bool run_until_dark(struct coord_fixture *fixture, struct producer *producer)
{
    struct diag *diag = &fixture->broker.base.diag;
    struct store *store = fixture->broker.base.store;
    struct store_flush_result result = {.is_more = true};
    producer_ask_end(fixture, producer, true);
    while (result.is_more && !err_failed(store_flush_step(store, &result, diag)))
        continue;
    return producer->count == 1 && producer->wait.code == KAFKA_NONE;
}

/*
 * W8: power goes out at each sync of an end in turn. What was answered as committed is committed
 * everywhere; in any case the transaction is decided in the same way everywhere, its offsets with
 * its records.
 */
static void W8_crash_at_any_sync_of_an_end_decides_it_as_one(void **state)
{
    struct coord_fixture *fixture = *state;
    bool was_committed = false;
    bool was_aborted = false;
    for (uint32_t sync = 1; sync <= 8; sync++) {
        struct producer producer;
        int16_t code;
        while (producer_init_as(fixture, &producer, 60000) != KAFKA_NONE)
            continue;
        int64_t aborted_before = (int64_t)count_aborted(fixture, 0);
        producer_write_both(fixture, &producer);
        assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 100 + sync),
                         KAFKA_NONE);
        coord_fixture_flush(fixture);
        mem_disk_power_off(fixture->broker.base.disk, sync);
        bool is_answered = run_until_dark(fixture, &producer);
        mem_disk_power_off(fixture->broker.base.disk, 0);
        coord_fixture_crash(fixture);
        coord_fixture_load(fixture);
        coord_fixture_flush(fixture);
        while (producer_init_as(fixture, &producer, 60000) !=
               KAFKA_NONE) /* aborts what is still open */
            continue;
        bool is_aborted = (int64_t)count_aborted(fixture, 0) > aborted_before;
        assert_int_equal(count_aborted(fixture, 0), count_aborted(fixture, 1));
        assert_int_equal(committed_offset(fixture, &code) == 100 + sync, !is_aborted);
        assert_int_equal(code, KAFKA_NONE);
        assert_false(is_answered && is_aborted);
        assert_int_equal(offsets_of(fixture, 0).stable, offsets_of(fixture, 0).high_watermark);
        assert_int_equal(offsets_of(fixture, 1).stable, offsets_of(fixture, 1).high_watermark);
        was_committed = was_committed || !is_aborted;
        was_aborted = was_aborted || is_aborted;
    }
    assert_true(was_committed && was_aborted);
}

static void open_transaction_survives_a_restart_and_ends(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    int16_t code;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 42), KAFKA_NONE);
    coord_fixture_flush(fixture);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    assert_int_equal(offsets_of(fixture, 0).stable, 0);
    (void)committed_offset(fixture, &code);
    assert_int_equal(code, KAFKA_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(producer_write(fixture, &producer, 0, 1, NULL), APPEND_DONE);
    assert_int_equal(producer_end(fixture, &producer, true), KAFKA_NONE);
    assert_int_equal(offsets_of(fixture, 0).stable, 3);
    assert_int_equal(committed_offset(fixture, &code), 42);
}

/* All background work, the broker's logs compacted as far as they may be. */
static void compact(struct coord_fixture *fixture)
{
    struct fixture *base = &fixture->broker.base;
    coord_fixture_flush(fixture);
    fixture_work(base);
    base->time.now_ms += 20 * 1000; /* compaction's next look */
    fixture_work(base);
}

/* So that little is enough to fill a segment, which is then compacted. */
static void shrink_segments(struct coord_fixture *fixture, const char *name)
{
    struct topic *topic = broker_find_topic(fixture->broker.broker, span_text(name));
    struct log_config config = LOG_CONFIG_DEFAULT;
    config.segment_size = 2000;
    config.is_deleted = false;
    config.is_compacted = true;
    for (int32_t i = 0; i < topic_partition_count(topic); i++)
        log_configure(topic_partition(topic, i)->log, &config);
    topic_unref(topic);
}

static int64_t size_of(struct coord_fixture *fixture, const char *name)
{
    struct topic *topic = broker_find_topic(fixture->broker.broker, span_text(name));
    int64_t size = 0;
    for (int32_t i = 0; i < topic_partition_count(topic); i++)
        size += log_size(topic_partition(topic, i)->log);
    topic_unref(topic);
    return size;
}

static void groups_and_transactions_are_the_same_after_compaction_and_a_crash(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    int16_t code;
    shrink_segments(fixture, TOPIC_OFFSETS);
    shrink_segments(fixture, TOPIC_TRANSACTIONS);
    producer_init(fixture, &producer);
    for (int i = 0; i < 200; i++) {
        producer_write_both(fixture, &producer);
        assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 100 + i), KAFKA_NONE);
        assert_int_equal(producer_end(fixture, &producer, i % 5 != 4), KAFKA_NONE);
    }
    int64_t offsets_size = size_of(fixture, TOPIC_OFFSETS);
    int64_t states_size = size_of(fixture, TOPIC_TRANSACTIONS);
    compact(fixture);
    assert_true(size_of(fixture, TOPIC_OFFSETS) < offsets_size / 2);
    assert_true(size_of(fixture, TOPIC_TRANSACTIONS) < states_size / 2);
    /* One that is open meanwhile is not touched. */
    producer_write_both(fixture, &producer);
    assert_int_equal(producer_add_and_commit_offset(fixture, &producer, 500), KAFKA_NONE);
    compact(fixture);
    for (int round = 0; round < 2; round++) {
        coord_fixture_crash(fixture);
        coord_fixture_load(fixture);
        (void)committed_offset(fixture, &code);
        assert_int_equal(code, KAFKA_UNSTABLE_OFFSET_COMMIT);
        assert_string_equal(state_name_of(fixture), "Ongoing");
        compact(fixture);
    }
    assert_int_equal(producer_end(fixture, &producer, false), KAFKA_NONE);
    assert_int_equal(committed_offset(fixture, &code), 298); /* the last that was committed */
    assert_int_equal(code, KAFKA_NONE);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    assert_int_equal(committed_offset(fixture, &code), 298);
    assert_string_equal(state_name_of(fixture), "CompleteAbort");
}

static void transactions_are_listed_by_state_and_age(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    struct span filters[2] = {span_text("Ongoing"), span_text("Nonsense")};
    struct list_transactions_request request;
    struct list_transactions_response response;
    list_transactions_request_init(&request);
    request.duration_filter = -1;
    producer_init(fixture, &producer);
    producer_write_both(fixture, &producer);
    list_transactions_response_init(&response);
    arena_reset(&fixture->arena);
    request.state_filters = filters;
    request.state_filters_count = 2;
    assert_ok(transactions_list(transactions_of(fixture), &request, &fixture->arena, &response));
    assert_int_equal(response.transaction_states_count, 1);
    assert_int_equal(response.unknown_state_filters_count, 1);
    assert_true(span_equal_text(response.transaction_states[0].transactional_id, "tx"));
    request.duration_filter = 1000;
    list_transactions_response_init(&response);
    assert_ok(transactions_list(transactions_of(fixture), &request, &fixture->arena, &response));
    assert_int_equal(response.transaction_states_count, 0);
    struct transaction_counts counts;
    transactions_count(transactions_of(fixture), &counts);
    assert_int_equal(counts.by_state[TRANSACTION_ONGOING], 1);
}

static void unknown_transactional_id_is_told_so(void **state)
{
    struct coord_fixture *fixture = *state;
    struct transactions *transactions = transactions_of(fixture);
    struct producer producer;
    int16_t codes[2] = {KAFKA_NONE, KAFKA_NONE};
    producer_init(fixture, &producer);
    producer_ask_add(fixture, &producer);
    coord_fixture_flush(fixture);
    transactions_verify(transactions, span_text("nobody"), &producer.add, codes);
    assert_int_equal(codes[1], KAFKA_INVALID_PRODUCER_ID_MAPPING);
    transactions_verify(transactions, span_text(""), &producer.add, codes);
    assert_int_equal(codes[1], KAFKA_INVALID_REQUEST);
    producer.count = 0;
    transactions_add(transactions, span_text("nobody"), &producer.add, &producer.wait);
    assert_int_equal(producer.count, 1);
    assert_int_equal(producer.wait.code, KAFKA_INVALID_PRODUCER_ID_MAPPING);
}

static void only_partitions_of_the_transaction_are_verified(void **state)
{
    struct coord_fixture *fixture = *state;
    struct producer producer;
    int16_t codes[2];
    producer_init(fixture, &producer);
    producer_ask_add(fixture, &producer);
    coord_fixture_flush(fixture);
    producer.places[1].partition = 3;
    transactions_verify(transactions_of(fixture), span_text("tx"), &producer.add, codes);
    assert_int_equal(codes[0], KAFKA_NONE);
    assert_int_equal(codes[1], KAFKA_TRANSACTION_ABORTABLE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(committed_records_and_offsets_show_together_at_the_end),
        TEST(aborted_records_are_named_and_their_offsets_are_gone),
        TEST(plain_commit_after_a_pending_one_stays),
        TEST(delayed_write_of_an_ended_transaction_is_fenced),
        TEST(write_that_a_marker_overtook_begins_nothing),
        TEST(next_transaction_of_version_2_may_be_asked_for_before_the_marker),
        TEST(addition_amid_an_end_waits_for_it),
        TEST(transaction_whose_time_is_over_is_aborted_and_its_producer_fenced),
        TEST(second_instance_aborts_what_the_first_left_open),
        TEST(unused_id_is_forgotten),
        TEST(bad_timeouts_are_refused),
        TEST(marker_on_a_full_disk_is_written_when_there_is_room),
        TEST(W8_crash_at_any_sync_of_an_end_decides_it_as_one),
        TEST(open_transaction_survives_a_restart_and_ends),
        TEST(groups_and_transactions_are_the_same_after_compaction_and_a_crash),
        TEST(transactions_are_listed_by_state_and_age),
        TEST(unknown_transactional_id_is_told_so),
        TEST(only_partitions_of_the_transaction_are_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
