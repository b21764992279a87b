/* list_groups: all groups, or those of certain states and types (KIP-518, KIP-848). */
#include "api/handlers.h"

struct err list_groups_handle(struct request *request, struct coord *coord)
{
    struct list_groups_request asked;
    struct list_groups_response response;
    TRY(list_groups_request_decode(&request->body, request->version, &request->arena, &asked));
    list_groups_response_init(&response);
    TRY(coord_list_groups(coord, &asked, &request->arena, &response));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(list_groups_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
