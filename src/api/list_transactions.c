/* list_transactions: which transactions there are (KIP-664, KIP-994, KIP-1152). */
#include "wire/list_transactions.h"
#include "api/handlers.h"
#include "base/regex.h"
#include "coord/transactions.h"

/* Leaves those whose id the expression matches as a whole. */
static struct err filter_ids(struct span pattern, struct list_transactions_response *response)
{
    struct regex *regex;
    struct err err = regex_compile(pattern, &regex);
    if (err_is(err, ERR_INVALID)) {
        response->error_code = KAFKA_INVALID_REGULAR_EXPRESSION;
        response->transaction_states_count = 0;
        return ERR_NONE;
    }
    TRY(err);
    int32_t kept = 0;
    for (int32_t i = 0; i < response->transaction_states_count; i++) {
        if (regex_matches(regex, response->transaction_states[i].transactional_id))
            response->transaction_states[kept++] = response->transaction_states[i];
    }
    response->transaction_states_count = kept;
    regex_free(regex);
    return ERR_NONE;
}

struct err list_transactions_handle(struct request *request, struct coord *coord)
{
    struct list_transactions_request asked;
    struct list_transactions_response response;
    TRY(list_transactions_request_decode(&request->body, request->version, &request->arena,
                                         &asked));
    list_transactions_response_init(&response);
    TRY(transactions_list(coord_transactions(coord), &asked, &request->arena, &response));
    if (!span_is_null(asked.transactional_id_pattern) && asked.transactional_id_pattern.size != 0)
        TRY(filter_ids(asked.transactional_id_pattern, &response));
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(list_transactions_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
