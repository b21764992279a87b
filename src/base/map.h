/*
 * map: bytes to a pointer.
 *
 * Open addressing with linear probing and backward-shift deletion; at most three quarters full. The
 * map neither copies nor frees keys and values: a key must live and stay unchanged as long as its
 * entry does (usually it lies inside the value). One thread at a time, or under the owner's lock.
 */
#ifndef HEADRACE_BASE_MAP_H
#define HEADRACE_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct map_entry {
    struct span key;
    void *value; /* NULL: the place is free */
    uint64_t hash;
};

struct map {
    struct map_entry *entries;
    size_t count;
    size_t capacity; /* 0 or a power of two */
    uint64_t seed;   /* from the system's random source where keys come from outside */
};

void map_init(struct map *map, uint64_t seed);

/* Frees the table, not the values. */
void map_deinit(struct map *map);

/* Returns the value, or NULL where the key is not in the map. */
void *map_get(const struct map *map, struct span key);

/* Adds an entry; value is not NULL. ERR_EXISTS where the key is there, ERR_NO_MEMORY. */
MUST_USE struct err map_put(struct map *map, struct span key, void *value);

/* Removes the entry and returns its value, or NULL where there was none. */
void *map_remove(struct map *map, struct span key);

/*
 * Returns the next entry at or after *position and moves *position behind it; NULL at the end.
 * Start with 0. The map must not change meanwhile.
 */
const struct map_entry *map_next(const struct map *map, size_t *position);

#endif
