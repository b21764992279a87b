/*
 * transaction_client: a producer in transactions that asks a coordinator by hand, for the tests of
 * src/coord.
 *
 * As a client of transactions v2 it writes to two partitions of "events" and commits an offset of
 * the group "g", then ends. The transactional id is "tx".
 */
#ifndef HEADRACE_TESTS_SUPPORT_TRANSACTION_CLIENT_H
#define HEADRACE_TESTS_SUPPORT_TRANSACTION_CLIENT_H

#include "support/coord_fixture.h"

#include "coord/transactions.h"

struct producer {
    struct transaction_wait wait;
    int count; /* answers, in all */
    int64_t id;
    int16_t epoch;
    struct transaction_add add;
    struct transaction_place places[2];
};

static inline void producer_answered(struct transaction_wait *wait)
{
    struct producer *producer = LIST_ENTRY(wait, struct producer, wait);
    producer->count++;
}

static inline struct transactions *transactions_of(struct coord_fixture *fixture)
{
    return coord_transactions(fixture->coord);
}

/* A coordinator with __transaction_state. */
static inline void transaction_fixture_begin(struct coord_fixture *fixture)
{
    int64_t commit;
    coord_fixture_init(fixture);
    struct err err = transactions_prepare(transactions_of(fixture), &commit, NULL);
    assert_true(err_is(err, ERR_AGAIN));
    coord_fixture_flush(fixture);
    assert_ok(transactions_prepare(transactions_of(fixture), &commit, NULL));
}

static inline struct topic *events_of(struct coord_fixture *fixture)
{
    struct topic *topic = broker_find_topic(fixture->broker.broker, span_text("events"));
    assert_non_null(topic);
    return topic;
}

static inline int64_t producer_fresh_id(struct coord_fixture *fixture)
{
    int64_t id;
    int64_t commit;
    assert_ok(admin_allocate_producer_id(fixture->broker.broker, &id, &commit, NULL));
    coord_fixture_flush(fixture);
    return id;
}

/* Asks and flushes until there is an answer; returns its code. */
static inline int16_t producer_init_as(struct coord_fixture *fixture, struct producer *producer,
                                       int32_t timeout_ms)
{
    struct transaction_init asked = {.timeout_ms = timeout_ms,
                                     .producer_id = -1,
                                     .epoch = -1,
                                     .fresh_id = -1,
                                     .now_ms = fixture->broker.base.time.now_ms};
    *producer = (struct producer){.wait = {.done = producer_answered}};
    transactions_init(transactions_of(fixture), span_text("tx"), &asked, &producer->wait);
    if (producer->count == 1 && producer->wait.needs_id) {
        asked.fresh_id = producer_fresh_id(fixture);
        transactions_init(transactions_of(fixture), span_text("tx"), &asked, &producer->wait);
    }
    coord_fixture_flush(fixture);
    producer->id = producer->wait.producer_id;
    producer->epoch = producer->wait.epoch;
    return producer->wait.code;
}

static inline void producer_init(struct coord_fixture *fixture, struct producer *producer)
{
    assert_int_equal(producer_init_as(fixture, producer, 60000), KAFKA_NONE);
}

/* Asks for both partitions of events; the answer may come later. */
static inline void producer_ask_add(struct coord_fixture *fixture, struct producer *producer)
{
    producer->count = 0;
    producer->places[0] = (struct transaction_place){.topic = span_text("events"), .partition = 0};
    producer->places[1] = (struct transaction_place){.topic = span_text("events"), .partition = 1};
    producer->add = (struct transaction_add){
        .producer = {.id = producer->id, .epoch = producer->epoch, .client_version = 2},
        .places = producer->places,
        .place_count = 2};
    transactions_add(transactions_of(fixture), span_text("tx"), &producer->add, &producer->wait);
}

static inline int16_t producer_add(struct coord_fixture *fixture, struct producer *producer)
{
    producer_ask_add(fixture, producer);
    coord_fixture_flush(fixture);
    assert_int_equal(producer->count, 1);
    return producer->wait.code;
}

/* Writes one record to a partition of events; returns the verdict. */
static inline enum append_verdict producer_write(struct coord_fixture *fixture,
                                                 const struct producer *producer, int32_t index,
                                                 int32_t sequence, const struct append_guard *guard)
{
    struct topic *topic = events_of(fixture);
    struct buf buf;
    buf_init(&buf, 1 << 16);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = producer->id;
    options.producer_epoch = producer->epoch;
    options.base_sequence = sequence;
    options.is_transactional = true;
    struct batch_builder builder;
    struct span batch;
    struct batch_header header;
    fail_alloc_pause();
    batch_build_begin(&builder, &options, &buf);
    assert_ok(batch_build_add(&builder, &(struct record){.value = span_text("v")}));
    assert_ok(batch_build_end(&builder, &batch, &header));
    fail_alloc_resume();
    struct append_guard seen = {0};
    struct partition *partition = topic_partition(topic, index);
    partition_guard(partition, &header, &seen);
    struct append_result result;
    partition_append(partition, span_writable(batch), &header, guard == NULL ? &seen : guard,
                     &result, NULL);
    buf_deinit(&buf);
    topic_unref(topic);
    return result.verdict;
}

/* Commits in the transaction. UNKNOWN_SERVER_ERROR: the connection would be closed without a word.
 */
static inline int16_t producer_commit_offset(struct coord_fixture *fixture,
                                             const struct producer *producer, int64_t offset)
{
    struct offset_commit_request_partition partition = {.committed_offset = offset,
                                                        .committed_leader_epoch = -1,
                                                        .committed_metadata = span_text("")};
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
    struct coord_transaction transaction = {.producer_id = producer->id,
                                            .producer_epoch = producer->epoch,
                                            .guard = {.marker_offset = -1}};
    struct partition *home;
    int16_t code = coord_group_partition(fixture->coord, span_text("g"), &home);
    if (code != KAFKA_NONE)
        return code;
    const struct batch_header identity = {.producer_id = producer->id,
                                          .producer_epoch = producer->epoch};
    partition_guard(home, &identity, &transaction.guard);
    topic_unref(home->topic);
    struct offset_commit_response response = {0};
    struct coord_commit commit;
    arena_reset(&fixture->arena);
    struct err err = coord_commit_offsets(fixture->coord, &request, &transaction, &fixture->arena,
                                          &response, &commit);
    if (err_failed(err))
        return KAFKA_UNKNOWN_SERVER_ERROR;
    topic_unref(commit.topic);
    return response.topics[0].partitions[0].error_code;
}

/* Asks for the partition of the group's offsets; the answer may come later. */
static inline void producer_ask_add_group(struct coord_fixture *fixture, struct producer *producer)
{
    struct partition *home;
    assert_int_equal(coord_group_partition(fixture->coord, span_text("g"), &home), KAFKA_NONE);
    producer->places[0] =
        (struct transaction_place){.topic = span_text(TOPIC_OFFSETS), .partition = home->index};
    topic_unref(home->topic);
    producer->add.place_count = 1;
    producer->count = 0;
    transactions_add(transactions_of(fixture), span_text("tx"), &producer->add, &producer->wait);
}

/* Adds the group's partition, then commits. */
static inline int16_t producer_add_and_commit_offset(struct coord_fixture *fixture,
                                                     struct producer *producer, int64_t offset)
{
    producer_ask_add_group(fixture, producer);
    coord_fixture_flush(fixture);
    assert_int_equal(producer->wait.code, KAFKA_NONE);
    return producer_commit_offset(fixture, producer, offset);
}

static inline void producer_ask_end(struct coord_fixture *fixture, struct producer *producer,
                                    bool is_commit)
{
    const struct transaction_end asked = {
        .producer = {.id = producer->id, .epoch = producer->epoch, .client_version = 2},
        .is_commit = is_commit,
        .fresh_id = -1,
        .now_ms = fixture->broker.base.time.now_ms};
    producer->count = 0;
    transactions_end(transactions_of(fixture), span_text("tx"), &asked, &producer->wait);
}

static inline int16_t producer_end(struct coord_fixture *fixture, struct producer *producer,
                                   bool is_commit)
{
    producer_ask_end(fixture, producer, is_commit);
    coord_fixture_flush(fixture);
    assert_int_equal(producer->count, 1);
    if (producer->wait.code == KAFKA_NONE) {
        producer->id = producer->wait.producer_id;
        producer->epoch = producer->wait.epoch;
    }
    return producer->wait.code;
}

static inline void producer_write_both(struct coord_fixture *fixture, struct producer *producer)
{
    assert_int_equal(producer_add(fixture, producer), KAFKA_NONE);
    assert_int_equal(producer_write(fixture, producer, 0, 0, NULL), APPEND_DONE);
    assert_int_equal(producer_write(fixture, producer, 1, 0, NULL), APPEND_DONE);
}

static inline struct partition_offsets offsets_of(struct coord_fixture *fixture, int32_t index)
{
    struct partition_offsets offsets;
    struct topic *topic = events_of(fixture);
    partition_read_offsets(topic_partition(topic, index), &offsets);
    topic_unref(topic);
    return offsets;
}

static inline size_t count_aborted(struct coord_fixture *fixture, int32_t index)
{
    struct topic *topic = events_of(fixture);
    struct aborted_transaction *found;
    size_t count;
    arena_reset(&fixture->arena);
    assert_ok(partition_collect_aborted(topic_partition(topic, index), 0, INT64_MAX,
                                        &fixture->arena, &found, &count));
    topic_unref(topic);
    return count;
}

/* The group's offset; *code: UNSTABLE_OFFSET_COMMIT while a transaction holds one. */
static inline int64_t committed_offset(struct coord_fixture *fixture, int16_t *code)
{
    int32_t index = 0;
    struct offset_fetch_request_group_topic topic = {
        .name = span_text("events"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct offset_fetch_request_group request = {
        .group_id = span_text("g"), .member_epoch = -1, .topics = &topic, .topics_count = 1};
    struct offset_fetch_response_group response = {0};
    arena_reset(&fixture->arena);
    assert_ok(coord_fetch_offsets(fixture->coord, &request, true, &fixture->arena, &response));
    *code = response.topics[0].partitions[0].error_code;
    return response.topics[0].partitions[0].committed_offset;
}

static inline const char *state_name_of(struct coord_fixture *fixture)
{
    static char name[32];
    struct describe_transactions_response_transaction described = {0};
    arena_reset(&fixture->arena);
    assert_ok(transactions_describe(transactions_of(fixture), span_text("tx"), &fixture->arena,
                                    &described));
    client_keep(name, sizeof name, described.transaction_state);
    return name;
}

#endif
