/*
 * lane: a partition that this process has been given for a handler.
 *
 *     LOADING
 *       | what is parked is known
 *       v
 *     OPEN ------ revoked -----> DRAINING --- nothing is called, nothing waits for a commit ---.
 *       |                            |                                                         v
 *       '---------- lost ------------'----------> GONE --- no commit holds anything of it --> freed
 *
 * LOADING reads the companion topics, and nothing is received or called. DRAINING begins no calls;
 * those under way are waited for, and what they brought is committed. GONE has dropped everything
 * but what a commit holds.
 *
 * Owners: the engine owns lanes, a lane its deliveries. One thread; a commit reads its offset.
 */
#ifndef HEADRACE_FLOW_DELIVERY_LANE_H
#define HEADRACE_FLOW_DELIVERY_LANE_H

#include "base/map.h"
#include "flow/delivery/delivery.h"
#include "flow/delivery/progress.h"

enum lane_state { LANE_LOADING, LANE_OPEN, LANE_DRAINING, LANE_GONE };

/* A place as bytes, for tables. */
#define LANE_KEY_SIZE_MAX (4 + 249) /* Kafka's topics have names of up to 249 letters */

struct lane {
    struct list link;  /* in the engine's list */
    const char *topic; /* the flow's */
    int32_t partition;
    enum lane_state state;
    int32_t generation; /* of the group, when it was given */
    uint64_t id;        /* of all lanes that this engine ever had */
    struct progress progress;
    struct span key;        /* of its place; behind the struct */
    struct list deliveries; /* all, by their lane_link, in the order of offsets */
    struct map parked;      /* deliveries that are parked, or will be, by offset */
    int64_t parked_next;    /* in the companion's partition: what is before is known */
    bool is_following;      /* its companions are read */
    struct inbox inbox;     /* where the handler has one */
    bool has_inbox_wanted;  /* its inbox is being read */
    uint32_t sealed_count;  /* deliveries in the commit that is written */
    bool is_in_commit;      /* its offset is in the commit that is written */
    int64_t committed;      /* what was committed last, -1: nothing ever */
    struct timer stall;     /* until it is read again */
    bool is_stalled;        /* paused, as its next record found no room in memory */
};

/* ERR_NO_MEMORY. topic is borrowed. */
MUST_USE struct err lane_create(const char *topic, int32_t partition, uint64_t id,
                                struct lane **out);

/* It holds no deliveries any more. NULL is taken and ignored. */
void lane_destroy(struct lane *lane);

/* Writes the key of a place into LANE_KEY_SIZE_MAX bytes, and returns it. */
struct span lane_write_key(const char *topic, int32_t partition, uint8_t *bytes);

/* Its delivery that is parked, or will be; NULL: there is none. */
struct delivery *lane_find_parked(const struct lane *lane, int64_t offset);

/* Notes that the delivery is parked, or will be (ERR_NO_MEMORY); and that it is not any more. */
MUST_USE struct err lane_add_parked(struct lane *lane, struct delivery *delivery);
void lane_remove_parked(struct lane *lane, const struct delivery *delivery);

/* Whether a commit would move its offset. */
bool lane_is_behind(const struct lane *lane);

#endif
