/* clients: what all of them need: batches, fetches, and which errors are no news. */
#include "sim/clients.h"

#include "record/walk.h"
#include "wire/error_code.h"

#define FETCH_VERSION 11
#define PARTITION_SIZE_MAX (1 << 20)

struct sim_client *sim_client_make(struct world *world, size_t size, const char *kind, int index)
{
    struct sim_client *client = calloc(1, size);
    assert_non_null(client);
    (void)snprintf(client->name, sizeof client->name, "%s%d", kind, index);
    client->link.name = client->name;
    link_init(&client->link, world);
    return client;
}

void sim_client_retire(struct sim_client *client)
{
    client->is_retired = true;
    link_lose(&client->link);
}

void sim_client_destroy(struct sim_client *client)
{
    if (client == NULL)
        return;
    link_deinit(&client->link);
    free(client);
}

bool sim_is_retriable(int16_t code)
{
    switch (code) {
    case KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
    case KAFKA_COORDINATOR_NOT_AVAILABLE:
    case KAFKA_NOT_COORDINATOR:
    case KAFKA_CONCURRENT_TRANSACTIONS:
    case KAFKA_KAFKA_STORAGE_ERROR:
    case KAFKA_NOT_LEADER_OR_FOLLOWER:
    case KAFKA_NOT_ENOUGH_REPLICAS: /* CONCURRENT_TRANSACTIONS for those who do not know it */
    case KAFKA_REQUEST_TIMED_OUT:
    case KAFKA_UNSTABLE_OFFSET_COMMIT:
        return true;
    default:
        return false;
    }
}

struct span sim_build_batch(const struct world *world, const struct sim_batch_spec *spec,
                            struct buf *buf)
{
    struct batch_builder builder;
    struct batch_header header;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct span bytes;
    options.producer_id = spec->producer_id;
    options.producer_epoch = spec->epoch;
    options.base_sequence = spec->sequence;
    options.is_transactional = spec->is_transactional;
    batch_build_begin(&builder, &options, buf);
    for (int32_t i = 0; i < spec->count; i++) {
        char value[64];
        (void)snprintf(value, sizeof value, "%s-%lld", spec->name, (long long)spec->first + i);
        const struct record record = {.timestamp = world_now_ms(world), .value = span_text(value)};
        assert_ok(batch_build_add(&builder, &record));
    }
    assert_ok(batch_build_end(&builder, &bytes, &header));
    return bytes;
}

void sim_send_produce(struct link *link, const char *transactional_id, int16_t version,
                      int32_t partition, struct span batch, int64_t b)
{
    struct produce_request_partition part = {.index = partition, .records = {.bytes = batch}};
    struct produce_request_topic topic = {
        .name = span_text(WORLD_TOPIC), .partition_data = &part, .partition_data_count = 1};
    struct produce_request request;
    produce_request_init(&request);
    request.transactional_id = text_or_null(transactional_id);
    request.acks = -1;
    request.timeout_ms = 30000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    struct writer *writer = link_begin(link, API_PRODUCE, version, partition, b);
    assert_ok(produce_request_encode(writer, version, &request));
    link_send(link);
}

void sim_send_fetch(struct link *link, int32_t partition, int64_t offset, bool is_committed)
{
    struct fetch_request_partition part;
    fetch_request_partition_init(&part);
    part.partition = partition;
    part.fetch_offset = offset;
    part.partition_max_bytes = PARTITION_SIZE_MAX;
    struct fetch_request_topic topic = {
        .topic = span_text(WORLD_TOPIC), .partitions = &part, .partitions_count = 1};
    struct fetch_request request;
    fetch_request_init(&request);
    request.max_bytes = PARTITION_SIZE_MAX;
    request.isolation_level = is_committed;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    struct writer *writer = link_begin(link, API_FETCH, FETCH_VERSION, partition, offset);
    assert_ok(fetch_request_encode(writer, FETCH_VERSION, &request));
    link_send(link);
}

/* Whose aborted transactions lie ahead, as a reader of committed records keeps count. */
struct aborted_ahead {
    const struct fetch_response_partition *partition;
    bool is_over[64]; /* by place in aborted_transactions: its marker was read */
};

static bool is_aborted(struct aborted_ahead *ahead, const struct batch_header *header,
                       bool is_marker)
{
    bool found = false;
    int32_t count = ahead->partition->aborted_transactions_count;
    assert_true(count <= (int32_t)(sizeof ahead->is_over));
    for (int32_t i = 0; i < count && !found; i++) {
        const struct fetch_response_aborted_transaction *aborted =
            &ahead->partition->aborted_transactions[i];
        found = !ahead->is_over[i] && aborted->producer_id == header->producer_id &&
                aborted->first_offset <= header->base_offset;
        if (found && is_marker)
            ahead->is_over[i] = true;
    }
    return found;
}

/* Walks one batch; returns the offset behind it. */
static int64_t see_batch(struct span batch, const struct batch_header *header, int64_t from,
                         void (*see)(void *context, const struct sim_seen *seen), void *context)
{
    struct batch_walk walk;
    struct record record;
    bool is_end = false;
    assert_ok(batch_walk_begin(&walk, batch, NULL));
    while (!is_end) {
        assert_ok(batch_walk_next(&walk, &record, &is_end));
        if (is_end || record.offset < from)
            continue;
        const struct sim_seen seen = {.offset = record.offset,
                                      .value = batch_is_control(header) ? SPAN_NULL : record.value};
        see(context, &seen);
    }
    return batch_last_offset(header) + 1;
}

static void see_nothing(void *context, const struct sim_seen *seen)
{
    (void)context;
    (void)seen;
}

int64_t sim_see_records(const struct fetch_response_partition *partition, int64_t from,
                        bool is_committed, void (*see)(void *context, const struct sim_seen *seen),
                        void *context)
{
    struct aborted_ahead ahead = {.partition = partition};
    struct span bytes = partition->records.bytes;
    int64_t next = from;
    while (bytes.size > 0) {
        struct batch_header header;
        if (batch_check_stored(bytes, &header) != BATCH_FINE)
            break; /* the beginning of one more */
        struct span batch = span_make(bytes.data, header.size);
        bool is_marker = batch_is_control(&header);
        bool is_hidden = is_committed && (is_aborted(&ahead, &header, is_marker) || is_marker);
        next = see_batch(batch, &header, from, is_hidden ? see_nothing : see, context);
        bytes = span_make(bytes.data + header.size, bytes.size - header.size);
    }
    return next;
}
