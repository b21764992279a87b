/*
 * broker: the table of topics over one store.
 *
 * Start: broker_create opens the store, replays the metadata log, opens every partition and drops
 * what nobody claims. End: broker_close, after all threads that serve have ended.
 */
#ifndef HEADRACE_BROKER_BROKER_H
#define HEADRACE_BROKER_BROKER_H

#include "base/map.h"
#include "broker/config.h"
#include "broker/listeners.h"
#include "broker/topic.h"

/* Someone who waits for a change of the store's manifest (a ticket) to be durable. */
struct ticket_waiter {
    struct list link;
    uint64_t ticket;
    bool is_taken; /* under table_lock: done is being called */
    /* Any thread, no lock held. ERR_OFFLINE when it will never be. */
    void (*done)(struct ticket_waiter *waiter, struct err err);
};

/* How long the metadata log has become, see metadata_snapshot.c. Under admin_lock. */
struct metadata_tail {
    int64_t record_count;    /* since the last snapshot began, or since ever */
    int64_t snapshot_offset; /* of the last snapshot's batch, while the log begins before it */
    int64_t snapshot_end;    /* durable there means that snapshot is; 0: none is waited for */
};

#define BROKER_MAGIC 0x42524f4bU /* "BROK" */

struct broker {
    uint32_t magic;
    const struct os *os;
    const struct config *config;
    const struct listeners *listeners; /* with the ports that were really bound */
    struct store *store;
    char cluster_id[UUID_TEXT_SIZE];
    struct os_mutex admin_lock; /* one change of topics at a time */
    struct os_mutex table_lock; /* guards the maps */
    struct map by_name;
    struct map by_id;
    uint64_t table_changes; /* under table_lock: how often the maps have changed */
    struct topic *metadata; /* of the metadata log; a reference */
    struct metadata_tail metadata_tail;
    int64_t producer_id_next;   /* under admin_lock: the next to be given out */
    int64_t producer_id_end;    /* under admin_lock: those below are recorded as given out */
    struct store_events events; /* the owner's; the store calls the broker first */
    struct list ticket_waiters; /* under table_lock */
    struct list deletions;      /* under table_lock: names not yet free, see admin.c */
    int64_t producer_id_commit; /* under admin_lock: where that record becomes durable */
    int64_t step_due_ms;        /* of broker_background_step; its thread's */
};

struct broker_setup {
    const struct os *os;
    const struct config *config;
    const struct listeners *listeners;
    struct store_events events; /* what the owner wants to hear of the store */
};

/*
 * Opens the data folder (making it where its parent exists), recovers and replays. All of setup
 * outlives the broker. Errors: store_open's, ERR_CORRUPT for a damaged metadata log; each with one
 * sentence.
 */
MUST_USE struct err broker_create(const struct broker_setup *setup, struct broker **out,
                                  struct diag *diag);

/*
 * Sends everyone who waits for durability home with ERR_CLOSED and refuses further appends, so that
 * who waits can be freed before the broker. No thread serves any more. NULL is taken and ignored.
 */
void broker_stop(struct broker *broker);

/*
 * Ends cleanly: closes all partitions, flushes, and frees. is_clean false leaves the data folder as
 * a crash would. NULL is taken and ignored. On an error everything is freed all the same.
 */
MUST_USE struct err broker_close(struct broker *broker, bool is_clean, struct diag *diag);

/* The topic with a new reference, or NULL; also NULL while its creation is not durable. Any
 * thread. */
struct topic *broker_find_topic(struct broker *broker, struct span name);
struct topic *broker_find_topic_by_id(struct broker *broker, struct uuid id);

/* The same, shown or not: for those who change topics, and for answers that wait for a change. */
struct topic *broker_peek_topic(struct broker *broker, struct span name);
struct topic *broker_peek_topic_by_id(struct broker *broker, struct uuid id);

/*
 * All topics that are shown, in order of name, each with a new reference, in arena memory.
 * ERR_NO_MEMORY: no references were taken.
 */
struct topic_list {
    struct topic **topics;
    size_t count;
};

MUST_USE struct err broker_list_topics(struct broker *broker, struct arena *arena,
                                       struct topic_list *out);
void topic_list_unref(struct topic_list *list);

/* The same of all, shown or not, as broker_peek_topic. */
MUST_USE struct err broker_peek_topics(struct broker *broker, struct arena *arena,
                                       struct topic_list *out);

/* Adds or takes away; for admin.c and metadata_log.c. Put takes over the caller's reference. */
MUST_USE struct err broker_put_topic(struct broker *broker, struct topic *topic);
struct topic *broker_take_topic(struct broker *broker, struct uuid id);

/*
 * Waits for a ticket. True: it is durable, or err says that it never will be; done is not called.
 * False: done will be called once, perhaps before this returns. Any thread.
 */
MUST_USE bool broker_wait_ticket(struct broker *broker, struct ticket_waiter *waiter,
                                 struct err *err);

/* Forgets idempotent producers that have been silent too long, and tries again to delete what could
 * not be deleted. Does nothing more often than once in BROKER_STEP_MS. One thread, now and then. */
void broker_background_step(struct broker *broker, int64_t now_ms);

#endif
