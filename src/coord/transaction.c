/* transaction: the rules. The order of checks is Kafka's, as clients react to the first error. */
#include "coord/transaction.h"

#include "base/check.h"
#include "wire/error_code.h"

/* From this epoch on the producer needs a new id: the largest is kept for a last fence. */
#define EPOCH_EXHAUSTED (INT16_MAX - 1)

#define NO_ID (-1)
#define NO_EPOCH (-1)

const char *transaction_state_name(enum transaction_state state)
{
    static const char *const names[TRANSACTION_STATE_COUNT] = {
        [TRANSACTION_EMPTY] = "Empty",
        [TRANSACTION_ONGOING] = "Ongoing",
        [TRANSACTION_PREPARE_COMMIT] = "PrepareCommit",
        [TRANSACTION_PREPARE_ABORT] = "PrepareAbort",
        [TRANSACTION_COMPLETE_COMMIT] = "CompleteCommit",
        [TRANSACTION_COMPLETE_ABORT] = "CompleteAbort",
        [TRANSACTION_DEAD] = "Dead",
    };
    CHECK((unsigned)state < TRANSACTION_STATE_COUNT);
    return names[state];
}

struct transaction_facts transaction_facts_new(int64_t producer_id, int64_t now_ms)
{
    return (struct transaction_facts){.producer_id = producer_id,
                                      .previous_producer_id = NO_ID,
                                      .next_producer_id = NO_ID,
                                      .epoch = NO_EPOCH,
                                      .last_epoch = NO_EPOCH,
                                      .state = TRANSACTION_EMPTY,
                                      .start_ms = -1,
                                      .update_ms = now_ms};
}

static void refuse(struct transaction_verdict *verdict, int16_t code)
{
    verdict->step = STEP_REFUSE;
    verdict->code = code;
}

static void change(struct transaction_verdict *verdict, const struct transaction_facts *next)
{
    verdict->step = STEP_CHANGE;
    verdict->code = KAFKA_NONE;
    verdict->next = *next;
}

static bool is_prepared(enum transaction_state state)
{
    return state == TRANSACTION_PREPARE_COMMIT || state == TRANSACTION_PREPARE_ABORT;
}

/*
 * Whether the producer may go on under this transactional id: nobody used it yet, or it has the
 * present id, or the one before at its last epoch and never heard of the new one.
 */
static bool is_id_valid(const struct transaction_facts *facts, const struct transaction_init *asked)
{
    return facts->epoch == NO_EPOCH || asked->producer_id == facts->producer_id ||
           (asked->producer_id == facts->previous_producer_id && asked->epoch >= EPOCH_EXHAUSTED);
}

/* The next epoch of the same producer id, or the present one where it was asked for twice. */
static void raise_epoch(const struct transaction_facts *facts, const struct transaction_init *asked,
                        struct transaction_facts *next, struct transaction_verdict *verdict)
{
    bool continues = asked->producer_id != NO_ID;
    if (!continues) {
        next->epoch = (int16_t)(facts->epoch + 1);
        next->last_epoch = NO_EPOCH;
    } else if (facts->epoch == NO_EPOCH || asked->epoch == facts->epoch) {
        next->epoch = (int16_t)(facts->epoch + 1);
        next->last_epoch = facts->epoch;
    } else if (asked->epoch != facts->last_epoch) {
        refuse(verdict, KAFKA_PRODUCER_FENCED);
        return;
    }
    change(verdict, next);
}

void transaction_judge_init(const struct transaction_facts *facts, bool is_pending,
                            const struct transaction_init *asked,
                            struct transaction_verdict *verdict)
{
    bool continues = asked->producer_id != NO_ID;
    if (is_pending) {
        refuse(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
        return;
    }
    if (continues && !is_id_valid(facts, asked)) {
        refuse(verdict, KAFKA_PRODUCER_FENCED);
        return;
    }
    if (is_prepared(facts->state)) {
        refuse(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
        return;
    }
    struct transaction_facts next = *facts;
    if (facts->state == TRANSACTION_ONGOING) {
        next = transaction_fence(facts, 2, asked->now_ms);
        change(verdict, &next);
        verdict->code = KAFKA_CONCURRENT_TRANSACTIONS; /* the client comes again when it is over */
        return;
    }
    next.state = TRANSACTION_EMPTY;
    next.timeout_ms = asked->timeout_ms;
    next.start_ms = -1;
    next.update_ms = asked->now_ms;
    bool is_exhausted =
        facts->epoch >= EPOCH_EXHAUSTED && (!continues || asked->epoch == facts->epoch);
    if (!is_exhausted) {
        raise_epoch(facts, asked, &next, verdict);
        return;
    }
    verdict->step = STEP_NEED_ID;
    if (asked->fresh_id == NO_ID)
        return;
    next.previous_producer_id = facts->producer_id;
    next.producer_id = asked->fresh_id;
    next.epoch = 0;
    next.last_epoch = continues ? facts->epoch : NO_EPOCH;
    change(verdict, &next);
}

/*
 * Whether the request is of the transaction after the one that ends: its producer was answered at
 * the decision, and told of a new id where the epochs of this one are used up.
 */
static bool is_of_next(const struct transaction_facts *facts,
                       const struct transaction_producer *producer)
{
    if (!is_prepared(facts->state))
        return false;
    if (facts->next_producer_id != NO_ID)
        return producer->id == facts->next_producer_id && producer->epoch == 0;
    return producer->id == facts->producer_id && producer->epoch == facts->epoch;
}

/* What every request of a running producer must fulfil; KAFKA_NONE where it does. */
static int16_t check_producer(const struct transaction_facts *facts,
                              const struct transaction_producer *producer)
{
    if (is_of_next(facts, producer))
        return KAFKA_CONCURRENT_TRANSACTIONS;
    if (facts->producer_id != producer->id)
        return KAFKA_INVALID_PRODUCER_ID_MAPPING;
    if (facts->epoch != producer->epoch)
        return KAFKA_PRODUCER_FENCED;
    return is_prepared(facts->state) ? KAFKA_CONCURRENT_TRANSACTIONS : KAFKA_NONE;
}

void transaction_judge_add(const struct transaction_facts *facts, bool is_pending,
                           const struct transaction_producer *producer, bool has_all,
                           int64_t now_ms, struct transaction_verdict *verdict)
{
    int16_t code = is_pending ? KAFKA_CONCURRENT_TRANSACTIONS : check_producer(facts, producer);
    if (code != KAFKA_NONE) {
        refuse(verdict, code);
        return;
    }
    if (facts->state == TRANSACTION_ONGOING && has_all) {
        verdict->step = STEP_ANSWER;
        verdict->code = KAFKA_NONE;
        return;
    }
    struct transaction_facts next = *facts;
    if (facts->state != TRANSACTION_ONGOING)
        next.start_ms = now_ms;
    next.state = TRANSACTION_ONGOING;
    next.client_version = producer->client_version;
    next.update_ms = now_ms;
    change(verdict, &next);
}

int16_t transaction_judge_verify(const struct transaction_facts *facts,
                                 const struct transaction_producer *producer)
{
    int16_t code = check_producer(facts, producer);
    if (code == KAFKA_NONE && facts->state != TRANSACTION_ONGOING)
        code = KAFKA_TRANSACTION_ABORTABLE;
    return code;
}

/* How an end that was answered and asked for again shows: the producer has the epoch before. */
struct retry {
    bool is_bumped;   /* of the same id */
    bool is_overflow; /* of the id before, whose epochs were used up */
};

static struct retry find_retry(const struct transaction_facts *facts,
                               const struct transaction_producer *producer)
{
    return (struct retry){
        .is_bumped = producer->id == facts->producer_id && producer->epoch != INT16_MAX &&
                     facts->epoch == producer->epoch + 1,
        .is_overflow = producer->id == facts->previous_producer_id &&
                       producer->epoch == EPOCH_EXHAUSTED && facts->epoch == 0,
    };
}

static bool is_end_epoch_valid(const struct transaction_facts *facts,
                               const struct transaction_producer *producer, struct retry retry)
{
    bool is_present = producer->epoch == facts->epoch;
    if (producer->client_version < 2)
        return is_present;
    switch (facts->state) {
    case TRANSACTION_PREPARE_COMMIT:
    case TRANSACTION_PREPARE_ABORT:
        return retry.is_bumped;
    case TRANSACTION_COMPLETE_COMMIT:
    case TRANSACTION_COMPLETE_ABORT:
        return retry.is_bumped || retry.is_overflow || is_present;
    case TRANSACTION_EMPTY:
    case TRANSACTION_ONGOING:
    case TRANSACTION_DEAD:
    case TRANSACTION_STATE_COUNT:
        break;
    }
    return is_present;
}

/* The decision. With version 2 the epoch rises, to a new id where this one's are used up. */
static void decide(const struct transaction_facts *facts, const struct transaction_end *asked,
                   struct transaction_verdict *verdict)
{
    struct transaction_facts next = *facts;
    next.state = asked->is_commit ? TRANSACTION_PREPARE_COMMIT : TRANSACTION_PREPARE_ABORT;
    next.client_version = asked->producer.client_version;
    next.update_ms = asked->now_ms;
    if (facts->state != TRANSACTION_ONGOING)
        next.start_ms = asked->now_ms;
    if (asked->producer.client_version >= 2) {
        if (facts->epoch >= EPOCH_EXHAUSTED && asked->fresh_id == NO_ID) {
            verdict->step = STEP_NEED_ID;
            return;
        }
        if (facts->epoch >= EPOCH_EXHAUSTED)
            next.next_producer_id = asked->fresh_id;
        next.last_epoch = facts->epoch;
        next.epoch = (int16_t)(facts->epoch + (facts->epoch < INT16_MAX));
    }
    change(verdict, &next);
}

/* An end asked for when it is under way or over. */
static void judge_end_again(const struct transaction_facts *facts,
                            const struct transaction_end *asked, bool is_retry,
                            struct transaction_verdict *verdict)
{
    bool was_commit =
        facts->state == TRANSACTION_PREPARE_COMMIT || facts->state == TRANSACTION_COMPLETE_COMMIT;
    bool is_new_abort = asked->producer.client_version >= 2 && !is_retry && !asked->is_commit &&
                        !is_prepared(facts->state);
    if (is_new_abort) { /* of a transaction that never came to hold a partition */
        decide(facts, asked, verdict);
        return;
    }
    bool is_next = asked->producer.client_version >= 2 && !is_retry && !is_prepared(facts->state);
    if (was_commit != asked->is_commit || is_next) {
        refuse(verdict, KAFKA_INVALID_TXN_STATE);
    } else if (is_prepared(facts->state)) {
        refuse(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
    } else {
        verdict->step = STEP_ANSWER;
        verdict->code = KAFKA_NONE;
    }
}

void transaction_judge_end(const struct transaction_facts *facts, bool is_pending,
                           const struct transaction_end *asked, struct transaction_verdict *verdict)
{
    struct retry retry = find_retry(facts, &asked->producer);
    bool is_version_2 = asked->producer.client_version >= 2;
    if (is_pending || (is_version_2 && is_of_next(facts, &asked->producer))) {
        refuse(verdict, KAFKA_CONCURRENT_TRANSACTIONS);
    } else if (facts->producer_id != asked->producer.id && !(is_version_2 && retry.is_overflow)) {
        refuse(verdict, KAFKA_INVALID_PRODUCER_ID_MAPPING);
    } else if (!is_end_epoch_valid(facts, &asked->producer, retry)) {
        refuse(verdict, KAFKA_PRODUCER_FENCED);
    } else if (facts->state == TRANSACTION_ONGOING) {
        decide(facts, asked, verdict);
    } else if (facts->state == TRANSACTION_EMPTY) {
        if (is_version_2 && !asked->is_commit)
            decide(facts, asked, verdict);
        else
            refuse(verdict, KAFKA_INVALID_TXN_STATE);
    } else {
        judge_end_again(facts, asked, retry.is_bumped || retry.is_overflow, verdict);
    }
}

struct transaction_facts transaction_fence(const struct transaction_facts *facts,
                                           int16_t client_version, int64_t now_ms)
{
    CHECK(facts->state == TRANSACTION_ONGOING);
    struct transaction_facts next = *facts;
    next.state = TRANSACTION_PREPARE_ABORT;
    next.epoch = (int16_t)(facts->epoch + (facts->epoch < INT16_MAX));
    next.last_epoch = facts->epoch;
    next.client_version = client_version;
    next.update_ms = now_ms;
    return next;
}

struct transaction_facts transaction_complete(const struct transaction_facts *facts, int64_t now_ms)
{
    CHECK(is_prepared(facts->state));
    struct transaction_facts next = *facts;
    next.state = facts->state == TRANSACTION_PREPARE_COMMIT ? TRANSACTION_COMPLETE_COMMIT
                                                            : TRANSACTION_COMPLETE_ABORT;
    next.update_ms = now_ms;
    if (facts->next_producer_id != NO_ID) {
        next.previous_producer_id = facts->producer_id;
        next.producer_id = facts->next_producer_id;
        next.epoch = 0;
        next.next_producer_id = NO_ID;
    }
    return next;
}
