/*
 * produce_verify: whether the partitions of a Produce request are in its producer's transaction
 * (KIP-890).
 *
 * A partition where the transaction is open already needs no asking. Of the others the coordinator
 * is asked: since version 12 to add them, before that whether the client has. What was known of the
 * producer in each partition is noted first and goes with the append, so that an answer that a
 * marker has overtaken does no harm.
 */
#ifndef HEADRACE_API_PRODUCE_VERIFY_H
#define HEADRACE_API_PRODUCE_VERIFY_H

#include "api/txn_wait.h"
#include "broker/broker.h"
#include "wire/produce.h"

/* What is known of one partition of the request. */
struct produce_claim {
    bool is_transactional;
    struct append_guard guard;
    int16_t code; /* why its batch is not to be appended */
};

/* In the request's arena. */
struct produce_verify {
    struct txn_wait txn;
    struct produce_claim *claims; /* in the order of the request, through all topics */
    size_t claim_count;
    struct transaction_add add; /* what the coordinator is asked */
    struct transaction_place *places;
    size_t *place_claims; /* which claim each place belongs to */
};

/* Looks at the batches of the request. add.place_count says whether the coordinator need be asked.
 * ERR_NO_MEMORY. */
MUST_USE struct err produce_verify_begin(struct produce_verify *verify, struct request *request,
                                         struct broker *broker,
                                         const struct produce_request *asked);

/*
 * Asks the coordinator; the request is parked, and resume runs when there is an answer, which
 * produce_verify_end then takes in. The body was kept.
 */
void produce_verify_ask(struct produce_verify *verify, struct request *request,
                        struct transactions *transactions, struct span transactional_id,
                        request_resume resume);
void produce_verify_end(struct produce_verify *verify, int16_t version);

/* As ask and end in one, for versions below 12: nothing need be waited for. */
MUST_USE struct err produce_verify_check(struct produce_verify *verify, struct request *request,
                                         struct transactions *transactions,
                                         struct span transactional_id);

/* Whether the request's version leaves the adding to us. */
bool produce_verify_adds(const struct request *request);

#endif
