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
    list_init(&turn->waiting);
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
    *is_holder = turn->holder == NULL;
    if (*is_holder)
        turn->holder = delivery;
    else
        list_append(&turn->waiting, &delivery->link);
    return ERR_NONE;
}

struct delivery *turns_pass(struct turns *turns, struct delivery *delivery)
{
    struct turn *turn = delivery->turn;
    CHECK(turn != NULL && turn->holder == delivery);
    delivery->turn = NULL;
    struct list *next = list_pop(&turn->waiting);
    turn->holder = next == NULL ? NULL : LIST_ENTRY(next, struct delivery, link);
    if (turn->holder != NULL)
        return turn->holder;
    (void)map_remove(&turns->map, hash_key(&turn->hash));
    free(turn);
    return NULL;
}

void turns_give_up(struct turns *turns, struct delivery *delivery)
{
    (void)turns;
    CHECK(delivery->turn != NULL && delivery->turn->holder != delivery);
    list_remove(&delivery->link);
    delivery->turn = NULL;
}
