/*
 * membership: what a member asks of its group: to join, to sync, to be counted alive, to leave.
 *
 * The order of checks is Kafka's, as clients react to the error they are given first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "coord/coord_internal.h"

/* A new member is kept this long before its first rebalance ends, whatever its session timeout. */
#define NEW_MEMBER_TIMEOUT_MS (5 * 60 * 1000)

void membership_touch(struct member *member)
{
    int64_t timeout_ms = member->is_new && member->join != NULL ? NEW_MEMBER_TIMEOUT_MS
                                                                : member->traits.session_timeout_ms;
    coord_set_timer(member->group->coord, &member->session, timeout_ms);
}

void membership_remove(struct group *group, struct member *member)
{
    rebalance_answer_join(group, member, KAFKA_UNKNOWN_MEMBER_ID);
    rebalance_answer_sync(member, KAFKA_UNKNOWN_MEMBER_ID);
    group_remove_member(group, member);
    if (group->state == GROUP_STABLE || group->state == GROUP_COMPLETING)
        rebalance_prepare(group);
    else if (group->state == GROUP_PREPARING)
        rebalance_try_complete(group);
}

/* A member was silent for its session timeout. Waiting for the others counts as being alive. */
void membership_session_fired(struct timer *timer)
{
    struct member *member = LIST_ENTRY(timer, struct member, session);
    bool is_waiting = member->join != NULL || member->sync != NULL;
    if (is_waiting && !(member->is_new && member->join != NULL))
        membership_touch(member);
    else
        membership_remove(member->group, member);
}

static void pending_fired(struct timer *timer)
{
    struct pending_member *pending = LIST_ENTRY(timer, struct pending_member, timer);
    struct group *group = pending->group;
    group_remove_pending(pending);
    if (group->state == GROUP_PREPARING)
        rebalance_try_complete(group);
}

/* Answers a join at once, without its member waiting. */
static void join_refuse(struct coord_join *join, struct span member_id, int16_t error_code)
{
    struct join_group_response response;
    join_group_response_init(&response);
    response.error_code = error_code;
    response.member_id = span_is_null(member_id) ? span_text("") : member_id;
    response.protocol_name = SPAN_NULL;
    response.leader = span_text("");
    join->done(join, &response);
}

/* Makes "<client id or instance id>-<uuid>", as Kafka does, on the heap. */
static struct err make_member_id(const struct coord *coord, struct span prefix, struct span *out)
{
    uint8_t r[16];
    random_fill(coord->broker->os->random, r, sizeof r);
    struct uuid id = uuid_from_random(r);
    const uint8_t *b = id.bytes;
    char text[40];
    (void)snprintf(text, sizeof text,
                   "-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
    size_t tail = strlen(text);
    uint8_t *bytes = malloc(prefix.size + tail);
    if (bytes == NULL)
        return err_make(ERR_NO_MEMORY);
    if (prefix.size != 0)
        memcpy(bytes, prefix.data, prefix.size);
    memcpy(bytes + prefix.size, text, tail);
    *out = span_make(bytes, prefix.size + tail);
    return ERR_NONE;
}

/* Adds the pending member (which takes id) and tells the client to come back with it (KIP-394). */
static void join_later(struct group *group, const struct join_group_request *request,
                       struct span id, struct coord_join *join)
{
    struct pending_member *pending = calloc(1, sizeof *pending);
    struct err err = pending == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
    if (!err_failed(err)) {
        *pending = (struct pending_member){.group = group, .id = id};
        timer_init(&pending->timer, pending_fired);
        err = map_put(&group->pending, id, pending);
    }
    if (err_failed(err)) {
        blob_free(&id);
        free(pending);
        join_refuse(join, request->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    coord_set_timer(group->coord, &pending->timer, request->session_timeout_ms);
    join_refuse(join, id, KAFKA_MEMBER_ID_REQUIRED);
}

/* Adds a member that waits for the rebalance which its coming begins. */
static void join_as_new(struct group *group, const struct join_group_request *request,
                        const struct coord_client *client, struct span member_id,
                        struct coord_join *join)
{
    struct member_setup setup = {.id = member_id,
                                 .instance_id = request->group_instance_id,
                                 .request = request,
                                 .client = client};
    struct member *member;
    if (err_failed(group_add_member(group, &setup, &member))) {
        join_refuse(join, request->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    if (group->state == GROUP_PREPARING)
        group->rebalance.has_newcomer = true;
    bool is_waiting_already = group->state == GROUP_PREPARING;
    if (!is_waiting_already)
        rebalance_prepare(group);
    member->join = join;
    membership_touch(member);
    rebalance_try_complete(group);
}

/* Answers a member that has come back to a generation which goes on unchanged. */
static void join_answer_current(struct group *group, const struct member *member,
                                struct coord_join *join)
{
    struct join_group_response response;
    join_group_response_init(&response);
    response.generation_id = group->generation;
    response.protocol_type = group->protocol_type;
    response.protocol_name = group->protocol_name;
    response.leader = group->leader->id;
    response.member_id = member->id;
    struct join_group_response_member *members = NULL;
    if (group_is_leader(group, member))
        members = rebalance_list_members(group, &response.members_count);
    response.members = members;
    join->done(join, &response);
    free(members);
}

/* The member takes part in the rebalance that its coming begins, or that is under way. */
static void join_again(struct group *group, struct member *member,
                       const struct join_group_request *request, const struct coord_client *client,
                       struct coord_join *join)
{
    if (err_failed(member_update(member, request, client))) {
        join_refuse(join, member->id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    rebalance_answer_join(group, member, KAFKA_UNKNOWN_MEMBER_ID);
    if (group->state != GROUP_PREPARING)
        rebalance_prepare(group);
    member->join = join;
    membership_touch(member);
    rebalance_try_complete(group);
}

/* A static member's new id on its way to the disk; what to answer then. Spans are owned. */
struct static_write {
    struct partition_waiter waiter;
    struct group *group;
    struct coord_join *join;
    struct span member_id;
    struct span old_leader_id; /* null: the answer may say skip_assignment */
    int32_t generation;
    bool is_leader;
};

static void static_write_free(struct static_write *write)
{
    blob_free(&write->member_id);
    blob_free(&write->old_leader_id);
    free(write);
}

/* The record is durable, or never will be: answers, then frees. Under the lock. */
static void static_written(struct static_write *write, struct err err)
{
    struct group *group = write->group;
    const struct member *member = group_find_member(group, write->member_id);
    bool is_running = group->state != GROUP_DEAD && group->generation == write->generation;
    if (err_failed(err))
        join_refuse(write->join, write->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
    else if (member == NULL)
        join_refuse(write->join, write->member_id, KAFKA_UNKNOWN_MEMBER_ID);
    else if (!is_running)
        join_refuse(write->join, write->member_id, KAFKA_REBALANCE_IN_PROGRESS);
    else
        rebalance_answer_static(group, member, write->old_leader_id, write->is_leader, write->join);
    group->write_count--;
    if (group->state == GROUP_DEAD && group->write_count == 0)
        group_destroy(group);
    static_write_free(write);
}

static void static_durable(struct partition_waiter *waiter, struct err err)
{
    struct static_write *write = LIST_ENTRY(waiter, struct static_write, waiter);
    struct coord *coord = write->group->coord;
    coord_lock(coord);
    static_written(write, err);
    coord_unlock(coord);
}

/*
 * Records the group with the member's new id and answers once that is durable: after a crash the
 * id would otherwise be fenced by the one before it. Takes old_leader_id.
 */
static void join_static_record(struct group *group, const struct member *member, bool is_leader,
                               struct span old_leader_id, struct coord_join *join)
{
    struct static_write *write = calloc(1, sizeof *write);
    if (write == NULL) {
        blob_free(&old_leader_id);
        join_refuse(join, member->id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    *write = (struct static_write){.waiter = {.done = static_durable},
                                   .group = group,
                                   .join = join,
                                   .old_leader_id = old_leader_id,
                                   .generation = group->generation,
                                   .is_leader = is_leader};
    struct err err = blob_copy(member->id, &write->member_id);
    if (!err_failed(err))
        err = group_log_write(group, &write->waiter.offset);
    if (err_failed(err)) {
        static_write_free(write);
        join_refuse(join, member->id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    group->write_count++;
    struct partition *partition = coord_partition(group->coord, group->partition_index);
    if (partition_wait(partition, &write->waiter, &err))
        static_written(write, err);
}

/* A static member came back under a new id (KIP-345, KIP-814). */
static void join_static_again(struct group *group, struct member *member,
                              const struct join_group_request *request,
                              const struct coord_client *client, struct coord_join *join)
{
    struct span new_id;
    struct span old_leader_id = SPAN_NULL;
    bool is_leader = group_is_leader(group, member);
    if (err_failed(blob_copy(group->leader->id, &old_leader_id))) {
        join_refuse(join, request->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    struct err err = make_member_id(group->coord, request->group_instance_id, &new_id);
    if (!err_failed(err)) {
        rebalance_answer_join(group, member, KAFKA_FENCED_INSTANCE_ID);
        rebalance_answer_sync(member, KAFKA_FENCED_INSTANCE_ID);
        err = group_replace_static(group, member, new_id);
        blob_free(&new_id);
    }
    if (!err_failed(err))
        err = member_update(member, request, client);
    if (err_failed(err)) {
        join_refuse(join, request->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
    } else if (group->state != GROUP_STABLE ||
               !span_equal(group_select_protocol(group), group->protocol_name)) {
        join_again(group, member, request, client, join);
    } else {
        membership_touch(member);
        if (client->version >= 9)
            blob_free(&old_leader_id);
        join_static_record(group, member, is_leader, old_leader_id, join);
        old_leader_id = SPAN_NULL;
    }
    blob_free(&old_leader_id);
}

static void join_unknown(struct group *group, const struct join_group_request *request,
                         const struct coord_client *client, struct coord_join *join)
{
    struct member *known = group_find_static(group, request->group_instance_id);
    if (known != NULL) {
        join_static_again(group, known, request, client, join);
        return;
    }
    bool is_static = !span_is_null(request->group_instance_id);
    struct span id;
    struct span prefix = is_static ? request->group_instance_id : client->id;
    if (err_failed(make_member_id(group->coord, prefix, &id))) {
        join_refuse(join, request->member_id, KAFKA_COORDINATOR_NOT_AVAILABLE);
    } else if (!is_static && client->version >= 4) {
        join_later(group, request, id, join);
    } else {
        join_as_new(group, request, client, id, join);
        blob_free(&id);
    }
}

static void join_known(struct group *group, const struct join_group_request *request,
                       const struct coord_client *client, struct coord_join *join)
{
    struct pending_member *pending = group_find_pending(group, request->member_id);
    if (pending != NULL) {
        group_remove_pending(pending);
        join_as_new(group, request, client, request->member_id, join);
        return;
    }
    struct member *member = NULL;
    int16_t code = group_identify(group, request->member_id, request->group_instance_id, &member);
    if (code != KAFKA_NONE) {
        join_refuse(join, request->member_id, code);
        return;
    }
    bool is_same = member_matches(member, request);
    bool goes_on = (group->state == GROUP_COMPLETING && is_same) ||
                   (group->state == GROUP_STABLE && is_same && !group_is_leader(group, member));
    if (goes_on) {
        membership_touch(member);
        join_answer_current(group, member, join);
    } else {
        join_again(group, member, request, client, join);
    }
}

static int16_t check_join(const struct coord *coord, const struct join_group_request *request)
{
    if (request->group_id.size == 0)
        return KAFKA_INVALID_GROUP_ID;
    if (request->session_timeout_ms <
            config_number(coord->config, CONFIG_GROUP_MIN_SESSION_TIMEOUT_MS) ||
        request->session_timeout_ms >
            config_number(coord->config, CONFIG_GROUP_MAX_SESSION_TIMEOUT_MS))
        return KAFKA_INVALID_SESSION_TIMEOUT;
    return KAFKA_NONE;
}

/*
 * Whether one more member would be too many. During a rebalance those count who have come back, as
 * not all others will.
 */
static bool group_is_full(const struct group *group, struct span member_id)
{
    int64_t count_max = config_number(group->coord->config, CONFIG_GROUP_MAX_SIZE);
    const struct member *member = group_find_member(group, member_id);
    if (group->state != GROUP_PREPARING)
        return member == NULL && group->member_count >= count_max;
    if (member != NULL && member->join != NULL)
        return false;
    int64_t count = 0;
    LIST_EACH (&group->members, link)
        count += LIST_ENTRY(link, struct member, link)->join != NULL;
    return count >= count_max;
}

void coord_join_group(struct coord *coord, const struct join_group_request *request,
                      const struct coord_client *client, struct coord_join *join)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    int64_t unused; /* only who asks for the coordinator waits; others come again */
    struct group *group = NULL;
    bool is_unknown = request->member_id.size == 0;
    int16_t code = check_join(coord, request);
    if (code == KAFKA_NONE && is_unknown && err_failed(coord_prepare(coord, &unused, NULL)))
        code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    coord_lock(coord);
    if (code == KAFKA_NONE)
        code = coord_find_group(coord, request->group_id, is_unknown, &group);
    if (code == KAFKA_NONE && group == NULL)
        code = KAFKA_UNKNOWN_MEMBER_ID;
    if (code == KAFKA_NONE && group_is_full(group, request->member_id))
        code = KAFKA_GROUP_MAX_SIZE_REACHED;
    if (code == KAFKA_NONE && !group_supports(group, request))
        code = KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (code != KAFKA_NONE)
        join_refuse(join, request->member_id, code);
    else if (is_unknown)
        join_unknown(group, request, client, join);
    else
        join_known(group, request, client, join);
    if (code == KAFKA_NONE)
        group_check(group);
    coord_unlock(coord);
}

/* Members belong to groups with names; only offsets may be kept under an empty one. */
static int16_t find_existing(struct coord *coord, struct span group_id, struct group **group)
{
    return group_id.size == 0 ? KAFKA_INVALID_GROUP_ID
                              : coord_find_group(coord, group_id, false, group);
}

static void sync_refuse(struct coord_sync *sync, int16_t error_code)
{
    struct sync_group_response response;
    sync_group_response_init(&response);
    response.error_code = error_code;
    response.assignment = span_text("");
    sync->done(sync, &response);
}

static bool names_agree(struct span asked, struct span actual)
{
    return span_is_null(asked) || span_equal(asked, actual);
}

static int16_t check_sync(const struct group *group, const struct sync_group_request *request,
                          struct member **member)
{
    if (group == NULL)
        return KAFKA_UNKNOWN_MEMBER_ID;
    int16_t code = group_identify(group, request->member_id, request->group_instance_id, member);
    if (code != KAFKA_NONE)
        return code;
    if (request->generation_id != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    if (!names_agree(request->protocol_type, group->protocol_type) ||
        !names_agree(request->protocol_name, group->protocol_name))
        return KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (group->state == GROUP_PREPARING)
        return KAFKA_REBALANCE_IN_PROGRESS;
    return KAFKA_NONE;
}

void coord_sync_group(struct coord *coord, const struct sync_group_request *request,
                      struct coord_sync *sync)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    coord_lock(coord);
    struct group *group = NULL;
    struct member *member = NULL;
    int16_t code = find_existing(coord, request->group_id, &group);
    if (code == KAFKA_NONE)
        code = check_sync(group, request, &member);
    if (code != KAFKA_NONE) {
        sync_refuse(sync, code);
        coord_unlock(coord);
        return;
    }
    rebalance_answer_sync(member, KAFKA_UNKNOWN_MEMBER_ID);
    member->sync = sync;
    member->has_synced = true;
    if (group->state == GROUP_STABLE)
        rebalance_answer_sync(member, KAFKA_NONE);
    else if (group_is_leader(group, member))
        rebalance_assign(group, request);
    group_check(group);
    coord_unlock(coord);
}

static int16_t heartbeat_locked(struct group *group, const struct heartbeat_request *request)
{
    struct member *member = NULL;
    if (group == NULL)
        return KAFKA_UNKNOWN_MEMBER_ID;
    int16_t code = group_identify(group, request->member_id, request->group_instance_id, &member);
    if (code != KAFKA_NONE)
        return code;
    if (request->generation_id != group->generation)
        return KAFKA_ILLEGAL_GENERATION;
    membership_touch(member);
    return group->state == GROUP_PREPARING ? KAFKA_REBALANCE_IN_PROGRESS : KAFKA_NONE;
}

int16_t coord_heartbeat(struct coord *coord, const struct heartbeat_request *request)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    coord_lock(coord);
    struct group *group = NULL;
    int16_t code = find_existing(coord, request->group_id, &group);
    if (code == KAFKA_NONE)
        code = heartbeat_locked(group, request);
    coord_unlock(coord);
    return code;
}

static int16_t leave_one(struct group *group, struct span member_id, struct span instance_id)
{
    struct pending_member *pending = group_find_pending(group, member_id);
    if (pending != NULL) {
        if (!span_is_null(instance_id))
            return KAFKA_UNKNOWN_MEMBER_ID;
        pending_fired(&pending->timer);
        return KAFKA_NONE;
    }
    struct member *member = NULL;
    if (member_id.size == 0 && !span_is_null(instance_id))
        member = group_find_static(group, instance_id);
    int16_t code =
        member != NULL ? KAFKA_NONE : group_identify(group, member_id, instance_id, &member);
    if (code == KAFKA_NONE)
        membership_remove(group, member);
    return code;
}

static struct err leave_several(struct group *group, const struct leave_group_request *request,
                                struct arena *arena, struct leave_group_response *response)
{
    response->members =
        arena_alloc_array(arena, (size_t)request->members_count, sizeof *response->members);
    if (response->members == NULL)
        return err_make(ERR_NO_MEMORY);
    response->members_count = request->members_count;
    for (int32_t i = 0; i < request->members_count; i++) {
        const struct leave_group_request_member *asked = &request->members[i];
        response->members[i].member_id = asked->member_id;
        response->members[i].group_instance_id = asked->group_instance_id;
        response->members[i].error_code =
            group == NULL ? KAFKA_UNKNOWN_MEMBER_ID
                          : leave_one(group, asked->member_id, asked->group_instance_id);
    }
    return ERR_NONE;
}

struct err coord_leave_group(struct coord *coord, const struct leave_group_request *request,
                             int16_t version, struct arena *arena,
                             struct leave_group_response *response)
{
    CHECK_MAGIC(coord, COORD_MAGIC);
    coord_lock(coord);
    struct group *group = NULL;
    struct err err = ERR_NONE;
    response->error_code = find_existing(coord, request->group_id, &group);
    if (response->error_code == KAFKA_NONE && version >= 3)
        err = leave_several(group, request, arena, response);
    else if (response->error_code == KAFKA_NONE)
        response->error_code = group == NULL ? KAFKA_UNKNOWN_MEMBER_ID
                                             : leave_one(group, request->member_id, SPAN_NULL);
    coord_unlock(coord);
    return err;
}
