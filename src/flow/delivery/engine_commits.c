/* engine_commits: from FINISHED to gone. */
#include <stdio.h>

#include "base/check.h"
#include "base/limits.h"
#include "flow/delivery/engine_internal.h"

static void offsets_due(struct timer *timer)
{
    LIST_ENTRY(timer, struct engine, writing.offsets)->writing.are_offsets_due = true;
}

static void try_refused(struct timer *timer)
{
    struct engine *engine = LIST_ENTRY(timer, struct engine, writing.refusals);
    if (list_is_empty(&engine->finished))
        engine->load.finished_since_ms = engine->wheel.now_ms;
    list_move_all(&engine->finished, &engine->writing.refused);
}

void engine_init_commits(struct engine *engine)
{
    struct engine_writing *writing = &engine->writing;
    arena_init(&writing->commit.arena, COMMIT_SIZE_MAX);
    list_init(&writing->commit.deliveries);
    list_init(&writing->refused);
    timer_init(&writing->offsets, offsets_due);
    timer_init(&writing->refusals, try_refused);
    writing->retry_ms = COMMIT_RETRY_MS;
}

void engine_note_offsets(struct engine *engine)
{
    if (!timer_is_set(&engine->writing.offsets))
        wheel_set(&engine->wheel, &engine->writing.offsets,
                  engine->wheel.now_ms + COMMIT_OFFSETS_MS);
}

/* Whether a lane drains, and waits for its offset to be committed. */
static bool is_lane_waiting(const struct engine *engine)
{
    if (!engine->lanes.is_revoking && !engine->is_draining)
        return false;
    LIST_EACH (&engine->lanes.all, link) {
        const struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state == LANE_DRAINING && lane_is_behind(lane))
            return true;
    }
    return false;
}

/* Whether what is finished need not wait for more. */
static bool is_enough(const struct engine *engine)
{
    return engine->load.output_size >= COMMIT_OUTPUT_SIZE ||
           engine->load.count >= engine->rule.in_flight_count || engine->lanes.is_revoking ||
           engine->is_draining;
}

int64_t engine_commit_wait_ms(const struct engine *engine)
{
    int64_t now_ms = engine_now_ms(engine);
    int64_t due_ms = -1;
    if (engine->writing.is_uncertain)
        due_ms = engine->writing.not_before_ms;
    else if (engine->writing.is_written)
        return -1;
    else if (engine->writing.are_offsets_due || is_lane_waiting(engine))
        due_ms = now_ms;
    else if (!list_is_empty(&engine->finished))
        due_ms = is_enough(engine) ? now_ms
                                   : engine->load.finished_since_ms + engine->rule.commit_wait_ms;
    if (due_ms < 0)
        return -1;
    if (due_ms < engine->writing.not_before_ms)
        due_ms = engine->writing.not_before_ms;
    return due_ms <= now_ms ? 0 : due_ms - now_ms;
}

static void seal(struct engine *engine, struct delivery *delivery)
{
    struct commit *commit = &engine->writing.commit;
    list_remove(&delivery->link);
    delivery_move(delivery, DELIVERY_SEALED);
    list_append(&commit->deliveries, &delivery->link);
    commit->delivery_count++;
    delivery->lane->sealed_count++;
    if (delivery_is_parked(delivery))
        commit->has_parked = true;
    else
        progress_seal(&delivery->lane->progress, delivery->sequence);
}

/* Takes it out of the commit again, to the front of those that wait. */
static void unseal(struct engine *engine, struct delivery *delivery)
{
    struct commit *commit = &engine->writing.commit;
    list_remove(&delivery->link);
    delivery_move(delivery, DELIVERY_FINISHED);
    list_prepend(&engine->finished, &delivery->link);
    commit->delivery_count--;
    delivery->lane->sealed_count--;
    if (delivery->lane->state != LANE_GONE && !delivery_is_parked(delivery))
        progress_unseal(&delivery->lane->progress, delivery->sequence);
}

/* Takes the later half of the lane's deliveries out of the commit. */
static void unseal_half(struct engine *engine, struct lane *lane)
{
    uint32_t left = lane->sealed_count / 2;
    for (struct list *link = lane->deliveries.prev;
         link != &lane->deliveries && lane->sealed_count > left; link = link->prev) {
        struct delivery *delivery = LIST_ENTRY(link, struct delivery, lane_link);
        if (delivery->state == DELIVERY_SEALED)
            unseal(engine, delivery);
    }
}

/* Adds the lane's offset, with as many of its deliveries as its metadata has room for. */
static struct err add_offset(struct engine *engine, struct lane *lane)
{
    struct commit *commit = &engine->writing.commit;
    const struct progress_place place = {engine->settings.cluster, lane->topic, lane->partition};
    const char *metadata;
    bool fits;
    TRY(progress_encode(&lane->progress, &place, &commit->arena, &metadata, &fits));
    while (!fits && lane->sealed_count > 0) {
        unseal_half(engine, lane);
        TRY(progress_encode(&lane->progress, &place, &commit->arena, &metadata, &fits));
    }
    /* Without its metadata an offset would take back what is done above it. */
    if (!fits || (lane->sealed_count == 0 && !lane_is_behind(lane)))
        return ERR_NONE;
    if (commit->has_parked) {
        metadata =
            progress_add_nonce(metadata, random_u64(engine->settings.random), &commit->arena);
        if (metadata == NULL)
            return err_make(ERR_NO_MEMORY);
    }
    lane->is_in_commit = true;
    commit->lanes[commit->offset_count] = lane;
    commit->offsets[commit->offset_count++] =
        (struct client_offset){.topic = lane->topic,
                               .partition = lane->partition,
                               .offset = progress_base(&lane->progress),
                               .metadata = metadata};
    return ERR_NONE;
}

static struct err add_offsets(struct engine *engine)
{
    struct commit *commit = &engine->writing.commit;
    size_t count_max = 0;
    LIST_EACH (&engine->lanes.all, link)
        count_max++;
    arena_reset(&commit->arena);
    commit->offset_count = 0;
    commit->lanes = arena_alloc_array(&commit->arena, count_max, sizeof(struct lane *));
    commit->offsets = arena_alloc_array(&commit->arena, count_max, sizeof *commit->offsets);
    if (commit->lanes == NULL || commit->offsets == NULL)
        return err_make(ERR_NO_MEMORY);
    LIST_EACH (&engine->lanes.all, link) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->state != LANE_GONE && (lane->sealed_count > 0 || lane_is_behind(lane)))
            TRY(add_offset(engine, lane));
    }
    return ERR_NONE;
}

/* Nothing of it is in a commit any more. */
static void release_lanes(struct commit *commit)
{
    for (size_t i = 0; i < commit->offset_count; i++)
        commit->lanes[i]->is_in_commit = false;
    commit->offset_count = 0;
}

/* Puts all of a commit back. */
static void unseal_all(struct engine *engine)
{
    struct commit *commit = &engine->writing.commit;
    while (!list_is_empty(&commit->deliveries))
        unseal(engine, LIST_ENTRY(commit->deliveries.prev, struct delivery, link));
    release_lanes(commit);
}

void engine_deinit_commits(struct engine *engine)
{
    CHECK(!engine->writing.is_written || engine->writing.is_uncertain);
    unseal_all(engine);
    timer_cancel(&engine->writing.offsets);
    timer_cancel(&engine->writing.refusals);
    arena_deinit(&engine->writing.commit.arena);
}

struct err engine_commit(struct engine *engine, const struct commit **out)
{
    struct commit *commit = &engine->writing.commit;
    *out = NULL;
    if (engine->writing.is_written || engine_commit_wait_ms(engine) != 0)
        return ERR_NONE;
    CHECK(commit->delivery_count == 0);
    commit->has_parked = false;
    while (!list_is_empty(&engine->finished) && commit->delivery_count < COMMIT_EVENT_COUNT_MAX)
        seal(engine, LIST_ENTRY(engine->finished.next, struct delivery, link));
    struct err err = add_offsets(engine);
    if (!err_failed(err))
        err = engine_add_inboxes(engine);
    if (err_failed(err)) {
        unseal_all(engine);
        engine->writing.not_before_ms = engine->wheel.now_ms + STALL_MS;
        return err;
    }
    engine->writing.are_offsets_due = false;
    if (commit->offset_count == 0) {
        CHECK(commit->delivery_count == 0);
        return ERR_NONE;
    }
    engine->writing.is_written = true;
    *out = commit;
    return ERR_NONE;
}

/* Counts and frees a delivery that is done. */
static void forget(struct engine *engine, struct delivery *delivery)
{
    uint64_t output_count = 0;
    for (const struct output *output = delivery->outputs; output != NULL; output = output->next)
        output_count += strcmp(output->message.topic, engine->records.parked_topic) != 0;
    metric_add(&engine->counts.emitted, output_count);
    metric_add(&engine->counts.processed, 1);
    engine_forget(engine, delivery);
}

/* A delivery is committed. */
static void let_go(struct engine *engine, struct delivery *delivery)
{
    struct lane *lane = delivery->lane;
    lane->sealed_count--;
    engine->load.output_size -= engine_outputs_size(delivery);
    if (lane->state != LANE_GONE && !delivery_is_parked(delivery))
        progress_finish(&lane->progress, delivery->sequence);
    if (delivery->parking == PARKING_SOON || delivery->parking == PARKING_AGAIN)
        engine_take_parked(engine, delivery);
    else
        forget(engine, delivery);
}

static void commit_done(struct engine *engine)
{
    struct commit *commit = &engine->writing.commit;
    LIST_EACH (&commit->deliveries, link)
        let_go(engine, LIST_ENTRY(link, struct delivery, link));
    commit->delivery_count = 0;
    for (size_t i = 0; i < commit->offset_count; i++)
        commit->lanes[i]->committed = commit->offsets[i].offset;
    release_lanes(commit);
    engine->writing.retry_ms = COMMIT_RETRY_MS;
    engine->writing.not_before_ms = 0;
    metric_add(&engine->counts.commits, 1);
}

/* The outputs of one delivery will never be taken: it is a dead letter. A dead letter that is not
 * taken either waits until it is. */
static void refuse(struct engine *engine, struct delivery *delivery, const char *message)
{
    bool is_dead_letter =
        delivery->outputs != NULL &&
        strcmp(delivery->outputs->message.topic, engine->records.dead_letter_topic) == 0;
    flow_say(engine->settings.log, FLOW_LOG_ERROR, engine->settings.handler->name.text,
             "%s %d offset %lld: what it led to cannot be written to %s: %s", delivery->lane->topic,
             delivery->message.partition, (long long)delivery->message.offset,
             delivery->outputs == NULL ? "the log" : delivery->outputs->message.topic, message);
    if (is_dead_letter) {
        list_remove(&delivery->link);
        list_append(&engine->writing.refused, &delivery->link);
        wheel_set(&engine->wheel, &engine->writing.refusals,
                  engine->wheel.now_ms + COMMIT_REFUSED_MS);
        return;
    }
    engine->load.output_size -= engine_outputs_size(delivery);
    engine_give_up_parking(engine, delivery);
    engine_unremember(delivery);
    arena_reset(&engine->scratch);
    if (!err_failed(
            records_dead_letter(&engine->records, delivery, "output", message, &engine->scratch)))
        metric_add(&engine->counts.dead_lettered, 1);
    engine->load.output_size += engine_outputs_size(delivery);
}

static void commit_failed(struct engine *engine, const struct commit_result *result)
{
    struct engine_writing *writing = &engine->writing;
    unseal_all(engine);
    if (result->fate == COMMIT_REFUSED)
        refuse(engine, result->refused, result->diag.text);
    else
        flow_say(engine->settings.log, FLOW_LOG_INFO, engine->settings.handler->name.text,
                 "a commit is made again: %s", result->diag.text);
    /* What lanes that are gone had in it is nobody's any more. */
    LIST_EACH (&engine->finished, link) {
        struct delivery *delivery = LIST_ENTRY(link, struct delivery, link);
        if (delivery->lane->state == LANE_GONE)
            engine_drop(engine, delivery);
    }
    writing->are_offsets_due = true;
    writing->not_before_ms = engine->wheel.now_ms + writing->retry_ms;
    writing->retry_ms =
        2 * writing->retry_ms < COMMIT_RETRY_MS_MAX ? 2 * writing->retry_ms : COMMIT_RETRY_MS_MAX;
    metric_add(&engine->counts.commits_failed, 1);
}

static void settle(struct engine *engine, const struct commit_result *result)
{
    engine->writing.is_written = false;
    engine->writing.is_uncertain = false;
    if (result->fate == COMMIT_DONE)
        commit_done(engine);
    else
        commit_failed(engine, result);
    if (!list_is_empty(&engine->finished))
        engine->load.finished_since_ms = engine->wheel.now_ms;
}

void engine_committed(struct engine *engine, const struct commit_result *result)
{
    CHECK_MAGIC(engine, ENGINE_MAGIC);
    CHECK(engine->writing.is_written && !engine->writing.is_uncertain);
    if (result->fate != COMMIT_UNCERTAIN) {
        settle(engine, result);
        return;
    }
    engine->writing.is_uncertain = true;
    engine->writing.not_before_ms = engine->wheel.now_ms;
}

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

/* What became of the commit, from what is committed for its lanes. Those that are still ours tell:
 * each commit changes the offset or the metadata of each, nobody else has, and it was done for all
 * of them or for none. */
static struct err find_fate(struct engine *engine, struct arena *arena, enum commit_fate *fate,
                            struct diag *diag)
{
    const struct commit *commit = &engine->writing.commit;
    struct client_offset *found = arena_alloc_array(arena, commit->offset_count, sizeof *found);
    if (found == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < commit->offset_count; i++)
        found[i] = commit->offsets[i];
    TRY(client_committed(engine->settings.receiver, found, commit->offset_count, arena, diag));
    *fate = COMMIT_DONE;
    for (size_t i = 0; i < commit->offset_count; i++) {
        if (commit->lanes[i]->state != LANE_GONE &&
            (found[i].offset != commit->offsets[i].offset ||
             !is_same_text(found[i].metadata, commit->offsets[i].metadata)))
            *fate = COMMIT_FAILED;
    }
    return ERR_NONE;
}

struct err engine_resolve_commit(struct engine *engine, struct diag *diag)
{
    if (!engine->writing.is_uncertain || engine->wheel.now_ms < engine->writing.not_before_ms)
        return ERR_NONE;
    struct arena arena;
    struct commit_result result = {.fate = COMMIT_UNCERTAIN};
    arena_init(&arena, COMMIT_SIZE_MAX);
    struct err err = find_fate(engine, &arena, &result.fate, diag);
    arena_deinit(&arena);
    if (err_failed(err)) { /* nobody answers: it will pass */
        engine->writing.not_before_ms = engine->wheel.now_ms + ARRIVAL_RETRY_MS;
        return ERR_NONE;
    }
    (void)snprintf(result.diag.text, sizeof result.diag.text, "it was aborted");
    settle(engine, &result);
    return ERR_NONE;
}
