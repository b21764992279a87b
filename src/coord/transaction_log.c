/*
 * transaction_log: the records of __transaction_state, in Kafka's format
 * (protocol/records/transaction_log.msg). The last record of an id says all there is to know of it.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "coord/transactions_internal.h"
#include "wire/records/transaction_log.h"

/* Groups the partitions by topic; they are in that order. The arrays are on the heap. */
struct grouped {
    struct transaction_log_value_topic *topics;
    int32_t *numbers;
    int32_t topic_count;
};

static void grouped_free(struct grouped *grouped)
{
    free(grouped->topics);
    free(grouped->numbers);
}

static struct err group_by_topic(const struct transaction_partitions *partitions,
                                 struct grouped *grouped)
{
    *grouped = (struct grouped){
        .topics = calloc(partitions->count + 1, sizeof *grouped->topics),
        .numbers = calloc(partitions->count + 1, sizeof *grouped->numbers),
    };
    if (grouped->topics == NULL || grouped->numbers == NULL) {
        grouped_free(grouped);
        return err_make(ERR_NO_MEMORY);
    }
    for (size_t i = 0; i < partitions->count; i++) {
        const struct transaction_partition *item = &partitions->items[i];
        bool is_next = i == 0 || !span_equal(item->topic, partitions->items[i - 1].topic);
        if (is_next) {
            struct transaction_log_value_topic *topic = &grouped->topics[grouped->topic_count++];
            topic->topic = item->topic;
            topic->partition_ids = &grouped->numbers[i];
        }
        grouped->numbers[i] = item->index;
        grouped->topics[grouped->topic_count - 1].partition_ids_count++;
    }
    return ERR_NONE;
}

static void fill_value(const struct transaction_facts *facts, struct transaction_log_value *value)
{
    transaction_log_value_init(value);
    value->producer_id = facts->producer_id;
    value->previous_producer_id = facts->previous_producer_id;
    value->next_producer_id = facts->next_producer_id;
    value->producer_epoch = facts->epoch;
    value->transaction_timeout_ms = facts->timeout_ms;
    value->transaction_status = (int8_t)facts->state;
    value->transaction_partitions_count = -1;
    value->transaction_last_update_timestamp_ms = facts->update_ms;
    value->transaction_start_timestamp_ms = facts->start_ms;
    value->client_transaction_version = facts->client_version;
}

static struct err pack_value(struct writer *writer, const struct transaction *transaction,
                             const struct transaction_facts *facts)
{
    struct transaction_log_value value;
    struct grouped grouped = {0};
    fill_value(facts, &value);
    bool has_partitions = facts->state == TRANSACTION_ONGOING ||
                          facts->state == TRANSACTION_PREPARE_COMMIT ||
                          facts->state == TRANSACTION_PREPARE_ABORT;
    if (has_partitions) {
        TRY(group_by_topic(&transaction->partitions, &grouped));
        value.transaction_partitions = grouped.topics;
        value.transaction_partitions_count = grouped.topic_count;
    }
    struct err err = transaction_log_value_pack(writer, TRANSACTION_LOG_VALUE_VERSION_MAX, &value);
    grouped_free(&grouped);
    return err;
}

struct err transaction_log_write(const struct transaction *transaction,
                                 const struct transaction_facts *facts, int64_t *end_offset)
{
    struct transactions *transactions = transaction->owner;
    struct transaction_log_key key = {.transactional_id = transaction->id};
    struct buf bytes;
    struct writer writer;
    struct internal_batch batch;
    buf_init(&bytes, INTERNAL_BATCH_SIZE_MAX);
    writer_init(&writer, &bytes, NULL, 0);
    internal_batch_init(&batch, clock_wall_ms(transactions->clock));
    struct err err = transaction_log_key_pack(&writer, &key);
    size_t key_size = bytes.size;
    bool is_tombstone = facts->state == TRANSACTION_DEAD;
    if (!err_failed(err) && !is_tombstone)
        err = pack_value(&writer, transaction, facts);
    struct span value = is_tombstone || err_failed(err)
                            ? SPAN_NULL
                            : span_make(bytes.data + key_size, bytes.size - key_size);
    if (!err_failed(err))
        err = internal_batch_add(&batch, span_make(bytes.data, key_size), value);
    if (!err_failed(err))
        err = internal_batch_append(
            &batch, state_topic_partition(&transactions->state, transaction->partition_index),
            end_offset, NULL);
    internal_batch_deinit(&batch);
    buf_deinit(&bytes);
    return err;
}

static struct err take_partitions(struct transaction *transaction,
                                  const struct transaction_log_value *value)
{
    transaction_partitions_clear(&transaction->partitions);
    for (int32_t i = 0; i < value->transaction_partitions_count; i++) {
        const struct transaction_log_value_topic *topic = &value->transaction_partitions[i];
        for (int32_t j = 0; j < topic->partition_ids_count; j++)
            TRY(transaction_partitions_stage(&transaction->partitions, topic->topic,
                                             topic->partition_ids[j]));
    }
    transaction_partitions_keep(&transaction->partitions);
    return ERR_NONE;
}

static struct err take_value(struct transaction *transaction,
                             const struct transaction_log_value *value)
{
    int8_t state = value->transaction_status;
    bool is_known = state >= TRANSACTION_EMPTY && state <= TRANSACTION_COMPLETE_ABORT;
    if (!is_known || value->producer_id < 0 || value->producer_epoch < 0)
        return err_make(ERR_CORRUPT);
    transaction->facts = (struct transaction_facts){
        .producer_id = value->producer_id,
        .previous_producer_id = value->previous_producer_id,
        .next_producer_id = value->next_producer_id,
        .epoch = value->producer_epoch,
        .last_epoch = -1,
        .client_version = value->client_transaction_version,
        .state = (enum transaction_state)state,
        .timeout_ms = value->transaction_timeout_ms,
        .start_ms = value->transaction_start_timestamp_ms,
        .update_ms = value->transaction_last_update_timestamp_ms,
    };
    return take_partitions(transaction, value);
}

/* One partition's way into memory. */
struct loading {
    struct transactions *transactions;
    struct arena arena; /* of one record */
};

static struct err visit_locked(struct loading *loading, struct span id, struct span bytes)
{
    struct transactions *transactions = loading->transactions;
    struct transaction *transaction = map_get(&transactions->by_id, id);
    if (span_is_null(bytes)) {
        if (transaction != NULL)
            transactions_drop(transaction);
        return ERR_NONE;
    }
    struct transaction_log_value value;
    struct reader reader;
    reader_init(&reader, bytes);
    TRY(transaction_log_value_unpack(&reader, &loading->arena, &value));
    if (transaction == NULL)
        TRY(transactions_make(transactions, id, &transaction));
    struct err err = take_value(transaction, &value);
    if (err_failed(err))
        transactions_drop(transaction);
    return err;
}

static struct err visit(void *context, const struct batch_header *header,
                        const struct record *record)
{
    (void)header;
    struct loading *loading = context;
    struct reader reader;
    struct transaction_log_key key;
    int16_t type;
    reader_init(&reader, record->key);
    TRY(reader_read_int16(&reader, &type));
    if (type != TRANSACTION_LOG_KEY_TYPE)
        return ERR_NONE;
    arena_reset(&loading->arena);
    TRY(transaction_log_key_decode(&reader, 0, &loading->arena, &key));
    transactions_lock(loading->transactions);
    struct err err = visit_locked(loading, key.transactional_id, record->value);
    transactions_unlock(loading->transactions);
    return err;
}

/* A partition's transactions, by their `work`. */
static void collect_loaded(struct transactions *transactions, int32_t index, struct list *found)
{
    list_init(found);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&transactions->by_id, &position)) != NULL) {
        struct transaction *transaction = entry->value;
        if (transaction->partition_index == index)
            list_append(found, &transaction->work);
    }
}

static struct err load_partition(struct transactions *transactions, int32_t index,
                                 struct diag *diag)
{
    struct loading loading = {.transactions = transactions};
    const struct internal_visitor visitor = {.context = &loading, .record = visit};
    arena_init(&loading.arena, INTERNAL_BATCH_SIZE_MAX);
    struct err err =
        internal_log_replay(state_topic_partition(&transactions->state, index), &visitor, diag);
    arena_deinit(&loading.arena);
    return diag_wrap(diag, err, "loading %s-%d", TOPIC_TRANSACTIONS, index);
}

struct err transactions_load_step(struct transactions *transactions, bool *is_more,
                                  struct diag *diag)
{
    CHECK_MAGIC(transactions, TRANSACTIONS_MAGIC);
    int32_t index;
    transactions_lock(transactions);
    *is_more = !transactions->is_closed && state_topic_begin_load(&transactions->state, &index);
    transactions_unlock(transactions);
    if (!*is_more)
        return ERR_NONE;
    struct err err = load_partition(transactions, index, diag);
    transactions_lock(transactions);
    state_topic_end_load(&transactions->state, index, err);
    struct list loaded;
    collect_loaded(transactions, index, &loaded);
    for (struct list *link = list_pop(&loaded); link != NULL; link = list_pop(&loaded)) {
        struct transaction *transaction = LIST_ENTRY(link, struct transaction, work);
        if (err_failed(err))
            transactions_drop(transaction); /* to be loaded again, with the others */
        else
            transaction_enter(transaction);
    }
    transactions_unlock(transactions);
    return err;
}
