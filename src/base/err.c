/* err: codes to words, errno to codes, and sentences into a fixed buffer. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const code_texts[ERR_CODE_COUNT] = {
    [ERR_OK] = "no error",
    [ERR_NO_MEMORY] = "out of memory",
    [ERR_IO] = "input or output failed",
    [ERR_INVALID] = "invalid",
    [ERR_CORRUPT] = "corrupt",
    [ERR_TRUNCATED] = "truncated",
    [ERR_LIMIT] = "a limit is reached",
    [ERR_NOT_FOUND] = "not found",
    [ERR_EXISTS] = "exists already",
    [ERR_CLOSED] = "closed",
    [ERR_AGAIN] = "not ready",
    [ERR_BUSY] = "in use",
    [ERR_NO_SPACE] = "no space left",
    [ERR_DENIED] = "permission denied",
    [ERR_TIMEOUT] = "timed out",
    [ERR_UNSUPPORTED] = "not supported",
    [ERR_RANGE] = "out of range",
    [ERR_OFFLINE] = "storage is offline",
    [ERR_ABORTED] = "aborted",
    [ERR_FENCED] = "another has taken over",
};

struct err err_from_errno(int number)
{
    static const struct {
        int number;
        enum err_code code;
    } table[] = {
        {ENOMEM, ERR_NO_MEMORY},  {EINVAL, ERR_INVALID},    {EMFILE, ERR_LIMIT},
        {ENFILE, ERR_LIMIT},      {ENOENT, ERR_NOT_FOUND},  {EEXIST, ERR_EXISTS},
        {ECONNRESET, ERR_CLOSED}, {EPIPE, ERR_CLOSED},      {EAGAIN, ERR_AGAIN},
        {EADDRINUSE, ERR_BUSY},   {EBUSY, ERR_BUSY},        {ENOSPC, ERR_NO_SPACE},
        {EDQUOT, ERR_NO_SPACE},   {EACCES, ERR_DENIED},     {EPERM, ERR_DENIED},
        {EROFS, ERR_DENIED},      {ETIMEDOUT, ERR_TIMEOUT}, {EOPNOTSUPP, ERR_UNSUPPORTED},
        {ENOTCONN, ERR_CLOSED},   {ENOTEMPTY, ERR_BUSY},    {ETXTBSY, ERR_BUSY},
    };
    enum err_code code = ERR_IO;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].number == number)
            code = table[i].code;
    }
    return (struct err){.code = (uint16_t)code, .sys = (uint16_t)number};
}

const char *err_text(struct err err)
{
    if (err.sys != 0) {
        const char *words = strerrordesc_np(err.sys);
        if (words != NULL)
            return words;
    }
    return err.code < ERR_CODE_COUNT ? code_texts[err.code] : "unknown error";
}

/* Marks a sentence that did not fit. */
static void diag_mark_cut(struct diag *diag, int size_wanted)
{
    if (size_wanted >= DIAG_TEXT_MAX)
        memcpy(diag->text + DIAG_TEXT_MAX - 4, "...", 4);
}

struct err diag_fail(struct diag *diag, enum err_code code, const char *format, ...)
{
    if (diag != NULL) {
        va_list arguments;
        va_start(arguments, format);
        diag_mark_cut(diag, vsnprintf(diag->text, sizeof diag->text, format, arguments));
        va_end(arguments);
    }
    return err_make(code);
}

struct err diag_wrap(struct diag *diag, struct err err, const char *format, ...)
{
    if (diag == NULL || !err_failed(err))
        return err;
    char context[DIAG_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    struct diag inner = *diag;
    const char *words = inner.text[0] != '\0' ? inner.text : err_text(err);
    diag_mark_cut(diag, snprintf(diag->text, sizeof diag->text, "%s: %s", context, words));
    return err;
}
