/*
 * background: work that may wait, a piece at a time.
 *
 * Two lists of logs: urgent ones in order of arrival, aging ones in the order in which their
 * checkpoints become due. A log is on one of them at most; a list holds a reference. What is thrown
 * away waits in the garbage list until the manifest that no longer knows it is durable (W5).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/compaction.h"

void work_enqueue(struct log *log, enum log_urgency urgency)
{
    /* Whoever takes the log off its list looks at it afterwards under its lock, held now. */
    if (atomic_load(&log->work.urgency) >= (int)urgency)
        return;
    struct store_work *work = &log->store->work;
    int64_t now_ms = clock_wall_ms(log->store->options.clock);
    os_mutex_lock(&work->lock);
    if (atomic_load(&log->work.urgency) == WORK_NONE) {
        log_ref(log);
        log->work.since_ms = now_ms;
    }
    list_remove(&log->work.link);
    list_append(urgency == WORK_URGENT ? &work->urgent : &work->aging, &log->work.link);
    atomic_store(&log->work.urgency, (int)urgency);
    os_mutex_unlock(&work->lock);
    if (urgency == WORK_URGENT)
        atomic_store(&log->store->must_tell_work, true);
}

/* Takes a log whose turn it is, with the list's reference; NULL where none is due. */
static struct log *pop_work(struct store *store, int64_t now_ms)
{
    struct store_work *work = &store->work;
    struct log *log = NULL;
    os_mutex_lock(&work->lock);
    struct list *link = list_pop(&work->urgent);
    if (link == NULL && !list_is_empty(&work->aging)) {
        log = LIST_ENTRY(work->aging.next, struct log, work.link);
        if (log->work.since_ms + store->options.checkpoint_interval_ms <= now_ms)
            link = list_pop(&work->aging);
    }
    log = link == NULL ? NULL : LIST_ENTRY(link, struct log, work.link);
    if (log != NULL)
        atomic_store(&log->work.urgency, WORK_NONE);
    os_mutex_unlock(&work->lock);
    return log;
}

static struct garbage *make_garbage(enum garbage_kind kind, const char *name, uint64_t ticket)
{
    struct garbage *garbage = calloc(1, sizeof *garbage + strlen(name) + 1);
    if (garbage == NULL)
        return NULL;
    list_init(&garbage->link);
    garbage->kind = kind;
    garbage->ticket = ticket;
    memcpy(garbage->name, name, strlen(name));
    return garbage;
}

static void push_garbage(struct store *store, struct garbage *garbage)
{
    os_mutex_lock(&store->work.lock);
    list_append(&store->work.garbage, &garbage->link);
    os_mutex_unlock(&store->work.lock);
    atomic_store(&store->must_tell_work, true);
}

void garbage_add(struct store *store, enum garbage_kind kind, struct log *log, int64_t offset,
                 uint64_t ticket)
{
    struct garbage *garbage = make_garbage(kind, "", ticket);
    if (garbage == NULL) {
        log->work.has_strays = true;
        return;
    }
    log_ref(log);
    garbage->log = log;
    garbage->offset = offset;
    push_garbage(store, garbage);
}

void garbage_add_segment(struct log *log, const struct segment *segment, uint64_t ticket)
{
    struct garbage *garbage = make_garbage(GARBAGE_SEGMENT, "", ticket);
    if (garbage == NULL) {
        log->work.has_strays = true;
        return;
    }
    log_ref(log);
    garbage->log = log;
    garbage->offset = segment->facts.base_offset;
    garbage->copy = segment->copy;
    push_garbage(log->store, garbage);
}

void garbage_add_dir(struct store *store, const char *name, uint64_t ticket)
{
    struct garbage *garbage = make_garbage(GARBAGE_DIR, name, ticket);
    if (garbage != NULL)
        push_garbage(store, garbage);
}

static struct garbage *pop_garbage(struct store *store)
{
    os_mutex_lock(&store->work.lock);
    struct list *link = list_pop(&store->work.garbage);
    os_mutex_unlock(&store->work.lock);
    return link == NULL ? NULL : LIST_ENTRY(link, struct garbage, link);
}

static void free_garbage(struct garbage *garbage)
{
    log_unref(garbage->log);
    free(garbage);
}

void work_forget_all(struct store *store)
{
    struct garbage *garbage;
    struct log *log;
    while ((garbage = pop_garbage(store)) != NULL)
        free_garbage(garbage);
    while ((log = pop_work(store, INT64_MAX)) != NULL)
        log_unref(log);
}

/* A directory being emptied. */
struct emptying {
    const struct os_files *files;
    const char *path;
};

static struct err remove_entry(void *context, const char *name, bool is_dir)
{
    const struct emptying *emptying = context;
    char path[STORE_PATH_SIZE];
    if (is_dir || snprintf(path, sizeof path, "%s/%s", emptying->path, name) >= (int)sizeof path)
        return ERR_NONE;
    struct err err = file_remove(emptying->files, path);
    return err_is(err, ERR_NOT_FOUND) ? ERR_NONE : err;
}

static struct err remove_dir(struct store *store, const char *name)
{
    char path[STORE_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", store->dir, name);
    struct emptying emptying = {.files = store->options.files, .path = path};
    TRY(dir_list(store->options.files, path, remove_entry, &emptying));
    return dir_remove(store->options.files, path);
}

/*
 * Removes one file of a log: out of the way under the lock, so that a log of the same name made
 * after a deletion cannot be hit; then without the lock, as freeing much space takes long.
 */
static struct err remove_log_file(const struct garbage *garbage, const char *suffix)
{
    struct log *log = garbage->log;
    const struct os_files *files = log->store->options.files;
    char path[STORE_PATH_SIZE];
    char aside[STORE_PATH_SIZE];
    char suffix_aside[32];
    (void)snprintf(suffix_aside, sizeof suffix_aside, "%s.deleted", suffix);
    log_copy_path(log, path, garbage->offset, garbage->copy, suffix);
    log_copy_path(log, aside, garbage->offset, garbage->copy, suffix_aside);
    struct err err = ERR_NONE;
    os_mutex_lock(&log->lock);
    bool is_there = log->state != LOG_DELETED;
    if (is_there)
        err = file_rename(files, path, aside);
    os_mutex_unlock(&log->lock);
    if (is_there && !err_failed(err))
        err = file_remove(files, aside);
    return err_is(err, ERR_NOT_FOUND) ? ERR_NONE : err;
}

static struct err remove_garbage(struct store *store, const struct garbage *garbage)
{
    switch (garbage->kind) {
    case GARBAGE_DIR:
        return remove_dir(store, garbage->name);
    case GARBAGE_SNAPSHOT:
        return remove_log_file(garbage, ".snapshot");
    case GARBAGE_SEGMENT:
        break;
    }
    TRY(remove_log_file(garbage, ".log"));
    TRY(remove_log_file(garbage, ".index"));
    return remove_log_file(garbage, ".timeindex");
}

/* Says what could not be removed; a log's files are looked for in the next round. */
static void leave_garbage(struct store *store, const struct garbage *garbage, struct err err)
{
    store_report(store, "cannot remove what was deleted of %s: %s",
                 garbage->log != NULL ? garbage->log->name : garbage->name, err_text(err));
    if (garbage->log == NULL)
        return;
    os_mutex_lock(&garbage->log->lock);
    garbage->log->work.has_strays = true;
    os_mutex_unlock(&garbage->log->lock);
}

/* Removes the next piece of garbage; false where there is none. */
static bool step_garbage(struct store *store, struct err *err, struct diag *diag)
{
    struct garbage *garbage = pop_garbage(store);
    if (garbage == NULL)
        return false;
    *err = store_sync_manifest(store, garbage->ticket, diag);
    if (!err_failed(*err)) {
        struct err failure = remove_garbage(store, garbage);
        if (err_failed(failure) && !err_is(failure, ERR_NOT_FOUND))
            leave_garbage(store, garbage, failure);
    }
    free_garbage(garbage);
    return true;
}

struct err store_remove_garbage(struct store *store, struct diag *diag)
{
    struct err err = ERR_NONE;
    while (step_garbage(store, &err, diag))
        TRY(err);
    return ERR_NONE;
}

/* Seals and checkpoints the next log; false where none is due. */
static bool step_log(struct store *store, int64_t now_ms, int64_t *size, struct err *err,
                     struct diag *diag)
{
    struct log *log = pop_work(store, now_ms);
    if (log == NULL)
        return false;
    int64_t written;
    *err = log_make_checkpoint(log, &written, diag);
    *size = written + BACKGROUND_PIECE_SIZE;
    if (err_failed(*err) && !err_is(*err, ERR_OFFLINE)) {
        if (!err_is(*err, ERR_AGAIN))
            store_report(store, "no checkpoint of %s: %s", log->name,
                         diag != NULL && diag->text[0] != '\0' ? diag->text : err_text(*err));
        os_mutex_lock(&log->lock);
        if (log->state == LOG_OPEN && log->damage == NULL)
            work_enqueue(log, WORK_AGING);
        os_mutex_unlock(&log->lock);
        *err = ERR_NONE;
    }
    log_unref(log);
    return true;
}

/* Looks at one log of a round: retention, and strays; false where no round is due. */
static bool step_retention(struct store *store, int64_t now_ms, int64_t *size, struct err *err,
                           struct diag *diag)
{
    struct store_work *work = &store->work;
    if (work->retention_next == UINT32_MAX) {
        if (now_ms < work->retention_due_ms)
            return false;
        work->retention_next = 0;
        work->retention_due_ms = now_ms + store->options.retention_interval_ms;
    }
    struct log *log = names_at(store, work->retention_next);
    if (log == NULL) {
        work->retention_next = UINT32_MAX;
        return false;
    }
    work->retention_next++;
    struct err failure = log_apply_retention(log, now_ms, diag);
    if (err_failed(failure))
        store_report(store, "no retention for %s: %s", log->name, err_text(failure));
    bool looked;
    *err = strays_remove(log, &looked, diag);
    *size = looked ? BACKGROUND_PIECE_SIZE : BACKGROUND_LOOK_SIZE;
    log_unref(log);
    return true;
}

/* What is due next when nothing is due now. */
static int64_t next_due_ms(struct store *store)
{
    struct store_work *work = &store->work;
    int64_t due_ms = work->retention_due_ms;
    int64_t compaction_ms = compaction_due_ms(store);
    due_ms = compaction_ms < due_ms ? compaction_ms : due_ms;
    os_mutex_lock(&work->lock);
    if (!list_is_empty(&work->aging)) {
        const struct log *first = LIST_ENTRY(work->aging.next, struct log, work.link);
        int64_t checkpoint_ms = first->work.since_ms + store->options.checkpoint_interval_ms;
        due_ms = checkpoint_ms < due_ms ? checkpoint_ms : due_ms;
    }
    os_mutex_unlock(&work->lock);
    return due_ms;
}

/* One piece of work of any kind; false where nothing is due. *size: bytes of disk traffic. */
static bool step_any(struct store *store, int64_t now_ms, int64_t *size, struct err *err,
                     struct diag *diag)
{
    *size = BACKGROUND_PIECE_SIZE;
    if (step_log(store, now_ms, size, err, diag) || step_garbage(store, err, diag))
        return true;
    *size = BACKGROUND_LOOK_SIZE;
    if (step_retention(store, now_ms, size, err, diag))
        return true;
    *size = BACKGROUND_PIECE_SIZE;
    if (manifest_wants_rewrite(&store->manifest)) {
        struct err failure = store_rewrite_manifest(store, diag);
        if (err_is(failure, ERR_OFFLINE))
            *err = failure;
        return !err_failed(failure);
    }
    return compaction_step(store, now_ms, size, err, diag);
}

struct err store_background_step(struct store *store, int64_t now_ms, int64_t byte_budget,
                                 struct store_background_result *result, struct diag *diag)
{
    CHECK_MAGIC(store, STORE_MAGIC);
    *result = (struct store_background_result){0};
    struct diag local;
    diag = diag == NULL ? &local : diag;
    do {
        int64_t size;
        struct err err = ERR_NONE;
        diag_clear(diag);
        store_tell_offline(store);
        if (store_is_offline(store))
            return diag_fail(diag, ERR_OFFLINE, "%s is offline after a failed sync", store->dir);
        bool did_something = step_any(store, now_ms, &size, &err, diag);
        TRY(err);
        if (!did_something) {
            result->next_ms = next_due_ms(store);
            return ERR_NONE;
        }
        byte_budget -= size < BACKGROUND_LOOK_SIZE ? BACKGROUND_LOOK_SIZE : size;
    } while (byte_budget > 0);
    result->is_more = true;
    return ERR_NONE;
}
