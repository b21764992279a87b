/* sync_group: a member asks for its part of the work; the leader brings everyone's. See join_group.
 */
#include "api/handlers.h"

struct sync_work {
    struct coord_sync sync;
    struct request *request;
    struct err err;
};

static void sync_done(struct coord_sync *sync, const struct sync_group_response *response)
{
    struct sync_work *work = LIST_ENTRY(sync, struct sync_work, sync);
    struct writer *writer;
    work->err = request_begin_reply(work->request, 0, &writer);
    if (!err_failed(work->err))
        work->err = sync_group_response_encode(writer, work->request->version, response);
    request_wake(work->request);
}

static struct err sync_resume(struct request *request)
{
    const struct sync_work *work = request->parked;
    TRY(work->err);
    return request_end_reply(request);
}

struct err sync_group_handle(struct request *request, struct coord *coord)
{
    struct sync_group_request asked;
    struct sync_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(sync_group_request_decode(&request->body, request->version, &request->arena, &asked));
    work->sync.done = sync_done;
    work->request = request;
    request->parked = work;
    request_park(request, sync_resume);
    coord_sync_group(coord, &asked, &work->sync);
    return ERR_NONE;
}
