/*
 * session: one run of a client command: its settings, its client, its output and its end.
 *
 * Settings come from flags, before the environment, before the profile, before the head of the
 * profiles' file. One thread.
 */
#ifndef HEADRACE_CLI_SESSION_H
#define HEADRACE_CLI_SESSION_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "client/client.h"

/* Exit codes, documented in docs/reference/cli.md. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3, /* no server answered */
    EXIT_NOT_FOUND = 4,   /* no such topic, partition or group */
    EXIT_INTERRUPTED = 130
};

enum output_format { OUTPUT_TABLE, OUTPUT_JSON };

/* Properties of one session: a profile of a hundred lines and as many flags. */
#define SESSION_PROPERTY_COUNT_MAX 256

struct session {
    const struct command *command;
    struct arena arena; /* of everything that lives as long as the command */
    struct diag diag;
    char **words; /* the arguments that are no options */
    size_t word_count;
    const char *bootstrap;                                    /* --bootstrap, or NULL */
    const char *profile;                                      /* --profile, or NULL */
    struct client_property flags[SESSION_PROPERTY_COUNT_MAX]; /* of -X */
    size_t flag_count;
    struct client_property properties[SESSION_PROPERTY_COUNT_MAX]; /* all, the later wins */
    size_t property_count;
    enum output_format format;
    int32_t timeout_ms;
    struct client *client;
    struct buf out;      /* for session_print */
    enum exit_code code; /* of a run without error; of one with, unless EXIT_DONE */
};

/* Adds a property; the texts live as long as the session. ERR_LIMIT. */
MUST_USE struct err session_set(struct session *session, const char *name, const char *value);

/* Adds a property as if by -X. ERR_LIMIT. */
MUST_USE struct err session_flag(struct session *session, const char *name, const char *value);

/* The error of words that do not fit together; the exit code will be EXIT_USAGE. */
MUST_USE struct err session_misuse(struct session *session, const char *sentence);

/* Splits "KEY=VALUE" in the arena. ERR_INVALID with a sentence that names the option. */
MUST_USE struct err session_pair(struct session *session, const char *option, const char *text,
                                 struct client_property *out);

/* Reads a whole number within the bounds, both inclusive. ERR_INVALID with a sentence. */
MUST_USE struct err session_number(struct session *session, const char *option, const char *text,
                                   int64_t min, int64_t max, int64_t *out);

/* Sets the format: "table" or "json". ERR_INVALID with a sentence. */
MUST_USE struct err session_format(struct session *session, const char *text);

/* Fills properties from the environment and the profiles' file, and the client with them. */
MUST_USE struct err session_connect(struct session *session);

/* Writes out to standard output and empties it. ERR_IO where nobody takes it. */
MUST_USE struct err session_print(struct session *session);

/* A sentence to standard error, after "headrace: ", unless nobody looks at a terminal. */
void session_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Reports the error on standard error and returns its exit code. */
enum exit_code session_report(struct err err, const struct diag *diag);

/* Prints "headrace: " and the sentence in red on a terminal; NO_COLOR turns that off. */
void session_complain(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
