/* json: writes strings; RFC 8259 section 7. */
#include "base/json.h"

#include "base/utf8.h"

static bool is_utf8(struct span text)
{
    while (text.size > 0) {
        size_t size = utf8_size(text);
        if (size == 0)
            return false;
        text = span_make(text.data + size, text.size - size);
    }
    return true;
}

static struct err write_base64(struct buf *out, struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    TRY(buf_print(out, "{\"base64\":\""));
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t size = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t group = (uint32_t)bytes.data[at] << 16;
        if (size > 1)
            group |= (uint32_t)bytes.data[at + 1] << 8;
        if (size > 2)
            group |= bytes.data[at + 2];
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63],
                        size > 1 ? digits[group >> 6 & 63] : '=',
                        size > 2 ? digits[group & 63] : '='};
        TRY(buf_append(out, text, sizeof text));
    }
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
    if (!is_utf8(bytes))
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
