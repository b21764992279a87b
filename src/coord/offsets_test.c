/* offsets: what is committed, who may, when it is shown, how long it is kept, and what is left of a
 * group after a restart. */
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

/* Commits one partition's offset for the group "g", to be kept for so long (-1: as usual); client
 * NULL: nobody's. */
static int16_t commit_for(struct coord_fixture *fixture, const struct client *client,
                          const char *topic_name, int32_t partition_index, int64_t offset,
                          int64_t retention_ms)
{
    struct offset_commit_request_partition partition = {.partition_index = partition_index,
                                                        .committed_offset = offset,
                                                        .committed_leader_epoch = -1,
                                                        .committed_metadata = span_text("note")};
    struct offset_commit_request_topic topic = {
        .name = span_text(topic_name), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = span_text("g");
    request.member_id = span_text(client == NULL ? "" : client->id);
    request.generation_id_or_member_epoch = client == NULL ? -1 : client->generation;
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    request.retention_time_ms = retention_ms;
    struct offset_commit_response response = {0};
    struct coord_commit commit;
    arena_reset(&fixture->arena);
    assert_ok(
        coord_commit_offsets(fixture->coord, &request, NULL, &fixture->arena, &response, &commit));
    int16_t code = response.topics[0].partitions[0].error_code;
    assert_true(code != KAFKA_NONE || commit.partition != NULL);
    topic_unref(commit.topic);
    return code;
}

static int16_t commit_to(struct coord_fixture *fixture, const struct client *client,
                         const char *topic_name, int32_t partition_index, int64_t offset)
{
    return commit_for(fixture, client, topic_name, partition_index, offset, -1);
}

static int16_t commit(struct coord_fixture *fixture, const struct client *client, int64_t offset)
{
    return commit_to(fixture, client, "events", 0, offset);
}

/* The offset shown for events-0; *code its error. */
static int64_t fetch(struct coord_fixture *fixture, bool is_stable_required, int16_t *code)
{
    int32_t index = 0;
    struct offset_fetch_request_group_topic topic = {
        .name = span_text("events"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct offset_fetch_request_group request = {
        .group_id = span_text("g"), .member_epoch = -1, .topics = &topic, .topics_count = 1};
    struct offset_fetch_response_group response = {0};
    arena_reset(&fixture->arena);
    assert_ok(coord_fetch_offsets(fixture->coord, &request, is_stable_required, &fixture->arena,
                                  &response));
    if (response.error_code != KAFKA_NONE) {
        *code = response.error_code;
        return -2;
    }
    const struct offset_fetch_response_group_partition *found = &response.topics[0].partitions[0];
    *code = found->error_code;
    if (found->committed_offset >= 0)
        assert_true(span_equal_text(found->metadata, "note"));
    return found->committed_offset;
}

static int64_t fetch_any(struct coord_fixture *fixture)
{
    int16_t code;
    int64_t offset = fetch(fixture, false, &code);
    assert_int_equal(code, KAFKA_NONE);
    return offset;
}

static int32_t fetch_all_count(struct coord_fixture *fixture)
{
    struct offset_fetch_request_group request = {
        .group_id = span_text("g"), .member_epoch = -1, .topics_count = -1};
    struct offset_fetch_response_group response = {0};
    arena_reset(&fixture->arena);
    assert_ok(coord_fetch_offsets(fixture->coord, &request, false, &fixture->arena, &response));
    int32_t count = 0;
    for (int32_t i = 0; i < response.topics_count; i++)
        count += response.topics[i].partitions_count;
    return count;
}

static void commit_is_shown_once_it_is_durable(void **state)
{
    struct coord_fixture *fixture = *state;
    int16_t code;
    assert_int_equal(fetch_any(fixture), -1);
    assert_int_equal(commit(fixture, NULL, 7), KAFKA_NONE);
    assert_int_equal(fetch(fixture, true, &code), -1);
    assert_int_equal(code, KAFKA_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(fetch_any(fixture), -1);
    coord_fixture_flush(fixture);
    assert_int_equal(fetch(fixture, true, &code), 7);
    assert_int_equal(code, KAFKA_NONE);
    assert_int_equal(commit(fixture, NULL, 9), KAFKA_NONE);
    assert_int_equal(fetch_any(fixture), 7);
    coord_fixture_flush(fixture);
    assert_int_equal(fetch_any(fixture), 9);
}

static void only_members_of_this_generation_commit(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){0});
    struct client stranger = {.id = "stranger", .generation = 1};
    struct client late = *a;
    late.generation = 0;
    assert_int_equal(commit(fixture, a, 1), KAFKA_NONE);
    assert_int_equal(commit(fixture, NULL, 1), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(commit(fixture, &stranger, 1), KAFKA_UNKNOWN_MEMBER_ID);
    assert_int_equal(commit(fixture, &late, 1), KAFKA_ILLEGAL_GENERATION);
}

static void commit_between_generations_is_refused_and_while_preparing_taken(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){0});
    client_join(fixture, b, (struct join_words){0});
    assert_int_equal(commit(fixture, a, 1), KAFKA_NONE);
    client_join(fixture, a, (struct join_words){0});
    assert_string_equal(group_tell(fixture, NULL), "CompletingRebalance");
    assert_int_equal(commit(fixture, a, 1), KAFKA_REBALANCE_IN_PROGRESS);
}

static void generation_of_an_unknown_group_is_illegal(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client stranger = {.id = "stranger", .generation = 1};
    assert_int_equal(commit(fixture, &stranger, 1), KAFKA_ILLEGAL_GENERATION);
}

static void commit_for_what_does_not_exist_is_refused(void **state)
{
    struct coord_fixture *fixture = *state;
    assert_int_equal(commit_to(fixture, NULL, "none", 0, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(commit_to(fixture, NULL, "events", 4, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(commit_to(fixture, NULL, "events", -1, 1), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
    broker_fixture_set(&fixture->broker, "offset.metadata.max.bytes", "3");
    assert_int_equal(commit(fixture, NULL, 1), KAFKA_OFFSET_METADATA_TOO_LARGE);
}

/* The topic goes when its partitions were looked up already, and its offsets forgotten. */
static void commit_that_a_deletion_overtakes_is_refused_and_leaves_nothing(void **state)
{
    struct coord_fixture *fixture = *state;
    struct topic *topic = broker_find_topic(fixture->broker.broker, span_text("events"));
    atomic_store(&topic->is_deleted, true);
    assert_int_equal(commit(fixture, NULL, 7), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    atomic_store(&topic->is_deleted, false);
    topic_unref(topic);
    coord_fixture_flush(fixture);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
}

static void commit_for_a_deleted_topic_is_refused_and_others_are_taken(void **state)
{
    struct coord_fixture *fixture = *state;
    int64_t done;
    topic_unref(broker_fixture_create(&fixture->broker, "doomed", 1, &done));
    coord_fixture_flush(fixture);
    assert_int_equal(commit_to(fixture, NULL, "doomed", 0, 7), KAFKA_NONE);
    struct topic *topic = broker_find_topic(fixture->broker.broker, span_text("doomed"));
    assert_ok(admin_delete_topic(fixture->broker.broker, topic, NULL, NULL));
    assert_int_equal(commit_to(fixture, NULL, "doomed", 0, 8), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(commit(fixture, NULL, 9), KAFKA_NONE);
    coord_forget_topic(fixture->coord, span_text("doomed"));
    assert_int_equal(fetch_all_count(fixture), 1);
    topic_unref(topic);
}

static void failed_append_of_a_commit_changes_nothing(void **state)
{
    struct coord_fixture *fixture = *state;
    assert_int_equal(commit(fixture, NULL, 7), KAFKA_NONE);
    coord_fixture_flush(fixture);
    mem_disk_fail(fixture->broker.base.disk, MEM_DISK_WRITE, 1);
    assert_int_equal(commit(fixture, NULL, 8), KAFKA_COORDINATOR_NOT_AVAILABLE);
    int16_t code;
    assert_int_equal(fetch(fixture, true, &code), 7);
    assert_int_equal(code, KAFKA_NONE);
}

static void partition_named_twice_in_a_commit_takes_the_last_offset(void **state)
{
    struct coord_fixture *fixture = *state;
    struct offset_commit_request_partition twice[] = {
        {.committed_offset = 1, .committed_metadata = span_text("first")},
        {.committed_offset = 2, .committed_metadata = span_text("note")}};
    struct offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = twice, .partitions_count = 2};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = span_text("g");
    request.generation_id_or_member_epoch = -1;
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    struct offset_commit_response response = {0};
    struct coord_commit done;
    assert_ok(
        coord_commit_offsets(fixture->coord, &request, NULL, &fixture->arena, &response, &done));
    topic_unref(done.topic);
    coord_fixture_flush(fixture);
    assert_int_equal(fetch_any(fixture), 2);
}

/* Lets the expiry look: it does so every offsets.retention.check.interval.ms (10 minutes). */
static void pass_minutes(struct coord_fixture *fixture, int64_t minutes)
{
    for (int64_t passed = 0; passed < minutes; passed += 10)
        coord_fixture_pass(fixture, 10 * 60 * 1000);
    coord_fixture_flush(fixture);
}

static void offsets_expire_after_their_time_and_stay_gone(void **state)
{
    struct coord_fixture *fixture = *state;
    broker_fixture_set(&fixture->broker, "offsets.retention.minutes", "60");
    assert_int_equal(commit(fixture, NULL, 7), KAFKA_NONE);
    coord_fixture_flush(fixture);
    pass_minutes(fixture, 50);
    assert_string_equal(group_tell(fixture, NULL), "Empty");
    pass_minutes(fixture, 20);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
    assert_int_equal(fetch_any(fixture), -1);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
}

/* The offset of partition 0, which the client wants kept for so long, after so many minutes. */
static int64_t kept_after(struct coord_fixture *fixture, int64_t retention_ms, int64_t minutes)
{
    assert_int_equal(commit_for(fixture, NULL, "events", 0, 7, retention_ms), KAFKA_NONE);
    coord_fixture_flush(fixture);
    pass_minutes(fixture, minutes);
    return fetch_any(fixture);
}

static void retention_time_that_comes_with_a_commit_is_obeyed(void **state)
{
    struct coord_fixture *fixture = *state;
    broker_fixture_set(&fixture->broker, "offsets.retention.minutes", "60");
    int64_t minute_ms = 60 * 1000;
    assert_int_equal(kept_after(fixture, 30 * minute_ms, 20), 7);
    assert_int_equal(kept_after(fixture, 30 * minute_ms, 30), -1);
    assert_int_equal(kept_after(fixture, 120 * minute_ms, 110), 7);
    assert_int_equal(kept_after(fixture, 120 * minute_ms, 120), -1);
    assert_int_equal(kept_after(fixture, INT64_MAX, 120), 7);
    assert_int_equal(kept_after(fixture, -1, 60), -1); /* the last commit's words count */
    assert_int_equal(kept_after(fixture, INT64_MIN, 10), -1);
    assert_int_equal(kept_after(fixture, 0, 10), -1);
}

static void retention_time_of_a_commit_survives_a_crash(void **state)
{
    struct coord_fixture *fixture = *state;
    broker_fixture_set(&fixture->broker, "offsets.retention.minutes", "60");
    int64_t minute_ms = 60 * 1000;
    assert_int_equal(kept_after(fixture, 90 * minute_ms, 0), 7);
    assert_int_equal(commit_to(fixture, NULL, "events", 1, 8), KAFKA_NONE);
    coord_fixture_flush(fixture);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    pass_minutes(fixture, 80);
    assert_int_equal(fetch_any(fixture), 7);
    assert_int_equal(fetch_all_count(fixture), 1);
    pass_minutes(fixture, 10);
    assert_int_equal(fetch_any(fixture), -1);
}

static void retention_time_does_not_end_what_a_member_still_reads(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){.session_ms = 1800000});
    assert_int_equal(commit_for(fixture, a, "events", 0, 7, 1000), KAFKA_NONE);
    coord_fixture_flush(fixture);
    pass_minutes(fixture, 20);
    assert_int_equal(fetch_any(fixture), 7);
    pass_minutes(fixture, 20); /* the member is out after 30 */
    assert_int_equal(fetch_any(fixture), -1);
}

static void offsets_of_a_group_at_work_do_not_expire(void **state)
{
    struct coord_fixture *fixture = *state;
    broker_fixture_set(&fixture->broker, "offsets.retention.minutes", "60");
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){.session_ms = 1800000});
    assert_int_equal(commit(fixture, a, 7), KAFKA_NONE);
    coord_fixture_flush(fixture);
    for (int i = 0; i < 10; i++) {
        pass_minutes(fixture, 10);
        assert_int_equal(client_beat(fixture, a, NULL), KAFKA_NONE);
    }
    assert_int_equal(fetch_any(fixture), 7);
    pass_minutes(fixture, 80); /* silent for 30, then kept for 60 */
    assert_int_equal(fetch_any(fixture), 7);
    pass_minutes(fixture, 20);
    assert_int_equal(fetch_any(fixture), -1);
}

static int16_t delete_group(struct coord_fixture *fixture)
{
    struct coord_commit done;
    int16_t code = coord_delete_group(fixture->coord, span_text("g"), &done);
    topic_unref(done.topic);
    return code;
}

static void empty_group_is_deleted_with_its_offsets_for_good(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    assert_int_equal(delete_group(fixture), KAFKA_GROUP_ID_NOT_FOUND);
    clients_settle(fixture, all, 1, (struct join_words){0});
    assert_int_equal(commit(fixture, a, 7), KAFKA_NONE);
    assert_int_equal(delete_group(fixture), KAFKA_NON_EMPTY_GROUP);
    coord_fixture_pass(fixture, 10000);
    assert_int_equal(delete_group(fixture), KAFKA_NONE);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
    coord_fixture_flush(fixture);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    assert_string_equal(group_tell(fixture, NULL), "Dead");
    assert_int_equal(fetch_any(fixture), -1);
}

static int16_t delete_offset(struct coord_fixture *fixture, int16_t *code)
{
    struct offset_delete_request_partition partition = {.partition_index = 0};
    struct offset_delete_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_delete_request request = {
        .group_id = span_text("g"), .topics = &topic, .topics_count = 1};
    struct offset_delete_response response = {0};
    struct coord_commit done;
    *code = KAFKA_NONE;
    assert_ok(coord_delete_offsets(fixture->coord, &request, &fixture->arena, &response, &done));
    topic_unref(done.topic);
    if (response.error_code == KAFKA_NONE)
        *code = response.topics[0].partitions[0].error_code;
    return response.error_code;
}

static void offsets_in_use_cannot_be_deleted_and_others_can(void **state)
{
    struct coord_fixture *fixture = *state;
    int16_t code;
    assert_int_equal(delete_offset(fixture, &code), KAFKA_GROUP_ID_NOT_FOUND);
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){.metadata = "not a subscription"});
    assert_int_equal(commit(fixture, a, 7), KAFKA_NONE);
    coord_fixture_flush(fixture);
    assert_int_equal(delete_offset(fixture, &code), KAFKA_NONE);
    assert_int_equal(code, KAFKA_GROUP_SUBSCRIBED_TO_TOPIC);
    assert_int_equal(fetch_any(fixture), 7);
    coord_fixture_pass(fixture, 10000);
    assert_int_equal(delete_offset(fixture, &code), KAFKA_NONE);
    assert_int_equal(code, KAFKA_NONE);
    assert_int_equal(fetch_any(fixture), -1);
}

static void offsets_of_members_that_are_no_consumers_cannot_be_deleted(void **state)
{
    struct coord_fixture *fixture = *state;
    int16_t code;
    struct client *a = client_make(fixture);
    struct client *all[] = {a};
    clients_settle(fixture, all, 1, (struct join_words){.type = "connect"});
    assert_int_equal(commit(fixture, a, 7), KAFKA_NONE);
    assert_int_equal(delete_offset(fixture, &code), KAFKA_NON_EMPTY_GROUP);
}

static void offsets_go_with_their_topic_and_a_new_one_starts_without(void **state)
{
    struct coord_fixture *fixture = *state;
    assert_int_equal(commit(fixture, NULL, 7), KAFKA_NONE);
    coord_fixture_flush(fixture);
    struct broker *broker = fixture->broker.broker;
    struct topic *topic = broker_find_topic(broker, span_text("events"));
    int64_t done;
    assert_ok(admin_delete_topic(broker, topic, NULL, NULL));
    topic_unref(topic);
    coord_fixture_flush(fixture);
    topic_unref(broker_fixture_create(&fixture->broker, "events", 4, &done));
    coord_fixture_flush(fixture);
    coord_fixture_crash(fixture); /* coord_forget_topic did not run before the crash */
    coord_fixture_load(fixture);
    assert_int_equal(fetch_any(fixture), -1);
    assert_int_equal(commit(fixture, NULL, 9), KAFKA_NONE);
    coord_fixture_flush(fixture);
    coord_forget_topic(fixture->coord, span_text("events"));
    assert_int_equal(fetch_any(fixture), -1);
    assert_int_equal(fetch_all_count(fixture), 0);
}

static void group_is_loading_until_its_partition_is_read(void **state)
{
    struct coord_fixture *fixture = *state;
    assert_int_equal(commit(fixture, NULL, 7), KAFKA_NONE);
    coord_fixture_flush(fixture);
    coord_fixture_crash(fixture);
    int16_t code;
    (void)fetch(fixture, false, &code);
    assert_int_equal(code, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    struct client *a = client_make(fixture);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    client_join(fixture, a, (struct join_words){0});
    assert_int_equal(a->join_code, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    coord_fixture_load(fixture);
    assert_int_equal(fetch_any(fixture), 7);
}

static void members_generation_and_offsets_survive_a_crash(void **state)
{
    struct coord_fixture *fixture = *state;
    struct client *a = client_make(fixture);
    struct client *b = client_make(fixture);
    struct client *both[] = {a, b};
    clients_settle(fixture, both, 2, (struct join_words){0});
    assert_int_equal(commit(fixture, b, 7), KAFKA_NONE);
    assert_int_equal(commit_to(fixture, b, "events", 3, 8), KAFKA_NONE);
    coord_fixture_flush(fixture);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    int32_t count;
    assert_string_equal(group_tell(fixture, &count), "Stable");
    assert_int_equal(count, 2);
    assert_int_equal(client_beat(fixture, a, NULL), KAFKA_NONE);
    assert_int_equal(client_beat(fixture, b, NULL), KAFKA_NONE);
    client_sync(fixture, b, NULL, NULL, 0);
    assert_string_equal(b->assignment, b->id);
    assert_int_equal(commit(fixture, b, 9), KAFKA_NONE);
    coord_fixture_flush(fixture);
    assert_int_equal(fetch_any(fixture), 9);
    assert_int_equal(fetch_all_count(fixture), 2);
    coord_fixture_pass(fixture, 10000); /* their session timeouts run from the restart */
    assert_string_equal(group_tell(fixture, NULL), "Empty");
}

static void commit_that_was_not_durable_is_gone_after_a_crash(void **state)
{
    struct coord_fixture *fixture = *state;
    assert_int_equal(commit(fixture, NULL, 7), KAFKA_NONE);
    coord_fixture_flush(fixture);
    assert_int_equal(commit(fixture, NULL, 8), KAFKA_NONE);
    coord_fixture_crash(fixture);
    coord_fixture_load(fixture);
    assert_int_equal(fetch_any(fixture), 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commit_is_shown_once_it_is_durable),
        TEST(only_members_of_this_generation_commit),
        TEST(commit_between_generations_is_refused_and_while_preparing_taken),
        TEST(generation_of_an_unknown_group_is_illegal),
        TEST(commit_for_what_does_not_exist_is_refused),
        TEST(commit_that_a_deletion_overtakes_is_refused_and_leaves_nothing),
        TEST(commit_for_a_deleted_topic_is_refused_and_others_are_taken),
        TEST(failed_append_of_a_commit_changes_nothing),
        TEST(partition_named_twice_in_a_commit_takes_the_last_offset),
        TEST(offsets_expire_after_their_time_and_stay_gone),
        TEST(retention_time_that_comes_with_a_commit_is_obeyed),
        TEST(retention_time_of_a_commit_survives_a_crash),
        TEST(retention_time_does_not_end_what_a_member_still_reads),
        TEST(offsets_of_a_group_at_work_do_not_expire),
        TEST(empty_group_is_deleted_with_its_offsets_for_good),
        TEST(offsets_in_use_cannot_be_deleted_and_others_can),
        TEST(offsets_of_members_that_are_no_consumers_cannot_be_deleted),
        TEST(offsets_go_with_their_topic_and_a_new_one_starts_without),
        TEST(group_is_loading_until_its_partition_is_read),
        TEST(members_generation_and_offsets_survive_a_crash),
        TEST(commit_that_was_not_durable_is_gone_after_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
