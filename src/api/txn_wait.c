/* txn_wait: one waiter, one wake. */
#include "api/txn_wait.h"

static void wait_done(struct transaction_wait *waiting)
{
    struct txn_wait *wait = LIST_ENTRY(waiting, struct txn_wait, wait);
    request_wake(wait->request);
}

void txn_wait_park(struct txn_wait *wait, struct request *request, request_resume resume)
{
    wait->request = request;
    wait->wait.done = wait_done;
    list_init(&wait->wait.link);
    request_park(request, resume);
}

int16_t txn_wait_code(int16_t code, int16_t version, int16_t fenced_since)
{
    bool is_unknown = code == KAFKA_PRODUCER_FENCED && version < fenced_since;
    return is_unknown ? KAFKA_INVALID_PRODUCER_EPOCH : code;
}
