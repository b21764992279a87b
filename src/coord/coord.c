/* coord: life of the coordinator, its table of groups, and what people ask about them. */
#include "coord/coord.h"

#include <stdlib.h>
#include <strings.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "broker/admin.h"
#include "coord/coord_internal.h"

void coord_lock(struct coord *coord)
{
    os_mutex_lock(&coord->lock);
}

void coord_unlock(struct coord *coord)
{
    int64_t wait_ms = wheel_wait_ms(&coord->wheel);
    int64_t due_ms = wait_ms < 0 ? INT64_MAX : coord->wheel.now_ms + wait_ms;
    bool is_earlier = due_ms < coord->promised_ms;
    if (is_earlier)
        coord->promised_ms = due_ms;
    os_mutex_unlock(&coord->lock);
    if (is_earlier && coord->setup.wake != NULL)
        coord->setup.wake(coord->setup.context);
}

void coord_set_timer(struct coord *coord, struct timer *timer, int64_t after_ms)
{
    wheel_set(&coord->wheel, timer, clock_mono_ms(coord->clock) + after_ms);
}

void coord_step(struct coord *coord)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    coord_lock(coord);
    if (!coord->is_closed)
        wheel_advance(&coord->wheel, clock_mono_ms(coord->clock));
    coord_unlock(coord);
}

int64_t coord_wait_ms(struct coord *coord)
{
    coord_lock(coord);
    int64_t now_ms = clock_mono_ms(coord->clock);
    int64_t wait_ms = coord->is_closed ? -1 : wheel_wait_ms(&coord->wheel);
    coord->promised_ms = wait_ms < 0 ? INT64_MAX : coord->wheel.now_ms + wait_ms;
    if (wait_ms > 0) {
        int64_t left_ms = coord->promised_ms - now_ms;
        wait_ms = left_ms > 0 ? left_ms : 0;
    }
    os_mutex_unlock(&coord->lock);
    return wait_ms;
}

struct err coord_create(const struct coord_setup *setup, struct coord **out)
{
    struct coord *coord = calloc(1, sizeof *coord);
    if (coord == NULL)
        return err_make(ERR_NO_MEMORY);
    const struct os *os = setup->broker->os;
    *coord = (struct coord){
        .magic = COORD_MAGIC,
        .setup = *setup,
        .broker = setup->broker,
        .clock = os->clock,
        .config = setup->broker->config,
        .seed = random_u64(os->random),
        .promised_ms = INT64_MAX,
    };
    os_mutex_init(&coord->lock);
    wheel_init(&coord->wheel, clock_mono_ms(os->clock));
    map_init(&coord->groups, coord->seed);
    timer_init(&coord->expiry, offsets_expire_fired);
    coord->topic = broker_find_topic(setup->broker, span_text(TOPIC_OFFSETS));
    coord->partition_count = coord->topic == NULL ? 0 : topic_partition_count(coord->topic);
    atomic_init(&coord->is_prepared, coord->topic != NULL);
    coord->loads = calloc((size_t)coord->partition_count + 1, sizeof *coord->loads);
    if (coord->loads == NULL) {
        coord_destroy(coord);
        return err_make(ERR_NO_MEMORY);
    }
    coord_set_timer(coord, &coord->expiry,
                    config_number(coord->config, CONFIG_OFFSETS_RETENTION_CHECK_INTERVAL_MS));
    *out = coord;
    return ERR_NONE;
}

static void send_home(struct group *group)
{
    LIST_EACH (&group->members, link) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        rebalance_answer_join(group, member, KAFKA_COORDINATOR_NOT_AVAILABLE);
        rebalance_answer_sync(member, KAFKA_COORDINATOR_NOT_AVAILABLE);
    }
}

void coord_close(struct coord *coord)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    coord_lock(coord);
    coord->is_closed = true;
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL)
        send_home(entry->value);
    coord_unlock(coord);
}

void coord_destroy(struct coord *coord)
{
    if (coord == NULL)
        return;
    CHECK_MAGIC(coord, COORD_MAGIC);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL)
        group_destroy(entry->value);
    map_deinit(&coord->groups);
    timer_cancel(&coord->expiry);
    topic_unref(coord->topic);
    free(coord->loads);
    os_mutex_deinit(&coord->lock);
    coord->magic = 0;
    free(coord);
}

/* Makes __consumer_offsets, configured as Kafka does, unless it is just being made. */
static struct err make_topic(struct coord *coord, int64_t *commit, struct diag *diag)
{
    struct topic_overrides overrides = {0};
    const char *segment_bytes = config_text(coord->config, CONFIG_OFFSETS_TOPIC_SEGMENT_BYTES);
    struct err err =
        topic_overrides_set(&overrides, span_text("cleanup.policy"), span_text("compact"), diag);
    if (!err_failed(err))
        err = topic_overrides_set(&overrides, span_text("segment.bytes"), span_text(segment_bytes),
                                  diag);
    if (err_failed(err)) {
        topic_overrides_deinit(&overrides);
        return err;
    }
    struct admin_create create = {
        .name = span_text(TOPIC_OFFSETS),
        .partition_count =
            (int32_t)config_number(coord->config, CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS),
        .overrides = &overrides,
        .is_internal = true,
    };
    struct topic *topic;
    err = admin_create_topic(coord->broker, &create, &topic, commit, diag);
    if (!err_failed(err))
        topic_unref(topic);
    return err_is(err, ERR_EXISTS) ? ERR_NONE : err;
}

/* Takes in the topic (a reference) and the states of its partitions, unless another thread has. */
static void adopt_topic(struct coord *coord, struct topic *topic, enum load_state *loads,
                        int32_t count)
{
    coord_lock(coord);
    bool is_first = coord->topic == NULL;
    if (is_first) {
        free(coord->loads);
        coord->loads = loads;
        coord->partition_count = count;
        coord->topic = topic;
        atomic_store(&coord->is_prepared, true);
    }
    coord_unlock(coord);
    if (!is_first) {
        free(loads);
        topic_unref(topic);
    }
}

struct err coord_prepare(struct coord *coord, int64_t *commit, struct diag *diag)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    if (atomic_load(&coord->is_prepared))
        return ERR_NONE;
    struct span name = span_text(TOPIC_OFFSETS);
    struct topic *topic = broker_find_topic(coord->broker, name);
    if (topic == NULL) {
        TRY(make_topic(coord, commit, diag));
        topic = broker_find_topic(coord->broker, name);
    }
    if (topic == NULL)
        return err_make(ERR_AGAIN);
    int32_t count = topic_partition_count(topic);
    enum load_state *loads = calloc((size_t)count, sizeof *loads);
    if (loads == NULL) {
        topic_unref(topic);
        return err_make(ERR_NO_MEMORY);
    }
    for (int32_t i = 0; i < count; i++)
        loads[i] = LOAD_DONE; /* new, so there is nothing to load */
    adopt_topic(coord, topic, loads, count);
    return ERR_NONE;
}

struct partition *coord_partition(struct coord *coord, int32_t index)
{
    struct partition *partition = topic_partition(coord->topic, index);
    CHECK(partition != NULL);
    return partition;
}

void coord_commit_fill(const struct group *group, int64_t end_offset, struct coord_commit *commit)
{
    struct partition *partition = coord_partition(group->coord, group->partition_index);
    topic_ref(partition->topic);
    *commit = (struct coord_commit){
        .partition = partition, .topic = partition->topic, .end_offset = end_offset};
}

int16_t coord_find_group(struct coord *coord, struct span group_id, bool is_wanted,
                         struct group **out)
{
    *out = NULL;
    if (coord->is_closed)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (group_id.size == 0 && is_wanted)
        return KAFKA_INVALID_GROUP_ID;
    if (coord->topic == NULL) /* so there is no group either */
        return is_wanted ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE;
    int32_t index = hash_partition(group_id, coord->partition_count);
    if (coord->loads[index] == LOAD_FAILED)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (coord->loads[index] != LOAD_DONE)
        return KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    *out = map_get(&coord->groups, group_id);
    if (*out != NULL || !is_wanted)
        return KAFKA_NONE;
    if (err_failed(group_create(coord, group_id, index, out)))
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (err_failed(map_put(&coord->groups, (*out)->id, *out))) {
        group_destroy(*out);
        *out = NULL;
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    }
    return KAFKA_NONE;
}

void coord_drop_group(struct coord *coord, struct group *group)
{
    const void *found = map_remove(&coord->groups, group->id);
    CHECK(found == group);
    group_set_state(group, GROUP_DEAD);
    if (group->write_count == 0)
        group_destroy(group);
}

static struct err load_partition(struct coord *coord, int32_t index, struct diag *diag)
{
    struct coord_loading loading = {.coord = coord, .partition_index = index};
    arena_init(&loading.arena, INTERNAL_BATCH_SIZE_MAX);
    struct err err =
        internal_log_replay(coord_partition(coord, index), group_log_visit, &loading, diag);
    arena_deinit(&loading.arena);
    return diag_wrap(diag, err, "loading %s-%d", TOPIC_OFFSETS, index);
}

/*
 * Members that were there before the restart have their session timeout to show up. Groups whose
 * every offset turned out to be deleted are none.
 */
static void start_groups(struct coord *coord, int32_t index)
{
    struct list vacant;
    list_init(&vacant);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        struct group *group = entry->value;
        if (group->partition_index != index)
            continue;
        group_check(group);
        if (group_is_vacant(group))
            list_append(&vacant, &group->work);
        LIST_EACH (&group->members, link)
            membership_touch(LIST_ENTRY(link, struct member, link));
    }
    for (struct list *link = list_pop(&vacant); link != NULL; link = list_pop(&vacant))
        coord_drop_group(coord, LIST_ENTRY(link, struct group, work));
}

struct err coord_load_step(struct coord *coord, bool *is_more, struct diag *diag)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    int32_t index = 0;
    coord_lock(coord);
    while (index < coord->partition_count && coord->loads[index] != LOAD_WAITING)
        index++;
    bool is_found = index < coord->partition_count && !coord->is_closed;
    if (is_found)
        coord->loads[index] = LOAD_RUNNING;
    coord_unlock(coord);
    *is_more = is_found;
    if (!is_found)
        return ERR_NONE;
    struct err err = load_partition(coord, index, diag);
    coord_lock(coord);
    coord->loads[index] = err_failed(err) ? LOAD_FAILED : LOAD_DONE;
    if (!err_failed(err))
        start_groups(coord, index);
    coord_unlock(coord);
    return err;
}

static struct err describe_members(const struct group *group, struct arena *arena,
                                   struct describe_groups_response_group *response)
{
    response->members =
        arena_alloc_array(arena, (size_t)group->member_count, sizeof *response->members);
    if (response->members == NULL)
        return err_make(ERR_NO_MEMORY);
    bool is_settled = group->state == GROUP_STABLE;
    LIST_EACH (&group->members, link) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        struct describe_groups_response_member *made =
            &response->members[response->members_count++];
        TRY(arena_copy(arena, member->id, &made->member_id));
        TRY(arena_copy(arena, member->instance_id, &made->group_instance_id));
        TRY(arena_copy(arena, member->traits.client_id, &made->client_id));
        TRY(arena_copy(arena, member->traits.client_host, &made->client_host));
        struct span metadata =
            is_settled ? member_metadata(member, group->protocol_name) : span_text("");
        TRY(arena_copy(arena, metadata, &made->member_metadata));
        struct span assignment =
            is_settled && !span_is_null(member->assignment) ? member->assignment : span_text("");
        TRY(arena_copy(arena, assignment, &made->member_assignment));
    }
    return ERR_NONE;
}

static struct err describe_locked(const struct group *group, struct arena *arena,
                                  struct describe_groups_response_group *response)
{
    response->group_state = span_text(group_state_name(group->state));
    struct span type = span_is_null(group->protocol_type) ? span_text("") : group->protocol_type;
    bool is_shown = group->state == GROUP_STABLE && !span_is_null(group->protocol_name);
    struct span protocol = is_shown ? group->protocol_name : span_text("");
    TRY(arena_copy(arena, type, &response->protocol_type));
    TRY(arena_copy(arena, protocol, &response->protocol_data));
    return describe_members(group, arena, response);
}

struct err coord_describe_group(struct coord *coord, struct span group_id, int16_t version,
                                struct arena *arena,
                                struct describe_groups_response_group *response)
{
    struct group *group = NULL;
    struct err err = ERR_NONE;
    coord_lock(coord);
    response->group_id = group_id;
    response->group_state = span_text("");
    response->protocol_type = span_text("");
    response->protocol_data = span_text("");
    response->error_code = coord_find_group(coord, group_id, false, &group);
    if (group != NULL) {
        err = describe_locked(group, arena, response);
    } else if (response->error_code == KAFKA_NONE) {
        response->group_state = span_text(group_state_name(GROUP_DEAD));
        if (version >= 6) { /* KIP-1043 */
            response->error_code = KAFKA_GROUP_ID_NOT_FOUND;
            char *text = arena_print(arena, "Group %.*s not found.", SPAN_ARGS(group_id));
            err = text == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
            response->error_message = span_text(text);
        }
    }
    coord_unlock(coord);
    return err;
}

/* Whether one of the words, in any case, is the wanted one; no words allow all. */
static bool filter_allows(const struct span *words, int32_t count, const char *wanted)
{
    if (count <= 0)
        return true;
    for (int32_t i = 0; i < count; i++) {
        if (words[i].size == strlen(wanted) &&
            strncasecmp((const char *)words[i].data, wanted, words[i].size) == 0)
            return true;
    }
    return false;
}

static int compare_listed(const void *left, const void *right)
{
    const struct list_groups_response_group *a = left;
    const struct list_groups_response_group *b = right;
    return span_compare(a->group_id, b->group_id);
}

/* Lists the groups in the states that are wanted. */
static struct err list_locked(struct coord *coord, const bool is_wanted[GROUP_STATE_COUNT],
                              struct arena *arena, struct list_groups_response *response)
{
    response->groups = arena_alloc_array(arena, coord->groups.count, sizeof *response->groups);
    if (response->groups == NULL)
        return err_make(ERR_NO_MEMORY);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        const struct group *group = entry->value;
        if (!is_wanted[group->state])
            continue;
        struct list_groups_response_group *listed = &response->groups[response->groups_count++];
        struct span type =
            span_is_null(group->protocol_type) ? span_text("") : group->protocol_type;
        TRY(arena_copy(arena, group->id, &listed->group_id));
        TRY(arena_copy(arena, type, &listed->protocol_type));
        listed->group_state = span_text(group_state_name(group->state));
        listed->group_type = span_text("classic");
    }
    qsort(response->groups, (size_t)response->groups_count, sizeof *response->groups,
          compare_listed);
    return ERR_NONE;
}

struct err coord_list_groups(struct coord *coord, const struct list_groups_request *request,
                             struct arena *arena, struct list_groups_response *response)
{
    bool is_wanted[GROUP_STATE_COUNT]; /* the request's words are looked at once, not by group */
    bool is_type_wanted =
        filter_allows(request->types_filter, request->types_filter_count, "classic");
    for (int i = 0; i < GROUP_STATE_COUNT; i++)
        is_wanted[i] =
            is_type_wanted && filter_allows(request->states_filter, request->states_filter_count,
                                            group_state_name((enum group_state)i));
    coord_lock(coord);
    for (int32_t i = 0; i < coord->partition_count; i++) {
        if (coord->loads[i] != LOAD_DONE && coord->loads[i] != LOAD_FAILED)
            response->error_code = KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    }
    if (coord->is_closed)
        response->error_code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    struct err err = ERR_NONE;
    if (response->error_code == KAFKA_NONE)
        err = list_locked(coord, is_wanted, arena, response);
    coord_unlock(coord);
    return err;
}

static int16_t delete_locked(struct coord *coord, struct group *group, struct coord_commit *commit)
{
    if (group == NULL)
        return KAFKA_GROUP_ID_NOT_FOUND;
    if (group->state != GROUP_EMPTY)
        return KAFKA_NON_EMPTY_GROUP;
    struct partition *partition = coord_partition(coord, group->partition_index);
    struct internal_batch batch;
    internal_batch_init(&batch, clock_wall_ms(coord->clock));
    struct err err = offsets_add_tombstones(group, &batch);
    if (!err_failed(err))
        err = group_log_add_tombstone(group, &batch);
    int64_t end_offset;
    if (!err_failed(err))
        err = internal_batch_append(&batch, partition, &end_offset, NULL);
    internal_batch_deinit(&batch);
    if (err_failed(err))
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    coord_commit_fill(group, end_offset, commit);
    coord_drop_group(coord, group);
    return KAFKA_NONE;
}

int16_t coord_delete_group(struct coord *coord, struct span group_id, struct coord_commit *commit)
{
    *commit = (struct coord_commit){0};
    struct group *group = NULL;
    coord_lock(coord);
    int16_t code = group_id.size == 0 ? KAFKA_INVALID_GROUP_ID
                                      : coord_find_group(coord, group_id, false, &group);
    if (code == KAFKA_NONE)
        code = delete_locked(coord, group, commit);
    coord_unlock(coord);
    return code;
}

void coord_count(struct coord *coord, struct coord_counts *counts)
{
    *counts = (struct coord_counts){0};
    coord_lock(coord);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        const struct group *group = entry->value;
        counts->groups_by_state[group->state]++;
        counts->members += group->member_count;
    }
    coord_unlock(coord);
}
