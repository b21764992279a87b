/* transaction_partitions: a sorted array; a transaction holds few. */
#include "coord/transaction_partitions.h"

#include <stdlib.h>
#include <string.h>

#include "coord/group.h"

static int compare(const struct transaction_partition *item, struct span topic, int32_t index)
{
    int order = span_compare(item->topic, topic);
    if (order != 0)
        return order;
    return (item->index > index) - (item->index < index);
}

/* Where the partition is, or would be. */
static size_t find(const struct transaction_partitions *partitions, struct span topic,
                   int32_t index)
{
    size_t low = 0;
    size_t high = partitions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&partitions->items[middle], topic, index) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool transaction_partitions_has(const struct transaction_partitions *partitions, struct span topic,
                                int32_t index)
{
    size_t at = find(partitions, topic, index);
    return at < partitions->count && compare(&partitions->items[at], topic, index) == 0;
}

struct err transaction_partitions_stage(struct transaction_partitions *partitions,
                                        struct span topic, int32_t index)
{
    if (transaction_partitions_has(partitions, topic, index))
        return ERR_NONE;
    if (partitions->count == partitions->capacity) {
        size_t capacity = partitions->capacity == 0 ? 4 : 2 * partitions->capacity;
        struct transaction_partition *moved =
            reallocarray(partitions->items, capacity, sizeof *moved);
        if (moved == NULL)
            return err_make(ERR_NO_MEMORY);
        partitions->items = moved;
        partitions->capacity = capacity;
    }
    struct span name;
    TRY(blob_copy(topic, &name));
    size_t at = find(partitions, topic, index);
    memmove(partitions->items + at + 1, partitions->items + at,
            (partitions->count - at) * sizeof *partitions->items);
    partitions->items[at] =
        (struct transaction_partition){.topic = name, .index = index, .is_staged = true};
    partitions->count++;
    return ERR_NONE;
}

void transaction_partitions_keep(struct transaction_partitions *partitions)
{
    for (size_t i = 0; i < partitions->count; i++)
        partitions->items[i].is_staged = false;
}

void transaction_partitions_drop(struct transaction_partitions *partitions)
{
    size_t kept = 0;
    for (size_t i = 0; i < partitions->count; i++) {
        if (partitions->items[i].is_staged)
            blob_free(&partitions->items[i].topic);
        else
            partitions->items[kept++] = partitions->items[i];
    }
    partitions->count = kept;
}

void transaction_partitions_clear(struct transaction_partitions *partitions)
{
    for (size_t i = 0; i < partitions->count; i++)
        blob_free(&partitions->items[i].topic);
    free(partitions->items);
    *partitions = (struct transaction_partitions){0};
}
