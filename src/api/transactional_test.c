/* The transactional APIs by request and answer: versions, codes, and what other requests see. */
#include "support/api_fixture.h"

#include "coord/transactions.h"

#include "wire/add_partitions_to_txn.h"
#include "wire/describe_producers.h"
#include "wire/describe_transactions.h"
#include "wire/end_txn.h"
#include "wire/fetch.h"
#include "wire/init_producer_id.h"
#include "wire/list_transactions.h"
#include "wire/produce.h"
#include "wire/txn_offset_commit.h"
#include "wire/write_txn_markers.h"

struct producer {
    int64_t id;
    int16_t epoch;
};

static int setup(void **state)
{
    static struct api_fixture fixture;
    api_fixture_init(&fixture);
    int64_t commit;
    struct transactions *transactions = coord_transactions(fixture.coord.coord);
    assert_true(err_is(transactions_prepare(transactions, &commit, NULL), ERR_AGAIN));
    coord_fixture_flush(&fixture.coord);
    assert_ok(transactions_prepare(transactions, &commit, NULL));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    api_fixture_deinit(*state);
    return 0;
}

static struct producer init_as(struct api_fixture *fixture, const char *transactional_id)
{
    struct init_producer_id_request asked;
    struct init_producer_id_response answer;
    init_producer_id_request_init(&asked);
    asked.transactional_id = span_text(transactional_id);
    asked.transaction_timeout_ms = 60000;
    API_ASK(fixture, API_INIT_PRODUCER_ID, init_producer_id, 5, &asked, &answer);
    assert_int_equal(answer.error_code, KAFKA_NONE);
    return (struct producer){.id = answer.producer_id, .epoch = answer.producer_epoch};
}

static struct producer init(struct api_fixture *fixture)
{
    return init_as(fixture, "tx");
}

/* Adds partitions 0 and `second` of a topic, as an older client does; the codes of both. */
static void add(struct api_fixture *fixture, int16_t version, struct producer producer,
                const char *name, int32_t second, int16_t codes[2])
{
    int32_t numbers[2] = {0, second};
    struct add_partitions_to_txn_request_topic topic = {
        .name = span_text(name), .partitions = numbers, .partitions_count = 2};
    struct add_partitions_to_txn_request asked;
    struct add_partitions_to_txn_response answer;
    add_partitions_to_txn_request_init(&asked);
    asked.v3_and_below_transactional_id = span_text("tx");
    asked.v3_and_below_producer_id = producer.id;
    asked.v3_and_below_producer_epoch = producer.epoch;
    asked.v3_and_below_topics = &topic;
    asked.v3_and_below_topics_count = 1;
    API_ASK(fixture, API_ADD_PARTITIONS_TO_TXN, add_partitions_to_txn, version, &asked, &answer);
    CHECK(answer.results_by_topic_v3_and_below_count == 1);
    for (size_t i = 0; i < 2; i++)
        codes[i] =
            answer.results_by_topic_v3_and_below[0].results_by_partition[i].partition_error_code;
}

/* Asks whether partition 0 of events is in, as a broker does. */
static int16_t verify(struct api_fixture *fixture, struct producer producer)
{
    int32_t number = 0;
    struct add_partitions_to_txn_request_topic topic = {
        .name = span_text("events"), .partitions = &number, .partitions_count = 1};
    struct add_partitions_to_txn_request_transaction transaction = {
        .transactional_id = span_text("tx"),
        .producer_id = producer.id,
        .producer_epoch = producer.epoch,
        .verify_only = true,
        .topics = &topic,
        .topics_count = 1};
    struct add_partitions_to_txn_request asked;
    struct add_partitions_to_txn_response answer;
    add_partitions_to_txn_request_init(&asked);
    asked.transactions = &transaction;
    asked.transactions_count = 1;
    API_ASK(fixture, API_ADD_PARTITIONS_TO_TXN, add_partitions_to_txn, 5, &asked, &answer);
    return answer.results_by_transaction[0]
        .topic_results[0]
        .results_by_partition[0]
        .partition_error_code;
}

static int16_t produce_as(struct api_fixture *fixture, struct span id, int16_t version,
                          struct producer producer, int32_t partition, int32_t sequence)
{
    struct buf bytes;
    struct batch_builder builder;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct span batch;
    buf_init(&bytes, 1 << 16);
    options.producer_id = producer.id;
    options.producer_epoch = producer.epoch;
    options.base_sequence = sequence;
    options.is_transactional = true;
    batch_build_begin(&builder, &options, &bytes);
    assert_ok(batch_build_add(
        &builder, &(struct record){.timestamp = 1700000000000, .value = span_text("v")}));
    assert_ok(batch_build_end(&builder, &batch, NULL));
    struct produce_request_partition data = {.index = partition, .records.bytes = batch};
    struct produce_request_topic topic = {
        .name = span_text("events"), .partition_data = &data, .partition_data_count = 1};
    struct produce_request asked;
    struct produce_response answer;
    produce_request_init(&asked);
    asked.transactional_id = id;
    asked.acks = -1;
    asked.topic_data = &topic;
    asked.topic_data_count = 1;
    API_ASK(fixture, API_PRODUCE, produce, version, &asked, &answer);
    buf_deinit(&bytes);
    return answer.responses[0].partition_responses[0].error_code;
}

static int16_t produce(struct api_fixture *fixture, int16_t version, struct producer producer,
                       int32_t partition, int32_t sequence)
{
    return produce_as(fixture, span_text("tx"), version, producer, partition, sequence);
}

static int16_t end(struct api_fixture *fixture, int16_t version, struct producer *producer,
                   bool is_commit)
{
    struct end_txn_request asked = {.transactional_id = span_text("tx"),
                                    .producer_id = producer->id,
                                    .producer_epoch = producer->epoch,
                                    .committed = is_commit};
    struct end_txn_response answer;
    API_ASK(fixture, API_END_TXN, end_txn, version, &asked, &answer);
    if (answer.error_code == KAFKA_NONE && version >= 5)
        *producer = (struct producer){.id = answer.producer_id, .epoch = answer.producer_epoch};
    for (int turn = 0; turn < 4; turn++) /* the markers follow the answer */
        api_fixture_turn(fixture);
    return answer.error_code;
}

struct fetched {
    int64_t high_watermark;
    int64_t stable;
    int32_t aborted_count; /* -1: null */
    size_t size;
};

static struct fetched fetch(struct api_fixture *fixture, int8_t isolation)
{
    struct fetch_request_partition partition = {
        .partition_max_bytes = 1 << 20, .current_leader_epoch = -1, .last_fetched_epoch = -1};
    struct fetch_request_topic topic = {
        .topic = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct fetch_request asked;
    struct fetch_response answer;
    fetch_request_init(&asked);
    asked.max_bytes = 1 << 20;
    asked.isolation_level = isolation;
    asked.session_epoch = -1;
    asked.topics = &topic;
    asked.topics_count = 1;
    API_ASK(fixture, API_FETCH, fetch, 11, &asked, &answer);
    const struct fetch_response_partition *found = &answer.responses[0].partitions[0];
    return (struct fetched){.high_watermark = found->high_watermark,
                            .stable = found->last_stable_offset,
                            .aborted_count = found->aborted_transactions_count,
                            .size = found->records.bytes.size};
}

static void reader_of_committed_records_waits_for_the_end(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    assert_int_equal(produce(fixture, 12, producer, 0, 0), KAFKA_NONE);
    struct fetched any = fetch(fixture, 0);
    assert_int_equal(any.high_watermark, 1);
    assert_int_equal(any.aborted_count, -1);
    assert_true(any.size > 0);
    assert_int_equal(fetch(fixture, 1).size, 0);
    assert_int_equal(fetch(fixture, 1).stable, 0);
    assert_int_equal(end(fixture, 5, &producer, true), KAFKA_NONE);
    struct fetched committed = fetch(fixture, 1);
    assert_int_equal(committed.stable, 2);
    assert_int_equal(committed.aborted_count, 0);
    assert_true(committed.size > any.size); /* and the marker */
}

static void reader_of_committed_records_is_told_what_was_aborted(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    assert_int_equal(produce(fixture, 12, producer, 0, 0), KAFKA_NONE);
    assert_int_equal(end(fixture, 5, &producer, false), KAFKA_NONE);
    assert_int_equal(fetch(fixture, 1).aborted_count, 1);
    assert_int_equal(produce(fixture, 12, producer, 0, 0), KAFKA_NONE);
    assert_int_equal(end(fixture, 5, &producer, true), KAFKA_NONE);
    assert_int_equal(fetch(fixture, 1).aborted_count, 1);
    assert_int_equal(fetch(fixture, 1).stable, 4);
}

static void older_client_must_add_its_partitions_first(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    int16_t codes[2];
    assert_int_equal(produce(fixture, 10, producer, 0, 0), KAFKA_INVALID_TXN_STATE);
    assert_int_equal(produce(fixture, 11, producer, 0, 0), KAFKA_TRANSACTION_ABORTABLE);
    assert_int_equal(verify(fixture, producer), KAFKA_TRANSACTION_ABORTABLE);
    add(fixture, 3, producer, "events", 1, codes);
    assert_int_equal(codes[0], KAFKA_NONE);
    assert_int_equal(verify(fixture, producer), KAFKA_NONE);
    assert_int_equal(produce(fixture, 10, producer, 0, 0), KAFKA_NONE);
    assert_int_equal(end(fixture, 4, &producer, true), KAFKA_NONE);
    assert_int_equal(end(fixture, 4, &producer, true), KAFKA_NONE); /* sent again */
    assert_int_equal(fetch(fixture, 1).stable, 2);
}

static void partitions_are_added_all_or_none(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    int16_t codes[2];
    add(fixture, 3, producer, "events", 99, codes);
    assert_int_equal(codes[0], KAFKA_OPERATION_NOT_ATTEMPTED);
    assert_int_equal(codes[1], KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(verify(fixture, producer), KAFKA_TRANSACTION_ABORTABLE);
}

static void fenced_is_said_in_words_that_the_version_knows(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer old = init(fixture);
    struct producer producer = init(fixture);
    int16_t codes[2];
    assert_int_equal(producer.epoch, old.epoch + 1);
    add(fixture, 1, old, "events", 1, codes);
    assert_int_equal(codes[0], KAFKA_INVALID_PRODUCER_EPOCH);
    add(fixture, 2, old, "events", 1, codes);
    assert_int_equal(codes[0], KAFKA_PRODUCER_FENCED);
    assert_int_equal(end(fixture, 1, &old, true), KAFKA_INVALID_PRODUCER_EPOCH);
    assert_int_equal(end(fixture, 2, &old, true), KAFKA_PRODUCER_FENCED);
    assert_int_equal(produce(fixture, 12, old, 0, 0), KAFKA_INVALID_PRODUCER_EPOCH);
    assert_int_equal(verify(fixture, (struct producer){.id = 4711}),
                     KAFKA_INVALID_PRODUCER_ID_MAPPING);
}

static int16_t commit_offset(struct api_fixture *fixture, int16_t version, struct producer producer)
{
    struct txn_offset_commit_request_partition partition = {
        .committed_offset = 7, .committed_leader_epoch = -1, .committed_metadata = span_text("")};
    struct txn_offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct txn_offset_commit_request asked;
    struct txn_offset_commit_response answer;
    txn_offset_commit_request_init(&asked);
    asked.transactional_id = span_text("tx");
    asked.group_id = span_text("g");
    asked.producer_id = producer.id;
    asked.producer_epoch = producer.epoch;
    asked.topics = &topic;
    asked.topics_count = 1;
    API_ASK(fixture, API_TXN_OFFSET_COMMIT, txn_offset_commit, version, &asked, &answer);
    return answer.topics[0].partitions[0].error_code;
}

static void transactional_batch_needs_the_transactional_id(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    assert_int_equal(produce_as(fixture, span_text(NULL), 12, producer, 0, 0),
                     KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_int_equal(produce(fixture, 12, producer, 0, 0), KAFKA_NONE);
    assert_int_equal(produce_as(fixture, span_text(NULL), 12, producer, 0, 1),
                     KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
}

static void offsets_join_the_transaction_by_themselves_only_in_version_2(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    assert_int_equal(commit_offset(fixture, 3, producer), KAFKA_INVALID_TXN_STATE);
    assert_int_equal(commit_offset(fixture, 4, producer), KAFKA_TRANSACTION_ABORTABLE);
    assert_int_equal(commit_offset(fixture, 5, producer), KAFKA_NONE);
    assert_int_equal(commit_offset(fixture, 4, producer), KAFKA_NONE);
    struct producer old = {.id = producer.id, .epoch = (int16_t)(producer.epoch - 1)};
    assert_int_equal(commit_offset(fixture, 5, old), KAFKA_INVALID_PRODUCER_EPOCH);
}

static struct describe_producers_response_producer describe_producer(struct api_fixture *fixture)
{
    int32_t number = 0;
    struct describe_producers_request_topic topic = {
        .name = span_text("events"), .partition_indexes = &number, .partition_indexes_count = 1};
    struct describe_producers_request asked = {.topics = &topic, .topics_count = 1};
    struct describe_producers_response answer;
    API_ASK(fixture, API_DESCRIBE_PRODUCERS, describe_producers, 0, &asked, &answer);
    CHECK(answer.topics[0].partitions[0].active_producers_count == 1);
    return answer.topics[0].partitions[0].active_producers[0];
}

/* What kafka-transactions.sh abort does with a transaction that hangs. */
static void hanging_transaction_is_found_and_aborted_by_hand(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    assert_int_equal(produce(fixture, 12, producer, 0, 0), KAFKA_NONE);
    struct describe_producers_response_producer seen = describe_producer(fixture);
    assert_int_equal(seen.producer_id, producer.id);
    assert_int_equal(seen.current_txn_start_offset, 0);
    assert_int_equal(seen.last_sequence, 0);
    int32_t number = 0;
    struct write_txn_markers_request_topic topic = {
        .name = span_text("events"), .partition_indexes = &number, .partition_indexes_count = 1};
    struct write_txn_markers_request_marker marker = {.producer_id = producer.id,
                                                      .producer_epoch = producer.epoch,
                                                      .topics = &topic,
                                                      .topics_count = 1,
                                                      .coordinator_epoch = 0};
    struct write_txn_markers_request asked = {.markers = &marker, .markers_count = 1};
    struct write_txn_markers_response answer;
    API_ASK(fixture, API_WRITE_TXN_MARKERS, write_txn_markers, 1, &asked, &answer);
    assert_int_equal(answer.markers[0].topics[0].partitions[0].error_code, KAFKA_NONE);
    assert_int_equal(fetch(fixture, 1).aborted_count, 1);
    assert_int_equal(describe_producer(fixture).current_txn_start_offset, -1);
    marker.transaction_version = 2; /* whose epoch must be above that of the records */
    assert_int_equal(produce(fixture, 12, producer, 0, 1), KAFKA_NONE);
    API_ASK(fixture, API_WRITE_TXN_MARKERS, write_txn_markers, 2, &asked, &answer);
    assert_int_equal(answer.markers[0].topics[0].partitions[0].error_code,
                     KAFKA_INVALID_PRODUCER_EPOCH);
    number = 99;
    API_ASK(fixture, API_WRITE_TXN_MARKERS, write_txn_markers, 2, &asked, &answer);
    assert_int_equal(answer.markers[0].topics[0].partitions[0].error_code,
                     KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

static struct list_transactions_response list(struct api_fixture *fixture, const char *pattern)
{
    struct list_transactions_request asked;
    struct list_transactions_response answer;
    list_transactions_request_init(&asked);
    asked.duration_filter = -1;
    asked.transactional_id_pattern = text_or_null(pattern);
    API_ASK(fixture, API_LIST_TRANSACTIONS, list_transactions, 2, &asked, &answer);
    return answer;
}

/* How many are listed with the filters. state NULL, producer_id -1: no such filter. */
static int32_t list_filtered(struct api_fixture *fixture, const char *state, int64_t producer_id,
                             struct list_transactions_response *answer)
{
    struct span name = text_or_null(state);
    struct list_transactions_request asked;
    list_transactions_request_init(&asked);
    asked.duration_filter = -1;
    asked.state_filters = &name;
    asked.state_filters_count = state != NULL;
    asked.producer_id_filters = &producer_id;
    asked.producer_id_filters_count = producer_id >= 0;
    API_ASK(fixture, API_LIST_TRANSACTIONS, list_transactions, 2, &asked, answer);
    assert_int_equal(answer->error_code, KAFKA_NONE);
    return answer->transaction_states_count;
}

static void transactions_are_listed_by_state_and_producer_in_order(void **state)
{
    struct api_fixture *fixture = *state;
    struct list_transactions_response answer;
    struct producer second = init_as(fixture, "zz");
    struct producer first = init(fixture);
    assert_int_equal(produce(fixture, 12, first, 1, 0), KAFKA_NONE);
    assert_int_equal(list_filtered(fixture, NULL, -1, &answer), 2);
    assert_true(span_equal_text(answer.transaction_states[0].transactional_id, "tx"));
    assert_true(span_equal_text(answer.transaction_states[1].transactional_id, "zz"));
    assert_int_equal(list_filtered(fixture, "Ongoing", -1, &answer), 1);
    assert_int_equal(answer.transaction_states[0].producer_id, first.id);
    assert_int_equal(list_filtered(fixture, NULL, second.id, &answer), 1);
    assert_true(span_equal_text(answer.transaction_states[0].transactional_id, "zz"));
    assert_int_equal(list_filtered(fixture, "Ongoing", second.id, &answer), 0);
    assert_int_equal(list_filtered(fixture, "Sleeping", -1, &answer), 0);
    assert_int_equal(answer.unknown_state_filters_count, 1);
}

static void transactions_are_listed_by_pattern_and_described(void **state)
{
    struct api_fixture *fixture = *state;
    struct producer producer = init(fixture);
    assert_int_equal(produce(fixture, 12, producer, 1, 0), KAFKA_NONE);
    assert_int_equal(list(fixture, NULL).transaction_states_count, 1);
    assert_int_equal(list(fixture, "t.").transaction_states_count, 1);
    assert_int_equal(list(fixture, "t").transaction_states_count, 0); /* not the whole id */
    assert_int_equal(list(fixture, "(").error_code, KAFKA_INVALID_REGULAR_EXPRESSION);
    struct span ids[2] = {span_text("tx"), span_text("nobody")};
    struct describe_transactions_request asked = {.transactional_ids = ids,
                                                  .transactional_ids_count = 2};
    struct describe_transactions_response answer;
    API_ASK(fixture, API_DESCRIBE_TRANSACTIONS, describe_transactions, 0, &asked, &answer);
    assert_true(span_equal_text(answer.transaction_states[0].transaction_state, "Ongoing"));
    assert_int_equal(answer.transaction_states[0].topics[0].partitions[0], 1);
    assert_int_equal(answer.transaction_states[1].error_code, KAFKA_TRANSACTIONAL_ID_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(reader_of_committed_records_waits_for_the_end),
        TEST(reader_of_committed_records_is_told_what_was_aborted),
        TEST(older_client_must_add_its_partitions_first),
        TEST(partitions_are_added_all_or_none),
        TEST(fenced_is_said_in_words_that_the_version_knows),
        TEST(transactional_batch_needs_the_transactional_id),
        TEST(offsets_join_the_transaction_by_themselves_only_in_version_2),
        TEST(hanging_transaction_is_found_and_aborted_by_hand),
        TEST(transactions_are_listed_by_state_and_producer_in_order),
        TEST(transactions_are_listed_by_pattern_and_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
