/* world: life and death of a server, and its threads as steps. */
#include "sim/world.h"

#include <stdarg.h>

#include "coord/transactions.h"
#include "sim/link.h"
#include "support/fail_alloc.h"

#define TIME_STEP_MS_MAX 40
#define LONG_TIME_MS 2500 /* heartbeats and time-outs become due */
#define FAULT_PLACE_MAX 120
#define MEMORY_PLACE_MAX 40 /* so many allocations into a step, memory is refused */

uint32_t world_draw(struct world *world, uint32_t below)
{
    world->random = world->random * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(world->random >> 33) % below;
}

bool world_has_chance(struct world *world, uint32_t in_10000)
{
    return world_draw(world, 10000) < in_10000;
}

int64_t world_now_ms(const struct world *world)
{
    return world->server.coord.broker.base.time.now_ms;
}

static struct mem_disk *disk_of(const struct world *world)
{
    return world->server.coord.broker.base.disk;
}

bool world_is_over(const struct world *world)
{
    return mem_disk_is_off(disk_of(world)) ||
           store_is_offline(world->server.coord.broker.base.store);
}

/* What the server does next may be refused memory, once. Not within another such step. */
static void begin_step(struct world *world)
{
    if (world->memory_chance != 0 && world_has_chance(world, world->memory_chance))
        fail_alloc_arm(1 + world_draw(world, 1 + world_draw(world, MEMORY_PLACE_MAX)));
}

static void end_step(void)
{
    (void)fail_alloc_disarm();
}

/* Steps the reactor until it has nothing left to do at once. */
static void serve(struct world *world)
{
    if (world->is_serving)
        return;
    world->is_serving = true;
    coord_step(world->server.coord.coord);
    server_fixture_run(&world->server);
    world->is_serving = false;
}

/* While a thread waits for the disk, the others go on; not so when the reactor itself waits. */
static void on_sync(void *context)
{
    struct world *world = context;
    if (world->server.server == NULL || world->is_serving || world_draw(world, 3) != 0)
        return;
    fail_alloc_pause(); /* the network's and the clients' is not the server's */
    for (uint32_t i = 0; i < world->link_count; i++)
        link_move(world->links[i]);
    fail_alloc_resume();
    serve(world);
}

static void set_config(struct world *world, const char *name, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    broker_fixture_set(&world->server.coord.broker, name, text);
}

static void configure(struct world *world)
{
    static const int64_t roll_ms[] = {2000, 20000, 604800000};
    set_config(world, "log.roll.ms", roll_ms[world_draw(world, 3)]);
    set_config(world, "log.index.interval.bytes", 1 + world_draw(world, 2000));
    set_config(world, "group.initial.rebalance.delay.ms", world_draw(world, 2) * 100);
    set_config(world, "max.incremental.fetch.session.cache.slots", 2 + world_draw(world, 10));
    world->reset_chance = world_draw(world, 3) * 20;
    world->memory_chance = world_draw(world, 3) * 150;
    world->partition_count = 1 + (int32_t)world_draw(world, WORLD_PARTITION_COUNT);
    world->session_ms = SESSION_MS_MIN * (1 + (int32_t)world_draw(world, 3));
}

/* Sockets, listener and sessions over a broker and a coordinator that are open. */
static void begin_to_serve(struct world *world)
{
    struct broker_fixture *broker = &world->server.coord.broker;
    world->server.net = fake_net_create(broker->os.files);
    broker->os.net = fake_net_vtable(world->server.net);
    server_fixture_start(&world->server);
}

struct world *world_create(uint64_t seed, FILE *history)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->seed = seed;
    world->random = seed * 0x9e3779b97f4a7c15U + 1;
    world->history = history;
    struct coord_fixture *coord = &world->server.coord;
    buf_init(&world->server.request, SIZE_MAX);
    coord_fixture_setup(coord, seed);
    configure(world);
    coord_fixture_begin(coord);
    int64_t commit;
    struct transactions *transactions = coord_transactions(coord->coord);
    assert_true(err_is(transactions_prepare(transactions, &commit, NULL), ERR_AGAIN));
    coord_fixture_flush(coord);
    assert_ok(transactions_prepare(transactions, &commit, NULL));
    coord_fixture_load(coord);
    begin_to_serve(world);
    mem_disk_on_sync(disk_of(world), on_sync, world);
    return world;
}

/* As serve ends. is_clean: and closes its files as it should; an end that fails is a crash. */
static bool stop(struct world *world, bool is_clean)
{
    struct coord_fixture *coord = &world->server.coord;
    mem_disk_on_sync(disk_of(world), NULL, NULL);
    coord_close(coord->coord);
    broker_stop(coord->broker.broker);
    server_destroy(world->server.server);
    api_destroy(world->server.api);
    coord_destroy(coord->coord);
    struct err err = broker_close(coord->broker.broker, is_clean, NULL);
    fake_net_destroy(world->server.net);
    coord->coord = NULL;
    world->server.server = NULL;
    world->server.net = NULL;
    return is_clean && !err_failed(err);
}

void world_destroy(struct world *world)
{
    assert_true(stop(world, true));
    arena_deinit(&world->server.coord.arena);
    broker_fixture_deinit(&world->server.coord.broker);
    buf_deinit(&world->server.request);
    free(world);
}

void world_arm(struct world *world, enum world_fate fate)
{
    uint32_t place = 1 + world_draw(world, FAULT_PLACE_MAX);
    if (fate == FATE_POWER)
        mem_disk_power_off(disk_of(world), place);
    else if (fate == FATE_SYNC)
        mem_disk_fail(disk_of(world), MEM_DISK_SYNC, place);
    else if (fate == FATE_WRITE)
        mem_disk_fail(disk_of(world), MEM_DISK_WRITE, place);
}

void world_restart(struct world *world, enum world_fate fate)
{
    static const enum mem_disk_loss losses[] = {MEM_DISK_LOSE_ALL, MEM_DISK_LOSE_SOME,
                                                MEM_DISK_GARBLE, MEM_DISK_LOSE_NONE};
    struct mem_disk *disk = disk_of(world);
    bool is_clean = fate == FATE_RESTART && !world_is_over(world);
    bool machine_lives = (fate == FATE_KILL || fate == FATE_WRITE) && !world_is_over(world);
    enum mem_disk_loss loss = losses[world_draw(world, 4)];
    is_clean = stop(world, is_clean);
    mem_disk_power_off(disk, 0);
    mem_disk_fail(disk, MEM_DISK_ALL, 0);
    if (!is_clean)
        mem_disk_crash(disk, machine_lives ? MEM_DISK_LOSE_NONE : loss);
    for (uint32_t i = 0; i < world->link_count; i++)
        link_lose(world->links[i]);
    coord_fixture_open(&world->server.coord);
    coord_fixture_load(&world->server.coord);
    begin_to_serve(world);
    mem_disk_on_sync(disk, on_sync, world);
}

void world_make_peace(struct world *world)
{
    world->is_peaceful = true;
    world->reset_chance = 0;
    world->memory_chance = 0;
}

static void flush(struct world *world)
{
    struct store_flush_result result;
    begin_step(world);
    (void)!err_failed(store_flush_step(world->server.coord.broker.base.store, &result, NULL));
    end_step();
}

static void work(struct world *world)
{
    struct store_background_result result;
    struct broker_fixture *broker = &world->server.coord.broker;
    begin_step(world);
    (void)!err_failed(
        store_background_step(broker->base.store, world_now_ms(world), 1 << 24, &result, NULL));
    broker_background_step(broker->broker, world_now_ms(world));
    end_step();
}

static void pass_time(struct world *world)
{
    bool is_long = world_draw(world, world->is_peaceful ? 12 : 40) == 0;
    world->server.coord.broker.base.time.now_ms +=
        is_long ? LONG_TIME_MS : 1 + world_draw(world, TIME_STEP_MS_MAX);
}

void world_turn(struct world *world)
{
    switch (world_draw(world, 8)) {
    case 0:
    case 1:
        flush(world);
        break;
    case 2:
        pass_time(world);
        break;
    case 3:
        if (world_draw(world, 4) == 0)
            work(world);
        break;
    default:
        for (uint32_t i = 0; i < world->link_count; i++)
            link_move(world->links[i]);
    }
    begin_step(world);
    serve(world);
    end_step();
    for (uint32_t i = 0; i < world->link_count; i++)
        link_hear(world->links[i]);
}

void world_note(struct world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    world->line_count++;
    (void)fputc('{', world->history);
    (void)vfprintf(world->history, format, arguments);
    (void)fprintf(world->history, ",\"who\":\"%s\"}\n", world->speaker);
    va_end(arguments);
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fflush(world->history);
    (void)fprintf(stderr, "seed %llu: ", (unsigned long long)world->seed);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}
