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
    struct delivery *holder;
    struct list waiting; /* deliveries, by their link */
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
 * it waits in the turn's list. ERR_NO_MEMORY.
 */
MUST_USE struct err turns_ask(struct turns *turns, struct delivery *delivery, uint64_t lane_id,
                              struct span key, bool *is_holder);

/* The holder is done: the next one gets the turn and is returned, NULL where none waits. */
struct delivery *turns_pass(struct turns *turns, struct delivery *delivery);

/* A delivery that waits gives up. */
void turns_give_up(struct turns *turns, struct delivery *delivery);

#endif
