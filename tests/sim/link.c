/* link: bytes on their way, and the calls that they belong to. */
#include "sim/link.h"

#include "wire/envelope.h"

#define ARENA_SIZE_MAX ((size_t)16 << 20)

void link_init(struct link *link, struct world *world)
{
    assert_true(world->link_count < WORLD_LINK_COUNT_MAX);
    link->world = world;
    link->socket = OS_SOCKET_NONE;
    buf_init(&link->leaving, SIZE_MAX);
    buf_init(&link->coming, SIZE_MAX);
    arena_init(&link->arena, ARENA_SIZE_MAX);
    world->links[world->link_count++] = link;
}

void link_deinit(struct link *link)
{
    buf_deinit(&link->leaving);
    buf_deinit(&link->coming);
    arena_deinit(&link->arena);
}

struct writer *link_begin(struct link *link, enum api_key api, int16_t version, int64_t a,
                          int64_t b)
{
    assert_true(link->call_count < LINK_CALL_COUNT_MAX);
    struct request_header header;
    request_header_init(&header);
    header.request_api_key = (int16_t)api;
    header.request_api_version = version;
    header.correlation_id = ++link->correlation;
    header.client_id = span_text(link->name);
    link->calls[link->call_count++] = (struct call){
        .api = api, .version = version, .correlation = link->correlation, .a = a, .b = b};
    writer_init(&link->writer, &link->leaving, NULL, 0);
    assert_ok(frame_begin(&link->writer, &link->mark));
    assert_ok(envelope_write_request(&link->writer, &header));
    return &link->writer;
}

void link_send(struct link *link)
{
    assert_ok(frame_end(&link->writer, link->mark));
}

bool link_is_idle(const struct link *link)
{
    return link->call_count == 0;
}

void link_lose(struct link *link)
{
    struct fake_net *net = link->world->server.net;
    if (net != NULL && link->socket != OS_SOCKET_NONE && fake_net_is_open(net, link->socket))
        fake_net_reset(net, link->socket);
    link->socket = OS_SOCKET_NONE;
    link->call_count = 0;
    buf_clear(&link->leaving);
    buf_clear(&link->coming);
    link->world->speaker = link->name;
    link->lost(link);
}

/* How many of so many bytes move on now. */
static size_t some_of(struct world *world, size_t size)
{
    if (world->is_peaceful || world_draw(world, 3) != 0)
        return size;
    return world_draw(world, (uint32_t)size + 1);
}

void link_move(struct link *link)
{
    struct world *world = link->world;
    struct fake_net *net = world->server.net;
    if (link->socket != OS_SOCKET_NONE && world_has_chance(world, world->reset_chance)) {
        link_lose(link);
        return;
    }
    if (link->leaving.size == 0)
        return;
    if (link->socket == OS_SOCKET_NONE)
        link->socket = fake_net_connect(net, SERVER_PORT);
    size_t size = some_of(world, link->leaving.size);
    fake_net_send(net, link->socket, span_make(link->leaving.data, size));
    buf_consume(&link->leaving, size);
}

/* Tells of the first answer if it is there whole. */
static bool hear_one(struct link *link)
{
    struct frame frame;
    assert_ok(frame_parse(buf_span(&link->coming), INT32_MAX, &frame));
    if (!frame.complete)
        return false;
    int32_t correlation = load_i32(frame.body.data);
    if (link->call_count == 0 || link->calls[0].correlation != correlation)
        world_fail(link->world, "%s was answered request %d out of turn", link->name, correlation);
    struct call call = link->calls[0];
    memmove(link->calls, link->calls + 1, --link->call_count * sizeof link->calls[0]);
    const struct api_info *api = api_find((int16_t)call.api);
    size_t head = sizeof correlation + (api_is_flexible(api, call.version) ? 1 : 0);
    struct buf answer; /* the client may lose the link while it is told */
    buf_init(&answer, SIZE_MAX);
    assert_ok(buf_append(&answer, frame.body.data + head, frame.body.size - head));
    buf_consume(&link->coming, frame.size_total);
    struct reader body;
    reader_init(&body, buf_span(&answer));
    arena_reset(&link->arena);
    link->world->speaker = link->name;
    link->answer(link, &call, &body);
    buf_deinit(&answer);
    return true;
}

void link_hear(struct link *link)
{
    struct world *world = link->world;
    struct fake_net *net = world->server.net;
    if (link->socket == OS_SOCKET_NONE)
        return;
    struct span there = fake_net_look(net, link->socket);
    size_t size = there.size == 0 ? 0 : some_of(world, there.size);
    if (size > 0) {
        assert_ok(buf_append(&link->coming, there.data, size));
        (void)fake_net_take(net, link->socket, NULL, size);
    }
    bool is_gone = !fake_net_is_open(net, link->socket) && there.size == size;
    while (hear_one(link))
        continue;
    if (is_gone && link->socket != OS_SOCKET_NONE)
        link_lose(link);
}
