/*
 * memory_transactions: transactions in a cluster in memory.
 *
 *  1. At most one open transaction has a transactional id; opening a client with that id aborts it.
 *  2. A transaction's messages and offsets are seen when it is committed, all at once.
 */
#include "base/check.h"
#include "client/memory_internal.h"

/* A marker behind the last message in each partition that it wrote to. */
static struct err write_markers(struct memory_cluster *cluster,
                                const struct memory_transaction *transaction)
{
    LIST_EACH (&cluster->topics, link) {
        const struct memory_topic *topic = LIST_ENTRY(link, struct memory_topic, link);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            struct memory_partition *partition = &topic->partitions[i];
            size_t at = partition->count;
            while (at > 0 && partition->slots[at - 1].transaction != transaction)
                at--;
            if (at > 0)
                TRY(memory_append(cluster, partition, NULL, NULL));
        }
    }
    return ERR_NONE;
}

struct err memory_finish(struct memory_cluster *cluster, struct memory_transaction *transaction,
                         bool is_commit)
{
    CHECK(transaction->fate == MEMORY_OPEN);
    LIST_EACH (&transaction->offsets, link) {
        const struct memory_offset *offset = LIST_ENTRY(link, struct memory_offset, link);
        if (is_commit)
            TRY(memory_set_committed(cluster, offset->group, &offset->at));
    }
    TRY(write_markers(cluster, transaction));
    transaction->fate = is_commit ? MEMORY_COMMITTED_ALL : MEMORY_ABORTED_ALL;
    list_remove(&transaction->link);
    return ERR_NONE;
}

struct err memory_fence(struct memory *memory)
{
    if (memory->transactional_id == NULL)
        return ERR_NONE;
    LIST_EACH (&memory->cluster->transactions, link) {
        struct memory_transaction *transaction = LIST_ENTRY(link, struct memory_transaction, link);
        if (strcmp(transaction->id, memory->transactional_id) == 0)
            TRY(memory_finish(memory->cluster, transaction, false));
    }
    return ERR_NONE;
}

/* Others may have ended what this client thinks is open. */
static struct err check_fence(struct memory *memory, struct diag *diag)
{
    CHECK(memory->transactional_id != NULL);
    memory->is_fenced = memory->is_fenced ||
                        (memory->transaction != NULL && memory->transaction->fate != MEMORY_OPEN);
    if (memory->is_fenced)
        return diag_fail(diag, ERR_FENCED, "another client has taken %s over",
                         memory->transactional_id);
    return ERR_NONE;
}

struct err memory_begin(struct client *client, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    struct memory_cluster *cluster = memory->cluster;
    TRY(check_fence(memory, diag));
    TRY(memory_count_call(cluster, MEMORY_BEGIN));
    CHECK(memory->transaction == NULL);
    struct memory_transaction *transaction = arena_alloc(&cluster->arena, sizeof *transaction);
    if (transaction == NULL)
        return err_make(ERR_NO_MEMORY);
    transaction->owner = memory;
    transaction->id = memory->transactional_id;
    list_init(&transaction->offsets);
    list_append(&cluster->transactions, &transaction->link);
    memory->transaction = transaction;
    memory->failure = ERR_NONE;
    memory->counts = (struct client_counts){0};
    return ERR_NONE;
}

struct err memory_offsets_add(struct client *client, struct client *receiver,
                              const struct client_offset *offsets, size_t count, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    const struct memory_membership *member = &memory_of(receiver)->member;
    TRY(check_fence(memory, diag));
    TRY(memory_count_call(memory->cluster, MEMORY_ADD));
    CHECK(memory->transaction != NULL);
    if (member->group == NULL || member->generation != member->group->generation)
        return diag_fail(diag, ERR_ABORTED, "the group has moved on");
    for (size_t i = 0; i < count; i++)
        TRY(memory_put_offset(memory->cluster, &memory->transaction->offsets, member->group,
                              &offsets[i]));
    return ERR_NONE;
}

struct err memory_end(struct client *client, bool is_commit, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    TRY(check_fence(memory, diag));
    CHECK(memory->transaction != NULL);
    struct err fault = memory_count_call(memory->cluster, MEMORY_END);
    if (err_failed(fault) && !err_is(fault, ERR_ABORTED))
        return fault;
    if (is_commit && (err_failed(fault) || err_failed(memory->failure)))
        return diag_fail(diag, ERR_ABORTED, "the transaction must be aborted");
    TRY(memory_finish(memory->cluster, memory->transaction, is_commit));
    memory->transaction = NULL;
    struct err late = memory_count_call(memory->cluster, MEMORY_END_LATE);
    memory->is_fenced = err_failed(late);
    return late;
}
