/* store: the directory: opening, what all logs share, the end. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/compaction.h"

#define FORMAT_TEXT "headrace 1\n"
#define DELETED_SUFFIX ".deleted"

void store_report(struct store *store, const char *format, ...)
{
    if (store->options.events.report == NULL)
        return;
    struct diag sentence;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence.text, sizeof sentence.text, format, arguments);
    va_end(arguments);
    store->options.events.report(store->options.events.context, sentence.text);
}

void store_tell(struct store *store)
{
    const struct store_events *events = &store->options.events;
    if (atomic_load_explicit(&store->must_tell_dirty, memory_order_relaxed) &&
        atomic_exchange(&store->must_tell_dirty, false) && events->dirty != NULL)
        events->dirty(events->context);
    if (atomic_load_explicit(&store->must_tell_work, memory_order_relaxed) &&
        atomic_exchange(&store->must_tell_work, false) && events->work != NULL)
        events->work(events->context);
}

/* Writes DIR/<name>. */
static void store_path(const struct store *store, char path[STORE_PATH_SIZE], const char *name)
{
    int size = snprintf(path, STORE_PATH_SIZE, "%s/%s", store->dir, name);
    CHECK(size > 0 && size < STORE_PATH_SIZE);
}

/* Leaves word for the next start that pages may be falsely clean. May fail like all else. */
static void leave_mark(struct store *store, struct span sentence)
{
    const struct os_files *files = store->options.files;
    char path[STORE_PATH_SIZE];
    int file;
    size_t done;
    store_path(store, path, "sync-failed");
    struct err err =
        file_open(files, path, OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_TRUNCATE, &file);
    if (err_failed(err))
        return;
    err = file_write_at(files, file, &sentence, 1, 0, &done);
    if (!err_failed(err))
        err = file_sync(files, file);
    file_close(files, file);
    if (!err_failed(err))
        err = dir_sync(files, store->dir);
    (void)err;
}

struct err store_note_failed_sync(struct store *store, const char *what, struct err err,
                                  struct diag *diag)
{
    struct diag words;
    (void)snprintf(words.text, sizeof words.text,
                   "%s goes offline: syncing %s failed (%s); what was not yet acknowledged may be "
                   "lost, and the next start looks for it on the disk itself",
                   store->dir, what, err_text(err));
    if (!atomic_exchange(&store->is_offline, true)) {
        leave_mark(store, span_text(words.text));
        store->offline_words = words;
        atomic_store(&store->must_tell_offline, true);
        atomic_store(&store->must_tell_dirty, true);
    }
    return diag_fail(diag, ERR_OFFLINE, "%s", words.text);
}

void store_tell_offline(struct store *store)
{
    const struct store_events *events = &store->options.events;
    if (atomic_exchange(&store->must_tell_offline, false) && events->offline != NULL)
        events->offline(events->context, store->offline_words.text);
}

struct err store_fail_sync(struct store *store, const char *what, struct err err, struct diag *diag)
{
    struct err offline = store_note_failed_sync(store, what, err, diag);
    store_tell_offline(store);
    return offline;
}

uint64_t store_note_root_change(struct store *store)
{
    os_mutex_lock(&store->flush.lock);
    uint64_t change = ++store->flush.root_changes;
    os_mutex_unlock(&store->flush.lock);
    return change;
}

struct err store_sync_root_locked(struct store *store, uint64_t change, struct diag *diag)
{
    struct store_flusher *flusher = &store->flush;
    os_mutex_lock(&flusher->lock);
    bool is_needed = change > flusher->root_synced;
    uint64_t reached = flusher->root_changes;
    os_mutex_unlock(&flusher->lock);
    if (!is_needed)
        return ERR_NONE;
    struct err err = dir_sync(store->options.files, store->dir);
    if (err_is(err, ERR_LIMIT)) /* no descriptor for it: nothing was tried */
        return diag_wrap(diag, err, "cannot open %s", store->dir);
    if (err_failed(err))
        return store_note_failed_sync(store, store->dir, err, diag);
    os_mutex_lock(&flusher->lock);
    if (reached > flusher->root_synced)
        flusher->root_synced = reached;
    os_mutex_unlock(&flusher->lock);
    return ERR_NONE;
}

struct err store_sync_root(struct store *store, uint64_t change, struct diag *diag)
{
    struct err err = store_sync_root_locked(store, change, diag);
    store_tell_offline(store);
    return err;
}

struct err store_sync_manifest(struct store *store, uint64_t ticket, struct diag *diag)
{
    if (ticket <= manifest_durable(&store->manifest))
        return ERR_NONE;
    struct err err = manifest_sync(&store->manifest);
    return err_failed(err) ? store_fail_sync(store, "the manifest", err, diag) : err;
}

void store_want_ticket(struct store *store, uint64_t ticket)
{
    os_mutex_lock(&store->flush.lock);
    if (ticket > store->flush.ticket_wanted)
        store->flush.ticket_wanted = ticket;
    os_mutex_unlock(&store->flush.lock);
    atomic_store(&store->must_tell_dirty, true);
    store_tell(store);
}

uint64_t store_durable_ticket(struct store *store)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    return manifest_durable(&store->manifest);
}

struct err store_sync_tickets(struct store *store, struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    return store_sync_manifest(store, manifest_last(&store->manifest), diag);
}

bool store_was_clean(const struct store *store)
{
    return store->was_clean;
}

int32_t store_leader_epoch(const struct store *store)
{
    return store->leader_epoch;
}

bool store_is_offline(const struct store *store)
{
    return atomic_load(&store->is_offline);
}

struct err store_move_aside(struct store *store, const char *name, uint64_t ticket)
{
    char aside[STORE_NAME_SIZE_MAX + 1];
    char from[STORE_PATH_SIZE];
    char to[STORE_PATH_SIZE];
    int keep = STORE_NAME_SIZE_MAX - 1 - 16 - (int)(sizeof DELETED_SUFFIX - 1);
    int size = snprintf(aside, sizeof aside, "%.*s.%016llx" DELETED_SUFFIX, keep, name,
                        (unsigned long long)random_u64(store->options.random));
    CHECK(size > 0 && size <= STORE_NAME_SIZE_MAX);
    store_path(store, from, name);
    store_path(store, to, aside);
    TRY(file_rename(store->options.files, from, to));
    (void)store_note_root_change(store);
    garbage_add_dir(store, aside, ticket);
    return ERR_NONE;
}

static struct err take_lock(struct store *store, struct diag *diag)
{
    char path[STORE_PATH_SIZE];
    store_path(store, path, ".lock");
    struct err err = file_open(store->options.files, path,
                               OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE, &store->lock_file);
    if (!err_failed(err))
        err = file_lock(store->options.files, store->lock_file);
    if (err_is(err, ERR_BUSY))
        return diag_fail(diag, ERR_BUSY, "%s is in use by another process", store->dir);
    return err_failed(err) ? diag_wrap(diag, err, "cannot open %s", path) : err;
}

/* Writes DIR/format whole or not at all. */
static struct err write_format(struct store *store)
{
    const struct os_files *files = store->options.files;
    char path[STORE_PATH_SIZE];
    char path_new[STORE_PATH_SIZE];
    store_path(store, path, "format");
    store_path(store, path_new, "format.new");
    int file;
    size_t done;
    struct span text = span_text(FORMAT_TEXT);
    TRY(file_open(files, path_new, OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_TRUNCATE, &file));
    struct err err = file_write_at(files, file, &text, 1, 0, &done);
    if (!err_failed(err))
        err = file_sync(files, file);
    file_close(files, file);
    TRY(err);
    TRY(file_rename(files, path_new, path));
    return dir_sync(files, store->dir);
}

bool store_is_log_name(const char *name)
{
    const char *dash = strrchr(name, '-');
    return dash != NULL && dash != name && dash[1] != '\0' &&
           strspn(dash + 1, "0123456789") == strlen(dash + 1);
}

static struct err refuse_log_dir(void *context, const char *name, bool is_dir)
{
    char *found = context;
    if (is_dir && store_is_log_name(name))
        (void)snprintf(found, STORE_NAME_SIZE_MAX + 1, "%s", name);
    return ERR_NONE;
}

static struct err check_format(struct store *store, struct diag *diag)
{
    const struct os_files *files = store->options.files;
    char path[STORE_PATH_SIZE];
    char text[sizeof FORMAT_TEXT + 32] = {0};
    int file;
    size_t done;
    store_path(store, path, "format");
    struct err err = file_open(files, path, OS_FILE_READ, &file);
    if (err_is(err, ERR_NOT_FOUND)) {
        char found[STORE_NAME_SIZE_MAX + 1] = "";
        err = dir_list(files, store->dir, refuse_log_dir, found);
        if (found[0] != '\0')
            return diag_fail(diag, ERR_UNSUPPORTED,
                             "%s holds another program's logs (%s) and no file \"format\"",
                             store->dir, found);
        if (!err_failed(err))
            err = write_format(store);
        return err_failed(err) ? diag_wrap(diag, err, "cannot prepare %s", store->dir) : err;
    }
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot open %s", path);
    err = file_read_at(files, file, text, sizeof text - 1, 0, &done);
    file_close(files, file);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot read %s", path);
    if (strcmp(text, FORMAT_TEXT) != 0)
        return diag_fail(diag, ERR_UNSUPPORTED,
                         "%s says \"%.*s\"; this program knows \"headrace 1\" alone", path,
                         (int)strcspn(text, "\n"), text);
    return ERR_NONE;
}

/* A used folder has a manifest: without it nobody knows what the logs in it are worth. */
static struct err check_manifest(struct store *store, struct diag *diag)
{
    char path[STORE_PATH_SIZE];
    char found[STORE_NAME_SIZE_MAX + 1] = "";
    int file;
    store_path(store, path, "manifest");
    struct err err = file_open(store->options.files, path, OS_FILE_READ, &file);
    if (!err_failed(err))
        file_close(store->options.files, file);
    if (!err_is(err, ERR_NOT_FOUND))
        return ERR_NONE; /* manifest_open says what else is wrong */
    err = dir_list(store->options.files, store->dir, refuse_log_dir, found);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot list %s", store->dir);
    if (found[0] == '\0')
        return ERR_NONE;
    return diag_fail(diag, ERR_CORRUPT,
                     "%s holds logs (%s) and no file \"manifest\": bring that back, or begin with "
                     "an empty folder",
                     store->dir, found);
}

/* Lets the reader of the tails know, W7. Where it cannot be said, nothing is to be believed. */
static struct err look_for_mark(struct store *store, struct diag *diag)
{
    char path[STORE_PATH_SIZE];
    int file;
    store_path(store, path, "sync-failed");
    struct err err = file_open(store->options.files, path, OS_FILE_READ, &file);
    if (err_is(err, ERR_NOT_FOUND))
        return ERR_NONE;
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot open %s", path);
    file_close(store->options.files, file);
    store->distrusts_pages = true;
    return ERR_NONE;
}

/* Everything that is left of directories on their way out. */
static struct err find_deleted(void *context, const char *name, bool is_dir)
{
    struct store *store = context;
    size_t size = strlen(name);
    size_t suffix_size = sizeof DELETED_SUFFIX - 1;
    if (is_dir && size > suffix_size && size <= STORE_NAME_SIZE_MAX &&
        strcmp(name + size - suffix_size, DELETED_SUFFIX) == 0)
        garbage_add_dir(store, name, 0);
    return ERR_NONE;
}

/* Marks the store as running, synced, with the leader epoch of this run. */
static struct err begin_run(struct store *store, const struct manifest_summary *summary,
                            struct diag *diag)
{
    if (summary->leader_epoch == INT32_MAX)
        return diag_fail(diag, ERR_CORRUPT, "the leader epoch in %s cannot rise", store->dir);
    store->is_new = summary->is_new || summary->leader_epoch < 0;
    store->was_clean = summary->is_clean && !store->distrusts_pages;
    store->leader_epoch = store->is_new ? 0 : summary->leader_epoch + !store->was_clean;
    if (store->is_new)
        store->was_clean = true;
    const struct manifest_entry entry = {.kind = MANIFEST_OPEN,
                                         .leader_epoch = store->leader_epoch};
    struct err err = manifest_append(&store->manifest, &entry, NULL);
    if (!err_failed(err))
        err = manifest_sync(&store->manifest);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot write the manifest in %s", store->dir);
    if (summary->size_torn != 0)
        store_report(store, "%s/manifest: dropped %lld bytes of a torn end", store->dir,
                     (long long)summary->size_torn);
    return ERR_NONE;
}

static struct err open_all(struct store *store, struct diag *diag)
{
    TRY(take_lock(store, diag));
    TRY(check_format(store, diag));
    TRY(check_manifest(store, diag));
    TRY(look_for_mark(store, diag));
    const struct manifest_setup setup = {.files = store->options.files,
                                         .dir = store->dir,
                                         .distrusts_pages = store->distrusts_pages,
                                         .visit = replay_entry,
                                         .context = store};
    struct manifest_summary summary;
    TRY(manifest_open(&store->manifest, &setup, &summary, diag));
    struct err err = dir_list(store->options.files, store->dir, find_deleted, store);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot list %s", store->dir);
    return begin_run(store, &summary, diag);
}

static struct store *make_store(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    char *dir = strdup(options->dir);
    struct compactor *compactor = compactor_create();
    if (store == NULL || dir == NULL || compactor == NULL) {
        compactor_destroy(compactor);
        free(store);
        free(dir);
        return NULL;
    }
    store->compactor = compactor;
    store->magic = STORE_MAGIC;
    store->options = *options;
    store->dir = dir;
    store->options.dir = dir;
    store->lock_file = OS_FILE_NONE;
    file_cache_init(&store->cache, options->files, options->open_file_count_max);
    manifest_init(&store->manifest);
    os_mutex_init(&store->names.lock);
    map_init(&store->names.map, random_u64(options->random));
    os_mutex_init(&store->flush.lock);
    list_init(&store->flush.dirty);
    list_init(&store->flush.put_off);
    store->flush.root_changes = STORE_ROOT_CHANGE_FIRST;
    os_mutex_init(&store->work.lock);
    list_init(&store->work.urgent);
    list_init(&store->work.aging);
    list_init(&store->work.garbage);
    store->work.retention_next = UINT32_MAX;
    return store;
}

struct err store_open(const struct store_options *options, struct store **out, struct diag *diag)
{
    CHECK(options->open_file_count_max > 0 && options->checkpoint_size > 0);
    /* Room for a log's name and a file's below it. */
    if (strlen(options->dir) + STORE_NAME_SIZE_MAX + 64 > STORE_PATH_SIZE)
        return diag_fail(diag, ERR_LIMIT, "the path %.100s... is too long", options->dir);
    struct store *store = make_store(options);
    if (store == NULL)
        return err_make(ERR_NO_MEMORY);
    struct err err = open_all(store, diag);
    if (err_failed(err)) {
        store_abandon(store);
        return err;
    }
    *out = store;
    return ERR_NONE;
}

void store_abandon(struct store *store)
{
    if (store == NULL)
        return;
    CHECK_MAGIC(store, STORE_MAGIC);
    flush_forget(store);
    compaction_abandon(store, false);
    work_forget_all(store);
    struct log *log;
    while ((log = names_at(store, 0)) != NULL) {
        names_remove(store, log);
        CHECK(atomic_load(&log->ref_count) == 1);
        log_unref(log);
    }
    free(store->names.logs);
    map_deinit(&store->names.map);
    manifest_deinit(&store->manifest);
    file_cache_deinit(&store->cache);
    file_close(store->options.files, store->lock_file);
    os_mutex_deinit(&store->names.lock);
    os_mutex_deinit(&store->flush.lock);
    os_mutex_deinit(&store->work.lock);
    compactor_destroy(store->compactor);
    free(store->dir);
    store->magic = 0;
    free(store);
}

void store_read_stats(struct store *store, struct store_stats *out)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    struct store_counters *counters = &store->counters;
    *out = (struct store_stats){
        .append_count = atomic_load(&counters->append_count),
        .append_size = atomic_load(&counters->append_size),
        .flush_count = atomic_load(&counters->flush_count),
        .sync_count = atomic_load(&counters->sync_count),
        .roll_count = atomic_load(&counters->roll_count),
        .checkpoint_count = atomic_load(&counters->checkpoint_count),
        .segment_delete_count = atomic_load(&counters->segment_delete_count),
        .manifest_rewrite_count = atomic_load(&counters->manifest_rewrite_count),
        .compaction_count = atomic_load(&counters->compaction_count),
        .compaction_read_size = atomic_load(&counters->compaction_read_size),
        .compaction_write_size = atomic_load(&counters->compaction_write_size),
        .batches_scanned = atomic_load(&counters->batches_scanned),
        .size_truncated = atomic_load(&counters->size_truncated),
    };
    os_mutex_lock(&store->names.lock);
    out->log_count = store->names.count;
    os_mutex_unlock(&store->names.lock);
    os_mutex_lock(&store->cache.lock);
    out->open_file_count = store->cache.open_count;
    os_mutex_unlock(&store->cache.lock);
}
