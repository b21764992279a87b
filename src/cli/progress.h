/* progress: a bar on standard error, where that is a terminal and the end is known. */
#ifndef HEADRACE_CLI_PROGRESS_H
#define HEADRACE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    int64_t total; /* 0: unknown, and nothing is drawn */
    int64_t begun_us;
    int64_t drawn_us;
    bool is_shown;
};

/* is_wanted: what the numbers are about is not itself a conversation on the terminal. */
void progress_begin(struct progress *progress, int64_t total, bool is_wanted);

/* Draws at most ten times a second. done: of total. count: messages. */
void progress_show(struct progress *progress, int64_t done, int64_t count);

/* Draws the last state and ends the line. */
void progress_end(struct progress *progress, int64_t done, int64_t count);

#endif
