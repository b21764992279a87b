/* error_map: our errors as Kafka's codes. */
#ifndef HEADRACE_API_ERROR_MAP_H
#define HEADRACE_API_ERROR_MAP_H

#include "base/err.h"
#include "record/batch.h"
#include "wire/error_code.h"

/* The code for a failed operation on a partition. ERR_OK gives KAFKA_NONE. */
int16_t error_map_partition(struct err err);

/* The code for a failed change of a topic. */
int16_t error_map_admin(struct err err);

/* The code for a batch that a producer may not append. */
int16_t error_map_batch(enum batch_fault fault);

/* The code for a client that knows the leader epoch `asked` (-1: it does not say). */
int16_t error_map_epoch(int32_t asked, int32_t current);

#endif
