/*
 * commit: what one transaction holds, and how it is written.
 *
 * The engine builds a commit of finished deliveries: their outputs, and the offsets of the lanes
 * they came by. Whoever drives the engine has it written, on any thread, and hands the result back;
 * there is one at a time. Exactly once it is a transaction of the sender, in which the offsets are
 * the receiver's group's (KIP-447); at least once the outputs are acknowledged first, and then the
 * offsets committed.
 *
 * Owners: the engine; the writer reads. Deliveries in it are SEALED and stay as they are.
 */
#ifndef HEADRACE_FLOW_DELIVERY_COMMIT_H
#define HEADRACE_FLOW_DELIVERY_COMMIT_H

#include "flow/delivery/lane.h"

struct commit {
    struct arena arena;     /* of the offsets and their metadata */
    struct list deliveries; /* by their link, in the order of their outputs */
    uint32_t delivery_count;
    struct client_message *records; /* that are of no delivery: what is done, for inboxes */
    size_t record_count;
    bool has_parked; /* some of them are parked: offsets may be the same as in the last commit */
    struct lane **lanes; /* of the offsets */
    struct client_offset *offsets;
    size_t offset_count;
};

enum commit_fate {
    COMMIT_DONE,
    COMMIT_FAILED,   /* nothing of it is seen; it may be tried again */
    COMMIT_REFUSED,  /* as FAILED; one delivery's outputs will never be taken */
    COMMIT_UNCERTAIN /* DONE or FAILED: what is committed tells which, see engine_committed */
};

struct commit_result {
    enum commit_fate fate;
    bool is_sender_over;      /* the sender is to be closed, and a new one opened */
    struct delivery *refused; /* COMMIT_REFUSED: whose */
    struct diag diag;         /* unless DONE: why */
};

/* Writes a commit in a transaction. Waits, for some of the clients' time-outs. */
void commit_write_once(const struct commit *commit, struct client *sender, struct client *receiver,
                       struct commit_result *result);

/* Writes a commit so that nothing is lost, though some of it may be written again. Waits up to
 * timeout_ms for acknowledgements. */
void commit_write_at_least_once(const struct commit *commit, struct client *sender,
                                struct client *receiver, int32_t timeout_ms,
                                struct commit_result *result);

#endif
