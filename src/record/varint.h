/* varint: the zigzag varints of records, as Protocol Buffers encode sint32 and sint64. */
#ifndef HEADRACE_RECORD_VARINT_H
#define HEADRACE_RECORD_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* The longest encodings: 7 bits a byte. */
#define VARINT_SIZE_MAX 5
#define VARLONG_SIZE_MAX 10

/* Takes a number of at most bit_count bits off the front. False where the bytes end first or where
 * they say more bits than that. */
static inline bool varint_take_bits(struct span *bytes, unsigned bit_count, uint64_t *out)
{
    uint64_t bits = 0;
    size_t at = 0;
    for (unsigned shift = 0; shift < bit_count; shift += 7) {
        if (at == bytes->size)
            return false;
        uint8_t byte = bytes->data[at++];
        uint64_t part = byte & 0x7f;
        if (shift + 7 > bit_count && part >> (bit_count - shift) != 0)
            return false;
        bits |= part << shift;
        if ((byte & 0x80) == 0) {
            *bytes = span_make(bytes->data + at, bytes->size - at);
            *out = bits;
            return true;
        }
    }
    return false;
}

static inline bool varlong_take(struct span *bytes, int64_t *out)
{
    uint64_t bits;
    if (!varint_take_bits(bytes, 64, &bits))
        return false;
    *out = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
    return true;
}

static inline bool varint_take(struct span *bytes, int32_t *out)
{
    /* Most numbers of a record fit one byte. */
    if (bytes->size != 0 && bytes->data[0] < 0x80) {
        int32_t bits = bytes->data[0];
        *bytes = span_make(bytes->data + 1, bytes->size - 1);
        *out = (bits >> 1) ^ -(bits & 1);
        return true;
    }
    uint64_t bits;
    if (!varint_take_bits(bytes, 32, &bits))
        return false;
    *out = (int32_t)(bits >> 1) ^ -(int32_t)(bits & 1);
    return true;
}

/* Writes the number into room for VARLONG_SIZE_MAX bytes and returns how many it took. */
static inline size_t varlong_put(uint8_t *at, int64_t value)
{
    uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    size_t size = 0;
    while (bits >= 0x80) {
        at[size++] = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    at[size++] = (uint8_t)bits;
    return size;
}

static inline size_t varlong_size(int64_t value)
{
    uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    return bits == 0 ? 1 : (size_t)(70 - __builtin_clzll(bits)) / 7;
}

#endif
