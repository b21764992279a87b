/* offset_map: one array, in order of hashes but for collisions. */
#include "storage/offset_map.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

struct offset_place {
    uint64_t hash[2];
    int64_t offset_next; /* one above the offset; 0: the place is free */
};

_Static_assert(sizeof(struct offset_place) == OFFSET_PLACE_SIZE, "what the settings promise");

/* Emptier than that, a map would waste more memory than it saves time. */
#define LOAD_MIN 0.1

/* Of a map that holds nothing yet. */
#define CAPACITY_BEGIN 1024

struct err offset_map_init(struct offset_map *map, uint64_t size_max, double load,
                           const uint64_t seeds[2])
{
    CHECK(load <= 1);
    uint64_t capacity = CAPACITY_BEGIN;
    while (capacity > 2 && capacity * OFFSET_PLACE_SIZE > size_max)
        capacity /= 2;
    *map = (struct offset_map){.capacity = capacity,
                               .size_max = size_max,
                               .load = load > LOAD_MIN ? load : LOAD_MIN,
                               .seeds = {seeds[0], seeds[1]}};
    map->places = calloc(capacity, sizeof *map->places);
    return map->places == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

void offset_map_deinit(struct offset_map *map)
{
    free(map->places);
    *map = (struct offset_map){0};
}

/* The place that has the hash, or the free one where it belongs. */
static struct offset_place *find(const struct offset_map *map, const uint64_t hash[2])
{
    /* The hash as a fraction, times the capacity: no division, and any capacity will do. */
    uint64_t at = (uint64_t)(((unsigned __int128)hash[0] * map->capacity) >> 64);
    for (;;) {
        struct offset_place *place = &map->places[at];
        if (place->offset_next == 0 || (place->hash[0] == hash[0] && place->hash[1] == hash[1]))
            return place;
        at = at + 1 == map->capacity ? 0 : at + 1;
    }
}

static void hash_key(const struct offset_map *map, struct span key, uint64_t hash[2])
{
    hash[0] = hash_bytes(key, map->seeds[0]);
    hash[1] = hash_bytes(key, map->seeds[1]);
}

/* Whether one key more would be too many; one place stays free, so that each search ends. */
static bool is_full(const struct offset_map *map)
{
    return map->count != 0 && ((double)map->count >= (double)map->capacity * map->load ||
                               map->count == map->capacity - 1);
}

/* Moves to an array as large as the bound allows, at most twice as large. False where it allows
 * none. */
static bool grow(struct offset_map *map)
{
    uint64_t allowed = map->size_max / OFFSET_PLACE_SIZE;
    uint64_t capacity = allowed > map->capacity ? allowed - map->capacity : 0;
    capacity = capacity < 2 * map->capacity ? capacity : 2 * map->capacity;
    if (capacity <= map->capacity)
        return false;
    struct offset_map grown = *map;
    grown.capacity = capacity;
    grown.places = calloc(capacity, sizeof *grown.places);
    if (grown.places == NULL)
        return false;
    for (uint64_t i = 0; i < map->capacity; i++) {
        const struct offset_place *place = &map->places[i];
        if (place->offset_next != 0)
            *find(&grown, place->hash) = *place;
    }
    free(map->places);
    *map = grown;
    return true;
}

bool offset_map_put(struct offset_map *map, struct span key, int64_t offset)
{
    CHECK(offset >= 0 && offset < INT64_MAX);
    uint64_t hash[2];
    hash_key(map, key, hash);
    struct offset_place *place = find(map, hash);
    if (place->offset_next == 0 && is_full(map)) {
        if (!grow(map))
            return false;
        place = find(map, hash);
    }
    if (place->offset_next == 0) {
        map->count++;
        place->hash[0] = hash[0];
        place->hash[1] = hash[1];
    }
    CHECK(place->offset_next <= offset);
    place->offset_next = offset + 1;
    return true;
}

int64_t offset_map_get(const struct offset_map *map, struct span key)
{
    uint64_t hash[2];
    hash_key(map, key, hash);
    return find(map, hash)->offset_next - 1;
}
