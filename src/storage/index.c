/* index: entries are kept encoded, so that memory is written to the file as it is. */
#include "storage/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"

/* Searched in one read once the range is that small. */
#define BLOCK_ENTRY_COUNT 256

#define TABLE_CAPACITY_MIN 16

void index_init(struct index *index)
{
    *index = (struct index){.offsets = {.entry_size = OFFSET_ENTRY_SIZE},
                            .times = {.entry_size = TIME_ENTRY_SIZE},
                            .timestamp_last = -1};
}

void index_deinit(struct index *index)
{
    free(index->offsets.entries);
    free(index->times.entries);
    index_init(index);
}

static struct err table_reserve(struct index_table *table)
{
    if (table->count < table->capacity)
        return ERR_NONE;
    uint32_t capacity = table->capacity == 0 ? TABLE_CAPACITY_MIN : table->capacity * 2;
    uint8_t *entries = realloc(table->entries, (size_t)capacity * table->entry_size);
    if (entries == NULL)
        return err_make(ERR_NO_MEMORY);
    table->entries = entries;
    table->capacity = capacity;
    return ERR_NONE;
}

struct err index_reserve(struct index *index)
{
    TRY(table_reserve(&index->offsets));
    return table_reserve(&index->times);
}

static uint8_t *table_push(struct index_table *table)
{
    CHECK(table->count < table->capacity);
    return table->entries + (size_t)table->count++ * table->entry_size;
}

/* Adds a time entry where the maximum has grown since the last one. */
static void add_time(struct index *index, const struct index_batch *batch)
{
    if (batch->max_timestamp <= index->timestamp_last)
        return;
    uint8_t *entry = table_push(&index->times);
    store_i64(entry, batch->max_timestamp);
    store_u32(entry + 8, (uint32_t)(batch->max_timestamp_offset - batch->base_offset));
    index->timestamp_last = batch->max_timestamp;
}

void index_add(struct index *index, const struct index_batch *batch)
{
    CHECK(batch->last_offset - batch->base_offset <= INT32_MAX);
    CHECK(batch->position <= INT32_MAX);
    if (index->size_since > batch->interval_size) {
        uint8_t *entry = table_push(&index->offsets);
        store_u32(entry, (uint32_t)(batch->last_offset - batch->base_offset));
        store_u32(entry + 4, (uint32_t)batch->position);
        add_time(index, batch);
        index->size_since = 0;
    }
    index->size_since += batch->size;
}

void index_add_final(struct index *index, const struct index_batch *batch)
{
    add_time(index, batch);
}

int64_t index_entry_offset(const uint8_t *entry)
{
    return load_i32(entry);
}

int64_t index_entry_position(const uint8_t *entry)
{
    return load_i32(entry + 4);
}

int64_t index_entry_timestamp(const uint8_t *entry)
{
    return load_i64(entry);
}

int64_t index_entry_time_offset(const uint8_t *entry)
{
    return load_i32(entry + 8);
}

/* Which field of an entry a search compares. */
typedef int64_t (*entry_key)(const uint8_t *entry);

/* How many of the entries at the front have a key <= wanted. */
static uint32_t count_up_to(const uint8_t *entries, uint32_t count, uint32_t entry_size,
                            entry_key key, int64_t wanted)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key(entries + (size_t)middle * entry_size) <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const entry_key field_keys[] = {
    [INDEX_OFFSET] = index_entry_offset,
    [INDEX_POSITION] = index_entry_position,
    [INDEX_TIMESTAMP] = index_entry_timestamp,
    [INDEX_TIME_OFFSET] = index_entry_time_offset,
};

const uint8_t *index_table_find(const struct index_table *table, enum index_field field,
                                int64_t wanted)
{
    CHECK(index_field_is_time(field) == (table->entry_size == TIME_ENTRY_SIZE));
    if (table->count == 0)
        return NULL;
    uint32_t count =
        count_up_to(table->entries, table->count, table->entry_size, field_keys[field], wanted);
    return count == 0 ? NULL : table->entries + (size_t)(count - 1) * table->entry_size;
}

static struct err read_entries(const struct index_file *index, uint32_t from, uint32_t count,
                               uint8_t *entries)
{
    size_t size = (size_t)count * index->entry_size;
    size_t done;
    TRY(file_read_at(index->files, index->file, entries, size,
                     (int64_t)from * (int64_t)index->entry_size, &done));
    return done == size ? ERR_NONE : err_make(ERR_TRUNCATED);
}

struct err index_file_find(const struct index_file *index, enum index_field field, int64_t wanted,
                           uint8_t entry[TIME_ENTRY_SIZE], bool *found)
{
    CHECK(index_field_is_time(field) == (index->entry_size == TIME_ENTRY_SIZE));
    uint8_t block[BLOCK_ENTRY_COUNT * TIME_ENTRY_SIZE];
    entry_key key = field_keys[field];
    uint32_t low = 0; /* entries below have keys <= wanted */
    uint32_t high = index->count;
    while (high - low > BLOCK_ENTRY_COUNT - 1) {
        uint32_t middle = low + (high - low) / 2;
        TRY(read_entries(index, middle, 1, block));
        if (key(block) <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t from = low == 0 ? 0 : low - 1;
    TRY(read_entries(index, from, high - from, block));
    uint32_t count = count_up_to(block, high - from, index->entry_size, key, wanted);
    *found = count != 0;
    if (count != 0)
        memcpy(entry, block + (size_t)(count - 1) * index->entry_size, index->entry_size);
    return ERR_NONE;
}

struct err index_file_write(const struct index_file *index, const uint8_t *entries, uint32_t count)
{
    int64_t at = (int64_t)index->count * (int64_t)index->entry_size;
    struct span span = span_make(entries, (size_t)count * index->entry_size);
    size_t done;
    if (span.size != 0)
        TRY(file_write_at(index->files, index->file, &span, 1, at, &done));
    return file_truncate(index->files, index->file, at + (int64_t)span.size);
}

void index_table_filed(struct index_table *table, uint32_t count)
{
    CHECK(count <= table->count);
    table->filed_count += count;
    table->count -= count;
    if (table->count != 0) {
        size_t size = (size_t)table->count * table->entry_size;
        memmove(table->entries, table->entries + (size_t)count * table->entry_size, size);
        return;
    }
    free(table->entries);
    table->entries = NULL;
    table->capacity = 0;
}
