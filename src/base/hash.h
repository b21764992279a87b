/* hash: bytes to numbers, for tables and for placing names on partitions. */
#ifndef HEADRACE_BASE_HASH_H
#define HEADRACE_BASE_HASH_H

#include <stdint.h>

#include "base/span.h"

/* SipHash-1-3 with both key halves from seed: collisions cannot be chosen from outside. */
uint64_t hash_bytes(struct span bytes, uint64_t seed);

/*
 * Java's String.hashCode of UTF-8 text, over its UTF-16 code units. Kafka places groups and
 * transactional ids on coordinator partitions by it. Malformed UTF-8 counts as U+FFFD for each
 * byte.
 */
int32_t hash_java_string(struct span text);

/* Kafka's Utils.abs(hash) modulo count: the partition of a name. count > 0. */
int32_t hash_partition(struct span name, int32_t partition_count);

#endif
