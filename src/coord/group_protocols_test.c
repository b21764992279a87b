/* group_protocols: what a group's members have in common, as they come, change and go. */
#include "support/compare_count.h"
#include "support/coord_fixture.h"

#include "base/limits.h"
#include "coord/coord_internal.h"

struct protocols_fixture {
    struct coord_fixture coord;
    struct group *group;
    int32_t next_id;
};

static int setup(void **state)
{
    static struct protocols_fixture fixture;
    fixture.next_id = 0;
    coord_fixture_init(&fixture.coord);
    assert_ok(group_create(fixture.coord.coord, span_text("g"), 0, &fixture.group));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct protocols_fixture *fixture = *state;
    group_destroy(fixture->group);
    coord_fixture_deinit(&fixture->coord);
    return 0;
}

/* A join request with these protocols; valid until the next. */
static struct join_group_request *ask(const char *const *names, int32_t count)
{
    static struct join_group_request_protocol protocols[MEMBER_PROTOCOL_COUNT_MAX + 1];
    static struct join_group_request request;
    join_group_request_init(&request);
    request.protocol_type = span_text("consumer");
    request.protocols = protocols;
    request.protocols_count = count;
    for (int32_t i = 0; i < count; i++)
        protocols[i] = (struct join_group_request_protocol){.name = span_text(names[i]),
                                                            .metadata = span_text("m")};
    return &request;
}

static struct member *add(struct protocols_fixture *fixture, const char *const *names,
                          int32_t count)
{
    char id[16];
    (void)snprintf(id, sizeof id, "m%d", fixture->next_id++);
    const struct coord_client client = {.id = span_text("c"), .host = span_text("/192.0.2.1")};
    const struct member_setup setup = {.id = span_text(id),
                                       .instance_id = SPAN_NULL,
                                       .request = ask(names, count),
                                       .client = &client};
    struct member *member;
    assert_ok(group_add_member(fixture->group, &setup, &member));
    return member;
}

static bool supports(const struct protocols_fixture *fixture, const char *name)
{
    return group_supports(fixture->group, ask(&name, 1));
}

static bool selects(const struct protocols_fixture *fixture, const char *name)
{
    return span_equal_text(group_select_protocol(fixture->group), name);
}

static void only_what_all_members_know_is_supported(void **state)
{
    struct protocols_fixture *fixture = *state;
    assert_true(supports(fixture, "sticky"));
    (void)add(fixture, (const char *[]){"range", "sticky"}, 2);
    struct member *second = add(fixture, (const char *[]){"sticky", "cooperative"}, 2);
    assert_true(supports(fixture, "sticky"));
    assert_false(supports(fixture, "range"));
    assert_false(supports(fixture, "cooperative"));
    assert_true(selects(fixture, "sticky"));
    group_remove_member(fixture->group, second);
    assert_true(supports(fixture, "range"));
    assert_false(supports(fixture, "cooperative"));
    assert_true(selects(fixture, "range"));
}

static void member_that_changes_its_mind_changes_what_is_supported(void **state)
{
    struct protocols_fixture *fixture = *state;
    const struct coord_client client = {.id = span_text("c"), .host = span_text("/192.0.2.1")};
    (void)add(fixture, (const char *[]){"range", "sticky"}, 2);
    struct member *second = add(fixture, (const char *[]){"range"}, 1);
    assert_false(supports(fixture, "sticky"));
    const char *sticky = "sticky";
    assert_ok(member_update(second, ask(&sticky, 1), &client));
    assert_true(supports(fixture, "sticky"));
    assert_false(supports(fixture, "range"));
    assert_true(selects(fixture, "sticky"));
}

static void protocol_that_a_member_names_twice_counts_once(void **state)
{
    struct protocols_fixture *fixture = *state;
    struct member *first = add(fixture, (const char *[]){"range", "range", "sticky"}, 3);
    (void)add(fixture, (const char *[]){"sticky"}, 1);
    assert_false(supports(fixture, "range"));
    assert_true(supports(fixture, "sticky"));
    group_remove_member(fixture->group, first);
    assert_false(supports(fixture, "range"));
}

static void nothing_is_selected_where_nothing_is_shared(void **state)
{
    struct protocols_fixture *fixture = *state;
    assert_true(span_is_null(group_select_protocol(fixture->group)));
    (void)add(fixture, (const char *[]){"range"}, 1);
    (void)add(fixture, (const char *[]){"sticky"}, 1);
    assert_true(span_is_null(group_select_protocol(fixture->group)));
}

static void member_with_too_many_protocols_is_refused(void **state)
{
    struct protocols_fixture *fixture = *state;
    static char texts[MEMBER_PROTOCOL_COUNT_MAX + 1][16];
    const char *names[MEMBER_PROTOCOL_COUNT_MAX + 1];
    for (int i = 0; i <= MEMBER_PROTOCOL_COUNT_MAX; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "p%04d", i);
        names[i] = texts[i];
    }
    assert_true(group_supports(fixture->group, ask(names, MEMBER_PROTOCOL_COUNT_MAX)));
    assert_false(group_supports(fixture->group, ask(names, MEMBER_PROTOCOL_COUNT_MAX + 1)));
    assert_false(group_supports(fixture->group, ask(names, 0)));
}

static void join_is_not_compared_with_every_member(void **state)
{
    struct protocols_fixture *fixture = *state;
    const char *names[] = {"range", "stick"}; /* of one length, so that bytes are compared */
    int64_t costs[2];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++)
            (void)add(fixture, names, 2);
        int64_t before = compare_count;
        assert_true(group_supports(fixture->group, ask(names, 2)));
        costs[round] = compare_count - before;
    }
    assert_int_equal(costs[0], costs[1]);
}

static void vote_takes_so_many_comparisons_as_there_are_members(void **state)
{
    struct protocols_fixture *fixture = *state;
    const char *names[] = {"range", "stick"};
    int64_t costs[2];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100 * (round + 1); i++)
            (void)add(fixture, names, 2);
        int64_t before = compare_count;
        assert_true(selects(fixture, "range"));
        costs[round] = compare_count - before;
    }
    assert_in_range(costs[1], costs[0], 4 * costs[0]); /* of three times the members */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_all_members_know_is_supported),
        TEST(member_that_changes_its_mind_changes_what_is_supported),
        TEST(protocol_that_a_member_names_twice_counts_once),
        TEST(nothing_is_selected_where_nothing_is_shared),
        TEST(member_with_too_many_protocols_is_refused),
        TEST(join_is_not_compared_with_every_member),
        TEST(vote_takes_so_many_comparisons_as_there_are_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
