/* engine_parking: events that wait in the parked topic, from there and back. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "flow/delivery/engine_internal.h"

void engine_init_parking(struct engine *engine)
{
    companion_init(&engine->parking.companion, engine->settings.reader);
}

void engine_deinit_parking(struct engine *engine)
{
    companion_deinit(&engine->parking.companion);
}

struct engine_load *engine_load_of(struct engine *engine, const struct delivery *delivery)
{
    return delivery_is_parked(delivery) ? &engine->parking.load : &engine->load;
}

/* --- going there -------------------------------------------------------------------------- */

static bool is_full(const struct engine *engine)
{
    return engine->parking.load.count >= PARKED_COUNT_MAX ||
           engine->parking.load.size >= PARKED_SIZE_MAX;
}

/* Whether most of what may be in flight is. */
static bool is_crowded(const struct engine *engine)
{
    return engine->load.count >= engine->rule.in_flight_count / 100 * PARK_CROWDED_PERCENT ||
           engine->load.size >= engine->rule.in_flight_size / 100 * PARK_CROWDED_PERCENT;
}

/* Says once that no more is parked. */
static void tell_full(struct engine *engine)
{
    if (!engine->parking.is_full)
        flow_say(engine->settings.log, FLOW_LOG_WARN, engine->settings.handler->name.text,
                 "%zu events are parked, and no more will be: others wait in flight",
                 engine->parking.load.count);
    engine->parking.is_full = true;
}

/* Its record goes with the next commit; false: there is no room for it. */
static bool write_record(struct engine *engine, struct delivery *delivery)
{
    bool is_new = delivery->parking == PARKING_NONE;
    if (is_new && is_full(engine)) {
        tell_full(engine);
        return false;
    }
    int64_t pause_ms = delivery->due_ms - engine_now_ms(engine);
    int64_t due_ms = clock_wall_ms(engine->settings.clock) + (pause_ms < 0 ? 0 : pause_ms);
    if (is_new && err_failed(lane_add_parked(delivery->lane, delivery)))
        return false;
    arena_reset(&engine->scratch);
    if (err_failed(records_park(&engine->records, delivery, due_ms, &engine->scratch))) {
        if (is_new)
            lane_remove_parked(delivery->lane, delivery);
        return false;
    }
    delivery->parking = is_new ? PARKING_SOON : PARKING_AGAIN;
    engine_await_commit(engine, delivery);
    metric_add(&engine->counts.parked, 1);
    return true;
}

bool engine_park(struct engine *engine, struct delivery *delivery, int64_t pause_ms)
{
    bool is_long =
        pause_ms > PARK_AFTER_MS || (pause_ms > PARK_CROWDED_AFTER_MS && is_crowded(engine));
    /* While nothing is called, everything waits: an outage would park it all. */
    if (!is_long || engine->circuit.state != CIRCUIT_CLOSED)
        return false;
    delivery->due_ms = engine_now_ms(engine) + 1 + pause_ms;
    if (!write_record(engine, delivery))
        return false;
    bool is_parked = true;
    for (struct delivery *next = turns_behind(delivery); next != NULL && is_parked;
         next = turns_behind(next))
        is_parked = next->parking != PARKING_NONE || write_record(engine, next);
    return true;
}

void engine_park_behind(struct engine *engine, struct delivery *delivery)
{
    const struct delivery *before = turns_before(delivery);
    if (before != NULL && before->parking != PARKING_NONE && delivery->state == DELIVERY_QUEUED)
        (void)write_record(engine, delivery);
}

/* It is held beside those in flight from now on. */
static void count_as_parked(struct engine *engine, struct delivery *delivery)
{
    delivery->parking = PARKING_DONE;
    engine->parking.load.count++;
    engine->parking.load.size += delivery->size;
}

void engine_take_parked(struct engine *engine, struct delivery *delivery)
{
    list_remove(&delivery->link);
    delivery_clear_outputs(delivery);
    if (delivery->parking == PARKING_SOON) {
        engine->load.count--;
        engine->load.size -= delivery->size;
        count_as_parked(engine, delivery);
    }
    delivery->parking = PARKING_DONE;
    if (delivery->lane->state == LANE_GONE)
        engine_forget(engine, delivery);
    else if (turns_is_holder(delivery))
        engine_go_on(engine, delivery);
    else
        delivery_move(delivery, DELIVERY_QUEUED);
}

void engine_give_up_parking(struct engine *engine, struct delivery *delivery)
{
    if (delivery->parking == PARKING_SOON) {
        lane_remove_parked(delivery->lane, delivery);
        delivery->parking = PARKING_NONE;
    } else if (delivery->parking == PARKING_AGAIN) {
        delivery->parking = PARKING_DONE;
    }
    engine_leave_turn(engine, delivery);
}

/* --- coming back -------------------------------------------------------------------------- */

struct err engine_want_companions(struct engine *engine, struct lane *lane)
{
    TRY(companion_want(&engine->parking.companion, engine->records.parked_topic, lane->partition,
                       CLIENT_OFFSET_EARLIEST));
    lane->is_following = true;
    return engine_want_inbox(engine, lane);
}

void engine_want_no_companions(struct engine *engine, struct lane *lane)
{
    if (lane->is_following)
        companion_want_no(&engine->parking.companion, engine->records.parked_topic,
                          lane->partition);
    lane->is_following = false;
    engine_want_no_inbox(engine, lane);
}

bool engine_has_companions(const struct engine *engine, const struct lane *lane)
{
    return companion_is_loaded(&engine->parking.companion, engine->records.parked_topic,
                               lane->partition) &&
           engine_has_inbox(engine, lane);
}

/* Reads its event for its id. What cannot be read has none, and becomes a dead letter. */
static void identify(struct engine *engine, struct delivery *delivery)
{
    struct cloudevent event;
    struct diag ignored;
    if (engine->rule.inbox_ms > 0 &&
        !err_failed(cloudevent_read(&delivery->message, engine->records.json, &engine->scratch,
                                    &event, &ignored)))
        engine_identify(engine, delivery, &event);
}

/* Makes a delivery of what is parked; it is in no turn yet. */
static struct err take_event(struct engine *engine, struct lane *lane, const struct parked *parked,
                             struct delivery **out)
{
    struct delivery *delivery;
    int64_t pause_ms = parked->due_ms - clock_wall_ms(engine->settings.clock);
    TRY(delivery_create(&parked->event, &delivery));
    struct err err = lane_add_parked(lane, delivery);
    if (err_failed(err)) {
        delivery_destroy(delivery);
        return err;
    }
    delivery->lane = lane;
    delivery->message.topic = lane->topic;
    delivery->attempts = (uint32_t)parked->attempts;
    delivery->is_unjudged = parked->is_unjudged;
    identify(engine, delivery);
    if (pause_ms > 0) /* by clocks that may differ */
        delivery->due_ms =
            engine_now_ms(engine) + (pause_ms < RETRY_AFTER_MS_MAX ? pause_ms : RETRY_AFTER_MS_MAX);
    list_append(&lane->deliveries, &delivery->lane_link);
    count_as_parked(engine, delivery);
    *out = delivery;
    return ERR_NONE;
}

/* What the last record of each place says counts. */
static struct err load_event(struct engine *engine, struct lane *lane, const struct parked *parked,
                             bool is_gone)
{
    struct delivery *known = lane_find_parked(lane, parked->event.offset);
    if (known != NULL)
        engine_forget(engine, known);
    return is_gone ? ERR_NONE : take_event(engine, lane, parked, &known);
}

/* An event that is sent to the handler again. What was parked by this or another process is known,
 * or is another's by now. */
static struct err take_sent_event(struct engine *engine, struct lane *lane,
                                  const struct parked *parked)
{
    struct delivery *delivery;
    if (!span_is_null(parked->writer) || lane_find_parked(lane, parked->event.offset) != NULL)
        return ERR_NONE;
    TRY(take_event(engine, lane, parked, &delivery));
    struct err err = engine_queue(engine, delivery);
    if (err_failed(err))
        engine_drop(engine, delivery);
    return err;
}

static struct err take_record(struct engine *engine, const struct client_message *record,
                              bool is_again)
{
    struct parked parked;
    bool is_parked;
    bool is_gone;
    if (strcmp(record->topic, engine->records.inbox_topic) == 0)
        return engine_load_inbox(engine, record);
    arena_reset(&engine->scratch);
    TRY(parked_read(record, &engine->scratch, &parked, &is_parked, &is_gone));
    if (!is_parked && !is_again)
        engine_obey(engine, record);
    if (!is_parked || parked.event.partition != record->partition)
        return ERR_NONE;
    struct lane *lane = engine_find_lane(engine, parked.event.topic, parked.event.partition);
    if (lane == NULL || record->offset < lane->parked_next)
        return ERR_NONE;
    lane->parked_next = record->offset + 1;
    if (lane->state == LANE_LOADING)
        return load_event(engine, lane, &parked, is_gone);
    if (lane->state == LANE_OPEN && !is_gone)
        return take_sent_event(engine, lane, &parked);
    return ERR_NONE;
}

/* --- loading ------------------------------------------------------------------------------ */

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = (*(struct delivery *const *)a)->message.offset;
    int64_t right = (*(struct delivery *const *)b)->message.offset;
    return left < right ? -1 : left > right;
}

/* Drops what was parked by a commit whose offset was never written: its own partition will bring
 * it. */
static void drop_undone(struct engine *engine, struct lane *lane)
{
    LIST_EACH (&lane->deliveries, link) {
        struct delivery *delivery = LIST_ENTRY(link, struct delivery, lane_link);
        if (!progress_is_done(&lane->progress, delivery->message.offset))
            engine_forget(engine, delivery);
    }
}

struct err engine_queue_parked(struct engine *engine, struct lane *lane)
{
    size_t count = 0;
    drop_undone(engine, lane);
    if (list_is_empty(&lane->deliveries))
        return ERR_NONE;
    struct delivery **sorted = calloc(lane->parked.count, sizeof(struct delivery *));
    if (sorted == NULL)
        return err_make(ERR_NO_MEMORY);
    LIST_EACH (&lane->deliveries, link)
        sorted[count++] = LIST_ENTRY(link, struct delivery, lane_link);
    CHECK(count == lane->parked.count);
    qsort(sorted, count, sizeof(struct delivery *), compare_offsets);
    struct err err = ERR_NONE;
    for (size_t i = 0; i < count && !err_failed(err); i++) {
        list_remove(&sorted[i]->lane_link);
        list_append(&lane->deliveries, &sorted[i]->lane_link);
        err = engine_queue(engine, sorted[i]);
    }
    free(sorted);
    if (!err_failed(err))
        flow_say(engine->settings.log, FLOW_LOG_INFO, engine->settings.handler->name.text,
                 "%s %d: %zu events are parked", lane->topic, lane->partition, count);
    return err;
}

/* Whether records are to be read: of a full house, for lanes that could not open otherwise alone.
 */
static bool may_read(const struct engine *engine)
{
    return !is_full(engine) || engine->lanes.arrival.is_loading;
}

struct err engine_step_parking(struct engine *engine, struct diag *diag)
{
    struct companion *companion = &engine->parking.companion;
    const struct client_message *record = NULL;
    bool is_again;
    struct err err = companion_step(companion, engine->wheel.now_ms, diag);
    if (!is_full(engine))
        engine->parking.is_full = false;
    engine->parking.has_more = !err_failed(err) && may_read(engine);
    for (int i = 0; i < COMPANION_RECEIVE_COUNT_MAX && engine->parking.has_more; i++) {
        err = companion_receive(companion, &record, &is_again, diag);
        engine->parking.has_more = !err_failed(err) && record != NULL;
        if (engine->parking.has_more)
            TRY(take_record(engine, record, is_again));
    }
    if (!err_failed(err)) {
        engine->parking.is_told = false;
        return ERR_NONE;
    }
    if (!engine->parking.is_told)
        flow_say(engine->settings.log, FLOW_LOG_WARN, engine->settings.handler->name.text,
                 "what is parked cannot be read now: %s",
                 diag->text[0] == '\0' ? err_text(err) : diag->text);
    engine->parking.is_told = true;
    return ERR_NONE;
}
