/* turns: who of a key is next. */
#include "flow/delivery/turns.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

void turns_init(struct turns *turns, uint64_t seed)
{
    *turns = (struct turns){.seed = seed};
    map_init(&turns->map, seed);
}

void turns_deinit(struct turns *turns)
{
    CHECK(turns->map.count == 0);
    map_deinit(&turns->map);
}

static struct span hash_key(const uint64_t *hash)
{
    return span_make(hash, sizeof *hash);
}

static struct err find_or_make(struct turns *turns, uint64_t hash, struct turn **out)
{
    *out = map_get(&turns->map, hash_key(&hash));
    if (*out != NULL)
        return ERR_NONE;
    struct turn *turn = malloc(sizeof *turn);
    if (turn == NULL)
        return err_make(ERR_NO_MEMORY);
    *turn = (struct turn){.hash = hash};
    list_init(&turn->deliveries);
    struct err err = map_put(&turns->map, hash_key(&turn->hash), turn);
    if (err_failed(err)) {
        free(turn);
        return err;
    }
    *out = turn;
    return ERR_NONE;
}

struct err turns_ask(struct turns *turns, struct delivery *delivery, uint64_t lane_id,
                     struct span key, bool *is_holder)
{
    CHECK(delivery->state == DELIVERY_QUEUED && delivery->turn == NULL);
    struct turn *turn;
    TRY(find_or_make(turns, hash_bytes(key, turns->seed ^ lane_id), &turn));
    delivery->turn = turn;
    *is_holder = list_is_empty(&turn->deliveries);
    list_append(&turn->deliveries, &delivery->turn_link);
    return ERR_NONE;
}

bool turns_is_holder(const struct delivery *delivery)
{
    return delivery->turn == NULL || delivery->turn->deliveries.next == &delivery->turn_link;
}

static struct delivery *at_link(const struct delivery *delivery, struct list *link)
{
    bool is_end = delivery->turn == NULL || link == &delivery->turn->deliveries;
    return is_end ? NULL : LIST_ENTRY(link, struct delivery, turn_link);
}

struct delivery *turns_before(const struct delivery *delivery)
{
    return at_link(delivery, delivery->turn_link.prev);
}

struct delivery *turns_behind(const struct delivery *delivery)
{
    return at_link(delivery, delivery->turn_link.next);
}

struct delivery *turns_leave(struct turns *turns, struct delivery *delivery)
{
    struct turn *turn = delivery->turn;
    if (turn == NULL)
        return NULL;
    bool was_holder = turns_is_holder(delivery);
    struct delivery *next = turns_behind(delivery);
    list_remove(&delivery->turn_link);
    delivery->turn = NULL;
    if (was_holder && next != NULL)
        return next;
    if (list_is_empty(&turn->deliveries)) {
        (void)map_remove(&turns->map, hash_key(&turn->hash));
        free(turn);
    }
    return NULL;
}
