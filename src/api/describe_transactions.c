/* describe_transactions: state and partitions of transactions by their ids (KIP-664). */
#include "wire/describe_transactions.h"
#include "api/handlers.h"
#include "coord/transactions.h"

struct err describe_transactions_handle(struct request *request, struct coord *coord)
{
    struct describe_transactions_request asked;
    struct describe_transactions_response response;
    TRY(describe_transactions_request_decode(&request->body, request->version, &request->arena,
                                             &asked));
    describe_transactions_response_init(&response);
    response.transaction_states =
        arena_alloc_array(&request->arena, (size_t)asked.transactional_ids_count,
                          sizeof *response.transaction_states);
    if (response.transaction_states == NULL)
        return err_make(ERR_NO_MEMORY);
    response.transaction_states_count = asked.transactional_ids_count;
    for (int32_t i = 0; i < asked.transactional_ids_count; i++)
        TRY(transactions_describe(coord_transactions(coord), asked.transactional_ids[i],
                                  &request->arena, &response.transaction_states[i]));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(describe_transactions_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
