/* offset_map: one array, asked for zeroed, so that the system gives its pages as they are used. */
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

struct err offset_map_init(struct offset_map *map, uint64_t count, uint64_t size_max, double load,
                           const uint64_t seeds[2])
{
    CHECK(load <= 1);
    load = load > LOAD_MIN ? load : LOAD_MIN;
    uint64_t capacity_max = size_max / OFFSET_PLACE_SIZE;
    uint64_t count_max = (uint64_t)((double)capacity_max * load);
    count_max = count_max == 0 ? 1 : count_max;
    count = count == 0 ? 1 : count;
    count = count < count_max ? count : count_max;
    /* One place stays free, so that each search ends. */
    uint64_t capacity = (uint64_t)((double)count / load) + 1;
    CHECK(count < capacity);
    *map = (struct offset_map){
        .capacity = capacity, .count_max = count, .seeds = {seeds[0], seeds[1]}};
    map->places = calloc(capacity, sizeof *map->places);
    return map->places == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

void offset_map_deinit(struct offset_map *map)
{
    free(map->places);
    *map = (struct offset_map){0};
}

/* The place that has the key, or the free one where it belongs. */
static struct offset_place *find(const struct offset_map *map, struct span key, uint64_t hash[2])
{
    hash[0] = hash_bytes(key, map->seeds[0]);
    hash[1] = hash_bytes(key, map->seeds[1]);
    /* The hash as a fraction, times the capacity: no division, and any capacity will do. */
    uint64_t at = (uint64_t)(((unsigned __int128)hash[0] * map->capacity) >> 64);
    for (;;) {
        struct offset_place *place = &map->places[at];
        if (place->offset_next == 0 || (place->hash[0] == hash[0] && place->hash[1] == hash[1]))
            return place;
        at = at + 1 == map->capacity ? 0 : at + 1;
    }
}

bool offset_map_put(struct offset_map *map, struct span key, int64_t offset)
{
    CHECK(offset >= 0 && offset < INT64_MAX);
    uint64_t hash[2];
    struct offset_place *place = find(map, key, hash);
    if (place->offset_next == 0) {
        if (map->count == map->count_max)
            return false;
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
    return find(map, key, hash)->offset_next - 1;
}
