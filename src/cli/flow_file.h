/* flow_file: a flow file for a command: read, its problems told. */
#ifndef HEADRACE_CLI_FLOW_FILE_H
#define HEADRACE_CLI_FLOW_FILE_H

#include "cli/session.h"
#include "flow/flow.h"

/*
 * Reads the flow at path with the process's environment, and tells every problem on standard error
 * as PATH:LINE:COLUMN: sentence. may_lack: a variable that is not set is a warning. ERR_INVALID
 * where the file cannot be used. The flow lives in the session's arena.
 */
MUST_USE struct err flow_file_load(struct session *session, const char *path, bool may_lack,
                                   struct flow **flow);

#endif
