/*
 * add_partitions_to_txn: adds partitions to transactions before they are written to (KIP-98), or
 * asks whether they are in (KIP-890). Clients send one transaction (version 3), brokers several.
 *
 *     check the topics -> ask the coordinator for each transaction -> all answered? reply
 */
#include "wire/add_partitions_to_txn.h"
#include <stdatomic.h>

#include "api/handlers.h"
#include "api/txn_wait.h"
#include "base/check.h"

/* The versions that know PRODUCER_FENCED, and that which carry several transactions. */
#define FENCED_SINCE 2
#define SEVERAL_SINCE 4

/* One transaction of the request. */
struct add_item {
    struct transaction_wait wait;
    struct add_work *work;
    struct transaction_add add;
    const struct add_partitions_to_txn_request_transaction *asked;
    struct add_partitions_to_txn_response_transaction *answer;
    bool is_asked; /* the wait's code is the answer for all of its partitions */
};

struct add_work {
    struct request *request;
    struct broker *broker;
    struct add_partitions_to_txn_request asked;
    struct add_partitions_to_txn_response response;
    struct add_item *items;
    int32_t item_count;
    atomic_int waiting; /* items not yet answered, and one for the handler itself */
};

static int16_t code_for(const struct add_work *work, int16_t code)
{
    return txn_wait_code(code, work->request->version, FENCED_SINCE);
}

static void set_all(const struct add_item *item, int16_t code)
{
    for (int32_t i = 0; i < item->answer->topic_results_count; i++) {
        const struct add_partitions_to_txn_response_topic *topic = &item->answer->topic_results[i];
        for (int32_t j = 0; j < topic->results_by_partition_count; j++)
            topic->results_by_partition[j].partition_error_code = code;
    }
}

static struct err add_resume(struct request *request)
{
    struct add_work *work = request->parked;
    for (int32_t i = 0; i < work->item_count; i++) {
        const struct add_item *item = &work->items[i];
        if (item->is_asked)
            set_all(item, code_for(work, item->wait.code));
    }
    if (request->version < SEVERAL_SINCE) {
        CHECK(work->item_count == 1);
        work->response.results_by_topic_v3_and_below = work->items[0].answer->topic_results;
        work->response.results_by_topic_v3_and_below_count =
            work->items[0].answer->topic_results_count;
        work->response.results_by_transaction_count = 0;
    }
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(add_partitions_to_txn_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

static void item_done(struct transaction_wait *wait)
{
    struct add_item *item = LIST_ENTRY(wait, struct add_item, wait);
    if (atomic_fetch_sub(&item->work->waiting, 1) == 1)
        request_wake(item->work->request);
}

/* The answer's shape and the places asked for; what does not exist gets its error. */
static struct err item_shape(struct add_item *item, struct transaction_place *places,
                             bool *has_unknown)
{
    struct arena *arena = &item->work->request->arena;
    const struct add_partitions_to_txn_request_transaction *asked = item->asked;
    struct add_partitions_to_txn_response_transaction *answer = item->answer;
    answer->transactional_id = asked->transactional_id;
    answer->topic_results =
        arena_alloc_array(arena, (size_t)asked->topics_count, sizeof *answer->topic_results);
    if (answer->topic_results == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->topic_results_count = asked->topics_count;
    size_t place = 0;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct add_partitions_to_txn_request_topic *from = &asked->topics[i];
        struct add_partitions_to_txn_response_topic *to = &answer->topic_results[i];
        size_t count = (size_t)from->partitions_count;
        to->name = from->name;
        to->results_by_partition =
            arena_alloc_array(arena, count, sizeof *to->results_by_partition);
        if (to->results_by_partition == NULL)
            return err_make(ERR_NO_MEMORY);
        to->results_by_partition_count = from->partitions_count;
        struct topic *topic = broker_find_topic(item->work->broker, from->name);
        for (size_t j = 0; j < count; j++) {
            int32_t index = from->partitions[j];
            bool is_known = topic != NULL && topic_partition(topic, index) != NULL;
            to->results_by_partition[j].partition_index = index;
            to->results_by_partition[j].partition_error_code =
                is_known ? KAFKA_OPERATION_NOT_ATTEMPTED : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            places[place++] = (struct transaction_place){.topic = from->name, .partition = index};
            *has_unknown = *has_unknown || !is_known;
        }
        topic_unref(topic);
    }
    return ERR_NONE;
}

/* Answers without waiting: nothing is changed. */
static struct err item_verify(struct add_item *item, struct transactions *transactions)
{
    int16_t *codes =
        arena_alloc_array(&item->work->request->arena, item->add.place_count + 1, sizeof *codes);
    if (codes == NULL)
        return err_make(ERR_NO_MEMORY);
    transactions_verify(transactions, item->asked->transactional_id, &item->add, codes);
    for (int32_t i = 0; i < item->answer->topic_results_count; i++) {
        const struct add_partitions_to_txn_response_topic *topic = &item->answer->topic_results[i];
        for (int32_t j = 0; j < topic->results_by_partition_count; j++)
            topic->results_by_partition[j].partition_error_code = code_for(item->work, *codes++);
    }
    return ERR_NONE;
}

static struct err item_ask(struct add_item *item, struct transactions *transactions)
{
    const struct add_partitions_to_txn_request_transaction *asked = item->asked;
    size_t count = 0;
    for (int32_t i = 0; i < asked->topics_count; i++)
        count += (size_t)asked->topics[i].partitions_count;
    struct transaction_place *places =
        arena_alloc_array(&item->work->request->arena, count, sizeof *places);
    if (places == NULL)
        return err_make(ERR_NO_MEMORY);
    bool has_unknown = false;
    TRY(item_shape(item, places, &has_unknown));
    if (has_unknown) /* all or nothing */
        return ERR_NONE;
    item->add = (struct transaction_add){
        .producer = {.id = asked->producer_id, .epoch = asked->producer_epoch},
        .places = places,
        .place_count = count,
    };
    if (asked->verify_only)
        return item_verify(item, transactions);
    item->is_asked = true;
    item->wait.done = item_done;
    list_init(&item->wait.link);
    atomic_fetch_add(&item->work->waiting, 1);
    transactions_add(transactions, asked->transactional_id, &item->add, &item->wait);
    return ERR_NONE;
}

/* One transaction for each item; that of version 3 and below has fields of its own. */
static struct err make_items(struct add_work *work)
{
    struct arena *arena = &work->request->arena;
    struct add_partitions_to_txn_request *asked = &work->asked;
    if (work->request->version < SEVERAL_SINCE) {
        asked->transactions = arena_alloc_array(arena, 1, sizeof *asked->transactions);
        if (asked->transactions == NULL)
            return err_make(ERR_NO_MEMORY);
        asked->transactions_count = 1;
        asked->transactions[0] = (struct add_partitions_to_txn_request_transaction){
            .transactional_id = asked->v3_and_below_transactional_id,
            .producer_id = asked->v3_and_below_producer_id,
            .producer_epoch = asked->v3_and_below_producer_epoch,
            .topics = asked->v3_and_below_topics,
            .topics_count = asked->v3_and_below_topics_count,
        };
    }
    size_t count = (size_t)asked->transactions_count;
    work->items = arena_alloc_array(arena, count, sizeof *work->items);
    work->response.results_by_transaction =
        arena_alloc_array(arena, count, sizeof *work->response.results_by_transaction);
    if (work->items == NULL || work->response.results_by_transaction == NULL)
        return err_make(ERR_NO_MEMORY);
    work->item_count = asked->transactions_count;
    work->response.results_by_transaction_count = asked->transactions_count;
    for (size_t i = 0; i < count; i++) {
        work->items[i].work = work;
        work->items[i].asked = &asked->transactions[i];
        work->items[i].answer = &work->response.results_by_transaction[i];
    }
    return ERR_NONE;
}

struct err add_partitions_to_txn_handle(struct request *request, struct api *api)
{
    struct add_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(add_partitions_to_txn_request_decode(&request->body, request->version, &request->arena,
                                             &work->asked));
    work->request = request;
    work->broker = api->broker;
    request->parked = work;
    add_partitions_to_txn_response_init(&work->response);
    TRY(make_items(work));
    atomic_init(&work->waiting, 1);
    request_park(request, add_resume);
    struct err err = ERR_NONE;
    for (int32_t i = 0; i < work->item_count && !err_failed(err); i++)
        err = item_ask(&work->items[i], coord_transactions(api->coord));
    if (atomic_fetch_sub(&work->waiting, 1) > 1)
        return ERR_NONE; /* the last answer wakes the request */
    request_unpark(request);
    TRY(err);
    return add_resume(request);
}
