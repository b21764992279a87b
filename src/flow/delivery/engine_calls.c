/* engine_calls: deliveries on their way from READY to FINISHED. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "flow/delivery/engine_internal.h"

void engine_make_ready(struct engine *engine, struct delivery *delivery)
{
    delivery_move(delivery, DELIVERY_READY);
    list_append(&engine->ready, &delivery->link);
}

static void pause_over(struct timer *timer)
{
    struct delivery *delivery = LIST_ENTRY(timer, struct delivery, timer);
    engine_make_ready(delivery->engine, delivery);
}

void engine_go_on(struct engine *engine, struct delivery *delivery)
{
    if (delivery->due_ms <= engine->wheel.now_ms) {
        engine_make_ready(engine, delivery);
        return;
    }
    delivery_move(delivery, DELIVERY_PAUSING);
    delivery->engine = engine;
    timer_init(&delivery->timer, pause_over);
    wheel_set(&engine->wheel, &delivery->timer, delivery->due_ms);
}

void engine_leave_turn(struct engine *engine, struct delivery *delivery)
{
    struct delivery *next = turns_leave(&engine->turns, delivery);
    if (next != NULL && next->state == DELIVERY_QUEUED)
        engine_go_on(engine, next);
}

/* Its call is over, or given up. */
static void end_call(struct engine *engine, struct delivery *delivery)
{
    timer_cancel(&delivery->call->timer);
    free(delivery->call);
    delivery->call = NULL;
    CHECK(engine->load.called_count > 0);
    engine->load.called_count--;
}

static void cancel_call(struct engine *engine, struct delivery *delivery)
{
    caller_cancel(engine->settings.caller, delivery->call);
    circuit_give_back(&engine->circuit, delivery->call->pass);
    end_call(engine, delivery);
}

size_t engine_outputs_size(const struct delivery *delivery)
{
    size_t size = 0;
    for (const struct output *output = delivery->outputs; output != NULL; output = output->next)
        size += output->message.value.size;
    return size;
}

void engine_drop(struct engine *engine, struct delivery *delivery)
{
    CHECK(delivery->state != DELIVERY_SEALED);
    if (delivery->state == DELIVERY_CALLED)
        cancel_call(engine, delivery);
    if (delivery->state == DELIVERY_FINISHED)
        engine->load.output_size -= engine_outputs_size(delivery);
    engine_forget(engine, delivery);
}

void engine_forget(struct engine *engine, struct delivery *delivery)
{
    timer_cancel(&delivery->timer);
    list_remove(&delivery->link);
    engine_leave_turn(engine, delivery);
    list_remove(&delivery->lane_link);
    if (delivery->parking != PARKING_NONE)
        lane_remove_parked(delivery->lane, delivery);
    struct engine_load *load = engine_load_of(engine, delivery);
    load->count--;
    load->size -= delivery->size;
    delivery_destroy(delivery);
}

void engine_await_commit(struct engine *engine, struct delivery *delivery)
{
    delivery_move(delivery, DELIVERY_FINISHED);
    if (list_is_empty(&engine->finished))
        engine->load.finished_since_ms = engine->wheel.now_ms;
    engine->load.output_size += engine_outputs_size(delivery);
    list_append(&engine->finished, &delivery->link);
}

void engine_finish(struct engine *engine, struct delivery *delivery)
{
    engine_await_commit(engine, delivery);
    engine_leave_turn(engine, delivery);
}

/* It is called again, after a while; meanwhile it keeps its turn. */
static void pause_delivery(struct engine *engine, struct delivery *delivery, int64_t pause_ms)
{
    /* From now, not from when this step began; and a started millisecond does not count. */
    delivery->due_ms = engine_now_ms(engine) + 1 + pause_ms;
    engine_go_on(engine, delivery);
}

/* Its call has failed, and it is called again after a while, in which it may be parked. */
static void wait_for_retry(struct engine *engine, struct delivery *delivery, int64_t pause_ms)
{
    if (!engine_park(engine, delivery, pause_ms))
        pause_delivery(engine, delivery, pause_ms);
}

/* Gives it up for good. Without memory for that, it is called once more. */
static void give_up(struct engine *engine, struct delivery *delivery, const char *fault,
                    const char *message)
{
    arena_reset(&engine->scratch);
    if (err_failed(
            records_dead_letter(&engine->records, delivery, fault, message, &engine->scratch))) {
        if (delivery->state == DELIVERY_READY)
            delivery_move(delivery, DELIVERY_CALLED); /* as if it had been */
        pause_delivery(engine, delivery, STALL_MS);
        return;
    }
    engine_unremember(delivery);
    metric_add(&engine->counts.dead_lettered, 1);
    flow_say(engine->settings.log, FLOW_LOG_WARN, engine->settings.handler->name.text,
             "%s %d offset %lld is a dead letter after %u calls (%s): %s", delivery->lane->topic,
             delivery->message.partition, (long long)delivery->message.offset, delivery->attempts,
             fault, message);
    engine_finish(engine, delivery);
}

/* Its call has failed: it is called again later, or given up. */
static void retry(struct engine *engine, struct delivery *delivery, int64_t retry_after_ms,
                  const char *fault, const char *message)
{
    const struct retry_rule *rule = &engine->rule.retry;
    delivery->attempts++;
    delivery->refusals = 0;
    metric_add(&engine->counts.failed, 1);
    if (retry_is_over(rule, delivery->attempts))
        give_up(engine, delivery, fault, message);
    else
        wait_for_retry(
            engine, delivery,
            retry_pause_ms(rule, delivery->attempts, retry_after_ms, engine->settings.random));
}

/* The call says something about the endpoint; message: what was wrong. */
static void tell_circuit(struct engine *engine, const struct call *call, bool is_well,
                         const char *message)
{
    enum circuit_state before = engine->circuit.state;
    const char *name = engine->settings.handler->name.text;
    circuit_end(&engine->circuit, engine->wheel.now_ms, call->pass, is_well);
    if (engine->circuit.state == before)
        return;
    if (engine->circuit.state == CIRCUIT_OPEN)
        flow_say(engine->settings.log, FLOW_LOG_WARN, name,
                 "the circuit is open, nothing is called for %lld ms: %s",
                 (long long)engine->circuit.rule.open_ms, message);
    else
        flow_say(engine->settings.log, FLOW_LOG_INFO, name, "the circuit is %s",
                 circuit_state_text(&engine->circuit));
}

static void time_out(struct timer *timer)
{
    struct call *call = LIST_ENTRY(timer, struct call, timer);
    struct delivery *delivery = call->delivery;
    struct engine *engine = delivery->engine;
    char message[64];
    (void)snprintf(message, sizeof message, "no answer within %lld ms",
                   (long long)engine->rule.timeout_ms);
    caller_cancel(engine->settings.caller, call);
    tell_circuit(engine, call, false, message);
    end_call(engine, delivery);
    retry(engine, delivery, 0, "timeout", message);
}

static void restart_call(struct call *call)
{
    struct engine *engine = call->delivery->engine;
    wheel_set(&engine->wheel, &call->timer, engine_now_ms(engine) + engine->rule.timeout_ms);
}

/* Hands the event to the handler's code. */
static void call_handler(struct engine *engine, struct delivery *delivery,
                         const struct cloudevent *event, struct call *call)
{
    struct diag diag = {""};
    delivery_move(delivery, DELIVERY_CALLED);
    delivery->call = call;
    delivery->engine = engine;
    call->delivery = delivery;
    call->generation = delivery->lane->generation;
    engine->load.called_count++;
    timer_init(&call->timer, time_out);
    call->restart = restart_call;
    restart_call(call);
    struct err err = caller_begin(engine->settings.caller, call, event, &diag);
    if (!err_failed(err))
        return;
    const char *message = diag.text[0] == '\0' ? err_text(err) : diag.text;
    tell_circuit(engine, call, false, message);
    end_call(engine, delivery);
    retry(engine, delivery, 0, "call", message);
}

/* Reads the event for its handler. ERR_INVALID: it is poison; *fault is its kind. */
static struct err read_event(struct engine *engine, const struct delivery *delivery,
                             struct cloudevent *event, const char **fault, struct diag *diag)
{
    bool ignored;
    arena_reset(&engine->scratch);
    *fault = "undecodable";
    TRY(cloudevent_read(&delivery->message, engine->records.json, &engine->scratch, event, diag));
    engine_name_type(engine, delivery->lane->topic, event);
    if (event->type.size == 0)
        return diag_fail(diag, ERR_INVALID, "it names no type, and %s has several events",
                         delivery->lane->topic);
    *fault = "where";
    if (!delivery->is_unjudged)
        return ERR_NONE;
    return filter_match(engine->where, &delivery->message, event, &ignored, diag);
}

/* It was done before, and is not done again. */
static void pass_repeated(struct engine *engine, struct delivery *delivery)
{
    struct diag ignored;
    arena_reset(&engine->scratch);
    if (err_failed(records_emit(&engine->records, delivery, NULL, 0, &engine->scratch, &ignored))) {
        delivery_move(delivery, DELIVERY_CALLED); /* as if it had been */
        pause_delivery(engine, delivery, STALL_MS);
        return;
    }
    delivery->id = (struct inbox_id){0, 0};
    metric_add(&engine->counts.repeated, 1);
    engine_finish(engine, delivery);
}

/* Begins the call of a delivery that was taken off READY, with a pass of the circuit. */
static void begin_call(struct engine *engine, struct delivery *delivery, struct circuit_pass pass)
{
    struct cloudevent event;
    struct diag diag = {""};
    const char *fault;
    if (engine_is_repeated(engine, delivery)) {
        circuit_give_back(&engine->circuit, pass);
        pass_repeated(engine, delivery);
        return;
    }
    struct err err = read_event(engine, delivery, &event, &fault, &diag);
    struct call *call = err_failed(err) ? NULL : calloc(1, sizeof *call);
    if (call != NULL) {
        call->pass = pass;
        call_handler(engine, delivery, &event, call);
        return;
    }
    circuit_give_back(&engine->circuit, pass);
    if (err_is(err, ERR_INVALID)) {
        give_up(engine, delivery, fault, diag.text);
        return;
    }
    delivery_move(delivery, DELIVERY_CALLED); /* no memory: as if it had been, and soon again */
    pause_delivery(engine, delivery, STALL_MS);
}

void engine_begin_calls(struct engine *engine)
{
    int64_t now_us = clock_mono_us(engine->settings.clock);
    struct circuit_pass pass;
    if (engine->orders.is_paused)
        return;
    while (!list_is_empty(&engine->ready) && engine->load.called_count < engine->rule.concurrency) {
        struct delivery *delivery = LIST_ENTRY(engine->ready.next, struct delivery, link);
        if (delivery->lane->state != LANE_OPEN) {
            engine_drop(engine, delivery);
            continue;
        }
        if (rate_wait_ms(&engine->rate, now_us) > 0 ||
            !circuit_ask(&engine->circuit, engine->wheel.now_ms, &pass))
            return;
        rate_take(&engine->rate, now_us);
        list_remove(&delivery->link);
        begin_call(engine, delivery, pass);
    }
}

int64_t engine_call_wait_ms(const struct engine *engine)
{
    if (engine->orders.is_paused || list_is_empty(&engine->ready) ||
        engine->load.called_count >= engine->rule.concurrency)
        return -1;
    int64_t circuit_ms = circuit_wait_ms(&engine->circuit, engine_now_ms(engine));
    int64_t rate_ms = rate_wait_ms(&engine->rate, clock_mono_us(engine->settings.clock));
    return circuit_ms < 0 || circuit_ms > rate_ms ? circuit_ms : rate_ms;
}

/* The handler is done with it: what it emits goes with the next commit. */
static void take_done(struct engine *engine, struct delivery *delivery, const struct answer *answer)
{
    struct diag diag = {""};
    arena_reset(&engine->scratch);
    struct err err = records_emit(&engine->records, delivery, answer->events, answer->event_count,
                                  &engine->scratch, &diag);
    if (!err_failed(err)) {
        err = engine_remember(engine, delivery);
        if (err_failed(err))
            delivery_clear_outputs(delivery);
    }
    if (err_is(err, ERR_INVALID)) {
        delivery->attempts++;
        give_up(engine, delivery, "contract", diag.text);
    } else if (err_failed(err)) {
        pause_delivery(engine, delivery, STALL_MS);
    } else {
        engine_finish(engine, delivery);
    }
}

static void take_answer(struct engine *engine, const struct answer *answer)
{
    struct call *call = answer->call;
    struct delivery *delivery = call->delivery;
    CHECK(delivery->state == DELIVERY_CALLED && delivery->call == call);
    bool is_well = answer->kind == ANSWER_DONE || answer->kind == ANSWER_REJECTED;
    tell_circuit(engine, call, is_well, answer->message);
    end_call(engine, delivery);
    switch (answer->kind) {
    case ANSWER_DONE:
        take_done(engine, delivery, answer);
        break;
    case ANSWER_RETRY:
        retry(engine, delivery, answer->retry_after_ms, answer->fault, answer->message);
        break;
    case ANSWER_UNREACHABLE:
        metric_add(&engine->counts.failed, 1);
        delivery->refusals++;
        wait_for_retry(
            engine, delivery,
            retry_pause_ms(&engine->rule.retry, delivery->refusals, 0, engine->settings.random));
        break;
    case ANSWER_REJECTED:
        metric_add(&engine->counts.failed, 1);
        delivery->attempts++;
        give_up(engine, delivery, answer->fault, answer->message);
        break;
    }
}

void engine_take_answers(struct engine *engine)
{
    struct answer answer;
    while (caller_next(engine->settings.caller, &answer))
        take_answer(engine, &answer);
}
