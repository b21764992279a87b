/*
 * transaction_partitions: the partitions that a transaction holds, in order of topic and number.
 *
 * What a request adds is staged until its record is durable, then kept or dropped as a whole.
 *
 * Under the lock of the transactions. Names are owned here.
 */
#ifndef HEADRACE_COORD_TRANSACTION_PARTITIONS_H
#define HEADRACE_COORD_TRANSACTION_PARTITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct transaction_partition {
    struct span topic; /* owned */
    int32_t index;
    bool is_staged; /* its record is not yet durable */
    bool is_marked; /* the marker that ends the transaction is durable in it, or needs not be */
};

struct transaction_partitions {
    struct transaction_partition *items;
    size_t count;
    size_t capacity;
};

bool transaction_partitions_has(const struct transaction_partitions *partitions, struct span topic,
                                int32_t index);

/* Adds one, staged; harmless where it is there already. ERR_NO_MEMORY changes nothing. */
MUST_USE struct err transaction_partitions_stage(struct transaction_partitions *partitions,
                                                 struct span topic, int32_t index);

/* Keeps what is staged. */
void transaction_partitions_keep(struct transaction_partitions *partitions);

/* Drops what is staged. */
void transaction_partitions_drop(struct transaction_partitions *partitions);

/* Forgets all and frees. */
void transaction_partitions_clear(struct transaction_partitions *partitions);

#endif
