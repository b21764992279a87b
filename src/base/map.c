/* map: linear probing over a power-of-two table. */
#include "base/map.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

#define MAP_CAPACITY_MIN 16

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
}

void map_deinit(struct map *map)
{
    free(map->entries);
    *map = (struct map){.seed = map->seed};
}

/* The place of the key, or the free place where it belongs. The table has a free place. */
static size_t map_find(const struct map *map, struct span key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    size_t at = (size_t)hash & mask;
    while (map->entries[at].value != NULL &&
           (map->entries[at].hash != hash || !span_equal(map->entries[at].key, key)))
        at = (at + 1) & mask;
    return at;
}

void *map_get(const struct map *map, struct span key)
{
    if (map->count == 0)
        return NULL;
    return map->entries[map_find(map, key, hash_bytes(key, map->seed))].value;
}

static struct err map_grow(struct map *map)
{
    struct map bigger = *map;
    bigger.capacity = map->capacity == 0 ? MAP_CAPACITY_MIN : map->capacity * 2;
    bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
    if (bigger.entries == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < map->capacity; i++) {
        const struct map_entry *entry = &map->entries[i];
        if (entry->value != NULL)
            bigger.entries[map_find(&bigger, entry->key, entry->hash)] = *entry;
    }
    free(map->entries);
    *map = bigger;
    return ERR_NONE;
}

struct err map_put(struct map *map, struct span key, void *value)
{
    CHECK(value != NULL);
    if (map->count + 1 > map->capacity - map->capacity / 4)
        TRY(map_grow(map));
    uint64_t hash = hash_bytes(key, map->seed);
    size_t at = map_find(map, key, hash);
    if (map->entries[at].value != NULL)
        return err_make(ERR_EXISTS);
    map->entries[at] = (struct map_entry){.key = key, .value = value, .hash = hash};
    map->count++;
    CHECK(map->count < map->capacity);
    return ERR_NONE;
}

void *map_remove(struct map *map, struct span key)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->capacity - 1;
    size_t hole = map_find(map, key, hash_bytes(key, map->seed));
    void *value = map->entries[hole].value;
    if (value == NULL)
        return NULL;
    for (size_t at = (hole + 1) & mask; map->entries[at].value != NULL; at = (at + 1) & mask) {
        size_t home = (size_t)map->entries[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole] = (struct map_entry){0};
    map->count--;
    return value;
}

const struct map_entry *map_next(const struct map *map, size_t *position)
{
    while (*position < map->capacity) {
        const struct map_entry *entry = &map->entries[(*position)++];
        if (entry->value != NULL)
            return entry;
    }
    return NULL;
}
