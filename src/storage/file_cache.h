/*
 * file_cache: open files under a descriptor budget.
 *
 * An owner remembers a file in a slot (a struct cached_file *, NULL while closed). While somebody
 * holds a reference the file stays open; an unreferenced one stays open until the budget is passed,
 * the least recently used first, and its slot becomes NULL. References may pass the budget: what is
 * being read or is not synced cannot be closed.
 *
 * Any thread. The cache's lock guards slots, counts and the list; files are opened and closed
 * outside of it.
 */
#ifndef HEADRACE_STORAGE_FILE_CACHE_H
#define HEADRACE_STORAGE_FILE_CACHE_H

#include "base/list.h"
#include "os/os_file.h"
#include "os/os_thread.h"

struct cached_file {
    struct list link; /* in cache->idle while unreferenced */
    struct file_cache *cache;
    struct cached_file **slot; /* NULL: the owner has forgotten it; close when unreferenced */
    int file;
    uint32_t ref_count;
};

struct file_cache {
    const struct os_files *files;
    struct os_mutex lock;
    struct list idle; /* unreferenced open files, least recently used first */
    uint32_t open_count;
    uint32_t open_count_max;
};

void file_cache_init(struct file_cache *cache, const struct os_files *files,
                     uint32_t open_count_max);

/* Closes all that is idle. No file is referenced any more. */
void file_cache_deinit(struct file_cache *cache);

/* Takes a reference on the file in the slot, or returns NULL where it is closed. */
struct cached_file *file_cache_take(struct file_cache *cache, struct cached_file **slot);

/*
 * As file_cache_take, opening path with flags where the slot is empty. The slot must stay in place
 * until file_cache_forget. Errors as file_open, ERR_NO_MEMORY.
 */
MUST_USE struct err file_cache_open(struct file_cache *cache, struct cached_file **slot,
                                    const char *path, unsigned flags, struct cached_file **out);

/* Whether the budget is used up. */
bool file_cache_is_full(struct file_cache *cache);

/* Takes one more reference on a file that the caller holds. */
void file_cache_ref(struct cached_file *file);

/* Gives up a reference. NULL is ignored. */
void file_cache_unref(struct cached_file *file);

/* Empties the slot; its file is closed as soon as nobody holds it. */
void file_cache_forget(struct file_cache *cache, struct cached_file **slot);

#endif
