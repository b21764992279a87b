/*
 * config_properties: Java's properties format, as java.util.Properties reads it.
 *
 *   # comment        ! comment        name=value        name: value        name value
 *   a line that ends in an odd number of backslashes goes on in the next, its indent dropped
 *   \t \n \r \f and \uXXXX stand for characters; any other \c stands for c
 */
#include "base/check.h"
#include "base/limits.h"
#include "broker/config_internal.h"

struct properties {
    struct span text;
    size_t at;
    int line;        /* of the byte at `at`, from 1 */
    struct buf name; /* of the current property, unescaped */
    struct buf value;
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\f';
}

static bool is_line_end(uint8_t byte)
{
    return byte == '\n' || byte == '\r';
}

static bool at_end(const struct properties *p)
{
    return p->at >= p->text.size;
}

static uint8_t peek(const struct properties *p)
{
    return p->text.data[p->at];
}

/* Moves behind one line end, "\r\n" counting as one. */
static void skip_line_end(struct properties *p)
{
    uint8_t byte = p->text.data[p->at++];
    if (byte == '\r' && !at_end(p) && peek(p) == '\n')
        p->at++;
    p->line++;
}

static void skip_blanks(struct properties *p)
{
    while (!at_end(p) && is_blank(peek(p)))
        p->at++;
}

/* Moves to the first byte of the next property; false at the end of the text. */
static bool skip_to_property(struct properties *p)
{
    while (!at_end(p)) {
        skip_blanks(p);
        if (at_end(p))
            return false;
        if (is_line_end(peek(p))) {
            skip_line_end(p);
        } else if (peek(p) == '#' || peek(p) == '!') {
            while (!at_end(p) && !is_line_end(peek(p)))
                p->at++;
        } else {
            return true;
        }
    }
    return false;
}

static struct err append_utf8(struct buf *out, uint32_t point)
{
    uint8_t bytes[3];
    size_t size = 0;
    if (point < 0x80) {
        bytes[size++] = (uint8_t)point;
    } else if (point < 0x800) {
        bytes[size++] = (uint8_t)(0xc0 | (point >> 6));
        bytes[size++] = (uint8_t)(0x80 | (point & 0x3f));
    } else {
        bytes[size++] = (uint8_t)(0xe0 | (point >> 12));
        bytes[size++] = (uint8_t)(0x80 | ((point >> 6) & 0x3f));
        bytes[size++] = (uint8_t)(0x80 | (point & 0x3f));
    }
    return buf_append(out, bytes, size);
}

static struct err read_unicode(struct properties *p, struct buf *out, struct diag *diag)
{
    uint32_t point = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t byte = at_end(p) ? 0 : p->text.data[p->at++];
        uint32_t digit = byte >= '0' && byte <= '9'   ? byte - (uint32_t)'0'
                         : byte >= 'a' && byte <= 'f' ? byte - (uint32_t)'a' + 10
                         : byte >= 'A' && byte <= 'F' ? byte - (uint32_t)'A' + 10
                                                      : 16;
        if (digit == 16)
            return diag_fail(diag, ERR_INVALID, "\\u needs four hexadecimal digits");
        point = point * 16 + digit;
    }
    return append_utf8(out, point);
}

/* Reads what follows a backslash. */
static struct err read_escape(struct properties *p, struct buf *out, struct diag *diag)
{
    if (at_end(p))
        return ERR_NONE;
    if (is_line_end(peek(p))) {
        skip_line_end(p);
        skip_blanks(p);
        return ERR_NONE;
    }
    uint8_t byte = p->text.data[p->at++];
    if (byte == 'u')
        return read_unicode(p, out, diag);
    uint8_t meant = byte == 't' ? '\t' : byte == 'n' ? '\n' : byte == 'r' ? '\r' : byte;
    if (byte == 'f')
        meant = '\f';
    return buf_append(out, &meant, 1);
}

/* Reads up to the end of the line or, in a name, up to what separates it from its value. */
static struct err read_part(struct properties *p, struct buf *out, bool is_name, struct diag *diag)
{
    while (!at_end(p) && !is_line_end(peek(p))) {
        uint8_t byte = peek(p);
        if (is_name && (is_blank(byte) || byte == '=' || byte == ':'))
            return ERR_NONE;
        p->at++;
        if (byte == '\\')
            TRY(read_escape(p, out, diag));
        else
            TRY(buf_append(out, &byte, 1));
    }
    return ERR_NONE;
}

static struct err read_property(struct properties *p, struct diag *diag)
{
    buf_clear(&p->name);
    buf_clear(&p->value);
    TRY(read_part(p, &p->name, true, diag));
    skip_blanks(p);
    if (!at_end(p) && (peek(p) == '=' || peek(p) == ':')) {
        p->at++;
        skip_blanks(p);
    }
    return read_part(p, &p->value, false, diag);
}

static struct err read_all(struct config *config, struct properties *p, struct diag *diag)
{
    while (skip_to_property(p)) {
        int line = p->line;
        struct err err = read_property(p, diag);
        struct span value = p->value.size == 0 ? span_text("") : buf_span(&p->value);
        if (!err_failed(err))
            err = config_set(config, buf_span(&p->name), value, CONFIG_FROM_FILE, line, diag);
        if (err_failed(err))
            return diag_wrap(diag, err, "line %d", line);
    }
    return ERR_NONE;
}

struct err config_read_properties(struct config *config, struct span text, struct diag *diag)
{
    CHECK(config != NULL);
    struct properties p = {.text = text, .line = 1};
    buf_init(&p.name, CONFIG_SIZE_MAX);
    buf_init(&p.value, CONFIG_SIZE_MAX);
    struct err err = read_all(config, &p, diag);
    buf_deinit(&p.name);
    buf_deinit(&p.value);
    return err;
}
