/*
 * delivery: one record on its way to one handler.
 *
 *                        ,------------- retry -------------.
 *                        v                                 |
 *     QUEUED ---------> READY ----------> CALLED -------> PAUSING
 *     behind another      |  poison          |
 *     of its key          |                  | answered for good, or parked
 *       |                 v                  v
 *       '----------->  FINISHED <---------- (outputs)
 *       is parked        |  ^
 *        commit is built v  | commit has failed
 *                       SEALED ----------> freed, once it is committed
 *                          '-------------> QUEUED, READY or PAUSING, once it is parked
 *
 * One that must wait long is parked: a record of the handler's parked topic holds it from then on
 * (parked.h), and it counts as done in its own partition. It keeps its place in its key's turn.
 *
 * A delivery whose partition goes away is dropped in any state but SEALED (the commit holds it) and
 * CALLED while the partition drains.
 *
 * Owners: the lane it came by owns a delivery; a delivery owns its outputs. The record is copied,
 * so that an event that waits long pins nothing of what was fetched with it. One thread; but a
 * commit reads outputs of SEALED ones on another.
 */
#ifndef HEADRACE_FLOW_DELIVERY_DELIVERY_H
#define HEADRACE_FLOW_DELIVERY_DELIVERY_H

#include "base/list.h"
#include "base/wheel.h"
#include "client/client.h"
#include "flow/delivery/inbox.h"
#include "flow/flow.h"

struct call;
struct engine;
struct lane;
struct turn;

enum delivery_state {
    DELIVERY_QUEUED,
    DELIVERY_READY,
    DELIVERY_CALLED,
    DELIVERY_PAUSING,
    DELIVERY_FINISHED,
    DELIVERY_SEALED,
    DELIVERY_STATE_COUNT
};

/* Whether a record of the parked topic holds it. */
enum delivery_parking {
    PARKING_NONE,
    PARKING_SOON, /* FINISHED or SEALED: its record is among its outputs */
    PARKING_DONE, /* it is there, and goes when the delivery is committed */
    PARKING_AGAIN /* FINISHED or SEALED: it is there, and is written anew */
};

/* A record to be written when its delivery is committed. */
struct output {
    struct output *next;
    struct client_message message; /* the bytes lie behind the struct */
};

struct delivery {
    struct list link;      /* in the list of its state, if that has one */
    struct list lane_link; /* among all of its lane */
    struct list turn_link; /* among those of its key */
    struct lane *lane;
    struct turn *turn;     /* NULL: it waits for no other */
    struct call *call;     /* CALLED */
    struct engine *engine; /* of the timer */
    struct timer timer;    /* PAUSING */
    enum delivery_state state;
    enum delivery_parking parking;
    uint64_t sequence;  /* of its mark in the lane's progress; once it is parked, it has none */
    struct inbox_id id; /* where the handler has an inbox; none: it is not to be remembered */
    bool is_unjudged;   /* the handler's expression could not be evaluated for it */
    uint32_t attempts;  /* calls that have failed and count */
    uint32_t refusals;  /* in a row: nobody was there to be called */
    int64_t due_ms;     /* it is not called before; by the clock that does not jump */
    size_t size;        /* bytes held, outputs excluded */
    struct output *outputs;
    struct output **outputs_end;
    struct client_message message; /* the bytes lie behind the struct */
};

/* Copies the message. ERR_NO_MEMORY. */
MUST_USE struct err delivery_create(const struct client_message *message, struct delivery **out);

/* Frees it and its outputs; it is on no list any more. NULL is taken and ignored. */
void delivery_destroy(struct delivery *delivery);

/* Moves along the diagram; anything else is a fault of the program. */
void delivery_move(struct delivery *delivery, enum delivery_state state);

/* Copies a message to be written with its commit. ERR_NO_MEMORY. */
MUST_USE struct err delivery_add_output(struct delivery *delivery,
                                        const struct client_message *message);

/* Forgets the outputs. */
void delivery_clear_outputs(struct delivery *delivery);

void delivery_free_outputs(struct output *outputs);

/* Takes the outputs away, for delivery_put_outputs to put them back in the place of others. */
struct output *delivery_take_outputs(struct delivery *delivery);
void delivery_put_outputs(struct delivery *delivery, struct output *outputs);

/* Whether its record in the parked topic was written; what it leads to takes that away. */
static inline bool delivery_is_parked(const struct delivery *delivery)
{
    return delivery->parking == PARKING_DONE || delivery->parking == PARKING_AGAIN;
}

/* The first header of the name; the null span where there is none. */
struct span message_header(const struct client_message *message, const char *name);

#endif
