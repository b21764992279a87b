/* txn_wait: parks a request until the coordinator of transactions has answered. */
#ifndef HEADRACE_API_TXN_WAIT_H
#define HEADRACE_API_TXN_WAIT_H

#include "api/request.h"
#include "coord/transactions.h"

struct txn_wait {
    struct transaction_wait wait;
    struct request *request;
};

/* Parks the request; resume runs after the wait was answered. Then ask the coordinator. */
void txn_wait_park(struct txn_wait *wait, struct request *request, request_resume resume);

/* Kafka's code for the answer of an API whose versions before fenced_since do not know
 * PRODUCER_FENCED. */
int16_t txn_wait_code(int16_t code, int16_t version, int16_t fenced_since);

#endif
