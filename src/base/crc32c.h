/* crc32c: the Castagnoli checksum of Kafka's batches and of our own files. */
#ifndef HEADRACE_BASE_CRC32C_H
#define HEADRACE_BASE_CRC32C_H

#include <stdint.h>

#include "base/span.h"

/* The checksum of the bytes. crc32c("123456789") is 0xe3069283 (RFC 3720, appendix B.4). */
uint32_t crc32c(struct span bytes);

/* The checksum of a longer text whose first part has the given checksum. Starts with 0. */
uint32_t crc32c_extend(uint32_t crc, struct span bytes);

#endif
