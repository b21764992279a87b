/* base64: bytes as text, RFC 4648. */
#ifndef HEADRACE_BASE_BASE64_H
#define HEADRACE_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum base64_alphabet {
    BASE64_STANDARD, /* section 4, with padding */
    BASE64_URL       /* section 5, without */
};

/* The characters that so many bytes take. */
size_t base64_text_size(enum base64_alphabet alphabet, size_t size);

/* Writes base64_text_size characters, no NUL. */
void base64_encode(enum base64_alphabet alphabet, struct span bytes, char *text);

/* Bytes that text of so many characters may hold at most. */
static inline size_t base64_size_max(size_t text_size)
{
    return text_size / 4 * 3 + 3;
}

/* Writes up to base64_size_max bytes. False: a character is none of the alphabet. Padding and bits
 * left over at the end are not looked at. */
bool base64_decode(enum base64_alphabet alphabet, struct span text, uint8_t *bytes, size_t *size);

#endif
