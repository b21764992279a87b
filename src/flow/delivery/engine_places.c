/* engine_places: partitions that come, go, and come again. */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "flow/delivery/engine_internal.h"

/* --- coming ------------------------------------------------------------------------------- */

/* The flow's own text of a topic, which outlives every lane. */
static const char *own_topic(const struct engine *engine, const char *topic)
{
    const struct flow *flow = engine->settings.flow;
    for (size_t i = 0; i < flow->events.count; i++) {
        const char *own = flow_event_at(flow, i)->topic.text;
        if (strcmp(own, topic) == 0)
            return own;
    }
    return NULL;
}

struct err engine_places_given(struct engine *engine, const struct client_event *event,
                               struct diag *diag)
{
    struct engine_arrival *arrival = &engine->lanes.arrival;
    CHECK(arrival->places == NULL);
    arrival->places = calloc(event->place_count, sizeof *arrival->places);
    if (arrival->places == NULL)
        return err_make(ERR_NO_MEMORY);
    arrival->count = event->place_count;
    arrival->due_ms = engine_now_ms(engine);
    for (size_t i = 0; i < event->place_count; i++) {
        arrival->places[i] = event->places[i];
        arrival->places[i].topic = own_topic(engine, event->places[i].topic);
        if (arrival->places[i].topic == NULL)
            return diag_fail(diag, ERR_INVALID, "partitions of %s were given, which no event has",
                             event->places[i].topic);
    }
    return ERR_NONE;
}

/* Where a handler begins that has committed nothing yet. */
static struct err find_start(struct engine *engine, const struct lane *lane, int64_t *out,
                             struct diag *diag)
{
    struct client_offset place = {
        .topic = lane->topic, .partition = lane->partition, .offset = engine->rule.from};
    TRY(client_offsets_find(engine->settings.receiver, &place, 1, diag));
    if (place.offset < 0) { /* a time that no record has reached yet */
        place.offset = CLIENT_OFFSET_LATEST;
        TRY(client_offsets_find(engine->settings.receiver, &place, 1, diag));
    }
    *out = place.offset;
    return ERR_NONE;
}

/* Opens the books of a place, after what was committed about it; its companions are read first. */
static struct err open_lane(struct engine *engine, struct client_offset *place, struct diag *diag)
{
    struct lane *lane;
    TRY(lane_create(place->topic, place->partition, engine->lanes.next_id++, &lane));
    list_append(&engine->lanes.all, &lane->link);
    TRY(map_put(&engine->lanes.by_place, lane->key, lane));
    TRY(engine_want_companions(engine, lane));
    lane->committed = place->offset;
    lane->generation = client_generation(engine->settings.receiver);
    if (place->offset < 0)
        TRY(find_start(engine, lane, &place->offset, diag));
    struct progress_place where = {engine->settings.cluster, lane->topic, lane->partition};
    bool is_believed;
    progress_init(&lane->progress, place->offset);
    TRY(progress_load(&lane->progress, &where, place->metadata, &is_believed));
    if (!is_believed)
        flow_say(engine->settings.log, FLOW_LOG_WARN, engine->settings.handler->name.text,
                 "%s %d: the metadata at offset %lld was not written for it and is ignored",
                 lane->topic, lane->partition, (long long)place->offset);
    return ERR_NONE;
}

/* Opens lanes for all places, or for none. */
static struct err open_lanes(struct engine *engine, struct arena *arena, struct diag *diag)
{
    struct engine_arrival *arrival = &engine->lanes.arrival;
    uint64_t first_id = engine->lanes.next_id;
    struct err err =
        client_committed(engine->settings.receiver, arrival->places, arrival->count, arena, diag);
    for (size_t i = 0; i < arrival->count && !err_failed(err); i++)
        err = open_lane(engine, &arrival->places[i], diag);
    if (!err_failed(err))
        return ERR_NONE;
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->id >= first_id)
            engine_free_lane(engine, lane);
    }
    return err;
}

/* Takes the places, as all is known about them. */
static struct err take_places(struct engine *engine, struct diag *diag)
{
    struct engine_arrival *arrival = &engine->lanes.arrival;
    struct client *receiver = engine->settings.receiver;
    TRY(client_take(receiver, arrival->places, arrival->count, diag));
    if (engine->lanes.is_paused)
        TRY(client_pause(receiver, arrival->places, arrival->count, true, diag));
    free(arrival->places);
    *arrival = (struct engine_arrival){0};
    engine->writing.are_offsets_due = true; /* where they begin is committed at once */
    return ERR_NONE;
}

/* Opens lanes whose companions are read, and takes their places with the last of them. */
static struct err end_loading(struct engine *engine, struct diag *diag)
{
    const struct engine_arrival *arrival = &engine->lanes.arrival;
    LIST_EACH (&engine->lanes.all, link) {
        const struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state == LANE_LOADING && !engine_has_companions(engine, lane))
            return ERR_NONE;
    }
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state != LANE_LOADING)
            continue;
        TRY(engine_queue_parked(engine, lane));
        engine_want_no_inbox(engine, lane); /* what is done from now on, this process does */
        lane->state = LANE_OPEN;
    }
    return arrival->places == NULL ? ERR_NONE : take_places(engine, diag);
}

/* Opens lanes, once the group's coordinator has told where to begin. */
static struct err arrive(struct engine *engine, struct diag *diag)
{
    struct engine_arrival *arrival = &engine->lanes.arrival;
    struct arena arena;
    if (arrival->is_loading)
        return end_loading(engine, diag);
    arena_init(&arena, COMMIT_SIZE_MAX);
    struct err err = open_lanes(engine, &arena, diag);
    arena_deinit(&arena);
    arrival->is_loading = !err_failed(err);
    if (err_failed(err)) { /* a transaction is ending, or nobody answers: it will pass */
        if (!arrival->is_told && !err_is(err, ERR_AGAIN))
            flow_say(engine->settings.log, FLOW_LOG_WARN, engine->settings.handler->name.text,
                     "where to go on is not known yet: %s", diag->text);
        arrival->is_told = true;
        arrival->due_ms = engine_now_ms(engine) + ARRIVAL_RETRY_MS;
        return ERR_NONE;
    }
    return ERR_NONE;
}

/* --- going -------------------------------------------------------------------------------- */

/* It is not found by its place any more. */
static void hide_lane(struct engine *engine, struct lane *lane)
{
    if (map_get(&engine->lanes.by_place, lane->key) == lane)
        (void)map_remove(&engine->lanes.by_place, lane->key);
    if (engine->lanes.last == lane)
        engine->lanes.last = NULL;
    engine_want_no_companions(engine, lane);
}

void engine_free_lane(struct engine *engine, struct lane *lane)
{
    hide_lane(engine, lane);
    lane_destroy(lane);
}

void engine_lose_lane(struct engine *engine, struct lane *lane)
{
    lane->state = LANE_GONE;
    engine->lanes.has_odd = true;
    hide_lane(engine, lane);
    timer_cancel(&lane->stall);
    /* From the last to the first, so that none of them is called in between. */
    for (struct list *link = lane->deliveries.prev; link != &lane->deliveries;) {
        struct delivery *delivery = LIST_ENTRY(link, struct delivery, lane_link);
        link = link->prev;
        if (delivery->state != DELIVERY_SEALED)
            engine_drop(engine, delivery);
    }
}

struct err engine_places_asked_back(struct engine *engine, const struct client_event *event,
                                    struct diag *diag)
{
    (void)diag;
    engine->lanes.is_revoking = true;
    if (!engine->is_draining)
        engine->lanes.drain_until_ms = engine_now_ms(engine) + engine->rule.drain_ms;
    for (size_t i = 0; i < event->place_count; i++) {
        struct lane *lane =
            engine_find_lane(engine, event->places[i].topic, event->places[i].partition);
        if (lane != NULL)
            lane->state = LANE_DRAINING;
    }
    return ERR_NONE;
}

struct err engine_places_lost(struct engine *engine, const struct client_event *event,
                              struct diag *diag)
{
    flow_say(engine->settings.log, FLOW_LOG_WARN, engine->settings.handler->name.text,
             "%zu partitions were taken away; others go on with them", event->place_count);
    for (size_t i = 0; i < event->place_count; i++) {
        struct lane *lane =
            engine_find_lane(engine, event->places[i].topic, event->places[i].partition);
        if (lane != NULL)
            engine_lose_lane(engine, lane);
    }
    (void)diag;
    engine->lanes.is_revoking = true; /* though there is nothing to drain */
    return ERR_NONE;
}

/* Drops what a draining lane will not call any more. Whether nothing is left to wait for. */
static bool drain_lane(struct engine *engine, struct lane *lane)
{
    for (struct list *link = lane->deliveries.prev; link != &lane->deliveries;) {
        struct delivery *delivery = LIST_ENTRY(link, struct delivery, lane_link);
        link = link->prev;
        if (delivery->state == DELIVERY_QUEUED || delivery->state == DELIVERY_READY ||
            delivery->state == DELIVERY_PAUSING)
            engine_drop(engine, delivery);
    }
    return list_is_empty(&lane->deliveries) && !lane_is_behind(lane);
}

/*
 * Goes on with lanes that drain. *is_over: none is left, and no commit names one that is gone.
 * While one does, the places must not be let go: as soon as they are, this process may be a member
 * in good standing again, and the group would take the commit.
 */
static void drain_lanes(struct engine *engine, bool *is_over)
{
    bool is_late = engine->wheel.now_ms >= engine->lanes.drain_until_ms;
    *is_over = true;
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state == LANE_GONE && lane->is_in_commit)
            *is_over = false;
        if (lane->state != LANE_DRAINING)
            continue;
        bool is_empty = drain_lane(engine, lane);
        if (!is_empty && is_late) {
            engine_lose_lane(engine, lane);
            *is_over = *is_over && !lane->is_in_commit;
        } else if (is_empty) {
            engine_free_lane(engine, lane);
        } else {
            *is_over = false;
        }
    }
}

static void free_gone_lanes(struct engine *engine)
{
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state == LANE_GONE && list_is_empty(&lane->deliveries) && !lane->is_in_commit)
            engine_free_lane(engine, lane);
    }
}

/* --- staying ------------------------------------------------------------------------------ */

/* Reads on at another offset, as nothing is at the lane's any more: it was deleted by retention,
 * or the topic was made anew. */
struct err engine_place_reset(struct engine *engine, const struct client_event *event,
                              struct diag *diag)
{
    struct lane *lane = engine_find_lane(engine, event->message.topic, event->message.partition);
    if (lane == NULL || lane->state != LANE_OPEN)
        return ERR_NONE;
    struct client_offset place = {
        .topic = lane->topic, .partition = lane->partition, .offset = CLIENT_OFFSET_EARLIEST};
    TRY(client_offsets_find(engine->settings.receiver, &place, 1, diag));
    flow_say(engine->settings.log, FLOW_LOG_ERROR, engine->settings.handler->name.text,
             "%s %d: offset %lld is gone, reading goes on at %lld", lane->topic, lane->partition,
             (long long)lane->progress.position, (long long)place.offset);
    if (place.offset >= lane->progress.position) {
        progress_reach(&lane->progress, place.offset);
        return client_take(engine->settings.receiver, &place, 1, diag);
    }
    /* The log has become another one: what is known of the old one means nothing in it. Nor does
     * what was parked of it, so nothing is to be read before. */
    engine_lose_lane(engine, lane);
    struct client_offset begin = place;
    TRY(open_lane(engine, &begin, diag));
    lane = LIST_ENTRY(engine->lanes.all.prev, struct lane, link);
    lane->committed = -1;
    lane->parked_next =
        companion_seen(&engine->parking.companion, engine->records.parked_topic, lane->partition);
    engine_want_no_inbox(engine, lane);
    lane->state = LANE_OPEN;
    return client_take(engine->settings.receiver, &place, 1, diag);
}

static void stall_over(struct timer *timer)
{
    (void)timer; /* that it is not set any more tells */
}

struct err engine_stall_lane(struct engine *engine, struct lane *lane, struct diag *diag)
{
    const struct client_offset place = {.topic = lane->topic, .partition = lane->partition};
    lane->is_stalled = true;
    engine->lanes.has_odd = true;
    timer_init(&lane->stall, stall_over);
    wheel_set(&engine->wheel, &lane->stall, engine->wheel.now_ms + STALL_MS);
    return client_pause(engine->settings.receiver, &place, 1, true, diag);
}

static struct err end_stalls(struct engine *engine, struct diag *diag)
{
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (!lane->is_stalled || lane->state != LANE_OPEN || timer_is_set(&lane->stall))
            continue;
        struct client_offset place = {
            .topic = lane->topic, .partition = lane->partition, .offset = lane->progress.position};
        TRY(client_take(engine->settings.receiver, &place, 1, diag));
        if (!engine->lanes.is_paused)
            TRY(client_pause(engine->settings.receiver, &place, 1, false, diag));
        lane->is_stalled = false;
    }
    return ERR_NONE;
}

/* Frees lanes that are gone and reads stalled ones again; notes whether some are left. */
static struct err mind_odd_lanes(struct engine *engine, struct diag *diag)
{
    free_gone_lanes(engine);
    TRY(end_stalls(engine, diag));
    engine->lanes.has_odd = false;
    LIST_EACH (&engine->lanes.all, link) {
        const struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state == LANE_GONE || lane->is_stalled)
            engine->lanes.has_odd = true;
    }
    return ERR_NONE;
}

struct err engine_step_places(struct engine *engine, struct diag *diag)
{
    struct engine_lanes *lanes = &engine->lanes;
    if (lanes->arrival.places != NULL && !engine->is_draining &&
        engine->wheel.now_ms >= lanes->arrival.due_ms)
        TRY(arrive(engine, diag));
    if (lanes->is_revoking || engine->is_draining) {
        bool is_over;
        drain_lanes(engine, &is_over);
        if (is_over && lanes->is_revoking) {
            lanes->is_revoking = false;
            TRY(client_release(engine->settings.receiver, diag));
        }
    }
    return lanes->has_odd ? mind_odd_lanes(engine, diag) : ERR_NONE;
}
