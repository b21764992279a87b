/*
 * init_producer_id: ids for idempotent producers (KIP-98, KIP-360).
 *
 * A producer without a transactional id gets a fresh id each time, epoch 0. Transactional ids are
 * refused: transactions are not served yet.
 */
#include "wire/init_producer_id.h"
#include "api/commit_wait.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "broker/admin.h"

struct init_work {
    struct commit_wait wait;
    struct init_producer_id_response response;
};

static struct err init_resume(struct request *request)
{
    struct init_work *work = request->parked;
    if (err_failed(work->wait.err)) {
        work->response.producer_id = -1;
        work->response.producer_epoch = -1;
        work->response.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(init_producer_id_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static int16_t check_request(const struct init_producer_id_request *asked)
{
    bool has_half = (asked->producer_id == -1) != (asked->producer_epoch == -1);
    if (has_half || (!span_is_null(asked->transactional_id) && asked->transactional_id.size == 0))
        return KAFKA_INVALID_REQUEST;
    return span_is_null(asked->transactional_id) ? KAFKA_NONE : KAFKA_UNSUPPORTED_VERSION;
}

struct err init_producer_id_handle(struct request *request, struct broker *broker)
{
    struct init_producer_id_request asked;
    struct init_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(init_producer_id_request_decode(&request->body, request->version, &request->arena, &asked));
    work->wait.request = request;
    request->parked = work;
    init_producer_id_response_init(&work->response);
    work->response.producer_epoch = -1;
    work->response.error_code = check_request(&asked);
    if (work->response.error_code != KAFKA_NONE)
        return init_resume(request);
    int64_t commit;
    work->wait.err = admin_allocate_producer_id(broker, &work->response.producer_id, &commit, NULL);
    if (err_failed(work->wait.err))
        return init_resume(request);
    work->response.producer_epoch = 0;
    if (commit_wait_park_admin(&work->wait, broker, commit, init_resume))
        return ERR_NONE;
    return init_resume(request);
}
