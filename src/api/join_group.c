/*
 * join_group: a member asks to take part; it is answered when the rebalance is over.
 *
 * The answer is encoded by whichever thread completes the rebalance, under the coordinator's lock,
 * as it borrows the group's data; it is sent by the request's own reactor.
 */
#include "api/handlers.h"

struct join_work {
    struct coord_join join;
    struct request *request;
    struct err err;
};

static void join_done(struct coord_join *join, const struct join_group_response *response)
{
    struct join_work *work = LIST_ENTRY(join, struct join_work, join);
    struct join_group_response answer = *response;
    struct writer *writer;
    if (span_is_null(answer.protocol_name) && work->request->version < 7)
        answer.protocol_name = SPAN_EMPTY; /* older versions know no null here */
    work->err = request_begin_reply(work->request, 0, &writer);
    if (!err_failed(work->err))
        work->err = join_group_response_encode(writer, work->request->version, &answer);
    request_wake(work->request);
}

static struct err join_resume(struct request *request)
{
    const struct join_work *work = request->parked;
    TRY(work->err);
    return request_end_reply(request);
}

struct err join_group_handle(struct request *request, struct coord *coord)
{
    struct join_group_request asked;
    struct join_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(join_group_request_decode(&request->body, request->version, &request->arena, &asked));
    struct coord_client client = {
        .id = request->client_id, .host = request_host(request), .version = request->version};
    work->join.done = join_done;
    work->request = request;
    request->parked = work;
    request_park(request, join_resume);
    coord_join_group(coord, &asked, &client, &work->join);
    return ERR_NONE;
}
