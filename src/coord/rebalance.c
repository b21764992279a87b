/*
 * rebalance: how a generation ends and the next begins.
 *
 *   prepare     joins are waited for: as long as a new group may grow
 * (group.initial.rebalance.delay.ms), or as long as the slowest member may take (its rebalance
 * timeout) complete    those who did not come are out; the generation rises; joins are answered
 *   assign      the leader's sync brings the assignments; they are recorded; when that is durable,
 *               syncs are answered and the group is stable
 */
#include <stdlib.h>

#include "base/check.h"
#include "coord/coord_internal.h"

/* Members wait: a rebalance that found no memory is completed after so long. */
#define NO_MEMORY_RETRY_MS 100

struct join_group_response_member *rebalance_list_members(const struct group *group, int32_t *count)
{
    struct join_group_response_member *members =
        calloc((size_t)group->member_count + 1, sizeof *members);
    *count = 0;
    if (members == NULL)
        return NULL;
    LIST_EACH (&group->members, link) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        members[(*count)++] = (struct join_group_response_member){
            .member_id = member->id,
            .group_instance_id = member->instance_id,
            .metadata = member_metadata(member, group->protocol_name),
        };
    }
    return members;
}

void rebalance_answer_join(struct group *group, struct member *member, int16_t error_code)
{
    struct coord_join *join = member->join;
    if (join == NULL)
        return;
    member->join = NULL;
    struct join_group_response response;
    join_group_response_init(&response);
    response.error_code = error_code;
    response.member_id = member->id;
    response.leader = span_text("");
    struct join_group_response_member *members = NULL;
    if (error_code == KAFKA_NONE) {
        response.generation_id = group->generation;
        response.protocol_type = group->protocol_type;
        response.protocol_name = group->protocol_name;
        response.leader = group->leader->id;
        if (group_is_leader(group, member))
            members = rebalance_list_members(group, &response.members_count);
    }
    response.members = members;
    join->done(join, &response);
    free(members);
}

void rebalance_answer_static(struct group *group, const struct member *member,
                             struct span old_leader_id, bool is_leader, struct coord_join *join)
{
    struct join_group_response response;
    join_group_response_init(&response);
    response.generation_id = group->generation;
    response.protocol_type = group->protocol_type;
    response.protocol_name = group->protocol_name;
    response.leader = span_is_null(old_leader_id) ? group->leader->id : old_leader_id;
    response.member_id = member->id;
    struct join_group_response_member *members = NULL;
    if (is_leader && span_is_null(old_leader_id)) {
        response.skip_assignment = true;
        members = rebalance_list_members(group, &response.members_count);
    }
    response.members = members;
    join->done(join, &response);
    free(members);
}

void rebalance_answer_sync(struct member *member, int16_t error_code)
{
    struct coord_sync *sync = member->sync;
    if (sync == NULL)
        return;
    member->sync = NULL;
    struct sync_group_response response;
    sync_group_response_init(&response);
    response.error_code = error_code;
    response.assignment = span_text("");
    if (error_code == KAFKA_NONE) {
        response.protocol_type = member->group->protocol_type;
        response.protocol_name = member->group->protocol_name;
        if (!span_is_null(member->assignment))
            response.assignment = member->assignment;
    }
    membership_touch(member);
    sync->done(sync, &response);
}

static void answer_all_syncs(struct group *group, int16_t error_code)
{
    LIST_EACH (&group->members, link)
        rebalance_answer_sync(LIST_ENTRY(link, struct member, link), error_code);
}

/* The longest that a member may take to come back. */
static int64_t rejoin_timeout_ms(const struct group *group)
{
    int64_t longest = 0;
    LIST_EACH (&group->members, link) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->traits.rebalance_timeout_ms > longest)
            longest = member->traits.rebalance_timeout_ms;
    }
    return longest;
}

void rebalance_prepare(struct group *group)
{
    struct group_rebalance *rebalance = &group->rebalance;
    if (group->state == GROUP_COMPLETING) {
        LIST_EACH (&group->members, link)
            blob_free(&LIST_ENTRY(link, struct member, link)->assignment);
        answer_all_syncs(group, KAFKA_REBALANCE_IN_PROGRESS);
    }
    int64_t timeout_ms = rejoin_timeout_ms(group);
    int64_t delay_ms = config_number(group->coord->config, CONFIG_GROUP_INITIAL_REBALANCE_DELAY_MS);
    rebalance->is_initial = group->state == GROUP_EMPTY;
    rebalance->has_newcomer = false;
    if (rebalance->is_initial) {
        delay_ms = delay_ms < timeout_ms ? delay_ms : timeout_ms;
        rebalance->remaining_ms = timeout_ms - delay_ms;
        timeout_ms = delay_ms;
    }
    group_set_state(group, GROUP_PREPARING);
    coord_set_timer(group->coord, &rebalance->timer, timeout_ms);
    rebalance_try_complete(group);
}

static bool all_have_joined(const struct group *group)
{
    if (group->pending.count > 0)
        return false;
    LIST_EACH (&group->members, link) {
        if (LIST_ENTRY(link, struct member, link)->join == NULL)
            return false;
    }
    return true;
}

/* Takes out dynamic members that did not come back; static ones keep their place. */
static void drop_absent(struct group *group)
{
    LIST_EACH (&group->members, link) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->join == NULL && span_is_null(member->instance_id))
            group_remove_member(group, member);
    }
}

/* The leader must have come back; otherwise the first that has leads. False where none has. */
static bool elect_leader(struct group *group)
{
    if (group->leader != NULL && group->leader->join != NULL)
        return true;
    LIST_EACH (&group->members, link) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->join != NULL) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void begin_generation(struct group *group)
{
    group->generation = group->generation == INT32_MAX ? 0 : group->generation + 1;
    if (group->member_count == 0) {
        blob_free(&group->protocol_name);
        group_set_state(group, GROUP_EMPTY);
        int64_t unused;
        struct err ignored = group_log_write(group, &unused); /* lost: found empty by time-outs */
        (void)ignored;
        return;
    }
    if (err_failed(blob_replace(&group->protocol_name, group_select_protocol(group)))) {
        coord_set_timer(group->coord, &group->rebalance.timer, NO_MEMORY_RETRY_MS);
        return;
    }
    group_set_state(group, GROUP_COMPLETING);
    LIST_EACH (&group->members, link) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        rebalance_answer_join(group, member, KAFKA_NONE);
        member->is_new = false;
        member->has_synced = false;
        membership_touch(member);
    }
    /* Whoever does not sync within the rebalance timeout is taken out. */
    coord_set_timer(group->coord, &group->rebalance.timer, rejoin_timeout_ms(group));
}

static void complete(struct group *group)
{
    timer_cancel(&group->rebalance.timer);
    drop_absent(group);
    if (group->member_count > 0 && !elect_leader(group)) {
        /* only static members are left, and none has come: they get their time again */
        coord_set_timer(group->coord, &group->rebalance.timer, rejoin_timeout_ms(group));
        return;
    }
    begin_generation(group);
}

void rebalance_try_complete(struct group *group)
{
    bool may_complete = group->state == GROUP_PREPARING && all_have_joined(group);
    bool is_early = group->rebalance.is_initial && group->member_count > 0;
    if (may_complete && !is_early)
        complete(group);
}

/* A new group's delay is over: once more, as long as members keep coming and time remains. */
static bool extend_initial(struct group *group)
{
    struct group_rebalance *rebalance = &group->rebalance;
    if (!rebalance->is_initial || !rebalance->has_newcomer || rebalance->remaining_ms == 0)
        return false;
    int64_t delay_ms = config_number(group->coord->config, CONFIG_GROUP_INITIAL_REBALANCE_DELAY_MS);
    delay_ms = delay_ms < rebalance->remaining_ms ? delay_ms : rebalance->remaining_ms;
    rebalance->remaining_ms -= delay_ms;
    rebalance->has_newcomer = false;
    coord_set_timer(group->coord, &rebalance->timer, delay_ms);
    return true;
}

/* Members that joined this generation and never asked for their work are out. */
static void drop_unsynced(struct group *group)
{
    bool is_any = false;
    LIST_EACH (&group->members, link) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->has_synced)
            continue;
        group_remove_member(group, member);
        is_any = true;
    }
    if (is_any)
        rebalance_prepare(group);
}

void rebalance_timer_fired(struct timer *timer)
{
    struct group *group = LIST_ENTRY(timer, struct group, rebalance.timer);
    if (group->state == GROUP_PREPARING) {
        if (!extend_initial(group))
            complete(group);
    } else if (group->state == GROUP_COMPLETING || group->state == GROUP_STABLE) {
        drop_unsynced(group);
    }
}

/* A recorded assignment on its way to the disk. */
struct assignment_write {
    struct partition_waiter waiter;
    struct group *group;
    int32_t generation;
};

/* The record is durable, or never will be. Under the lock. */
static void assignment_written(struct assignment_write *write, struct err err)
{
    struct group *group = write->group;
    group->write_count--;
    if (group->state == GROUP_DEAD) {
        if (group->write_count == 0)
            group_destroy(group);
    } else if (group->state == GROUP_COMPLETING && group->generation == write->generation) {
        if (err_failed(err)) {
            answer_all_syncs(group, KAFKA_COORDINATOR_NOT_AVAILABLE);
            rebalance_prepare(group);
        } else {
            group_set_state(group, GROUP_STABLE);
            answer_all_syncs(group, KAFKA_NONE);
        }
    }
    free(write);
}

static void assignment_durable(struct partition_waiter *waiter, struct err err)
{
    struct assignment_write *write = LIST_ENTRY(waiter, struct assignment_write, waiter);
    struct coord *coord = write->group->coord;
    coord_lock(coord);
    assignment_written(write, err);
    coord_unlock(coord);
}

/* Gives each member the leader's assignment for it, or an empty one. */
static struct err take_assignments(struct group *group, const struct sync_group_request *request)
{
    LIST_EACH (&group->members, link) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        TRY(blob_replace(&member->assignment, span_text("")));
    }
    for (int32_t i = 0; i < request->assignments_count; i++) {
        struct member *member = group_find_member(group, request->assignments[i].member_id);
        if (member != NULL)
            TRY(blob_replace(&member->assignment, request->assignments[i].assignment));
    }
    return ERR_NONE;
}

void rebalance_assign(struct group *group, const struct sync_group_request *request)
{
    struct assignment_write *write = calloc(1, sizeof *write);
    struct err err = write == NULL ? err_make(ERR_NO_MEMORY) : take_assignments(group, request);
    int64_t end_offset = 0;
    if (!err_failed(err))
        err = group_log_write(group, &end_offset);
    if (err_failed(err)) {
        free(write);
        answer_all_syncs(group, KAFKA_COORDINATOR_NOT_AVAILABLE);
        rebalance_prepare(group);
        return;
    }
    *write = (struct assignment_write){
        .waiter = {.offset = end_offset, .done = assignment_durable},
        .group = group,
        .generation = group->generation,
    };
    group->write_count++;
    struct partition *partition = coord_partition(group->coord, group->partition_index);
    if (partition_wait(partition, &write->waiter, &err))
        assignment_written(write, err);
}
