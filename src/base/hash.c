/* hash: SipHash-1-3 (Aumasson and Bernstein) and Java's polynomial string hash. */
#include "base/hash.h"

#include "base/check.h"

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate_left(v[1], 13) ^ v[0];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_left(v[1], 17) ^ v[2];
    v[2] = rotate_left(v[2], 32);
}

uint64_t hash_bytes(struct span bytes, uint64_t seed)
{
    uint64_t v[4] = {seed ^ 0x736f6d6570736575U, seed ^ 0x646f72616e646f6dU,
                     seed ^ 0x6c7967656e657261U, seed ^ 0x7465646279746573U};
    size_t at = 0;
    for (; at + 8 <= bytes.size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)bytes.size << 56;
    for (unsigned shift = 0; at < bytes.size; at++, shift += 8)
        last |= (uint64_t)bytes.data[at] << shift;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Decodes one code point at *at and moves behind it; U+FFFD for one malformed byte. */
static uint32_t utf8_next(struct span text, size_t *at)
{
    uint8_t lead = text.data[*at];
    size_t more = lead < 0x80 ? 0 : lead < 0xc2 ? 4 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (more == 4 || lead > 0xf4 || *at + more >= text.size) {
        (*at)++;
        return more == 0 ? lead : 0xfffd;
    }
    static const uint8_t lead_masks[4] = {0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = lead & lead_masks[more];
    for (size_t i = 1; i <= more; i++) {
        uint8_t next = text.data[*at + i];
        if ((next & 0xc0) != 0x80) {
            (*at)++;
            return 0xfffd;
        }
        point = (point << 6) | (next & 0x3f);
    }
    *at += more + 1;
    return point;
}

int32_t hash_java_string(struct span text)
{
    uint32_t hash = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t point = utf8_next(text, &at);
        if (point >= 0x10000) {
            point -= 0x10000;
            hash = hash * 31 + (0xd800 + (point >> 10));
            hash = hash * 31 + (0xdc00 + (point & 0x3ff));
        } else {
            hash = hash * 31 + point;
        }
    }
    return (int32_t)hash;
}

int32_t hash_partition(struct span name, int32_t partition_count)
{
    CHECK(partition_count > 0);
    int32_t hash = hash_java_string(name);
    int32_t positive = hash == INT32_MIN ? 0 : hash < 0 ? -hash : hash;
    return positive % partition_count;
}
