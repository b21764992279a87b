/* repeats: two sets, kept as maps whose values say nothing. */
#include "api/repeats.h"

void repeats_init(struct repeats *repeats, uint64_t seed)
{
    map_init(&repeats->seen, seed);
    map_init(&repeats->repeated, seed);
}

void repeats_deinit(struct repeats *repeats)
{
    map_deinit(&repeats->seen);
    map_deinit(&repeats->repeated);
}

struct err repeats_add(struct repeats *repeats, struct span name)
{
    struct err err = map_put(&repeats->seen, name, repeats);
    if (!err_is(err, ERR_EXISTS))
        return err;
    err = map_put(&repeats->repeated, name, repeats);
    return err_is(err, ERR_EXISTS) ? ERR_NONE : err;
}

bool repeats_has(const struct repeats *repeats, struct span name)
{
    return map_get(&repeats->repeated, name) != NULL;
}
