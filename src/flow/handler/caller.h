/*
 * caller: how a handler's code is called: over HTTP, as a child process, as a function.
 *
 * The engine begins calls and gets answers; what lies between is the caller's. Each call that was
 * begun is answered once, or cancelled by the engine, which keeps the time. A cancelled call may go
 * on outside; its answer is dropped by the caller.
 *
 * Owners: the engine owns calls, from begin to their answer; the caller borrows them meanwhile. An
 * answer's events are borrowed until the next call of caller_next. One thread.
 */
#ifndef HEADRACE_FLOW_HANDLER_CALLER_H
#define HEADRACE_FLOW_HANDLER_CALLER_H

#include "flow/cloudevent.h"
#include "flow/delivery/delivery.h"
#include "flow/policy/circuit.h"

/* The sentence of an answer that is no success. */
#define ANSWER_MESSAGE_SIZE 512

/* A call under way. */
struct call {
    struct delivery *delivery;
    struct timer timer; /* its time is over */
    struct circuit_pass pass;
    int32_t generation; /* of the group, when the partition was given to this process */
    /* Its time begins now: it was not with the handler before. The engine's; for the caller. */
    void (*restart)(struct call *call);
    void *place; /* the caller's */
};

enum answer_kind {
    ANSWER_DONE,        /* with events */
    ANSWER_RETRY,       /* failed, and may succeed later */
    ANSWER_UNREACHABLE, /* nobody was there: costs no attempt */
    ANSWER_REJECTED     /* will never succeed */
};

struct answer {
    struct call *call;
    enum answer_kind kind;
    int64_t retry_after_ms;          /* ANSWER_RETRY: what the endpoint asks for; 0: nothing */
    const struct cloudevent *events; /* ANSWER_DONE: its events, whose type may be null */
    size_t event_count;
    const char *fault; /* otherwise: the kind of failure in one word, as "http-503" */
    char message[ANSWER_MESSAGE_SIZE];
};

/* The longest fault. */
#define ANSWER_FAULT_SIZE 16

struct caller {
    const struct caller_ops *ops;
};

struct caller_ops {
    struct err (*begin)(struct caller *caller, struct call *call, const struct cloudevent *event,
                        struct diag *diag);
    void (*cancel)(struct caller *caller, struct call *call);
    bool (*next)(struct caller *caller, struct answer *answer);
    void (*wait)(struct caller *caller, int fd, int64_t timeout_ms);
    void (*destroy)(struct caller *caller);
};

/* What an HTTP status means: 2xx is done, most of 4xx rejected, anything else may succeed later. */
static inline enum answer_kind answer_kind_of(int64_t status)
{
    if (status >= 200 && status <= 299)
        return ANSWER_DONE;
    bool is_rejected =
        status >= 400 && status <= 499 && status != 408 && status != 425 && status != 429;
    return is_rejected ? ANSWER_REJECTED : ANSWER_RETRY;
}

/* Begins a call with the event, which is the caller's until it returns. Any error counts as a call
 * that has failed and may succeed later. */
MUST_USE static inline struct err caller_begin(struct caller *caller, struct call *call,
                                               const struct cloudevent *event, struct diag *diag)
{
    return caller->ops->begin(caller, call, event, diag);
}

/* No answer to this call is wanted any more. */
static inline void caller_cancel(struct caller *caller, struct call *call)
{
    caller->ops->cancel(caller, call);
}

/* The next answer that has come; false: none has. Waits for nothing. */
static inline bool caller_next(struct caller *caller, struct answer *answer)
{
    return caller->ops->next(caller, answer);
}

/* Waits until an answer may have come, the descriptor can be read, or the time is over (-1: never).
 * It may return earlier. */
static inline void caller_wait(struct caller *caller, int fd, int64_t timeout_ms)
{
    caller->ops->wait(caller, fd, timeout_ms);
}

/* Ends it; no call is under way. NULL is taken and ignored. */
static inline void caller_destroy(struct caller *caller)
{
    if (caller != NULL)
        caller->ops->destroy(caller);
}

#endif
