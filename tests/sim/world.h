/*
 * world: a whole server in one thread, and all that is around it: a disk that forgets, a clock that
 * is told the time, sockets in memory, and a history of what its clients saw.
 *
 * Everything is drawn from one seed. The real storage, broker, coordinators, APIs and reactor run;
 * their threads are steps that world_turn drives. While the disk syncs, the server goes on serving,
 * as its threads would.
 *
 *     world_create -> { world_turn ... world_restart } ... -> world_destroy
 *
 * The history is JSON lines in the form that tests/oracle/oracle.py describes.
 */
#ifndef HEADRACE_TESTS_SIM_WORLD_H
#define HEADRACE_TESTS_SIM_WORLD_H

#include "support/server_fixture.h"

/* The topic that all write to, and the partitions of it. */
#define WORLD_TOPIC "events"
#define WORLD_PARTITION_COUNT 4

#define SESSION_MS_MIN 6000 /* the least that a broker takes */

#define WORLD_LINK_COUNT_MAX 16

struct link;

/* How a life ends. */
enum world_fate {
    FATE_POWER,   /* the power goes out at some sync */
    FATE_SYNC,    /* a sync fails; the machine is switched off later */
    FATE_WRITE,   /* a write finds the disk full, once; the process is killed later */
    FATE_KILL,    /* the process is killed, the machine lives */
    FATE_RESTART, /* it ends as it should */
    FATE_COUNT,
};

struct world {
    struct server_fixture server;
    uint64_t seed;
    uint64_t random;
    FILE *history;
    int64_t line_count;  /* of the history so far */
    const char *speaker; /* the client whose turn it is */
    struct link *links[WORLD_LINK_COUNT_MAX];
    uint32_t link_count;
    uint32_t reset_chance;   /* of each link at each turn, in 10,000 */
    uint32_t memory_chance;  /* of each step of the server, in 10,000, to be refused memory once */
    int32_t partition_count; /* so many of the topic are written to */
    int32_t session_ms;      /* of the group's members */
    int64_t ends[WORLD_PARTITION_COUNT]; /* as the auditor has found them; 0 before */
    bool is_peaceful; /* no faults, no delays, and clients finish what they are at */
    bool is_serving;  /* the reactor is being stepped */
};

/* A server on an empty disk with its topics, configured as the seed wills. history: the caller's,
 * open as long as the world. */
struct world *world_create(uint64_t seed, FILE *history);
void world_destroy(struct world *world);

uint32_t world_draw(struct world *world, uint32_t below);
bool world_has_chance(struct world *world, uint32_t in_10000);
int64_t world_now_ms(const struct world *world);

/* Something of the server's threads happens, or of the network, or time passes. */
void world_turn(struct world *world);

/* Readies the fault that is to end this life. */
void world_arm(struct world *world, enum world_fate fate);

/* Whether the server cannot go on: the power is out, or its disk has failed. */
bool world_is_over(const struct world *world);

/* The life ends as it must, and the next begins; all connections are lost. */
void world_restart(struct world *world, enum world_fate fate);

/* From here on nothing fails. */
void world_make_peace(struct world *world);

/* Writes one line; the fields are JSON without the braces. */
void world_note(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);

/* The seed has failed: says why and how to run it again, and ends the process. */
_Noreturn void world_fail(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
