/*
 * parked: events of a handler that wait outside of its processes' memory.
 *
 * They lie in the compacted topic <flow>.<handler>.parked, in the partition that has the number of
 * their own. A record's key is the event's place, its value and headers are the event's, and these
 * headers are put behind them:
 *
 *     __parked.key        the event's key, where it has one
 *     __parked.null       there where the event has no value: without one a record takes itself
 * away
 *     __parked.time       the event's timestamp, ms since 1970
 *     __parked.attempts   calls that have failed and count
 *     __parked.due        not before that it is to be called, ms since 1970
 *     __parked.unjudged   there where the handler's expression could not be evaluated for it
 *     __parked.writer     who has parked it; not there where it was sent to the handler again
 *
 * Headers of those names that an event has itself are left out.
 *
 * Keys that begin with ! are no events': see flow/command.h.
 */
#ifndef HEADRACE_FLOW_DELIVERY_PARKED_H
#define HEADRACE_FLOW_DELIVERY_PARKED_H

#include "base/arena.h"
#include "client/client.h"

#define PARKED_PREFIX "__parked."

/* An event as it is parked. */
struct parked {
    struct client_message event; /* its topic, partition and offset are those it was read at */
    int64_t attempts;
    int64_t due_ms; /* since 1970 */
    bool is_unjudged;
    struct span writer; /* null: sent to the handler again */
};

/* The name of a handler's parked topic, in the arena; NULL: no memory. */
const char *parked_topic(const char *group, struct arena *arena);

/* Makes the record that parks the event, in the arena; the event's bytes are borrowed.
 * ERR_NO_MEMORY, ERR_LIMIT. */
MUST_USE struct err parked_write(const struct parked *parked, const char *topic,
                                 struct arena *arena, struct client_message *out);

/* Makes the record that takes the event at the place away. Errors as parked_write. */
MUST_USE struct err parked_write_gone(const struct client_message *event, const char *topic,
                                      struct arena *arena, struct client_message *out);

/*
 * Reads a record of a parked topic. *is_parked: it is an event's (its value is null where it was
 * taken away); otherwise *out means nothing. out's spans live as long as the record's and the
 * arena. ERR_NO_MEMORY, ERR_LIMIT.
 */
MUST_USE struct err parked_read(const struct client_message *record, struct arena *arena,
                                struct parked *out, bool *is_parked, bool *is_gone);

#endif
