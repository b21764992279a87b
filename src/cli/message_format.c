/* message_format: walks the pattern once for each message; it is short. */
#include "cli/message_format.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"

#define TOKENS "tpoThkKvsSR%"

/* The byte behind a backslash at *at, which is moved behind it; -1: no such escape. */
static int take_escape(const char **at)
{
    static const char letters[] = "nrt\\0";
    static const char bytes[] = "\n\r\t\\\0";
    char letter = **at;
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    if (found != NULL) {
        (*at)++;
        return (unsigned char)bytes[found - letters];
    }
    if (letter != 'x' || !isxdigit((unsigned char)(*at)[1]) || !isxdigit((unsigned char)(*at)[2]))
        return -1;
    char digits[3] = {(*at)[1], (*at)[2], '\0'};
    *at += 3;
    return (int)strtol(digits, NULL, 16);
}

struct err message_format_check(const char *pattern, struct diag *diag)
{
    for (const char *at = pattern; *at != '\0';) {
        char letter = *at++;
        if (letter == '%' && (*at == '\0' || strchr(TOKENS, *at) == NULL))
            return diag_fail(diag, ERR_INVALID,
                             "%%%c is no token: %%t %%p %%o %%T %%k %%K %%v %%s "
                             "%%S %%h %%%%",
                             *at == '\0' ? ' ' : *at);
        if (letter == '%')
            at++;
        if (letter == '\\' && take_escape(&at) < 0)
            return diag_fail(diag, ERR_INVALID, "\\%c is no escape: \\n \\r \\t \\\\ \\0 \\xHH",
                             *at == '\0' ? ' ' : *at);
    }
    return ERR_NONE;
}

static struct err write_size(struct span bytes, struct buf *out)
{
    if (span_is_null(bytes))
        return buf_print(out, "-1");
    return buf_print(out, "%zu", bytes.size);
}

static struct err write_headers(const struct client_message *message, struct buf *out)
{
    for (size_t i = 0; i < message->header_count; i++) {
        TRY(buf_print(out, "%s%s=", i == 0 ? "" : ",", message->headers[i].name));
        TRY(buf_append(out, message->headers[i].value.data, message->headers[i].value.size));
    }
    return ERR_NONE;
}

static struct err write_token(char token, const struct client_message *message, struct buf *out)
{
    switch (token) {
    case 't':
        return buf_print(out, "%s", message->topic);
    case 'p':
        return buf_print(out, "%d", message->partition);
    case 'o':
        return buf_print(out, "%" PRId64, message->offset);
    case 'T':
        return buf_print(out, "%" PRId64, message->timestamp_ms);
    case 'h':
        return write_headers(message, out);
    case 'k':
        return buf_append(out, message->key.data, message->key.size);
    case 'K':
        return write_size(message->key, out);
    case 'v':
    case 's':
        return buf_append(out, message->value.data, message->value.size);
    case 'S':
    case 'R':
        return write_size(message->value, out);
    default:
        return buf_append(out, &token, 1);
    }
}

struct err message_format_write(const char *pattern, const struct client_message *message,
                                struct buf *out)
{
    for (const char *at = pattern; *at != '\0';) {
        char letter = *at++;
        if (letter == '%') {
            TRY(write_token(*at++, message, out));
            continue;
        }
        if (letter == '\\')
            letter = (char)take_escape(&at);
        TRY(buf_append(out, &letter, 1));
    }
    return ERR_NONE;
}

struct err message_format_json(const struct client_message *message, struct buf *out)
{
    TRY(buf_print(out, "{\"topic\":"));
    TRY(json_write_text(out, message->topic));
    TRY(buf_print(out, ",\"partition\":%d,\"offset\":%" PRId64 ",\"timestamp\":%" PRId64,
                  message->partition, message->offset, message->timestamp_ms));
    TRY(buf_print(out, ",\"key\":"));
    TRY(json_write_bytes(out, message->key));
    TRY(buf_print(out, ",\"value\":"));
    TRY(json_write_bytes(out, message->value));
    TRY(buf_print(out, ",\"headers\":["));
    for (size_t i = 0; i < message->header_count; i++) {
        TRY(buf_print(out, "%s[", i == 0 ? "" : ","));
        TRY(json_write_text(out, message->headers[i].name));
        TRY(buf_print(out, ","));
        TRY(json_write_bytes(out, message->headers[i].value));
        TRY(buf_print(out, "]"));
    }
    return buf_print(out, "]}\n");
}
