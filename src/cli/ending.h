/*
 * ending: how commands that serve until they are told to stop learn of it.
 *
 * SIGTERM and SIGINT are blocked in all threads and waited for by the main one; a broken pipe is an
 * error of whoever writes, not a signal.
 */
#ifndef HEADRACE_CLI_ENDING_H
#define HEADRACE_CLI_ENDING_H

/* On the main thread, before it starts others: they inherit it. */
void ending_prepare(void);

/* Waits for a signal that asks for the end. */
void ending_wait(void);

#endif
