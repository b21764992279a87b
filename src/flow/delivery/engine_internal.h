/* engine_internal: what the engine's files share. */
#ifndef HEADRACE_FLOW_DELIVERY_ENGINE_INTERNAL_H
#define HEADRACE_FLOW_DELIVERY_ENGINE_INTERNAL_H

#include "flow/delivery/companion.h"
#include "flow/delivery/engine.h"
#include "flow/delivery/parked.h"
#include "flow/delivery/records.h"
#include "flow/delivery/turns.h"
#include "flow/policy/rate.h"
#include "flow/policy/retry.h"
#include "flow/sql/filter.h"

#define ENGINE_MAGIC 0x656e676e /* "engn" */

/* A commit is built when it would hold so much, or its first delivery has waited so long: a commit
 * costs 2 ms of processor time, whatever it holds. At least once, nothing waits. */
#define COMMIT_EVENT_COUNT_MAX 10000
#define COMMIT_OUTPUT_SIZE (1024 * 1024)
#define COMMIT_WAIT_MS 20

/* Offsets without deliveries (all skipped, or an end reached) are committed so seldom. */
#define COMMIT_OFFSETS_MS 1000

/* A dead letter that the log does not take is tried again after this; the others go on. */
#define COMMIT_REFUSED_MS 5000

/* After a commit that has failed, doubling up to the second. */
#define COMMIT_RETRY_MS 100
#define COMMIT_RETRY_MS_MAX 5000

/* A question to the group's coordinator that had no answer is asked again. */
#define ARRIVAL_RETRY_MS 100

/* A partition whose record found no memory or no mark left is read again. */
#define STALL_MS 1000

/* A pause that is longer moves an event to the parked topic, which costs a record and not a place
 * in flight; so does a shorter one when most of these are taken. */
#define PARK_AFTER_MS 5000
#define PARK_CROWDED_AFTER_MS 200
#define PARK_CROWDED_PERCENT 75

/* What one engine parks, as it holds all of that in memory. More waits in flight. */
#define PARKED_COUNT_MAX 100000
#define PARKED_SIZE_MAX ((size_t)64 * 1024 * 1024)

/* Records of companions that are read between two looks at everything else. */
#define COMPANION_RECEIVE_COUNT_MAX 1000

/* When nothing was received for so long for want of room, partitions are paused, and the receiver
 * is polled again: it would be taken for dead otherwise (max.poll.interval.ms). */
#define PAUSE_AFTER_MS 1000

/* An answer's events, or an event in JSON, while a call begins or ends. */
#define ENGINE_ARENA_SIZE_MAX ((size_t)64 * 1024 * 1024)

/* What the flow file says about the handler. */
struct engine_rule {
    enum flow_order order;
    uint32_t concurrency;
    size_t in_flight_count;
    size_t in_flight_size;
    int64_t timeout_ms;
    int64_t commit_wait_ms;
    int64_t drain_ms;
    int64_t from;
    int64_t inbox_ms; /* 0: there is none */
    struct retry_rule retry;
};

/* Places that were given and are not taken yet. */
struct engine_arrival {
    struct client_offset *places; /* NULL: none */
    size_t count;
    int64_t due_ms;
    bool is_told;    /* that it takes long */
    bool is_loading; /* they have lanes, whose companions are read */
};

struct engine_lanes {
    struct list all;
    struct map by_place; /* those that are not GONE */
    uint64_t next_id;
    struct lane *last; /* of the last message: the next one is likely its neighbour */
    struct engine_arrival arrival;
    bool is_revoking;       /* the receiver waits for client_release */
    int64_t drain_until_ms; /* not longer than this */
    bool has_odd;           /* some may be GONE or stalled */
    bool is_paused;         /* all of them, for want of room */
    int64_t full_since_ms;  /* -1: there is room */
};

/* What is held; of those that are parked, the first two. */
struct engine_load {
    size_t count;
    size_t size;
    uint32_t called_count;
    size_t output_size;        /* of finished ones */
    int64_t finished_since_ms; /* of the oldest finished one */
};

struct engine_writing {
    struct commit commit;
    bool is_written;       /* by somebody, now; or it is not known yet whether it was */
    bool is_uncertain;     /* the latter */
    bool are_offsets_due;  /* those of lanes without deliveries */
    struct timer offsets;  /* makes them due */
    struct list refused;   /* dead letters that the log did not take, FINISHED */
    struct timer refusals; /* until they are tried again */
    int64_t retry_ms;      /* after the next failure */
    int64_t not_before_ms;
};

/* What operators have told. */
struct engine_orders {
    bool is_paused;
    int64_t pause_ms; /* when that was said, ms since 1970 */
    int64_t circuit_ms;
};

struct engine_parking {
    struct companion companion;
    struct engine_load load; /* of those that are parked and held here */
    bool is_full;            /* and that was told */
    bool is_told;            /* that companions cannot be read */
    bool has_more;           /* they may have something now */
};

struct engine {
    uint32_t magic;
    struct engine_settings settings;
    struct engine_rule rule;
    struct records records;
    struct arena names;   /* the group's, the topics' */
    struct arena scratch; /* of one call or answer */
    struct engine_lanes lanes;
    struct turns turns;
    struct wheel wheel;
    struct circuit circuit;
    struct rate rate;
    struct filter *where; /* NULL: every event of its types */
    struct list ready;
    struct list finished;
    struct engine_load load;
    struct engine_parking parking;
    struct engine_writing writing;
    struct engine_counts counts;
    struct engine_orders orders;
    bool is_draining;
};

int64_t engine_now_ms(const struct engine *engine);

/* The lane of a place that this process has; NULL: it has none. */
struct lane *engine_find_lane(struct engine *engine, const char *topic, int32_t partition);

/* Takes a delivery out of everything but its lane, and frees it; not while SEALED. The next of its
 * key becomes READY. */
void engine_drop(struct engine *engine, struct delivery *delivery);

/* Puts a delivery that has its turn where it is called from. */
void engine_make_ready(struct engine *engine, struct delivery *delivery);

/* Its fate is known and in its outputs: it waits for a commit, and the next of its key for a
 * call. */
void engine_finish(struct engine *engine, struct delivery *delivery);

/* It waits for a commit, and keeps its turn. */
void engine_await_commit(struct engine *engine, struct delivery *delivery);

/* The next of its key has its turn. One that is being parked meanwhile goes on when it is. */
void engine_leave_turn(struct engine *engine, struct delivery *delivery);

/* It has its turn: it is called, or waits until it is due. */
void engine_go_on(struct engine *engine, struct delivery *delivery);

/* Takes it off all books and frees it; nothing calls it, and its outputs are not counted. */
void engine_forget(struct engine *engine, struct delivery *delivery);

/* What is held beside it: of those that are parked, or of the others. */
struct engine_load *engine_load_of(struct engine *engine, const struct delivery *delivery);

/* engine_parking.c */

void engine_init_parking(struct engine *engine);
void engine_deinit_parking(struct engine *engine);

/* Parks the delivery, CALLED and failed, and those behind it, where its pause is worth it; false:
 * it was not parked. */
bool engine_park(struct engine *engine, struct delivery *delivery, int64_t pause_ms);

/* Parks a delivery that came behind one that is parked. Where that cannot be, it waits as it is. */
void engine_park_behind(struct engine *engine, struct delivery *delivery);

/* The commit that parked it is done: it is out of it. */
void engine_take_parked(struct engine *engine, struct delivery *delivery);

/* Its record was refused: it is not parked. */
void engine_give_up_parking(struct engine *engine, struct delivery *delivery);

/* A lane that opens reads its companions; and one that goes does not any more. ERR_NO_MEMORY. */
MUST_USE struct err engine_want_companions(struct engine *engine, struct lane *lane);
void engine_want_no_companions(struct engine *engine, struct lane *lane);
bool engine_has_companions(const struct engine *engine, const struct lane *lane);

/* What was parked in a LOADING lane, whose companions are loaded, is queued. ERR_NO_MEMORY. */
MUST_USE struct err engine_queue_parked(struct engine *engine, struct lane *lane);

/* Reads companions on. Errors: the reader's. */
MUST_USE struct err engine_step_parking(struct engine *engine, struct diag *diag);

/* Gives the delivery its place in the order that the handler keeps. ERR_NO_MEMORY. */
MUST_USE struct err engine_queue(struct engine *engine, struct delivery *delivery);

/* engine_commands.c */

/* Does what a record of the parked topic says that is no event's. */
void engine_obey(struct engine *engine, const struct client_message *record);

/* engine_inbox.c */

/* Sets the delivery's id, where the handler has an inbox and the event is known. */
void engine_identify(const struct engine *engine, struct delivery *delivery,
                     const struct cloudevent *event);

/* Whether the event was done before. */
bool engine_is_repeated(const struct engine *engine, const struct delivery *delivery);

/* The event is done, and is not after all. ERR_NO_MEMORY. */
MUST_USE struct err engine_remember(struct engine *engine, struct delivery *delivery);
void engine_unremember(struct delivery *delivery);

/* Adds what is done to the commit that is built. ERR_NO_MEMORY. */
MUST_USE struct err engine_add_inboxes(struct engine *engine);

/* A lane that opens reads its inbox; one that is open or goes does not any more. ERR_NO_MEMORY. */
MUST_USE struct err engine_want_inbox(struct engine *engine, struct lane *lane);
void engine_want_no_inbox(struct engine *engine, struct lane *lane);
bool engine_has_inbox(const struct engine *engine, const struct lane *lane);

/* Takes a record of the inbox topic. ERR_NO_MEMORY. */
MUST_USE struct err engine_load_inbox(struct engine *engine, const struct client_message *record);

/* The bytes of what it leaves behind. */
size_t engine_outputs_size(const struct delivery *delivery);

/* Records that name no type are of the topic's only event. */
void engine_name_type(const struct engine *engine, const char *topic, struct cloudevent *event);

/* Begins calls while it may, and takes answers. */
void engine_begin_calls(struct engine *engine);
void engine_take_answers(struct engine *engine);

/* In how many ms a call can begin that cannot now; -1: only something that happens helps. */
int64_t engine_call_wait_ms(const struct engine *engine);

/* Finds out what became of an uncertain commit, once it may. ERR_NO_MEMORY. */
MUST_USE struct err engine_resolve_commit(struct engine *engine, struct diag *diag);

/* A lane's offset may have moved without a delivery: it is committed before long. */
void engine_note_offsets(struct engine *engine);

/* When the next commit is due by itself, in ms; -1: not before something happens. */
int64_t engine_commit_wait_ms(const struct engine *engine);

/* Prepares and ends what engine_commits.c keeps; first of all when the engine ends. */
void engine_init_commits(struct engine *engine);
void engine_deinit_commits(struct engine *engine);

/* The smaller of two waits, -1 being for ever. */
static inline int64_t engine_sooner(int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

/* Answers the receiver's events about places. Errors as engine_take. */
MUST_USE struct err engine_places_given(struct engine *engine, const struct client_event *event,
                                        struct diag *diag);
MUST_USE struct err engine_places_asked_back(struct engine *engine,
                                             const struct client_event *event, struct diag *diag);
MUST_USE struct err engine_places_lost(struct engine *engine, const struct client_event *event,
                                       struct diag *diag);
MUST_USE struct err engine_place_reset(struct engine *engine, const struct client_event *event,
                                       struct diag *diag);

/* Goes on with places that come or go. Errors as engine_take. */
MUST_USE struct err engine_step_places(struct engine *engine, struct diag *diag);

/* Drops what a lane holds; it is freed when no commit holds anything of it. */
void engine_lose_lane(struct engine *engine, struct lane *lane);
void engine_free_lane(struct engine *engine, struct lane *lane);

/* The lane's next record could not be taken: it is not read for a while. */
MUST_USE struct err engine_stall_lane(struct engine *engine, struct lane *lane, struct diag *diag);

#endif
