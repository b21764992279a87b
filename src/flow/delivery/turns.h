/*
 * turns: one delivery of a key at a time, in the order in which they came.
 *
 * Keys are told apart by a 64-bit hash with a secret seed; two that collide share a turn, which
 * costs them speed and nothing else.
 *
 * Owners: a turn lives as long as a delivery of its key holds it or waits for it. One thread.
 */
#ifndef HEADRACE_FLOW_DELIVERY_TURNS_H
#define HEADRACE_FLOW_DELIVERY_TURNS_H

#include "base/map.h"
#include "flow/delivery/delivery.h"

struct turn {
    uint64_t hash;
    struct list deliveries; /* by their turn_link; the first one holds it */
};

struct turns {
    struct map map; /* by hash */
    uint64_t seed;
};

void turns_init(struct turns *turns, uint64_t seed);

/* Nobody holds a turn any more. */
void turns_deinit(struct turns *turns);

/*
 * The delivery, QUEUED, asks for the turn of (lane, key). *is_holder: it has it at once; otherwise
 * it waits behind the others. ERR_NO_MEMORY.
 */
MUST_USE struct err turns_ask(struct turns *turns, struct delivery *delivery, uint64_t lane_id,
                              struct span key, bool *is_holder);

/* The delivery leaves. Whoever has the turn by that is returned; NULL: nobody, or who had it
 * before. */
struct delivery *turns_leave(struct turns *turns, struct delivery *delivery);

/* Whether it has its turn, or needs none. */
bool turns_is_holder(const struct delivery *delivery);

/* Who is right before it, and right behind it; NULL: nobody. */
struct delivery *turns_before(const struct delivery *delivery);
struct delivery *turns_behind(const struct delivery *delivery);

#endif
