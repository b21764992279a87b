/* transactions: life, table, time, and the requests of producers. */
#include "coord/transactions_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "coord/group.h"

static const struct state_topic_kind state_kind = {
    .name = TOPIC_TRANSACTIONS,
    .partition_count = CONFIG_TRANSACTION_STATE_LOG_NUM_PARTITIONS,
    .segment_size = CONFIG_TRANSACTION_STATE_LOG_SEGMENT_BYTES,
};

/* How long after a record could not be written it is tried again: by then there may be room on the
 * disk. */
#define RETRY_MS 500

void transactions_lock(struct transactions *transactions)
{
    os_mutex_lock(&transactions->lock);
}

void transactions_unlock(struct transactions *transactions)
{
    int64_t wait_ms = wheel_wait_ms(&transactions->wheel);
    int64_t due_ms = wait_ms < 0 ? INT64_MAX : transactions->wheel.now_ms + wait_ms;
    bool is_earlier = due_ms < transactions->promised_ms;
    if (is_earlier)
        transactions->promised_ms = due_ms;
    os_mutex_unlock(&transactions->lock);
    if (is_earlier && transactions->setup.wake != NULL)
        transactions->setup.wake(transactions->setup.context);
}

void transactions_set_timer(struct transactions *transactions, struct timer *timer,
                            int64_t after_ms)
{
    wheel_set(&transactions->wheel, timer, clock_mono_ms(transactions->clock) + after_ms);
}

void transactions_step(struct transactions *transactions)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    transactions_lock(transactions);
    if (!transactions->is_closed)
        wheel_advance(&transactions->wheel, clock_mono_ms(transactions->clock));
    transactions_unlock(transactions);
}

int64_t transactions_wait_ms(struct transactions *transactions)
{
    transactions_lock(transactions);
    int64_t wait_ms = transactions->is_closed ? -1 : wheel_wait_ms(&transactions->wheel);
    transactions->promised_ms = wait_ms < 0 ? INT64_MAX : transactions->wheel.now_ms + wait_ms;
    if (wait_ms > 0) {
        int64_t left_ms = transactions->promised_ms - clock_mono_ms(transactions->clock);
        wait_ms = left_ms > 0 ? left_ms : 0;
    }
    os_mutex_unlock(&transactions->lock);
    return wait_ms;
}

static bool is_expired(const struct transaction *transaction, int64_t before_ms)
{
    switch (transaction->facts.state) {
    case TRANSACTION_EMPTY:
    case TRANSACTION_COMPLETE_COMMIT:
    case TRANSACTION_COMPLETE_ABORT:
        return !transaction->is_pending && transaction->facts.update_ms < before_ms;
    case TRANSACTION_ONGOING:
    case TRANSACTION_PREPARE_COMMIT:
    case TRANSACTION_PREPARE_ABORT:
    case TRANSACTION_DEAD:
    case TRANSACTION_STATE_COUNT:
        break;
    }
    return false;
}

/* Ids nobody used for long are forgotten, with a tombstone. */
static void expiry_fired(struct timer *timer)
{
    struct transactions *transactions = LIST_ENTRY(timer, struct transactions, expiry);
    int64_t before_ms = clock_wall_ms(transactions->clock) -
                        config_number(transactions->config, CONFIG_TRANSACTIONAL_ID_EXPIRATION_MS);
    struct list expired;
    list_init(&expired);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&transactions->by_id, &position)) != NULL) {
        struct transaction *transaction = entry->value;
        if (is_expired(transaction, before_ms))
            list_append(&expired, &transaction->work);
    }
    for (struct list *link = list_pop(&expired); link != NULL; link = list_pop(&expired)) {
        struct transaction *transaction = LIST_ENTRY(link, struct transaction, work);
        struct transaction_facts dead = transaction->facts;
        dead.state = TRANSACTION_DEAD;
        transaction_record(transaction, &dead, KAFKA_NONE, NULL);
    }
    transactions_set_timer(
        transactions, timer,
        config_number(transactions->config, CONFIG_TRANSACTION_REMOVE_EXPIRED_INTERVAL_MS));
}

struct err transactions_create(const struct transactions_setup *setup, struct transactions **out)
{
    struct transactions *transactions = calloc(1, sizeof *transactions);
    if (transactions == NULL)
        return err_make(ERR_NO_MEMORY);
    const struct os *os = setup->broker->os;
    *transactions = (struct transactions){
        .magic = TRANSACTIONS_MAGIC,
        .setup = *setup,
        .clock = os->clock,
        .config = setup->broker->config,
        .promised_ms = INT64_MAX,
    };
    os_mutex_init(&transactions->lock);
    wheel_init(&transactions->wheel, clock_mono_ms(os->clock));
    map_init(&transactions->by_id, random_u64(os->random));
    timer_init(&transactions->expiry, expiry_fired);
    struct err err = state_topic_init(&transactions->state, setup->broker, &state_kind);
    if (err_failed(err)) {
        transactions_destroy(transactions);
        return err;
    }
    transactions_set_timer(
        transactions, &transactions->expiry,
        config_number(transactions->config, CONFIG_TRANSACTION_REMOVE_EXPIRED_INTERVAL_MS));
    *out = transactions;
    return ERR_NONE;
}

/* Answers those who stand in line with an error. */
static void line_refuse(struct transaction *transaction, int16_t code)
{
    for (struct list *link = list_pop(&transaction->line); link != NULL;
         link = list_pop(&transaction->line))
        transaction_answer(LIST_ENTRY(link, struct transaction_wait, link), code, NULL);
}

void transactions_close(struct transactions *transactions)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    transactions_lock(transactions);
    transactions->is_closed = true;
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&transactions->by_id, &position)) != NULL)
        line_refuse(entry->value, KAFKA_COORDINATOR_NOT_AVAILABLE);
    transactions_unlock(transactions);
}

static void transaction_free(struct transaction *transaction)
{
    CHECK_MAGIC(transaction, TRANSACTION_MAGIC);
    CHECK(!transaction->is_pending && transaction->marks.items == NULL);
    CHECK(list_is_empty(&transaction->line));
    timer_cancel(&transaction->timer);
    transaction_partitions_clear(&transaction->partitions);
    blob_free(&transaction->id);
    transaction->magic = 0;
    free(transaction);
}

void transactions_destroy(struct transactions *transactions)
{
    if (transactions == NULL)
        return;
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&transactions->by_id, &position)) != NULL)
        transaction_free(entry->value);
    map_deinit(&transactions->by_id);
    timer_cancel(&transactions->expiry);
    state_topic_deinit(&transactions->state);
    os_mutex_deinit(&transactions->lock);
    transactions->magic = 0;
    free(transactions);
}

struct err transactions_prepare(struct transactions *transactions, int64_t *commit,
                                struct diag *diag)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    return state_topic_prepare(&transactions->state, commit, diag);
}

int16_t transactions_find(struct transactions *transactions, struct span id,
                          struct transaction **out)
{
    int32_t index;
    *out = NULL;
    if (transactions->is_closed)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    int16_t code = state_topic_locate(&transactions->state, id, &index);
    if (code == KAFKA_NONE)
        *out = map_get(&transactions->by_id, id);
    return code;
}

struct err transactions_make(struct transactions *transactions, struct span id,
                             struct transaction **out)
{
    struct transaction *transaction = calloc(1, sizeof *transaction);
    if (transaction == NULL)
        return err_make(ERR_NO_MEMORY);
    transaction->magic = TRANSACTION_MAGIC;
    transaction->owner = transactions;
    transaction->partition_index = hash_partition(id, transactions->state.partition_count);
    list_init(&transaction->work);
    list_init(&transaction->line);
    timer_init(&transaction->timer, transaction_timer_fired);
    struct err err = blob_copy(id, &transaction->id);
    if (!err_failed(err))
        err = map_put(&transactions->by_id, transaction->id, transaction);
    if (err_failed(err)) {
        transaction_free(transaction);
        return err;
    }
    *out = transaction;
    return ERR_NONE;
}

void transactions_drop(struct transaction *transaction)
{
    const void *found = map_remove(&transaction->owner->by_id, transaction->id);
    CHECK(found == transaction);
    transaction_free(transaction);
}

void transaction_answer(struct transaction_wait *wait, int16_t code,
                        const struct transaction_facts *facts)
{
    wait->code = code;
    wait->needs_id = false;
    wait->producer_id = code == KAFKA_NONE ? facts->producer_id : -1;
    wait->epoch = code == KAFKA_NONE ? facts->epoch : -1;
    wait->done(wait);
}

static void answer_needs_id(struct transaction_wait *wait)
{
    wait->needs_id = true;
    wait->done(wait);
}

/* What the producer goes on with: after a decision, the id and epoch that will be complete. */
static void answer_next(struct transaction *transaction, int16_t code)
{
    struct transaction_wait *asker = transaction->asker;
    transaction->asker = NULL;
    if (asker == NULL)
        return;
    bool is_decision = transaction->next.state == TRANSACTION_PREPARE_COMMIT ||
                       transaction->next.state == TRANSACTION_PREPARE_ABORT;
    struct transaction_facts told =
        is_decision ? transaction_complete(&transaction->next, transaction->next.update_ms)
                    : transaction->next;
    transaction_answer(asker, code, &told);
}

/* The record will never be: all is as before. What must go on by itself is tried again. */
static void record_failed(struct transaction *transaction)
{
    transaction_partitions_drop(&transaction->partitions);
    answer_next(transaction, KAFKA_COORDINATOR_NOT_AVAILABLE);
    line_refuse(transaction, KAFKA_COORDINATOR_NOT_AVAILABLE);
    if (!transaction->owner->is_closed && transaction->facts.state != TRANSACTION_EMPTY)
        transactions_set_timer(transaction->owner, &transaction->timer, RETRY_MS);
}

static bool is_ending(enum transaction_state state)
{
    return state == TRANSACTION_PREPARE_COMMIT || state == TRANSACTION_PREPARE_ABORT;
}

static void add(struct transaction *transaction, struct transaction_wait *wait);

/* Lets those in line try again, one after the other, as far as that goes. */
static void line_move(struct transaction *transaction)
{
    while (!transaction->is_pending && !is_ending(transaction->facts.state)) {
        struct list *link = list_pop(&transaction->line);
        if (link == NULL)
            return;
        add(transaction, LIST_ENTRY(link, struct transaction_wait, link));
    }
}

static void recorded(struct transaction *transaction, struct err err)
{
    transaction->is_pending = false;
    if (err_failed(err)) {
        record_failed(transaction);
        return;
    }
    transaction->facts = transaction->next;
    transaction_partitions_keep(&transaction->partitions);
    if (transaction->facts.state != TRANSACTION_ONGOING && !is_ending(transaction->facts.state))
        transaction_partitions_clear(&transaction->partitions);
    answer_next(transaction, transaction->code);
    if (transaction->facts.state == TRANSACTION_DEAD) {
        line_refuse(transaction, KAFKA_INVALID_PRODUCER_ID_MAPPING);
        transactions_drop(transaction);
        return;
    }
    transaction_enter(transaction);
    line_move(transaction);
}

static void record_durable(struct partition_waiter *waiter, struct err err)
{
    struct transaction *transaction = LIST_ENTRY(waiter, struct transaction, record);
    struct transactions *transactions = transaction->owner;
    transactions_lock(transactions);
    recorded(transaction, err);
    transactions_unlock(transactions);
}

void transaction_record(struct transaction *transaction, const struct transaction_facts *next,
                        int16_t code, struct transaction_wait *asker)
{
    CHECK(!transaction->is_pending && transaction->asker == NULL);
    struct transactions *transactions = transaction->owner;
    transaction->next = *next;
    transaction->code = code;
    transaction->asker = asker;
    transaction->record = (struct partition_waiter){.done = record_durable};
    struct err err = transaction_log_write(transaction, next, &transaction->record.offset);
    if (err_failed(err)) {
        record_failed(transaction);
        return;
    }
    transaction->is_pending = true;
    struct partition *partition =
        state_topic_partition(&transactions->state, transaction->partition_index);
    if (partition_wait(partition, &transaction->record, &err))
        recorded(transaction, err);
}

/* Sets the timer to the end of the open transaction's time. */
static void set_timeout(struct transaction *transaction)
{
    const struct transaction_facts *facts = &transaction->facts;
    int64_t left_ms =
        facts->start_ms + facts->timeout_ms - clock_wall_ms(transaction->owner->clock);
    transactions_set_timer(transaction->owner, &transaction->timer, left_ms > 0 ? left_ms : 0);
}

void transaction_enter(struct transaction *transaction)
{
    switch (transaction->facts.state) {
    case TRANSACTION_ONGOING:
        set_timeout(transaction);
        return;
    case TRANSACTION_PREPARE_COMMIT:
    case TRANSACTION_PREPARE_ABORT:
        timer_cancel(&transaction->timer);
        transaction_write_marks(transaction);
        return;
    case TRANSACTION_EMPTY:
    case TRANSACTION_COMPLETE_COMMIT:
    case TRANSACTION_COMPLETE_ABORT:
        timer_cancel(&transaction->timer);
        return;
    case TRANSACTION_DEAD:
    case TRANSACTION_STATE_COUNT:
        break;
    }
    CHECK(false);
}

/* Aborts an open transaction whose time is over; false where it has time left. */
static bool abort_late(struct transaction *transaction)
{
    const struct transaction_facts *facts = &transaction->facts;
    int64_t now_ms = clock_wall_ms(transaction->owner->clock);
    if (facts->start_ms + facts->timeout_ms > now_ms)
        return false;
    struct transaction_facts next = transaction_fence(facts, facts->client_version, now_ms);
    transaction_record(transaction, &next, KAFKA_NONE, NULL);
    return true;
}

void transaction_timer_fired(struct timer *timer)
{
    struct transaction *transaction = LIST_ENTRY(timer, struct transaction, timer);
    CHECK_MAGIC(transaction, TRANSACTION_MAGIC);
    if (transaction->is_pending)
        transactions_set_timer(transaction->owner, timer, RETRY_MS);
    else if (transaction->facts.state != TRANSACTION_ONGOING)
        transaction_enter(transaction);
    else if (!abort_late(transaction))
        set_timeout(transaction);
}

/* Goes by a verdict. */
static void obey(struct transaction *transaction, const struct transaction_verdict *verdict,
                 struct transaction_wait *wait)
{
    switch (verdict->step) {
    case STEP_REFUSE:
    case STEP_ANSWER:
        transaction_answer(wait, verdict->code, &transaction->facts);
        return;
    case STEP_NEED_ID:
        answer_needs_id(wait);
        return;
    case STEP_CHANGE:
        transaction_record(transaction, &verdict->next, verdict->code, wait);
        return;
    }
    CHECK(false);
}

/* Finds the id of a running producer's request; answers where there is none. */
static struct transaction *find_or_answer(struct transactions *transactions, struct span id,
                                          struct transaction_wait *wait)
{
    struct transaction *transaction;
    int16_t code =
        id.size == 0 ? KAFKA_INVALID_REQUEST : transactions_find(transactions, id, &transaction);
    if (code == KAFKA_NONE && transaction == NULL)
        code = KAFKA_INVALID_PRODUCER_ID_MAPPING;
    if (code == KAFKA_NONE)
        return transaction;
    transaction_answer(wait, code, NULL);
    return NULL;
}

/* Finds the id or makes it, once there is a producer id for it. Answers and gives NULL otherwise.
 */
static struct transaction *find_or_make(struct transactions *transactions, struct span id,
                                        const struct transaction_init *asked,
                                        struct transaction_wait *wait)
{
    struct transaction *transaction;
    int64_t timeout_ms_max = config_number(transactions->config, CONFIG_TRANSACTION_MAX_TIMEOUT_MS);
    int16_t code = KAFKA_NONE;
    if (id.size == 0)
        code = KAFKA_INVALID_REQUEST;
    else if (asked->timeout_ms <= 0 || asked->timeout_ms > timeout_ms_max)
        code = KAFKA_INVALID_TRANSACTION_TIMEOUT;
    else
        code = transactions_find(transactions, id, &transaction);
    if (code == KAFKA_NONE && transaction != NULL)
        return transaction;
    if (code == KAFKA_NONE && asked->fresh_id < 0) {
        answer_needs_id(wait);
        return NULL;
    }
    if (code == KAFKA_NONE && err_failed(transactions_make(transactions, id, &transaction)))
        code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (code != KAFKA_NONE) {
        transaction_answer(wait, code, NULL);
        return NULL;
    }
    transaction->facts = transaction_facts_new(asked->fresh_id, asked->now_ms);
    return transaction;
}

void transactions_init(struct transactions *transactions, struct span id,
                       const struct transaction_init *asked, struct transaction_wait *wait)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    struct transaction_verdict verdict;
    int64_t unused; /* only who asks for the coordinator waits; others come again */
    struct err prepared = transactions_prepare(transactions, &unused, NULL);
    (void)prepared; /* where it failed the id is not found */
    transactions_lock(transactions);
    struct transaction *transaction = find_or_make(transactions, id, asked, wait);
    if (transaction != NULL) {
        transaction_judge_init(&transaction->facts, transaction->is_pending, asked, &verdict);
        obey(transaction, &verdict, wait);
    }
    transactions_unlock(transactions);
}

/* Stages what is to be added; on failure nothing is. */
static struct err stage_places(struct transaction *transaction, const struct transaction_add *asked)
{
    struct err err = ERR_NONE;
    for (size_t i = 0; i < asked->place_count && !err_failed(err); i++)
        err = transaction_partitions_stage(&transaction->partitions, asked->places[i].topic,
                                           asked->places[i].partition);
    if (err_failed(err))
        transaction_partitions_drop(&transaction->partitions);
    return err;
}

static bool has_all(const struct transaction *transaction, const struct transaction_add *asked)
{
    for (size_t i = 0; i < asked->place_count; i++) {
        if (!transaction_partitions_has(&transaction->partitions, asked->places[i].topic,
                                        asked->places[i].partition))
            return false;
    }
    return true;
}

/* What comes before the last transaction is over stands in line. */
static void add(struct transaction *transaction, struct transaction_wait *wait)
{
    const struct transaction_add *asked = wait->add;
    struct transaction_verdict verdict;
    transaction_judge_add(&transaction->facts, transaction->is_pending, &asked->producer,
                          has_all(transaction, asked), clock_wall_ms(transaction->owner->clock),
                          &verdict);
    if (verdict.step == STEP_REFUSE && verdict.code == KAFKA_CONCURRENT_TRANSACTIONS)
        list_append(&transaction->line, &wait->link);
    else if (verdict.step == STEP_CHANGE && err_failed(stage_places(transaction, asked)))
        transaction_answer(wait, KAFKA_COORDINATOR_NOT_AVAILABLE, NULL);
    else
        obey(transaction, &verdict, wait);
}

void transactions_add(struct transactions *transactions, struct span id,
                      const struct transaction_add *asked, struct transaction_wait *wait)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    transactions_lock(transactions);
    wait->add = asked;
    struct transaction *transaction = find_or_answer(transactions, id, wait);
    if (transaction != NULL)
        add(transaction, wait);
    transactions_unlock(transactions);
}

void transactions_verify(struct transactions *transactions, struct span id,
                         const struct transaction_add *asked, int16_t *codes)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    struct transaction *transaction = NULL;
    transactions_lock(transactions);
    int16_t code =
        id.size == 0 ? KAFKA_INVALID_REQUEST : transactions_find(transactions, id, &transaction);
    if (code == KAFKA_NONE)
        code = transaction == NULL
                   ? KAFKA_INVALID_PRODUCER_ID_MAPPING
                   : transaction_judge_verify(&transaction->facts, &asked->producer);
    for (size_t i = 0; i < asked->place_count; i++) {
        const struct transaction_place *place = &asked->places[i];
        codes[i] = code;
        if (code == KAFKA_NONE &&
            !transaction_partitions_has(&transaction->partitions, place->topic, place->partition))
            codes[i] = KAFKA_TRANSACTION_ABORTABLE;
    }
    transactions_unlock(transactions);
}

void transactions_end(struct transactions *transactions, struct span id,
                      const struct transaction_end *asked, struct transaction_wait *wait)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    struct transaction_verdict verdict;
    transactions_lock(transactions);
    struct transaction *transaction = find_or_answer(transactions, id, wait);
    if (transaction != NULL) {
        transaction_judge_end(&transaction->facts, transaction->is_pending, asked, &verdict);
        obey(transaction, &verdict, wait);
    }
    transactions_unlock(transactions);
}
