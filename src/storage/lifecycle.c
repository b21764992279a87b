/* lifecycle: logs come, logs go, the store ends. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/compaction.h"

/* The directory's name: topic, dash, partition. ERR_INVALID where it would not be one name. */
static struct err make_name(const struct log_setup *setup, char name[STORE_NAME_SIZE_MAX + 1],
                            struct diag *diag)
{
    struct span topic = setup->topic;
    if (topic.size == 0 || topic.data[0] == '.' || memchr(topic.data, '/', topic.size) != NULL ||
        memchr(topic.data, 0, topic.size) != NULL || setup->partition < 0)
        return diag_fail(diag, ERR_INVALID, "\"%.*s\" cannot name a directory", SPAN_ARGS(topic));
    int size = topic.size > STORE_NAME_SIZE_MAX ? INT32_MAX
                                                : snprintf(name, STORE_NAME_SIZE_MAX + 1, "%.*s-%d",
                                                           SPAN_ARGS(topic), setup->partition);
    if (size > STORE_NAME_SIZE_MAX)
        return diag_fail(diag, ERR_LIMIT, "the directory of \"%.*s\" would have too long a name",
                         SPAN_ARGS(topic));
    return ERR_NONE;
}

/* Finds or makes the log and claims it: one reference for the caller. */
static struct err claim(struct store *store, const struct log_setup *setup, struct log **out,
                        struct diag *diag)
{
    char name[STORE_NAME_SIZE_MAX + 1];
    TRY(make_name(setup, name, diag));
    const struct log_id id = {.topic_id = setup->topic_id, .partition = setup->partition};
    struct log *log = names_find(store, &id);
    if (log == NULL) {
        struct err err = names_add(store, &id, span_text(name), &log);
        if (err_failed(err))
            return err_is(err, ERR_EXISTS) ? diag_fail(diag, ERR_EXISTS, "%s is open", name) : err;
        log_ref(log);
    }
    os_mutex_lock(&log->lock);
    bool is_free = log->state == LOG_UNCLAIMED;
    if (is_free) {
        log->state = LOG_OPEN;
        log->config = setup->config;
    }
    os_mutex_unlock(&log->lock);
    if (!is_free) {
        log_unref(log);
        return diag_fail(diag, ERR_EXISTS, "%s is open already", name);
    }
    *out = log;
    return ERR_NONE;
}

struct err store_open_log(struct store *store, const struct log_setup *setup, struct log **out,
                          struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    CHECK(setup->config.segment_size > 0 && setup->config.segment_size <= INT32_MAX);
    struct log *log;
    TRY(claim(store, setup, &log, diag));
    os_mutex_lock(&log->lock);
    struct err err = log_recover(log, &setup->visitor, diag);
    if (!err_failed(err)) {
        log->listener = setup->listener;
    } else if (log->segments.count == 0) {
        log->state = LOG_UNCLAIMED;
    } else {
        /* Half recovered: not to be used, and not to be dropped as unclaimed either. */
        log_quarantine(log, "%s: recovery failed", log->name);
    }
    os_mutex_unlock(&log->lock);
    store_tell(store);
    if (err_failed(err)) {
        log_unref(log);
        return diag_wrap(diag, err, "cannot recover %s", log->name);
    }
    *out = log;
    return ERR_NONE;
}

/* Marks the log as deleted in memory and in the manifest. Locked. */
static struct err mark_deleted(struct log *log, uint64_t *ticket, struct diag *diag)
{
    if (log->state == LOG_DELETED)
        return diag_fail(diag, ERR_CLOSED, "%s is deleted already", log->name);
    *ticket = 0;
    if (log->has_dir) {
        if (store_is_offline(log->store))
            return diag_fail(diag, ERR_OFFLINE, "%s is offline after a failed sync",
                             log->store->dir);
        const struct manifest_entry entry = {.kind = MANIFEST_DELETE, .id = log->id};
        struct err err = manifest_append(&log->store->manifest, &entry, ticket);
        if (err_failed(err))
            return diag_wrap(diag, err, "cannot write the manifest");
    }
    log->state = LOG_DELETED;
    /* Background work lets go of the log, and with it of its file, where it was waiting for a
     * checkpoint. */
    work_enqueue(log, WORK_URGENT);
    return ERR_NONE;
}

struct err store_delete_log(struct store *store, struct log *log, uint64_t *ticket,
                            struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    CHECK_MAGIC(log, LOG_MAGIC);
    uint64_t given = 0;
    os_mutex_lock(&log->lock);
    struct err err = mark_deleted(log, &given, diag);
    os_mutex_unlock(&log->lock);
    TRY(err);
    if (log->has_dir) {
        err = store_move_aside(store, log->name, given);
        /* Left in place it is in nobody's way: a log of that name moves it aside. */
        if (err_failed(err))
            store_report(store, "cannot rename %s/%s: %s", store->dir, log->name, err_text(err));
    }
    names_remove(store, log);
    *ticket = given;
    store_want_ticket(store, given);
    return ERR_NONE;
}

/* All logs as they are now, each with a reference. */
struct log_array {
    struct log **logs;
    uint32_t count;
};

static struct err collect_logs(struct store *store, struct log_array *out)
{
    struct store_names *names = &store->names;
    os_mutex_lock(&names->lock);
    out->count = names->count;
    out->logs = malloc((names->count + 1) * sizeof(struct log *));
    for (uint32_t i = 0; out->logs != NULL && i < names->count; i++) {
        out->logs[i] = names->logs[i];
        log_ref(out->logs[i]);
    }
    os_mutex_unlock(&names->lock);
    return out->logs == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

static void release_logs(struct log_array *array)
{
    for (uint32_t i = 0; i < array->count; i++)
        log_unref(array->logs[i]);
    free(array->logs);
}

struct err store_sync_names(struct store *store, struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    os_mutex_lock(&store->flush.lock);
    uint64_t change = store->flush.root_changes;
    os_mutex_unlock(&store->flush.lock);
    return store_sync_root(store, change, diag);
}

/* The directories that logs own, and what moving the others aside came to. */
struct orphan_search {
    struct store *store;
    struct map owned; /* name -> struct log */
};

/* Moves a directory aside that looks like a log's and is none's: a crash undid the renaming of a
 * deleted log's. */
static struct err find_orphan(void *context, const char *name, bool is_dir)
{
    const struct orphan_search *search = context;
    struct store *store = search->store;
    if (!is_dir || !store_is_log_name(name) || map_get(&search->owned, span_text(name)) != NULL)
        return ERR_NONE;
    struct err err = store_move_aside(store, name, 0);
    if (err_failed(err)) /* left in place: a log of that name moves it aside */
        store_report(store, "cannot rename %s/%s: %s", store->dir, name, err_text(err));
    return ERR_NONE;
}

static struct err drop_orphans(struct store *store)
{
    struct orphan_search search = {.store = store};
    struct log_array array;
    TRY(collect_logs(store, &array));
    map_init(&search.owned, random_u64(store->options.random));
    struct err err = ERR_NONE;
    for (uint32_t i = 0; i < array.count && !err_failed(err); i++) {
        if (array.logs[i]->has_dir)
            err = map_put(&search.owned, span_text(array.logs[i]->name), array.logs[i]);
    }
    if (!err_failed(err))
        err = dir_list(store->options.files, store->dir, find_orphan, &search);
    map_deinit(&search.owned);
    release_logs(&array);
    return err;
}

struct err store_drop_unclaimed(struct store *store, uint32_t *count, struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    struct log_array array;
    TRY(collect_logs(store, &array));
    struct err err = ERR_NONE;
    uint32_t dropped = 0;
    for (uint32_t i = 0; i < array.count && !err_failed(err); i++) {
        uint64_t ticket;
        if (array.logs[i]->state != LOG_UNCLAIMED)
            continue;
        err = store_delete_log(store, array.logs[i], &ticket, diag);
        dropped += !err_failed(err);
    }
    release_logs(&array);
    *count = dropped;
    TRY(err);
    if (!store->was_clean)
        TRY(diag_wrap(diag, drop_orphans(store), "cannot look for deleted logs in %s", store->dir));
    return store_sync_names(store, diag);
}

/* Every fact that still counts. A manifest_emit. */
static struct err emit_all(void *context, struct buf *out)
{
    struct store *store = context;
    struct log_array array;
    const struct manifest_entry entry = {.kind = MANIFEST_OPEN,
                                         .leader_epoch = store->leader_epoch};
    TRY(manifest_encode(&entry, out));
    TRY(collect_logs(store, &array));
    struct err err = ERR_NONE;
    for (uint32_t i = 0; i < array.count && !err_failed(err); i++) {
        os_mutex_lock(&array.logs[i]->lock);
        err = replay_emit_log(array.logs[i], out);
        os_mutex_unlock(&array.logs[i]->lock);
    }
    release_logs(&array);
    return err;
}

struct err store_rewrite_manifest(struct store *store, struct diag *diag)
{
    bool is_renamed;
    struct err err = manifest_rewrite(&store->manifest, emit_all, store, &is_renamed);
    if (err_failed(err) && is_renamed)
        return store_fail_sync(store, "the manifest", err, diag);
    if (err_failed(err))
        store_report(store, "the manifest is not rewritten: %s", err_text(err));
    else
        atomic_fetch_add(&store->counters.manifest_rewrite_count, 1);
    return err;
}

/* Marks logs dirty that have begun files and nothing in them: no append has done so. */
static struct err enqueue_unsynced_names(struct store *store)
{
    struct log_array array;
    TRY(collect_logs(store, &array));
    for (uint32_t i = 0; i < array.count; i++) {
        struct log *log = array.logs[i];
        os_mutex_lock(&log->lock);
        if (log->state == LOG_OPEN && log->damage == NULL && log->flush.is_dir_unsynced)
            flush_enqueue(log);
        os_mutex_unlock(&log->lock);
    }
    release_logs(&array);
    return ERR_NONE;
}

/* Flushes until nothing is dirty. */
static struct err flush_all(struct store *store, struct diag *diag)
{
    struct store_flush_result result;
    TRY(enqueue_unsynced_names(store));
    do
        TRY(store_flush_step(store, &result, diag));
    while (result.is_more && result.log_count != 0);
    return ERR_NONE;
}

/* Checkpoints every log. A quarantined one makes the end an unclean one: it wants another look. */
static struct err checkpoint_all(struct store *store, struct diag *diag)
{
    struct log_array array;
    TRY(collect_logs(store, &array));
    struct err err = store_checkpoint_together(store, array.logs, array.count, diag);
    for (uint32_t i = 0; i < array.count && !err_failed(err); i++) {
        if (array.logs[i]->damage != NULL)
            err = diag_fail(diag, ERR_CORRUPT, "%s is quarantined", array.logs[i]->name);
    }
    release_logs(&array);
    return err;
}

/* Removes the mark of a failed sync: all tails were read from the disk and flushed since. */
static struct err remove_mark(struct store *store)
{
    char path[STORE_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/sync-failed", store->dir);
    struct err err = file_remove(store->options.files, path);
    return err_is(err, ERR_NOT_FOUND) ? ERR_NONE : err;
}

static struct err close_cleanly(struct store *store, struct diag *diag)
{
    compaction_abandon(store, true);
    TRY(flush_all(store, diag));
    TRY(checkpoint_all(store, diag));
    TRY(store_remove_garbage(store, diag));
    if (manifest_wants_rewrite(&store->manifest))
        TRY(store_rewrite_manifest(store, diag));
    if (store->distrusts_pages)
        TRY(remove_mark(store));
    TRY(store_sync_root(store, UINT64_MAX, diag));
    TRY(store_sync_tickets(store, diag));
    const struct manifest_entry entry = {.kind = MANIFEST_CLEAN};
    TRY(manifest_append(&store->manifest, &entry, NULL));
    return store_sync_tickets(store, diag);
}

struct err store_close(struct store *store, struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    struct err err = close_cleanly(store, diag);
    if (err_failed(err))
        err = diag_wrap(diag, err, "%s was not closed cleanly", store->dir);
    store_abandon(store);
    return err;
}
