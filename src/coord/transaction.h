/*
 * transaction: one transactional id as data, and what each request would make of it (KIP-98,
 * KIP-360, KIP-588, KIP-890).
 *
 *                 init             add                 end, timeout, init
 *    (unknown) --------> EMPTY -----------> ONGOING ----------------------+
 *                        ^   |               ^    ^                       |
 *                        |   | abort (v2)    |    | add             decision durable
 *                   init |   +------------+  |    |                       |
 *                        |                v  |    |                       v
 *                     COMPLETE_COMMIT <-- markers durable <-- PREPARE_COMMIT
 *                     COMPLETE_ABORT  <-- in all partitions - PREPARE_ABORT
 *
 * From a COMPLETE state an abort of version 2 goes to PREPARE_ABORT again, and an expired id to
 * DEAD. Each arrow is one record of __transaction_state and counts once that is durable (W8).
 *
 * Invariants:
 *  1. The epoch of a producer id never falls; with version 2 each end raises it, so that nothing
 *     delayed can touch a later transaction.
 *  2. Partitions are held only in ONGOING and in the PREPARE states.
 *
 * Functions here judge and compute; they change nothing, wait for nothing and keep no state.
 */
#ifndef HEADRACE_COORD_TRANSACTION_H
#define HEADRACE_COORD_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

/* Kafka's numbers, as the records hold them. */
enum transaction_state {
    TRANSACTION_EMPTY = 0,
    TRANSACTION_ONGOING = 1,
    TRANSACTION_PREPARE_COMMIT = 2,
    TRANSACTION_PREPARE_ABORT = 3,
    TRANSACTION_COMPLETE_COMMIT = 4,
    TRANSACTION_COMPLETE_ABORT = 5,
    TRANSACTION_DEAD = 6,
    TRANSACTION_STATE_COUNT
};

/* Kafka's word for it: "Empty", "Ongoing", "PrepareCommit" ... */
const char *transaction_state_name(enum transaction_state state);

/* What a record of __transaction_state says, partitions aside. -1 stands for no id and no epoch. */
struct transaction_facts {
    int64_t producer_id;
    int64_t previous_producer_id;
    int64_t next_producer_id; /* to be used once complete: the epochs of producer_id are used up */
    int16_t epoch;
    int16_t last_epoch;     /* which the producer had before; not recorded */
    int16_t client_version; /* 2: the epoch rises at each end; 0: older clients */
    enum transaction_state state;
    int32_t timeout_ms;
    int64_t start_ms; /* wall clock; -1: none is open */
    int64_t update_ms;
};

/* An id nobody has initialised yet, with the given producer id. */
struct transaction_facts transaction_facts_new(int64_t producer_id, int64_t now_ms);

/* What is to be done about a request. */
enum transaction_step {
    STEP_REFUSE,  /* answer code */
    STEP_ANSWER,  /* nothing changes: answer with the facts as they are */
    STEP_NEED_ID, /* ask again with a fresh producer id */
    STEP_CHANGE   /* record next, then answer code (KAFKA_NONE: with next) */
};

struct transaction_verdict {
    enum transaction_step step;
    int16_t code;
    struct transaction_facts next;
};

/* InitProducerId. */
struct transaction_init {
    int32_t timeout_ms;
    int64_t producer_id; /* which the producer has and continues with (KIP-360); -1: a new one */
    int16_t epoch;
    int64_t fresh_id; /* in case the epochs are used up; -1: none at hand */
    int64_t now_ms;
};

void transaction_judge_init(const struct transaction_facts *facts, bool is_pending,
                            const struct transaction_init *asked,
                            struct transaction_verdict *verdict);

/* Who asks for anything else. */
struct transaction_producer {
    int64_t id;
    int16_t epoch;
    int16_t client_version; /* 2: transactions v2 */
};

/* AddPartitionsToTxn, or the implicit adding by Produce. has_all: the partitions are in already. */
void transaction_judge_add(const struct transaction_facts *facts, bool is_pending,
                           const struct transaction_producer *producer, bool has_all,
                           int64_t now_ms, struct transaction_verdict *verdict);

/* Asks only: KAFKA_NONE where the producer may write to partitions that are in; else why not. */
int16_t transaction_judge_verify(const struct transaction_facts *facts,
                                 const struct transaction_producer *producer);

/* EndTxn. */
struct transaction_end {
    struct transaction_producer producer;
    bool is_commit;
    int64_t fresh_id; /* as in struct transaction_init */
    int64_t now_ms;
};

void transaction_judge_end(const struct transaction_facts *facts, bool is_pending,
                           const struct transaction_end *asked,
                           struct transaction_verdict *verdict);

/*
 * The abort of an ONGOING transaction without its producer's asking: its time is over, or another
 * instance has come. The epoch rises by one, so that the old one cannot write; until a new instance
 * has an epoch, the old one may still learn of the abort (by its own, or InitProducerId) and go on.
 * client_version as for an end.
 */
struct transaction_facts transaction_fence(const struct transaction_facts *facts,
                                           int16_t client_version, int64_t now_ms);

/* What follows a PREPARE state once all markers are durable. */
struct transaction_facts transaction_complete(const struct transaction_facts *facts,
                                              int64_t now_ms);

#endif
