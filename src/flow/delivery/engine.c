/* engine: receiving, waiting, beginning and end. */
#include "flow/delivery/engine_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "flow/shape.h"
#include "flow/value.h"

int64_t engine_now_ms(const struct engine *engine)
{
    return clock_mono_ms(engine->settings.clock);
}

/* The handler's own timeout, else its policy's, else the preset. */
static int64_t timeout_of(const struct flow *flow, const struct flow_handler *handler)
{
    const struct flow_policy *policy =
        handler->policy.text == NULL ? NULL : flow_find_policy(flow, handler->policy.text);
    if (handler->timeout.text != NULL)
        return handler->timeout.number;
    return policy != NULL && policy->timeout.text != NULL ? policy->timeout.number
                                                          : FLOW_TIMEOUT_MS;
}

static struct engine_rule rule_of(const struct flow *flow, const struct flow_handler *handler)
{
    const struct flow_in_flight *in_flight = handler->in_flight;
    return (struct engine_rule){
        .order = (enum flow_order)handler->order.number,
        .concurrency = (uint32_t)handler->concurrency.number,
        .in_flight_count =
            (size_t)(in_flight == NULL ? flow_preset_number(&shape_in_flight, "events")
                                       : in_flight->events.number),
        .in_flight_size = (size_t)(in_flight == NULL ? flow_preset_number(&shape_in_flight, "bytes")
                                                     : in_flight->bytes.number),
        .timeout_ms = timeout_of(flow, handler),
        .commit_wait_ms = handler->guarantee.number == FLOW_EXACTLY_ONCE ? COMMIT_WAIT_MS : 0,
        .drain_ms = flow->drain.number,
        .from = handler->from.number,
        .inbox_ms = handler->inbox.text == NULL ? 0 : handler->inbox.number,
        .retry = retry_rule_of(flow, handler),
    };
}

static struct err init(struct engine *engine, const struct engine_settings *settings)
{
    const struct flow *flow = settings->flow;
    const struct flow_handler *handler = settings->handler;
    engine->magic = ENGINE_MAGIC;
    engine->settings = *settings;
    engine->rule = rule_of(flow, handler);
    arena_init(&engine->names, ENGINE_ARENA_SIZE_MAX);
    arena_init(&engine->scratch, ENGINE_ARENA_SIZE_MAX);
    list_init(&engine->lanes.all);
    map_init(&engine->lanes.by_place, random_u64(settings->random));
    list_init(&engine->ready);
    list_init(&engine->finished);
    engine->lanes.full_since_ms = -1;
    wheel_init(&engine->wheel, engine_now_ms(engine));
    engine_init_commits(engine);
    engine_init_parking(engine);
    turns_init(&engine->turns, random_u64(settings->random));
    rate_init(&engine->rate, handler->rate.text == NULL ? 0 : handler->rate.number);
    struct circuit_rule circuit = circuit_rule_of(flow, handler);
    TRY(circuit_init(&engine->circuit, &circuit));
    if (handler->where.text != NULL)
        TRY(filter_create(handler->where.text, &engine->where, NULL));
    TRY(json_reader_create(&engine->records.json));
    engine->records.flow = flow;
    engine->records.handler = handler;
    engine->records.clock = settings->clock;
    engine->records.group = flow_group(flow, handler, &engine->names);
    engine->records.writer =
        arena_print(&engine->names, "%016" PRIx64, random_u64(settings->random));
    engine->records.dead_letter_topic = flow_dead_letter_topic(flow, handler, &engine->names);
    if (engine->records.group == NULL || engine->records.dead_letter_topic == NULL ||
        engine->records.writer == NULL)
        return err_make(ERR_NO_MEMORY);
    engine->records.parked_topic = parked_topic(engine->records.group, &engine->names);
    engine->records.inbox_topic = inbox_topic(engine->records.group, &engine->names);
    if (engine->records.parked_topic == NULL || engine->records.inbox_topic == NULL)
        return err_make(ERR_NO_MEMORY);
    return ERR_NONE;
}

struct err engine_create(const struct engine_settings *settings, struct engine **out)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return err_make(ERR_NO_MEMORY);
    struct err err = init(engine, settings);
    if (err_failed(err)) {
        engine_destroy(engine);
        return err;
    }
    *out = engine;
    return ERR_NONE;
}

void engine_destroy(struct engine *engine)
{
    if (engine == NULL)
        return;
    engine_deinit_commits(engine);
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        engine_lose_lane(engine, lane);
        engine_free_lane(engine, lane);
    }
    engine_deinit_parking(engine);
    map_deinit(&engine->lanes.by_place);
    free(engine->lanes.arrival.places);
    turns_deinit(&engine->turns);
    circuit_deinit(&engine->circuit);
    filter_destroy(engine->where);
    json_reader_destroy(engine->records.json);
    arena_deinit(&engine->scratch);
    arena_deinit(&engine->names);
    engine->magic = 0;
    free(engine);
}

static bool has_room(const struct engine *engine)
{
    return engine->load.count < engine->rule.in_flight_count &&
           engine->load.size < engine->rule.in_flight_size;
}

bool engine_may_receive(const struct engine *engine)
{
    return !engine->is_draining && (has_room(engine) || engine->lanes.is_paused);
}

struct lane *engine_find_lane(struct engine *engine, const char *topic, int32_t partition)
{
    struct lane *last = engine->lanes.last;
    if (last != NULL && last->partition == partition && strcmp(last->topic, topic) == 0)
        return last;
    uint8_t key[LANE_KEY_SIZE_MAX];
    struct lane *found = map_get(&engine->lanes.by_place, lane_write_key(topic, partition, key));
    if (found != NULL)
        engine->lanes.last = found;
    return found;
}

/* The one event of the topic; NULL: there are several. */
static const struct flow_event *only_event(const struct flow *flow, const char *topic)
{
    const struct flow_event *only = NULL;
    for (size_t i = 0; i < flow->events.count; i++) {
        const struct flow_event *event = flow_event_at(flow, i);
        if (strcmp(event->topic.text, topic) != 0)
            continue;
        if (only != NULL)
            return NULL;
        only = event;
    }
    return only;
}

void engine_name_type(const struct engine *engine, const char *topic, struct cloudevent *event)
{
    const struct flow_event *only = only_event(engine->settings.flow, topic);
    if (event->type.size == 0)
        event->type = only == NULL ? SPAN_NULL : span_text(only->name.text);
}

/* Whether an event of the type is one that the handler handles; so is one of no type, which becomes
 * a dead letter. */
static bool is_of_type(const struct flow_handler *handler, struct span type)
{
    bool is_found = span_is_null(type);
    for (size_t i = 0; i < handler->handles.count && !is_found; i++)
        is_found = span_equal_text(type, handler->handles.items[i].text);
    return is_found;
}

enum verdict { PASSED_OVER, WANTED, UNJUDGED };

/* Whether the handler is to be called with the record, read into *event, whose id is null where
 * that cannot be. What cannot be read or judged is not passed over: it becomes a dead letter. */
static struct err judge(struct engine *engine, const struct client_message *message,
                        struct cloudevent *event, enum verdict *out)
{
    bool is_match = true;
    struct diag ignored;
    arena_reset(&engine->scratch);
    struct err err =
        cloudevent_read(message, engine->records.json, &engine->scratch, event, &ignored);
    *out = WANTED;
    if (err_is(err, ERR_INVALID)) {
        event->id = SPAN_NULL;
        return ERR_NONE;
    }
    TRY(err);
    engine_name_type(engine, message->topic, event);
    *out = is_of_type(engine->settings.handler, event->type) ? WANTED : PASSED_OVER;
    if (*out == PASSED_OVER || engine->where == NULL)
        return ERR_NONE;
    err = filter_match(engine->where, message, event, &is_match, &ignored);
    if (err_is(err, ERR_NO_MEMORY))
        return err;
    *out = err_failed(err) ? UNJUDGED : is_match ? WANTED : PASSED_OVER;
    return ERR_NONE;
}

struct err engine_queue(struct engine *engine, struct delivery *delivery)
{
    bool is_holder = true;
    struct span key = delivery->message.key;
    if (engine->rule.order == FLOW_ORDER_PARTITION)
        key = SPAN_EMPTY;
    if (engine->rule.order != FLOW_ORDER_NONE && !span_is_null(key))
        TRY(turns_ask(&engine->turns, delivery, delivery->lane->id, key, &is_holder));
    else if (!inbox_id_is_none(delivery->id)) /* the second of one id waits for the first */
        TRY(turns_ask(&engine->turns, delivery, ~delivery->lane->id,
                      span_make(&delivery->id, sizeof delivery->id), &is_holder));
    if (is_holder)
        engine_go_on(engine, delivery);
    return ERR_NONE;
}

/* Copies the record and queues it; the lane's books know it from then on. */
static struct err take_record(struct engine *engine, struct lane *lane,
                              const struct client_message *message)
{
    enum verdict verdict;
    bool is_done;
    uint64_t sequence;
    struct cloudevent event;
    TRY(judge(engine, message, &event, &verdict));
    bool is_wanted = verdict != PASSED_OVER;
    struct delivery *delivery = NULL;
    if (is_wanted)
        TRY(delivery_create(message, &delivery));
    struct err err = progress_add(&lane->progress, message->offset, &sequence, &is_done);
    if (err_failed(err) || is_done || !is_wanted) {
        delivery_destroy(delivery);
        if (!err_failed(err) && !is_done) {
            progress_pass_over(&lane->progress, sequence);
            metric_add(&engine->counts.skipped, 1);
            engine_note_offsets(engine);
        }
        return err;
    }
    delivery->lane = lane;
    delivery->message.topic = lane->topic;
    delivery->sequence = sequence;
    delivery->is_unjudged = verdict == UNJUDGED;
    engine_identify(engine, delivery, &event);
    list_append(&lane->deliveries, &delivery->lane_link);
    engine->load.count++;
    engine->load.size += delivery->size;
    err = engine_queue(engine, delivery);
    if (err_failed(err)) { /* it is read again */
        engine_drop(engine, delivery);
        progress_take_back(&lane->progress);
    } else {
        engine_park_behind(engine, delivery);
    }
    return err;
}

static struct err take_message(struct engine *engine, const struct client_message *message,
                               struct diag *diag)
{
    struct lane *lane = engine_find_lane(engine, message->topic, message->partition);
    if (lane == NULL || lane->state != LANE_OPEN || lane->is_stalled ||
        message->offset < lane->progress.position)
        return ERR_NONE;
    if (err_failed(take_record(engine, lane, message)))
        return engine_stall_lane(engine, lane, diag);
    return ERR_NONE;
}

static void take_end(struct engine *engine, const struct client_message *message)
{
    struct lane *lane = engine_find_lane(engine, message->topic, message->partition);
    if (lane == NULL || lane->state != LANE_OPEN || lane->is_stalled)
        return;
    progress_reach(&lane->progress, message->offset);
    engine_note_offsets(engine);
}

struct err engine_take(struct engine *engine, const struct client_event *event, struct diag *diag)
{
    CHECK_MAGIC(engine, ENGINE_MAGIC);
    switch (event->kind) {
    case CLIENT_EVENT_NONE:
        break;
    case CLIENT_EVENT_MESSAGE:
        return take_message(engine, &event->message, diag);
    case CLIENT_EVENT_END:
        take_end(engine, &event->message);
        break;
    case CLIENT_EVENT_RESET:
        return engine_place_reset(engine, event, diag);
    case CLIENT_EVENT_ASSIGNED:
        return engine_places_given(engine, event, diag);
    case CLIENT_EVENT_REVOKED:
        return engine_places_asked_back(engine, event, diag);
    case CLIENT_EVENT_LOST:
        return engine_places_lost(engine, event, diag);
    }
    return ERR_NONE;
}

/* Pauses all partitions when there has been no room for long, and resumes them at half. */
static struct err mind_room(struct engine *engine, struct diag *diag)
{
    struct engine_lanes *lanes = &engine->lanes;
    int64_t now_ms = engine->wheel.now_ms;
    if (has_room(engine))
        lanes->full_since_ms = -1;
    else if (lanes->full_since_ms < 0)
        lanes->full_since_ms = now_ms;
    bool is_long_full =
        lanes->full_since_ms >= 0 && now_ms - lanes->full_since_ms >= PAUSE_AFTER_MS;
    bool is_half_empty = engine->load.count <= engine->rule.in_flight_count / 2 &&
                         engine->load.size <= engine->rule.in_flight_size / 2;
    if (lanes->is_paused ? !is_half_empty : !is_long_full)
        return ERR_NONE;
    lanes->is_paused = !lanes->is_paused;
    LIST_EACH (&lanes->all, link) {
        const struct lane *lane = LIST_ENTRY(link, struct lane, link);
        struct client_offset place = {.topic = lane->topic, .partition = lane->partition};
        if (lane->state == LANE_OPEN && !lane->is_stalled)
            TRY(client_pause(engine->settings.receiver, &place, 1, lanes->is_paused, diag));
    }
    return ERR_NONE;
}

struct err engine_step(struct engine *engine, struct diag *diag)
{
    CHECK_MAGIC(engine, ENGINE_MAGIC);
    wheel_advance(&engine->wheel, engine_now_ms(engine));
    engine_take_answers(engine);
    TRY(engine_step_parking(engine, diag));
    TRY(engine_step_places(engine, diag));
    TRY(engine_resolve_commit(engine, diag));
    engine_begin_calls(engine);
    return mind_room(engine, diag);
}

int64_t engine_wait_ms(const struct engine *engine)
{
    int64_t now_ms = engine_now_ms(engine);
    const struct engine_lanes *lanes = &engine->lanes;
    int64_t due_ms = -1;
    if (engine_is_drained(engine) || engine->parking.has_more)
        return 0;
    if (lanes->arrival.places != NULL && !lanes->arrival.is_loading)
        due_ms = lanes->arrival.due_ms;
    if (lanes->is_revoking || engine->is_draining)
        due_ms = engine_sooner(due_ms, lanes->drain_until_ms);
    if (lanes->full_since_ms >= 0 && !lanes->is_paused)
        due_ms = engine_sooner(due_ms, lanes->full_since_ms + PAUSE_AFTER_MS);
    int64_t wait_ms = -1;
    if (due_ms >= 0)
        wait_ms = due_ms <= now_ms ? 0 : due_ms - now_ms;
    wait_ms = engine_sooner(wait_ms, engine_call_wait_ms(engine));
    wait_ms = engine_sooner(wait_ms, engine_commit_wait_ms(engine));
    wait_ms = engine_sooner(wait_ms, companion_wait_ms(&engine->parking.companion, now_ms));
    int64_t timer_ms = wheel_wait_ms(&engine->wheel);
    if (timer_ms >= 0) { /* the wheel counts from its last turn */
        timer_ms -= now_ms - engine->wheel.now_ms;
        wait_ms = engine_sooner(wait_ms, timer_ms < 0 ? 0 : timer_ms);
    }
    return wait_ms;
}

void engine_drain(struct engine *engine)
{
    if (engine->is_draining)
        return;
    engine->is_draining = true;
    engine->lanes.drain_until_ms = engine_now_ms(engine) + engine->rule.drain_ms;
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state == LANE_OPEN || lane->state == LANE_LOADING)
            lane->state = LANE_DRAINING;
    }
}

bool engine_is_drained(const struct engine *engine)
{
    return engine->is_draining && list_is_empty(&engine->lanes.all) && !engine->writing.is_written;
}

const struct engine_counts *engine_counts(const struct engine *engine)
{
    return &engine->counts;
}
