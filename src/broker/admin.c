/* admin: check, record, apply; files are deleted only once the record of it is durable. */
#include "broker/admin.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "broker/metadata_log.h"

/* Producer ids recorded at a time, as Kafka's blocks: a restart wastes at most so many. */
#define PRODUCER_ID_BLOCK_SIZE 1000

/* Begins and ends a change; before it the table is what the log says. */
static void changes_lock(struct broker *broker)
{
    os_mutex_lock(&broker->admin_lock);
    metadata_snapshot_step(broker);
}

static void changes_unlock(struct broker *broker)
{
    os_mutex_unlock(&broker->admin_lock);
}

bool admin_wait(struct broker *broker, int64_t commit, struct partition_waiter *waiter,
                struct err *err)
{
    waiter->offset = commit;
    return partition_wait(metadata_log_partition(broker), waiter, err);
}

/* A deletion that waits until it is recorded, then until the logs are gone. */
struct deletion {
    struct list link; /* in the broker's list */
    struct partition_waiter waiter;
    struct broker *broker;
    struct topic *topic; /* the table's reference */
    struct deletion_observer *observer;
    bool is_stuck; /* recorded, but a log could not be deleted: to be tried again */
};

/* Whether a topic of that name still has its files, as its deletion may yet be undone by a crash.
 */
static bool is_being_deleted(struct broker *broker, struct span name)
{
    bool is_found = false;
    os_mutex_lock(&broker->table_lock);
    LIST_EACH (&broker->deletions, link)
        is_found =
            is_found || span_equal(LIST_ENTRY(link, struct deletion, link)->topic->name, name);
    os_mutex_unlock(&broker->table_lock);
    return is_found;
}

static struct err check_collision(struct broker *broker, struct span name, struct diag *diag)
{
    struct err err = ERR_NONE;
    os_mutex_lock(&broker->table_lock);
    size_t position = 0;
    const struct map_entry *entry;
    while (!err_failed(err) && (entry = map_next(&broker->by_name, &position)) != NULL) {
        if (topic_names_collide(name, entry->key))
            err = diag_fail(diag, ERR_INVALID, "Topic '%.*s' collides with existing topics: %.*s",
                            SPAN_ARGS(name), SPAN_ARGS(entry->key));
    }
    os_mutex_unlock(&broker->table_lock);
    return err;
}

struct err admin_check_create(struct broker *broker, const struct admin_create *create,
                              struct diag *diag)
{
    TRY(topic_check_name(create->name, diag));
    if (topic_name_is_internal(create->name) && !create->is_internal)
        return diag_fail(diag, ERR_INVALID,
                         "Topic '%.*s' is internal: the broker makes it when it needs it.",
                         SPAN_ARGS(create->name));
    struct topic *existing = broker_peek_topic(broker, create->name);
    if (existing != NULL) {
        topic_unref(existing);
        return diag_fail(diag, ERR_EXISTS, "Topic '%.*s' already exists.", SPAN_ARGS(create->name));
    }
    if (is_being_deleted(broker, create->name))
        return diag_fail(diag, ERR_EXISTS, "Topic '%.*s' is marked for deletion.",
                         SPAN_ARGS(create->name));
    if (create->partition_count > TOPIC_PARTITION_COUNT_MAX)
        return diag_fail(diag, ERR_LIMIT, "%d partitions are more than the %d a topic may have",
                         create->partition_count, TOPIC_PARTITION_COUNT_MAX);
    CHECK(create->partition_count > 0);
    bool may_collide = memchr(create->name.data, '.', create->name.size) != NULL ||
                       memchr(create->name.data, '_', create->name.size) != NULL;
    return may_collide ? check_collision(broker, create->name, diag) : ERR_NONE;
}

/* Records a topic whose partitions are open, in the table already: after the record nothing may
 * fail. */
static struct err publish(struct broker *broker, struct topic *topic, int64_t *commit,
                          struct diag *diag)
{
    TRY(broker_put_topic(broker, topic));
    struct err err = metadata_log_created(broker, topic, topic->partition_count, commit, diag);
    if (err_failed(err)) {
        const struct topic *taken = broker_take_topic(broker, topic->id);
        CHECK(taken == topic);
        return err;
    }
    topic_note_record(topic, *commit);
    return ERR_NONE;
}

static struct err create_locked(struct broker *broker, struct admin_create *create,
                                struct topic **out, int64_t *commit, struct diag *diag)
{
    TRY(admin_check_create(broker, create, diag));
    uint8_t random[16];
    random_fill(broker->os->random, random, sizeof random);
    struct topic *topic;
    TRY(topic_create(create->name, uuid_from_random(random), create->is_internal,
                     metadata_log_partition(broker), &topic));
    topic->created_ms = clock_wall_ms(broker->os->clock);
    topic_configure(topic, create->overrides, broker->config);
    struct err err =
        topic_grow(topic, create->partition_count, broker->store, broker->os->clock, diag);
    if (!err_failed(err))
        err = publish(broker, topic, commit, diag);
    if (err_failed(err)) {
        topic_shrink(topic, 0);
        topic_unref(topic);
        return err;
    }
    topic_ref(topic);
    *out = topic;
    return ERR_NONE;
}

struct err admin_create_topic(struct broker *broker, struct admin_create *create,
                              struct topic **out, int64_t *commit, struct diag *diag)
{
    CHECK_MAGIC(broker, BROKER_MAGIC);
    changes_lock(broker);
    struct err err = create_locked(broker, create, out, commit, diag);
    if (err_is(err, ERR_EXISTS))
        *commit = log_end_offset(metadata_log_partition(broker)->log);
    changes_unlock(broker);
    topic_overrides_deinit(create->overrides);
    return err;
}

/* Deletes the topic's logs, so that others of their names may be made. Where that fails, those that
 * are left are deleted another time. */
static struct err delete_logs(const struct deletion *deletion)
{
    const struct topic *topic = deletion->topic;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        uint64_t ticket;
        struct err err =
            store_delete_log(deletion->broker->store, topic->partitions[i]->log, &ticket, NULL);
        if (err_failed(err) && !err_is(err, ERR_CLOSED)) /* closed: deleted the last time */
            return err;
    }
    return store_sync_names(deletion->broker->store, NULL);
}

/* Frees the name. */
static void deletion_end(struct deletion *deletion)
{
    os_mutex_lock(&deletion->broker->table_lock);
    list_remove(&deletion->link);
    os_mutex_unlock(&deletion->broker->table_lock);
    topic_unref(deletion->topic);
    free(deletion);
}

/* Recorded, or the broker ends: then the next start drops the files (store_drop_unclaimed). */
static void deletion_done(struct partition_waiter *waiter, struct err recorded)
{
    struct deletion *deletion = LIST_ENTRY(waiter, struct deletion, waiter);
    struct deletion_observer *observer = deletion->observer;
    if (err_failed(recorded) || !err_failed(delete_logs(deletion))) {
        deletion_end(deletion);
    } else { /* a new log of the name would meet the old one's */
        os_mutex_lock(&deletion->broker->table_lock);
        deletion->is_stuck = true;
        os_mutex_unlock(&deletion->broker->table_lock);
    }
    if (observer != NULL)
        observer->done(observer, recorded);
}

/* The next deletion that is stuck, behind `last` or from the first on. */
static struct deletion *next_stuck(struct broker *broker, const struct deletion *last)
{
    struct deletion *found = NULL;
    bool is_behind = last == NULL;
    os_mutex_lock(&broker->table_lock);
    LIST_EACH (&broker->deletions, link) {
        struct deletion *deletion = LIST_ENTRY(link, struct deletion, link);
        if (is_behind && deletion->is_stuck && found == NULL)
            found = deletion;
        is_behind = is_behind || deletion == last;
    }
    os_mutex_unlock(&broker->table_lock);
    return found;
}

void admin_retry_deletions(struct broker *broker)
{
    struct deletion *deletion = next_stuck(broker, NULL);
    while (deletion != NULL) {
        struct deletion *next = next_stuck(broker, deletion);
        if (!err_failed(delete_logs(deletion)))
            deletion_end(deletion);
        deletion = next;
    }
}

void admin_forget_deletions(struct broker *broker)
{
    struct deletion *deletion;
    while ((deletion = next_stuck(broker, NULL)) != NULL)
        deletion_end(deletion);
}

static struct err delete_locked(struct broker *broker, struct topic *topic,
                                struct deletion *deletion, int64_t *commit, struct diag *diag)
{
    if (atomic_load(&topic->is_deleted))
        return err_make(ERR_NOT_FOUND);
    struct deletion_observer *observer = deletion->observer;
    TRY(metadata_log_deleted(broker, topic, commit, diag));
    atomic_store(&topic->is_deleted, true);
    struct topic *taken = broker_take_topic(broker, topic->id);
    CHECK(taken == topic);
    *deletion = (struct deletion){
        .waiter = {.done = deletion_done}, .broker = broker, .topic = topic, .observer = observer};
    os_mutex_lock(&broker->table_lock);
    list_append(&broker->deletions, &deletion->link);
    os_mutex_unlock(&broker->table_lock);
    return ERR_NONE;
}

struct err admin_delete_topic(struct broker *broker, struct topic *topic,
                              struct deletion_observer *observer, struct diag *diag)
{
    struct deletion *deletion = calloc(1, sizeof *deletion);
    if (deletion == NULL)
        return err_make(ERR_NO_MEMORY);
    int64_t commit;
    deletion->observer = observer;
    changes_lock(broker);
    struct err err = delete_locked(broker, topic, deletion, &commit, diag);
    changes_unlock(broker);
    if (err_failed(err)) {
        free(deletion);
        return err;
    }
    for (int32_t i = 0; i < topic->partition_count; i++)
        partition_close(topic->partitions[i]);
    struct err outcome;
    if (admin_wait(broker, commit, &deletion->waiter, &outcome))
        deletion_done(&deletion->waiter, outcome);
    return ERR_NONE;
}

struct err admin_check_partitions(struct topic *topic, int32_t count, struct diag *diag)
{
    if (atomic_load(&topic->is_deleted))
        return err_make(ERR_NOT_FOUND);
    int32_t present = topic->partition_count;
    if (count == present)
        return diag_fail(diag, ERR_INVALID, "Topic already has %d partition(s).", present);
    if (count < present)
        return diag_fail(diag, ERR_INVALID,
                         "The topic %.*s currently has %d partition(s); %d would not be an "
                         "increase.",
                         SPAN_ARGS(topic->name), present, count);
    if (count > TOPIC_PARTITION_COUNT_MAX)
        return diag_fail(diag, ERR_LIMIT, "%d partitions are more than the %d a topic may have",
                         count, TOPIC_PARTITION_COUNT_MAX);
    return ERR_NONE;
}

static struct err add_locked(struct broker *broker, struct topic *topic, int32_t count,
                             int64_t *commit, struct diag *diag)
{
    TRY(admin_check_partitions(topic, count, diag));
    int32_t present = topic->partition_count;
    struct err err = topic_grow(topic, count, broker->store, broker->os->clock, diag);
    if (!err_failed(err))
        err = metadata_log_raised(broker, topic, count, commit, diag);
    if (err_failed(err))
        topic_shrink(topic, present);
    else
        topic_note_record(topic, *commit);
    return err;
}

struct err admin_add_partitions(struct broker *broker, struct topic *topic, int32_t count,
                                int64_t *commit, struct diag *diag)
{
    changes_lock(broker);
    struct err err = add_locked(broker, topic, count, commit, diag);
    changes_unlock(broker);
    return err;
}

/* Lets a topic know when its changed configs are durable, even where nobody asks for them. */
struct config_waiter {
    struct partition_waiter waiter;
    struct topic *topic; /* a reference */
};

static void config_done(struct partition_waiter *waiter, struct err err)
{
    struct config_waiter *self = LIST_ENTRY(waiter, struct config_waiter, waiter);
    if (!err_failed(err))
        topic_settle(self->topic);
    topic_unref(self->topic);
    free(self);
}

/* What the edit makes of the recorded overrides, as a change. */
static struct err change_create(struct broker *broker, struct topic *topic, struct topic_edit *edit,
                                struct topic_change **out, struct diag *diag)
{
    struct topic_overrides overrides;
    TRY(topic_read_recorded(topic, &overrides));
    struct err err = edit->apply(edit, &overrides, diag);
    if (!err_failed(err))
        err = topic_change_create(&overrides, broker->config, out);
    topic_overrides_deinit(&overrides);
    return err;
}

/* Records the change. */
static struct err configure_locked(struct broker *broker, struct topic *topic,
                                   struct topic_edit *edit, int64_t *commit, struct diag *diag)
{
    if (atomic_load(&topic->is_deleted))
        return err_make(ERR_NOT_FOUND);
    struct topic_change *change;
    TRY(change_create(broker, topic, edit, &change, diag));
    struct err err = metadata_log_configured(broker, topic, &change->overrides, commit, diag);
    if (err_failed(err)) {
        topic_change_destroy(change);
        return err;
    }
    change->commit = *commit;
    topic_add_change(topic, change);
    return ERR_NONE;
}

struct err admin_configure_topic(struct broker *broker, struct topic *topic,
                                 struct topic_edit *edit, int64_t *commit, struct diag *diag)
{
    struct config_waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        return err_make(ERR_NO_MEMORY);
    changes_lock(broker);
    struct err err = configure_locked(broker, topic, edit, commit, diag);
    changes_unlock(broker);
    if (err_failed(err)) {
        free(waiter);
        return err;
    }
    topic_ref(topic);
    *waiter = (struct config_waiter){.waiter = {.done = config_done}, .topic = topic};
    struct err outcome;
    if (admin_wait(broker, *commit, &waiter->waiter, &outcome))
        config_done(&waiter->waiter, outcome);
    return ERR_NONE;
}

static struct err allocate_locked(struct broker *broker, int64_t *producer_id, struct diag *diag)
{
    if (broker->producer_id_next == broker->producer_id_end) {
        int64_t end = broker->producer_id_end + PRODUCER_ID_BLOCK_SIZE;
        TRY(metadata_log_producer_ids(broker, end, &broker->producer_id_commit, diag));
        broker->producer_id_end = end;
    }
    *producer_id = broker->producer_id_next++;
    return ERR_NONE;
}

struct err admin_allocate_producer_id(struct broker *broker, int64_t *producer_id, int64_t *commit,
                                      struct diag *diag)
{
    changes_lock(broker);
    struct err err = allocate_locked(broker, producer_id, diag);
    *commit = broker->producer_id_commit;
    changes_unlock(broker);
    return err;
}
