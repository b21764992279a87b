/*
 * coord_faults: an allocation, or a call to the disk, fails somewhere in the life of a group, or
 * while groups are loaded. Members get in and out as they try again, nobody waits for ever, an
 * offset whose commit was answered is there after a power cut, and one that was refused is
 * committed by the next try.
 */
#include "support/coord_fixture.h"

#define ROUND_COUNT_MAX 200 /* until a group is settled, or a request done */
#define ROUND_MS 100        /* far less than a session */

/* Syncs are left out: one that fails is final (W7), and tested elsewhere. */
#define DISK_CALLS ((unsigned)MEM_DISK_ALL & ~(unsigned)MEM_DISK_SYNC)

enum fault { FAULT_MEMORY, FAULT_DISK };

enum standing { STANDING_OUT, STANDING_JOINING, STANDING_JOINED, STANDING_SYNCING, STANDING_IN };

/* A member as a client library is one. */
struct faulty_member {
    struct client client;
    enum standing standing;
    const char *instance; /* NULL: a dynamic member */
    int answers_before;   /* of the kind that it waits for */
    bool is_wanted;       /* it wants to be in the group */
};

#define MEMBER_COUNT 2

struct life {
    struct coord_fixture fixture;
    enum fault fault;
    struct faulty_member members[MEMBER_COUNT];
    int64_t committed;
};

static void arm(struct life *life, uint32_t count)
{
    if (life->fault == FAULT_MEMORY)
        fail_alloc_arm(count);
    else
        mem_disk_fail(life->fixture.broker.base.disk, DISK_CALLS, count);
}

static bool disarm(struct life *life)
{
    if (life->fault == FAULT_MEMORY)
        return fail_alloc_disarm();
    bool has_failed = mem_disk_has_failed(life->fixture.broker.base.disk);
    mem_disk_fail(life->fixture.broker.base.disk, DISK_CALLS, 0);
    return has_failed;
}

static void pass(struct life *life)
{
    coord_fixture_flush(&life->fixture);
    coord_fixture_pass(&life->fixture, ROUND_MS);
    coord_fixture_flush(&life->fixture);
}

/* Where a member stands after such a code. */
static enum standing fall_back(struct faulty_member *member, int16_t code)
{
    switch (code) {
    case KAFKA_UNKNOWN_MEMBER_ID:
    case KAFKA_ILLEGAL_GENERATION:
        member->client.id[0] = '\0';
        return STANDING_OUT;
    case KAFKA_REBALANCE_IN_PROGRESS:
    case KAFKA_COORDINATOR_NOT_AVAILABLE:
    case KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
        return STANDING_OUT;
    default:
        fail_msg("a member is told %d", code);
        return STANDING_OUT;
    }
}

/* A leader gives an assignment to each who wants in. */
static void sync(struct life *life, struct faulty_member *member)
{
    struct client *clients[MEMBER_COUNT];
    int32_t count = 0;
    bool is_leader = strcmp(member->client.leader, member->client.id) == 0;
    for (int i = 0; i < MEMBER_COUNT && is_leader; i++) {
        if (life->members[i].is_wanted)
            clients[count++] = &life->members[i].client;
    }
    member->answers_before = member->client.sync_count;
    member->standing = STANDING_SYNCING;
    client_sync(&life->fixture, &member->client, member->instance, clients, count);
}

/* The next thing that the member does. */
static void step(struct life *life, struct faulty_member *member)
{
    struct client *client = &member->client;
    if (member->standing == STANDING_OUT) {
        member->answers_before = client->join_count;
        member->standing = STANDING_JOINING;
        client_join(&life->fixture, client, (struct join_words){.instance = member->instance});
    } else if (member->standing == STANDING_JOINING &&
               client->join_count > member->answers_before) {
        member->standing = client->join_code == KAFKA_NONE ? STANDING_JOINED
                                                           : fall_back(member, client->join_code);
    } else if (member->standing == STANDING_JOINED) {
        sync(life, member);
    } else if (member->standing == STANDING_SYNCING &&
               client->sync_count > member->answers_before) {
        member->standing =
            client->sync_code == KAFKA_NONE ? STANDING_IN : fall_back(member, client->sync_code);
    } else if (member->standing == STANDING_IN) {
        int16_t code = client_beat(&life->fixture, client, member->instance);
        if (code != KAFKA_NONE)
            member->standing = fall_back(member, code);
    }
}

/* A static member that came back has what was given to it under its former id. */
static bool has_its_work(const struct faulty_member *member)
{
    const struct client *client = &member->client;
    return member->instance != NULL ? client->assignment[0] != '\0'
                                    : strcmp(client->assignment, client->id) == 0;
}

/* Whether all who want are in one generation, each with what the leader gave it. */
static bool is_settled(const struct life *life)
{
    int32_t generation = -1;
    for (int i = 0; i < MEMBER_COUNT; i++) {
        const struct faulty_member *member = &life->members[i];
        if (!member->is_wanted)
            continue;
        if (member->standing != STANDING_IN || !has_its_work(member))
            return false;
        if (generation >= 0 && member->client.generation != generation)
            return false;
        generation = member->client.generation;
    }
    return true;
}

static void settle(struct life *life)
{
    int calm = 0;
    for (int i = 0; i < ROUND_COUNT_MAX && calm < 3; i++) {
        for (int j = 0; j < MEMBER_COUNT; j++) {
            if (life->members[j].is_wanted)
                step(life, &life->members[j]);
        }
        pass(life);
        calm = is_settled(life) ? calm + 1 : 0;
    }
    if (calm < 3)
        fail_msg("the group is never settled");
}

static int16_t leave(struct life *life, struct faulty_member *member)
{
    struct leave_group_request_member one = {.member_id = span_text(member->client.id),
                                             .group_instance_id = SPAN_NULL};
    struct leave_group_request request;
    struct leave_group_response response;
    leave_group_request_init(&request);
    leave_group_response_init(&response);
    request.group_id = span_text("g");
    request.members = &one;
    request.members_count = 1;
    arena_reset(&life->fixture.arena);
    struct err err =
        coord_leave_group(life->fixture.coord, &request, 5, &life->fixture.arena, &response);
    if (err_failed(err)) /* the connection is closed */
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    return response.error_code != KAFKA_NONE ? response.error_code : response.members[0].error_code;
}

static void let_go(struct life *life, struct faulty_member *member)
{
    int16_t code = leave(life, member);
    if (code == KAFKA_COORDINATOR_NOT_AVAILABLE)
        code = leave(life, member);
    assert_true(code == KAFKA_NONE || code == KAFKA_UNKNOWN_MEMBER_ID);
    member->is_wanted = false;
    member->standing = STANDING_OUT;
    member->client.id[0] = '\0';
}

/* One try; the member commits as one of its generation. */
static int16_t try_commit(struct life *life, const struct faulty_member *member, int64_t offset)
{
    struct offset_commit_request_partition partition = {.committed_offset = offset,
                                                        .committed_leader_epoch = -1,
                                                        .committed_metadata = span_text("note")};
    struct offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request request;
    struct offset_commit_response response = {0};
    struct coord_commit commit;
    offset_commit_request_init(&request);
    request.group_id = span_text("g");
    request.member_id = span_text(member->client.id);
    request.generation_id_or_member_epoch = member->client.generation;
    request.group_instance_id = SPAN_NULL;
    request.topics = &topic;
    request.topics_count = 1;
    request.retention_time_ms = -1;
    arena_reset(&life->fixture.arena);
    struct err err = coord_commit_offsets(life->fixture.coord, &request, NULL, &life->fixture.arena,
                                          &response, &commit);
    if (err_failed(err)) /* the connection is closed */
        return KAFKA_COORDINATOR_NOT_AVAILABLE;
    topic_unref(commit.topic);
    return response.topics[0].partitions[0].error_code;
}

static void commit(struct life *life, int64_t offset)
{
    int16_t code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    for (int i = 0; i < ROUND_COUNT_MAX && code != KAFKA_NONE; i++) {
        settle(life);
        code = try_commit(life, &life->members[0], offset);
        if (code != KAFKA_NONE && code != KAFKA_KAFKA_STORAGE_ERROR)
            (void)fall_back(&life->members[0], code);
    }
    assert_int_equal(code, KAFKA_NONE);
    pass(life);
    life->committed = offset;
}

/* One member, two, one again; an offset is committed by each group. */
static void live(struct life *life)
{
    life->members[0].is_wanted = true;
    commit(life, life->committed + 1);
    life->members[1].is_wanted = true;
    commit(life, life->committed + 1);
    let_go(life, &life->members[1]);
    commit(life, life->committed + 1);
}

static void check(struct life *life)
{
    int32_t index = 0;
    struct offset_fetch_request_group_topic topic = {
        .name = span_text("events"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct offset_fetch_request_group request = {
        .group_id = span_text("g"), .member_epoch = -1, .topics = &topic, .topics_count = 1};
    struct offset_fetch_response_group response = {0};
    arena_reset(&life->fixture.arena);
    assert_ok(
        coord_fetch_offsets(life->fixture.coord, &request, false, &life->fixture.arena, &response));
    assert_int_equal(response.error_code, KAFKA_NONE);
    assert_int_equal(response.topics[0].partitions[0].committed_offset, life->committed);
}

/* All leave, and the group is deleted with its offsets. */
static void delete_group(struct life *life)
{
    for (int i = 0; i < MEMBER_COUNT; i++) {
        if (life->members[i].is_wanted)
            let_go(life, &life->members[i]);
    }
    int16_t code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    for (int i = 0; i < ROUND_COUNT_MAX && code != KAFKA_NONE; i++) {
        struct coord_commit commit = {0};
        pass(life);
        code = coord_delete_group(life->fixture.coord, span_text("g"), &commit);
        assert_true(code == KAFKA_NONE || code == KAFKA_COORDINATOR_NOT_AVAILABLE ||
                    code == KAFKA_KAFKA_STORAGE_ERROR);
        topic_unref(commit.topic);
    }
    assert_int_equal(code, KAFKA_NONE);
    pass(life);
    life->committed = -1;
}

static void begin(struct life *life, enum fault fault)
{
    *life = (struct life){.fault = fault, .committed = -1};
    coord_fixture_init(&life->fixture);
    coord_fixture_load(&life->fixture);
}

/* The machine dies; who was a member asks the next coordinator. */
static void crash(struct life *life)
{
    coord_fixture_crash(&life->fixture);
    for (int i = 0; i < MEMBER_COUNT; i++)
        life->members[i].standing = STANDING_OUT;
}

static bool life_attempt(void *context, uint32_t count)
{
    static struct life life; /* members may wait when it ends */
    begin(&life, *(const enum fault *)context);
    arm(&life, count);
    live(&life);
    bool has_failed = disarm(&life);
    check(&life);
    crash(&life);
    coord_fixture_load(&life.fixture);
    check(&life);
    live(&life);
    coord_fixture_deinit(&life.fixture);
    return has_failed;
}

static bool delete_attempt(void *context, uint32_t count)
{
    static struct life life;
    begin(&life, *(const enum fault *)context);
    live(&life);
    arm(&life, count);
    delete_group(&life);
    bool has_failed = disarm(&life);
    crash(&life);
    coord_fixture_load(&life.fixture);
    check(&life);
    live(&life);
    check(&life);
    coord_fixture_deinit(&life.fixture);
    return has_failed;
}

static bool load_attempt(void *context, uint32_t count)
{
    static struct life life;
    begin(&life, *(const enum fault *)context);
    live(&life);
    crash(&life);
    arm(&life, count);
    bool is_more = true;
    struct err err = ERR_NONE;
    while (is_more && !err_failed(err))
        err = coord_load_step(life.fixture.coord, &is_more, &life.fixture.broker.base.diag);
    bool has_failed = disarm(&life);
    if (err_failed(err)) {
        assert_true(has_failed && life.fixture.broker.base.diag.text[0] != '\0');
        coord_fixture_load(&life.fixture);
    }
    check(&life);
    live(&life);
    check(&life);
    coord_fixture_deinit(&life.fixture);
    return has_failed;
}

/* The process of a static member starts anew and asks for its place under a new id (KIP-345). */
static bool static_attempt(void *context, uint32_t count)
{
    static struct life life;
    begin(&life, *(const enum fault *)context);
    for (int i = 0; i < MEMBER_COUNT; i++) {
        life.members[i].instance = i == 0 ? "first" : "second";
        life.members[i].is_wanted = true;
    }
    settle(&life);
    struct faulty_member *leader = &life.members[0];
    if (strcmp(leader->client.leader, leader->client.id) != 0)
        leader = &life.members[1];
    leader->client.id[0] = '\0';
    leader->standing = STANDING_OUT;
    arm(&life, count);
    settle(&life);
    bool has_failed = disarm(&life);
    crash(&life);
    coord_fixture_load(&life.fixture);
    settle(&life);
    coord_fixture_deinit(&life.fixture);
    return has_failed;
}

static void run(fail_attempt *attempt, enum fault fault, uint32_t count_min)
{
    uint32_t count = fail_each(attempt, &fault);
    if (count < count_min)
        fail_msg("only %u calls", count);
}

static void any_one_failing_allocation_is_overcome(void **state)
{
    (void)state;
    run(life_attempt, FAULT_MEMORY, 75);
}

static void any_one_failing_call_to_the_disk_is_overcome(void **state)
{
    (void)state;
    run(life_attempt, FAULT_DISK, 10);
}

static void a_static_member_gets_its_place_back_whatever_fails(void **state)
{
    (void)state;
    run(static_attempt, FAULT_MEMORY, 14);
    run(static_attempt, FAULT_DISK, 1);
}

static void a_group_is_deleted_whatever_fails(void **state)
{
    (void)state;
    run(delete_attempt, FAULT_MEMORY, 5);
    run(delete_attempt, FAULT_DISK, 2);
}

static void a_load_that_fails_is_made_again(void **state)
{
    (void)state;
    run(load_attempt, FAULT_MEMORY, 55);
    run(load_attempt, FAULT_DISK, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_failing_allocation_is_overcome),
        cmocka_unit_test(any_one_failing_call_to_the_disk_is_overcome),
        cmocka_unit_test(a_static_member_gets_its_place_back_whatever_fails),
        cmocka_unit_test(a_group_is_deleted_whatever_fails),
        cmocka_unit_test(a_load_that_fails_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
