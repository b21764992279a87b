/*
 * message_format: a message as text, by a pattern with kcat's tokens.
 *
 *     %t topic   %p partition   %o offset   %T timestamp in ms   %h headers as name=value,...
 *     %k key     %K its size    %v or %s value    %S or %R its size    (sizes of null: -1)
 *     %%  \n  \r  \t  \\  \0  \xHH
 */
#ifndef HEADRACE_CLI_MESSAGE_FORMAT_H
#define HEADRACE_CLI_MESSAGE_FORMAT_H

#include "base/buf.h"
#include "base/err.h"
#include "client/client.h"

/* ERR_INVALID with a sentence where the pattern is not one. */
MUST_USE struct err message_format_check(const char *pattern, struct diag *diag);

/* Appends the message by a pattern that was checked. Errors as buf_append. */
MUST_USE struct err message_format_write(const char *pattern, const struct client_message *message,
                                         struct buf *out);

/* Appends the message as one line of JSON. */
MUST_USE struct err message_format_json(const struct client_message *message, struct buf *out);

#endif
