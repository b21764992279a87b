/*
 * group: a consumer group as data.
 *
 *            first member joins                 all members are in, or the time is over
 *   EMPTY -----------------------> PREPARING ------------------------------> COMPLETING
 *     ^                             ^  ^  |                                      |
 *     |  no member came back        |  |  | (all left)                           | the leader's
 *     +-----------------------------+--+--+         a member joins, changes,     | sync is durable
 *     |                                |            leaves or falls silent       v
 *     +-- deleted or expired: DEAD     +-------------------------------------- STABLE
 *
 * COMPLETING also goes back to PREPARING when a member joins, changes or leaves.
 *
 * Invariants (group_check):
 *  1. EMPTY and DEAD have no members; the other states have at least one.
 *  2. In COMPLETING and STABLE the generation has a protocol that every member knows, and a leader
 *     that is a member.
 *  3. Waiting joins exist only in PREPARING, waiting syncs only in COMPLETING.
 *
 * Everything here is guarded by the coordinator's lock.
 */
#ifndef HEADRACE_COORD_GROUP_H
#define HEADRACE_COORD_GROUP_H

#include "base/list.h"
#include "base/map.h"
#include "base/wheel.h"
#include "coord/coord.h"

enum group_state {
    GROUP_EMPTY,
    GROUP_PREPARING,
    GROUP_COMPLETING,
    GROUP_STABLE,
    GROUP_DEAD,
    GROUP_STATE_COUNT
};

/* One assignment protocol that a member knows, and what it says under it. Owned. */
struct member_protocol {
    struct span name;
    struct span metadata;
};

/* What a member says of itself when it joins. Owned by the member. */
struct member_traits {
    struct span client_id;
    struct span client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct member_protocol *protocols;
    int32_t protocol_count;
};

struct member {
    struct list link; /* in the order of joining */
    struct group *group;
    struct span id;          /* owned */
    struct span instance_id; /* owned; null: a dynamic member */
    struct member_traits traits;
    struct span assignment; /* owned; null while there is none */
    struct coord_join *join;
    struct coord_sync *sync;
    struct timer session;
    bool is_new;     /* has not been through a whole rebalance */
    bool has_synced; /* in this generation */
};

/* An id that was given out and not yet used (KIP-394). */
struct pending_member {
    struct group *group;
    struct span id; /* owned */
    struct timer timer;
};

/* The rebalance under way. */
struct group_rebalance {
    struct timer timer;
    int64_t remaining_ms; /* by which a new group's first rebalance may still be put off */
    bool is_initial;
    bool has_newcomer;
};

struct group {
    struct list work; /* on a list of groups to be looked at, see offsets_expire.c */
    struct coord *coord;
    struct span id; /* owned */
    int32_t partition_index;
    enum group_state state;
    int64_t state_ms; /* wall clock of the last change of state */
    int32_t generation;
    struct span protocol_type; /* owned; null: no member ever joined */
    struct span protocol_name; /* owned; null between generations */
    struct member *leader;     /* NULL: none */
    struct list members;
    int32_t member_count;
    struct map by_member_id;
    struct map by_instance_id;
    struct map pending;   /* of struct pending_member, by id */
    struct map protocols; /* see group_protocols.c */
    struct group_rebalance rebalance;
    struct map offsets;  /* of struct committed, see offsets_internal.h */
    int32_t write_count; /* appends whose outcome this struct waits for: not to be freed */
};

/* Kafka's word for the state: "Empty", "PreparingRebalance" ... */
const char *group_state_name(enum group_state state);

/* Bytes on the heap. blob_copy of null gives null. */
MUST_USE struct err blob_copy(struct span bytes, struct span *out);
void blob_free(struct span *blob);
/* Replaces *blob by a copy; on no memory it is unchanged. */
MUST_USE struct err blob_replace(struct span *blob, struct span bytes);

MUST_USE struct err group_create(struct coord *coord, struct span id, int32_t partition_index,
                                 struct group **out);

/* Frees a group that nobody waits for. */
void group_destroy(struct group *group);

/* Moves along an allowed edge of the diagram. */
void group_set_state(struct group *group, enum group_state state);

/* Whether nothing is known of the group but its name: it never had members, nor has it offsets. */
bool group_is_vacant(const struct group *group);

/* Checks the invariants. */
void group_check(const struct group *group);

/* What a join request says; the spans are borrowed. */
struct member_setup {
    struct span id;
    struct span instance_id;
    const struct join_group_request *request;
    const struct coord_client *client;
};

/* Adds a member. ERR_NO_MEMORY changes nothing. */
MUST_USE struct err group_add_member(struct group *group, const struct member_setup *setup,
                                     struct member **out);

/* Takes in what a member says anew. ERR_NO_MEMORY changes nothing. */
MUST_USE struct err member_update(struct member *member, const struct join_group_request *request,
                                  const struct coord_client *client);

/* Takes the member out and frees it; nobody waits for it any more. */
void group_remove_member(struct group *group, struct member *member);

void member_free(struct member *member);

struct member *group_find_member(const struct group *group, struct span member_id);
struct member *group_find_static(const struct group *group, struct span instance_id);
struct pending_member *group_find_pending(const struct group *group, struct span member_id);

/*
 * Finds a request's member and whether it is who it says: KAFKA_NONE and *out, UNKNOWN_MEMBER_ID,
 * or FENCED_INSTANCE_ID where another has the instance id (null: none is claimed).
 */
int16_t group_identify(const struct group *group, struct span member_id, struct span instance_id,
                       struct member **out);

void group_remove_pending(struct pending_member *pending);

/* Gives a static member's place to a new member id. ERR_NO_MEMORY changes nothing. */
MUST_USE struct err group_replace_static(struct group *group, struct member *member,
                                         struct span member_id);

/* Whether the member would say the same again. */
bool member_matches(const struct member *member, const struct join_group_request *request);

/* The member's words under the protocol. */
struct span member_metadata(const struct member *member, struct span protocol_name);

/* Whether a member of a living group subscribes to the topic, or may. */
bool group_may_read(const struct group *group, struct span topic);

bool group_is_leader(const struct group *group, const struct member *member);

/* group_protocols.c */
/* Counts what a member knows, or takes that back. ERR_NO_MEMORY changes nothing. */
MUST_USE struct err group_add_protocols(struct group *group, const struct member_traits *traits);
void group_take_protocols(struct group *group, const struct member_traits *traits);

/* Whether every member knows one of the request's protocols, of the group's type. */
bool group_supports(const struct group *group, const struct join_group_request *request);

/* The protocol most members prefer among those all know; null where there is none. Lives until the
 * group's members change. */
struct span group_select_protocol(const struct group *group);

#endif
