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
    map_init(&lane->parked, id);
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
    map_deinit(&lane->parked);
    inbox_deinit(&lane->inbox);
    free(lane);
}

static struct span offset_key(const int64_t *offset)
{
    return span_make(offset, sizeof *offset);
}

struct delivery *lane_find_parked(const struct lane *lane, int64_t offset)
{
    return map_get(&lane->parked, offset_key(&offset));
}

struct err lane_add_parked(struct lane *lane, struct delivery *delivery)
{
    return map_put(&lane->parked, offset_key(&delivery->message.offset), delivery);
}

void lane_remove_parked(struct lane *lane, const struct delivery *delivery)
{
    const void *removed = map_remove(&lane->parked, offset_key(&delivery->message.offset));
    CHECK(removed == delivery);
}

bool lane_is_behind(const struct lane *lane)
{
    return progress_base(&lane->progress) != lane->committed;
}
