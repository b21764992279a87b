/* progress: random lives against a plain set of done offsets, handed over again and again; and
 * metadata that must not be believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/delivery/progress.h"

#define RECORD_COUNT 3000
#define IN_FLIGHT_MAX 40
#define LIFE_COUNT 200

static const struct progress_place place = {"cluster", "topic", 3};

/* A partition with gaps, and what was committed about it. */
struct world {
    bool is_record[RECORD_COUNT];
    bool is_done[RECORD_COUNT];
    bool is_passed_over[RECORD_COUNT]; /* by everyone who reads it */
    int64_t committed;
    char metadata[PROGRESS_METADATA_SIZE_MAX + 1];
    struct arena arena;
};

struct flight {
    uint64_t sequence;
    int64_t offset;
};

static uint64_t random_state;

/* A number below the bound, from the seed (splitmix64). */
static int draw(int bound)
{
    random_state += 0x9e3779b97f4a7c15;
    uint64_t x = random_state;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (int)((x ^ x >> 31) % (uint64_t)bound);
}

static void assert_ok(struct err err)
{
    if (err_failed(err))
        fail_msg("%s", err_text(err));
}

static void commit(struct world *world, const struct progress *progress)
{
    const char *metadata;
    bool fits;
    arena_reset(&world->arena);
    assert_ok(progress_encode(progress, &place, &world->arena, &metadata, &fits));
    assert_true(fits);
    world->committed = progress_base(progress);
    size_t size = metadata == NULL ? 0 : strlen(metadata);
    assert_true(size <= PROGRESS_METADATA_SIZE_MAX);
    if (size > 0)
        memcpy(world->metadata, metadata, size);
    world->metadata[size] = '\0';
}

/* One owner: receives, finishes in any order, commits, and is gone at any moment. */
static void live(struct world *world)
{
    struct progress progress;
    struct flight flights[IN_FLIGHT_MAX];
    size_t count = 0;
    bool is_believed;
    progress_init(&progress, world->committed);
    assert_ok(progress_load(&progress, &place, world->metadata, &is_believed));
    assert_true(is_believed);
    int64_t next = world->committed;
    for (int step = draw(300); step > 0; step--) {
        if (count < IN_FLIGHT_MAX && draw(2) == 0 && next < RECORD_COUNT) {
            int64_t offset = next++;
            bool is_done;
            if (!world->is_record[offset]) {
                if (draw(4) == 0)
                    progress_reach(&progress, next);
                continue;
            }
            assert_ok(progress_add(&progress, offset, &flights[count].sequence, &is_done));
            if (world->is_passed_over[offset] && !is_done)
                progress_pass_over(&progress, flights[count].sequence);
            if (world->is_passed_over[offset])
                continue;
            assert_true(is_done == world->is_done[offset]);
            flights[count].offset = offset;
            count += !is_done;
        } else if (count > 0) {
            size_t at = (size_t)draw((int)count);
            progress_seal(&progress, flights[at].sequence);
            if (draw(4) == 0) {
                progress_unseal(&progress, flights[at].sequence);
                continue;
            }
            commit(world, &progress);
            progress_finish(&progress, flights[at].sequence);
            world->is_done[flights[at].offset] = true;
            flights[at] = flights[--count];
        }
    }
    commit(world, &progress);
    progress_deinit(&progress);
}

static void nothing_done_is_done_again_and_nothing_is_left_out(void **state)
{
    (void)state;
    static struct world world;
    for (uint64_t seed = 0; seed < LIFE_COUNT; seed++) {
        random_state = seed;
        world = (struct world){0};
        arena_init(&world.arena, 1 << 20);
        for (size_t i = 0; i < RECORD_COUNT; i++) {
            world.is_record[i] = draw(10) != 0;
            world.is_passed_over[i] = draw(3) == 0;
        }
        for (int i = 0; i < 1000 && world.committed < RECORD_COUNT; i++)
            live(&world);
        for (int64_t i = 0; i < world.committed; i++)
            assert_true(world.is_done[i] == (world.is_record[i] && !world.is_passed_over[i]));
        assert_true(world.committed >= RECORD_COUNT - 1);
        arena_deinit(&world.arena);
    }
}

/* Every second of so many records sealed; whether the metadata fits. */
static bool try_every_second(struct progress *progress, struct arena *arena, int64_t record_count)
{
    const char *metadata;
    bool fits;
    for (int64_t i = 0; i < record_count; i++) {
        uint64_t sequence;
        bool is_done;
        assert_ok(progress_add(progress, progress->position, &sequence, &is_done));
        if (i % 2 == 1)
            progress_seal(progress, sequence);
    }
    assert_ok(progress_encode(progress, &place, arena, &metadata, &fits));
    assert_true(!fits || strlen(metadata) <= PROGRESS_METADATA_SIZE_MAX);
    return fits;
}

static void too_many_runs_do_not_fit(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct progress progress;
    progress_init(&progress, 0);
    assert_true(try_every_second(&progress, &arena, 3000));
    assert_false(try_every_second(&progress, &arena, 200));
    progress_deinit(&progress);
    arena_deinit(&arena);
}

static void passed_over_records_need_no_room(void **state)
{
    (void)state;
    struct arena arena;
    struct progress progress;
    const char *metadata;
    bool fits;
    arena_init(&arena, 1 << 20);
    progress_init(&progress, 0);
    for (int64_t i = 0; i < 20000; i++) {
        uint64_t sequence;
        bool is_done;
        assert_ok(progress_add(&progress, i, &sequence, &is_done));
        if (i % 2 == 1)
            progress_pass_over(&progress, sequence);
        else if (i == 10000)
            progress_seal(&progress, sequence);
    }
    assert_ok(progress_encode(&progress, &place, &arena, &metadata, &fits));
    assert_true(fits && metadata != NULL);
    assert_true(strlen(metadata) < 20);
    progress_deinit(&progress);
    arena_deinit(&arena);
}

static void marks_have_a_limit(void **state)
{
    (void)state;
    struct progress progress;
    progress_init(&progress, 0);
    uint64_t sequence;
    bool is_done;
    for (int64_t i = 0; i < PROGRESS_MARK_COUNT_MAX; i++)
        assert_ok(progress_add(&progress, i, &sequence, &is_done));
    assert_true(
        err_is(progress_add(&progress, PROGRESS_MARK_COUNT_MAX, &sequence, &is_done), ERR_LIMIT));
    progress_deinit(&progress);
}

static void expect(const struct progress_place *where, int64_t position, const char *metadata,
                   bool expected)
{
    struct progress progress;
    bool is_believed;
    progress_init(&progress, position);
    assert_ok(progress_load(&progress, where, metadata, &is_believed));
    assert_true(is_believed == expected);
    assert_true(expected || progress.loaded_count == 0);
    progress_deinit(&progress);
}

static void metadata_of_another_place_or_offset_is_not_believed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct progress progress;
    progress_init(&progress, 100);
    assert_true(try_every_second(&progress, &arena, 10));
    const char *metadata;
    bool fits;
    assert_ok(progress_encode(&progress, &place, &arena, &metadata, &fits));
    expect(&place, 100, metadata, true);
    expect(&place, 101, metadata, false);
    expect(&(struct progress_place){"clustert", "opic", 3}, 100, metadata, false);
    expect(&(struct progress_place){"copied-to", "topic", 3}, 100, metadata, false);
    expect(&(struct progress_place){"cluster", "topic", 4}, 100, metadata, false);
    expect(&place, 100, "", true);
    expect(&place, 100, NULL, true);
    expect(&place, 100, "h1:", false);
    expect(&place, 100, "somebody's own words", false);
    expect(&place, 100, "h1:not base64!", false);
    char *longer = arena_print(&arena, "%sAA", metadata);
    assert_non_null(longer);
    expect(&place, 100, longer, false);
    char *changed = arena_copy_text(&arena, span_text(metadata));
    assert_non_null(changed);
    changed[strlen(changed) / 2] ^= 1;
    expect(&place, 100, changed, false);
    char *huge = arena_alloc(&arena, 3 * PROGRESS_METADATA_SIZE_MAX);
    assert_non_null(huge);
    memset(huge, 'A', 3 * PROGRESS_METADATA_SIZE_MAX - 1);
    memcpy(huge, "h1:", 3);
    expect(&place, 100, huge, false);
    progress_deinit(&progress);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_done_is_done_again_and_nothing_is_left_out),
        cmocka_unit_test(too_many_runs_do_not_fit),
        cmocka_unit_test(passed_over_records_need_no_room),
        cmocka_unit_test(marks_have_a_limit),
        cmocka_unit_test(metadata_of_another_place_or_offset_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
