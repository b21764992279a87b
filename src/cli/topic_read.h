/* topic_read: a whole topic, from its begin to where it ends when that is asked for. */
#ifndef HEADRACE_CLI_TOPIC_READ_H
#define HEADRACE_CLI_TOPIC_READ_H

#include "cli/session.h"

/*
 * Calls take with each committed record of the topic, in the order of each partition; the record is
 * valid until it returns. The session's client is a receiver. Errors: the client's, take's;
 * ERR_NOT_FOUND: there is no such topic. Waits for records, and for transactions that are open.
 */
MUST_USE struct err
topic_read(struct session *session, const char *topic,
           struct err (*take)(void *context, const struct client_message *record), void *context);

#endif
