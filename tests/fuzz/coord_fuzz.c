/*
 * coord_fuzz: random bytes as what a coordinator finds in __consumer_offsets and
 * __transaction_state when it is loaded.
 *
 * A piece of input is its kind (coord_fuzz.h), a producer's id, its key's size and its value's, two
 * bytes each, high byte first, then both; a size of 0xffff is null. What was loaded is then asked
 * about, aged until its timers fire, and left to its end.
 */
#include "fuzz/coord_fuzz.h"

#include "support/coord_fixture.h"

#include "broker/internal_log.h"
#include "coord/transactions.h"

/* Longer than any session, rebalance or transaction time-out of the seeds. */
#define AGE_MS ((int64_t)600 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes a size and so many bytes, or what is left. */
static struct span take(struct span *left, const uint8_t *size_at)
{
    size_t size = load_u16(size_at);
    if (size == UINT16_MAX)
        return SPAN_NULL;
    size = size < left->size ? size : left->size;
    struct span taken = span_make(left->data, size);
    *left = span_make(left->data + size, left->size - size);
    return taken;
}

static void append_marker(struct partition *partition, uint8_t producer_id, bool is_commit)
{
    const struct transaction_marker marker = {.producer_id = producer_id, .is_commit = is_commit};
    struct append_result result;
    partition_append_marker(partition, &marker, &result, NULL);
    assert_int_equal(result.verdict, APPEND_DONE);
}

static void append_record(struct partition *partition, enum piece_kind kind, uint8_t producer_id,
                          struct span key, struct span value)
{
    struct internal_batch batch;
    int64_t now_ms = 1700000000000;
    if (kind == PIECE_TRANSACTIONAL)
        internal_batch_init_transactional(&batch, now_ms, producer_id, 0);
    else
        internal_batch_init(&batch, now_ms);
    assert_ok(internal_batch_add(&batch, key, value));
    struct append_guard guard = {.marker_offset = -1};
    const struct batch_header identity = {.producer_id = producer_id};
    partition_guard(partition, &identity, &guard);
    struct append_result result;
    internal_batch_append_transactional(&batch, partition, &guard, &result);
    assert_int_equal(result.verdict, APPEND_DONE);
    internal_batch_deinit(&batch);
}

static void append_all(struct topic *offsets, struct topic *transactions, struct span left)
{
    while (left.size >= PIECE_HEAD_SIZE) {
        const uint8_t *head = left.data;
        enum piece_kind kind = (enum piece_kind)(head[0] % PIECE_KIND_COUNT);
        left = span_make(left.data + PIECE_HEAD_SIZE, left.size - PIECE_HEAD_SIZE);
        struct span key = take(&left, head + 2);
        struct span value = take(&left, head + 4);
        struct topic *topic = kind == PIECE_TRANSACTION ? transactions : offsets;
        struct partition *partition = topic_partition(topic, 0);
        if (kind == PIECE_COMMIT || kind == PIECE_ABORT)
            append_marker(partition, head[1], kind == PIECE_COMMIT);
        else
            append_record(partition, kind, head[1], key, value);
    }
}

static void visit_offset(void *context, struct span group, struct span topic, int32_t partition,
                         int64_t offset)
{
    (void)partition;
    (void)offset;
    *(size_t *)context += group.size + topic.size;
}

static void ask(struct coord_fixture *fixture)
{
    struct arena arena;
    struct coord_counts counts;
    struct list_groups_request request;
    struct list_groups_response groups;
    size_t seen_size = 0;
    arena_init(&arena, SIZE_MAX);
    list_groups_request_init(&request);
    list_groups_response_init(&groups);
    coord_count(fixture->coord, &counts);
    coord_visit_offsets(fixture->coord, visit_offset, &seen_size);
    assert_ok(coord_list_groups(fixture->coord, &request, &arena, &groups));
    for (int32_t i = 0; i < groups.groups_count; i++) {
        struct describe_groups_response_group told = {0};
        struct span id = groups.groups[i].group_id;
        const struct offset_fetch_request_group asked = {.group_id = id, .topics_count = -1};
        struct offset_fetch_response_group offsets = {0};
        assert_ok(coord_describe_group(fixture->coord, id, 5, &arena, &told));
        assert_ok(coord_fetch_offsets(fixture->coord, &asked, false, &arena, &offsets));
    }
    arena_deinit(&arena);
}

static void ask_transactions(struct coord_fixture *fixture)
{
    struct transactions *transactions = coord_transactions(fixture->coord);
    struct arena arena;
    struct list_transactions_request request;
    struct list_transactions_response listed;
    arena_init(&arena, SIZE_MAX);
    list_transactions_request_init(&request);
    list_transactions_response_init(&listed);
    assert_ok(transactions_list(transactions, &request, &arena, &listed));
    for (int32_t i = 0; i < listed.transaction_states_count; i++) {
        struct describe_transactions_response_transaction told = {0};
        assert_ok(transactions_describe(transactions, listed.transaction_states[i].transactional_id,
                                        &arena, &told));
    }
    arena_deinit(&arena);
}

/* Another coordinator over the same broker, as after a restart. */
static void restart(struct coord_fixture *fixture)
{
    coord_fixture_flush(fixture);
    coord_close(fixture->coord);
    coord_destroy(fixture->coord);
    struct coord_setup setup = {
        .broker = fixture->broker.broker, .wake = coord_fixture_wake, .context = fixture};
    assert_ok(coord_create(&setup, &fixture->coord));
    bool is_more = true;
    while (is_more) { /* what cannot be loaded is refused, and the next goes on */
        struct err refused = coord_load_step(fixture->coord, &is_more, NULL);
        (void)refused;
    }
    coord_fixture_flush(fixture);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct coord_fixture fixture;
    int64_t commit;
    coord_fixture_init(&fixture);
    struct transactions *transactions = coord_transactions(fixture.coord);
    assert_true(err_is(transactions_prepare(transactions, &commit, NULL), ERR_AGAIN));
    coord_fixture_flush(&fixture);
    struct broker *broker = fixture.broker.broker;
    struct topic *offsets = broker_find_topic(broker, span_text(TOPIC_OFFSETS));
    struct topic *states = broker_find_topic(broker, span_text(TOPIC_TRANSACTIONS));
    append_all(offsets, states, span_make(data, size));
    topic_unref(offsets);
    topic_unref(states);
    restart(&fixture);
    for (int round = 0; round < 2; round++) {
        ask(&fixture);
        ask_transactions(&fixture);
        coord_fixture_pass(&fixture, AGE_MS);
        coord_fixture_flush(&fixture);
    }
    coord_fixture_deinit(&fixture);
    return 0;
}
