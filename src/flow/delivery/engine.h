/*
 * engine: delivers events to one handler, in one process.
 *
 * It is a step machine without threads, sockets or clocks of its own. Whoever drives it (threads in
 * `flow run`, a simulator with a virtual clock in tests) repeats:
 *
 *     while (engine_may_receive) engine_take(what the receiver receives)
 *     engine_step                          answers, timers, calls, places that go
 *     engine_commit -> commit_write_... -> engine_committed       on any thread, one at a time
 *     wait up to engine_wait_ms, or until something is received, answered or committed
 *
 * An event's way: engine_take copies the record into a delivery of its lane, which waits for its
 * key's turn, is called under the handler's policy, finishes with outputs, is sealed in a commit
 * and freed when that is done.
 *
 * Invariants:
 *  1. Of one key of a partition at most one delivery is called at a time, in the order of offsets.
 *  2. No offset is committed before what its record led to: both are in one commit.
 *  3. A commit names offsets of lanes alone that this process had when it was built, and none of
 *     these is let go before it is written; what a lane that was lost still brings is dropped.
 *  4. Every delivery ends committed, or with its lane. Attempts are bounded by the retry rule;
 * calls that reached nobody, and an open circuit, cost none.
 *  5. What is held is bounded by in-flight, and what is parked by PARKED_COUNT_MAX: beyond it
 *     nothing is received.
 *  6. An event is parked only behind such of its key as are: what is parked of a key comes before
 *     all else of it.
 *
 * engine.c receives and waits; engine_places.c deals with partitions that come and go,
 * engine_calls.c with calls and their answers, engine_commits.c with commits, engine_parking.c with
 * events that wait outside, engine_inbox.c with events that come twice, engine_commands.c
 * with what operators say.
 */
#ifndef HEADRACE_FLOW_DELIVERY_ENGINE_H
#define HEADRACE_FLOW_DELIVERY_ENGINE_H

#include "base/metric.h"
#include "flow/delivery/commit.h"
#include "flow/handler/caller.h"
#include "flow/log.h"
#include "os/os_clock.h"
#include "os/os_random.h"

struct engine;

/* All borrowed; they outlive the engine. */
struct engine_settings {
    const struct flow *flow;
    const struct flow_handler *handler;
    const char *cluster;     /* its id */
    struct client *receiver; /* has joined the group with the handler's topics, or will */
    struct client *reader;   /* without a group, of the handler's companion topics */
    struct caller *caller;
    const struct os_clock *clock;
    const struct os_random *random;
    const struct flow_log *log;
};

/* What has happened so far. Any thread may read. */
struct engine_counts {
    struct metric_counter processed;
    struct metric_counter failed; /* calls that did */
    struct metric_counter skipped;
    struct metric_counter dead_lettered;
    struct metric_counter repeated; /* done before, as the inbox knew */
    struct metric_counter parked;
    struct metric_counter emitted;
    struct metric_counter commits;
    struct metric_counter commits_failed;
};

/* ERR_NO_MEMORY. */
MUST_USE struct err engine_create(const struct engine_settings *settings, struct engine **out);

/* Cancels calls and drops all; no commit is being written. NULL is taken and ignored. */
void engine_destroy(struct engine *engine);

/* Whether there is room for an event; otherwise the receiver is to be left alone. */
bool engine_may_receive(const struct engine *engine);

/* Takes what the receiver has received. Errors: the receiver's, of an answer to it. */
MUST_USE struct err engine_take(struct engine *engine, const struct client_event *event,
                                struct diag *diag);

/* Goes on with all that can go on now. Errors as engine_take. */
MUST_USE struct err engine_step(struct engine *engine, struct diag *diag);

/* The commit that is to be written now; NULL: none. ERR_NO_MEMORY leaves all as it was. */
MUST_USE struct err engine_commit(struct engine *engine, const struct commit **out);

/*
 * What became of the commit that engine_commit gave last. Where the result says that the sender is
 * over, a new one of the same transactional.id is open by now: that has ended what the old one had
 * left, and where it is UNCERTAIN how, the engine asks what is committed.
 */
void engine_committed(struct engine *engine, const struct commit_result *result);

/* Until when nothing can be due, in ms; -1: until something comes. */
int64_t engine_wait_ms(const struct engine *engine);

/* Begins the end: nothing new is called. It is over when engine_is_drained, at the latest when
 * the flow's drain has passed. Nothing is received any more. */
void engine_drain(struct engine *engine);
bool engine_is_drained(const struct engine *engine);

const struct engine_counts *engine_counts(const struct engine *engine);

#endif
