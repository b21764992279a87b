/* lane: a partition's books. */
#include "flow/delivery/lane.h"

#include <stdlib.h>

#include "base/check.h"

struct err lane_create(const char *topic, int32_t partition, uint64_t id, struct lane **out)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return err_make(ERR_NO_MEMORY);
    lane->topic = topic;
    lane->partition = partition;
    lane->id = id;
    lane->committed = -1;
    list_init(&lane->link);
    list_init(&lane->deliveries);
    progress_init(&lane->progress, 0);
    timer_init(&lane->stall, NULL);
    *out = lane;
    return ERR_NONE;
}

void lane_destroy(struct lane *lane)
{
    if (lane == NULL)
        return;
    CHECK(list_is_empty(&lane->deliveries));
    timer_cancel(&lane->stall);
    list_remove(&lane->link);
    progress_deinit(&lane->progress);
    free(lane);
}

bool lane_is_behind(const struct lane *lane)
{
    return progress_base(&lane->progress) != lane->committed;
}
