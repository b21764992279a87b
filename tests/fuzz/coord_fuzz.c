/*
 * coord_fuzz: random bytes as the records of a __consumer_offsets partition that is being loaded.
 *
 * A record is its key's size and its value's, two bytes each, high byte first, then both; a size of
 * 0xffff is null. What was loaded is then asked about, aged until its timers fire, and left to its
 * end.
 */
#include "support/coord_fixture.h"

#include "coord/coord_internal.h"

/* Longer than any session or rebalance time-out of the seeds. */
#define AGE_MS ((int64_t)600 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes a size and so many bytes, or what is left. */
static struct span take(struct span *left, struct span *sizes)
{
    size_t size = load_u16(sizes->data);
    *sizes = span_make(sizes->data + 2, sizes->size - 2);
    if (size == UINT16_MAX)
        return SPAN_NULL;
    size = size < left->size ? size : left->size;
    struct span taken = span_make(left->data, size);
    *left = span_make(left->data + size, left->size - size);
    return taken;
}

/* Loads until the first record that is refused, which ends the loading of its partition. */
static bool load_all(struct coord_loading *loading, struct span left)
{
    while (left.size >= 4) {
        struct span sizes = span_make(left.data, 4);
        left = span_make(left.data + 4, left.size - 4);
        struct record record = {.timestamp = 1700000000000};
        record.key = take(&left, &sizes);
        record.value = take(&left, &sizes);
        if (err_failed(group_log_visit(loading, &record)))
            return false;
    }
    return true;
}

static void visit_offset(void *context, struct span group, struct span topic, int32_t partition,
                         int64_t offset)
{
    (void)partition;
    (void)offset;
    *(size_t *)context += group.size + topic.size;
}

static void ask(struct coord_fixture *fixture)
{
    struct arena arena;
    struct coord_counts counts;
    struct list_groups_request request;
    struct list_groups_response groups;
    size_t seen_size = 0;
    arena_init(&arena, SIZE_MAX);
    list_groups_request_init(&request);
    list_groups_response_init(&groups);
    coord_count(fixture->coord, &counts);
    coord_visit_offsets(fixture->coord, visit_offset, &seen_size);
    assert_ok(coord_list_groups(fixture->coord, &request, &arena, &groups));
    for (int32_t i = 0; i < groups.groups_count; i++) {
        struct describe_groups_response_group told = {0};
        struct span id = groups.groups[i].group_id;
        const struct offset_fetch_request_group asked = {.group_id = id, .topics_count = -1};
        struct offset_fetch_response_group offsets = {0};
        assert_ok(coord_describe_group(fixture->coord, id, 5, &arena, &told));
        assert_ok(coord_fetch_offsets(fixture->coord, &asked, false, &arena, &offsets));
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct coord_fixture fixture;
    coord_fixture_init(&fixture);
    struct coord_loading loading = {.coord = fixture.coord};
    arena_init(&loading.arena, INTERNAL_BATCH_SIZE_MAX);
    bool is_loaded = load_all(&loading, span_make(data, size));
    arena_deinit(&loading.arena);
    for (int round = 0; round < 2 && is_loaded; round++) {
        ask(&fixture);
        coord_fixture_pass(&fixture, AGE_MS);
        coord_fixture_flush(&fixture);
    }
    coord_fixture_deinit(&fixture);
    return 0;
}
