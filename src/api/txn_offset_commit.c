/*
 * txn_offset_commit: a group's offsets as part of a producer's transaction (KIP-98, KIP-447).
 *
 *     the group's partition is in the transaction (added here since version 5, KIP-890)
 *         -> offsets appended, pending until the marker -> durable -> reply
 */
#include "wire/txn_offset_commit.h"
#include "api/commit_wait.h"
#include "api/handlers.h"
#include "api/txn_wait.h"

/* The version that knows TRANSACTION_ABORTABLE, and that which is of transactions v2. */
#define ABORTABLE_SINCE 4
#define VERSION_2_SINCE 5

struct txn_commit_work {
    struct commit_wait wait;
    struct txn_wait txn;
    struct api *api;
    struct txn_offset_commit_request asked;
    struct offset_commit_request plain; /* the same as the coordinator takes it */
    struct offset_commit_response answer;
    struct coord_transaction transaction;
    struct coord_commit commit;
    struct transaction_place place;
    struct transaction_add add;
};

/* What the coordinator of transactions says, in the words that this version's clients know. */
static int16_t map_code(int16_t code, int16_t version)
{
    if (code == KAFKA_TRANSACTION_ABORTABLE && version < ABORTABLE_SINCE)
        return KAFKA_INVALID_TXN_STATE;
    return code == KAFKA_PRODUCER_FENCED ? KAFKA_INVALID_PRODUCER_EPOCH : code;
}

/* Answers every partition with one code, or (code NONE) with what the commit said. */
static struct err commit_reply(struct request *request, int16_t code)
{
    struct txn_commit_work *work = request->parked;
    const struct txn_offset_commit_request *asked = &work->asked;
    struct txn_offset_commit_response response;
    txn_offset_commit_response_init(&response);
    response.topics =
        arena_alloc_array(&request->arena, (size_t)asked->topics_count, sizeof *response.topics);
    if (response.topics == NULL)
        return err_make(ERR_NO_MEMORY);
    response.topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct txn_offset_commit_request_topic *from = &asked->topics[i];
        struct txn_offset_commit_response_topic *to = &response.topics[i];
        size_t count = (size_t)from->partitions_count;
        to->name = from->name;
        to->partitions_count = from->partitions_count;
        to->partitions = arena_alloc_array(&request->arena, count, sizeof *to->partitions);
        if (to->partitions == NULL)
            return err_make(ERR_NO_MEMORY);
        for (size_t j = 0; j < count; j++) {
            to->partitions[j].partition_index = from->partitions[j].partition_index;
            to->partitions[j].error_code =
                code != KAFKA_NONE ? code : work->answer.topics[i].partitions[j].error_code;
        }
    }
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(txn_offset_commit_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}

static struct err durable_resume(struct request *request)
{
    struct txn_commit_work *work = request->parked;
    topic_unref(work->commit.topic);
    return commit_reply(request,
                        err_failed(work->wait.err) ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE);
}

/* The request as the group coordinator takes it. */
static struct err fill_plain(struct txn_commit_work *work, struct arena *arena)
{
    const struct txn_offset_commit_request *asked = &work->asked;
    struct offset_commit_request *plain = &work->plain;
    offset_commit_request_init(plain);
    plain->group_id = asked->group_id;
    plain->generation_id_or_member_epoch = asked->generation_id;
    plain->member_id = asked->member_id;
    plain->group_instance_id = asked->group_instance_id;
    plain->topics = arena_alloc_array(arena, (size_t)asked->topics_count, sizeof *plain->topics);
    if (plain->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    plain->topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct txn_offset_commit_request_topic *from = &asked->topics[i];
        struct offset_commit_request_topic *to = &plain->topics[i];
        size_t count = (size_t)from->partitions_count;
        to->name = from->name;
        to->partitions = arena_alloc_array(arena, count, sizeof *to->partitions);
        if (to->partitions == NULL)
            return err_make(ERR_NO_MEMORY);
        to->partitions_count = from->partitions_count;
        for (size_t j = 0; j < count; j++) {
            to->partitions[j] = (struct offset_commit_request_partition){
                .partition_index = from->partitions[j].partition_index,
                .committed_offset = from->partitions[j].committed_offset,
                .committed_leader_epoch = from->partitions[j].committed_leader_epoch,
                .committed_metadata = from->partitions[j].committed_metadata,
            };
        }
    }
    return ERR_NONE;
}

/* The partition is in the transaction: commits. */
static struct err commit_now(struct request *request)
{
    struct txn_commit_work *work = request->parked;
    TRY(fill_plain(work, &request->arena));
    offset_commit_response_init(&work->answer);
    TRY(coord_commit_offsets(work->api->coord, &work->plain, &work->transaction, &request->arena,
                             &work->answer, &work->commit));
    work->wait.request = request;
    if (work->commit.partition != NULL && commit_wait_park(&work->wait, work->commit.partition,
                                                           work->commit.end_offset, durable_resume))
        return ERR_NONE;
    return durable_resume(request);
}

static struct err added_resume(struct request *request)
{
    const struct txn_commit_work *work = request->parked;
    int16_t code = map_code(work->txn.wait.code, request->version);
    return code == KAFKA_NONE ? commit_now(request) : commit_reply(request, code);
}

/* Notes what is known of the producer where the offsets go, before the coordinator is asked. */
static int16_t look_at_partition(struct txn_commit_work *work)
{
    struct partition *partition;
    int16_t code = coord_group_partition(work->api->coord, work->asked.group_id, &partition);
    if (code != KAFKA_NONE)
        return code;
    struct batch_header identity = {.producer_id = work->asked.producer_id,
                                    .producer_epoch = work->asked.producer_epoch};
    work->transaction.guard.is_version_2 = work->add.producer.client_version >= 2;
    partition_guard(partition, &identity, &work->transaction.guard);
    work->place = (struct transaction_place){.topic = span_text(TOPIC_OFFSETS),
                                             .partition = partition->index};
    topic_unref(partition->topic);
    return KAFKA_NONE;
}

struct err txn_offset_commit_handle(struct request *request, struct api *api)
{
    struct txn_commit_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(txn_offset_commit_request_decode(&request->body, request->version, &request->arena,
                                         &work->asked));
    work->api = api;
    request->parked = work;
    work->transaction.producer_id = work->asked.producer_id;
    work->transaction.producer_epoch = work->asked.producer_epoch;
    bool is_version_2 = request->version >= VERSION_2_SINCE;
    work->add = (struct transaction_add){
        .producer = {.id = work->asked.producer_id,
                     .epoch = work->asked.producer_epoch,
                     .client_version = is_version_2 ? 2 : 0},
        .places = &work->place,
        .place_count = 1,
    };
    struct transactions *transactions = coord_transactions(api->coord);
    int16_t code = look_at_partition(work);
    if (code == KAFKA_NONE && is_version_2) {
        txn_wait_park(&work->txn, request, added_resume);
        transactions_add(transactions, work->asked.transactional_id, &work->add, &work->txn.wait);
        return ERR_NONE;
    }
    if (code == KAFKA_NONE)
        transactions_verify(transactions, work->asked.transactional_id, &work->add, &code);
    code = map_code(code, request->version);
    return code == KAFKA_NONE ? commit_now(request) : commit_reply(request, code);
}
