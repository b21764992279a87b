/*
 * fetch_set: the partitions of one fetch, and the wait for news of them.
 *
 * Each entry watches its partition. An entry is *dirty* when its partition has news, when it is new
 * or changed, or when it had something to tell last time; only dirty entries are looked at, so a
 * session of 10,000 idle partitions costs nothing.
 *
 *     fetch_set_read looks at the dirty entries -> enough bytes? answer : fetch_set_wait
 *     a watch tells of new bytes -> entry dirty, needed bytes less -> at zero the request is woken
 *
 * Locks: `lock` is a leaf, taken under a partition's lock by the watch. The rest belongs to the one
 * request that uses the set.
 */
#ifndef HEADRACE_API_FETCH_SET_H
#define HEADRACE_API_FETCH_SET_H

#include "api/request.h"
#include "base/map.h"
#include "broker/broker.h"
#include "wire/fetch.h"

struct fetch_entry {
    struct list order; /* in the set, in the order of fetching */
    struct list dirty; /* in the set's dirty list, under the lock */
    struct fetch_set *set;
    struct partition_watch watch;
    struct topic *topic;         /* a reference; NULL: unknown */
    struct partition *partition; /* NULL: unknown */
    struct span key;             /* owned: the topic's name or id, then the partition's 4 bytes */
    struct uuid topic_id;        /* zero where the client named the topic */
    struct fetch_request_partition asked;
    int64_t told_watermark; /* what the client was told last; -1: nothing */
    int64_t told_start;
    struct log_slice slice; /* between read and answer */
    struct fetch_response_partition answer;
};

struct fetch_set {
    struct broker *broker;
    struct list entries;
    struct map by_key;
    struct os_mutex lock;
    struct list dirty;       /* under the lock */
    int64_t arrived_size;    /* under the lock: bytes since the last read began */
    int64_t needed_size;     /* under the lock, while waiting */
    struct request *waiting; /* under the lock: to be woken, once */
    bool uses_ids;           /* Fetch v13 and later */
    bool is_committed_only;  /* what the watches tell of: see fetch_set_isolate */
};

void fetch_set_init(struct fetch_set *set, struct broker *broker);

/* Stops watching and frees the entries. Nobody waits. */
void fetch_set_deinit(struct fetch_set *set);

/* Adds a partition, or takes in its new position. It becomes dirty. ERR_NO_MEMORY. */
MUST_USE struct err fetch_set_put(struct fetch_set *set, const struct fetch_request_topic *topic,
                                  const struct fetch_request_partition *partition);

/* Whether the asker reads committed records only: its waits are for those. Nobody waits. */
void fetch_set_isolate(struct fetch_set *set, bool is_committed_only);

/* Forgets a partition; harmless where it is not in the set. */
void fetch_set_forget(struct fetch_set *set, struct span name, struct uuid topic_id,
                      int32_t partition);

/* The topic's name, empty where the client named an id. Lives as long as the entry. */
struct span fetch_entry_name(const struct fetch_entry *entry);

struct fetch_limits {
    int64_t size_max;    /* of all records */
    bool is_incremental; /* leave out what has nothing new */
    bool is_committed_only;
};

/* What a read found: entries to answer, in order. In arena memory. */
struct fetch_found {
    struct fetch_entry **entries;
    size_t count;
    int64_t size;   /* of their records */
    bool has_error; /* answer at once */
};

/*
 * Reads the dirty entries. Each entry found holds its answer, with a slice that the caller passes
 * on or gives back with fetch_found_drop.
 */
MUST_USE struct err fetch_set_read(struct fetch_set *set, const struct fetch_limits *limits,
                                   struct arena *arena, struct fetch_found *found);
void fetch_found_drop(struct fetch_found *found);

/*
 * Wakes the request when size more bytes have come. False: they have come already since the last
 * read began; nobody is woken.
 */
MUST_USE bool fetch_set_wait(struct fetch_set *set, struct request *request, int64_t size);

/* Ends a wait early. True: the caller shall wake the request; false: somebody else has. */
MUST_USE bool fetch_set_stop_waiting(struct fetch_set *set);

#endif
