/*
 * transactions: the coordinator of transactions (KIP-98, KIP-890).
 *
 * Transactional ids live on partitions of __transaction_state by the hash of their names. A change
 * of one is recorded there and counts once it is durable; until then other requests for the same id
 * are told to come again. The end of a transaction is three records in order, each durable before
 * the next (W8): the decision; a marker in each partition; the completion. A restart goes on where
 * the records end.
 *
 * Any thread may call any function. A wait's done is called once, perhaps before the call returns,
 * under the lock of the transactions: it must neither wait nor call back.
 *
 * Locks: that of the transactions > the group coordinator's > a partition's.
 */
#ifndef HEADRACE_COORD_TRANSACTIONS_H
#define HEADRACE_COORD_TRANSACTIONS_H

#include "base/arena.h"
#include "coord/coord.h"
#include "coord/transaction.h"
#include "wire/describe_transactions.h"
#include "wire/list_transactions.h"

struct transactions;

struct transactions_setup {
    struct broker *broker;
    struct coord *coord; /* whose groups' offsets are committed in transactions */
    /* Something is now due earlier than transactions_wait_ms said: step again. Any thread. */
    void (*wake)(void *context);
    void *context;
};

/* Makes the coordinator; all of its ids are still to be loaded. setup's parts outlive it. */
MUST_USE struct err transactions_create(const struct transactions_setup *setup,
                                        struct transactions **out);

/* Refuses later requests with COORDINATOR_NOT_AVAILABLE. */
void transactions_close(struct transactions *transactions);

/* Frees it, after transactions_close and broker_stop. NULL is taken and ignored. */
void transactions_destroy(struct transactions *transactions);

/*
 * Loads one partition's ids and goes on with the transactions that were being ended. The groups'
 * offsets are loaded before. *is_more: call again. Errors as coord_load_step. One thread.
 */
MUST_USE struct err transactions_load_step(struct transactions *transactions, bool *is_more,
                                           struct diag *diag);

/* Lets timers fire: transactions whose time is over, ids nobody used for long. */
void transactions_step(struct transactions *transactions);

/* Milliseconds until transactions_step has something to do; -1: nothing is due. */
int64_t transactions_wait_ms(struct transactions *transactions);

/* Makes __transaction_state where it is missing. Errors: state_topic_prepare's. */
MUST_USE struct err transactions_prepare(struct transactions *transactions, int64_t *commit,
                                         struct diag *diag);

/* Somebody who waits for an answer. */
struct transaction_wait {
    struct list link; /* while it waits for the transaction before to be over */
    int16_t code;
    int64_t producer_id; /* -1 with an error */
    int16_t epoch;
    bool needs_id; /* ask again with a fresh producer id; nothing was changed */
    const struct transaction_add *add;
    void (*done)(struct transaction_wait *wait);
};

/* InitProducerId with a transactional id. Answers the producer's id and epoch. */
void transactions_init(struct transactions *transactions, struct span id,
                       const struct transaction_init *asked, struct transaction_wait *wait);

/* Partitions to be added, or asked for; the spans live during the call. */
struct transaction_place {
    struct span topic;
    int32_t partition;
};

struct transaction_add {
    struct transaction_producer producer;
    const struct transaction_place *places;
    size_t place_count;
};

/*
 * Adds partitions to the producer's transaction, which begins where none is open. While the one
 * before is being ended the answer waits for that. asked and what it points to live until done.
 */
void transactions_add(struct transactions *transactions, struct span id,
                      const struct transaction_add *asked, struct transaction_wait *wait);

/*
 * Whether the partitions are in the producer's open transaction. Fills codes, one for each place,
 * with KAFKA_NONE, TRANSACTION_ABORTABLE, or what holds for all.
 */
void transactions_verify(struct transactions *transactions, struct span id,
                         const struct transaction_add *asked, int16_t *codes);

/* EndTxn. Answers the id and epoch for the next transaction. */
void transactions_end(struct transactions *transactions, struct span id,
                      const struct transaction_end *asked, struct transaction_wait *wait);

/* One id's state; in arena memory. */
MUST_USE struct err transactions_describe(struct transactions *transactions, struct span id,
                                          struct arena *arena,
                                          struct describe_transactions_response_transaction *out);

/* Those that match the request's filters, transactional_id_pattern aside; in arena memory. */
MUST_USE struct err transactions_list(struct transactions *transactions,
                                      const struct list_transactions_request *request,
                                      struct arena *arena,
                                      struct list_transactions_response *response);

/* Ids in each state, for metrics. */
struct transaction_counts {
    int64_t by_state[TRANSACTION_STATE_COUNT];
};

void transactions_count(struct transactions *transactions, struct transaction_counts *counts);

#endif
