/* transactions_list: what people ask about transactions (KIP-664). */
#include <stdlib.h>

#include "base/check.h"
#include "coord/transactions_internal.h"

/* Groups the partitions by topic; they are in that order. */
static struct err describe_partitions(const struct transaction_partitions *partitions,
                                      struct arena *arena,
                                      struct describe_transactions_response_transaction *out)
{
    out->topics = arena_alloc_array(arena, partitions->count, sizeof *out->topics);
    int32_t *numbers = arena_alloc_array(arena, partitions->count, sizeof *numbers);
    if (out->topics == NULL || numbers == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < partitions->count; i++) {
        const struct transaction_partition *item = &partitions->items[i];
        if (i == 0 || !span_equal(item->topic, partitions->items[i - 1].topic)) {
            struct describe_transactions_response_topic *topic = &out->topics[out->topics_count++];
            TRY(arena_copy(arena, item->topic, &topic->topic));
            topic->partitions = &numbers[i];
        }
        numbers[i] = item->index;
        out->topics[out->topics_count - 1].partitions_count++;
    }
    return ERR_NONE;
}

struct err transactions_describe(struct transactions *transactions, struct span id,
                                 struct arena *arena,
                                 struct describe_transactions_response_transaction *out)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    struct transaction *transaction = NULL;
    struct err err = ERR_NONE;
    transactions_lock(transactions);
    out->transactional_id = id;
    out->transaction_state = span_text("");
    out->error_code =
        id.size == 0 ? KAFKA_INVALID_REQUEST : transactions_find(transactions, id, &transaction);
    if (out->error_code == KAFKA_NONE && transaction == NULL)
        out->error_code = KAFKA_TRANSACTIONAL_ID_NOT_FOUND;
    if (out->error_code == KAFKA_NONE) {
        const struct transaction_facts *facts = &transaction->facts;
        out->transaction_state = span_text(transaction_state_name(facts->state));
        out->transaction_timeout_ms = facts->timeout_ms;
        out->transaction_start_time_ms = facts->start_ms;
        out->producer_id = facts->producer_id;
        out->producer_epoch = facts->epoch;
        err = describe_partitions(&transaction->partitions, arena, out);
    }
    transactions_unlock(transactions);
    return err;
}

static bool names_state(const struct list_transactions_request *request, const char *name)
{
    for (int32_t i = 0; i < request->state_filters_count; i++) {
        if (span_equal_text(request->state_filters[i], name))
            return true;
    }
    return false;
}

static bool names_producer(const struct list_transactions_request *request, int64_t producer_id)
{
    for (int32_t i = 0; i < request->producer_id_filters_count; i++) {
        if (request->producer_id_filters[i] == producer_id)
            return true;
    }
    return false;
}

static bool is_wanted(const struct list_transactions_request *request,
                      const struct transaction_facts *facts, int64_t now_ms)
{
    if (request->state_filters_count > 0 &&
        !names_state(request, transaction_state_name(facts->state)))
        return false;
    if (request->producer_id_filters_count > 0 && !names_producer(request, facts->producer_id))
        return false;
    return request->duration_filter < 0 || now_ms - facts->start_ms > request->duration_filter;
}

static struct err list_unknown_states(const struct list_transactions_request *request,
                                      struct arena *arena,
                                      struct list_transactions_response *response)
{
    response->unknown_state_filters = arena_alloc_array(arena, (size_t)request->state_filters_count,
                                                        sizeof *response->unknown_state_filters);
    if (response->unknown_state_filters == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < request->state_filters_count; i++) {
        bool is_known = false;
        for (int state = 0; state < TRANSACTION_STATE_COUNT; state++)
            is_known =
                is_known || span_equal_text(request->state_filters[i],
                                            transaction_state_name((enum transaction_state)state));
        if (!is_known)
            response->unknown_state_filters[response->unknown_state_filters_count++] =
                request->state_filters[i];
    }
    return ERR_NONE;
}

static int compare_listed(const void *left, const void *right)
{
    const struct list_transactions_response_transaction *a = left;
    const struct list_transactions_response_transaction *b = right;
    return span_compare(a->transactional_id, b->transactional_id);
}

static struct err list_locked(struct transactions *transactions,
                              const struct list_transactions_request *request, struct arena *arena,
                              struct list_transactions_response *response)
{
    int64_t now_ms = clock_wall_ms(transactions->clock);
    response->transaction_states =
        arena_alloc_array(arena, transactions->by_id.count, sizeof *response->transaction_states);
    if (response->transaction_states == NULL)
        return err_make(ERR_NO_MEMORY);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&transactions->by_id, &position)) != NULL) {
        const struct transaction *transaction = entry->value;
        if (!is_wanted(request, &transaction->facts, now_ms))
            continue;
        struct list_transactions_response_transaction *listed =
            &response->transaction_states[response->transaction_states_count++];
        TRY(arena_copy(arena, transaction->id, &listed->transactional_id));
        listed->producer_id = transaction->facts.producer_id;
        listed->transaction_state = span_text(transaction_state_name(transaction->facts.state));
    }
    qsort(response->transaction_states, (size_t)response->transaction_states_count,
          sizeof *response->transaction_states, compare_listed);
    return ERR_NONE;
}

struct err transactions_list(struct transactions *transactions,
                             const struct list_transactions_request *request, struct arena *arena,
                             struct list_transactions_response *response)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    TRY(list_unknown_states(request, arena, response));
    struct err err = ERR_NONE;
    transactions_lock(transactions);
    if (transactions->is_closed)
        response->error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    else if (!state_topic_is_loaded(&transactions->state))
        response->error_code = KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    else
        err = list_locked(transactions, request, arena, response);
    transactions_unlock(transactions);
    return err;
}

void transactions_count(struct transactions *transactions, struct transaction_counts *counts)
{
    *counts = (struct transaction_counts){0};
    transactions_lock(transactions);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&transactions->by_id, &position)) != NULL) {
        const struct transaction *transaction = entry->value;
        counts->by_state[transaction->facts.state]++;
    }
    transactions_unlock(transactions);
}
