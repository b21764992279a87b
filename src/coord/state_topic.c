/* state_topic: making, finding and loading. */
#include "coord/state_topic.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "broker/admin.h"
#include "wire/error_code.h"

/* Takes over the reference. All partitions are in the given state. */
static struct err begin(struct state_topic *state, struct topic *topic, enum load_state load)
{
    int32_t count = topic_partition_count(topic);
    struct state_load *loads = calloc((size_t)count, sizeof *loads);
    if (loads == NULL) {
        topic_unref(topic);
        return err_make(ERR_NO_MEMORY);
    }
    for (int32_t i = 0; i < count; i++)
        loads[i].state = load;
    state->topic = topic;
    state->loads = loads;
    state->partition_count = count;
    atomic_store(&state->is_ready, true);
    return ERR_NONE;
}

struct err state_topic_init(struct state_topic *state, struct broker *broker,
                            const struct state_topic_kind *kind)
{
    *state = (struct state_topic){.broker = broker, .kind = kind};
    os_mutex_init(&state->making);
    struct topic *topic = broker_find_topic(broker, span_text(kind->name));
    return topic == NULL ? ERR_NONE : begin(state, topic, LOAD_WAITING);
}

void state_topic_deinit(struct state_topic *state)
{
    if (state->broker == NULL)
        return;
    topic_unref(state->topic);
    free(state->loads);
    os_mutex_deinit(&state->making);
    *state = (struct state_topic){0};
}

/* Makes the topic, unless it is just being made. */
static struct err make(struct state_topic *state, int64_t *commit, struct diag *diag)
{
    const struct config *config = state->broker->config;
    struct topic_overrides overrides = {0};
    struct span segment_size = span_text(config_text(config, state->kind->segment_size));
    struct err err =
        topic_overrides_set(&overrides, span_text("cleanup.policy"), span_text("compact"), diag);
    if (!err_failed(err))
        err = topic_overrides_set(&overrides, span_text("segment.bytes"), segment_size, diag);
    if (err_failed(err)) {
        topic_overrides_deinit(&overrides);
        return err;
    }
    struct admin_create create = {
        .name = span_text(state->kind->name),
        .partition_count = (int32_t)config_number(config, state->kind->partition_count),
        .overrides = &overrides,
        .is_internal = true,
    };
    struct topic *topic;
    err = admin_create_topic(state->broker, &create, &topic, commit, diag);
    if (!err_failed(err))
        topic_unref(topic);
    return err_is(err, ERR_EXISTS) ? ERR_NONE : err;
}

static struct err find_or_make(struct state_topic *state, int64_t *commit, struct diag *diag)
{
    struct span name = span_text(state->kind->name);
    struct topic *topic = broker_find_topic(state->broker, name);
    if (topic == NULL) {
        TRY(make(state, commit, diag));
        topic = broker_find_topic(state->broker, name);
    }
    if (topic == NULL)
        return err_make(ERR_AGAIN);
    return begin(state, topic, LOAD_DONE); /* new, so there is nothing to load */
}

struct err state_topic_prepare(struct state_topic *state, int64_t *commit, struct diag *diag)
{
    if (atomic_load(&state->is_ready))
        return ERR_NONE;
    os_mutex_lock(&state->making);
    struct err err = atomic_load(&state->is_ready) ? ERR_NONE : find_or_make(state, commit, diag);
    os_mutex_unlock(&state->making);
    return err;
}

int16_t state_topic_locate(const struct state_topic *state, struct span key, int32_t *index)
{
    if (!atomic_load(&state->is_ready))
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    *index = hash_partition(key, state->partition_count);
    enum load_state load = state->loads[*index].state;
    if (load == LOAD_FAILED)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    return load == LOAD_DONE ? KAFKA_NONE : KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
}

struct partition *state_topic_partition(const struct state_topic *state, int32_t index)
{
    struct partition *partition = topic_partition(state->topic, index);
    CHECK(partition != NULL);
    return partition;
}

bool state_topic_begin_load(struct state_topic *state, int32_t *index)
{
    struct state_load *next = NULL; /* of those that failed least often the first */
    if (!atomic_load(&state->is_ready))
        return false;
    for (int32_t i = 0; i < state->partition_count; i++) {
        struct state_load *load = &state->loads[i];
        if (load->state == LOAD_WAITING &&
            (next == NULL || load->failure_count < next->failure_count))
            next = load;
    }
    if (next == NULL)
        return false;
    next->state = LOAD_RUNNING;
    *index = (int32_t)(next - state->loads);
    return true;
}

void state_topic_end_load(struct state_topic *state, int32_t index, struct err err)
{
    struct state_load *load = &state->loads[index];
    CHECK(load->state == LOAD_RUNNING);
    load->state = LOAD_DONE;
    if (!err_failed(err))
        return;
    load->failure_count++;
    bool is_last = err_is(err, ERR_CORRUPT) || load->failure_count >= LOAD_TRY_COUNT_MAX;
    load->state = is_last ? LOAD_FAILED : LOAD_WAITING;
}

bool state_topic_is_loaded(const struct state_topic *state)
{
    if (!atomic_load(&state->is_ready))
        return true;
    for (int32_t i = 0; i < state->partition_count; i++) {
        if (state->loads[i].state == LOAD_WAITING || state->loads[i].state == LOAD_RUNNING)
            return false;
    }
    return true;
}
