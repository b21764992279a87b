/* topic: life and growth of a topic. */
#include "broker/topic.h"

#include <stdlib.h>

#include "base/check.h"

struct err topic_create(struct span name, struct uuid id, bool is_internal,
                        const struct partition *records, struct topic **out)
{
    CHECK(name.size != 0 && name.size <= TOPIC_NAME_SIZE_MAX);
    struct topic *topic = calloc(1, sizeof *topic);
    uint8_t *copy = malloc(name.size);
    if (topic == NULL || copy == NULL) {
        free(topic);
        free(copy);
        return err_make(ERR_NO_MEMORY);
    }
    memcpy(copy, name.data, name.size);
    topic->magic = TOPIC_MAGIC;
    atomic_init(&topic->reference_count, 1);
    topic->name = span_make(copy, name.size);
    topic->id = id;
    topic->is_internal = is_internal;
    topic->records = records;
    topic->unreleased_count = 1; /* itself, so that the last of its partitions frees it */
    list_init(&topic->changes);
    os_mutex_init(&topic->lock);
    topic_overrides_init(&topic->overrides);
    *out = topic;
    return ERR_NONE;
}

void topic_ref(struct topic *topic)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    int before = atomic_fetch_add(&topic->reference_count, 1);
    CHECK(before > 0);
}

/* Frees a topic whose partitions are all gone. */
static void topic_free(struct topic *topic)
{
    free(span_writable(topic->name));
    free(topic->partitions);
    for (struct list *link = list_pop(&topic->changes); link != NULL;
         link = list_pop(&topic->changes))
        topic_change_destroy(LIST_ENTRY(link, struct topic_change, link));
    topic_overrides_deinit(&topic->overrides);
    os_mutex_deinit(&topic->lock);
    topic->magic = 0;
    free(topic);
}

void topic_unref(struct topic *topic)
{
    if (topic == NULL)
        return;
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    if (atomic_fetch_sub(&topic->reference_count, 1) != 1)
        return;
    for (int32_t i = 0; i < topic->partition_count; i++)
        log_unref(topic->partitions[i]->log);
    topic_partition_released(topic, NULL);
}

void topic_partition_released(struct topic *topic, struct partition *partition)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    partition_destroy(partition);
    os_mutex_lock(&topic->lock);
    int32_t left = --topic->unreleased_count;
    os_mutex_unlock(&topic->lock);
    CHECK(left >= 0);
    if (left == 0)
        topic_free(topic);
}

struct err topic_grow(struct topic *topic, int32_t count, struct store *store,
                      const struct os_clock *clock, struct diag *diag)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    struct partition **bigger = calloc((size_t)count, sizeof(struct partition *));
    if (bigger == NULL)
        return err_make(ERR_NO_MEMORY);
    os_mutex_lock(&topic->lock);
    struct partition **old = topic->partitions;
    struct log_config config = topic->settings.log;
    for (int32_t i = 0; i < topic->partition_count; i++)
        bigger[i] = old[i];
    topic->partitions = bigger;
    os_mutex_unlock(&topic->lock);
    free(old);
    struct err err = ERR_NONE;
    for (int32_t i = topic->partition_count; i < count && !err_failed(err); i++) {
        struct partition_setup setup = {
            .topic = topic, .index = i, .store = store, .clock = clock, .config = &config};
        struct partition *made;
        err = partition_create(&setup, &made, diag);
        if (err_failed(err))
            break;
        os_mutex_lock(&topic->lock);
        topic->partitions[topic->partition_count++] = made;
        topic->unreleased_count++;
        os_mutex_unlock(&topic->lock);
    }
    return err;
}

void topic_note_record(struct topic *topic, int64_t commit)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    os_mutex_lock(&topic->lock);
    for (int32_t i = topic->partition_count; i > 0; i--) {
        if (topic->partitions[i - 1]->recorded_at != PARTITION_UNRECORDED)
            break;
        topic->partitions[i - 1]->recorded_at = commit;
    }
    os_mutex_unlock(&topic->lock);
}

void topic_shrink(struct topic *topic, int32_t count)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    while (topic->partition_count > count) {
        os_mutex_lock(&topic->lock);
        struct partition *partition = topic->partitions[--topic->partition_count];
        os_mutex_unlock(&topic->lock);
        CHECK(partition->recorded_at == PARTITION_UNRECORDED);
        /* Nobody has written to it: without files the store has nothing to do that could fail. */
        uint64_t ticket;
        struct err err = store_delete_log(partition->store, partition->log, &ticket, NULL);
        CHECK(!err_failed(err));
        log_unref(partition->log);
    }
}

/* Locked. */
static void settings_apply(struct topic *topic, const struct topic_settings *settings)
{
    topic->settings = *settings;
    for (int32_t i = 0; i < topic->partition_count; i++)
        log_configure(topic->partitions[i]->log, &settings->log);
}

void topic_configure(struct topic *topic, struct topic_overrides *overrides,
                     const struct config *config)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    struct topic_settings settings;
    os_mutex_lock(&topic->lock);
    topic_overrides_deinit(&topic->overrides);
    topic->overrides = *overrides;
    topic_overrides_init(overrides);
    topic_settings_resolve(&topic->overrides, config, &settings);
    settings_apply(topic, &settings);
    os_mutex_unlock(&topic->lock);
}

struct err topic_change_create(struct topic_overrides *overrides, const struct config *config,
                               struct topic_change **out)
{
    struct topic_change *change = calloc(1, sizeof *change);
    if (change == NULL)
        return err_make(ERR_NO_MEMORY);
    list_init(&change->link);
    change->overrides = *overrides;
    topic_overrides_init(overrides);
    topic_settings_resolve(&change->overrides, config, &change->settings);
    *out = change;
    return ERR_NONE;
}

void topic_change_destroy(struct topic_change *change)
{
    if (change == NULL)
        return;
    topic_overrides_deinit(&change->overrides);
    free(change);
}

void topic_add_change(struct topic *topic, struct topic_change *change)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    os_mutex_lock(&topic->lock);
    list_append(&topic->changes, &change->link);
    os_mutex_unlock(&topic->lock);
}

/* Up to where changes are recorded for good. */
static int64_t recorded_offset(const struct topic *topic)
{
    return topic->records == NULL ? INT64_MAX : partition_high_watermark(topic->records);
}

/* Makes the topic what its durable records say. Locked. */
static void settle_locked(struct topic *topic)
{
    if (topic->partition_shown_count == topic->partition_count && list_is_empty(&topic->changes))
        return;
    int64_t recorded = recorded_offset(topic);
    while (topic->partition_shown_count < topic->partition_count &&
           topic->partitions[topic->partition_shown_count]->recorded_at <= recorded)
        topic->partition_shown_count++;
    while (!list_is_empty(&topic->changes)) {
        struct topic_change *change = LIST_ENTRY(topic->changes.next, struct topic_change, link);
        if (change->commit > recorded)
            break;
        list_remove(&change->link);
        struct topic_overrides before = topic->overrides;
        topic->overrides = change->overrides;
        change->overrides = before;
        settings_apply(topic, &change->settings);
        topic_change_destroy(change);
    }
}

void topic_settle(struct topic *topic)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    os_mutex_lock(&topic->lock);
    settle_locked(topic);
    os_mutex_unlock(&topic->lock);
}

struct partition *topic_partition(struct topic *topic, int32_t index)
{
    CHECK_MAGIC(topic, TOPIC_MAGIC);
    os_mutex_lock(&topic->lock);
    settle_locked(topic);
    struct partition *partition =
        index >= 0 && index < topic->partition_shown_count ? topic->partitions[index] : NULL;
    os_mutex_unlock(&topic->lock);
    return partition;
}

int32_t topic_partition_count(struct topic *topic)
{
    os_mutex_lock(&topic->lock);
    settle_locked(topic);
    int32_t count = topic->partition_shown_count;
    os_mutex_unlock(&topic->lock);
    return count;
}

int32_t topic_recorded_count(struct topic *topic)
{
    os_mutex_lock(&topic->lock);
    int32_t count = topic->partition_count;
    while (count > 0 && topic->partitions[count - 1]->recorded_at == PARTITION_UNRECORDED)
        count--;
    os_mutex_unlock(&topic->lock);
    return count;
}

bool topic_is_shown(struct topic *topic)
{
    return topic_partition_count(topic) > 0;
}

struct topic_settings topic_read_settings(struct topic *topic)
{
    os_mutex_lock(&topic->lock);
    settle_locked(topic);
    struct topic_settings settings = topic->settings;
    os_mutex_unlock(&topic->lock);
    return settings;
}

struct err topic_read_overrides(struct topic *topic, struct topic_overrides *out)
{
    os_mutex_lock(&topic->lock);
    settle_locked(topic);
    struct err err = topic_overrides_copy(&topic->overrides, out);
    os_mutex_unlock(&topic->lock);
    return err;
}

struct err topic_read_recorded(struct topic *topic, struct topic_overrides *out)
{
    os_mutex_lock(&topic->lock);
    const struct topic_overrides *last = &topic->overrides;
    if (!list_is_empty(&topic->changes))
        last = &LIST_ENTRY(topic->changes.prev, struct topic_change, link)->overrides;
    struct err err = topic_overrides_copy(last, out);
    os_mutex_unlock(&topic->lock);
    return err;
}

static bool is_name_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

struct err topic_check_name(struct span name, struct diag *diag)
{
    if (name.size == 0)
        return diag_fail(diag, ERR_INVALID,
                         "Topic name is invalid: the empty string is not allowed");
    if (span_equal_text(name, ".") || span_equal_text(name, ".."))
        return diag_fail(diag, ERR_INVALID, "Topic name is invalid: '.' or '..' is not allowed");
    if (name.size > TOPIC_NAME_SIZE_MAX)
        return diag_fail(diag, ERR_INVALID,
                         "Topic name is invalid: the length of '%.*s' is longer than the max "
                         "allowed length %d",
                         SPAN_ARGS(name), TOPIC_NAME_SIZE_MAX);
    for (size_t i = 0; i < name.size; i++) {
        if (!is_name_byte(name.data[i]))
            return diag_fail(diag, ERR_INVALID,
                             "Topic name is invalid: '%.*s' contains one or more characters "
                             "other than ASCII alphanumerics, '.', '_' and '-'",
                             SPAN_ARGS(name));
    }
    return ERR_NONE;
}

bool topic_name_is_internal(struct span name)
{
    return span_equal_text(name, TOPIC_OFFSETS) || span_equal_text(name, TOPIC_TRANSACTIONS) ||
           span_equal_text(name, TOPIC_METADATA);
}

bool topic_names_collide(struct span a, struct span b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        uint8_t left = a.data[i] == '.' ? '_' : a.data[i];
        uint8_t right = b.data[i] == '.' ? '_' : b.data[i];
        if (left != right)
            return false;
    }
    return true;
}
