/* base64: six bits a character. */
#include "base/base64.h"

#include "base/check.h"

static const char alphabets[][65] = {
    [BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_text_size(enum base64_alphabet alphabet, size_t size)
{
    return alphabet == BASE64_STANDARD ? (size + 2) / 3 * 4 : (size * 4 + 2) / 3;
}

void base64_encode(enum base64_alphabet alphabet, struct span bytes, char *text)
{
    const char *digits = alphabets[alphabet];
    size_t at = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        bits = bits << 8 | bytes.data[i];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            text[at++] = digits[bits >> (bit_count - 6) & 63];
    }
    if (bit_count > 0)
        text[at++] = digits[bits << (6 - bit_count) & 63];
    size_t size = base64_text_size(alphabet, bytes.size);
    while (at < size)
        text[at++] = '=';
    CHECK(at == size);
}

bool base64_decode(enum base64_alphabet alphabet, struct span text, uint8_t *bytes, size_t *size)
{
    size_t end = text.size;
    if (alphabet == BASE64_STANDARD) {
        while (end > 0 && text.size - end < 2 && text.data[end - 1] == '=')
            end--;
    }
    size_t at = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < end; i++) {
        const char *digit = memchr(alphabets[alphabet], text.data[i], 64);
        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - alphabets[alphabet]);
        bit_count += 6;
        if (bit_count < 8)
            continue;
        bit_count -= 8;
        bytes[at++] = (uint8_t)(bits >> bit_count);
    }
    *size = at;
    return true;
}
