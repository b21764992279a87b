/* heartbeat: a member of a classic group is alive. */
#include "api/handlers.h"

struct err heartbeat_handle(struct request *request, struct coord *coord)
{
    struct heartbeat_request asked;
    struct heartbeat_response response;
    TRY(heartbeat_request_decode(&request->body, request->version, &request->arena, &asked));
    heartbeat_response_init(&response);
    response.error_code = coord_heartbeat(coord, &asked);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(heartbeat_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
