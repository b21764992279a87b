/* coord: life of the coordinator, its table of groups, and what people ask about them. */
#include "coord/coord.h"

#include <stdlib.h>
#include <strings.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "broker/admin.h"
#include "coord/offsets_internal.h"
#include "coord/transactions.h"

static const struct state_topic_kind state_kind = {
    .name = TOPIC_OFFSETS,
    .partition_count = CONFIG_OFFSETS_TOPIC_NUM_PARTITIONS,
    .segment_size = CONFIG_OFFSETS_TOPIC_SEGMENT_BYTES,
};

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
    transactions_step(coord->transactions);
}

struct transactions *coord_transactions(struct coord *coord)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    return coord->transactions;
}

int64_t coord_wait_ms(struct coord *coord)
{
    int64_t transactions_ms = transactions_wait_ms(coord->transactions);
    coord_lock(coord);
    int64_t now_ms = clock_mono_ms(coord->clock);
    int64_t wait_ms = coord->is_closed ? -1 : wheel_wait_ms(&coord->wheel);
    coord->promised_ms = wait_ms < 0 ? INT64_MAX : coord->wheel.now_ms + wait_ms;
    if (wait_ms > 0) {
        int64_t left_ms = coord->promised_ms - now_ms;
        wait_ms = left_ms > 0 ? left_ms : 0;
    }
    os_mutex_unlock(&coord->lock);
    bool is_later = wait_ms < 0 || (transactions_ms >= 0 && transactions_ms < wait_ms);
    return is_later ? transactions_ms : wait_ms;
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
    map_init(&coord->transactional_offsets, coord->seed);
    timer_init(&coord->expiry, offsets_expire_fired);
    struct transactions_setup transactions_setup = {
        .broker = setup->broker, .coord = coord, .wake = setup->wake, .context = setup->context};
    struct err err = state_topic_init(&coord->state, setup->broker, &state_kind);
    if (!err_failed(err))
        err = transactions_create(&transactions_setup, &coord->transactions);
    if (err_failed(err)) {
        coord_destroy(coord);
        return err;
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
    transactions_close(coord->transactions);
}

void coord_destroy(struct coord *coord)
{
    if (coord == NULL)
        return;
    CHECK_MAGIC(coord, COORD_MAGIC);
    transactions_destroy(coord->transactions);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL)
        group_destroy(entry->value);
    map_deinit(&coord->groups);
    offsets_transactions_clear(coord);
    timer_cancel(&coord->expiry);
    state_topic_deinit(&coord->state);
    os_mutex_deinit(&coord->lock);
    coord->magic = 0;
    free(coord);
}

struct err coord_prepare(struct coord *coord, int64_t *commit, struct diag *diag)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    return state_topic_prepare(&coord->state, commit, diag);
}

struct partition *coord_partition(struct coord *coord, int32_t index)
{
    return state_topic_partition(&coord->state, index);
}

void coord_commit_fill(const struct group *group, int64_t end_offset, struct coord_commit *commit)
{
    struct partition *partition = coord_partition(group->coord, group->partition_index);
    topic_ref(partition->topic);
    *commit = (struct coord_commit){
        .partition = partition, .topic = partition->topic, .end_offset = end_offset};
}

int16_t coord_group_partition(struct coord *coord, struct span group_id,
                              struct partition **partition)
{
    struct group *group;
    int64_t unused; /* only who asks for the coordinator waits; others come again */
    if (group_id.size == 0)
        return KAFKA_INVALID_GROUP_ID;
    if (err_failed(coord_prepare(coord, &unused, NULL)))
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    coord_lock(coord);
    int16_t code = coord_find_group(coord, group_id, false, &group);
    if (code == KAFKA_NONE) {
        *partition = coord_partition(coord, hash_partition(group_id, coord->state.partition_count));
        topic_ref((*partition)->topic);
    }
    coord_unlock(coord);
    return code;
}

int16_t coord_find_group(struct coord *coord, struct span group_id, bool is_wanted,
                         struct group **out)
{
    *out = NULL;
    if (coord->is_closed)
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    if (group_id.size == 0 && is_wanted)
        return KAFKA_INVALID_GROUP_ID;
    if (!atomic_load(&coord->state.is_ready)) /* so there is no group either */
        return is_wanted ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE;
    int32_t index;
    int16_t code = state_topic_locate(&coord->state, group_id, &index);
    if (code != KAFKA_NONE)
        return code;
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

/* Forgets what was loaded of a partition that could not be loaded whole. */
static void drop_groups(struct coord *coord, int32_t index)
{
    struct list found;
    list_init(&found);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&coord->groups, &position)) != NULL) {
        struct group *group = entry->value;
        if (group->partition_index == index)
            list_append(&found, &group->work);
    }
    for (struct list *link = list_pop(&found); link != NULL; link = list_pop(&found))
        coord_drop_group(coord, LIST_ENTRY(link, struct group, work));
}

static struct err load_partition(struct coord *coord, int32_t index, struct diag *diag)
{
    struct coord_loading loading = {.coord = coord, .partition_index = index};
    const struct internal_visitor visitor = {
        .context = &loading, .record = group_log_visit, .marker = group_log_visit_marker};
    arena_init(&loading.arena, INTERNAL_BATCH_SIZE_MAX);
    struct err err = internal_log_replay(coord_partition(coord, index), &visitor, diag);
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
    int32_t index;
    coord_lock(coord);
    *is_more = !coord->is_closed && state_topic_begin_load(&coord->state, &index);
    coord_unlock(coord);
    if (!*is_more) /* transactions last: their markers decide on groups' offsets */
        return transactions_load_step(coord->transactions, is_more, diag);
    struct err err = load_partition(coord, index, diag);
    coord_lock(coord);
    state_topic_end_load(&coord->state, index, err);
    if (err_failed(err))
        drop_groups(coord, index);
    else
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
    if (!state_topic_is_loaded(&coord->state))
        response->error_code = KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
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
    int16_t code = coord_find_group(coord, group_id, false, &group);
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
