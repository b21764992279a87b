/*
 * companion: reads the topics that belong to a handler alone: what is parked, its inbox.
 *
 * A companion topic has as many partitions as the topics that its handler handles; partition p of
 * it belongs to the partitions p of these. Who is given one of these reads the companion's first,
 * up to where it ends: all that whoever had the partition before has committed. From then on it is
 * followed, as commands and events that are sent to the handler again come by it.
 *
 *     companion_want ------> found: where it begins and ends --> read --> is_loaded, and on
 *     companion_want_no <--- again for each one that wanted it
 *
 * One reader for all partitions of all companion topics of an engine. Invariants:
 *  1. What is given out of a partition comes in the order of offsets, from the first one wanted on;
 *     when it is wanted again meanwhile it comes again from the begin, and is_again says so.
 *  2. A partition is loaded when all was given out that was there when it was wanted last.
 *
 * Owners: the engine. One thread.
 */
#ifndef HEADRACE_FLOW_DELIVERY_COMPANION_H
#define HEADRACE_FLOW_DELIVERY_COMPANION_H

#include "base/list.h"
#include "client/client.h"

/* The answers about one topic at a time; a topic of 10,000 partitions takes some 300 KiB. */
#define COMPANION_ARENA_SIZE_MAX ((size_t)64 * 1024 * 1024)

/* A partition that is wanted. */
struct companion_part {
    struct list link;
    const char *topic;
    int32_t partition;
    int64_t from;       /* CLIENT_OFFSET_EARLIEST, or a time in ms */
    int64_t position;   /* the next offset that is given out; -1: not known yet */
    int64_t end;        /* it is loaded there */
    int64_t seen;       /* what is before was given out once */
    uint32_t use_count; /* of those that want it */
};

struct companion {
    struct client *reader; /* without a group, used by nobody else */
    struct list parts;
    bool has_changed;              /* the reader's partitions are not those that are wanted */
    int64_t due_ms;                /* after a failure it is tried again then */
    struct client_message message; /* given out last */
};

/* reader is borrowed. */
void companion_init(struct companion *companion, struct client *reader);
void companion_deinit(struct companion *companion);

/* The partition is wanted once more; topic outlives that. It is read from its begin, or from the
 * time on. ERR_NO_MEMORY. */
MUST_USE struct err companion_want(struct companion *companion, const char *topic,
                                   int32_t partition, int64_t from);

/* The partition is wanted once less. */
void companion_want_no(struct companion *companion, const char *topic, int32_t partition);

/* Makes the reader read what is wanted. Errors, for which companion_wait_ms tells when to try
 * again: the client's; ERR_NOT_FOUND: the topic is not there. */
MUST_USE struct err companion_step(struct companion *companion, int64_t now_ms, struct diag *diag);

/* What the topics have to give; *is_again: it was given out before. NULL message: nothing now.
 * The message is borrowed until the next call. Errors: the client's. */
MUST_USE struct err companion_receive(struct companion *companion,
                                      const struct client_message **message, bool *is_again,
                                      struct diag *diag);

bool companion_is_loaded(const struct companion *companion, const char *topic, int32_t partition);

/* Up to where the partition, which is wanted, was ever given out. */
int64_t companion_seen(const struct companion *companion, const char *topic, int32_t partition);

/* Milliseconds until a step is due; -1: none is. */
int64_t companion_wait_ms(const struct companion *companion, int64_t now_ms);

#endif
