/* uuid: base64url of 128 bits: 21 characters of six bits and one of two. */
#include "base/uuid.h"

#include "base/base64.h"

void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE])
{
    base64_encode(BASE64_URL, span_make(id.bytes, sizeof id.bytes), text);
    text[UUID_TEXT_SIZE - 1] = '\0';
}

struct err uuid_parse(struct span text, struct uuid *out)
{
    uint8_t bytes[UUID_TEXT_SIZE];
    size_t size;
    if (text.size != UUID_TEXT_SIZE - 1 || !base64_decode(BASE64_URL, text, bytes, &size))
        return err_make(ERR_INVALID);
    memcpy(out->bytes, bytes, sizeof out->bytes);
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
