/* uuid: 16 bytes that name a topic, a cluster or a directory, in Kafka's text form. */
#ifndef HEADRACE_BASE_UUID_H
#define HEADRACE_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/span.h"

struct uuid {
    uint8_t bytes[16];
};

/* Kafka writes 22 characters of URL-safe base64 without padding; one more for NUL. */
#define UUID_TEXT_SIZE 23

#define UUID_ZERO ((struct uuid){{0}})

static inline bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static inline bool uuid_is_zero(struct uuid id)
{
    return uuid_equal(id, UUID_ZERO);
}

void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE]);

/* ERR_INVALID unless text is 22 characters of URL-safe base64. */
MUST_USE struct err uuid_parse(struct span text, struct uuid *out);

/* Makes a version 4, variant 1 id of 16 random bytes (RFC 9562). */
struct uuid uuid_from_random(const uint8_t random[16]);

#endif
