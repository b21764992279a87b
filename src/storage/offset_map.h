/*
 * offset_map: the newest offset of each key, in bounded memory (Kafka's SkimpyOffsetMap).
 *
 *     a place: { 16 bytes of the key's hash | offset + 1 (8 bytes), 0: free }
 *
 * Keys are known by their hash alone: 128 bits under a seed that nobody outside knows, so that two
 * keys that share one can be neither found nor met with. Open addressing with linear probing. It
 * begins small and doubles, the old array and the new one together within the bound; what is small
 * stays in the processor's cache, too.
 *
 * One thread at a time.
 */
#ifndef HEADRACE_STORAGE_OFFSET_MAP_H
#define HEADRACE_STORAGE_OFFSET_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct offset_place;

struct offset_map {
    struct offset_place *places;
    uint64_t capacity;
    uint64_t count;
    uint64_t size_max; /* bytes */
    double load;
    uint64_t seeds[2];
};

/* What one key takes in memory. */
#define OFFSET_PLACE_SIZE 24

/* An empty map of at most size_max bytes, filled up to `load` (0 to 1), but for one key at least.
 * The caller ends with offset_map_deinit. ERR_NO_MEMORY. */
MUST_USE struct err offset_map_init(struct offset_map *map, uint64_t size_max, double load,
                                    const uint64_t seeds[2]);
void offset_map_deinit(struct offset_map *map);

/* Notes that the key's newest record has the offset. False where the key is new and the map is
 * full, or finds no memory to grow: nothing is noted. */
MUST_USE bool offset_map_put(struct offset_map *map, struct span key, int64_t offset);

/* The newest offset of the key; -1 where it is not in the map. */
int64_t offset_map_get(const struct offset_map *map, struct span key);

#endif
