/*
 * sim: a broker on a disk in memory, clients that ask things of it, and a model of what they were
 * told: the oracle.
 *
 * Everything is drawn from one seed, by one thread. Others are played from within the disk's syncs:
 * while one is under way, a client's request or another flush step may come in between.
 *
 * What the oracle holds a recovered broker to (sim_check):
 *  1. A topic whose creation was answered, or that was shown, is there with its id, its partitions
 *     and configs not older than the last answered ones; one whose deletion was answered is gone.
 *  2. A partition ends at or above what was acknowledged, and at or above its high watermark as
 *     anyone saw it; it begins at or above the last answered DeleteRecords.
 *  3. Each offset holds the record that was written there; offsets have no gaps.
 *  4. A batch that an idempotent producer sends again is known where it survived, at its offset,
 * and taken where it did not; no record is ever stored twice.
 *  5. Within a run neither the high watermark nor the start goes back.
 *  6. The store has the logs that the topics have, and no others.
 */
#ifndef HEADRACE_TESTS_SIM_SIM_H
#define HEADRACE_TESTS_SIM_SIM_H

#include "support/broker_fixture.h"

/* Of every topic; the n-th change of its configs adds n. */
#define SIM_RETENTION_MS 400000

#define SLOT_COUNT 3
#define PARTITION_COUNT_MAX 3
#define PRODUCER_COUNT 2
#define RECORD_COUNT_MAX 512
#define IN_FLIGHT_COUNT_MAX 4 /* fewer than PRODUCER_BATCH_COUNT: a duplicate is always known */
#define PROMISE_COUNT_MAX 512

/* A record's value begins with this. */
struct sim_value {
    uint32_t producer;
    int32_t sequence;
};

/* A batch sent and not acknowledged. */
struct sim_batch {
    int32_t sequence;
    int32_t count;
    int64_t base_offset;
};

struct sim_producer {
    int32_t sequence_next;
    struct sim_batch in_flight[IN_FLIGHT_COUNT_MAX]; /* oldest first */
    uint32_t in_flight_count;
};

struct sim_partition {
    struct sim_value records[RECORD_COUNT_MAX];
    int64_t end;            /* appended */
    int64_t acknowledged;   /* below it, by answers */
    int64_t shown;          /* the highest high watermark that was seen */
    int64_t start_shown;    /* the highest start offset that was seen */
    int64_t start_answered; /* by DeleteRecords */
    struct sim_producer producers[PRODUCER_COUNT];
};

/* A name that topics come and go under. */
struct sim_slot {
    char name[16];
    bool is_asked; /* there is, or may be, a topic */
    bool is_answered;
    bool is_deletion_asked;
    bool is_deletion_answered;
    struct uuid id;
    int32_t partitions_asked;
    int32_t partitions_answered;
    int64_t config_asked; /* the n-th change of retention.ms */
    int64_t config_answered;
    struct sim_partition partitions[PARTITION_COUNT_MAX];
};

enum sim_promise_kind {
    SIM_CREATION,
    SIM_PARTITIONS,
    SIM_CONFIG,
    SIM_RECORDS,
    SIM_START,
    SIM_DELETION,
};

/* A request that waits for its answer. */
struct sim_promise {
    struct partition_waiter waiter;
    struct ticket_waiter ticket;
    struct deletion_observer observer;
    struct sim *sim;
    enum sim_promise_kind kind;
    struct sim_slot *slot;
    struct uuid id; /* of the topic that it was asked of */
    int32_t partition;
    int64_t value; /* what becomes true */
};

struct sim {
    struct broker_fixture fixture;
    uint64_t random;
    int64_t producer_ids[PRODUCER_COUNT];
    struct sim_slot slots[SLOT_COUNT];
    struct sim_promise promises[PROMISE_COUNT_MAX]; /* of one run, in order */
    uint32_t promise_count;
    bool is_nested; /* within a sync */
};

/* A new disk and an open broker with producer ids. */
struct sim *sim_create(uint64_t seed);
void sim_destroy(struct sim *sim);

uint32_t sim_draw(struct sim *sim, uint32_t below);

/* One request or one step of the server's threads, as the seed wills. */
void sim_act(struct sim *sim);

/* Steps until all is durable that can be. */
void sim_settle(struct sim *sim);

/* The machine dies and starts again; may die once more while it recovers. */
void sim_crash(struct sim *sim);

/* The process ends cleanly and starts again. */
void sim_restart(struct sim *sim);

/* Holds a broker that has just been opened against the model, and makes the model what it found. */
void sim_check(struct sim *sim);

/* Sends again what was in flight. */
void sim_resend(struct sim *sim);

/* Appends a batch; *result says what became of it. */
void sim_append(struct sim *sim, struct partition *partition, uint32_t producer,
                const struct sim_batch *batch, struct append_result *result);

/* Writes down what anyone can see now, which may not go back. */
void sim_look(struct sim *sim);

#endif
