/* coord: how members come, work, fall silent and go. */
#include "support/coord_fixture.h"

static int setup(void **state)
{
    static struct coord_fixture fixture;
    coord_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    coord_fixture_deinit(*state);
    return 0;
}

static void first_rebalance_waits_for_the_initial_delay(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){0});
    coord_fixture_pass(fixture, 99);
    assert_int_equal(a->join_count, 0);
    coord_fixture_pass(fixture, 1);
    assert_int_equal(a->join_count, 1);
    assert_int_equal(a->join_code, KAFKA_NONE);
    assert_int_equal(a->generation, 1);
    assert_int_equal(a->members_count, 1);
    assert_string_equal(a->leader, a->id);
    assert_string_equal(a->protocol, "range");
    assert_string_equal(group_tell(fixture, NULL), "CompletingRebalance");
}

static void each_newcomer_puts_the_first_rebalance_off_once_more(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    client_join(fixture, a, (struct join_words){0});
    coord_fixture_pass(fixture, 50);
    client_join(fixture, b, (struct join_words){0});
    coord_fixture_pass(fixture, 50);
    assert_int_equal(a->join_count + b->join_count, 0);
    coord_fixture_pass(fixture, 99);
    assert_int_equal(a->join_count + b->join_count, 0);
    coord_fixture_pass(fixture, 1);
    assert_int_equal(a->join_count, 1);
    assert_int_equal(b->join_count, 1);
    assert_int_equal(a->members_count, 2);
    assert_int_equal(b->members_count, 0);
    assert_string_equal(b->leader, a->id);
}

static void newcomers_cannot_put_it_off_beyond_the_rebalance_timeout(void **state)
{
    struct coord_fixture *fixture = *state;
    static struct client many[701];
    memset(many, 0, sizeof many);
    client_join(fixture, &many[0], (struct join_words){.session_ms = 300000});
    int passed = 0;
    for (; passed < 700 && many[0].join_count == 0; passed++) {
        client_join(fixture, &many[passed + 1], (struct join_words){.session_ms = 300000});
        coord_fixture_pass(fixture, 100);
    }
    assert_int_equal(passed, 600); /* 60,000 ms in steps of 100 */
}

static void syncs_are_answered_once_the_assignment_is_durable(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *both[] = {a, b};
    client_join(fixture, a, (struct join_words){0});
    client_join(fixture, b, (struct join_words){0});
    coord_fixture_pass(fixture, 100);
    coord_fixture_pass(fixture, 100);
    client_sync(fixture, b, NULL, NULL, 0);
    assert_int_equal(b->sync_count, 0);
    client_sync(fixture, a, NULL, both, 2);
    assert_int_equal(a->sync_count + b->sync_count, 0);
    coord_fixture_flush(fixture);
    assert_int_equal(a->sync_count, 1);
    assert_int_equal(b->sync_count, 1);
    assert_string_equal(b->assignment, b->id);
    assert_string_equal(group_tell(fixture, NULL), "Stable");
    client_sync(fixture, b, NULL, NULL, 0);
    assert_int_equal(b->sync_count, 2);
    assert_string_equal(b->assignment, b->id);
}

static void failed_record_of_the_assignment_sends_members_home_and_rebalances(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    client_join(fixture, a, (struct join_words){0});
    coord_fixture_pass(fixture, 100);
    mem_disk_fail(fixture->broker.base.disk, MEM_DISK_WRITE, 1);
    client_sync(fixture, a, NULL, all, 1);
    assert_int_equal(a->sync_count, 1);
    assert_int_equal(a->sync_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    assert_string_equal(group_tell(fixture, NULL), "PreparingRebalance");
}

static void heartbeats_say_what_the_group_is_doing(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *all[] = {a};
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    client_join(fixture, a, (struct join_words){0});
    coord_fixture_pass(fixture, 100);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_NONE);
    client_sync(fixture, a, NULL, all, 1);
    coord_fixture_flush(fixture);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_NONE);
    a->generation--;
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_ILLEGAL_GENERATION);
    a->generation++;
    client_join(fixture, b, (struct join_words){0});
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_REBALANCE_IN_PROGRESS);
    struct heartbeat_request nameless;
    heartbeat_request_init(&nameless);
    nameless.group_id = span_text("");
    assert_int_equal(coord_heartbeat(fixture->coord, &nameless), KAFKA_INVALID_GROUP_ID);
}

static void member_that_joins_begins_a_rebalance_that_ends_when_all_are_back(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){0});
    client_join(fixture, b, (struct join_words){0});
    assert_int_equal(b->join_count, 0);
    client_join(fixture, a, (struct join_words){0});
    assert_int_equal(a->join_count, 2);
    assert_int_equal(b->join_count, 1);
    assert_int_equal(a->generation, 2);
    assert_int_equal(b->generation, 2);
    assert_string_equal(b->leader, a->id);
}

static void who_does_not_come_back_in_time_is_out(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){.session_ms = 300000});
    client_join(fixture, b, (struct join_words){0});
    coord_fixture_pass(fixture, 59999);
    assert_int_equal(b->join_count, 0);
    coord_fixture_pass(fixture, 1);
    assert_int_equal(b->join_count, 1);
    assert_string_equal(b->leader, b->id);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_UNKNOWN_MEMBER_ID);
}

static void silent_member_is_out_after_its_session_timeout(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *both[] = {a, b};
    clients_settle(fixture, both, 2, (struct join_words){0});
    coord_fixture_pass(fixture, 6000);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_NONE);
    coord_fixture_pass(fixture, 4000);
    assert_int_equal(client_beat(fixture, b, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_REBALANCE_IN_PROGRESS);
    coord_fixture_pass(fixture, 10000);
    assert_string_equal(group_tell(fixture, NULL), "Empty");
}

static void member_that_joined_and_never_synced_is_out(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){.session_ms = 300000});
    coord_fixture_pass(fixture, 100);
    coord_fixture_pass(fixture, 59999);
    assert_string_equal(group_tell(fixture, NULL), "CompletingRebalance");
    coord_fixture_pass(fixture, 1);
    assert_string_equal(group_tell(fixture, NULL), "Empty");
}

static void member_that_leaves_makes_the_others_rebalance(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *both[] = {a, b};
    clients_settle(fixture, both, 2, (struct join_words){0});
    struct leave_group_request_member leaving[] = {{.member_id = span_text(a->id)},
                                                   {.member_id = span_text("nobody")}};
    leaving[0].group_instance_id = SPAN_NULL;
    leaving[1].group_instance_id = SPAN_NULL;
    struct leave_group_request request = {
        .group_id = span_text("g"), .members = leaving, .members_count = 2};
    struct leave_group_response response = {0};
    assert_ok(coord_leave_group(fixture->coord, &request, 5, &fixture->arena, &response));
    assert_int_equal(response.error_code, KAFKA_NONE);
    assert_int_equal(response.members[0].error_code, KAFKA_NONE);
    assert_int_equal(response.members[1].error_code, KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(client_beat(fixture, b, NULL), KAFKA_REBALANCE_IN_PROGRESS);
    client_join(fixture, b, (struct join_words){0});
    assert_int_equal(b->generation, 2);
    assert_string_equal(b->leader, b->id);
}

static void new_member_must_come_back_with_the_id_it_is_given(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){.version = 4});
    assert_int_equal(a->join_count, 1);
    assert_int_equal(a->join_code, KAFKA_MEMBER_ID_REQUIRED);
    assert_false(a->has_protocol);
    assert_memory_equal(a->id, "c-", 2);
    assert_int_equal(strlen(a->id), 2 + 36);
    client_join(fixture, a, (struct join_words){.version = 4});
    coord_fixture_pass(fixture, 100);
    assert_int_equal(a->join_count, 2);
    assert_int_equal(a->join_code, KAFKA_NONE);
    assert_true(a->has_protocol);
}

static void id_given_out_lapses_with_its_session_timeout(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){.version = 4});
    coord_fixture_pass(fixture, 10000);
    client_join(fixture, a, (struct join_words){.version = 4});
    assert_int_equal(a->join_count, 2);
    assert_int_equal(a->join_code, KAFKA_UNKNOWN_MEMBER_ID);
}

static void static_member_that_comes_back_keeps_its_place_without_a_rebalance(void **state)
{
    struct coord_fixture *fixture = *state;
    const struct join_words words = {.version = 9, .instance = "i"};
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, words);
    struct client *again = client_make(fixture);
    client_join(fixture, again, words);
    coord_fixture_flush(fixture);
    assert_int_equal(again->join_count, 1);
    assert_int_equal(again->join_code, KAFKA_NONE);
    assert_int_equal(again->generation, 1);
    assert_true(again->is_skipping);
    assert_string_equal(again->leader, again->id);
    assert_int_equal(again->members_count, 1);
    assert_string_not_equal(again->id, a->id);
    client_sync(fixture, again, "i", NULL, 0);
    assert_int_equal(again->sync_count, 1);
    assert_string_equal(again->assignment, a->id);
    assert_int_equal(client_beat(fixture, a, "i"), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_UNKNOWN_MEMBER_ID);
}

/* The leader is static: it keeps its place, and may not come back for long. */
static void another_leads_where_the_static_leader_does_not_come_back(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){.version = 9, .instance = "i"});
    struct client *b = client_make(fixture);
    client_join(fixture, b, (struct join_words){.instance = NULL});
    for (int i = 0; i < 14; i++) { /* the rebalance timeout; a's heartbeats keep its session */
        (void)client_beat(fixture, a, "i");
        coord_fixture_pass(fixture, 5000);
    }
    assert_int_equal(b->join_count, 1);
    assert_int_equal(b->join_code, KAFKA_NONE);
    assert_string_equal(b->leader, b->id);
    assert_int_equal(b->members_count, 2);
}

static void group_that_is_not_there_is_dead_or_not_found(void **state)
{
    struct coord_fixture *fixture = *state;
    struct describe_groups_response_group group = {0};
    struct span name = span_text("nobody");
    struct coord *coord = fixture->coord;
    coord_fixture_load(fixture);
    assert_ok(coord_describe_group(coord, name, 5, &fixture->arena, &group));
    assert_int_equal(group.error_code, KAFKA_NONE);
    assert_true(span_equal_text(group.group_state, "Dead"));
    assert_ok(coord_describe_group(coord, name, 6, &fixture->arena, &group));
    assert_int_equal(group.error_code, KAFKA_GROUP_ID_NOT_FOUND);
    assert_true(span_equal_text(group.error_message, "Group nobody not found."));
}

static void static_leader_of_an_old_version_is_told_that_another_leads(void **state)
{
    struct coord_fixture *fixture = *state;
    const struct join_words words = {.version = 5, .instance = "i"};
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, words);
    struct client *again = client_make(fixture);
    client_join(fixture, again, words);
    coord_fixture_flush(fixture);
    assert_int_equal(again->join_count, 1);
    assert_false(again->is_skipping);
    assert_string_equal(again->leader, a->id);
    assert_int_equal(again->members_count, 0);
}

static void static_member_is_answered_only_when_its_new_id_would_survive_a_crash(void **state)
{
    struct coord_fixture *fixture = *state;
    const struct join_words words = {.version = 9, .instance = "i"};
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, words);
    struct client *again = client_make(fixture);
    client_join(fixture, again, words);
    assert_int_equal(again->join_count, 0);
    coord_fixture_flush(fixture);
    assert_int_equal(again->join_count, 1);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    assert_int_equal(client_beat(fixture, again, "i"), KAFKA_NONE);
}

static void most_wanted_protocol_that_all_know_is_chosen(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *c[3] = {client_make(fixture), client_make(fixture), client_make(fixture)};
    client_join(fixture, c[0], (struct join_words){.protocols = {"range", "sticky"}});
    client_join(fixture, c[1], (struct join_words){.protocols = {"sticky", "range"}});
    client_join(fixture, c[2], (struct join_words){.protocols = {"sticky", "range"}});
    coord_fixture_pass(fixture, 100);
    coord_fixture_pass(fixture, 100);
    assert_string_equal(c[0]->protocol, "sticky");
    assert_string_equal(c[2]->protocol, "sticky");
}

static void member_without_a_common_protocol_is_refused(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    client_join(fixture, a, (struct join_words){0});
    client_join(fixture, b, (struct join_words){.protocols = {"sticky"}});
    assert_int_equal(b->join_code, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    client_join(fixture, b, (struct join_words){.type = "connect"});
    assert_int_equal(b->join_code, KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(b->join_count, 2);
}

static void group_takes_no_more_than_its_size(void **state)
{
    struct coord_fixture *fixture = *state;
    broker_fixture_set(&fixture->broker, "group.max.size", "1");
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){0});
    client_join(fixture, b, (struct join_words){0});
    assert_int_equal(b->join_count, 1);
    assert_int_equal(b->join_code, KAFKA_GROUP_MAX_SIZE_REACHED);
    client_join(fixture, a, (struct join_words){0});
    assert_int_equal(a->join_code, KAFKA_NONE);
    assert_int_equal(a->generation, 2);
}

static void session_timeout_out_of_bounds_is_refused_and_makes_no_group(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){.session_ms = 1});
    assert_int_equal(a->join_code, KAFKA_INVALID_SESSION_TIMEOUT);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
}

static void follower_that_says_the_same_again_gets_the_running_generation(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *both[] = {a, b};
    clients_settle(fixture, both, 2, (struct join_words){0});
    client_join(fixture, b, (struct join_words){0});
    assert_int_equal(b->join_count, 2);
    assert_int_equal(b->generation, 1);
    assert_string_equal(group_tell(fixture, NULL), "Stable");
    client_join(fixture, b, (struct join_words){.metadata = "other"});
    assert_int_equal(b->join_count, 2);
    assert_string_equal(group_tell(fixture, NULL), "PreparingRebalance");
}

static void closing_answers_everyone_who_waits(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){0});
    coord_close(fixture->coord);
    assert_int_equal(a->join_count, 1);
    assert_int_equal(a->join_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    client_join(fixture, a, (struct join_words){0});
    assert_int_equal(a->join_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void earlier_timer_wakes_the_stepper(void **state)
{
    struct coord_fixture *fixture = *state;
    int64_t wait_ms = coord_wait_ms(fixture->coord);
    assert_true(wait_ms > 100);
    fixture->wake_count = 0;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){0});
    assert_int_equal(fixture->wake_count, 1);
    wait_ms = coord_wait_ms(fixture->coord);
    assert_true(wait_ms >= 0 && wait_ms <= 100);
}

static void only_who_makes_a_group_makes_the_topic_of_groups(void **state)
{
    struct coord_fixture *fixture = *state;
    struct broker_fixture *broker = &fixture->broker;
    struct topic *topic = broker_find_topic(broker->broker, span_text(TOPIC_OFFSETS));
    assert_ok(admin_delete_topic(broker->broker, topic, NULL, NULL));
    topic_unref(topic);
    coord_fixture_flush(fixture);
    coord_fixture_crash(fixture);
    struct client *a = client_make(fixture);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
    assert_false(broker_fixture_has(broker, TOPIC_OFFSETS));
    struct client *all[] = {a};
    client_join(fixture, a, (struct join_words){0}); /* the topic is not durable yet */
    assert_int_equal(a->join_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    coord_fixture_flush(fixture);
    clients_settle(fixture, all, 1, (struct join_words){0});
    assert_string_equal(group_tell(fixture, NULL), "Stable");
    assert_true(broker_fixture_has(broker, TOPIC_OFFSETS));
}

/* Groups listed with a filter of states and one of types; NULL: without. */
static int32_t list_count(struct coord_fixture *fixture, const char *state, const char *type)
{
    struct span states = text_or_null(state);
    struct span types = text_or_null(type);
    struct list_groups_request request = {.states_filter = &states,
                                          .states_filter_count = state == NULL ? 0 : 1,
                                          .types_filter = &types,
                                          .types_filter_count = type == NULL ? 0 : 1};
    struct list_groups_response response;
    list_groups_response_init(&response);
    arena_reset(&fixture->arena);
    assert_ok(coord_list_groups(fixture->coord, &request, &fixture->arena, &response));
    assert_int_equal(response.error_code, KAFKA_NONE);
    return response.groups_count;
}

static void groups_are_listed_by_state_and_type_in_any_case(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    assert_int_equal(list_count(fixture, NULL, NULL), 0);
    clients_settle(fixture, all, 1, (struct join_words){0});
    assert_int_equal(list_count(fixture, NULL, NULL), 1);
    assert_int_equal(list_count(fixture, "Stable", NULL), 1);
    assert_int_equal(list_count(fixture, "sTABLE", "CLASSIC"), 1);
    assert_int_equal(list_count(fixture, "Empty", NULL), 0);
    assert_int_equal(list_count(fixture, "no such state", NULL), 0);
    assert_int_equal(list_count(fixture, "Stable", "consumer"), 0);
}

static int16_t leave(struct coord_fixture *fixture, const char *member_id, const char *instance)
{
    struct leave_group_request_member member = {.member_id = span_text(member_id),
                                                .group_instance_id = text_or_null(instance)};
    struct leave_group_request request;
    struct leave_group_response response;
    leave_group_request_init(&request);
    leave_group_response_init(&response);
    request.group_id = span_text("g");
    request.members = &member;
    request.members_count = 1;
    arena_reset(&fixture->arena);
    assert_ok(coord_leave_group(fixture->coord, &request, 5, &fixture->arena, &response));
    CHECK(response.members_count == 1);
    return response.members[0].error_code;
}

static void static_member_is_taken_out_by_its_instance_and_not_by_a_strangers_id(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){.instance = "one"});
    assert_int_equal(leave(fixture, "", "two"), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(fixture, "stranger", "one"), KAFKA_FENCED_INSTANCE_ID);
    assert_int_equal(leave(fixture, "stranger", NULL), KAFKA_UNKNOWN_MEMBER_ID);
    assert_string_equal(group_tell(fixture, NULL), "Stable");
    assert_int_equal(leave(fixture, "", "one"), KAFKA_NONE);
    assert_string_equal(group_tell(fixture, NULL), "Empty");
}

static void id_given_out_and_not_used_can_leave(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    client_join(fixture, a, (struct join_words){.version = 4});
    assert_int_equal(a->join_code, KAFKA_MEMBER_ID_REQUIRED);
    assert_int_equal(leave(fixture, a->id, "one"), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(fixture, a->id, NULL), KAFKA_NONE);
    assert_int_equal(leave(fixture, a->id, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    client_join(fixture, a, (struct join_words){.version = 4});
    assert_int_equal(a->join_code, KAFKA_UNKNOWN_MEMBER_ID);
}

/* A sync with these words, by a member of the generation. */
static int16_t sync_as(struct coord_fixture *fixture, struct client *client, int32_t generation,
                       const char *type, const char *protocol)
{
    struct sync_group_request request;
    sync_group_request_init(&request);
    request.group_id = span_text("g");
    request.generation_id = generation;
    request.member_id = span_text(client->id);
    request.group_instance_id = SPAN_NULL;
    request.protocol_type = text_or_null(type);
    request.protocol_name = text_or_null(protocol);
    client->sync.done = client_synced;
    coord_sync_group(fixture->coord, &request, &client->sync);
    return client->sync_code;
}

static void sync_that_does_not_fit_the_generation_is_refused(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    struct client stranger = {.id = "stranger"};
    assert_int_equal(sync_as(fixture, &stranger, 1, NULL, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    clients_settle(fixture, all, 1, (struct join_words){0});
    int32_t now = a->generation;
    assert_int_equal(sync_as(fixture, &stranger, now, NULL, NULL), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(sync_as(fixture, a, now - 1, NULL, NULL), KAFKA_ILLEGAL_GENERATION);
    assert_int_equal(sync_as(fixture, a, now, "connect", "range"),
                     KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(sync_as(fixture, a, now, "consumer", "sticky"),
                     KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    assert_int_equal(sync_as(fixture, a, now, "consumer", "range"), KAFKA_NONE);
    client_join(fixture, client_make(fixture), (struct join_words){0});
    assert_int_equal(sync_as(fixture, a, now, NULL, NULL), KAFKA_REBALANCE_IN_PROGRESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_rebalance_waits_for_the_initial_delay),
        TEST(each_newcomer_puts_the_first_rebalance_off_once_more),
        TEST(newcomers_cannot_put_it_off_beyond_the_rebalance_timeout),
        TEST(syncs_are_answered_once_the_assignment_is_durable),
        TEST(failed_record_of_the_assignment_sends_members_home_and_rebalances),
        TEST(heartbeats_say_what_the_group_is_doing),
        TEST(member_that_joins_begins_a_rebalance_that_ends_when_all_are_back),
        TEST(who_does_not_come_back_in_time_is_out),
        TEST(silent_member_is_out_after_its_session_timeout),
        TEST(member_that_joined_and_never_synced_is_out),
        TEST(member_that_leaves_makes_the_others_rebalance),
        TEST(new_member_must_come_back_with_the_id_it_is_given),
        TEST(id_given_out_lapses_with_its_session_timeout),
        TEST(static_member_that_comes_back_keeps_its_place_without_a_rebalance),
        TEST(static_leader_of_an_old_version_is_told_that_another_leads),
        TEST(static_member_is_answered_only_when_its_new_id_would_survive_a_crash),
        TEST(most_wanted_protocol_that_all_know_is_chosen),
        TEST(member_without_a_common_protocol_is_refused),
        TEST(group_takes_no_more_than_its_size),
        TEST(session_timeout_out_of_bounds_is_refused_and_makes_no_group),
        TEST(follower_that_says_the_same_again_gets_the_running_generation),
        TEST(closing_answers_everyone_who_waits),
        TEST(earlier_timer_wakes_the_stepper),
        TEST(only_who_makes_a_group_makes_the_topic_of_groups),
        TEST(another_leads_where_the_static_leader_does_not_come_back),
        TEST(group_that_is_not_there_is_dead_or_not_found),
        TEST(groups_are_listed_by_state_and_type_in_any_case),
        TEST(static_member_is_taken_out_by_its_instance_and_not_by_a_strangers_id),
        TEST(id_given_out_and_not_used_can_leave),
        TEST(sync_that_does_not_fit_the_generation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
