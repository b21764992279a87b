/*
 * delivery: one record on its way to one handler.
 *
 *                        ,------------- retry -------------.
 *                        v                                 |
 *     QUEUED ---------> READY ----------> CALLED -------> PAUSING
 *     behind another      |  filtered out,   |
 *     of its key          |  poison          | answered for good
 *                         v                  v
 *                      FINISHED <---------- (outputs)
 *                        |  ^
 *        commit is built v  | commit has failed
 *                       SEALED ----------> freed, once it is committed
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

/* A record to be written when its delivery is committed. */
struct output {
    struct output *next;
    struct client_message message; /* the bytes lie behind the struct */
};

struct delivery {
    struct list link;      /* in the list of its state, if that has one */
    struct list lane_link; /* among all of its lane */
    struct lane *lane;
    struct turn *turn;     /* NULL: it waits for no other */
    struct call *call;     /* CALLED */
    struct engine *engine; /* of the timer */
    struct timer timer;    /* PAUSING */
    enum delivery_state state;
    uint64_t sequence; /* of its mark in the lane's progress */
    bool is_unjudged;  /* the handler's expression could not be evaluated for it */
    uint32_t attempts; /* calls that have failed and count */
    uint32_t refusals; /* in a row: nobody was there to be called */
    size_t size;       /* bytes held, outputs excluded */
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

/* The first header of the name; the null span where there is none. */
struct span message_header(const struct client_message *message, const char *name);

#endif
