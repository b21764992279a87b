/* delete_groups: empty groups and what they have committed (KIP-229). */
#include "api/commit_wait.h"
#include "api/handlers.h"

/* Waits for its groups one after the other: they may lie on different partitions. */
struct delete_groups_work {
    struct commit_wait wait;
    struct delete_groups_response response;
    struct coord_commit *commits; /* by group; partition NULL: nothing to wait for */
    int32_t next;
};

static struct err delete_groups_go_on(struct request *request);

/* Parks for the next deletion that is not durable yet; false where there is none. */
static bool wait_for_next(struct delete_groups_work *work)
{
    while (work->next < work->response.results_count) {
        const struct coord_commit *commit = &work->commits[work->next];
        if (commit->partition == NULL) {
            work->next++;
            continue;
        }
        if (commit_wait_park(&work->wait, commit->partition, commit->end_offset,
                             delete_groups_go_on))
            return true;
        topic_unref(commit->topic);
        if (err_failed(work->wait.err))
            work->response.results[work->next].error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
        work->next++;
    }
    return false;
}

static struct err delete_groups_reply(struct request *request)
{
    struct delete_groups_work *work = request->parked;
    if (wait_for_next(work))
        return ERR_NONE;
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(delete_groups_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static struct err delete_groups_go_on(struct request *request)
{
    struct delete_groups_work *work = request->parked;
    topic_unref(work->commits[work->next].topic);
    if (err_failed(work->wait.err))
        work->response.results[work->next].error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    work->next++;
    return delete_groups_reply(request);
}

struct err delete_groups_handle(struct request *request, struct coord *coord)
{
    struct delete_groups_request asked;
    struct delete_groups_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(delete_groups_request_decode(&request->body, request->version, &request->arena, &asked));
    size_t count = (size_t)asked.groups_names_count;
    work->wait.request = request;
    request->parked = work;
    delete_groups_response_init(&work->response);
    work->response.results =
        arena_alloc_array(&request->arena, count, sizeof *work->response.results);
    work->commits = arena_alloc_array(&request->arena, count, sizeof *work->commits);
    if (work->response.results == NULL || work->commits == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.results_count = asked.groups_names_count;
    for (size_t i = 0; i < count; i++) {
        work->response.results[i].group_id = asked.groups_names[i];
        work->response.results[i].error_code =
            coord_delete_group(coord, asked.groups_names[i], &work->commits[i]);
    }
    return delete_groups_reply(request);
}
