/* produce_verify: guards, places and codes. */
#include "api/produce_verify.h"

#include "base/check.h"

/* The version that is of transactions v2. */
#define VERSION_2_SINCE 12

bool produce_verify_adds(const struct request *request)
{
    return request->version >= VERSION_2_SINCE;
}

static bool is_transactional(struct span batch, struct batch_header *header)
{
    return batch_parse(batch, header) == BATCH_FINE && batch_is_transactional(header);
}

static struct topic *find_topic(struct broker *broker, int16_t version,
                                const struct produce_request_topic *asked)
{
    return version >= 13 ? broker_find_topic_by_id(broker, asked->topic_id)
                         : broker_find_topic(broker, asked->name);
}

/* Notes a partition whose batch would begin the transaction there. */
static struct err add_place(struct produce_verify *verify, struct request *request,
                            const struct partition *partition, size_t claim)
{
    struct transaction_place *place = &verify->places[verify->add.place_count];
    place->partition = partition->index;
    TRY(arena_copy(&request->arena, partition->topic->name, &place->topic));
    verify->place_claims[verify->add.place_count++] = claim;
    return ERR_NONE;
}

static struct err look_at(struct produce_verify *verify, struct request *request,
                          struct topic *topic, const struct produce_request_partition *asked,
                          size_t at)
{
    struct produce_claim *claim = &verify->claims[at];
    struct batch_header header;
    struct partition *partition = topic == NULL ? NULL : topic_partition(topic, asked->index);
    if (partition == NULL || !is_transactional(asked->records.bytes, &header))
        return ERR_NONE;
    claim->is_transactional = true;
    claim->guard.is_version_2 = produce_verify_adds(request);
    partition_guard(partition, &header, &claim->guard);
    struct transaction_producer *producer = &verify->add.producer;
    if (producer->id < 0) {
        producer->id = header.producer_id;
        producer->epoch = header.producer_epoch;
    }
    if (producer->id != header.producer_id || producer->epoch != header.producer_epoch)
        claim->code = KAFKA_INVALID_PRODUCER_ID_MAPPING; /* one request, one producer */
    else if (!claim->guard.is_open)
        return add_place(verify, request, partition, at);
    return ERR_NONE;
}

struct err produce_verify_begin(struct produce_verify *verify, struct request *request,
                                struct broker *broker, const struct produce_request *asked)
{
    size_t count = 0;
    for (int32_t i = 0; i < asked->topic_data_count; i++)
        count += (size_t)asked->topic_data[i].partition_data_count;
    *verify = (struct produce_verify){
        .claims = arena_alloc_array(&request->arena, count, sizeof *verify->claims),
        .claim_count = count,
        .places = arena_alloc_array(&request->arena, count, sizeof *verify->places),
        .place_claims = arena_alloc_array(&request->arena, count, sizeof *verify->place_claims),
    };
    if (verify->claims == NULL || verify->places == NULL || verify->place_claims == NULL)
        return err_make(ERR_NO_MEMORY);
    verify->add.producer = (struct transaction_producer){
        .id = -1, .epoch = -1, .client_version = produce_verify_adds(request) ? 2 : 0};
    verify->add.places = verify->places;
    size_t at = 0;
    for (int32_t i = 0; i < asked->topic_data_count; i++) {
        const struct produce_request_topic *topic_asked = &asked->topic_data[i];
        struct topic *topic = find_topic(broker, request->version, topic_asked);
        struct err err = ERR_NONE;
        for (int32_t j = 0; j < topic_asked->partition_data_count && !err_failed(err); j++)
            err = look_at(verify, request, topic, &topic_asked->partition_data[j], at++);
        topic_unref(topic);
        TRY(err);
    }
    CHECK(at == count);
    return ERR_NONE;
}

/* The coordinator's answer in words that producers know. Older ones retry only what is about
 * replicas without looking for another leader. */
static int16_t map_code(int16_t code, int16_t version)
{
    switch (code) {
    case KAFKA_PRODUCER_FENCED:
        return KAFKA_INVALID_PRODUCER_EPOCH;
    case KAFKA_TRANSACTION_ABORTABLE:
        return version >= 11 ? KAFKA_TRANSACTION_ABORTABLE : KAFKA_INVALID_TXN_STATE;
    case KAFKA_CONCURRENT_TRANSACTIONS:
    case KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
    case KAFKA_COORDINATOR_NOT_AVAILABLE:
        return KAFKA_NOT_ENOUGH_REPLICAS;
    default:
        return code;
    }
}

void produce_verify_ask(struct produce_verify *verify, struct request *request,
                        struct transactions *transactions, struct span transactional_id,
                        request_resume resume)
{
    txn_wait_park(&verify->txn, request, resume);
    transactions_add(transactions, transactional_id, &verify->add, &verify->txn.wait);
}

void produce_verify_end(struct produce_verify *verify, int16_t version)
{
    int16_t code = map_code(verify->txn.wait.code, version);
    for (size_t i = 0; i < verify->add.place_count; i++)
        verify->claims[verify->place_claims[i]].code = code;
}

struct err produce_verify_check(struct produce_verify *verify, struct request *request,
                                struct transactions *transactions, struct span transactional_id)
{
    int16_t *codes = arena_alloc_array(&request->arena, verify->add.place_count, sizeof *codes);
    if (codes == NULL)
        return err_make(ERR_NO_MEMORY);
    transactions_verify(transactions, transactional_id, &verify->add, codes);
    for (size_t i = 0; i < verify->add.place_count; i++)
        verify->claims[verify->place_claims[i]].code = map_code(codes[i], request->version);
    return ERR_NONE;
}
