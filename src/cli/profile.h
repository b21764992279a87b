/*
 * profile: named settings of clients in a file.
 *
 *     # for every profile
 *     client.id = me
 *     [production]
 *     bootstrap.servers = kafka-1:9092,kafka-2:9092
 *
 * The file is $HEADRACE_PROFILES, otherwise headrace/profiles in $XDG_CONFIG_HOME or ~/.config.
 */
#ifndef HEADRACE_CLI_PROFILE_H
#define HEADRACE_CLI_PROFILE_H

#include "cli/session.h"

/*
 * Adds the properties that stand before any profile, and those of the named one (NULL: none), to
 * the session. ERR_INVALID with "line N: ..."; ERR_NOT_FOUND where there is no such profile.
 */
MUST_USE struct err profile_read(struct session *session, struct span text, const char *name);

/* Reads the file, if there is one, for --profile or $HEADRACE_PROFILE. */
MUST_USE struct err profile_load(struct session *session);

#endif
