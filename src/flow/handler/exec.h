/*
 * exec: handlers that are a child process, spoken to line by line.
 *
 * Each event goes to its standard input as one line, a CloudEvent in the JSON format. It answers,
 * in any order, on its standard output, one line each:
 *
 *     {"id": "...", "status": 200, "events": [...], "message": "...", "retry-after": 2}
 *
 * id is the event's; all else may be missing. status has the meaning of HTTP's (http.h), events are
 * CloudEvents in the JSON format. Lines on standard error go to the log; a line on standard output
 * that is no answer is complained of there.
 *
 * Crashes. If it ends amid several events nobody knows which of them was the cause: they are given
 * to its successor one by one, and only one that it dies of alone has failed. When several in a row
 * die without a single answer, it is not the events that are blamed but the command: it is started
 * again after a pause, and meanwhile nobody is there to be called. An event that takes too long is
 * the end of the process: it may be stuck.
 */
#ifndef HEADRACE_FLOW_HANDLER_EXEC_H
#define HEADRACE_FLOW_HANDLER_EXEC_H

#include "flow/handler/caller.h"
#include "flow/log.h"
#include "os/os_clock.h"

/* One line in either direction. */
#define EXEC_LINE_SIZE_MAX ((size_t)64 * 1024 * 1024)

/* So many that die without an answer, one after the other, may be the fault of events. */
#define EXEC_DEATH_COUNT_MAX 3

/* The pause before the next one: doubling, up to the second. */
#define EXEC_RESTART_MS 100
#define EXEC_RESTART_MS_MAX 10000

/* At the end its standard input is closed, and it has so long to end by itself. */
#define EXEC_END_MS 5000

/* All borrowed; they outlive the caller. ERR_NO_MEMORY. Nothing is started before the first call.
 */
MUST_USE struct err exec_caller_create(const struct flow_handler *handler,
                                       const struct os_clock *clock, const struct flow_log *log,
                                       struct caller **out);

#endif
