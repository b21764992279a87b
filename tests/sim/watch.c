/* watch: asks for what must never go back: log starts, high watermarks and committed offsets. */
#include "sim/clients.h"

#include "wire/error_code.h"
#include "wire/list_offsets.h"
#include "wire/offset_fetch.h"

#define LATEST (-1)
#define EARLIEST (-2)

static const char *const groups[] = {"readers", "group0", "group1", "group2"};

#define GROUP_COUNT (sizeof groups / sizeof groups[0])

struct watch {
    struct sim_client base;
    int64_t lows[WORLD_PARTITION_COUNT]; /* as last told */
    uint32_t turn;                       /* which group and partition come next */
    int64_t since;                       /* so many lines there were when it last asked */
};

static void ask_end(struct watch *self, int32_t partition, int64_t which)
{
    struct list_offsets_request_partition part = {
        .partition_index = partition, .current_leader_epoch = -1, .timestamp = which};
    struct list_offsets_request_topic topic = {
        .name = span_text(WORLD_TOPIC), .partitions = &part, .partitions_count = 1};
    struct list_offsets_request request;
    list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    struct writer *writer = link_begin(&self->base.link, API_LIST_OFFSETS, 7, partition, which);
    assert_ok(list_offsets_request_encode(writer, 7, &request));
    link_send(&self->base.link);
}

static void ask_offset(struct watch *self, uint32_t group, int32_t partition)
{
    struct offset_fetch_request_topic topic = {.name = span_text(WORLD_TOPIC),
                                               .partition_indexes = &partition,
                                               .partition_indexes_count = 1};
    struct offset_fetch_request request;
    offset_fetch_request_init(&request);
    request.group_id = span_text(groups[group]);
    request.topics = &topic;
    request.topics_count = 1;
    request.require_stable = true;
    struct writer *writer = link_begin(&self->base.link, API_OFFSET_FETCH, 7, partition, group);
    assert_ok(offset_fetch_request_encode(writer, 7, &request));
    link_send(&self->base.link);
}

static void watch_act(struct sim_client *client)
{
    struct watch *self = (struct watch *)client;
    struct world *world = client->link.world;
    if (!link_is_idle(&client->link))
        return;
    int32_t partition = (int32_t)world_draw(world, WORLD_PARTITION_COUNT);
    self->since = world->line_count;
    if (world_draw(world, 2) == 0) {
        ask_end(self, partition, world_draw(world, 4) == 0 ? EARLIEST : LATEST);
    } else {
        self->turn = (self->turn + 1) % (GROUP_COUNT * WORLD_PARTITION_COUNT);
        ask_offset(self, self->turn / WORLD_PARTITION_COUNT,
                   (int32_t)(self->turn % WORLD_PARTITION_COUNT));
    }
}

static void take_end(struct watch *self, const struct call *call, struct reader *body)
{
    struct link *link = &self->base.link;
    struct list_offsets_response response;
    assert_ok(list_offsets_response_decode(body, call->version, &link->arena, &response));
    const struct list_offsets_response_partition *told = &response.topics[0].partitions[0];
    if (told->error_code != KAFKA_NONE)
        return;
    if (call->b == EARLIEST)
        self->lows[call->a] = told->offset;
    else
        world_note(link->world,
                   "\"op\":\"marks\",\"topic\":\"" WORLD_TOPIC "\",\"partition\":%lld,"
                   "\"low\":%lld,\"high\":%lld",
                   (long long)call->a, (long long)self->lows[call->a], (long long)told->offset);
}

static void take_offset(struct watch *self, const struct call *call, struct reader *body)
{
    struct link *link = &self->base.link;
    struct offset_fetch_response response;
    assert_ok(offset_fetch_response_decode(body, call->version, &link->arena, &response));
    if (response.error_code != KAFKA_NONE)
        return;
    const struct offset_fetch_response_partition *told = &response.topics[0].partitions[0];
    if (told->error_code == KAFKA_NONE && told->committed_offset >= 0)
        world_note(link->world,
                   "\"op\":\"offset\",\"group\":\"%s\",\"topic\":\"" WORLD_TOPIC "\","
                   "\"partition\":%lld,\"offset\":%lld,\"since\":%lld",
                   groups[call->b], (long long)call->a, (long long)told->committed_offset,
                   (long long)self->since);
}

static void watch_answer(struct link *link, const struct call *call, struct reader *body)
{
    struct watch *self = (struct watch *)link;
    if (call->api == API_LIST_OFFSETS)
        take_end(self, call, body);
    else
        take_offset(self, call, body);
}

static void watch_lost(struct link *link)
{
    (void)link; /* another question does as well */
}

static bool watch_is_done(const struct sim_client *client)
{
    (void)client;
    return true;
}

struct sim_client *watch_create(struct world *world)
{
    struct watch *self = (struct watch *)sim_client_make(world, sizeof *self, "watch", 0);
    self->base.act = watch_act;
    self->base.is_done = watch_is_done;
    self->base.link.answer = watch_answer;
    self->base.link.lost = watch_lost;
    return &self->base;
}
