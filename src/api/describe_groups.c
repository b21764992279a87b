/* describe_groups: groups and their members, of the classic protocol. */
#include "api/handlers.h"
#include "api/operations.h"

struct err describe_groups_handle(struct request *request, struct coord *coord)
{
    struct describe_groups_request asked;
    struct describe_groups_response response;
    TRY(describe_groups_request_decode(&request->body, request->version, &request->arena, &asked));
    describe_groups_response_init(&response);
    response.groups =
        arena_alloc_array(&request->arena, (size_t)asked.groups_count, sizeof *response.groups);
    if (response.groups == NULL)
        return err_make(ERR_NO_MEMORY);
    response.groups_count = asked.groups_count;
    for (int32_t i = 0; i < asked.groups_count; i++) {
        describe_groups_response_group_init(&response.groups[i]);
        TRY(coord_describe_group(coord, asked.groups[i], request->version, &request->arena,
                                 &response.groups[i]));
        if (asked.include_authorized_operations)
            response.groups[i].authorized_operations = OPERATIONS_GROUP;
    }
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(describe_groups_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
