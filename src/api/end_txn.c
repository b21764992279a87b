/*
 * end_txn: commits or aborts a transaction (KIP-98, KIP-890). Answered when the decision is
 * durable; the markers follow. From version 5 on the answer carries the epoch to go on with.
 */
#include "wire/end_txn.h"
#include "api/commit_wait.h"
#include "api/handlers.h"
#include "api/txn_wait.h"
#include "broker/admin.h"

/* The version that knows PRODUCER_FENCED, and that which is of transactions v2. */
#define FENCED_SINCE 2
#define VERSION_2_SINCE 5

struct end_work {
    struct commit_wait wait;
    struct txn_wait txn;
    struct api *api;
    struct end_txn_request asked;
    int64_t fresh_id;
};

static struct err end_reply(struct request *request, int16_t code)
{
    const struct end_work *work = request->parked;
    struct end_txn_response response;
    end_txn_response_init(&response);
    response.error_code = txn_wait_code(code, request->version, FENCED_SINCE);
    if (code == KAFKA_NONE) {
        response.producer_id = work->txn.wait.producer_id;
        response.producer_epoch = work->txn.wait.epoch;
    }
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(end_txn_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}

static struct err txn_resume(struct request *request);

static void ask_coordinator(struct end_work *work, struct request *request)
{
    struct transaction_end asked = {
        .producer = {.id = work->asked.producer_id,
                     .epoch = work->asked.producer_epoch,
                     .client_version = request->version >= VERSION_2_SINCE ? 2 : 0},
        .is_commit = work->asked.committed,
        .fresh_id = work->fresh_id,
        .now_ms = clock_wall_ms(work->api->os->clock),
    };
    txn_wait_park(&work->txn, request, txn_resume);
    transactions_end(coord_transactions(work->api->coord), work->asked.transactional_id, &asked,
                     &work->txn.wait);
}

static struct err id_resume(struct request *request)
{
    struct end_work *work = request->parked;
    if (err_failed(work->wait.err))
        return end_reply(request, KAFKA_COORDINATOR_NOT_AVAILABLE);
    ask_coordinator(work, request);
    return ERR_NONE;
}

static struct err txn_resume(struct request *request)
{
    struct end_work *work = request->parked;
    if (!work->txn.wait.needs_id)
        return end_reply(request, work->txn.wait.code);
    int64_t commit;
    work->wait.request = request;
    work->wait.err = admin_allocate_producer_id(work->api->broker, &work->fresh_id, &commit, NULL);
    if (!err_failed(work->wait.err) &&
        commit_wait_park_admin(&work->wait, work->api->broker, commit, id_resume))
        return ERR_NONE;
    return id_resume(request);
}

struct err end_txn_handle(struct request *request, struct api *api)
{
    struct end_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(end_txn_request_decode(&request->body, request->version, &request->arena, &work->asked));
    work->api = api;
    work->fresh_id = -1;
    request->parked = work;
    ask_coordinator(work, request);
    return ERR_NONE;
}
