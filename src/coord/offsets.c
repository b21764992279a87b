/*
 * offsets: how far a group has read each partition.
 *
 * A commit is appended to the offsets topic and shown to others once that is durable: `latest` is
 * what was appended last, `shown` the last that was durable before it. A reader that requires
 * stable offsets gets UNSTABLE_OFFSET_COMMIT while the two differ.
 *
 *   offsets_commit.c   a request's offsets become `latest`
 *   offsets_fetch.c    what is `shown` goes out
 *   offsets_delete.c   offsets go because somebody says so: a request, or their topic's end
 *   offsets_expire.c   offsets go because their time is over
 *   offsets_transaction.c   offsets of a transaction wait for its end, then become `latest`
 *
 * This file keeps the table of a group's offsets that they share, and fills it at a start.
 *
 * Invariant: latest_end is the log offset at which `latest` becomes durable; below the high
 * watermark of the offsets partition, latest is what counts.
 */
#include "coord/offsets_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "wire/records/offset_commit.h"

/* The longest key: a topic's name and a partition. */
#define KEY_SIZE_MAX (TOPIC_NAME_SIZE_MAX + 4)

static struct span key_make(uint8_t bytes[KEY_SIZE_MAX], struct span topic, int32_t partition)
{
    CHECK(topic.size <= TOPIC_NAME_SIZE_MAX);
    if (topic.size != 0)
        memcpy(bytes, topic.data, topic.size);
    memcpy(bytes + topic.size, &partition, sizeof partition);
    return span_make(bytes, topic.size + sizeof partition);
}

struct span committed_topic(const struct committed *committed)
{
    return span_make(committed->key.data, committed->key.size - sizeof(int32_t));
}

int32_t committed_partition(const struct committed *committed)
{
    int32_t partition;
    memcpy(&partition, committed->key.data + committed->key.size - sizeof partition,
           sizeof partition);
    return partition;
}

struct committed *offsets_find(const struct group *group, struct span topic, int32_t partition)
{
    uint8_t bytes[KEY_SIZE_MAX];
    if (topic.size > TOPIC_NAME_SIZE_MAX)
        return NULL;
    return map_get(&group->offsets, key_make(bytes, topic, partition));
}

static void committed_free(struct committed *committed)
{
    LIST_EACH (&committed->pending, link)
        pending_offset_destroy(LIST_ENTRY(link, struct pending_offset, in_committed));
    blob_free(&committed->key);
    blob_free(&committed->shown.metadata);
    blob_free(&committed->latest.metadata);
    blob_free(&committed->staged);
    free(committed);
}

void offsets_remove(struct group *group, struct committed *committed)
{
    const void *found = map_remove(&group->offsets, committed->key);
    CHECK(found == committed);
    committed_free(committed);
}

void offsets_clear(struct group *group)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->offsets, &position)) != NULL)
        committed_free(entry->value);
    map_deinit(&group->offsets);
}

struct err offsets_add_tombstones(struct group *group, struct internal_batch *batch)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->offsets, &position)) != NULL)
        TRY(group_log_add_offset_tombstone(group, committed_topic(entry->value),
                                           committed_partition(entry->value), batch));
    return ERR_NONE;
}

struct err offsets_find_or_make(struct group *group, struct span topic, int32_t partition,
                                struct committed **out)
{
    *out = offsets_find(group, topic, partition);
    if (*out != NULL)
        return ERR_NONE;
    uint8_t bytes[KEY_SIZE_MAX];
    struct committed *committed = calloc(1, sizeof *committed);
    if (committed == NULL)
        return err_make(ERR_NO_MEMORY);
    committed->shown.offset = -1;
    committed->latest.offset = -1;
    list_init(&committed->pending);
    struct err err = blob_copy(key_make(bytes, topic, partition), &committed->key);
    if (!err_failed(err))
        err = map_put(&group->offsets, committed->key, committed);
    if (err_failed(err)) {
        blob_free(&committed->key);
        free(committed);
        return err;
    }
    *out = committed;
    return ERR_NONE;
}

void offsets_settle(const struct group *group, struct committed *committed)
{
    if (committed->latest_end == 0)
        return;
    struct partition_offsets offsets;
    partition_read_offsets(coord_partition(group->coord, group->partition_index), &offsets);
    if (committed->latest_end > offsets.high_watermark)
        return;
    blob_free(&committed->shown.metadata);
    committed->shown = committed->latest;
    committed->latest = (struct committed_value){.offset = -1};
    committed->latest_end = 0;
}

void offsets_set_latest(const struct group *group, struct committed *committed,
                        struct committed_value value, int64_t end_offset)
{
    offsets_settle(group, committed);
    blob_free(&committed->latest.metadata);
    committed->latest = value;
    committed->latest_end = end_offset;
}

bool offsets_is_empty(const struct committed *committed)
{
    return committed->shown.offset < 0 && committed->latest_end == 0 &&
           list_is_empty(&committed->pending);
}

/* Whether the topic still is the one the offset was committed for; a zero id matches any. */
static bool topic_is_same(const struct coord *coord, struct span name, struct uuid id)
{
    struct topic *topic = broker_find_topic(coord->broker, name);
    bool is_same = topic != NULL && (uuid_is_zero(id) || uuid_equal(id, topic->id));
    topic_unref(topic);
    return is_same;
}

/* A commit in a transaction: it waits for the marker that comes later in the log. */
static struct err replay_pending(struct group *group, struct committed *committed,
                                 const struct committed_value *value, int64_t producer_id)
{
    struct offsets_transaction *transaction;
    struct pending_offset *pending;
    struct list taken;
    list_init(&taken);
    TRY(offsets_transaction_begin(group->coord, group->partition_index, producer_id, &transaction));
    TRY(pending_offset_create(group, committed, value, &pending));
    list_append(&taken, &pending->in_transaction);
    offsets_transaction_take(transaction, &taken, value->record_end);
    return ERR_NONE;
}

static struct err replay_value(struct group *group, struct span topic, int32_t partition,
                               const struct committed_value *value, int64_t producer_id)
{
    struct committed *committed;
    TRY(offsets_find_or_make(group, topic, partition, &committed));
    if (producer_id >= 0)
        return replay_pending(group, committed, value, producer_id);
    struct span metadata;
    TRY(blob_copy(value->metadata, &metadata));
    blob_free(&committed->shown.metadata);
    committed->shown = *value;
    committed->shown.metadata = metadata;
    return ERR_NONE;
}

struct err offsets_replay(struct group *group, struct span topic, int32_t partition,
                          const struct batch_header *header, const struct record *record)
{
    if (span_is_null(record->value)) {
        struct committed *gone = offsets_find(group, topic, partition);
        if (gone != NULL)
            offsets_remove(group, gone);
        return ERR_NONE;
    }
    struct offset_commit_value decoded;
    struct reader reader;
    struct arena arena;
    reader_init(&reader, record->value);
    arena_init(&arena, REQUEST_ARENA_SIZE_MAX);
    struct err err = offset_commit_value_unpack(&reader, &arena, &decoded);
    arena_deinit(&arena);
    TRY(err);
    if (!topic_is_same(group->coord, topic, decoded.topic_id))
        return ERR_NONE;
    struct committed_value value = {.offset = decoded.offset,
                                    .leader_epoch = decoded.leader_epoch,
                                    .metadata = decoded.metadata,
                                    .commit_ms = decoded.commit_timestamp,
                                    .expire_ms = decoded.expire_timestamp,
                                    .record_end = batch_last_offset(header) + 1};
    int64_t producer_id = batch_is_transactional(header) ? header->producer_id : -1;
    return replay_value(group, topic, partition, &value, producer_id);
}

void coord_visit_offsets(struct coord *coord, coord_visit visit, void *context)
{
    coord_lock(coord);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        const struct group *group = entry->value;
        size_t at = 0;
        const struct map_entry *place;
        while ((place = map_next(&group->offsets, &at)) != NULL) {
            struct committed *committed = place->value;
            offsets_settle(group, committed);
            if (committed->shown.offset >= 0)
                visit(context, group->id, committed_topic(committed),
                      committed_partition(committed), committed->shown.offset);
        }
    }
    coord_unlock(coord);
}
