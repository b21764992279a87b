/*
 * crash_test: the power goes out at every sync of a workload in turn.
 *
 * For each seed and each number n: the same workload until its n-th sync, which does not happen; a
 * crash, recovery, the oracle; what was in flight is sent again; more work, and another crash. The
 * seed decides what is left of what was not synced. A failure says which seed and sync. SIM_SEED=n
 * begins with that seed, SIM_SEEDS=n runs so many.
 */
#include "sim/sim.h"

#define SEED_COUNT 12
#define ACTION_COUNT 120
#define ACTION_COUNT_AFTER 30

/* Recovers, checks, and sends again what was in flight. */
static void crash(struct sim *sim)
{
    sim_crash(sim);
    sim_check(sim);
    sim_resend(sim);
}

/* False when the workload ended before the n-th sync. */
static bool run(uint64_t seed, uint32_t sync)
{
    struct sim *sim = sim_create(seed);
    mem_disk_power_off(sim->fixture.base.disk, sync);
    for (int i = 0; i < ACTION_COUNT; i++)
        sim_act(sim);
    bool was_off = mem_disk_is_off(sim->fixture.base.disk);
    sim->random += sync; /* from here on each sync has its own fate */
    crash(sim);
    for (int i = 0; i < ACTION_COUNT_AFTER; i++)
        sim_act(sim);
    crash(sim);
    sim_restart(sim);
    sim_check(sim);
    sim_destroy(sim);
    return was_off;
}

static uint64_t setting(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text == NULL ? usual : strtoull(text, NULL, 10);
}

static void crash_at_every_sync_keeps_what_was_promised(void **state)
{
    (void)state;
    const uint64_t first = setting("SIM_SEED", 1);
    const uint64_t count = setting("SIM_SEEDS", SEED_COUNT);
    for (uint64_t seed = first; seed < first + count; seed++) {
        uint32_t sync = 1;
        for (bool was_off = true; was_off; sync++) {
            (void)fprintf(stderr, "\rseed %llu, sync %u ", (unsigned long long)seed, sync);
            was_off = run(seed, sync);
        }
        assert_true(sync > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash_at_every_sync_keeps_what_was_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
