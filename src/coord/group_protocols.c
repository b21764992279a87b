/*
 * group_protocols: which assignment protocols a group's members know, and which one they choose.
 *
 * Counted by name as members come and go, so that a join looks at its own protocols and not at
 * those of all other members.
 *
 * Invariant: group->protocols has an entry exactly for each name that a member knows, and its
 * member_count says how many do.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "coord/group.h"

/* An entry of group->protocols. */
struct group_protocol {
    struct span name; /* owned */
    int32_t member_count;
    int32_t votes; /* while group_select_protocol counts them */
};

/* Whether the member names the protocol here for the first time. */
static bool is_first(const struct member_traits *traits, int32_t index)
{
    for (int32_t i = 0; i < index; i++) {
        if (span_equal(traits->protocols[i].name, traits->protocols[index].name))
            return false;
    }
    return true;
}

static struct err add_one(struct group *group, struct span name)
{
    struct group_protocol *known = map_get(&group->protocols, name);
    if (known != NULL) {
        known->member_count++;
        return ERR_NONE;
    }
    struct group_protocol *added = calloc(1, sizeof *added);
    if (added == NULL)
        return err_make(ERR_NO_MEMORY);
    added->member_count = 1;
    struct err err = blob_copy(name, &added->name);
    if (!err_failed(err))
        err = map_put(&group->protocols, added->name, added);
    if (err_failed(err)) {
        blob_free(&added->name);
        free(added);
    }
    return err;
}

static void take_one(struct group *group, struct span name)
{
    struct group_protocol *known = map_get(&group->protocols, name);
    CHECK(known != NULL && known->member_count > 0);
    if (--known->member_count > 0)
        return;
    (void)map_remove(&group->protocols, known->name);
    blob_free(&known->name);
    free(known);
}

/* Takes back the first `count` of a member's protocols. */
static void take_first(struct group *group, const struct member_traits *traits, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (is_first(traits, i))
            take_one(group, traits->protocols[i].name);
    }
}

struct err group_add_protocols(struct group *group, const struct member_traits *traits)
{
    for (int32_t i = 0; i < traits->protocol_count; i++) {
        struct err err = is_first(traits, i) ? add_one(group, traits->protocols[i].name) : ERR_NONE;
        if (err_failed(err)) {
            take_first(group, traits, i);
            return err;
        }
    }
    return ERR_NONE;
}

void group_take_protocols(struct group *group, const struct member_traits *traits)
{
    take_first(group, traits, traits->protocol_count);
}

/* The protocol's entry when every member knows it, or NULL. */
static struct group_protocol *find_shared(const struct group *group, struct span name)
{
    struct group_protocol *known = map_get(&group->protocols, name);
    return known != NULL && known->member_count == group->member_count ? known : NULL;
}

bool group_supports(const struct group *group, const struct join_group_request *request)
{
    if (request->protocols_count <= 0 || request->protocol_type.size == 0 ||
        request->protocols_count > MEMBER_PROTOCOL_COUNT_MAX)
        return false;
    if (group->member_count == 0)
        return true;
    if (!span_equal(group->protocol_type, request->protocol_type))
        return false;
    for (int32_t i = 0; i < request->protocols_count; i++) {
        if (find_shared(group, request->protocols[i].name) != NULL)
            return true;
    }
    return false;
}

/* Counts for each protocol the members that prefer it to all others that everyone knows. */
static void vote(const struct group *group)
{
    size_t position = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&group->protocols, &position)) != NULL)
        ((struct group_protocol *)entry->value)->votes = 0;
    LIST_EACH (&group->members, link) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        struct group_protocol *choice = NULL;
        for (int32_t i = 0; i < member->traits.protocol_count && choice == NULL; i++)
            choice = find_shared(group, member->traits.protocols[i].name);
        if (choice != NULL)
            choice->votes++;
    }
}

struct span group_select_protocol(const struct group *group)
{
    if (group->member_count == 0)
        return SPAN_NULL;
    vote(group);
    const struct member *first = LIST_ENTRY(group->members.next, struct member, link);
    const struct group_protocol *best = NULL;
    for (int32_t i = 0; i < first->traits.protocol_count; i++) {
        const struct group_protocol *shared = find_shared(group, first->traits.protocols[i].name);
        if (shared != NULL && (best == NULL || shared->votes > best->votes))
            best = shared;
    }
    return best == NULL ? SPAN_NULL : best->name;
}
