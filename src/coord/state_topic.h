/*
 * state_topic: an internal topic that holds a coordinator's state, and how far it is loaded.
 *
 * A key (a group's name, a transactional id) belongs to one partition by its hash. The topic is
 * made when the first one asks for its coordinator; what was there at the start is loaded partition
 * by partition, and until that is done the keys of a partition are not served.
 *
 * Under its coordinator's lock, but for state_topic_prepare, which is called without: a topic is
 * never made under that lock. Once is_ready is set, all but `loads` stays as it is.
 */
#ifndef HEADRACE_COORD_STATE_TOPIC_H
#define HEADRACE_COORD_STATE_TOPIC_H

#include "broker/broker.h"

/* How often a partition is loaded in vain before its keys stay unserved until the next start: with
 * a second between, as serve waits, more than a shortage of memory usually lasts. */
#define LOAD_TRY_COUNT_MAX 10

enum load_state { LOAD_WAITING, LOAD_RUNNING, LOAD_DONE, LOAD_FAILED };

/* One partition. */
struct state_load {
    enum load_state state;
    uint32_t failure_count;
};

/* Which topic: its name, and the configs that say how it is made. */
struct state_topic_kind {
    const char *name;
    enum config_id partition_count;
    enum config_id segment_size;
};

struct state_topic {
    struct broker *broker;
    const struct state_topic_kind *kind;
    struct os_mutex making; /* one makes the topic */
    atomic_bool is_ready;
    struct topic *topic;      /* a reference, or NULL while nobody needed it */
    struct state_load *loads; /* by partition */
    int32_t partition_count;
};

/* Begins with the topic where it exists; all of it is then still to be loaded. ERR_NO_MEMORY. */
MUST_USE struct err state_topic_init(struct state_topic *state, struct broker *broker,
                                     const struct state_topic_kind *kind);
void state_topic_deinit(struct state_topic *state);

/*
 * Makes the topic where it is missing, compacted as Kafka does. ERR_AGAIN: it is being made; ask
 * again once the metadata log is durable up to *commit (else untouched). Other errors:
 * admin_create_topic's. Any thread, without the coordinator's lock.
 */
MUST_USE struct err state_topic_prepare(struct state_topic *state, int64_t *commit,
                                        struct diag *diag);

/* The partition of a key: KAFKA_NONE, or Kafka's code where it is not served: not available (also
 * where the topic is not made), or loading. */
int16_t state_topic_locate(const struct state_topic *state, struct span key, int32_t *index);

/* The partition of that number, which exists. */
struct partition *state_topic_partition(const struct state_topic *state, int32_t index);

/* The next partition to be loaded, which is now said to be loading; false where there is none. */
bool state_topic_begin_load(struct state_topic *state, int32_t *index);

/* Says how that went. What is damaged is not loaded again; after any other error it is, unless that
 * was the last time. */
void state_topic_end_load(struct state_topic *state, int32_t index, struct err err);

/* Whether nothing is left to be loaded. */
bool state_topic_is_loaded(const struct state_topic *state);

#endif
