/* leave_group: members leave, several at once since KIP-345. */
#include "api/handlers.h"

struct err leave_group_handle(struct request *request, struct coord *coord)
{
    struct leave_group_request asked;
    struct leave_group_response response;
    TRY(leave_group_request_decode(&request->body, request->version, &request->arena, &asked));
    leave_group_response_init(&response);
    TRY(coord_leave_group(coord, &asked, request->version, &request->arena, &response));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(leave_group_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
