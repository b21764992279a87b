/*
 * member: one of a group that reads committed records and commits how far it came.
 *
 *     OUT -> JoinGroup -> JOINED -> SyncGroup -> IN -> heartbeats, fetches, commits
 *      ^-------------- rebalance, expiry, leaving, dying without a word ------'
 *
 * The leader gives out partitions in turn. A member that dies forgets all, and comes back as a new
 * one. Each record is noted when it is fetched and committed only afterwards: the group sees each
 * at least once.
 */
#include "sim/clients.h"

#include "wire/error_code.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"

#define GROUP "readers"
#define REBALANCE_MS 6000
#define BEAT_MS 1500
#define SLEEP_MS 3000 /* beyond the session */
#define ID_SIZE 128
#define MEMBER_COUNT_MAX 16
#define OUT_OF 1000 /* of which a chance is drawn */
#define DEATH_CHANCE 4
#define LEAVE_CHANCE 4
#define STALE_CHANCE 30
#define NOWHERE (-1)
#define STALE (-1) /* a call's b: this must not be taken */

enum state { STATE_OUT, STATE_JOINED, STATE_IN };

struct member {
    struct sim_client base;
    enum state state;
    char id[ID_SIZE];
    int32_t generation;
    int member_count; /* known to the leader alone */
    char members[MEMBER_COUNT_MAX][ID_SIZE];
    bool owns[WORLD_PARTITION_COUNT];
    int64_t positions[WORLD_PARTITION_COUNT]; /* NOWHERE: to be asked for */
    int64_t committed[WORLD_PARTITION_COUNT];
    int64_t ends[WORLD_PARTITION_COUNT]; /* as last fetched */
    int64_t beat_ms;
    int64_t awake_ms;
};

static struct world *world_of(const struct member *self)
{
    return self->base.link.world;
}

static void ask_join(struct member *self)
{
    struct join_group_request_protocol protocol = {.name = span_text("range"),
                                                   .metadata = span_text("m")};
    struct join_group_request request;
    join_group_request_init(&request);
    request.group_id = span_text(GROUP);
    request.session_timeout_ms = world_of(self)->session_ms;
    request.rebalance_timeout_ms = REBALANCE_MS;
    request.member_id = span_text(self->id);
    request.group_instance_id = SPAN_NULL;
    request.protocol_type = span_text("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    struct writer *writer = link_begin(&self->base.link, API_JOIN_GROUP, 5, 0, 0);
    assert_ok(join_group_request_encode(writer, 5, &request));
    link_send(&self->base.link);
}

/* The leader's plan: partition p goes to the member p modulo their count; a byte for each. */
static void ask_sync(struct member *self)
{
    uint8_t parts[MEMBER_COUNT_MAX][WORLD_PARTITION_COUNT];
    size_t sizes[MEMBER_COUNT_MAX] = {0};
    struct sync_group_request_assignment given[MEMBER_COUNT_MAX] = {0};
    for (uint8_t p = 0; p < WORLD_PARTITION_COUNT && self->member_count > 0; p++) {
        int owner = p % self->member_count;
        parts[owner][sizes[owner]++] = p;
    }
    for (int i = 0; i < self->member_count; i++)
        given[i] = (struct sync_group_request_assignment){
            .member_id = span_text(self->members[i]), .assignment = span_make(parts[i], sizes[i])};
    struct sync_group_request request;
    sync_group_request_init(&request);
    request.group_id = span_text(GROUP);
    request.generation_id = self->generation;
    request.member_id = span_text(self->id);
    request.group_instance_id = SPAN_NULL;
    request.assignments = given;
    request.assignments_count = self->member_count;
    struct writer *writer = link_begin(&self->base.link, API_SYNC_GROUP, 3, 0, 0);
    assert_ok(sync_group_request_encode(writer, 3, &request));
    link_send(&self->base.link);
}

static void ask_heartbeat(struct member *self)
{
    struct heartbeat_request request;
    heartbeat_request_init(&request);
    request.group_id = span_text(GROUP);
    request.generation_id = self->generation;
    request.member_id = span_text(self->id);
    request.group_instance_id = SPAN_NULL;
    self->beat_ms = world_now_ms(world_of(self));
    struct writer *writer = link_begin(&self->base.link, API_HEARTBEAT, 3, 0, 0);
    assert_ok(heartbeat_request_encode(writer, 3, &request));
    link_send(&self->base.link);
}

static void ask_leave(struct member *self)
{
    struct leave_group_request_member one = {.member_id = span_text(self->id),
                                             .group_instance_id = SPAN_NULL};
    struct leave_group_request request;
    leave_group_request_init(&request);
    request.group_id = span_text(GROUP);
    request.members = &one;
    request.members_count = 1;
    struct writer *writer = link_begin(&self->base.link, API_LEAVE_GROUP, 3, 0, 0);
    assert_ok(leave_group_request_encode(writer, 3, &request));
    link_send(&self->base.link);
}

static void ask_position(struct member *self, int32_t partition)
{
    struct offset_fetch_request_topic topic = {.name = span_text(WORLD_TOPIC),
                                               .partition_indexes = &partition,
                                               .partition_indexes_count = 1};
    struct offset_fetch_request request;
    offset_fetch_request_init(&request);
    request.group_id = span_text(GROUP);
    request.topics = &topic;
    request.topics_count = 1;
    request.require_stable = true;
    struct writer *writer = link_begin(&self->base.link, API_OFFSET_FETCH, 7, partition, 0);
    assert_ok(offset_fetch_request_encode(writer, 7, &request));
    link_send(&self->base.link);
}

static void ask_commit(struct member *self, int32_t partition)
{
    struct offset_commit_request_partition part = {.partition_index = partition,
                                                   .committed_offset = self->positions[partition],
                                                   .committed_leader_epoch = -1,
                                                   .committed_metadata = span_text("")};
    struct offset_commit_request_topic topic = {
        .name = span_text(WORLD_TOPIC), .partitions = &part, .partitions_count = 1};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = span_text(GROUP);
    request.generation_id_or_member_epoch = self->generation;
    request.member_id = span_text(self->id);
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    struct writer *writer =
        link_begin(&self->base.link, API_OFFSET_COMMIT, 7, partition, self->positions[partition]);
    assert_ok(offset_commit_request_encode(writer, 7, &request));
    link_send(&self->base.link);
}

/* What comes late from another thread of the same client: a commit of the generation before. */
static void ask_stale_commit(struct member *self, int32_t partition)
{
    int64_t position = self->positions[partition];
    self->positions[partition] = 0;
    self->generation--;
    ask_commit(self, partition);
    self->generation++;
    self->positions[partition] = position;
    self->base.link.calls[self->base.link.call_count - 1].b = STALE;
}

/* Work on one of its partitions: where it stands, what is uncommitted, or more records. */
static void read_on(struct member *self)
{
    int32_t partition = (int32_t)world_draw(world_of(self), WORLD_PARTITION_COUNT);
    if (!self->owns[partition])
        return;
    if (self->positions[partition] == NOWHERE)
        ask_position(self, partition);
    else if (self->committed[partition] != self->positions[partition] &&
             world_draw(world_of(self), 3) == 0)
        ask_commit(self, partition);
    else
        sim_send_fetch(&self->base.link, partition, self->positions[partition], true);
}

/* Out of the group: by its own will, by expiry, or because it is to be formed anew. */
static void go_out(struct member *self, bool keeps_id)
{
    self->state = STATE_OUT;
    memset(self->owns, 0, sizeof self->owns);
    if (!keeps_id)
        self->id[0] = '\0';
}

static void die(struct member *self)
{
    link_lose(&self->base.link);
    go_out(self, false);
    self->awake_ms = world_now_ms(world_of(self)) + world_of(self)->session_ms + SLEEP_MS;
}

static void member_act(struct sim_client *client)
{
    struct member *self = (struct member *)client;
    struct world *world = world_of(self);
    if (world_now_ms(world) < self->awake_ms)
        return;
    if (!world->is_peaceful && self->state == STATE_IN && world_draw(world, OUT_OF) < DEATH_CHANCE)
        die(self);
    if (!link_is_idle(&client->link) || world_now_ms(world) < self->awake_ms)
        return;
    if (self->state == STATE_OUT) {
        ask_join(self);
    } else if (self->state == STATE_JOINED) {
        ask_sync(self);
    } else if (!world->is_peaceful && world_draw(world, OUT_OF) < LEAVE_CHANCE) {
        ask_leave(self);
    } else if (!world->is_peaceful && world_draw(world, OUT_OF) < STALE_CHANCE) {
        ask_stale_commit(self, (int32_t)world_draw(world, WORLD_PARTITION_COUNT));
    } else if (world_now_ms(world) - self->beat_ms >= BEAT_MS) {
        ask_heartbeat(self);
    } else {
        read_on(self);
    }
}

static void take_joined(struct member *self, const struct join_group_response *told)
{
    client_keep(self->id, sizeof self->id, told->member_id);
    self->generation = told->generation_id;
    self->state = STATE_JOINED;
    self->member_count = told->members_count;
    assert_true(told->members_count <= MEMBER_COUNT_MAX);
    for (int32_t i = 0; i < told->members_count; i++)
        client_keep(self->members[i], ID_SIZE, told->members[i].member_id);
}

static void take_assignment(struct member *self, struct span given)
{
    self->state = STATE_IN;
    self->beat_ms = world_now_ms(world_of(self));
    /* Only now does the generation count: one that nobody was given an assignment in may be lost.
     */
    world_note(world_of(self), "\"op\":\"generation\",\"group\":\"" GROUP "\",\"generation\":%d",
               self->generation);
    memset(self->owns, 0, sizeof self->owns);
    for (size_t i = 0; i < given.size; i++) {
        assert_true(given.data[i] < WORLD_PARTITION_COUNT);
        self->owns[given.data[i]] = true;
        self->positions[given.data[i]] = NOWHERE;
        self->ends[given.data[i]] = INT64_MAX; /* not known yet */
        world_note(world_of(self),
                   "\"op\":\"owns\",\"group\":\"" GROUP "\",\"generation\":%d,\"member\":\"%s\","
                   "\"topic\":\"" WORLD_TOPIC "\",\"partition\":%d",
                   self->generation, self->id, given.data[i]);
    }
}

/* Who reads which partition. */
struct reading {
    const struct member *self;
    int64_t partition;
};

static void note_read(void *context, const struct sim_seen *seen)
{
    const struct reading *reading = context;
    world_note(world_of(reading->self),
               "\"op\":\"read\",\"reader\":\"" GROUP "\",\"topic\":\"" WORLD_TOPIC "\","
               "\"partition\":%lld,\"offset\":%lld,\"value\":\"%.*s\"",
               (long long)reading->partition, (long long)seen->offset, SPAN_ARGS(seen->value));
}

static int16_t take_fetched(struct member *self, const struct call *call, struct reader *body)
{
    struct fetch_response response;
    assert_ok(fetch_response_decode(body, call->version, &self->base.link.arena, &response));
    const struct fetch_response_partition *told = &response.responses[0].partitions[0];
    if (told->error_code != KAFKA_NONE)
        return told->error_code;
    struct reading reading = {.self = self, .partition = call->a};
    self->positions[call->a] = sim_see_records(told, call->b, true, note_read, &reading);
    self->ends[call->a] = told->last_stable_offset;
    return KAFKA_NONE;
}

static int16_t take_position(struct member *self, const struct call *call, struct reader *body)
{
    struct offset_fetch_response response;
    assert_ok(offset_fetch_response_decode(body, call->version, &self->base.link.arena, &response));
    if (response.error_code != KAFKA_NONE)
        return response.error_code;
    const struct offset_fetch_response_partition *told = &response.topics[0].partitions[0];
    if (told->error_code == KAFKA_NONE) {
        self->committed[call->a] = told->committed_offset;
        self->positions[call->a] = told->committed_offset < 0 ? 0 : told->committed_offset;
        world_note(world_of(self),
                   "\"op\":\"assign\",\"topic\":\"" WORLD_TOPIC "\",\"partition\":%lld",
                   (long long)call->a);
    }
    return told->error_code;
}

/* The code of an answer, with what else it tells. */
static int16_t take(struct member *self, const struct call *call, struct reader *body)
{
    struct arena *arena = &self->base.link.arena;
    if (call->api == API_JOIN_GROUP) {
        struct join_group_response response;
        assert_ok(join_group_response_decode(body, call->version, arena, &response));
        if (response.error_code == KAFKA_NONE)
            take_joined(self, &response);
        else if (response.error_code == KAFKA_MEMBER_ID_REQUIRED)
            client_keep(self->id, sizeof self->id, response.member_id);
        return response.error_code;
    }
    if (call->api == API_SYNC_GROUP) {
        struct sync_group_response response;
        assert_ok(sync_group_response_decode(body, call->version, arena, &response));
        if (response.error_code == KAFKA_NONE)
            take_assignment(self, response.assignment);
        return response.error_code;
    }
    if (call->api == API_HEARTBEAT) {
        struct heartbeat_response response;
        assert_ok(heartbeat_response_decode(body, call->version, arena, &response));
        return response.error_code;
    }
    if (call->api == API_LEAVE_GROUP) {
        go_out(self, false);
        return KAFKA_NONE;
    }
    if (call->api == API_FETCH)
        return take_fetched(self, call, body);
    if (call->api == API_OFFSET_FETCH)
        return take_position(self, call, body);
    struct offset_commit_response response;
    assert_ok(offset_commit_response_decode(body, call->version, arena, &response));
    int16_t code = response.topics[0].partitions[0].error_code;
    if (call->b == STALE && code == KAFKA_NONE)
        world_fail(world_of(self), "%s: a commit of an older generation counts", self->base.name);
    if (call->b == STALE && code == KAFKA_ILLEGAL_GENERATION)
        return KAFKA_NONE; /* as it should be */
    if (code == KAFKA_NONE) {
        self->committed[call->a] = call->b;
        world_note(world_of(self),
                   "\"op\":\"commit\",\"group\":\"" GROUP "\",\"topic\":\"" WORLD_TOPIC "\","
                   "\"partition\":%lld,\"offset\":%lld",
                   (long long)call->a, (long long)call->b);
    }
    return code;
}

static void member_answer(struct link *link, const struct call *call, struct reader *body)
{
    struct member *self = (struct member *)link;
    int16_t code = take(self, call, body);
    if (code == KAFKA_REBALANCE_IN_PROGRESS)
        go_out(self, true);
    else if (code == KAFKA_UNKNOWN_MEMBER_ID || code == KAFKA_ILLEGAL_GENERATION)
        go_out(self, false);
    else if (code != KAFKA_NONE && code != KAFKA_MEMBER_ID_REQUIRED && !sim_is_retriable(code))
        world_fail(link->world, "%s: API %d: error %d", self->base.name, call->api, code);
}

static void member_lost(struct link *link)
{
    struct member *self = (struct member *)link;
    if (self->state == STATE_JOINED) /* where a real client would time out and join again */
        self->state = STATE_OUT;
}

/* Everything of its own is read and committed; the group as a whole has all partitions. */
static bool member_is_done(const struct sim_client *client)
{
    const struct member *self = (const struct member *)client;
    if (client->is_retired)
        return true;
    bool is_done = self->state == STATE_IN;
    for (int i = 0; i < WORLD_PARTITION_COUNT; i++) {
        bool is_read = self->positions[i] != NOWHERE && self->positions[i] >= self->ends[i] &&
                       self->committed[i] == self->positions[i];
        is_done = is_done && (!self->owns[i] || is_read);
    }
    return is_done;
}

struct sim_client *member_create(struct world *world, int index)
{
    struct member *self = (struct member *)sim_client_make(world, sizeof *self, "member", index);
    self->base.act = member_act;
    self->base.is_done = member_is_done;
    self->base.link.answer = member_answer;
    self->base.link.lost = member_lost;
    return &self->base;
}
