/*
 * link: a client's connection over a network that delays, cuts into pieces and breaks.
 *
 * What a client sends leaves in pieces and arrives at the server turns later; answers come back the
 * same way. A link breaks by chance, when the server closes it, and when the server dies: then all
 * that was on its way is gone, its client is told, and it connects again by itself.
 *
 * Answers come in the order of the requests; any other is a failure of the seed.
 */
#ifndef HEADRACE_TESTS_SIM_LINK_H
#define HEADRACE_TESTS_SIM_LINK_H

#include "sim/world.h"
#include "wire/api_table.h"

#define LINK_CALL_COUNT_MAX 32

/* A request that is not answered yet. */
struct call {
    enum api_key api;
    int16_t version;
    int32_t correlation;
    int64_t a; /* the client's own */
    int64_t b;
};

struct link {
    struct world *world;
    const char *name; /* of the client */
    int socket;       /* OS_SOCKET_NONE while there is no connection */
    struct buf leaving;
    struct buf coming;
    struct writer writer;
    struct frame_mark mark;
    struct arena arena; /* of the answer that is being told */
    struct call calls[LINK_CALL_COUNT_MAX];
    uint32_t call_count;
    int32_t correlation;
    /* The answer's body; what it and the link's arena hold lives until this returns. */
    void (*answer)(struct link *link, const struct call *call, struct reader *body);
    /* All calls are forgotten. */
    void (*lost)(struct link *link);
};

/* Makes the link one of the world's; the caller has set answer, lost and name, and keeps it until
 * link_deinit. */
void link_init(struct link *link, struct world *world);
void link_deinit(struct link *link);

/* Begins a request: the caller encodes its body and calls link_send. */
struct writer *link_begin(struct link *link, enum api_key api, int16_t version, int64_t a,
                          int64_t b);
void link_send(struct link *link);

/* Whether nothing is asked that was not answered. */
bool link_is_idle(const struct link *link);

/* Carries some bytes to the server, connects where it must, breaks by chance. */
void link_move(struct link *link);

/* Carries some bytes to the client and tells it of whole answers. */
void link_hear(struct link *link);

/* The connection is gone. */
void link_lose(struct link *link);

#endif
