/*
 * library: handlers that are a C function in a shared object, on headrace/handler.h.
 *
 * The function is called by begin, on the engine's thread, and its answer given out by next.
 */
#ifndef HEADRACE_FLOW_HANDLER_LIBRARY_H
#define HEADRACE_FLOW_HANDLER_LIBRARY_H

#include "flow/handler/caller.h"

/* What one event may emit. */
#define LIBRARY_EMIT_SIZE_MAX ((size_t)256 * 1024 * 1024)

/* handler is borrowed. ERR_NOT_FOUND, ERR_INVALID: it cannot be loaded, has no such function, or is
 * for another version; diag says which. ERR_NO_MEMORY. */
MUST_USE struct err library_caller_create(const struct flow_handler *handler, struct caller **out,
                                          struct diag *diag);

#endif
