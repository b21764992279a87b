/* json: writes strings; RFC 8259 section 7. */
#include "base/json.h"

#include "base/base64.h"
#include "base/utf8.h"

static struct err write_base64(struct buf *out, struct span bytes)
{
    size_t size = base64_text_size(BASE64_STANDARD, bytes.size);
    TRY(buf_print(out, "{\"base64\":\""));
    TRY(buf_reserve(out, size));
    base64_encode(BASE64_STANDARD, bytes, (char *)out->data + out->size);
    out->size += size;
    return buf_print(out, "\"}");
}

static struct err write_letter(struct buf *out, uint8_t letter)
{
    switch (letter) {
    case '"':
    case '\\':
        return buf_print(out, "\\%c", letter);
    case '\n':
        return buf_print(out, "\\n");
    case '\r':
        return buf_print(out, "\\r");
    case '\t':
        return buf_print(out, "\\t");
    default:
        if (letter < 0x20)
            return buf_print(out, "\\u%04x", letter);
        return buf_append(out, &letter, 1);
    }
}

struct err json_write_bytes(struct buf *out, struct span bytes)
{
    if (span_is_null(bytes))
        return buf_print(out, "null");
    if (!utf8_is_valid(bytes))
        return write_base64(out, bytes);
    TRY(buf_append(out, "\"", 1));
    for (size_t i = 0; i < bytes.size; i++)
        TRY(write_letter(out, bytes.data[i]));
    return buf_append(out, "\"", 1);
}

struct err json_write_text(struct buf *out, const char *text)
{
    return json_write_bytes(out, span_text(text));
}
