/*
 * coord_seeds: what a coordinator really wrote, as coord_fuzz reads it, and what its partitions
 * remember of producers, as producers_fuzz does.
 *
 *   coord_seeds COORD PRODUCERS    writes one seed into each folder; they exist
 */
#include "fuzz/coord_fuzz.h"

#include "support/coord_fixture.h"

#include "broker/internal_log.h"
#include "coord/transactions.h"

#define PATH_SIZE_MAX 4096

static void append_span(struct buf *out, struct span bytes)
{
    if (bytes.size > 0)
        assert_ok(buf_append(out, bytes.data, bytes.size));
}

static void append_piece(struct buf *out, enum piece_kind kind, int64_t producer_id,
                         struct span key, struct span value)
{
    uint8_t head[PIECE_HEAD_SIZE] = {(uint8_t)kind, (uint8_t)producer_id};
    store_u16(head + 2, span_is_null(key) ? UINT16_MAX : (uint16_t)key.size);
    store_u16(head + 4, span_is_null(value) ? UINT16_MAX : (uint16_t)value.size);
    append_span(out, span_make(head, sizeof head));
    append_span(out, key);
    append_span(out, value);
}

static struct err keep_offset(void *context, const struct batch_header *header,
                              const struct record *record)
{
    enum piece_kind kind = batch_is_transactional(header) ? PIECE_TRANSACTIONAL : PIECE_OFFSETS;
    append_piece(context, kind, header->producer_id, record->key, record->value);
    return ERR_NONE;
}

static struct err keep_marker(void *context, const struct batch_header *header, bool is_commit)
{
    append_piece(context, is_commit ? PIECE_COMMIT : PIECE_ABORT, header->producer_id, SPAN_NULL,
                 SPAN_NULL);
    return ERR_NONE;
}

static struct err keep_transaction(void *context, const struct batch_header *header,
                                   const struct record *record)
{
    (void)header;
    append_piece(context, PIECE_TRANSACTION, 0, record->key, record->value);
    return ERR_NONE;
}

static void keep_topic(struct coord_fixture *fixture, const char *name,
                       const struct internal_visitor *visitor)
{
    struct topic *topic = broker_find_topic(fixture->broker.broker, span_text(name));
    for (int32_t i = 0; i < topic_partition_count(topic); i++)
        assert_ok(internal_log_replay(topic_partition(topic, i), visitor, NULL));
    topic_unref(topic);
}

/* transaction: NULL, or what the commit is part of. */
static void commit(struct coord_fixture *fixture, const struct coord_transaction *transaction)
{
    struct offset_commit_request_partition partition;
    offset_commit_request_partition_init(&partition);
    partition.committed_offset = 42;
    partition.committed_metadata = span_text("note");
    struct offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = span_text("simple");
    request.topics = &topic;
    request.topics_count = 1;
    struct offset_commit_response response;
    struct coord_commit done;
    assert_ok(coord_commit_offsets(fixture->coord, &request, transaction, &fixture->arena,
                                   &response, &done));
    topic_unref(done.topic);
}

static void nobody_waits(struct transaction_wait *wait)
{
    (void)wait;
}

/* A transactional id that begins a transaction and commits an offset in it, left open. */
static void transact(struct coord_fixture *fixture)
{
    int64_t unused;
    struct transactions *transactions = coord_transactions(fixture->coord);
    struct transaction_wait wait = {.done = nobody_waits};
    const struct transaction_init init = {
        .timeout_ms = 60000, .producer_id = -1, .epoch = -1, .fresh_id = 7, .now_ms = 1};
    const struct transaction_place place = {.topic = span_text("events")};
    const struct transaction_add add = {
        .producer = {.id = 7, .client_version = 2}, .places = &place, .place_count = 1};
    assert_true(err_is(transactions_prepare(transactions, &unused, NULL), ERR_AGAIN));
    coord_fixture_flush(fixture);
    transactions_init(transactions, span_text("tx"), &init, &wait);
    coord_fixture_flush(fixture);
    transactions_add(transactions, span_text("tx"), &add, &wait);
    coord_fixture_flush(fixture);
    assert_int_equal(wait.code, KAFKA_NONE);
    const struct coord_transaction transaction = {.producer_id = 7, .guard = {.marker_offset = -1}};
    commit(fixture, &transaction);
    coord_fixture_flush(fixture);
}

/* A group that comes, changes and goes, and offsets that are committed and forgotten. */
static void live(struct coord_fixture *fixture)
{
    struct client *leader = client_make(fixture);
    struct client *fixed = client_make(fixture);
    commit(fixture, NULL);
    transact(fixture);
    clients_settle(fixture, (struct client *const[]){leader, fixed}, 2,
                   (struct join_words){.version = 3});
    coord_forget_topic(fixture->coord, span_text("events"));
    coord_fixture_pass(fixture, 60000); /* the members are gone */
    struct coord_commit deleted = {.topic = NULL};
    assert_int_equal(coord_delete_group(fixture->coord, span_text("g"), &deleted), KAFKA_NONE);
    topic_unref(deleted.topic);
    coord_fixture_flush(fixture);
}

static void keep_producers(struct coord_fixture *fixture, struct buf *out)
{
    struct topic *topic = broker_find_topic(fixture->broker.broker, span_text(TOPIC_OFFSETS));
    for (int32_t i = 0; i < topic_partition_count(topic); i++) {
        const struct partition *partition = topic_partition(topic, i);
        if (partition->producers.entries.count == 0)
            continue;
        assert_ok(producer_state_write(&partition->producers, out));
        assert_ok(transaction_index_write(&partition->transactions, out));
    }
    topic_unref(topic);
}

static bool write_seed(const char *dir, const struct buf *bytes)
{
    char path[PATH_SIZE_MAX];
    (void)snprintf(path, sizeof path, "%s/life", dir);
    FILE *file = fopen(path, "wb");
    if (file == NULL || bytes->size == 0 ||
        fwrite(bytes->data, 1, bytes->size, file) != bytes->size || fclose(file) != 0) {
        perror(path);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct coord_fixture fixture;
    struct buf pieces;
    struct buf producers;
    if (argc != 3)
        return 2;
    coord_fixture_init(&fixture);
    live(&fixture);
    buf_init(&pieces, SIZE_MAX);
    buf_init(&producers, SIZE_MAX);
    const struct internal_visitor offsets = {
        .context = &pieces, .record = keep_offset, .marker = keep_marker};
    const struct internal_visitor transactions = {.context = &pieces, .record = keep_transaction};
    keep_topic(&fixture, TOPIC_OFFSETS, &offsets);
    keep_topic(&fixture, TOPIC_TRANSACTIONS, &transactions);
    append_piece(&pieces, PIECE_COMMIT, 7, SPAN_NULL, SPAN_NULL);
    keep_producers(&fixture, &producers);
    coord_fixture_deinit(&fixture);
    bool is_written = write_seed(argv[1], &pieces) && write_seed(argv[2], &producers);
    buf_deinit(&pieces);
    buf_deinit(&producers);
    return is_written ? 0 : 1;
}
