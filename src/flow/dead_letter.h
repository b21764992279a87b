/*
 * dead_letter: what an event has become that its handler could not handle, read again.
 *
 * delivery/records.h has the headers. Besides, __dlq.journeys counts how often it was sent to its
 * handler again.
 */
#ifndef HEADRACE_FLOW_DEAD_LETTER_H
#define HEADRACE_FLOW_DEAD_LETTER_H

#include "base/arena.h"
#include "client/client.h"

#define DEAD_LETTER_PREFIX "__dlq.errors."
#define DEAD_LETTER_JOURNEYS "__dlq.journeys"

/* What is said of one; spans are null where a header is missing. */
struct dead_letter {
    struct span group;
    struct span handler;
    struct span fault; /* its class */
    struct span message;
    struct span time;
    struct span topic; /* where the event was read */
    int64_t partition;
    int64_t offset;
    int64_t calls;
    int64_t journeys;
};

/* Spans are the record's. false: it is no dead letter of a handler, as it does not say whose and
 * where it was read. */
bool dead_letter_read(const struct client_message *record, struct dead_letter *out);

/*
 * The event as it was before, on one journey more; headers in the arena, the rest the record's.
 * ERR_NO_MEMORY, ERR_LIMIT.
 */
MUST_USE struct err dead_letter_restore(const struct client_message *record,
                                        const struct dead_letter *letter, struct arena *arena,
                                        struct client_message *out);

#endif
