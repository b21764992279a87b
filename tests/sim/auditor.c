/*
 * auditor: reads each partition from its start to its end, once as it is stored and once as a
 * reader of committed records, and notes all of it under the number of the pass.
 */
#include "sim/clients.h"

#include "wire/error_code.h"

struct auditor {
    struct sim_client base;
    int pass;          /* 0: nothing to do */
    int32_t partition; /* that is being read; the count of them: all are */
    bool is_committed;
    int64_t position;
};

static void auditor_act(struct sim_client *client)
{
    struct auditor *self = (struct auditor *)client;
    if (self->pass != 0 && self->partition < WORLD_PARTITION_COUNT && link_is_idle(&client->link))
        sim_send_fetch(&client->link, self->partition, self->position, self->is_committed);
}

static void note(void *context, const struct sim_seen *seen)
{
    const struct auditor *self = context;
    struct world *world = self->base.link.world;
    const char *kind = self->is_committed ? "final" : "stored";
    const char *quote = span_is_null(seen->value) ? "" : "\"";
    struct span value = span_is_null(seen->value) ? span_text("null") : seen->value;
    world_note(world,
               "\"op\":\"%s\",\"pass\":%d,\"topic\":\"" WORLD_TOPIC "\",\"partition\":%d,"
               "\"offset\":%lld,\"value\":%s%.*s%s",
               kind, self->pass, self->partition, (long long)seen->offset, quote, SPAN_ARGS(value),
               quote);
}

static void auditor_answer(struct link *link, const struct call *call, struct reader *body)
{
    struct auditor *self = (struct auditor *)link;
    struct fetch_response response;
    assert_ok(fetch_response_decode(body, call->version, &link->arena, &response));
    const struct fetch_response_partition *told = &response.responses[0].partitions[0];
    if (sim_is_retriable(told->error_code))
        return;
    if (told->error_code != KAFKA_NONE)
        world_fail(link->world, "the auditor of partition %d: error %d", self->partition,
                   told->error_code);
    self->position = sim_see_records(told, self->position, self->is_committed, note, self);
    if (self->position < told->high_watermark)
        return;
    if (told->last_stable_offset != told->high_watermark)
        world_fail(link->world, "partition %d: %lld of %lld are decided when all is over",
                   self->partition, (long long)told->last_stable_offset,
                   (long long)told->high_watermark);
    link->world->ends[self->partition] = told->high_watermark;
    self->position = 0;
    self->partition += self->is_committed;
    self->is_committed = !self->is_committed;
}

static void auditor_lost(struct link *link)
{
    (void)link; /* there are no faults when it reads */
}

static bool auditor_is_done(const struct sim_client *client)
{
    const struct auditor *self = (const struct auditor *)client;
    return self->pass == 0 || self->partition == WORLD_PARTITION_COUNT;
}

void auditor_begin(struct sim_client *client, int pass)
{
    struct auditor *self = (struct auditor *)client;
    self->pass = pass;
    self->partition = 0;
    self->position = 0;
    self->is_committed = false;
}

struct sim_client *auditor_create(struct world *world)
{
    struct auditor *self = (struct auditor *)sim_client_make(world, sizeof *self, "auditor", 0);
    self->base.act = auditor_act;
    self->base.is_done = auditor_is_done;
    self->base.link.answer = auditor_answer;
    self->base.link.lost = auditor_lost;
    return &self->base;
}
