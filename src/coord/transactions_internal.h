/* transactions_internal: what the files of the transactions share. All under transactions->lock. */
#ifndef HEADRACE_COORD_TRANSACTIONS_INTERNAL_H
#define HEADRACE_COORD_TRANSACTIONS_INTERNAL_H

#include "base/map.h"
#include "base/wheel.h"
#include "broker/internal_log.h"
#include "coord/state_topic.h"
#include "coord/transaction_partitions.h"
#include "coord/transactions.h"
#include "wire/error_code.h"

#define TRANSACTIONS_MAGIC 0x54584e53U /* "TXNS" */
#define TRANSACTION_MAGIC 0x54584e20U  /* "TXN " */

struct transactions {
    uint32_t magic;
    struct transactions_setup setup;
    const struct os_clock *clock;
    const struct config *config;
    struct os_mutex lock;
    struct wheel wheel;
    int64_t
        promised_ms; /* monotonic time until which transactions_wait_ms told its caller to sleep */
    struct state_topic state;
    struct map by_id;
    struct timer expiry;
    bool is_closed;
};

/* A marker on its way into one partition. */
struct transaction_mark {
    struct partition_waiter waiter;
    struct transaction *transaction;
    struct topic *topic; /* a reference, as long as the partition is waited for */
    size_t at;           /* among the transaction's partitions */
};

/* The markers that end a transaction. */
struct transaction_marks {
    struct transaction_mark *items; /* one for each partition */
    size_t waiting;  /* those not yet durable, and one for the loop that writes them */
    bool has_failed; /* some are to be written again */
};

struct transaction {
    uint32_t magic;
    struct list work; /* on a list of ids to be looked at, see transactions.c */
    struct transactions *owner;
    struct span id; /* owned */
    int32_t partition_index;
    struct transaction_facts facts; /* as recorded and durable */
    struct transaction_facts next;  /* recorded, while is_pending */
    bool is_pending;
    struct partition_waiter record; /* of next */
    int16_t code;                   /* what the asker is told when next is durable */
    struct transaction_wait *asker; /* NULL: nobody */
    struct list line;               /* of struct transaction_wait: additions that come too early */
    struct transaction_partitions partitions;
    struct transaction_marks marks;
    struct timer timer; /* the transaction's time is over; or markers are to be written again */
};

void transactions_lock(struct transactions *transactions);

/* Unlocks, and wakes the stepper when a timer is now due before it would look. */
void transactions_unlock(struct transactions *transactions);

/* Sets a timer so many milliseconds from now. */
void transactions_set_timer(struct transactions *transactions, struct timer *timer,
                            int64_t after_ms);

/*
 * Finds a transactional id. KAFKA_NONE with *out NULL where nobody initialised it; otherwise
 * Kafka's code: not available, loading.
 */
int16_t transactions_find(struct transactions *transactions, struct span id,
                          struct transaction **out);

/* Makes an id that nobody initialised yet. ERR_NO_MEMORY. */
MUST_USE struct err transactions_make(struct transactions *transactions, struct span id,
                                      struct transaction **out);

/* Takes an id out of the table and frees it; nothing of it is under way. */
void transactions_drop(struct transaction *transaction);

/* Answers who waits. */
void transaction_answer(struct transaction_wait *wait, int16_t code,
                        const struct transaction_facts *facts);

/*
 * Records next; code is what the asker (may be NULL) is told once it is durable, or why not. Staged
 * partitions are kept or dropped with it. Goes on from there with what follows from the new state.
 */
void transaction_record(struct transaction *transaction, const struct transaction_facts *next,
                        int16_t code, struct transaction_wait *asker);

/* What follows from the state that has become durable: markers, a timer, nothing. */
void transaction_enter(struct transaction *transaction);

/* The transaction's time is over, or its markers are due again. */
void transaction_timer_fired(struct timer *timer);

/* transaction_log.c */
MUST_USE struct err transaction_log_write(const struct transaction *transaction,
                                          const struct transaction_facts *facts,
                                          int64_t *end_offset);
/* transaction_marks.c */
/* Writes the markers that are still missing; once all are durable, records the completion. */
void transaction_write_marks(struct transaction *transaction);

#endif
