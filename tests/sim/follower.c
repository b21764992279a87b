/*
 * follower: reads all partitions, uncommitted records too, in one fetch session (KIP-227).
 *
 *     FULL -> names every partition it watches, opens a session
 *      ^      INCREMENTAL -> names those that moved, came back or are to be forgotten; is told only
 *      |          |          of those that have something new
 *      '----------'  a session that the server does not know any more, or a lost connection
 *
 * It trusts the session: a partition of which it is never told stays where it is, and in peace the
 * follower is stuck.
 */
#include "sim/clients.h"

#include "wire/error_code.h"

#define VERSION 11
#define FORGET_CHANCE 300 /* in 10,000 fetches */
#define WAIT_MS 500
#define ANSWER_SIZE_MAX 4000 /* some partitions are told of by a later fetch */

struct follower {
    struct sim_client base;
    int32_t session_id; /* 0: none */
    int32_t session_epoch;
    int64_t positions[WORLD_PARTITION_COUNT];
    bool is_named[WORLD_PARTITION_COUNT]; /* the session has it at this position */
    bool is_away[WORLD_PARTITION_COUNT];  /* forgotten on purpose, for a while */
};

static void forget_session(struct follower *self, bool keeps_id)
{
    self->session_id = keeps_id ? self->session_id : 0;
    self->session_epoch = 0;
    memset(self->is_named, 0, sizeof self->is_named);
}

/* One partition leaves the session, or all that left come back. */
static int32_t change_watched(struct follower *self, int32_t *forgotten)
{
    struct world *world = self->base.link.world;
    if (!world->is_peaceful && !world_has_chance(world, FORGET_CHANCE))
        return 0;
    int32_t one = (int32_t)world_draw(world, WORLD_PARTITION_COUNT);
    bool is_named = self->is_named[one];
    memset(self->is_away, 0, sizeof self->is_away);
    if (world->is_peaceful || !is_named || self->session_epoch == 0)
        return 0;
    self->is_away[one] = true;
    self->is_named[one] = false;
    *forgotten = one;
    return 1;
}

static void follower_act(struct sim_client *client)
{
    struct follower *self = (struct follower *)client;
    struct fetch_request_partition parts[WORLD_PARTITION_COUNT];
    struct fetch_request_topic topic = {.topic = span_text(WORLD_TOPIC), .partitions = parts};
    struct fetch_request_forgotten_topic forgotten = {.topic = span_text(WORLD_TOPIC)};
    struct fetch_request request;
    int32_t gone;
    if (!link_is_idle(&client->link))
        return;
    fetch_request_init(&request);
    forgotten.partitions = &gone;
    forgotten.partitions_count = change_watched(self, &gone);
    for (int32_t i = 0; i < WORLD_PARTITION_COUNT; i++) {
        if (self->is_named[i] || self->is_away[i])
            continue;
        struct fetch_request_partition *part = &parts[topic.partitions_count++];
        fetch_request_partition_init(part);
        part->partition = i;
        part->fetch_offset = self->positions[i];
        part->partition_max_bytes = ANSWER_SIZE_MAX;
        self->is_named[i] = true;
    }
    request.max_wait_ms = WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = ANSWER_SIZE_MAX;
    request.session_id = self->session_id;
    request.session_epoch = self->session_epoch;
    request.topics = &topic;
    request.topics_count = topic.partitions_count > 0;
    request.forgotten_topics_data = &forgotten;
    request.forgotten_topics_data_count = forgotten.partitions_count;
    struct writer *writer = link_begin(&client->link, API_FETCH, VERSION, 0, 0);
    assert_ok(fetch_request_encode(writer, VERSION, &request));
    link_send(&client->link);
}

/* Whose record is seen. */
struct following {
    struct world *world;
    int32_t partition;
};

static void note(void *context, const struct sim_seen *seen)
{
    const struct following *following = context;
    const char *quote = span_is_null(seen->value) ? "" : "\"";
    struct span value = span_is_null(seen->value) ? span_text("null") : seen->value;
    world_note(following->world,
               "\"op\":\"follow\",\"topic\":\"" WORLD_TOPIC "\",\"partition\":%d,"
               "\"offset\":%lld,\"value\":%s%.*s%s",
               following->partition, (long long)seen->offset, quote, SPAN_ARGS(value), quote);
}

static void take_partition(struct follower *self, const struct fetch_response_partition *told)
{
    struct world *world = self->base.link.world;
    int32_t partition = told->partition_index;
    assert_true(partition >= 0 && partition < WORLD_PARTITION_COUNT);
    if (told->error_code != KAFKA_NONE && !sim_is_retriable(told->error_code))
        world_fail(world, "%s: partition %d: error %d", self->base.name, partition,
                   told->error_code);
    if (told->error_code != KAFKA_NONE)
        return;
    if (self->is_away[partition])
        world_fail(world, "%s is told of partition %d, which it forgot", self->base.name,
                   partition);
    struct following following = {.world = world, .partition = partition};
    int64_t next = sim_see_records(told, self->positions[partition], false, note, &following);
    self->is_named[partition] = self->is_named[partition] && next == self->positions[partition];
    self->positions[partition] = next;
}

static void follower_answer(struct link *link, const struct call *call, struct reader *body)
{
    struct follower *self = (struct follower *)link;
    struct fetch_response response;
    assert_ok(fetch_response_decode(body, call->version, &link->arena, &response));
    if (response.error_code == KAFKA_FETCH_SESSION_ID_NOT_FOUND ||
        response.error_code == KAFKA_INVALID_FETCH_SESSION_EPOCH) {
        forget_session(self, response.error_code == KAFKA_INVALID_FETCH_SESSION_EPOCH);
        return;
    }
    if (response.error_code != KAFKA_NONE)
        world_fail(link->world, "%s: error %d", self->base.name, response.error_code);
    if (self->session_epoch != 0 && response.session_id != self->session_id)
        world_fail(link->world, "%s: session %d became %d", self->base.name, self->session_id,
                   response.session_id);
    for (int32_t i = 0; i < response.responses_count; i++) {
        for (int32_t j = 0; j < response.responses[i].partitions_count; j++)
            take_partition(self, &response.responses[i].partitions[j]);
    }
    self->session_id = response.session_id;
    self->session_epoch++;
    if (response.session_id == 0) /* there was no room for one */
        forget_session(self, false);
}

static void follower_lost(struct link *link)
{
    struct follower *self = (struct follower *)link;
    forget_session(self, world_draw(link->world, 2) == 0);
}

/* It must be told of everything before the restart that ends its session. */
static bool follower_is_done(const struct sim_client *client)
{
    const struct follower *self = (const struct follower *)client;
    const int64_t *ends = client->link.world->ends;
    bool is_done = true;
    for (int i = 0; i < WORLD_PARTITION_COUNT; i++)
        is_done = is_done && !self->is_away[i] && self->positions[i] >= ends[i];
    return is_done;
}

struct sim_client *follower_create(struct world *world)
{
    struct follower *self = (struct follower *)sim_client_make(world, sizeof *self, "follower", 0);
    self->base.act = follower_act;
    self->base.is_done = follower_is_done;
    self->base.link.answer = follower_answer;
    self->base.link.lost = follower_lost;
    return &self->base;
}
