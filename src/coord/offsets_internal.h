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
    int64_t expire_ms; /* wall clock; -1: offsets.retention.minutes decides */
};

/* What a group has committed for one partition: an entry of group->offsets. */
struct committed {
    struct span key; /* owned: topic, then the partition's 4 bytes */
    struct committed_value shown;
    struct committed_value latest;
    int64_t latest_end; /* 0: latest says nothing, shown is all there is */
    struct span staged; /* owned: metadata of a commit about to be appended */
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

/* group_log.c */
/* Adds the record of a commit; value's metadata is borrowed during the call. Needs no lock. */
MUST_USE struct err group_log_add_offset(struct span group_id, const struct topic *topic,
                                         int32_t partition, const struct committed_value *value,
                                         struct internal_batch *batch);

#endif
