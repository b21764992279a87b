/* file_cache: the list holds only what may be closed, so that its front is always the victim. */
#include "storage/file_cache.h"

#include <stdlib.h>

#include "base/check.h"

void file_cache_init(struct file_cache *cache, const struct os_files *files,
                     uint32_t open_count_max)
{
    *cache = (struct file_cache){.files = files, .open_count_max = open_count_max};
    os_mutex_init(&cache->lock);
    list_init(&cache->idle);
}

/* Closes a file that is on no list and in no slot. */
static void close_file(struct cached_file *file)
{
    CHECK(file->ref_count == 0 && file->slot == NULL);
    file_close(file->cache->files, file->file);
    free(file);
}

/* Takes the idle files beyond the budget out of their slots, for the caller to close. Locked. */
static void collect_surplus(struct file_cache *cache, uint32_t open_count_max, struct list *surplus)
{
    while (cache->open_count > open_count_max) {
        struct list *link = list_pop(&cache->idle);
        if (link == NULL)
            return;
        struct cached_file *file = LIST_ENTRY(link, struct cached_file, link);
        if (file->slot != NULL)
            *file->slot = NULL;
        file->slot = NULL;
        cache->open_count--;
        list_append(surplus, link);
    }
}

static void close_all(struct list *surplus)
{
    struct list *link;
    while ((link = list_pop(surplus)) != NULL)
        close_file(LIST_ENTRY(link, struct cached_file, link));
}

void file_cache_deinit(struct file_cache *cache)
{
    struct list surplus;
    list_init(&surplus);
    collect_surplus(cache, 0, &surplus);
    close_all(&surplus);
    CHECK(cache->open_count == 0);
    os_mutex_deinit(&cache->lock);
}

/* One more reference; the first takes the file off the idle list. Locked. */
static struct cached_file *take_locked(struct cached_file *file)
{
    if (file->ref_count++ == 0)
        list_remove(&file->link);
    return file;
}

struct cached_file *file_cache_take(struct file_cache *cache, struct cached_file **slot)
{
    os_mutex_lock(&cache->lock);
    struct cached_file *file = *slot == NULL ? NULL : take_locked(*slot);
    os_mutex_unlock(&cache->lock);
    return file;
}

struct err file_cache_open(struct file_cache *cache, struct cached_file **slot, const char *path,
                           unsigned flags, struct cached_file **out)
{
    struct cached_file *file = file_cache_take(cache, slot);
    if (file != NULL) {
        *out = file;
        return ERR_NONE;
    }
    struct cached_file *made = malloc(sizeof *made);
    if (made == NULL)
        return err_make(ERR_NO_MEMORY);
    *made = (struct cached_file){.cache = cache, .file = OS_FILE_NONE};
    list_init(&made->link);
    struct err err = file_open(cache->files, path, flags, &made->file);
    if (err_failed(err)) {
        free(made);
        return err;
    }
    struct list surplus;
    list_init(&surplus);
    os_mutex_lock(&cache->lock);
    if (*slot == NULL) {
        made->ref_count = 1;
        made->slot = slot;
        *slot = made;
        *out = made;
        cache->open_count++;
        collect_surplus(cache, cache->open_count_max, &surplus);
    } else {
        /* Another thread opened it meanwhile. */
        *out = take_locked(*slot);
        list_append(&surplus, &made->link);
    }
    os_mutex_unlock(&cache->lock);
    close_all(&surplus);
    return ERR_NONE;
}

bool file_cache_is_full(struct file_cache *cache)
{
    os_mutex_lock(&cache->lock);
    bool is_full = cache->open_count >= cache->open_count_max;
    os_mutex_unlock(&cache->lock);
    return is_full;
}

void file_cache_ref(struct cached_file *file)
{
    os_mutex_lock(&file->cache->lock);
    CHECK(file->ref_count > 0);
    file->ref_count++;
    os_mutex_unlock(&file->cache->lock);
}

/* Puts an unreferenced file where it belongs: idle, or surplus if nobody remembers it. Locked. */
static void settle_locked(struct file_cache *cache, struct cached_file *file, struct list *surplus)
{
    if (file->slot == NULL) {
        list_remove(&file->link);
        cache->open_count--;
        list_append(surplus, &file->link);
        return;
    }
    list_append(&cache->idle, &file->link);
    collect_surplus(cache, cache->open_count_max, surplus);
}

void file_cache_unref(struct cached_file *file)
{
    if (file == NULL)
        return;
    struct file_cache *cache = file->cache;
    struct list surplus;
    list_init(&surplus);
    os_mutex_lock(&cache->lock);
    CHECK(file->ref_count > 0);
    if (--file->ref_count == 0)
        settle_locked(cache, file, &surplus);
    os_mutex_unlock(&cache->lock);
    close_all(&surplus);
}

void file_cache_forget(struct file_cache *cache, struct cached_file **slot)
{
    struct list surplus;
    list_init(&surplus);
    os_mutex_lock(&cache->lock);
    struct cached_file *file = *slot;
    *slot = NULL;
    if (file != NULL) {
        file->slot = NULL;
        if (file->ref_count == 0)
            settle_locked(cache, file, &surplus);
    }
    os_mutex_unlock(&cache->lock);
    close_all(&surplus);
}
