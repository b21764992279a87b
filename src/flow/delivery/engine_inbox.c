/* engine_inbox: events that come twice. */
#include <string.h>

#include "base/check.h"
#include "flow/delivery/engine_internal.h"

static int64_t wall_ms(const struct engine *engine)
{
    return clock_wall_ms(engine->settings.clock);
}

void engine_identify(const struct engine *engine, struct delivery *delivery,
                     const struct cloudevent *event)
{
    if (engine->rule.inbox_ms > 0 && !span_is_null(event->id))
        delivery->id = inbox_id_of(event->source, event->id);
}

bool engine_is_repeated(const struct engine *engine, const struct delivery *delivery)
{
    return !inbox_id_is_none(delivery->id) &&
           inbox_has(&delivery->lane->inbox, delivery->id, wall_ms(engine));
}

struct err engine_remember(struct engine *engine, struct delivery *delivery)
{
    if (inbox_id_is_none(delivery->id))
        return ERR_NONE;
    return inbox_add(&delivery->lane->inbox, delivery->id, wall_ms(engine));
}

void engine_unremember(struct delivery *delivery)
{
    if (!inbox_id_is_none(delivery->id) && delivery->state == DELIVERY_FINISHED)
        inbox_remove(&delivery->lane->inbox, delivery->id);
    delivery->id = (struct inbox_id){0, 0};
}

/* --- writing ------------------------------------------------------------------------------ */

/* Whether the delivery's id is to be in the commit that it is in: it is done, and for the first
 * time. */
static bool is_remembered(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_SEALED && !inbox_id_is_none(delivery->id) &&
           delivery->parking != PARKING_SOON && delivery->parking != PARKING_AGAIN;
}

/* Adds the lane's record, where it has done something. */
static struct err add_inbox(struct engine *engine, const struct lane *lane)
{
    struct commit *commit = &engine->writing.commit;
    size_t size = (size_t)lane->sealed_count * INBOX_ID_SIZE;
    uint8_t *bytes = arena_alloc(&commit->arena, size);
    if (bytes == NULL)
        return err_make(ERR_NO_MEMORY);
    size = 0;
    LIST_EACH (&commit->deliveries, link) {
        const struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
        if (delivery->lane != lane || !is_remembered(delivery))
            continue;
        inbox_write_id(delivery->id, bytes + size);
        size += INBOX_ID_SIZE;
    }
    if (size > 0)
        commit->records[commit->record_count++] =
            (struct client_message){.topic = engine->records.inbox_topic,
                                    .partition = lane->partition,
                                    .timestamp_ms = wall_ms(engine),
                                    .key = span_text(lane->topic),
                                    .value = span_make(bytes, size)};
    return ERR_NONE;
}

struct err engine_add_inboxes(struct engine *engine)
{
    struct commit *commit = &engine->writing.commit;
    commit->record_count = 0;
    if (engine->rule.inbox_ms == 0)
        return ERR_NONE;
    commit->records =
        arena_alloc_array(&commit->arena, commit->offset_count, sizeof *commit->records);
    if (commit->records == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < commit->offset_count; i++) {
        if (commit->lanes[i]->sealed_count > 0)
            TRY(add_inbox(engine, commit->lanes[i]));
    }
    return ERR_NONE;
}

/* --- reading ------------------------------------------------------------------------------ */

struct err engine_want_inbox(struct engine *engine, struct lane *lane)
{
    if (engine->rule.inbox_ms == 0)
        return ERR_NONE;
    inbox_init(&lane->inbox, engine->rule.inbox_ms, random_u64(engine->settings.random));
    TRY(companion_want(&engine->parking.companion, engine->records.inbox_topic, lane->partition,
                       wall_ms(engine) - engine->rule.inbox_ms));
    lane->has_inbox_wanted = true;
    return ERR_NONE;
}

void engine_want_no_inbox(struct engine *engine, struct lane *lane)
{
    if (lane->has_inbox_wanted)
        companion_want_no(&engine->parking.companion, engine->records.inbox_topic, lane->partition);
    lane->has_inbox_wanted = false;
}

bool engine_has_inbox(const struct engine *engine, const struct lane *lane)
{
    return !lane->has_inbox_wanted ||
           companion_is_loaded(&engine->parking.companion, engine->records.inbox_topic,
                               lane->partition);
}

struct err engine_load_inbox(struct engine *engine, const struct client_message *record)
{
    char topic[LANE_KEY_SIZE_MAX];
    if (span_is_null(record->key) || record->key.size >= sizeof topic)
        return ERR_NONE;
    memcpy(topic, record->key.data, record->key.size);
    topic[record->key.size] = '\0';
    struct lane *lane = engine_find_lane(engine, topic, record->partition);
    if (lane == NULL || lane->state != LANE_LOADING)
        return ERR_NONE;
    return inbox_load(&lane->inbox, record->value, record->timestamp_ms);
}
