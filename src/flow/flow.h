/*
 * flow: an event-driven application, as its file declares it.
 *
 *     flow: shop
 *     events:
 *       order.placed: {topic: orders, key: customer}
 *     handlers:
 *       reserve-stock:
 *         handles: order.placed
 *         call: ${STOCK_URL}/reserve
 *
 * shape.c lists every key with its kind, bounds and default; docs/reference/flow-file.md tells of
 * them. A value is absent where its text is NULL: what then holds is its default, which `number`
 * has.
 */
#ifndef HEADRACE_FLOW_FLOW_H
#define HEADRACE_FLOW_FLOW_H

#include "base/arena.h"
#include "flow/problem.h"

/* A file of some thousand handlers; a pipe that never ends is refused there. */
#define FLOW_FILE_SIZE_MAX (1 << 20)

/* One word of the file. */
struct flow_value {
    const char *text; /* what stands there for ${...} is in it; NULL: absent */
    int64_t number;   /* ms, bytes, a count, per cent, events a minute, true, a choice's index */
    struct flow_place place; /* of the value; of what it belongs to, where it is absent */
    bool is_unknown;         /* a variable in it is not set, and that was allowed */
    bool is_wrong;           /* something stands there, and was complained of */
};

/* One word or a list of them. */
struct flow_list {
    struct flow_value *items;
    size_t count;
};

/* Named things, in the order of the file. */
struct flow_map {
    void *items; /* an array of structs that begin with a struct flow_value, their name */
    size_t count;
};

/* A type of event. */
struct flow_event {
    struct flow_value name;
    struct flow_value topic;
    struct flow_value key;        /* the field of its data that is the record's key */
    struct flow_value partitions; /* of its topic, when it is made */
};

struct flow_retry {
    struct flow_value attempts; /* calls in all, the first one included */
    struct flow_value backoff;  /* before the second; doubles from then on, with full jitter */
    struct flow_value max;      /* no pause is longer */
};

struct flow_circuit {
    struct flow_value failures; /* in a row; or */
    struct flow_value failure_rate;
    struct flow_value window; /* of so many calls */
    struct flow_value open;   /* for so long */
    struct flow_value probes; /* calls that are let through then */
};

/* What happens when a call fails; a handler's own part of it outranks its policy's. */
struct flow_policy {
    struct flow_value name;
    struct flow_value timeout;
    struct flow_retry *retry;     /* NULL: absent */
    struct flow_circuit *circuit; /* NULL: absent */
};

struct flow_dead_letter {
    struct flow_value topic;
    struct flow_value hold_key;
};

struct flow_batch {
    struct flow_value events;
    struct flow_value wait;
};

struct flow_in_flight {
    struct flow_value events;
    struct flow_value bytes;
};

struct flow_tls {
    struct flow_value ca;
    struct flow_value certificate;
    struct flow_value key;
};

/* A call's time where neither the handler nor its policy says. */
#define FLOW_TIMEOUT_MS 10000

enum flow_mode { FLOW_MODE_BINARY, FLOW_MODE_STRUCTURED };

/* How a handler is called: one of call, exec and library. */
struct flow_way {
    struct flow_value call;    /* a URL */
    struct flow_value exec;    /* a command */
    struct flow_value library; /* a shared object */
    struct flow_value function;
    struct flow_value mode; /* enum flow_mode */
    struct flow_value bearer;
    struct flow_tls *tls;
    struct flow_batch *batch;
};

enum flow_guarantee { FLOW_EXACTLY_ONCE, FLOW_AT_LEAST_ONCE };

enum flow_order { FLOW_ORDER_KEY, FLOW_ORDER_PARTITION, FLOW_ORDER_NONE };

struct flow_handler {
    struct flow_value name;
    struct flow_list handles; /* names of events */
    struct flow_value where;  /* an SQL expression over the event */
    struct flow_way way;
    struct flow_list emits;      /* names of events */
    struct flow_value order;     /* enum flow_order */
    struct flow_value guarantee; /* enum flow_guarantee */
    struct flow_value concurrency;
    struct flow_in_flight *in_flight;
    struct flow_value rate;   /* a minute */
    struct flow_value policy; /* a policy's name */
    struct flow_value timeout;
    struct flow_retry *retry;
    struct flow_circuit *circuit;
    struct flow_value inbox;
    struct flow_dead_letter *dead_letter;
    struct flow_value from;     /* ms since 1970, FLOW_FROM_EARLIEST, FLOW_FROM_LATEST */
    struct flow_value instance; /* static membership (KIP-345) */
};

#define FLOW_FROM_EARLIEST (-2) /* as ListOffsets has them */
#define FLOW_FROM_LATEST (-1)

struct flow {
    struct flow_value name;
    struct flow_map events;   /* struct flow_event */
    struct flow_map policies; /* struct flow_policy */
    struct flow_map handlers; /* struct flow_handler */
    struct flow_value drain;  /* how long an end waits for calls */
};

/* Where ${NAME} and ${file:PATH} come from. */
struct flow_source {
    void *context;
    const char *(*variable)(void *context, const char *name); /* NULL: not set */
    /* The file's text without its last line end, in the arena; ERR_NO_MEMORY, ERR_NOT_FOUND ... */
    struct err (*file)(void *context, const char *path, struct arena *arena, struct span *text);
    bool may_lack; /* what is not set is a warning, and its value unknown */
};

/*
 * Reads a flow file and checks it whole. *flow: in the arena; to be used only where problems counts
 * no error. ERR_NO_MEMORY; else ERR_NONE, and problems, which begins as {0}, tells.
 */
MUST_USE struct err flow_read(struct span text, const struct flow_source *source,
                              struct arena *arena, struct flow_problems *problems,
                              struct flow **flow);

struct flow_event *flow_event_at(const struct flow *flow, size_t at);
struct flow_policy *flow_policy_at(const struct flow *flow, size_t at);
struct flow_handler *flow_handler_at(const struct flow *flow, size_t at);

/* By name; NULL: there is none. */
struct flow_event *flow_find_event(const struct flow *flow, const char *name);
struct flow_policy *flow_find_policy(const struct flow *flow, const char *name);

/* The consumer group of a handler, <flow>.<handler>, in the arena; NULL: no memory. */
const char *flow_group(const struct flow *flow, const struct flow_handler *handler,
                       struct arena *arena);

/* The topic of a handler's dead letters, in the arena: the one it names, or <topic>.dlq of its
 * first event's. NULL: no memory. */
const char *flow_dead_letter_topic(const struct flow *flow, const struct flow_handler *handler,
                                   struct arena *arena);

#endif
