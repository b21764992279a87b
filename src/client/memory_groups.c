/*
 * memory_groups: members of groups in a cluster in memory, and what they commit.
 *
 *  1. A partition is taken by one member of a group at a time: one that joined gets what another
 *     has to give up only after that one has let it go, left, or been noticed dead.
 *  2. A member that joined has at most one event to answer, and its places change by answers alone.
 *  3. A member knows the group's generation since its last receive; with an older one it commits
 *     nothing.
 */
#include <stdlib.h>

#include "base/check.h"
#include "client/memory_internal.h"

static struct err enter(struct memory *memory, const char *const *topics, size_t count,
                        struct diag *diag)
{
    struct memory_membership *member = &memory->member;
    struct arena *arena = &memory->cluster->arena;
    CHECK(member->group == NULL);
    if (memory->group_id == NULL)
        return diag_fail(diag, ERR_INVALID, "subscribing needs group.id");
    const char **names = arena_alloc_array(arena, count, sizeof *names);
    if (names == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        names[i] = arena_copy_text(arena, span_text(topics[i]));
        if (names[i] == NULL)
            return err_make(ERR_NO_MEMORY);
    }
    TRY(memory_make_group(memory->cluster, memory->group_id, &member->group));
    member->topics = names;
    member->topic_count = count;
    member->generation = member->group->generation++; /* no share of it is known yet */
    list_append(&member->group->members, &member->link);
    return ERR_NONE;
}

struct err memory_subscribe(struct client *client, const char *topic, struct diag *diag)
{
    return enter(memory_of(client), &topic, 1, diag);
}

struct err memory_join(struct client *client, const char *const *topics, size_t count,
                       struct diag *diag)
{
    struct memory *memory = memory_of(client);
    memory->member.is_joined = true;
    return enter(memory, topics, count, diag);
}

void memory_leave(struct memory *memory)
{
    if (memory->member.group == NULL)
        return;
    list_remove(&memory->member.link);
    memory->member.group->generation++;
    memory->member.group = NULL;
}

/* Whether the partition is this member's, every count-th in the order in which members came. */
static bool is_mine(const struct memory *memory, int32_t partition)
{
    int32_t count = 0;
    int32_t mine = -1;
    LIST_EACH (&memory->member.group->members, link) {
        mine = link == &memory->member.link ? count : mine;
        count++;
    }
    return mine >= 0 && partition % count == mine;
}

static struct memory_place *find_place(const struct memory *memory, const char *topic,
                                       int32_t partition)
{
    for (size_t i = 0; i < memory->place_count; i++) {
        if (memory->places[i].partition == partition &&
            strcmp(memory->places[i].topic->name, topic) == 0)
            return &memory->places[i];
    }
    return NULL;
}

/* Whether some member of the group has it. */
static bool is_taken(const struct memory *memory, const char *topic, int32_t partition)
{
    LIST_EACH (&memory->member.group->members, link) {
        const struct memory *other = LIST_ENTRY(link, struct memory, member.link);
        if (find_place(other, topic, partition) != NULL)
            return true;
    }
    return false;
}

/* The number of places that its topics have. */
static size_t count_all(const struct memory *memory)
{
    size_t count = 0;
    for (size_t i = 0; i < memory->member.topic_count; i++) {
        const struct memory_topic *topic =
            memory_find_topic(memory->cluster, memory->member.topics[i]);
        count += topic == NULL ? 0 : (size_t)topic->partition_count;
    }
    return count;
}

/* The share of a member that subscribed, anew from the committed offsets on. */
static struct err share_anew(struct memory *memory)
{
    memory->place_count = 0;
    memory->next_place = 0;
    memory->is_received = false;
    TRY(memory_reserve_places(memory, count_all(memory)));
    const struct memory_topic *topic = memory_find_topic(memory->cluster, memory->member.topics[0]);
    for (int32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        if (!is_mine(memory, i))
            continue;
        const struct memory_partition *partition = &topic->partitions[i];
        int64_t offset = memory_committed(memory->member.group, topic->name, i);
        if (offset < 0)
            offset = (int64_t)(memory->is_reset_to_end ? partition->count : partition->start);
        memory_add_place(memory, topic, i, offset);
    }
    memory->member.generation = memory->member.group->generation;
    return ERR_NONE;
}

/* Makes the event of the places that are marked so. */
static void tell(struct memory *memory, enum client_event_kind kind, struct client_event *event)
{
    struct memory_membership *member = &memory->member;
    member->told_count = 0;
    for (size_t i = 0; i < memory->place_count; i++) {
        const struct memory_place *place = &memory->places[i];
        if (kind == CLIENT_EVENT_ASSIGNED ? place->is_given : place->is_revoked)
            member->told[member->told_count++] =
                (struct client_offset){.topic = place->topic->name, .partition = place->partition};
    }
    *event = (struct client_event){
        .kind = kind, .places = member->told, .place_count = member->told_count};
}

/* Marks what is to be given up: what is not its own, or all of it; whether there is something. */
static bool revoke(struct memory *memory, bool is_all)
{
    bool is_some = false;
    for (size_t i = 0; i < memory->place_count; i++) {
        struct memory_place *place = &memory->places[i];
        place->is_revoked = is_all || !is_mine(memory, place->partition);
        is_some = is_some || place->is_revoked;
    }
    return is_some;
}

/* Adds what is its own and nobody has; whether there was something. */
static bool gain(struct memory *memory)
{
    bool is_some = false;
    for (size_t t = 0; t < memory->member.topic_count; t++) {
        const struct memory_topic *topic =
            memory_find_topic(memory->cluster, memory->member.topics[t]);
        for (int32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
            if (!is_mine(memory, i) || is_taken(memory, topic->name, i))
                continue;
            memory_add_place(memory, topic, i, 0);
            memory->places[memory->place_count - 1].is_given = true;
            is_some = true;
        }
    }
    return is_some;
}

struct err memory_settle(struct memory *memory, struct client_event *event)
{
    struct memory_membership *member = &memory->member;
    if (member->group == NULL && !member->is_expelled)
        return ERR_NONE;
    if (!member->is_joined)
        return member->generation == member->group->generation ? ERR_NONE : share_anew(memory);
    if (member->told != NULL)
        return ERR_NONE;
    size_t count_max = count_all(memory);
    member->told = calloc(count_max + 1, sizeof *member->told);
    if (member->told == NULL)
        return err_make(ERR_NO_MEMORY);
    struct err err = memory_reserve_places(memory, count_max);
    if (!err_failed(err) && member->is_expelled && revoke(memory, true)) {
        tell(memory, CLIENT_EVENT_LOST, event);
        return ERR_NONE;
    }
    if (!err_failed(err) && member->is_expelled) {
        member->is_expelled = false;
        err = memory_make_group(memory->cluster, memory->group_id, &member->group);
        if (!err_failed(err)) {
            list_append(&member->group->members, &member->link);
            member->group->generation++;
        }
    }
    if (!err_failed(err)) {
        member->generation = member->group->generation;
        if (revoke(memory, false)) {
            tell(memory, CLIENT_EVENT_REVOKED, event);
            return ERR_NONE;
        }
        if (gain(memory)) {
            tell(memory, CLIENT_EVENT_ASSIGNED, event);
            return ERR_NONE;
        }
    }
    free(member->told);
    member->told = NULL;
    return err;
}

void memory_cluster_expel(struct client *client)
{
    struct memory *memory = memory_of(client);
    CHECK(memory->member.is_joined);
    if (memory->member.is_expelled)
        return;
    memory_leave(memory);
    memory->member.is_expelled = true;
}

static void answered(struct memory *memory)
{
    free(memory->member.told);
    memory->member.told = NULL;
}

struct err memory_take(struct client *client, const struct client_offset *offsets, size_t count,
                       struct diag *diag)
{
    struct memory *memory = memory_of(client);
    for (size_t i = 0; i < count; i++) {
        struct memory_place *place = find_place(memory, offsets[i].topic, offsets[i].partition);
        if (place == NULL)
            return diag_fail(diag, ERR_INVALID, "partition %d of %s was not given",
                             offsets[i].partition, offsets[i].topic);
        CHECK(offsets[i].offset >= 0);
        place->offset = offsets[i].offset;
        place->told_end = -1;
        place->is_given = false;
    }
    answered(memory);
    return ERR_NONE;
}

struct err memory_release(struct client *client, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    (void)diag;
    size_t kept = 0;
    for (size_t i = 0; i < memory->place_count; i++) {
        if (!memory->places[i].is_revoked)
            memory->places[kept++] = memory->places[i];
    }
    memory->place_count = kept;
    memory->next_place = 0;
    memory->is_received = false;
    answered(memory);
    return ERR_NONE;
}

struct err memory_pause(struct client *client, const struct client_offset *places, size_t count,
                        bool is_paused, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    for (size_t i = 0; i < count; i++) {
        struct memory_place *place = find_place(memory, places[i].topic, places[i].partition);
        if (place == NULL)
            return diag_fail(diag, ERR_INVALID, "partition %d of %s was not given",
                             places[i].partition, places[i].topic);
        place->is_paused = is_paused;
    }
    return ERR_NONE;
}

/* Whether an open transaction is about to commit an offset of the partition. */
static bool is_pending(const struct memory *memory, const struct memory_group *group,
                       const struct client_offset *at)
{
    LIST_EACH (&memory->cluster->transactions, link) {
        const struct memory_transaction *transaction =
            LIST_ENTRY(link, struct memory_transaction, link);
        if (memory_get_offset(&transaction->offsets, group, at->topic, at->partition) != NULL)
            return true;
    }
    return false;
}

struct err memory_committed_ask(struct client *client, struct client_offset *offsets, size_t count,
                                struct arena *arena, struct diag *diag)
{
    const struct memory *memory = memory_of(client);
    TRY(memory_count_call(memory->cluster, MEMORY_COMMITTED));
    const struct memory_group *group = memory_find_group(memory->cluster, memory->group_id);
    for (size_t i = 0; i < count; i++) {
        const struct memory_offset *at =
            group == NULL
                ? NULL
                : memory_get_offset(&group->offsets, NULL, offsets[i].topic, offsets[i].partition);
        if (group != NULL && is_pending(memory, group, &offsets[i]))
            return diag_fail(diag, ERR_AGAIN, "a transaction about partition %d of %s is open",
                             offsets[i].partition, offsets[i].topic);
        offsets[i].offset = at == NULL ? -1 : at->at.offset;
        offsets[i].metadata = NULL;
        if (at == NULL)
            continue;
        offsets[i].metadata = arena_copy_text(arena, span_text(at->at.metadata));
        if (offsets[i].metadata == NULL)
            return err_make(ERR_NO_MEMORY);
    }
    return ERR_NONE;
}

struct err memory_offsets_commit(struct client *client, const struct client_offset *offsets,
                                 size_t count, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    const struct memory_membership *member = &memory->member;
    TRY(memory_count_call(memory->cluster, MEMORY_COMMIT));
    if (member->group == NULL || member->generation != member->group->generation)
        return diag_fail(diag, ERR_ABORTED, "the group has moved on");
    for (size_t i = 0; i < count; i++)
        TRY(memory_set_committed(memory->cluster, member->group, &offsets[i]));
    return ERR_NONE;
}

int32_t memory_generation(struct client *client)
{
    const struct memory_membership *member = &memory_of(client)->member;
    return member->group == NULL ? -1 : member->generation;
}
