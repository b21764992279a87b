/* operations: the bit sets of authorised operations that answers carry while nobody is denied. */
#ifndef HEADRACE_API_OPERATIONS_H
#define HEADRACE_API_OPERATIONS_H

/* Kafka's AclOperation codes as bits: 3 read, 4 write, 5 create, 6 delete, 7 alter, 8 describe,
 * 9 cluster action, 10 describe configs, 11 alter configs, 12 idempotent write. */
#define OPERATIONS_TOPIC (1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11)
#define OPERATIONS_CLUSTER (1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12)
#define OPERATIONS_GROUP (1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11)

/* Not asked for. */
#define OPERATIONS_NONE INT32_MIN

#endif
