/*
 * err: how a function says that it failed.
 *
 * A fallible function returns a struct err, which the caller must look at: it handles it, or hands
 * it on with TRY(). The code is for programs. The sentence for people is written once, where the
 * most is known, into the struct diag that the operation's caller provided, and outer layers may
 * put their own words in front (diag_wrap). Libraries print nothing; the edge reports once.
 */
#ifndef HEADRACE_BASE_ERR_H
#define HEADRACE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

enum err_code {
    ERR_OK = 0,
    ERR_NO_MEMORY,   /* an allocation failed */
    ERR_IO,          /* the system refused an input or output; sys holds errno */
    ERR_INVALID,     /* the input means nothing, or nothing allowed here */
    ERR_CORRUPT,     /* stored or sent bytes fail their own checks */
    ERR_TRUNCATED,   /* the bytes end before the thing they describe */
    ERR_LIMIT,       /* a named limit of the program is reached */
    ERR_NOT_FOUND,   /* the named thing does not exist */
    ERR_EXISTS,      /* the named thing exists already */
    ERR_CLOSED,      /* the peer or the owner closed it */
    ERR_AGAIN,       /* nothing can be done now; an event will tell when */
    ERR_BUSY,        /* another process or operation holds it */
    ERR_NO_SPACE,    /* the disk or a budget is full */
    ERR_DENIED,      /* the system or a rule forbids it */
    ERR_TIMEOUT,     /* the time given has passed */
    ERR_UNSUPPORTED, /* a valid request for something that does not exist here */
    ERR_RANGE,       /* a position outside what is stored */
    ERR_OFFLINE,     /* storage failed earlier and refuses further work */
    ERR_ABORTED,     /* the transaction cannot be completed, another one may */
    ERR_FENCED,      /* another has taken this one's place */
    ERR_CODE_COUNT
};

/* The result of a fallible function. sys is the errno behind it, or 0. */
struct err {
    uint16_t code;
    uint16_t sys;
};

#define ERR_NONE ((struct err){0})

/* Returns the error of the given code. */
static inline struct err err_make(enum err_code code)
{
    return (struct err){.code = (uint16_t)code};
}

/* Returns the error that the given errno stands for. Unknown numbers become ERR_IO. */
struct err err_from_errno(int number);

static inline bool err_is(struct err err, enum err_code code)
{
    return err.code == code;
}

static inline bool err_failed(struct err err)
{
    return err.code != ERR_OK;
}

/* Returns a short constant phrase for the error: "no such thing", or errno's own words for ERR_IO.
 */
const char *err_text(struct err err);

/* Hands a failure on to the caller. The only macro of the program that hides a return. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        struct err try_err_ = (expression);                                                        \
        if (err_failed(try_err_))                                                                  \
            return try_err_;                                                                       \
    } while (0)

/* The longest sentence an operation may give; longer ones are cut with "...". */
#define DIAG_TEXT_MAX 512

/* The sentence of one operation, on the caller's stack or in the caller's struct. */
struct diag {
    char text[DIAG_TEXT_MAX];
};

static inline void diag_clear(struct diag *diag)
{
    diag->text[0] = '\0';
}

/* Writes the sentence and returns the error of that code. diag may be NULL: then only the code
 * counts. */
MUST_USE struct err diag_fail(struct diag *diag, enum err_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/*
 * Puts "context: " in front of the sentence, or of err_text(err) where there is none yet, and
 * returns err unchanged. diag may be NULL.
 */
MUST_USE struct err diag_wrap(struct diag *diag, struct err err, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
