/* segment: one .log file, its facts and its references. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/storage_internal.h"

void log_dir_path(const struct log *log, char path[STORE_PATH_SIZE])
{
    int size = snprintf(path, STORE_PATH_SIZE, "%s/%s", log->store->dir, log->name);
    CHECK(size > 0 && size < STORE_PATH_SIZE);
}

void log_copy_path(const struct log *log, char path[STORE_PATH_SIZE], int64_t offset, uint8_t copy,
                   const char *suffix)
{
    CHECK(copy <= 1);
    int size = snprintf(path, STORE_PATH_SIZE, "%s/%s/%0*lld%s", log->store->dir, log->name,
                        20 + copy, (long long)offset, suffix);
    CHECK(size > 0 && size < STORE_PATH_SIZE);
}

void log_path(const struct log *log, char path[STORE_PATH_SIZE], int64_t offset, const char *suffix)
{
    log_copy_path(log, path, offset, 0, suffix);
}

void segment_path(const struct log *log, const struct segment *segment, char path[STORE_PATH_SIZE],
                  const char *suffix)
{
    log_copy_path(log, path, segment->facts.base_offset, segment->copy, suffix);
}

struct segment *segment_create(int64_t base_offset)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return NULL;
    segment->facts = (struct segment_facts){
        .base_offset = base_offset,
        .next_offset = base_offset,
        .first_timestamp = BATCH_NO_TIMESTAMP,
        .max_timestamp = BATCH_NO_TIMESTAMP,
        .max_timestamp_offset = base_offset,
    };
    segment->ref_count = 1;
    index_init(&segment->index);
    return segment;
}

void segment_ref(struct segment *segment)
{
    CHECK(segment->ref_count > 0);
    segment->ref_count++;
}

void segment_unref(struct log *log, struct segment *segment)
{
    CHECK(segment->ref_count > 0);
    if (--segment->ref_count > 0)
        return;
    struct file_cache *cache = &log->store->cache;
    file_cache_unref(segment->pin);
    file_cache_forget(cache, &segment->file);
    file_cache_forget(cache, &segment->offsets_file);
    file_cache_forget(cache, &segment->times_file);
    index_deinit(&segment->index);
    free(segment);
}

struct segment_facts segment_facts_now(const struct segment *segment)
{
    struct segment_facts facts = segment->facts;
    facts.offset_entry_count = segment->index.offsets.filed_count;
    facts.time_entry_count = segment->index.times.filed_count;
    return facts;
}

void segment_load_facts(struct segment *segment, const struct segment_facts *facts)
{
    CHECK(segment->facts.base_offset == facts->base_offset);
    segment->facts = *facts;
    segment->size_synced = facts->size;
    index_deinit(&segment->index);
    segment->index.offsets.filed_count = facts->offset_entry_count;
    segment->index.times.filed_count = facts->time_entry_count;
    /* Each checkpoint and each seal ends the time index with the maximum. */
    segment->index.timestamp_last =
        facts->time_entry_count == 0 ? BATCH_NO_TIMESTAMP : facts->max_timestamp;
}

struct err segment_open(struct log *log, struct segment *segment, int64_t size_needed,
                        struct cached_file **out)
{
    struct cached_file *file = file_cache_take(&log->store->cache, &segment->file);
    if (file == NULL) {
        char path[STORE_PATH_SIZE];
        segment_path(log, segment, path, ".log");
        TRY(file_cache_open(&log->store->cache, &segment->file, path, OS_FILE_READ | OS_FILE_WRITE,
                            &file));
        /* Its name may belong to a later compaction's file by now. */
        if (atomic_load(&segment->is_retired)) {
            file_cache_unref(file);
            return err_make(ERR_NOT_FOUND);
        }
    }
    if (!atomic_load_explicit(&segment->is_checked, memory_order_relaxed)) {
        int64_t size;
        struct err err = file_size(log->store->options.files, file->file, &size);
        if (!err_failed(err) && size < size_needed)
            err = err_make(ERR_TRUNCATED);
        if (err_failed(err)) {
            file_cache_unref(file);
            return err;
        }
        atomic_store_explicit(&segment->is_checked, true, memory_order_relaxed);
    }
    *out = file;
    return ERR_NONE;
}

void segment_remove_files(const struct log *log, const struct segment *segment)
{
    static const char *const suffixes[] = {".log", ".index", ".timeindex"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[STORE_PATH_SIZE];
        segment_path(log, segment, path, suffixes[i]);
        struct err ignored = file_remove(log->store->options.files, path);
        (void)ignored;
    }
}

bool segment_has_room(const struct segment *segment, const struct batch_header *header)
{
    const struct segment_facts *facts = &segment->facts;
    return batch_last_offset(header) - facts->base_offset <= INT32_MAX &&
           facts->size + (int64_t)header->size <= INT32_MAX;
}

struct err segment_end_index(struct segment *segment)
{
    TRY(index_reserve(&segment->index));
    const struct index_batch last = {
        .base_offset = segment->facts.base_offset,
        .max_timestamp = segment->facts.max_timestamp,
        .max_timestamp_offset = segment->facts.max_timestamp_offset,
    };
    index_add_final(&segment->index, &last);
    return ERR_NONE;
}

void segment_add(struct segment *segment, const struct batch_header *header,
                 int64_t index_interval_size)
{
    struct segment_facts *facts = &segment->facts;
    CHECK(header->base_offset >= facts->next_offset);
    if (facts->size == 0)
        facts->first_timestamp = header->max_timestamp;
    /* What compaction has emptied holds no record of that time. */
    if (header->max_timestamp > facts->max_timestamp && header->record_count > 0) {
        facts->max_timestamp = header->max_timestamp;
        facts->max_timestamp_offset = batch_last_offset(header);
    }
    const struct index_batch batch = {
        .base_offset = facts->base_offset,
        .last_offset = batch_last_offset(header),
        .position = facts->size,
        .size = header->size,
        .interval_size = index_interval_size,
        .max_timestamp = facts->max_timestamp,
        .max_timestamp_offset = facts->max_timestamp_offset,
    };
    index_add(&segment->index, &batch);
    facts->size += header->size;
    facts->next_offset = batch_last_offset(header) + 1;
}

struct cached_file *segment_take_pin_if_synced(struct segment *segment)
{
    CHECK(segment->size_synced <= segment->facts.size);
    if (segment->size_synced < segment->facts.size)
        return NULL;
    struct cached_file *pin = segment->pin;
    segment->pin = NULL;
    return pin;
}

int32_t segments_find(const struct segment_list *list, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->items[middle]->facts.base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return (int32_t)low - 1;
}

struct segment *segments_last(const struct segment_list *list)
{
    return list->count == 0 ? NULL : list->items[list->count - 1];
}

struct err segments_reserve(struct segment_list *list)
{
    if (list->count < list->capacity)
        return ERR_NONE;
    uint32_t capacity = list->capacity == 0 ? 1 : list->capacity * 2;
    struct segment **items = realloc(list->items, capacity * sizeof(struct segment *));
    if (items == NULL)
        return err_make(ERR_NO_MEMORY);
    list->items = items;
    list->capacity = capacity;
    return ERR_NONE;
}

void segments_push(struct segment_list *list, struct segment *segment)
{
    CHECK(list->count < list->capacity);
    CHECK(list->count == 0 || segments_last(list)->facts.next_offset <= segment->facts.base_offset);
    list->items[list->count++] = segment;
}

uint32_t log_drop_below_start(struct log *log, struct segment **dropped, uint32_t max)
{
    struct segment_list *list = &log->segments;
    uint32_t count = 0;
    while (count < max && count + 1 < list->count &&
           list->items[count + 1]->facts.base_offset <= log->bounds.start) {
        dropped[count] = list->items[count];
        log->bounds.size -= dropped[count]->facts.size;
        count++;
    }
    if (count == 0)
        return 0;
    list->count -= count;
    memmove(list->items, list->items + count, list->count * sizeof(struct segment *));
    return count;
}

void log_drop_within(struct log *log, const struct segment_facts *facts)
{
    struct segment_list *list = &log->segments;
    int32_t at = segments_find(list, facts->base_offset);
    CHECK(at >= 0 && list->items[at]->facts.base_offset == facts->base_offset);
    uint32_t first = (uint32_t)at + 1;
    uint32_t end = first;
    while (end < list->count && list->items[end]->facts.base_offset < facts->next_offset)
        segment_unref(log, list->items[end++]);
    memmove(list->items + first, list->items + end, (list->count - end) * sizeof(struct segment *));
    list->count -= end - first;
}
