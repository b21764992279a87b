/*
 * init_producer_id: ids for idempotent and transactional producers (KIP-98, KIP-360).
 *
 * A producer without a transactional id gets a fresh id each time, epoch 0. For one with, the
 * coordinator of transactions decides; it may send us for a fresh id and be asked again.
 */
#include "wire/init_producer_id.h"
#include "api/commit_wait.h"
#include "api/handlers.h"
#include "api/txn_wait.h"
#include "broker/admin.h"

/* The version that knows PRODUCER_FENCED. */
#define FENCED_SINCE 4

struct init_work {
    struct commit_wait wait;
    struct txn_wait txn;
    struct api *api;
    struct init_producer_id_request asked;
    struct init_producer_id_response response;
    int64_t fresh_id;
};

static struct err init_reply(struct request *request, int16_t code, int64_t producer_id,
                             int16_t epoch)
{
    struct init_work *work = request->parked;
    bool is_fine = code == KAFKA_NONE;
    work->response.error_code = txn_wait_code(code, request->version, FENCED_SINCE);
    work->response.producer_id = is_fine ? producer_id : -1;
    work->response.producer_epoch = (int16_t)(is_fine ? epoch : -1);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(init_producer_id_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static struct err txn_resume(struct request *request);

static void ask_coordinator(struct init_work *work, struct request *request)
{
    struct transaction_init asked = {
        .timeout_ms = work->asked.transaction_timeout_ms,
        .producer_id = work->asked.producer_id,
        .epoch = work->asked.producer_epoch,
        .fresh_id = work->fresh_id,
        .now_ms = clock_wall_ms(work->api->os->clock),
    };
    txn_wait_park(&work->txn, request, txn_resume);
    transactions_init(coord_transactions(work->api->coord), work->asked.transactional_id, &asked,
                      &work->txn.wait);
}

/* The fresh id is recorded as given out: nobody else will get it, whatever happens. */
static struct err id_resume(struct request *request)
{
    struct init_work *work = request->parked;
    if (err_failed(work->wait.err))
        return init_reply(request, KAFKA_COORDINATOR_NOT_AVAILABLE, -1, -1);
    if (span_is_null(work->asked.transactional_id))
        return init_reply(request, KAFKA_NONE, work->fresh_id, 0);
    ask_coordinator(work, request);
    return ERR_NONE;
}

static struct err get_fresh_id(struct init_work *work, struct request *request)
{
    int64_t commit;
    work->wait.request = request;
    work->wait.err = admin_allocate_producer_id(work->api->broker, &work->fresh_id, &commit, NULL);
    if (!err_failed(work->wait.err) &&
        commit_wait_park_admin(&work->wait, work->api->broker, commit, id_resume))
        return ERR_NONE;
    return id_resume(request);
}

static struct err txn_resume(struct request *request)
{
    struct init_work *work = request->parked;
    const struct transaction_wait *answer = &work->txn.wait;
    if (answer->needs_id)
        return get_fresh_id(work, request);
    return init_reply(request, answer->code, answer->producer_id, answer->epoch);
}

struct err init_producer_id_handle(struct request *request, struct api *api)
{
    struct init_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(init_producer_id_request_decode(&request->body, request->version, &request->arena,
                                        &work->asked));
    work->api = api;
    work->fresh_id = -1;
    request->parked = work;
    init_producer_id_response_init(&work->response);
    bool is_half = (work->asked.producer_id == -1) != (work->asked.producer_epoch == -1);
    if (is_half)
        return init_reply(request, KAFKA_INVALID_REQUEST, -1, -1);
    if (span_is_null(work->asked.transactional_id))
        return get_fresh_id(work, request);
    ask_coordinator(work, request);
    return ERR_NONE;
}
