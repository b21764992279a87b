/*
 * server_sim: whole servers, one for each seed, and clients of all kinds, through several lives.
 *
 *     server_sim FIRST COUNT [FILE]     that many seeds from FIRST on; their histories, each behind
 *                                       a line that names its seed, to FILE or standard output
 *
 * Each life ends by a fault, a kill or as it should (world.h); then the next begins on what the
 * disk has kept. After the last there is peace: all that was begun is ended, and an auditor reads
 * everything twice, with a restart in between. tests/oracle judges the history: run.py.
 *
 * A seed fails here where an answer is one that no client can explain, where an assertion of the
 * server or of the clients fails, and where something is stuck in peace.
 */
#include "sim/clients.h"

#define PRODUCER_COUNT 2
#define TRANSACTIONAL_COUNT 3
#define MEMBER_COUNT 3
#define SIM_CLIENT_COUNT_MAX 12
#define LIFE_COUNT 3
#define TURN_COUNT 260
#define PEACE_TURN_COUNT_MAX 40000
#define CALM_TURN_COUNT 400 /* all must be done for so long */
#define PEACE_MS 40000      /* beyond sessions and transactions' time */

struct sim {
    struct world *world;
    struct sim_client *clients[SIM_CLIENT_COUNT_MAX];
    uint32_t count;
    uint32_t mortal_count; /* the first of them may die for ever */
    struct sim_client *auditor;
};

static void add(struct sim *sim, struct sim_client *client)
{
    assert_true(sim->count < SIM_CLIENT_COUNT_MAX);
    sim->clients[sim->count++] = client;
}

static void make_clients(struct sim *sim)
{
    struct world *world = sim->world;
    for (int i = 0; i < PRODUCER_COUNT; i++)
        add(sim, producer_create(world, i));
    for (int i = 0; i < TRANSACTIONAL_COUNT; i++)
        add(sim, transactional_create(world, i, world_draw(world, 2) == 0));
    for (int i = 0; i < MEMBER_COUNT; i++)
        add(sim, member_create(world, i));
    sim->mortal_count = sim->count;
    add(sim, watch_create(world));
    add(sim, follower_create(world));
    sim->auditor = auditor_create(world);
    add(sim, sim->auditor);
}

/* One client, or several, have their turn; then the server and the network. */
static void turn(struct sim *sim)
{
    for (uint32_t i = 1 + world_draw(sim->world, 4); i > 0; i--) {
        struct sim_client *client = sim->clients[world_draw(sim->world, sim->count)];
        sim->world->speaker = client->name;
        if (!client->is_retired)
            client->act(client);
    }
    world_turn(sim->world);
}

static void live(struct sim *sim)
{
    enum world_fate fate = (enum world_fate)world_draw(sim->world, FATE_COUNT);
    uint32_t left = TURN_COUNT / 2 + world_draw(sim->world, TURN_COUNT);
    world_arm(sim->world, fate);
    bool was_over = false;
    while (left-- > 0 && !was_over) {
        turn(sim);
        was_over = world_is_over(sim->world);
    }
    for (int i = 0; i < 10 && was_over; i++) /* what is answered now must not be a lie */
        turn(sim);
    world_restart(sim->world, fate);
}

static bool is_done(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->count; i++) {
        if (!sim->clients[i]->is_done(sim->clients[i]))
            return false;
    }
    return true;
}

/* Lets all end what they are at. */
static void calm_down(struct sim *sim)
{
    uint32_t calm = 0;
    int64_t begin_ms = world_now_ms(sim->world);
    for (uint32_t i = 0; calm < CALM_TURN_COUNT || world_now_ms(sim->world) - begin_ms < PEACE_MS;
         i++) {
        turn(sim);
        calm = is_done(sim) ? calm + 1 : 0;
        for (uint32_t j = 0; j < sim->count && i == PEACE_TURN_COUNT_MAX; j++) {
            if (!sim->clients[j]->is_done(sim->clients[j]))
                world_fail(sim->world, "%s is stuck", sim->clients[j]->name);
        }
    }
}

static void audit(struct sim *sim, int pass)
{
    auditor_begin(sim->auditor, pass);
    calm_down(sim);
}

static void run(uint64_t seed, FILE *history)
{
    struct sim sim = {.world = world_create(seed, history)};
    (void)fprintf(history, "{\"op\":\"seed\",\"seed\":%llu}\n", (unsigned long long)seed);
    make_clients(&sim);
    for (int i = 0; i < LIFE_COUNT; i++)
        live(&sim);
    world_make_peace(sim.world);
    sim_client_retire(sim.clients[world_draw(sim.world, sim.mortal_count)]);
    calm_down(&sim);
    audit(&sim, 1);
    world_restart(sim.world, world_draw(sim.world, 2) == 0 ? FATE_RESTART : FATE_KILL);
    audit(&sim, 2);
    world_destroy(sim.world);
    for (uint32_t i = 0; i < sim.count; i++)
        sim_client_destroy(sim.clients[i]);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "server_sim FIRST COUNT [FILE]\n");
        return EXIT_FAILURE;
    }
    uint64_t first = strtoull(argv[1], NULL, 10);
    uint64_t count = strtoull(argv[2], NULL, 10);
    FILE *history = argc > 3 ? fopen(argv[3], "w") : stdout;
    if (history == NULL) {
        perror(argv[3]);
        return EXIT_FAILURE;
    }
    for (uint64_t seed = first; seed < first + count; seed++)
        run(seed, history);
    return fflush(history) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
