/*
 * headrace/handler.h: event handlers in C, loaded into `headrace flow run`.
 *
 *     #include <headrace/handler.h>
 *
 *     HEADRACE_HANDLERS
 *
 *     headrace_handler handle;
 *
 *     int handle(const struct headrace_event *event, struct headrace_answer *answer)
 *     {
 *         if (event->data.size == 0)
 *             return headrace_reject(answer, "it has no data");
 *         return headrace_emit(answer, "order.checked", event->data.bytes, event->data.size);
 *     }
 *
 *     cc -shared -fPIC -o handlers.so handlers.c       library: ./handlers.so
 *
 * The function named by the flow file's `function` (handle, unless it says otherwise) is called for
 * one event after the other, on one thread per handler of the flow. It must not block for long:
 * while it runs, the handler's other events wait. Handlers that wait for others are better called
 * over HTTP or as a child process.
 *
 * What it returns has the meaning of an HTTP status: HEADRACE_DONE and any other 2xx is success;
 * 408, 425, 429, 5xx and anything else is tried again by the handler's policy; other 4xx make the
 * event a dead letter. A crash is the process's: its supervisor starts it again, and the event
 * comes again.
 */
#ifndef HEADRACE_HANDLER_H
#define HEADRACE_HANDLER_H

#include <stddef.h>
#include <stdint.h>

/* The version of these structs. A library that was built for another one is refused. */
#define HEADRACE_HANDLER_VERSION 1

#define HEADRACE_DONE 200
#define HEADRACE_RETRY 503
#define HEADRACE_REJECT 422

/* Bytes that live until the handler returns; no NUL behind them. bytes is NULL where there are
 * none at all. */
struct headrace_bytes {
    const char *bytes;
    size_t size;
};

/* A CloudEvent: what has no place of its own here, headrace_attribute finds. */
struct headrace_event {
    struct headrace_bytes id;
    struct headrace_bytes source;
    struct headrace_bytes type;
    struct headrace_bytes content_type;
    struct headrace_bytes data;
    struct headrace_bytes key; /* of the record */
    const char *topic;         /* where it was read */
    int32_t partition;
    int64_t offset;
    uint32_t attempt; /* 1: the first call */
    const void *attributes;
    struct headrace_bytes (*find_attribute)(const struct headrace_event *event, const char *name);
};

/* What the handler has to say. */
struct headrace_answer {
    void *context;
    int (*emit)(struct headrace_answer *answer, const char *type, const void *data, size_t size);
    void (*say)(struct headrace_answer *answer, const char *message);
    const char *content_type; /* of what is emitted from now on; NULL: application/json */
};

typedef int headrace_handler(const struct headrace_event *event, struct headrace_answer *answer);

/* Emits an event, once the handler has returned success; the bytes are copied. type: one of the
 * flow file's emits; NULL where that names one alone. Returns HEADRACE_DONE, or HEADRACE_RETRY
 * where there is no memory. */
static inline int headrace_emit(struct headrace_answer *answer, const char *type, const void *data,
                                size_t size)
{
    return answer->emit(answer, type, data, size);
}

/* The event will never succeed: it is a dead letter, with this reason. */
static inline int headrace_reject(struct headrace_answer *answer, const char *message)
{
    answer->say(answer, message);
    return HEADRACE_REJECT;
}

/* It may succeed later. */
static inline int headrace_retry(struct headrace_answer *answer, const char *message)
{
    answer->say(answer, message);
    return HEADRACE_RETRY;
}

/* subject, time or an extension; bytes is NULL where the event has none of the name. */
static inline struct headrace_bytes headrace_attribute(const struct headrace_event *event,
                                                       const char *name)
{
    return event->find_attribute(event, name);
}

/* Says for which version the library was built; put it into one of its files. */
#define HEADRACE_HANDLERS                                                                          \
    extern const int headrace_handler_version;                                                     \
    const int headrace_handler_version = HEADRACE_HANDLER_VERSION;

#endif
