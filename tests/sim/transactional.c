/*
 * transactional: a producer in transactions.
 *
 *     INIT -> READY -> OPEN (writes, an offset) -> OPEN, its end asked for -> READY
 *       ^-------+-------- given up: fenced, timed out, or another instance takes its place
 *
 * One request is on its way at a time; where the connection breaks it is asked again, as clients
 * do. Of a transaction that is given up nobody knows what became of it, unless its commit was
 * never asked for: then it was aborted. Where another instance took its place, the old one may
 * still write: to no effect, as it was fenced.
 */
#include "sim/clients.h"

#include "wire/add_offsets_to_txn.h"
#include "wire/add_partitions_to_txn.h"
#include "wire/end_txn.h"
#include "wire/error_code.h"
#include "wire/init_producer_id.h"
#include "wire/txn_offset_commit.h"

#define TIMEOUT_MS 8000
#define WRITE_COUNT_MAX 5
#define OUT_OF 100 /* of which a chance is drawn */
#define ABORT_CHANCE 30
#define OFFSET_CHANCE 20
#define END_CHANCE 30
#define REPLACE_CHANCE 2
#define ZOMBIE_CHANCE 20
#define ZOMBIE 1 /* the b of a call */

enum step { STEP_INIT, STEP_READY, STEP_OPEN };

enum todo { TODO_NOTHING, TODO_ADD, TODO_WRITE, TODO_ADD_OFFSETS, TODO_OFFSET, TODO_END };

/* An instance that was replaced amid a transaction and does not know it yet. */
struct zombie {
    bool is_there;
    int64_t id;
    int16_t epoch;
    int64_t txn;
};

struct transactional {
    struct sim_client base;
    struct zombie zombie;
    bool is_version_2;
    enum step step;
    enum todo todo; /* asked for, or to be asked for again */
    char group[16];
    int64_t id;
    int16_t epoch;
    int64_t txn; /* its number */
    int64_t offset;
    int32_t sequences[WORLD_PARTITION_COUNT];
    bool is_added[WORLD_PARTITION_COUNT];
    bool has_offset;
    bool is_end_asked;
    bool is_commit;
    int write_count;
    int32_t partition; /* of the write */
    int32_t count;
    int64_t first;  /* the number of the write's first value */
    int64_t number; /* of the next write's */
};

static struct world *world_of(const struct transactional *self)
{
    return self->base.link.world;
}

static bool chance(struct transactional *self, uint32_t in_100)
{
    return world_draw(world_of(self), OUT_OF) < in_100;
}

static void note_end(struct transactional *self, const char *how)
{
    world_note(world_of(self), "\"op\":\"end\",\"txn\":\"%s.%lld\",\"how\":\"%s\"", self->base.name,
               (long long)self->txn, how);
}

static void give_up(struct transactional *self)
{
    if (self->step == STEP_OPEN)
        note_end(self, self->is_end_asked && self->is_commit ? "unknown" : "aborted");
    self->step = STEP_INIT;
    self->todo = TODO_NOTHING;
}

static void begin(struct transactional *self)
{
    self->step = STEP_OPEN;
    self->txn++;
    self->write_count = 0;
    self->has_offset = self->is_end_asked = false;
    memset(self->is_added, 0, sizeof self->is_added);
}

static void note_send(const struct transactional *self, int64_t number, int64_t txn)
{
    world_note(world_of(self),
               "\"op\":\"send\",\"topic\":\"" WORLD_TOPIC "\",\"value\":\"%s-%lld\","
               "\"txn\":\"%s.%lld\"",
               self->base.name, (long long)number, self->base.name, (long long)txn);
}

static void plan_write(struct transactional *self)
{
    struct world *world = world_of(self);
    self->partition = (int32_t)world_draw(world, (uint32_t)world->partition_count);
    self->count = 1 + (int32_t)world_draw(world, 3);
    self->first = self->number;
    self->number += self->count;
    bool must_add = !self->is_version_2 && !self->is_added[self->partition];
    self->todo = must_add ? TODO_ADD : TODO_WRITE;
    for (int32_t i = 0; i < self->count; i++)
        note_send(self, self->first + i, self->txn);
}

static void plan_offset(struct transactional *self)
{
    self->offset++;
    self->has_offset = true;
    self->todo = self->is_version_2 ? TODO_OFFSET : TODO_ADD_OFFSETS;
    world_note(world_of(self),
               "\"op\":\"send_offset\",\"group\":\"%s\",\"topic\":\"" WORLD_TOPIC "\","
               "\"partition\":0,\"offset\":%lld,\"txn\":\"%s.%lld\"",
               self->group, (long long)self->offset, self->base.name, (long long)self->txn);
}

/* What comes next in an open transaction. */
static void plan(struct transactional *self)
{
    bool is_begun = self->write_count > 0 || self->has_offset;
    bool must_end = world_of(self)->is_peaceful || self->write_count == WRITE_COUNT_MAX;
    if (is_begun && (must_end || chance(self, END_CHANCE))) {
        self->todo = TODO_END;
        self->is_commit = !chance(self, ABORT_CHANCE);
    } else if (!self->has_offset && chance(self, OFFSET_CHANCE)) {
        plan_offset(self);
    } else {
        plan_write(self);
    }
}

static struct writer *ask(struct transactional *self, enum api_key api, int16_t version)
{
    return link_begin(&self->base.link, api, version, 0, 0);
}

static void ask_init(struct transactional *self)
{
    struct init_producer_id_request request;
    init_producer_id_request_init(&request);
    request.transactional_id = span_text(self->base.name);
    request.transaction_timeout_ms = TIMEOUT_MS;
    struct writer *writer = ask(self, API_INIT_PRODUCER_ID, 4);
    assert_ok(init_producer_id_request_encode(writer, 4, &request));
    link_send(&self->base.link);
}

static void ask_add(struct transactional *self)
{
    struct add_partitions_to_txn_request_topic topic = {
        .name = span_text(WORLD_TOPIC), .partitions = &self->partition, .partitions_count = 1};
    struct add_partitions_to_txn_request request;
    add_partitions_to_txn_request_init(&request);
    request.v3_and_below_transactional_id = span_text(self->base.name);
    request.v3_and_below_producer_id = self->id;
    request.v3_and_below_producer_epoch = self->epoch;
    request.v3_and_below_topics = &topic;
    request.v3_and_below_topics_count = 1;
    struct writer *writer = ask(self, API_ADD_PARTITIONS_TO_TXN, 3);
    assert_ok(add_partitions_to_txn_request_encode(writer, 3, &request));
    link_send(&self->base.link);
}

static void send_as_zombie(struct transactional *self)
{
    struct buf buf;
    buf_init(&buf, SIZE_MAX);
    struct zombie *zombie = &self->zombie;
    int32_t partition = (int32_t)world_draw(world_of(self), WORLD_PARTITION_COUNT);
    const struct sim_batch_spec spec = {.name = self->base.name,
                                        .first = self->number,
                                        .count = 1,
                                        .producer_id = zombie->id,
                                        .epoch = zombie->epoch,
                                        .sequence = (int32_t)world_draw(world_of(self), 6),
                                        .is_transactional = true};
    note_send(self, self->number++, zombie->txn);
    struct span bytes = sim_build_batch(world_of(self), &spec, &buf);
    sim_send_produce(&self->base.link, self->base.name, self->is_version_2 ? 12 : 11, partition,
                     bytes, ZOMBIE);
    buf_deinit(&buf);
}

static void ask_write(struct transactional *self)
{
    struct buf buf;
    buf_init(&buf, SIZE_MAX);
    const struct sim_batch_spec spec = {.name = self->base.name,
                                        .first = self->first,
                                        .count = self->count,
                                        .producer_id = self->id,
                                        .epoch = self->epoch,
                                        .sequence = self->sequences[self->partition],
                                        .is_transactional = true};
    struct span bytes = sim_build_batch(world_of(self), &spec, &buf);
    sim_send_produce(&self->base.link, self->base.name, self->is_version_2 ? 12 : 11,
                     self->partition, bytes, 0);
    buf_deinit(&buf);
}

static void ask_add_offsets(struct transactional *self)
{
    struct add_offsets_to_txn_request request;
    add_offsets_to_txn_request_init(&request);
    request.transactional_id = span_text(self->base.name);
    request.producer_id = self->id;
    request.producer_epoch = self->epoch;
    request.group_id = span_text(self->group);
    struct writer *writer = ask(self, API_ADD_OFFSETS_TO_TXN, 3);
    assert_ok(add_offsets_to_txn_request_encode(writer, 3, &request));
    link_send(&self->base.link);
}

static void ask_offset(struct transactional *self)
{
    int16_t version = self->is_version_2 ? 5 : 3;
    struct txn_offset_commit_request_partition partition = {.committed_offset = self->offset,
                                                            .committed_leader_epoch = -1,
                                                            .committed_metadata = span_text("")};
    struct txn_offset_commit_request_topic topic = {
        .name = span_text(WORLD_TOPIC), .partitions = &partition, .partitions_count = 1};
    struct txn_offset_commit_request request;
    txn_offset_commit_request_init(&request);
    request.transactional_id = span_text(self->base.name);
    request.group_id = span_text(self->group);
    request.producer_id = self->id;
    request.producer_epoch = self->epoch;
    request.generation_id = -1;
    request.member_id = span_text("");
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    struct writer *writer = ask(self, API_TXN_OFFSET_COMMIT, version);
    assert_ok(txn_offset_commit_request_encode(writer, version, &request));
    link_send(&self->base.link);
}

static void ask_end(struct transactional *self)
{
    int16_t version = self->is_version_2 ? 5 : 4;
    const struct end_txn_request request = {.transactional_id = span_text(self->base.name),
                                            .producer_id = self->id,
                                            .producer_epoch = self->epoch,
                                            .committed = self->is_commit};
    self->is_end_asked = true;
    struct writer *writer = ask(self, API_END_TXN, version);
    assert_ok(end_txn_request_encode(writer, version, &request));
    link_send(&self->base.link);
}

static void ask_todo(struct transactional *self)
{
    switch (self->todo) {
    case TODO_ADD:
        ask_add(self);
        return;
    case TODO_WRITE:
        ask_write(self);
        return;
    case TODO_ADD_OFFSETS:
        ask_add_offsets(self);
        return;
    case TODO_OFFSET:
        ask_offset(self);
        return;
    case TODO_END:
        ask_end(self);
        return;
    case TODO_NOTHING:
        return;
    }
}

/* What is given up now may still be written to by who does not know. */
static void become_zombie(struct transactional *self)
{
    if (self->step != STEP_OPEN || self->is_end_asked)
        return;
    self->zombie =
        (struct zombie){.is_there = true, .id = self->id, .epoch = self->epoch, .txn = self->txn};
}

static void transactional_act(struct sim_client *client)
{
    struct transactional *self = (struct transactional *)client;
    bool is_peaceful = world_of(self)->is_peaceful;
    if (!is_peaceful && self->step != STEP_INIT && chance(self, REPLACE_CHANCE)) {
        link_lose(&client->link); /* another instance, on a connection of its own */
        become_zombie(self);
        give_up(self);
    }
    if (!link_is_idle(&client->link))
        return;
    if (self->step == STEP_INIT) {
        ask_init(self);
        return;
    }
    if (self->step == STEP_READY && is_peaceful)
        return;
    if (self->step == STEP_READY)
        begin(self);
    if (self->zombie.is_there && !is_peaceful && chance(self, ZOMBIE_CHANCE)) {
        send_as_zombie(self);
        return;
    }
    if (self->todo == TODO_NOTHING)
        plan(self);
    ask_todo(self);
}

/* The code of an answer, with what else an answer to that request tells. */
static int16_t take_init(struct transactional *self, struct reader *body)
{
    struct init_producer_id_response response;
    assert_ok(init_producer_id_response_decode(body, 4, &self->base.link.arena, &response));
    if (response.error_code != KAFKA_NONE)
        return response.error_code;
    self->id = response.producer_id;
    self->epoch = response.producer_epoch;
    memset(self->sequences, 0, sizeof self->sequences);
    self->step = STEP_READY;
    return KAFKA_NONE;
}

static int16_t take_written(struct transactional *self, const struct call *call,
                            struct reader *body)
{
    struct produce_response response;
    assert_ok(produce_response_decode(body, call->version, &self->base.link.arena, &response));
    const struct produce_response_partition *told = &response.responses[0].partition_responses[0];
    if (told->error_code != KAFKA_NONE)
        return told->error_code;
    for (int32_t i = 0; i < self->count; i++)
        world_note(world_of(self),
                   "\"op\":\"ack\",\"topic\":\"" WORLD_TOPIC "\",\"partition\":%d,"
                   "\"offset\":%lld,\"value\":\"%s-%lld\"",
                   self->partition, (long long)told->base_offset + i, self->base.name,
                   (long long)self->first + i);
    self->sequences[self->partition] += self->count;
    self->write_count++;
    return KAFKA_NONE;
}

static int16_t take_end(struct transactional *self, const struct call *call, struct reader *body)
{
    struct end_txn_response response;
    assert_ok(end_txn_response_decode(body, call->version, &self->base.link.arena, &response));
    if (response.error_code != KAFKA_NONE)
        return response.error_code;
    note_end(self, self->is_commit ? "committed" : "aborted");
    if (self->is_version_2) { /* each transaction has its epoch */
        self->id = response.producer_id;
        self->epoch = response.producer_epoch;
        memset(self->sequences, 0, sizeof self->sequences);
    }
    self->step = STEP_READY;
    return KAFKA_NONE;
}

static int16_t take(struct transactional *self, const struct call *call, struct reader *body)
{
    struct arena *arena = &self->base.link.arena;
    if (call->api == API_INIT_PRODUCER_ID)
        return take_init(self, body);
    if (call->api == API_PRODUCE)
        return take_written(self, call, body);
    if (call->api == API_END_TXN)
        return take_end(self, call, body);
    if (call->api == API_ADD_PARTITIONS_TO_TXN) {
        struct add_partitions_to_txn_response response;
        assert_ok(add_partitions_to_txn_response_decode(body, call->version, arena, &response));
        return response.results_by_topic_v3_and_below[0]
            .results_by_partition[0]
            .partition_error_code;
    }
    if (call->api == API_ADD_OFFSETS_TO_TXN) {
        struct add_offsets_to_txn_response response;
        assert_ok(add_offsets_to_txn_response_decode(body, call->version, arena, &response));
        return response.error_code;
    }
    struct txn_offset_commit_response response;
    assert_ok(txn_offset_commit_response_decode(body, call->version, arena, &response));
    return response.topics[0].partitions[0].error_code;
}

/* Errors that tell a client that its transaction is not its own any more. */
static bool is_lost(int16_t code)
{
    return code == KAFKA_INVALID_PRODUCER_EPOCH || code == KAFKA_PRODUCER_FENCED ||
           code == KAFKA_INVALID_TXN_STATE || code == KAFKA_INVALID_PRODUCER_ID_MAPPING;
}

static void transactional_answer(struct link *link, const struct call *call, struct reader *body)
{
    struct transactional *self = (struct transactional *)link;
    if (call->api == API_PRODUCE && call->b == ZOMBIE) {
        self->zombie.is_there = false; /* it heard what it is, whatever that was called */
        return;
    }
    int16_t code = take(self, call, body);
    if (sim_is_retriable(code))
        return;
    if (is_lost(code) && self->step != STEP_INIT) {
        give_up(self);
        return;
    }
    if (code != KAFKA_NONE)
        world_fail(link->world, "%s: API %d, transaction %lld: error %d", self->base.name,
                   call->api, (long long)self->txn, code);
    if (self->todo == TODO_ADD)
        self->is_added[self->partition] = true;
    bool goes_on = self->step == STEP_OPEN;
    if (goes_on && self->todo == TODO_ADD)
        self->todo = TODO_WRITE;
    else if (goes_on && self->todo == TODO_ADD_OFFSETS)
        self->todo = TODO_OFFSET;
    else
        self->todo = TODO_NOTHING;
}

static void transactional_lost(struct link *link)
{
    (void)link; /* the todo is asked again */
}

static bool transactional_is_done(const struct sim_client *client)
{
    const struct transactional *self = (const struct transactional *)client;
    return client->is_retired || self->step == STEP_READY;
}

struct sim_client *transactional_create(struct world *world, int index, bool is_version_2)
{
    struct transactional *self =
        (struct transactional *)sim_client_make(world, sizeof *self, "txn", index);
    (void)snprintf(self->group, sizeof self->group, "group%d", index);
    self->is_version_2 = is_version_2;
    self->base.act = transactional_act;
    self->base.is_done = transactional_is_done;
    self->base.link.answer = transactional_answer;
    self->base.link.lost = transactional_lost;
    return &self->base;
}
