/* bytes: whole numbers in memory, most significant byte first, at any alignment. */
#ifndef HEADRACE_BASE_BYTES_H
#define HEADRACE_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const uint8_t *at)
{
    uint16_t raw;
    memcpy(&raw, at, sizeof raw);
    return __builtin_bswap16(raw);
}

static inline uint32_t load_u32(const uint8_t *at)
{
    uint32_t raw;
    memcpy(&raw, at, sizeof raw);
    return __builtin_bswap32(raw);
}

static inline uint64_t load_u64(const uint8_t *at)
{
    uint64_t raw;
    memcpy(&raw, at, sizeof raw);
    return __builtin_bswap64(raw);
}

static inline int16_t load_i16(const uint8_t *at)
{
    return (int16_t)load_u16(at);
}

static inline int32_t load_i32(const uint8_t *at)
{
    return (int32_t)load_u32(at);
}

static inline int64_t load_i64(const uint8_t *at)
{
    return (int64_t)load_u64(at);
}

static inline void store_u16(uint8_t *at, uint16_t value)
{
    uint16_t raw = __builtin_bswap16(value);
    memcpy(at, &raw, sizeof raw);
}

static inline void store_u32(uint8_t *at, uint32_t value)
{
    uint32_t raw = __builtin_bswap32(value);
    memcpy(at, &raw, sizeof raw);
}

static inline void store_u64(uint8_t *at, uint64_t value)
{
    uint64_t raw = __builtin_bswap64(value);
    memcpy(at, &raw, sizeof raw);
}

static inline void store_i16(uint8_t *at, int16_t value)
{
    store_u16(at, (uint16_t)value);
}

static inline void store_i32(uint8_t *at, int32_t value)
{
    store_u32(at, (uint32_t)value);
}

static inline void store_i64(uint8_t *at, int64_t value)
{
    store_u64(at, (uint64_t)value);
}

/* bswap alone is right only where the machine keeps the least significant byte first. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little-endian machines only");

#endif
