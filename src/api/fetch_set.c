/* fetch_set: entries, their watches, and reading what is there. */
#include "api/fetch_set.h"

#include <stdlib.h>

#include "api/error_map.h"
#include "base/check.h"
#include "base/limits.h"

void fetch_set_init(struct fetch_set *set, struct broker *broker)
{
    *set = (struct fetch_set){.broker = broker};
    list_init(&set->entries);
    list_init(&set->dirty);
    map_init(&set->by_key, random_u64(broker->os->random));
    os_mutex_init(&set->lock);
}

/* The longest key: a topic's name and a partition. Longer names are no topic's. */
#define KEY_SIZE_MAX (TOPIC_NAME_SIZE_MAX + 4)

static struct span key_make(uint8_t bytes[KEY_SIZE_MAX], struct span topic, int32_t partition)
{
    size_t size = topic.size < TOPIC_NAME_SIZE_MAX ? topic.size : TOPIC_NAME_SIZE_MAX;
    if (size != 0)
        memcpy(bytes, topic.data, size);
    memcpy(bytes + size, &partition, sizeof partition);
    return span_make(bytes, size + sizeof partition);
}

static struct span key_of(const struct fetch_set *set, uint8_t bytes[KEY_SIZE_MAX],
                          struct span name, struct uuid *id, int32_t partition)
{
    struct span topic = set->uses_ids ? span_make(id->bytes, sizeof id->bytes) : name;
    return key_make(bytes, topic, partition);
}

struct span fetch_entry_name(const struct fetch_entry *entry)
{
    if (entry->set->uses_ids)
        return span_text("");
    return span_make(entry->key.data, entry->key.size - sizeof(int32_t));
}

static void entry_mark_dirty(struct fetch_entry *entry)
{
    os_mutex_lock(&entry->set->lock);
    if (list_is_empty(&entry->dirty))
        list_append(&entry->set->dirty, &entry->dirty);
    os_mutex_unlock(&entry->set->lock);
}

/* The partition has more to read. Under the partition's lock. */
static void entry_moved(struct partition_watch *watch, int64_t size)
{
    struct fetch_entry *entry = LIST_ENTRY(watch, struct fetch_entry, watch);
    struct fetch_set *set = entry->set;
    struct request *woken = NULL;
    os_mutex_lock(&set->lock);
    if (list_is_empty(&entry->dirty))
        list_append(&set->dirty, &entry->dirty);
    bool is_closed = size == 0;
    set->arrived_size = is_closed ? INT64_MAX / 2 : set->arrived_size + size;
    if (set->waiting != NULL && (is_closed || set->arrived_size >= set->needed_size)) {
        woken = set->waiting;
        set->waiting = NULL;
    }
    os_mutex_unlock(&set->lock);
    if (woken != NULL)
        request_wake(woken);
}

static void key_free(struct span *key)
{
    free(span_writable(*key));
    *key = SPAN_NULL;
}

static void entry_detach(struct fetch_entry *entry)
{
    if (entry->partition != NULL)
        partition_unwatch(entry->partition, &entry->watch);
    topic_unref(entry->topic);
    entry->topic = NULL;
    entry->partition = NULL;
}

/* Finds the entry's partition, where it exists, and watches it. */
static void entry_attach(struct fetch_entry *entry)
{
    struct broker *broker = entry->set->broker;
    entry->topic = entry->set->uses_ids ? broker_find_topic_by_id(broker, entry->topic_id)
                                        : broker_find_topic(broker, fetch_entry_name(entry));
    if (entry->topic == NULL)
        return;
    entry->partition = topic_partition(entry->topic, entry->asked.partition);
    entry->watch.is_committed_only = entry->set->is_committed_only;
    if (entry->partition != NULL)
        partition_watch(entry->partition, &entry->watch);
}

void fetch_set_isolate(struct fetch_set *set, bool is_committed_only)
{
    if (set->is_committed_only == is_committed_only)
        return;
    set->is_committed_only = is_committed_only;
    LIST_EACH (&set->entries, link) {
        struct fetch_entry *entry = LIST_ENTRY(link, struct fetch_entry, order);
        entry_detach(entry);
        entry_attach(entry);
        entry_mark_dirty(entry);
    }
}

static void entry_destroy(struct fetch_entry *entry)
{
    entry_detach(entry);
    list_remove(&entry->order);
    os_mutex_lock(&entry->set->lock);
    list_remove(&entry->dirty);
    os_mutex_unlock(&entry->set->lock);
    if (map_get(&entry->set->by_key, entry->key) == entry)
        (void)map_remove(&entry->set->by_key, entry->key);
    key_free(&entry->key);
    free(entry);
}

void fetch_set_deinit(struct fetch_set *set)
{
    CHECK(set->waiting == NULL);
    while (!list_is_empty(&set->entries))
        entry_destroy(LIST_ENTRY(set->entries.next, struct fetch_entry, order));
    map_deinit(&set->by_key);
    os_mutex_deinit(&set->lock);
}

/* Makes an entry that is not yet dirty. */
static struct err entry_create(struct fetch_set *set, struct span key, struct uuid topic_id,
                               const struct fetch_request_partition *asked)
{
    struct fetch_entry *entry = calloc(1, sizeof *entry);
    uint8_t *copy = malloc(key.size);
    if (entry == NULL || copy == NULL) {
        free(entry);
        free(copy);
        return err_make(ERR_NO_MEMORY);
    }
    memcpy(copy, key.data, key.size);
    *entry = (struct fetch_entry){
        .set = set,
        .key = span_make(copy, key.size),
        .topic_id = topic_id,
        .watch = {.moved = entry_moved},
        .asked = *asked,
        .told_watermark = -1,
        .told_start = -1,
        .slice = LOG_SLICE_EMPTY,
    };
    list_init(&entry->watch.link);
    list_init(&entry->dirty);
    struct err err = map_put(&set->by_key, entry->key, entry);
    if (err_failed(err)) {
        free(copy);
        free(entry);
        return err;
    }
    list_append(&set->entries, &entry->order);
    entry_attach(entry);
    return ERR_NONE;
}

struct err fetch_set_put(struct fetch_set *set, const struct fetch_request_topic *topic,
                         const struct fetch_request_partition *partition)
{
    uint8_t bytes[KEY_SIZE_MAX];
    struct uuid id = topic->topic_id;
    struct span key = key_of(set, bytes, topic->topic, &id, partition->partition);
    struct fetch_entry *entry = map_get(&set->by_key, key);
    if (entry == NULL) {
        TRY(entry_create(set, key, id, partition));
        entry = map_get(&set->by_key, key);
        CHECK(entry != NULL);
    }
    entry->asked = *partition;
    entry_mark_dirty(entry);
    return ERR_NONE;
}

void fetch_set_forget(struct fetch_set *set, struct span name, struct uuid topic_id,
                      int32_t partition)
{
    uint8_t bytes[KEY_SIZE_MAX];
    struct fetch_entry *entry =
        map_get(&set->by_key, key_of(set, bytes, name, &topic_id, partition));
    if (entry != NULL)
        entry_destroy(entry);
}

/* Kafka's order: what is known of the topic, then epochs, then offsets. */
static int16_t check_entry(struct fetch_entry *entry)
{
    if (entry->partition == NULL || atomic_load(&entry->topic->is_deleted)) {
        entry_detach(entry);
        entry_attach(entry); /* it may have been made meanwhile */
    }
    if (entry->partition == NULL)
        return entry->set->uses_ids && entry->topic == NULL ? KAFKA_UNKNOWN_TOPIC_ID
                                                            : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    return error_map_epoch(entry->asked.current_leader_epoch,
                           store_leader_epoch(entry->partition->store));
}

/* Whether the asker's log and ours part ways before its position (KIP-595 in clients' fetches). */
static bool check_diverging(struct fetch_entry *entry)
{
    if (entry->asked.last_fetched_epoch < 0)
        return false;
    int32_t epoch;
    int64_t end_offset;
    log_epoch_end(entry->partition->log, entry->asked.last_fetched_epoch, &epoch, &end_offset);
    bool is_diverging =
        epoch < entry->asked.last_fetched_epoch || end_offset < entry->asked.fetch_offset;
    if (is_diverging) {
        entry->answer.diverging_epoch.epoch = epoch;
        entry->answer.diverging_epoch.end_offset = end_offset;
    }
    return is_diverging;
}

/* Tells which of the slice's records were aborted. */
static struct err fill_aborted(struct fetch_entry *entry, struct arena *arena)
{
    struct fetch_response_partition *answer = &entry->answer;
    struct aborted_transaction *found;
    size_t count;
    TRY(partition_collect_aborted(entry->partition, entry->slice.base_offset,
                                  entry->slice.end_offset, arena, &found, &count));
    answer->aborted_transactions =
        arena_alloc_array(arena, count, sizeof *answer->aborted_transactions);
    if (answer->aborted_transactions == NULL)
        return err_make(ERR_NO_MEMORY);
    answer->aborted_transactions_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        answer->aborted_transactions[i] = (struct fetch_response_aborted_transaction){
            .producer_id = found[i].producer_id, .first_offset = found[i].first_offset};
    }
    return ERR_NONE;
}

/*
 * Reads the slice and, for readers of committed records, what of it was aborted. Compaction removes
 * aborted records and then forgets that they were: a slice that still has some must not be answered
 * with a list that has them no more.
 */
static struct err read_slice(struct fetch_entry *entry, const struct log_read *read,
                             const struct fetch_limits *limits, struct arena *arena)
{
    struct log *log = entry->partition->log;
    for (unsigned i = 0; i < READ_RETRY_COUNT_MAX; i++) {
        uint64_t compaction_count = log_compaction_count(log);
        TRY(log_read(log, read, &entry->slice, NULL));
        if (!limits->is_committed_only || entry->slice.size == 0)
            return ERR_NONE;
        struct err err = fill_aborted(entry, arena);
        if (!err_failed(err) && log_compaction_count(log) == compaction_count)
            return ERR_NONE;
        slice_unref(&entry->slice);
        TRY(err);
    }
    return err_make(ERR_AGAIN);
}

/* Reads one partition into the entry's answer and slice. */
static void entry_read(struct fetch_entry *entry, const struct fetch_limits *limits,
                       int64_t size_left, struct arena *arena, bool is_first)
{
    struct fetch_response_partition *answer = &entry->answer;
    fetch_response_partition_init(answer);
    answer->partition_index = entry->asked.partition;
    answer->high_watermark = -1;
    answer->records.bytes = span_text("");
    answer->aborted_transactions_count = limits->is_committed_only ? 0 : -1;
    answer->error_code = check_entry(entry);
    if (answer->error_code != KAFKA_NONE)
        return;
    struct partition_offsets offsets;
    partition_read_offsets(entry->partition, &offsets);
    answer->high_watermark = offsets.high_watermark;
    answer->last_stable_offset = offsets.stable;
    answer->log_start_offset = offsets.start;
    if (check_diverging(entry))
        return;
    int64_t size_max = entry->asked.partition_max_bytes;
    size_max = size_max < size_left ? size_max : size_left;
    struct log_read read = {
        .offset = entry->asked.fetch_offset,
        .offset_below = limits->is_committed_only ? offsets.stable : offsets.high_watermark,
        .size_max = size_max > 0 ? (size_t)size_max : 0,
        .is_one_needed = is_first,
    };
    struct err err = read_slice(entry, &read, limits, arena);
    if (err_failed(err)) {
        answer->error_code = error_map_partition(err);
        answer->high_watermark = err_is(err, ERR_RANGE) ? -1 : offsets.high_watermark;
        answer->last_stable_offset = -1;
        answer->log_start_offset = -1;
        answer->aborted_transactions_count = -1;
    }
}

/* Whether the answer needs the entry: an incremental one leaves out what is as it was told. */
static bool entry_has_news(const struct fetch_entry *entry, const struct fetch_limits *limits)
{
    const struct fetch_response_partition *answer = &entry->answer;
    bool is_told = entry->slice.size != 0 || answer->error_code != KAFKA_NONE ||
                   answer->diverging_epoch.epoch >= 0 ||
                   answer->high_watermark != entry->told_watermark ||
                   answer->log_start_offset != entry->told_start;
    return is_told || !limits->is_incremental;
}

/* Whether there was more to read than found room, so that no watch will tell of it again. */
static bool entry_has_more(const struct fetch_entry *entry, const struct fetch_limits *limits)
{
    int64_t end =
        limits->is_committed_only ? entry->answer.last_stable_offset : entry->answer.high_watermark;
    return end > entry->asked.fetch_offset;
}

/* Takes the dirty entries off their list, in order. */
static struct err take_dirty(struct fetch_set *set, struct arena *arena,
                             struct fetch_entry ***entries, size_t *count)
{
    struct fetch_entry **taken =
        arena_alloc_array(arena, set->by_key.count, sizeof(struct fetch_entry *));
    if (taken == NULL)
        return err_make(ERR_NO_MEMORY);
    *count = 0;
    os_mutex_lock(&set->lock);
    set->arrived_size = 0;
    for (struct list *link = list_pop(&set->dirty); link != NULL; link = list_pop(&set->dirty))
        taken[(*count)++] = LIST_ENTRY(link, struct fetch_entry, dirty);
    os_mutex_unlock(&set->lock);
    *entries = taken;
    return ERR_NONE;
}

struct err fetch_set_read(struct fetch_set *set, const struct fetch_limits *limits,
                          struct arena *arena, struct fetch_found *found)
{
    struct fetch_entry **entries;
    size_t count;
    *found = (struct fetch_found){0};
    TRY(take_dirty(set, arena, &entries, &count));
    found->entries = entries; /* those found are moved to the front */
    for (size_t i = 0; i < count; i++) {
        struct fetch_entry *entry = entries[i];
        entry_read(entry, limits, limits->size_max - found->size, arena, found->size == 0);
        if (!entry_has_news(entry, limits)) {
            if (entry_has_more(entry, limits))
                entry_mark_dirty(entry);
            continue;
        }
        found->has_error = found->has_error || entry->answer.error_code != KAFKA_NONE ||
                           entry->answer.diverging_epoch.epoch >= 0;
        found->size += (int64_t)entry->slice.size;
        found->entries[found->count++] = entry;
    }
    /* To be looked at again: who has data goes to the end of the line, so that all get their turn.
     */
    for (size_t i = 0; i < found->count; i++) {
        if (found->entries[i]->slice.size == 0)
            entry_mark_dirty(found->entries[i]);
    }
    for (size_t i = 0; i < found->count; i++)
        entry_mark_dirty(found->entries[i]);
    return ERR_NONE;
}

void fetch_found_drop(struct fetch_found *found)
{
    for (size_t i = 0; i < found->count; i++)
        slice_unref(&found->entries[i]->slice);
    found->count = 0;
}

bool fetch_set_wait(struct fetch_set *set, struct request *request, int64_t size)
{
    os_mutex_lock(&set->lock);
    bool is_there = set->arrived_size >= size;
    if (!is_there) {
        set->needed_size = size;
        set->waiting = request;
    }
    os_mutex_unlock(&set->lock);
    return !is_there;
}

bool fetch_set_stop_waiting(struct fetch_set *set)
{
    os_mutex_lock(&set->lock);
    bool is_mine = set->waiting != NULL;
    set->waiting = NULL;
    os_mutex_unlock(&set->lock);
    return is_mine;
}
