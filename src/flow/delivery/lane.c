/* lane: a partition's books. */
#include "flow/delivery/lane.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"

struct span lane_write_key(const char *topic, int32_t partition, uint8_t *bytes)
{
    size_t size = strlen(topic);
    CHECK(size <= LANE_KEY_SIZE_MAX - 4);
    store_i32(bytes, partition);
    memcpy(bytes + 4, topic, size);
    return span_make(bytes, 4 + size);
}

struct err lane_create(const char *topic, int32_t partition, uint64_t id, struct lane **out)
{
    struct lane *lane = calloc(1, sizeof *lane + LANE_KEY_SIZE_MAX);
    if (lane == NULL)
        return err_make(ERR_NO_MEMORY);
    lane->topic = topic;
    lane->partition = partition;
    lane->id = id;
    lane->committed = -1;
    lane->key = lane_write_key(topic, partition, (uint8_t *)(lane + 1));
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
