/* add_offsets_to_txn: adds a group's partition of __consumer_offsets to a transaction (KIP-98). */
#include "wire/add_offsets_to_txn.h"
#include "api/handlers.h"
#include "api/txn_wait.h"

/* The version that knows PRODUCER_FENCED. */
#define FENCED_SINCE 2

struct add_work {
    struct txn_wait txn;
    struct transaction_add add;
    struct transaction_place place;
};

static struct err add_reply(struct request *request, int16_t code)
{
    struct add_offsets_to_txn_response response;
    add_offsets_to_txn_response_init(&response);
    response.error_code = txn_wait_code(code, request->version, FENCED_SINCE);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(add_offsets_to_txn_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}

static struct err add_resume(struct request *request)
{
    const struct add_work *work = request->parked;
    return add_reply(request, work->txn.wait.code);
}

struct err add_offsets_to_txn_handle(struct request *request, struct coord *coord)
{
    struct add_offsets_to_txn_request asked;
    struct add_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(add_offsets_to_txn_request_decode(&request->body, request->version, &request->arena,
                                          &asked));
    request->parked = work;
    struct partition *partition;
    int16_t code = coord_group_partition(coord, asked.group_id, &partition);
    if (code != KAFKA_NONE)
        return add_reply(request, code);
    work->place = (struct transaction_place){.topic = span_text(TOPIC_OFFSETS),
                                             .partition = partition->index};
    topic_unref(partition->topic);
    work->add = (struct transaction_add){
        .producer = {.id = asked.producer_id, .epoch = asked.producer_epoch},
        .places = &work->place,
        .place_count = 1,
    };
    txn_wait_park(&work->txn, request, add_resume);
    transactions_add(coord_transactions(coord), asked.transactional_id, &work->add,
                     &work->txn.wait);
    return ERR_NONE;
}
