/*
 * os_process: a child process that is spoken to over its standard input and output.
 *
 * It runs in a process group of its own, with no signal blocked; whoever started it ends it with
 * os_process_end. One thread per child. Real also in the simulator, which starts none.
 */
#ifndef HEADRACE_OS_OS_PROCESS_H
#define HEADRACE_OS_OS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* How a child ended, in words. */
#define OS_PROCESS_END_SIZE 64

struct os_process {
    int pid;
    int in; /* -1: closed */
    int out;
    int err;
};

/* Runs a command line by /bin/sh. ERR_LIMIT (descriptors, processes), ERR_NO_MEMORY. */
MUST_USE struct err os_process_start(const char *command, struct os_process *process);

/* Writes what its standard input takes now. ERR_AGAIN: nothing; ERR_CLOSED: it reads no more. */
MUST_USE struct err os_process_write(struct os_process *process, struct span bytes, size_t *done);

/* Reads what is there of its out or err. ERR_AGAIN: nothing; ERR_CLOSED: the end. */
MUST_USE struct err os_process_read(int descriptor, void *bytes, size_t size, size_t *done);

/* Closes its standard input: it is to end by itself. */
void os_process_close_input(struct os_process *process);

/* Waits until it has written something, takes something (where wanted), the event is set, or the
 * time is over (-1: never). process may be NULL: there is none. */
void os_process_wait(const struct os_process *process, bool is_writing, int event,
                     int64_t timeout_ms);

/* Kills its group where it still runs, and waits for its end. words: "exit code 3", "signal 9". */
void os_process_end(struct os_process *process, char words[OS_PROCESS_END_SIZE]);

#endif
