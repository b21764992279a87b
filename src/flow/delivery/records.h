/*
 * records: what a delivery leaves behind in the log: emitted events, dead letters, and what is
 * parked of it.
 *
 * An emitted event's id is made of its source event's source and id, the handler and its place
 * among the answer's events: so it is the same however often the handler was called. causationid
 * names the event that it comes from, correlationid the first one of its chain.
 *
 * A dead letter is its record as it was, with these headers put behind its own:
 *
 *     __dlq.errors.topic, .partition, .offset   where it was read
 *     __dlq.errors.group, .handler              who could not handle it
 *     __dlq.errors.class                        what kind of failure, one word
 *     __dlq.errors.message                      the last failure in words
 *     __dlq.errors.delivery.count               calls that were made
 *     __dlq.errors.time                         when it was given up, RFC 3339
 */
#ifndef HEADRACE_FLOW_DELIVERY_RECORDS_H
#define HEADRACE_FLOW_DELIVERY_RECORDS_H

#include "flow/cloudevent.h"
#include "flow/dead_letter.h"
#include "flow/delivery/delivery.h"
#include "os/os_clock.h"

/* Who writes them. All borrowed. */
struct records {
    const struct flow *flow;
    const struct flow_handler *handler;
    const char *group; /* <flow>.<handler> */
    const char *dead_letter_topic;
    const char *parked_topic;
    const char *inbox_topic; /* NULL: the handler has none */
    const char *writer;      /* this engine's, of what it parks */
    const struct os_clock *clock;
    struct json_reader *json;
};

/*
 * Adds the answer's events to the delivery's outputs: all or none; and what takes it away where it
 * is parked. ERR_INVALID: one of them may not
 * be emitted, or lacks its key; diag says which. ERR_NO_MEMORY, ERR_LIMIT (the arena is full).
 */
MUST_USE struct err records_emit(const struct records *records, struct delivery *delivery,
                                 const struct cloudevent *events, size_t count, struct arena *arena,
                                 struct diag *diag);

/* Makes the record that parks the delivery its only output; it is due in due_ms, ms since 1970.
 * Errors but ERR_INVALID as records_emit. */
MUST_USE struct err records_park(const struct records *records, struct delivery *delivery,
                                 int64_t due_ms, struct arena *arena);

/* Makes the delivery's dead letter its only output, besides what takes it away where it is
 * parked. Errors but ERR_INVALID as records_emit; its outputs are then as they were. */
MUST_USE struct err records_dead_letter(const struct records *records, struct delivery *delivery,
                                        const char *fault, const char *message,
                                        struct arena *arena);

#endif
