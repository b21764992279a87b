/* offsets_expire: offsets that nobody renewed in time, and groups of which nothing else is left. */
#include "coord/offsets_internal.h"

/*
 * Whether the time is over for which a value is kept: since the commit, or since the group became
 * empty. A retention time that came with the commit counts from the commit alone.
 */
static bool is_outdated(const struct group *group, const struct committed_value *value,
                        int64_t now_ms, int64_t kept_ms)
{
    if (value->expire_ms >= 0)
        return now_ms >= value->expire_ms;
    bool is_simple = span_is_null(group->protocol_type) || group->protocol_type.size == 0;
    int64_t since_ms = value->commit_ms;
    if (!is_simple && group->state == GROUP_EMPTY && group->state_ms > since_ms)
        since_ms = group->state_ms;
    return now_ms - since_ms >= kept_ms;
}

/* Kafka's rule: while the group lives, what it no longer subscribes to; once empty, all of it. */
static bool has_expired(const struct group *group, struct committed *committed, int64_t now_ms,
                        int64_t kept_ms)
{
    offsets_settle(group, committed);
    bool is_stable = committed->latest_end == 0 && list_is_empty(&committed->pending);
    if (!is_stable || !is_outdated(group, &committed->shown, now_ms, kept_ms))
        return false;
    return group->state == GROUP_EMPTY || !group_may_read(group, committed_topic(committed));
}

/* Removes a group's expired offsets, and the group itself when nothing is left of it. */
static void expire_group(struct group *group, int64_t now_ms, int64_t kept_ms)
{
    struct coord *coord = group->coord;
    struct internal_batch batch;
    internal_batch_init(&batch, now_ms);
    size_t position = 0;
    size_t expired = 0;
    const struct map_entry *entry;
    struct err err = ERR_NONE;
    while (!err_failed(err) && (entry = map_next(&group->offsets, &position)) != NULL) {
        struct committed *committed = entry->value;
        if (!has_expired(group, committed, now_ms, kept_ms))
            continue;
        expired++;
        err = group_log_add_offset_tombstone(group, committed_topic(committed),
                                             committed_partition(committed), &batch);
    }
    bool is_over = group->state == GROUP_EMPTY && expired == group->offsets.count &&
                   group->pending.count == 0 && group->write_count == 0;
    if (!err_failed(err) && is_over && group->generation > 0)
        err = group_log_add_tombstone(group, &batch);
    int64_t unused;
    if (!err_failed(err) && batch.record_count > 0)
        err = internal_batch_append(&batch, coord_partition(coord, group->partition_index), &unused,
                                    NULL);
    internal_batch_deinit(&batch);
    position = 0;
    while (!err_failed(err) && expired > 0 &&
           (entry = map_next(&group->offsets, &position)) != NULL) {
        if (!has_expired(group, entry->value, now_ms, kept_ms))
            continue;
        offsets_remove(group, entry->value);
        position--;
    }
    if (!err_failed(err) && is_over)
        coord_drop_group(coord, group);
}

void offsets_expire_fired(struct timer *timer)
{
    struct coord *coord = LIST_ENTRY(timer, struct coord, expiry);
    int64_t kept_ms = config_number(coord->config, CONFIG_OFFSETS_RETENTION_MINUTES) * 60 * 1000;
    int64_t now_ms = clock_wall_ms(coord->clock);
    struct list all;
    list_init(&all);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        struct group *group = entry->value;
        if (coord->state.loads[group->partition_index].state == LOAD_DONE)
            list_append(&all, &group->work);
    }
    for (struct list *link = list_pop(&all); link != NULL; link = list_pop(&all))
        expire_group(LIST_ENTRY(link, struct group, work), now_ms, kept_ms);
    coord_set_timer(coord, timer,
                    config_number(coord->config, CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS));
}
