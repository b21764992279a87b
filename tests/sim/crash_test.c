/*
 * crash_test: one fault at every place of a workload in turn: the power goes out at the n-th sync,
 * or that sync fails, or the n-th write finds the disk full.
 *
 * For each seed and each number n: the same workload until then; a crash, recovery, the oracle;
 * what was in flight is sent again; more work, and another crash. The seed decides what is left of
 * what was not synced. A failure says fault, seed and n. SIM_SEED=n begins with that seed,
 * SIM_SEEDS=n runs so many.
 */
#include "sim/sim.h"

#define ACTION_COUNT 120
#define ACTION_COUNT_AFTER 30

enum fault {
    FAULT_POWER,
    FAULT_SYNC,
    FAULT_WRITE,
    FAULT_COUNT,
};

/* Which seeds run usually: about a second for each fault, and such as have found something. */
static const struct {
    uint64_t first;
    uint64_t count;
} seeds[FAULT_COUNT] = {
    [FAULT_POWER] = {1, 8},
    [FAULT_SYNC] = {2000, 8},
    [FAULT_WRITE] = {1, 2},
};

static const char *const fault_names[FAULT_COUNT] = {
    [FAULT_POWER] = "power", [FAULT_SYNC] = "sync", [FAULT_WRITE] = "write"};

/* Recovers, checks, and sends again what was in flight. */
static void crash(struct sim *sim)
{
    sim_crash(sim);
    sim_check(sim);
    sim_resend(sim);
}

/* False when the workload ended before the n-th. */
static bool run(enum fault fault, uint64_t seed, uint32_t n)
{
    struct sim *sim = sim_create(seed);
    struct mem_disk *disk = sim->fixture.base.disk;
    if (fault == FAULT_POWER)
        mem_disk_power_off(disk, n);
    else
        mem_disk_fail(disk, fault == FAULT_SYNC ? MEM_DISK_SYNC : MEM_DISK_WRITE, n);
    for (int i = 0; i < ACTION_COUNT; i++)
        sim_act(sim);
    bool has_struck = mem_disk_is_off(disk) || mem_disk_has_failed(disk);
    sim->random += n; /* from here on each n has its own fate */
    crash(sim);
    for (int i = 0; i < ACTION_COUNT_AFTER; i++)
        sim_act(sim);
    crash(sim);
    sim_restart(sim);
    sim_check(sim);
    sim_destroy(sim);
    return has_struck;
}

static uint64_t setting(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text == NULL ? usual : strtoull(text, NULL, 10);
}

static void strike_everywhere(enum fault fault)
{
    const uint64_t first = setting("SIM_SEED", seeds[fault].first);
    const uint64_t count = setting("SIM_SEEDS", seeds[fault].count);
    for (uint64_t seed = first; seed < first + count; seed++) {
        uint32_t n = 0;
        bool has_struck = true;
        while (has_struck) {
            (void)fprintf(stderr, "\r%s, seed %llu, %u ", fault_names[fault],
                          (unsigned long long)seed, ++n);
            has_struck = run(fault, seed, n);
        }
        assert_true(n > 20);
    }
}

static void power_cut_at_any_sync_keeps_what_was_promised(void **state)
{
    (void)state;
    strike_everywhere(FAULT_POWER);
}

static void failure_of_any_sync_keeps_what_was_promised(void **state)
{
    (void)state;
    strike_everywhere(FAULT_SYNC);
}

static void full_disk_at_any_write_keeps_what_was_promised(void **state)
{
    (void)state;
    strike_everywhere(FAULT_WRITE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cut_at_any_sync_keeps_what_was_promised),
        cmocka_unit_test(failure_of_any_sync_keeps_what_was_promised),
        cmocka_unit_test(full_disk_at_any_write_keeps_what_was_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
