/* offset_commit: committed offsets over the wire: commit, fetch and delete, version by version. */
#include "support/api_fixture.h"

static int setup(void **state)
{
    static struct api_fixture fixture;
    api_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    api_fixture_deinit(*state);
    return 0;
}

static struct uuid id_of(struct api_fixture *fixture, const char *name)
{
    struct topic *topic = broker_find_topic(fixture->coord.broker.broker, span_text(name));
    struct uuid id = topic->id;
    topic_unref(topic);
    return id;
}

/* Encodes and sends a commit of partition 1 of one topic for the group "g"; not yet answered. */
static void send_commit(struct api_fixture *fixture, int16_t version, const char *name,
                        struct uuid id, int64_t offset)
{
    struct offset_commit_request_partition partition;
    offset_commit_request_partition_init(&partition);
    partition.partition_index = 1;
    partition.committed_offset = offset;
    partition.committed_metadata = span_text("note");
    struct offset_commit_request_topic topic = {
        .name = span_text(name), .topic_id = id, .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request asked;
    offset_commit_request_init(&asked);
    asked.group_id = span_text("g");
    asked.generation_id_or_member_epoch = -1;
    asked.topics = &topic;
    asked.topics_count = 1;
    assert_ok(offset_commit_request_encode(api_fixture_begin(fixture), version, &asked));
    api_fixture_send(fixture, API_OFFSET_COMMIT, version);
}

static int16_t commit_answer(struct api_fixture *fixture, int16_t version)
{
    struct offset_commit_response answer;
    assert_ok(offset_commit_response_decode(api_fixture_answer(fixture), version, &fixture->arena,
                                            &answer));
    CHECK(answer.topics_count == 1 && answer.topics[0].partitions_count == 1);
    assert_int_equal(answer.topics[0].partitions[0].partition_index, 1);
    return answer.topics[0].partitions[0].error_code;
}

static int16_t commit(struct api_fixture *fixture, int16_t version, const char *name,
                      struct uuid id, int64_t offset)
{
    send_commit(fixture, version, name, id, offset);
    return commit_answer(fixture, version);
}

/* The offset of events-1 as versions with one group tell it; *code: the whole answer's error. */
static int64_t fetch_single(struct api_fixture *fixture, int16_t version, int16_t *code)
{
    int32_t index = 1;
    struct offset_fetch_request_topic topic = {
        .name = span_text("events"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct offset_fetch_request asked;
    struct offset_fetch_response answer;
    offset_fetch_request_init(&asked);
    asked.group_id = span_text("g");
    asked.topics = &topic;
    asked.topics_count = 1;
    API_ASK(fixture, API_OFFSET_FETCH, offset_fetch, version, &asked, &answer);
    *code = answer.error_code;
    if (answer.error_code != KAFKA_NONE)
        return -2;
    CHECK(answer.topics_count == 1 && answer.topics[0].partitions_count == 1);
    if (answer.topics[0].partitions[0].error_code != KAFKA_NONE)
        *code = answer.topics[0].partitions[0].error_code;
    return answer.topics[0].partitions[0].committed_offset;
}

/* What the newest version tells of one topic by id; *code: its partition's error. */
static int64_t fetch_by_id(struct api_fixture *fixture, struct uuid id, int16_t *code)
{
    int32_t index = 1;
    struct offset_fetch_request_group_topic topic = {
        .topic_id = id, .partition_indexes = &index, .partition_indexes_count = 1};
    struct offset_fetch_request_group group;
    struct offset_fetch_request asked;
    struct offset_fetch_response answer;
    offset_fetch_request_group_init(&group);
    group.group_id = span_text("g");
    group.topics = &topic;
    group.topics_count = 1;
    offset_fetch_request_init(&asked);
    asked.groups = &group;
    asked.groups_count = 1;
    API_ASK(fixture, API_OFFSET_FETCH, offset_fetch, 10, &asked, &answer);
    CHECK(answer.groups_count == 1 && answer.groups[0].topics_count == 1);
    assert_true(uuid_equal(answer.groups[0].topics[0].topic_id, id));
    *code = answer.groups[0].topics[0].partitions[0].error_code;
    return answer.groups[0].topics[0].partitions[0].committed_offset;
}

static void every_version_commits_and_tells_the_offset(void **state)
{
    struct api_fixture *fixture = *state;
    struct uuid id = id_of(fixture, "events");
    int16_t code;
    for (int16_t version = 2; version <= 9; version++)
        assert_int_equal(commit(fixture, version, "events", UUID_ZERO, 100 + version), KAFKA_NONE);
    assert_int_equal(commit(fixture, 10, "", id, 110), KAFKA_NONE);
    for (int16_t version = 1; version <= 7; version++)
        assert_int_equal(fetch_single(fixture, version, &code), 110);
    assert_int_equal(fetch_by_id(fixture, id, &code), 110);
    assert_int_equal(code, KAFKA_NONE);
}

static void commit_is_answered_when_it_is_durable(void **state)
{
    struct api_fixture *fixture = *state;
    send_commit(fixture, 9, "events", UUID_ZERO, 7);
    assert_ok(reactor_step(fixture->reactor, 0));
    assert_false(api_fixture_is_answered(fixture));
    assert_int_equal(commit_answer(fixture, 9), KAFKA_NONE);
    api_fixture_crash(fixture);
    coord_fixture_load(&fixture->coord);
    int16_t code;
    assert_int_equal(fetch_single(fixture, 7, &code), 7);
}

static void topic_that_is_none_is_unknown_by_name_or_id(void **state)
{
    struct api_fixture *fixture = *state;
    int16_t code;
    assert_int_equal(commit(fixture, 9, "none", UUID_ZERO, 7), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(commit(fixture, 10, "", (struct uuid){{9}}, 7), KAFKA_UNKNOWN_TOPIC_ID);
    assert_int_equal(fetch_by_id(fixture, (struct uuid){{9}}, &code), -1);
    assert_int_equal(code, KAFKA_UNKNOWN_TOPIC_ID);
}

static void fetch_while_loading_says_so_where_the_version_can(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(commit(fixture, 9, "events", UUID_ZERO, 7), KAFKA_NONE);
    api_fixture_crash(fixture);
    int16_t code;
    assert_int_equal(fetch_single(fixture, 1, &code), -1); /* in the partition's own code */
    assert_int_equal(code, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(fetch_single(fixture, 2, &code), -2); /* for the whole answer */
    assert_int_equal(code, KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(commit(fixture, 9, "events", UUID_ZERO, 8),
                     KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
}

static void several_groups_are_told_at_once_and_all_of_their_offsets(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(commit(fixture, 9, "events", UUID_ZERO, 7), KAFKA_NONE);
    struct offset_fetch_request_group groups[2];
    for (int i = 0; i < 2; i++) {
        offset_fetch_request_group_init(&groups[i]);
        groups[i].topics_count = -1;
    }
    groups[0].group_id = span_text("none");
    groups[1].group_id = span_text("g");
    struct offset_fetch_request asked;
    struct offset_fetch_response answer;
    offset_fetch_request_init(&asked);
    asked.groups = groups;
    asked.groups_count = 2;
    API_ASK(fixture, API_OFFSET_FETCH, offset_fetch, 9, &asked, &answer);
    assert_int_equal(answer.groups_count, 2);
    assert_int_equal(answer.groups[0].error_code, KAFKA_NONE);
    assert_int_equal(answer.groups[0].topics_count, 0);
    CHECK(answer.groups[1].topics_count == 1);
    assert_true(span_equal_text(answer.groups[1].topics[0].name, "events"));
    assert_int_equal(answer.groups[1].topics[0].partitions[0].committed_offset, 7);
    assert_true(span_equal_text(answer.groups[1].topics[0].partitions[0].metadata, "note"));
}

static void commit_that_never_becomes_durable_is_no_success(void **state)
{
    struct api_fixture *fixture = *state;
    send_commit(fixture, 9, "events", UUID_ZERO, 7);
    assert_false(api_fixture_is_answered(fixture));
    broker_stop(fixture->coord.broker.broker); /* sends all that wait home */
    assert_ok(reactor_step(fixture->reactor, 0));
    assert_true(api_fixture_is_answered(fixture));
    assert_int_equal(commit_answer(fixture, 9), KAFKA_COORDINATOR_NOT_AVAILABLE);
}

/* Deletes the offset of events-1; the whole answer's error in *code. */
static int16_t delete_offset(struct api_fixture *fixture, const char *group, int16_t *code)
{
    struct offset_delete_request_partition partition = {.partition_index = 1};
    struct offset_delete_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_delete_request asked;
    struct offset_delete_response answer;
    offset_delete_request_init(&asked);
    asked.group_id = span_text(group);
    asked.topics = &topic;
    asked.topics_count = 1;
    API_ASK(fixture, API_OFFSET_DELETE, offset_delete, 0, &asked, &answer);
    *code = answer.error_code;
    return answer.topics_count == 0 ? KAFKA_NONE : answer.topics[0].partitions[0].error_code;
}

static void deleted_offset_is_gone_after_a_crash(void **state)
{
    struct api_fixture *fixture = *state;
    int16_t code;
    assert_int_equal(commit(fixture, 9, "events", UUID_ZERO, 7), KAFKA_NONE);
    assert_int_equal(delete_offset(fixture, "g", &code), KAFKA_NONE);
    assert_int_equal(code, KAFKA_NONE);
    (void)delete_offset(fixture, "none", &code);
    assert_int_equal(code, KAFKA_GROUP_ID_NOT_FOUND);
    api_fixture_crash(fixture);
    coord_fixture_load(&fixture->coord);
    assert_int_equal(fetch_single(fixture, 7, &code), -1);
    assert_int_equal(code, KAFKA_NONE);
}

static void groups_are_deleted_each_with_its_own_answer(void **state)
{
    struct api_fixture *fixture = *state;
    assert_int_equal(commit(fixture, 9, "events", UUID_ZERO, 7), KAFKA_NONE);
    struct span names[] = {span_text("none"), span_text("g"), span_text("")};
    struct delete_groups_request asked;
    struct delete_groups_response answer;
    delete_groups_request_init(&asked);
    asked.groups_names = names;
    asked.groups_names_count = 3;
    API_ASK(fixture, API_DELETE_GROUPS, delete_groups, 2, &asked, &answer);
    CHECK(answer.results_count == 3);
    assert_int_equal(answer.results[0].error_code, KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(answer.results[1].error_code, KAFKA_NONE);
    assert_int_equal(answer.results[2].error_code, KAFKA_GROUP_ID_NOT_FOUND);
    api_fixture_crash(fixture);
    coord_fixture_load(&fixture->coord);
    assert_string_equal(group_tell(&fixture->coord, NULL), "Dead");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_version_commits_and_tells_the_offset),
        TEST(commit_is_answered_when_it_is_durable),
        TEST(topic_that_is_none_is_unknown_by_name_or_id),
        TEST(fetch_while_loading_says_so_where_the_version_can),
        TEST(several_groups_are_told_at_once_and_all_of_their_offsets),
        TEST(commit_that_never_becomes_durable_is_no_success),
        TEST(deleted_offset_is_gone_after_a_crash),
        TEST(groups_are_deleted_each_with_its_own_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
