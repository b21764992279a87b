/* broker: start, end, and the table of topics. */
#include "broker/broker.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "broker/admin.h"
#include "broker/identity.h"
#include "broker/metadata_log.h"

static struct span id_key(const struct topic *topic)
{
    return span_make(topic->id.bytes, sizeof topic->id.bytes);
}

struct err broker_put_topic(struct broker *broker, struct topic *topic)
{
    os_mutex_lock(&broker->table_lock);
    struct err err = map_put(&broker->by_name, topic->name, topic);
    if (!err_failed(err)) {
        err = map_put(&broker->by_id, id_key(topic), topic);
        if (err_failed(err))
            (void)map_remove(&broker->by_name, topic->name);
    }
    broker->table_changes++;
    os_mutex_unlock(&broker->table_lock);
    return err;
}

struct topic *broker_take_topic(struct broker *broker, struct uuid id)
{
    os_mutex_lock(&broker->table_lock);
    struct topic *topic = map_remove(&broker->by_id, span_make(id.bytes, sizeof id.bytes));
    if (topic != NULL) {
        const void *named = map_remove(&broker->by_name, topic->name);
        CHECK(named == topic);
    }
    broker->table_changes++;
    os_mutex_unlock(&broker->table_lock);
    return topic;
}

static struct topic *table_peek(struct broker *broker, const struct map *map, struct span key)
{
    CHECK_MAGIC(broker, BROKER_MAGIC);
    os_mutex_lock(&broker->table_lock);
    struct topic *topic = map_get(map, key);
    if (topic != NULL)
        topic_ref(topic);
    os_mutex_unlock(&broker->table_lock);
    return topic;
}

struct topic *broker_peek_topic(struct broker *broker, struct span name)
{
    return table_peek(broker, &broker->by_name, name);
}

struct topic *broker_peek_topic_by_id(struct broker *broker, struct uuid id)
{
    return table_peek(broker, &broker->by_id, span_make(id.bytes, sizeof id.bytes));
}

/* The topic if it is shown, else NULL and the reference is given up. */
static struct topic *if_shown(struct topic *topic)
{
    if (topic == NULL || topic_is_shown(topic))
        return topic;
    topic_unref(topic);
    return NULL;
}

struct topic *broker_find_topic(struct broker *broker, struct span name)
{
    return if_shown(broker_peek_topic(broker, name));
}

struct topic *broker_find_topic_by_id(struct broker *broker, struct uuid id)
{
    return if_shown(broker_peek_topic_by_id(broker, id));
}

static int compare_names(const void *left, const void *right)
{
    struct topic *const *a = left;
    struct topic *const *b = right;
    return span_compare((*a)->name, (*b)->name);
}

struct err broker_peek_topics(struct broker *broker, struct arena *arena, struct topic_list *out)
{
    struct err err = ERR_NONE;
    struct topic_list list = {0};
    os_mutex_lock(&broker->table_lock);
    list.topics = arena_alloc_array(arena, broker->by_name.count, sizeof(struct topic *));
    size_t position = 0;
    const struct map_entry *entry;
    if (list.topics == NULL)
        err = err_make(ERR_NO_MEMORY);
    while (!err_failed(err) && (entry = map_next(&broker->by_name, &position)) != NULL) {
        topic_ref(entry->value);
        list.topics[list.count++] = entry->value;
    }
    os_mutex_unlock(&broker->table_lock);
    TRY(err);
    qsort(list.topics, list.count, sizeof(struct topic *), compare_names);
    *out = list;
    return ERR_NONE;
}

struct err broker_list_topics(struct broker *broker, struct arena *arena, struct topic_list *out)
{
    TRY(broker_peek_topics(broker, arena, out));
    size_t count = out->count;
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct topic *shown = if_shown(out->topics[i]);
        if (shown != NULL)
            out->topics[out->count++] = shown;
    }
    return ERR_NONE;
}

void topic_list_unref(struct topic_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        topic_unref(list->topics[i]);
    list->count = 0;
}

/* A round over all topics that needs no memory. */
struct visit {
    size_t position;
    uint64_t table_changes;
};

/* The next topic with a reference; NULL at the end. A change of the table moves its entries, so
 * that the round begins again: nobody is left out, some are visited twice. */
static struct topic *visit_next(struct broker *broker, struct visit *visit)
{
    os_mutex_lock(&broker->table_lock);
    if (visit->table_changes != broker->table_changes)
        *visit = (struct visit){.table_changes = broker->table_changes};
    const struct map_entry *entry = map_next(&broker->by_id, &visit->position);
    struct topic *topic = entry == NULL ? NULL : entry->value;
    if (topic != NULL)
        topic_ref(topic);
    os_mutex_unlock(&broker->table_lock);
    return topic;
}

static void visit_all(struct broker *broker, void (*call)(struct partition *, int64_t),
                      int64_t argument)
{
    struct visit visit = {0};
    struct topic *topic;
    while ((topic = visit_next(broker, &visit)) != NULL) {
        int32_t count = topic_partition_count(topic);
        for (int32_t index = 0; index < count; index++)
            call(topic_partition(topic, index), argument);
        topic_unref(topic);
    }
}

static void fail_waiters(struct partition *partition, int64_t unused)
{
    (void)unused;
    partition_fail_waiters(partition);
}

/* Makes the data folder and the folders above it that are missing. */
static struct err make_dirs(const struct os_files *files, const char *dir, struct diag *diag)
{
    char path[4096];
    size_t size = strlen(dir);
    if (size >= sizeof path)
        return diag_fail(diag, ERR_INVALID, "the data folder's path is too long");
    for (size_t i = 1; i <= size; i++) {
        if (dir[i] != '/' && dir[i] != '\0')
            continue;
        memcpy(path, dir, i);
        path[i] = '\0';
        struct err err = dir_make(files, path);
        if (err_failed(err) && !err_is(err, ERR_EXISTS))
            return diag_wrap(diag, err, "making the data folder %s", path);
    }
    return ERR_NONE;
}

static void on_dirty(void *context)
{
    const struct broker *broker = context;
    if (broker->events.dirty != NULL)
        broker->events.dirty(broker->events.context);
}

static void on_work(void *context)
{
    const struct broker *broker = context;
    if (broker->events.work != NULL)
        broker->events.work(broker->events.context);
}

static void on_report(void *context, const char *sentence)
{
    const struct broker *broker = context;
    if (broker->events.report != NULL)
        broker->events.report(broker->events.context, sentence);
}

/* Calls the waiters of all tickets up to this one. */
static void tickets_finish(struct broker *broker, uint64_t ticket, struct err err)
{
    struct list taken;
    list_init(&taken);
    os_mutex_lock(&broker->table_lock);
    LIST_EACH (&broker->ticket_waiters, link) {
        struct ticket_waiter *waiter = LIST_ENTRY(link, struct ticket_waiter, link);
        if (waiter->ticket > ticket)
            continue;
        waiter->is_taken = true;
        list_remove(link);
        list_append(&taken, link);
    }
    os_mutex_unlock(&broker->table_lock);
    for (struct list *link = list_pop(&taken); link != NULL; link = list_pop(&taken)) {
        struct ticket_waiter *waiter = LIST_ENTRY(link, struct ticket_waiter, link);
        waiter->done(waiter, err);
    }
}

static void on_ticket(void *context, uint64_t ticket)
{
    struct broker *broker = context;
    tickets_finish(broker, ticket, ERR_NONE);
    if (broker->events.ticket != NULL)
        broker->events.ticket(broker->events.context, ticket);
}

bool broker_wait_ticket(struct broker *broker, struct ticket_waiter *waiter, struct err *err)
{
    *err = ERR_NONE;
    os_mutex_lock(&broker->table_lock);
    list_append(&broker->ticket_waiters, &waiter->link);
    os_mutex_unlock(&broker->table_lock);
    bool is_offline = store_is_offline(broker->store);
    if (!is_offline && store_durable_ticket(broker->store) < waiter->ticket)
        return false;
    os_mutex_lock(&broker->table_lock);
    bool is_mine = !waiter->is_taken;
    if (is_mine)
        list_remove(&waiter->link);
    os_mutex_unlock(&broker->table_lock);
    if (is_mine && is_offline)
        *err = err_make(ERR_OFFLINE);
    return is_mine; /* else done was called, or is being called */
}

/* Nothing can be made durable any more: sends everyone who waits for that home. */
static void on_offline(void *context, const char *sentence)
{
    struct broker *broker = context;
    tickets_finish(broker, UINT64_MAX, err_make(ERR_OFFLINE));
    visit_all(broker, fail_waiters, 0);
    if (broker->events.offline != NULL)
        broker->events.offline(broker->events.context, sentence);
}

static struct err open_store(struct broker *broker, struct diag *diag)
{
    const struct config *config = broker->config;
    struct store_options options = STORE_OPTIONS_DEFAULT;
    options.dir = config_text(config, CONFIG_LOG_DIR);
    options.clock = broker->os->clock;
    options.files = broker->os->files;
    options.random = broker->os->random;
    options.events = (struct store_events){
        .context = broker,
        .dirty = on_dirty,
        .work = on_work,
        .ticket = on_ticket,
        .offline = on_offline,
        .report = on_report,
    };
    options.flush_by_os = strcmp(config_text(config, CONFIG_FLUSH), "os") == 0;
    options.open_file_count_max = (uint32_t)config_number(config, CONFIG_OPEN_FILES_MAX);
    options.retention_interval_ms = config_number(config, CONFIG_LOG_RETENTION_CHECK_INTERVAL_MS);
    options.compaction = (struct compaction_options){
        .is_off = config_number(config, CONFIG_LOG_CLEANER_ENABLE) == 0,
        .interval_ms = config_number(config, CONFIG_LOG_CLEANER_BACKOFF_MS),
        .map_size = config_number(config, CONFIG_LOG_CLEANER_DEDUPE_BUFFER_SIZE),
        .map_load = config_fraction(config, CONFIG_LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
        .rate_max = config_fraction(config, CONFIG_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND),
    };
    TRY(make_dirs(broker->os->files, options.dir, diag));
    return store_open(&options, &broker->store, diag);
}

static struct err flush_all(struct broker *broker, struct diag *diag)
{
    struct store_flush_result result = {.is_more = true};
    while (result.is_more)
        TRY(store_flush_step(broker->store, &result, diag));
    return result.is_short ? diag_fail(diag, ERR_LIMIT, "too few file descriptors, or memory")
                           : ERR_NONE;
}

/*
 * Makes what was recovered durable, so that high watermarks start at the log ends. That first: a
 * deletion that was recorded and not yet synced when the process died may still be taken back by a
 * power cut, and must not have cost the topic its files by then.
 */
static struct err settle(struct broker *broker, struct diag *diag)
{
    uint32_t dropped;
    TRY(flush_all(broker, diag));
    TRY(store_drop_unclaimed(broker->store, &dropped, diag));
    TRY(store_sync_tickets(broker->store, diag));
    TRY(flush_all(broker, diag));
    for (int step = 0; step < 2; step++) { /* perhaps one of a snapshot, and its end */
        metadata_snapshot_step(broker);
        TRY(flush_all(broker, diag));
    }
    return ERR_NONE;
}

static struct err start(struct broker *broker, struct diag *diag)
{
    TRY(open_store(broker, diag));
    TRY(identity_open(broker->os, broker->config, broker->cluster_id, diag));
    TRY(metadata_log_open(broker, diag));
    TRY(metadata_log_replay(broker, diag));
    return settle(broker, diag);
}

struct err broker_create(const struct broker_setup *setup, struct broker **out, struct diag *diag)
{
    struct broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL)
        return diag_fail(diag, ERR_NO_MEMORY, "no memory for a broker");
    *broker = (struct broker){
        .magic = BROKER_MAGIC,
        .os = setup->os,
        .config = setup->config,
        .listeners = setup->listeners,
        .events = setup->events,
    };
    list_init(&broker->ticket_waiters);
    list_init(&broker->deletions);
    os_mutex_init(&broker->admin_lock);
    os_mutex_init(&broker->table_lock);
    map_init(&broker->by_name, random_u64(setup->os->random));
    map_init(&broker->by_id, random_u64(setup->os->random));
    struct err err = start(broker, diag);
    if (err_failed(err)) {
        struct err ignored = broker_close(broker, false, NULL);
        (void)ignored;
        return err_is(err, ERR_NO_MEMORY) ? diag_wrap(diag, err, "cannot load the data folder")
                                          : err;
    }
    *out = broker;
    return ERR_NONE;
}

static void each_partition(struct broker *broker, void (*visit)(struct partition *partition))
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&broker->by_id, &position)) != NULL) {
        const struct topic *topic = entry->value;
        for (int32_t i = 0; i < topic->partition_count; i++)
            visit(topic->partitions[i]);
    }
}

void broker_stop(struct broker *broker)
{
    if (broker == NULL)
        return;
    CHECK_MAGIC(broker, BROKER_MAGIC);
    each_partition(broker, partition_close);
    tickets_finish(broker, UINT64_MAX, err_make(ERR_CLOSED));
}

struct err broker_close(struct broker *broker, bool is_clean, struct diag *diag)
{
    if (broker == NULL)
        return ERR_NONE;
    broker_stop(broker);
    struct err err = ERR_NONE;
    admin_forget_deletions(broker);
    topic_unref(broker->metadata);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&broker->by_id, &position)) != NULL)
        topic_unref(entry->value);
    map_deinit(&broker->by_name); /* before the last sync, whose failure visits all topics */
    map_deinit(&broker->by_id);
    broker->table_changes++;
    if (is_clean && broker->store != NULL)
        err = store_close(broker->store, diag);
    else
        store_abandon(broker->store);
    os_mutex_deinit(&broker->admin_lock);
    os_mutex_deinit(&broker->table_lock);
    broker->magic = 0;
    free(broker);
    return err;
}

void broker_background_step(struct broker *broker, int64_t now_ms)
{
    CHECK_MAGIC(broker, BROKER_MAGIC);
    if (now_ms < broker->step_due_ms)
        return;
    broker->step_due_ms = now_ms + BROKER_STEP_MS;
    admin_retry_deletions(broker);
    int64_t kept_ms = config_number(broker->config, CONFIG_PRODUCER_ID_EXPIRATION_MS);
    visit_all(broker, partition_expire_producers, now_ms - kept_ms);
}
