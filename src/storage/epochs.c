/* epochs: a short sorted array; searched from its end, where the questions are. */
#include "storage/epochs.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"

#define ENTRY_SIZE 12

static int32_t epoch_of(const struct epochs *epochs, uint32_t at)
{
    CHECK(at < epochs->count);
    return load_i32(epochs->entries + (size_t)at * ENTRY_SIZE);
}

static int64_t start_of(const struct epochs *epochs, uint32_t at)
{
    CHECK(at < epochs->count);
    return load_i64(epochs->entries + (size_t)at * ENTRY_SIZE + 4);
}

void epochs_deinit(struct epochs *epochs)
{
    free(epochs->entries);
    *epochs = (struct epochs){0};
}

struct err epochs_load(struct epochs *epochs, struct span bytes)
{
    CHECK(bytes.size % ENTRY_SIZE == 0);
    uint32_t count = (uint32_t)(bytes.size / ENTRY_SIZE);
    struct epochs loaded = {.count = count, .capacity = count};
    if (count != 0) {
        loaded.entries = malloc(bytes.size);
        if (loaded.entries == NULL)
            return err_make(ERR_NO_MEMORY);
        memcpy(loaded.entries, bytes.data, bytes.size);
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t epoch_before = i == 0 ? -1 : epoch_of(&loaded, i - 1);
        int64_t start_before = i == 0 ? 0 : start_of(&loaded, i - 1);
        if (epoch_of(&loaded, i) <= epoch_before || start_of(&loaded, i) < start_before) {
            free(loaded.entries);
            return err_make(ERR_CORRUPT);
        }
    }
    free(epochs->entries);
    *epochs = loaded;
    return ERR_NONE;
}

struct span epochs_span(const struct epochs *epochs)
{
    return span_make(epochs->entries, (size_t)epochs->count * ENTRY_SIZE);
}

struct err epochs_reserve(struct epochs *epochs)
{
    if (epochs->count < epochs->capacity)
        return ERR_NONE;
    uint32_t capacity = epochs->capacity == 0 ? 1 : epochs->capacity * 2;
    uint8_t *entries = realloc(epochs->entries, (size_t)capacity * ENTRY_SIZE);
    if (entries == NULL)
        return err_make(ERR_NO_MEMORY);
    epochs->entries = entries;
    epochs->capacity = capacity;
    return ERR_NONE;
}

void epochs_note(struct epochs *epochs, int32_t epoch, int64_t offset)
{
    if (epoch <= epochs_last(epochs))
        return;
    CHECK(epochs->count < epochs->capacity);
    uint8_t *entry = epochs->entries + (size_t)epochs->count * ENTRY_SIZE;
    store_i32(entry, epoch);
    store_i64(entry + 4, offset);
    epochs->count++;
}

int32_t epochs_last(const struct epochs *epochs)
{
    return epochs->count == 0 ? -1 : epoch_of(epochs, epochs->count - 1);
}

int32_t epochs_at(const struct epochs *epochs, int64_t offset)
{
    uint32_t at = epochs->count;
    while (at > 0 && start_of(epochs, at - 1) > offset)
        at--;
    return at == 0 ? -1 : epoch_of(epochs, at - 1);
}

void epochs_find_end(const struct epochs *epochs, int32_t wanted, int32_t current, int64_t end,
                     int32_t *epoch, int64_t *end_offset)
{
    uint32_t above = epochs->count; /* the first entry with an epoch above wanted */
    while (above > 0 && epoch_of(epochs, above - 1) > wanted)
        above--;
    bool is_known = above < epochs->count || current > wanted;
    *end_offset = above < epochs->count ? start_of(epochs, above) : end;
    *epoch = above > 0 ? epoch_of(epochs, above - 1) : wanted;
    if (!is_known) {
        *epoch = -1;
        *end_offset = -1;
    }
}

void epochs_cut_end(struct epochs *epochs, int64_t offset)
{
    while (epochs->count > 0 && start_of(epochs, epochs->count - 1) >= offset)
        epochs->count--;
}

void epochs_cut_start(struct epochs *epochs, int64_t offset)
{
    uint32_t drop = 0;
    while (drop + 1 < epochs->count && start_of(epochs, drop + 1) <= offset)
        drop++;
    if (drop != 0) {
        epochs->count -= drop;
        memmove(epochs->entries, epochs->entries + (size_t)drop * ENTRY_SIZE,
                (size_t)epochs->count * ENTRY_SIZE);
    }
    if (epochs->count != 0 && start_of(epochs, 0) < offset)
        store_i64(epochs->entries + 4, offset);
}
