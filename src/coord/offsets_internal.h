/*
 * offsets_internal: a group's committed offsets as data, for the files offsets*.c and group_log.c.
 *
 * Everything here is guarded by the coordinator's lock.
 */
#ifndef HEADRACE_COORD_OFFSETS_INTERNAL_H
#define HEADRACE_COORD_OFFSETS_INTERNAL_H

#include "coord/coord_internal.h"

/* What one commit says of one partition. */
struct committed_value {
    int64_t offset; /* -1: none yet */
    int32_t leader_epoch;
    struct span metadata; /* owned by the struct committed it is part of; else borrowed */
    int64_t commit_ms;
    int64_t expire_ms;  /* wall clock; -1: offsets.retention.minutes decides */
    int64_t record_end; /* where its record ends in the log: a later one outdoes it */
};

/* What a group has committed for one partition: an entry of group->offsets. */
struct committed {
    struct span key; /* owned: topic, then the partition's 4 bytes */
    struct committed_value shown;
    struct committed_value latest;
    int64_t latest_end;  /* 0: latest says nothing, shown is all there is */
    struct span staged;  /* owned: metadata of a commit about to be appended */
    struct list pending; /* struct pending_offset: commits of transactions not yet ended */
};

/* One offset committed in a transaction that has not ended. */
struct pending_offset {
    struct list in_committed;
    struct list in_transaction;
    struct group *group;
    struct committed *committed;
    const struct offsets_transaction *transaction;
    struct committed_value value; /* metadata is owned */
};

/* A producer's transaction as far as one partition of the offsets topic is concerned. */
struct offsets_transaction {
    uint8_t key[12];     /* partition and producer id: see offsets_transaction.c */
    struct list offsets; /* struct pending_offset */
};

/* Both borrow from the entry. */
struct span committed_topic(const struct committed *committed);
int32_t committed_partition(const struct committed *committed);

/* The entry, or NULL where there is none. */
struct committed *offsets_find(const struct group *group, struct span topic, int32_t partition);

/* As offsets_find, but makes an entry without a value where there is none. ERR_NO_MEMORY. */
MUST_USE struct err offsets_find_or_make(struct group *group, struct span topic, int32_t partition,
                                         struct committed **out);

/* Takes the entry out of the group and frees it. */
void offsets_remove(struct group *group, struct committed *committed);

/* Lets the latest value count where it has become durable. Call before reading `shown`. */
void offsets_settle(const struct group *group, struct committed *committed);

/* Sets the latest value, durable at end_offset of the group's partition; takes its metadata. */
void offsets_set_latest(const struct group *group, struct committed *committed,
                        struct committed_value value, int64_t end_offset);

/* Whether the entry says anything: if not, it can be removed. */
bool offsets_is_empty(const struct committed *committed);

/* offsets_transaction.c */
/* The producer's transaction on that partition, made where it is missing. ERR_NO_MEMORY. */
MUST_USE struct err offsets_transaction_begin(struct coord *coord, int32_t partition_index,
                                              int64_t producer_id,
                                              struct offsets_transaction **out);

/* A commit that is about to be appended; metadata is copied. ERR_NO_MEMORY. */
MUST_USE struct err pending_offset_create(struct group *group, struct committed *committed,
                                          const struct committed_value *value,
                                          struct pending_offset **out);

/* Frees it, wherever it is listed. */
void pending_offset_destroy(struct pending_offset *pending);

/* Takes over appended commits (linked by in_transaction), outdoing earlier ones of the same
 * transaction. */
void offsets_transaction_take(struct offsets_transaction *transaction, struct list *appended,
                              int64_t record_end);

/* The transaction has ended, its marker is at end_offset - 1: its commits count, or go. */
void offsets_transaction_end(struct coord *coord, int32_t partition_index, int64_t producer_id,
                             bool is_commit, int64_t end_offset);

/* Frees all of them, the groups being gone. */
void offsets_transactions_clear(struct coord *coord);

/* group_log.c */
/* Adds the record of a commit; value's metadata is borrowed during the call. Needs no lock. */
MUST_USE struct err group_log_add_offset(struct span group_id, const struct topic *topic,
                                         int32_t partition, const struct committed_value *value,
                                         struct internal_batch *batch);

#endif
