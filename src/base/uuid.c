/* uuid: base64url of 128 bits: 21 characters of six bits and one of two. */
#include "base/uuid.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE])
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t at = 0;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        bits = (bits << 8) | id.bytes[i];
        bit_count += 8;
        for (; bit_count >= 6; bit_count -= 6)
            text[at++] = alphabet[(bits >> (bit_count - 6)) & 63];
    }
    text[at++] = alphabet[(bits << (6 - bit_count)) & 63];
    text[at] = '\0';
}

struct err uuid_parse(struct span text, struct uuid *out)
{
    if (text.size != UUID_TEXT_SIZE - 1)
        return err_make(ERR_INVALID);
    struct uuid id = UUID_ZERO;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t at = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char *place = memchr(alphabet, text.data[i], sizeof alphabet - 1);
        if (place == NULL)
            return err_make(ERR_INVALID);
        bits = (bits << 6) | (uint32_t)(place - alphabet);
        bit_count += 6;
        if (bit_count >= 8 && at < sizeof id.bytes) {
            bit_count -= 8;
            id.bytes[at++] = (uint8_t)(bits >> bit_count);
        }
    }
    *out = id;
    return ERR_NONE;
}

struct uuid uuid_from_random(const uint8_t random[16])
{
    struct uuid id;
    memcpy(id.bytes, random, sizeof id.bytes);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}
