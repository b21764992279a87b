/* names: which logs there are: by id for finding, in a row for visiting all of them. */
#include <stdlib.h>

#include "base/check.h"
#include "storage/storage_internal.h"

_Static_assert(sizeof(struct log_id) == 20, "an id is its own key: no padding");

static struct span key_of(const struct log_id *id)
{
    return span_make(id, sizeof *id);
}

static struct err reserve(struct store_names *names)
{
    if (names->count < names->capacity)
        return ERR_NONE;
    uint32_t capacity = names->capacity == 0 ? 16 : names->capacity * 2;
    struct log **logs = realloc(names->logs, capacity * sizeof(struct log *));
    if (logs == NULL)
        return err_make(ERR_NO_MEMORY);
    names->logs = logs;
    names->capacity = capacity;
    return ERR_NONE;
}

static struct log *make_log(struct store *store, const struct log_id *id, struct span name)
{
    struct log *log = calloc(1, sizeof *log + name.size + 1);
    if (log == NULL)
        return NULL;
    log->magic = LOG_MAGIC;
    atomic_init(&log->ref_count, 1);
    os_mutex_init(&log->lock);
    log->store = store;
    log->id = *id;
    log->checkpoint.snapshot_offset = -1;
    log->compaction.horizon_ms = -1;
    list_init(&log->flush.link);
    list_init(&log->work.link);
    memcpy(log->name, name.data, name.size);
    return log;
}

struct err names_add(struct store *store, const struct log_id *id, struct span name,
                     struct log **out)
{
    struct log *log = make_log(store, id, name);
    if (log == NULL)
        return err_make(ERR_NO_MEMORY);
    struct store_names *names = &store->names;
    os_mutex_lock(&names->lock);
    struct err err = reserve(names);
    if (!err_failed(err))
        err = map_put(&names->map, key_of(&log->id), log);
    if (!err_failed(err)) {
        log->place = names->count;
        names->logs[names->count++] = log;
        log_ref(log);
        *out = log;
    }
    os_mutex_unlock(&names->lock);
    /* The store's reference stays; this one was the maker's. */
    log_unref(log);
    return err;
}

struct log *names_find(struct store *store, const struct log_id *id)
{
    os_mutex_lock(&store->names.lock);
    struct log *log = map_get(&store->names.map, key_of(id));
    if (log != NULL)
        log_ref(log);
    os_mutex_unlock(&store->names.lock);
    return log;
}

void names_remove(struct store *store, struct log *log)
{
    struct store_names *names = &store->names;
    os_mutex_lock(&names->lock);
    bool was_there = map_get(&names->map, key_of(&log->id)) == log;
    if (was_there) {
        (void)map_remove(&names->map, key_of(&log->id));
        struct log *last = names->logs[--names->count];
        names->logs[log->place] = last;
        last->place = log->place;
    }
    os_mutex_unlock(&names->lock);
    if (was_there)
        log_unref(log);
}

struct log *names_at(struct store *store, uint32_t place)
{
    os_mutex_lock(&store->names.lock);
    struct log *log = place < store->names.count ? store->names.logs[place] : NULL;
    if (log != NULL)
        log_ref(log);
    os_mutex_unlock(&store->names.lock);
    return log;
}
