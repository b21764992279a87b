/* producer: an idempotent one. What was not acknowledged is sent again, in order, with its
 * sequence. */
#include "sim/clients.h"

#include "wire/error_code.h"
#include "wire/init_producer_id.h"

#define IN_FLIGHT_COUNT_MAX 5
#define INIT_VERSION 4
#define PRODUCE_VERSION 12

struct sent_batch {
    int32_t sequence;
    int32_t count;
    int64_t first; /* the number of its first value */
    bool is_on_its_way;
};

/* One partition's batches that are not acknowledged, oldest first. The first of all travels alone:
 * a broker that knows nothing of a producer takes any sequence for its first, as Kafka does. */
struct lane {
    bool is_known; /* to the broker */
    int32_t sequence_next;
    uint32_t count;
    struct sent_batch batches[IN_FLIGHT_COUNT_MAX];
};

struct producer {
    struct sim_client base;
    int64_t id; /* -1: none yet */
    int16_t epoch;
    int64_t number; /* of the next value */
    uint32_t in_flight_count_max;
    struct lane lanes[WORLD_PARTITION_COUNT];
};

static void ask_id(struct producer *self)
{
    struct init_producer_id_request request;
    init_producer_id_request_init(&request);
    request.transactional_id = SPAN_NULL;
    request.transaction_timeout_ms = 60000;
    struct writer *writer = link_begin(&self->base.link, API_INIT_PRODUCER_ID, INIT_VERSION, 0, 0);
    assert_ok(init_producer_id_request_encode(writer, INIT_VERSION, &request));
    link_send(&self->base.link);
}

static void send(struct producer *self, int32_t partition, struct sent_batch *batch)
{
    struct buf buf;
    buf_init(&buf, SIZE_MAX);
    const struct sim_batch_spec spec = {.name = self->base.name,
                                        .first = batch->first,
                                        .count = batch->count,
                                        .producer_id = self->id,
                                        .epoch = self->epoch,
                                        .sequence = batch->sequence};
    struct span bytes = sim_build_batch(self->base.link.world, &spec, &buf);
    sim_send_produce(&self->base.link, NULL, PRODUCE_VERSION, partition, bytes, batch->sequence);
    batch->is_on_its_way = true;
    buf_deinit(&buf);
}

static void make_batch(struct producer *self, struct lane *lane)
{
    struct world *world = self->base.link.world;
    struct sent_batch *batch = &lane->batches[lane->count++];
    *batch = (struct sent_batch){.sequence = lane->sequence_next,
                                 .count = 1 + (int32_t)world_draw(world, 3),
                                 .first = self->number};
    for (int32_t i = 0; i < batch->count; i++)
        world_note(world, "\"op\":\"send\",\"topic\":\"" WORLD_TOPIC "\",\"value\":\"%s-%lld\"",
                   self->base.name, (long long)self->number + i);
    self->number += batch->count;
    lane->sequence_next += batch->count;
}

static void producer_act(struct sim_client *client)
{
    struct producer *self = (struct producer *)client;
    struct world *world = client->link.world;
    if (self->id < 0) {
        if (link_is_idle(&client->link))
            ask_id(self);
        return;
    }
    int32_t partition = (int32_t)world_draw(world, (uint32_t)world->partition_count);
    struct lane *lane = &self->lanes[partition];
    uint32_t next = 0;
    while (next < lane->count && lane->batches[next].is_on_its_way)
        next++;
    uint32_t room = lane->is_known ? self->in_flight_count_max : 1;
    if (next == lane->count && lane->count < room && !world->is_peaceful)
        make_batch(self, lane);
    if (next < lane->count)
        send(self, partition, &lane->batches[next]);
}

/* This batch and those behind it are to be sent again. */
static void send_again(struct lane *lane, uint32_t from)
{
    for (uint32_t i = from; i < lane->count; i++)
        lane->batches[i].is_on_its_way = false;
}

static void take_ack(struct producer *self, int32_t partition, uint32_t place, int64_t base_offset)
{
    struct world *world = self->base.link.world;
    struct lane *lane = &self->lanes[partition];
    const struct sent_batch batch = lane->batches[place];
    for (int32_t i = 0; i < batch.count; i++)
        world_note(world,
                   "\"op\":\"ack\",\"topic\":\"" WORLD_TOPIC "\",\"partition\":%d,"
                   "\"offset\":%lld,\"value\":\"%s-%lld\"",
                   partition, (long long)base_offset + i, self->base.name,
                   (long long)batch.first + i);
    lane->is_known = true;
    if (place != 0)
        world_fail(world, "%s: a batch is acknowledged before the one before it", self->base.name);
    memmove(lane->batches, lane->batches + 1, --lane->count * sizeof lane->batches[0]);
}

static void take_produced(struct producer *self, const struct call *call, struct reader *body)
{
    struct link *link = &self->base.link;
    struct produce_response response;
    assert_ok(produce_response_decode(body, call->version, &link->arena, &response));
    const struct produce_response_partition *told = &response.responses[0].partition_responses[0];
    struct lane *lane = &self->lanes[call->a];
    uint32_t place = 0;
    while (place < lane->count && lane->batches[place].sequence != call->b)
        place++;
    if (place == lane->count)
        return; /* it was sent twice, and the first answer counted */
    bool is_behind_a_failed_one =
        told->error_code == KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && place > 0;
    if (told->error_code == KAFKA_NONE)
        take_ack(self, (int32_t)call->a, place, told->base_offset);
    else if (sim_is_retriable(told->error_code) || is_behind_a_failed_one)
        send_again(lane, place);
    else
        world_fail(link->world, "%s: partition %lld, sequence %lld: error %d", self->base.name,
                   (long long)call->a, (long long)call->b, told->error_code);
}

static void producer_answer(struct link *link, const struct call *call, struct reader *body)
{
    struct producer *self = (struct producer *)link;
    if (call->api == API_PRODUCE) {
        take_produced(self, call, body);
        return;
    }
    struct init_producer_id_response response;
    assert_ok(init_producer_id_response_decode(body, call->version, &link->arena, &response));
    if (response.error_code == KAFKA_NONE) {
        self->id = response.producer_id;
        self->epoch = response.producer_epoch;
    } else if (!sim_is_retriable(response.error_code)) {
        world_fail(link->world, "%s: no id: error %d", self->base.name, response.error_code);
    }
}

static void producer_lost(struct link *link)
{
    struct producer *self = (struct producer *)link;
    for (int i = 0; i < WORLD_PARTITION_COUNT; i++)
        send_again(&self->lanes[i], 0);
}

static bool producer_is_done(const struct sim_client *client)
{
    const struct producer *self = (const struct producer *)client;
    uint32_t left = 0;
    for (int i = 0; i < WORLD_PARTITION_COUNT; i++)
        left += self->lanes[i].count;
    return client->is_retired || left == 0;
}

struct sim_client *producer_create(struct world *world, int index)
{
    struct producer *self =
        (struct producer *)sim_client_make(world, sizeof *self, "producer", index);
    self->id = -1;
    self->in_flight_count_max = 1 + world_draw(world, IN_FLIGHT_COUNT_MAX);
    self->base.act = producer_act;
    self->base.is_done = producer_is_done;
    self->base.link.answer = producer_answer;
    self->base.link.lost = producer_lost;
    return &self->base;
}
