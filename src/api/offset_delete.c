/* offset_delete: forgets what a group has committed for topics it does not read (KIP-496). */
#include "api/commit_wait.h"
#include "api/handlers.h"

struct offset_delete_work {
    struct commit_wait wait;
    struct offset_delete_request asked;
    struct offset_delete_response response;
    struct coord_commit commit;
};

static struct err offset_delete_resume(struct request *request)
{
    struct offset_delete_work *work = request->parked;
    topic_unref(work->commit.topic);
    if (err_failed(work->wait.err))
        work->response.error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(offset_delete_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

struct err offset_delete_handle(struct request *request, struct coord *coord)
{
    struct offset_delete_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(offset_delete_request_decode(&request->body, request->version, &request->arena,
                                     &work->asked));
    work->wait.request = request;
    request->parked = work;
    offset_delete_response_init(&work->response);
    TRY(coord_delete_offsets(coord, &work->asked, &request->arena, &work->response, &work->commit));
    if (work->commit.partition != NULL &&
        commit_wait_park(&work->wait, work->commit.partition, work->commit.end_offset,
                         offset_delete_resume))
        return ERR_NONE;
    return offset_delete_resume(request);
}
