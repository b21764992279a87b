/*
 * inbox: which events of a partition were done lately, so that one that comes twice is done once.
 *
 * An event is known by 128 bits of its source and id. They are remembered for the handler's time,
 * and at most INBOX_COUNT_MAX of a partition: beyond that the oldest is forgotten. What a commit
 * has done is written in it, to the topic <flow>.<handler>.inbox and the partition of the events'
 * own number: a record's key is the events' topic, its value their ids, 16 bytes each, and its
 * timestamp when. Whoever takes a partition over reads that first.
 *
 * What became a dead letter is not done, and may come again.
 *
 * Owners: a lane. One thread.
 */
#ifndef HEADRACE_FLOW_DELIVERY_INBOX_H
#define HEADRACE_FLOW_DELIVERY_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* Of a partition: 32 MB, and read within half a second. */
#define INBOX_COUNT_MAX (1U << 20)

#define INBOX_ID_SIZE 16

/* Both halves 0: no id. */
struct inbox_id {
    uint64_t high;
    uint64_t low;
};

struct inbox_entry {
    struct inbox_id id; /* none: it was taken back */
    int64_t time_ms;
};

struct inbox {
    int64_t window_ms;
    uint64_t seed;               /* odd, and secret: whoever makes ids cannot choose their slots */
    struct inbox_entry *entries; /* a ring, in the order of their coming */
    uint32_t *slots;             /* twice as many; 0: free, else sequence of an entry, plus 1 */
    uint32_t capacity;           /* of entries; 0, or a power of two */
    uint32_t first;              /* sequence of the oldest */
    uint32_t count;
};

/* What is remembered for so long; seed: at random. */
void inbox_init(struct inbox *inbox, int64_t window_ms, uint64_t seed);
void inbox_deinit(struct inbox *inbox);

/* The id of an event; the same in every process. */
struct inbox_id inbox_id_of(struct span source, struct span id);

static inline bool inbox_id_is_none(struct inbox_id id)
{
    return id.high == 0 && id.low == 0;
}

/* Whether the event was done within the window, by the wall clock. */
bool inbox_has(const struct inbox *inbox, struct inbox_id id, int64_t now_ms);

/* The event is done, for the second time perhaps. ERR_NO_MEMORY. */
MUST_USE struct err inbox_add(struct inbox *inbox, struct inbox_id id, int64_t now_ms);

/* The event is not done after all; what is not there is left alone. */
void inbox_remove(struct inbox *inbox, struct inbox_id id);

/* An id as INBOX_ID_SIZE bytes, and all ids of a record's value (ERR_NO_MEMORY). A rest that is no
 * whole id is passed over. */
void inbox_write_id(struct inbox_id id, uint8_t *bytes);
MUST_USE struct err inbox_load(struct inbox *inbox, struct span ids, int64_t time_ms);

/* The name of a handler's inbox topic, in the arena; NULL: no memory. */
const char *inbox_topic(const char *group, struct arena *arena);

#endif
