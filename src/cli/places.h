/*
 * places: where in a partition reading starts and ends, as people write it.
 *
 *     earliest | latest | end | 42 | -10 | @1700000000000 | @2024-05-01T12:30:00Z | @-1h
 *
 * -10 is ten before the end; @ is a time: milliseconds since 1970, a date with or without a time of
 * day (UTC), or so long ago in s, m, h, d or w. FROM:TO is a range; TO is not part of it.
 */
#ifndef HEADRACE_CLI_PLACES_H
#define HEADRACE_CLI_PLACES_H

#include "cli/session.h"

enum place_kind { PLACE_EARLIEST, PLACE_LATEST, PLACE_OFFSET, PLACE_BACK, PLACE_TIME };

struct place {
    enum place_kind kind;
    int64_t value; /* an offset, a count before the end, or a time in ms */
};

struct range {
    struct place from;
    struct place to;
    bool has_to; /* otherwise it never ends */
};

/* Reads a range. now_ms: for times ago. ERR_INVALID with a sentence. */
MUST_USE struct err range_parse(const char *text, int64_t now_ms, struct range *out,
                                struct diag *diag);

/* Reads one place alone. */
MUST_USE struct err place_parse(const char *text, int64_t now_ms, struct place *out,
                                struct diag *diag);

/*
 * Asks for one offset of each partition: CLIENT_OFFSET_EARLIEST, CLIENT_OFFSET_LATEST or a time in
 * ms, where a partition has nothing as late as that, -1. By partition, in the session's arena.
 */
MUST_USE struct err places_find(struct session *session, const struct client_topic *topic,
                                int64_t asked, struct client_offset **out);

/* As places_find for a place as people write it: always an offset, within what is stored. */
MUST_USE struct err places_resolve(struct session *session, const struct client_topic *topic,
                                   const struct place *place, struct client_offset **out);

#endif
