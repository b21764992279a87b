/* group: keeping the lists, maps and counts of a group true to one another. */
#include "coord/group.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "coord/coord_internal.h"
#include "wire/records/consumer_protocol.h"

const char *group_state_name(enum group_state state)
{
    static const char *const names[GROUP_STATE_COUNT] = {
        [GROUP_EMPTY] = "Empty",
        [GROUP_PREPARING] = "PreparingRebalance",
        [GROUP_COMPLETING] = "CompletingRebalance",
        [GROUP_STABLE] = "Stable",
        [GROUP_DEAD] = "Dead",
    };
    CHECK(state < GROUP_STATE_COUNT);
    return names[state];
}

struct err blob_copy(struct span bytes, struct span *out)
{
    if (span_is_null(bytes)) {
        *out = SPAN_NULL;
        return ERR_NONE;
    }
    uint8_t *copy = malloc(bytes.size == 0 ? 1 : bytes.size);
    if (copy == NULL)
        return err_make(ERR_NO_MEMORY);
    if (bytes.size != 0)
        memcpy(copy, bytes.data, bytes.size);
    *out = span_make(copy, bytes.size);
    return ERR_NONE;
}

void blob_free(struct span *blob)
{
    free(span_writable(*blob));
    *blob = SPAN_NULL;
}

struct err blob_replace(struct span *blob, struct span bytes)
{
    struct span copy;
    TRY(blob_copy(bytes, &copy));
    blob_free(blob);
    *blob = copy;
    return ERR_NONE;
}

struct err group_create(struct coord *coord, struct span id, int32_t partition_index,
                        struct group **out)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return err_make(ERR_NO_MEMORY);
    *group = (struct group){.coord = coord, .partition_index = partition_index};
    struct err err = blob_copy(id, &group->id);
    if (err_failed(err)) {
        free(group);
        return err;
    }
    group->state_ms = clock_wall_ms(coord->clock);
    list_init(&group->work);
    list_init(&group->members);
    map_init(&group->by_member_id, coord->seed);
    map_init(&group->by_instance_id, coord->seed);
    map_init(&group->pending, coord->seed);
    map_init(&group->protocols, coord->seed);
    map_init(&group->offsets, coord->seed);
    timer_init(&group->rebalance.timer, rebalance_timer_fired);
    *out = group;
    return ERR_NONE;
}

static void pending_free(struct pending_member *pending)
{
    timer_cancel(&pending->timer);
    blob_free(&pending->id);
    free(pending);
}

void group_destroy(struct group *group)
{
    CHECK(group->write_count == 0);
    while (!list_is_empty(&group->members))
        group_remove_member(group, LIST_ENTRY(group->members.next, struct member, link));
    CHECK(group->protocols.count == 0);
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->pending, &position)) != NULL)
        pending_free(entry->value);
    timer_cancel(&group->rebalance.timer);
    offsets_clear(group);
    map_deinit(&group->by_member_id);
    map_deinit(&group->by_instance_id);
    map_deinit(&group->pending);
    map_deinit(&group->protocols);
    map_deinit(&group->offsets);
    list_remove(&group->work);
    blob_free(&group->id);
    blob_free(&group->protocol_type);
    blob_free(&group->protocol_name);
    free(group);
}

void group_set_state(struct group *group, enum group_state state)
{
    static const bool allowed[GROUP_STATE_COUNT][GROUP_STATE_COUNT] = {
        [GROUP_EMPTY] = {[GROUP_PREPARING] = true, [GROUP_DEAD] = true},
        [GROUP_PREPARING] = {[GROUP_EMPTY] = true, [GROUP_COMPLETING] = true, [GROUP_DEAD] = true},
        [GROUP_COMPLETING] = {[GROUP_PREPARING] = true, [GROUP_STABLE] = true, [GROUP_DEAD] = true},
        [GROUP_STABLE] = {[GROUP_PREPARING] = true, [GROUP_DEAD] = true},
        [GROUP_DEAD] = {false},
    };
    CHECK(allowed[group->state][state]);
    group->state = state;
    group->state_ms = clock_wall_ms(group->coord->clock);
}

bool group_is_vacant(const struct group *group)
{
    return group->state == GROUP_EMPTY && group->generation == 0 && group->offsets.count == 0 &&
           group->pending.count == 0 && group->write_count == 0;
}

void group_check(const struct group *group)
{
    bool is_memberless = group->state == GROUP_EMPTY || group->state == GROUP_DEAD;
    CHECK(!is_memberless || group->member_count == 0);
    CHECK(group->member_count == (int32_t)group->by_member_id.count);
    if (group->state == GROUP_COMPLETING || group->state == GROUP_STABLE)
        CHECK(group->leader != NULL && group->leader->group == group);
    LIST_EACH (&group->members, link) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        CHECK(member->join == NULL || group->state == GROUP_PREPARING);
        CHECK(member->sync == NULL || group->state == GROUP_COMPLETING);
    }
}

static void traits_free(struct member_traits *traits)
{
    for (int32_t i = 0; i < traits->protocol_count; i++) {
        blob_free(&traits->protocols[i].name);
        blob_free(&traits->protocols[i].metadata);
    }
    free(traits->protocols);
    blob_free(&traits->client_id);
    blob_free(&traits->client_host);
    *traits = (struct member_traits){0};
}

static struct err traits_fill(struct member_traits *traits,
                              const struct join_group_request *request,
                              const struct coord_client *client)
{
    traits->session_timeout_ms = request->session_timeout_ms;
    traits->rebalance_timeout_ms = request->rebalance_timeout_ms < 0
                                       ? request->session_timeout_ms
                                       : request->rebalance_timeout_ms;
    struct span id = span_is_null(client->id) ? span_text("") : client->id;
    TRY(blob_copy(id, &traits->client_id));
    TRY(blob_copy(client->host, &traits->client_host));
    traits->protocols = calloc((size_t)request->protocols_count, sizeof *traits->protocols);
    if (traits->protocols == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < request->protocols_count; i++) {
        traits->protocol_count = i + 1;
        TRY(blob_copy(request->protocols[i].name, &traits->protocols[i].name));
        TRY(blob_copy(request->protocols[i].metadata, &traits->protocols[i].metadata));
    }
    return ERR_NONE;
}

void member_free(struct member *member)
{
    CHECK(member->join == NULL && member->sync == NULL);
    timer_cancel(&member->session);
    traits_free(&member->traits);
    blob_free(&member->id);
    blob_free(&member->instance_id);
    blob_free(&member->assignment);
    free(member);
}

/* Puts the member into the group's tables: all of them, or none. */
static struct err enter_tables(struct group *group, struct member *member)
{
    TRY(group_add_protocols(group, &member->traits));
    struct err err = map_put(&group->by_member_id, member->id, member);
    if (!err_failed(err) && !span_is_null(member->instance_id)) {
        err = map_put(&group->by_instance_id, member->instance_id, member);
        if (err_failed(err))
            (void)map_remove(&group->by_member_id, member->id);
    }
    if (err_failed(err))
        group_take_protocols(group, &member->traits);
    return err;
}

static struct err adopt_member(struct group *group, struct member *member)
{
    TRY(enter_tables(group, member));
    member->group = group;
    timer_init(&member->session, membership_session_fired);
    list_append(&group->members, &member->link);
    group->member_count++;
    return ERR_NONE;
}

struct err group_add_member(struct group *group, const struct member_setup *setup,
                            struct member **out)
{
    struct member *member = calloc(1, sizeof *member);
    if (member == NULL)
        return err_make(ERR_NO_MEMORY);
    list_init(&member->link);
    timer_init(&member->session, membership_session_fired);
    member->is_new = true;
    struct err err = blob_copy(setup->id, &member->id);
    if (!err_failed(err))
        err = blob_copy(setup->instance_id, &member->instance_id);
    if (!err_failed(err))
        err = traits_fill(&member->traits, setup->request, setup->client);
    if (!err_failed(err) && group->member_count == 0)
        err = blob_replace(&group->protocol_type, setup->request->protocol_type);
    if (!err_failed(err))
        err = adopt_member(group, member);
    if (err_failed(err)) {
        member_free(member);
        return err;
    }
    if (group->leader == NULL)
        group->leader = member;
    *out = member;
    return ERR_NONE;
}

struct err member_update(struct member *member, const struct join_group_request *request,
                         const struct coord_client *client)
{
    struct member_traits traits = {0};
    struct err err = traits_fill(&traits, request, client);
    if (!err_failed(err))
        err = group_add_protocols(member->group, &traits);
    if (err_failed(err)) {
        traits_free(&traits);
        return err;
    }
    group_take_protocols(member->group, &member->traits);
    traits_free(&member->traits);
    member->traits = traits;
    return ERR_NONE;
}

void group_remove_member(struct group *group, struct member *member)
{
    const void *found = map_remove(&group->by_member_id, member->id);
    CHECK(found == member);
    if (!span_is_null(member->instance_id)) {
        found = map_remove(&group->by_instance_id, member->instance_id);
        CHECK(found == member);
    }
    group_take_protocols(group, &member->traits);
    list_remove(&member->link);
    group->member_count--;
    if (group->leader == member) {
        struct list *next = group->members.next;
        group->leader = group->member_count == 0 ? NULL : LIST_ENTRY(next, struct member, link);
    }
    member_free(member);
}

struct member *group_find_member(const struct group *group, struct span member_id)
{
    return span_is_null(member_id) ? NULL : map_get(&group->by_member_id, member_id);
}

struct member *group_find_static(const struct group *group, struct span instance_id)
{
    return span_is_null(instance_id) ? NULL : map_get(&group->by_instance_id, instance_id);
}

int16_t group_identify(const struct group *group, struct span member_id, struct span instance_id,
                       struct member **out)
{
    struct member *member = group_find_member(group, member_id);
    if (!span_is_null(instance_id)) {
        const struct member *named = group_find_static(group, instance_id);
        if (named == NULL)
            return KAFKA_UNKNOWN_MEMBER_ID;
        if (named != member)
            return KAFKA_FENCED_INSTANCE_ID;
    }
    if (member == NULL)
        return KAFKA_UNKNOWN_MEMBER_ID;
    *out = member;
    return KAFKA_NONE;
}

struct pending_member *group_find_pending(const struct group *group, struct span member_id)
{
    return span_is_null(member_id) ? NULL : map_get(&group->pending, member_id);
}

void group_remove_pending(struct pending_member *pending)
{
    const void *found = map_remove(&pending->group->pending, pending->id);
    CHECK(found == pending);
    pending_free(pending);
}

struct err group_replace_static(struct group *group, struct member *member, struct span member_id)
{
    struct span id;
    TRY(blob_copy(member_id, &id));
    struct err err = map_put(&group->by_member_id, id, member);
    if (err_failed(err)) {
        blob_free(&id);
        return err;
    }
    const void *found = map_remove(&group->by_member_id, member->id);
    CHECK(found == member);
    blob_free(&member->id);
    member->id = id;
    return ERR_NONE;
}

bool member_matches(const struct member *member, const struct join_group_request *request)
{
    if (member->traits.protocol_count != request->protocols_count)
        return false;
    for (int32_t i = 0; i < request->protocols_count; i++) {
        const struct member_protocol *mine = &member->traits.protocols[i];
        if (!span_equal(mine->name, request->protocols[i].name) ||
            !span_equal(mine->metadata, request->protocols[i].metadata))
            return false;
    }
    return true;
}

struct span member_metadata(const struct member *member, struct span protocol_name)
{
    for (int32_t i = 0; i < member->traits.protocol_count; i++) {
        if (span_equal(member->traits.protocols[i].name, protocol_name))
            return member->traits.protocols[i].metadata;
    }
    return span_text("");
}

bool group_may_read(const struct group *group, struct span topic)
{
    if (group->member_count == 0)
        return false;
    if (!span_equal_text(group->protocol_type, "consumer") || group->state != GROUP_STABLE)
        return true;
    bool is_found = false;
    LIST_EACH (&group->members, link) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        struct consumer_protocol_subscription subscription;
        struct reader reader;
        struct arena arena;
        reader_init(&reader, member_metadata(member, group->protocol_name));
        arena_init(&arena, REQUEST_ARENA_SIZE_MAX);
        struct err err = consumer_protocol_subscription_unpack(&reader, &arena, &subscription);
        for (int32_t i = 0; !err_failed(err) && i < subscription.topics_count; i++)
            is_found = is_found || span_equal(subscription.topics[i], topic);
        is_found = is_found || err_failed(err);
        arena_deinit(&arena);
    }
    return is_found;
}

bool group_is_leader(const struct group *group, const struct member *member)
{
    return group->leader == member;
}
