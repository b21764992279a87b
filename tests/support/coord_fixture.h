/* coord_fixture: a coordinator, and clients that ask it by hand. */
#ifndef HEADRACE_TESTS_SUPPORT_COORD_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_COORD_FIXTURE_H

#include "support/broker_fixture.h"

#include "coord/coord.h"
#include "wire/error_code.h"

/* A client's last answers. */
struct client {
    struct coord_join join;
    struct coord_sync sync;
    int join_count; /* answers, in all */
    int sync_count;
    int16_t join_code;
    int16_t sync_code;
    int32_t generation;
    int32_t members_count;
    bool is_skipping;
    bool has_protocol; /* it was not null */
    char id[128];
    char leader[128];
    char protocol[64];
    char assignment[64];
};

/* More than any test has. */
#define CLIENT_COUNT_MAX 8

struct coord_fixture {
    struct broker_fixture broker;
    struct coord *coord;
    struct arena arena; /* of the last answer */
    int wake_count;
    struct client clients[CLIENT_COUNT_MAX]; /* outlive the test, as some still wait at its end */
    int client_count;
};

static inline void client_keep(char *to, size_t size, struct span from)
{
    CHECK(from.size < size);
    if (from.size != 0)
        memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

static inline struct client *client_make(struct coord_fixture *fixture)
{
    CHECK(fixture->client_count < CLIENT_COUNT_MAX);
    return &fixture->clients[fixture->client_count++];
}

static inline void client_joined(struct coord_join *join, const struct join_group_response *answer)
{
    struct client *client = LIST_ENTRY(join, struct client, join);
    client->join_count++;
    client->join_code = answer->error_code;
    client->generation = answer->generation_id;
    client->members_count = answer->members_count;
    client->is_skipping = answer->skip_assignment;
    client->has_protocol = !span_is_null(answer->protocol_name);
    client_keep(client->id, sizeof client->id, answer->member_id);
    client_keep(client->leader, sizeof client->leader, answer->leader);
    client_keep(client->protocol, sizeof client->protocol, answer->protocol_name);
}

static inline void client_synced(struct coord_sync *sync, const struct sync_group_response *answer)
{
    struct client *client = LIST_ENTRY(sync, struct client, sync);
    client->sync_count++;
    client->sync_code = answer->error_code;
    client_keep(client->assignment, sizeof client->assignment, answer->assignment);
}

static inline void coord_fixture_wake(void *context)
{
    ((struct coord_fixture *)context)->wake_count++;
}

/* Opens the broker and a coordinator that has loaded nothing yet. */
static inline void coord_fixture_open(struct coord_fixture *fixture)
{
    broker_fixture_open(&fixture->broker);
    struct coord_setup setup = {
        .broker = fixture->broker.broker, .wake = coord_fixture_wake, .context = fixture};
    assert_ok(coord_create(&setup, &fixture->coord));
}

static inline void coord_fixture_load(struct coord_fixture *fixture)
{
    bool is_more = true;
    while (is_more)
        assert_ok(coord_load_step(fixture->coord, &is_more, &fixture->broker.base.diag));
}

static inline void coord_fixture_flush(struct coord_fixture *fixture)
{
    fixture_flush(&fixture->broker.base);
}

/* An empty disk and the usual configs; coord_fixture_begin opens it. */
static inline void coord_fixture_setup(struct coord_fixture *fixture, uint64_t seed)
{
    *fixture = (struct coord_fixture){0};
    broker_fixture_init(&fixture->broker, seed);
    broker_fixture_set(&fixture->broker, "group.initial.rebalance.delay.ms", "100");
    arena_init(&fixture->arena, 1 << 20);
}

static inline void coord_fixture_begin(struct coord_fixture *fixture)
{
    coord_fixture_open(fixture);
    int64_t commit;
    topic_unref(broker_fixture_create(&fixture->broker, "events", 4, &commit));
    assert_true(err_is(coord_prepare(fixture->coord, &commit, NULL), ERR_AGAIN));
    coord_fixture_flush(fixture);
    assert_ok(coord_prepare(fixture->coord, &commit, NULL));
}

static inline void coord_fixture_init(struct coord_fixture *fixture)
{
    coord_fixture_setup(fixture, 1);
    coord_fixture_begin(fixture);
}

static inline void coord_fixture_close(struct coord_fixture *fixture)
{
    coord_close(fixture->coord);
    broker_stop(fixture->broker.broker);
    coord_destroy(fixture->coord);
    fixture->coord = NULL;
}

static inline void coord_fixture_deinit(struct coord_fixture *fixture)
{
    coord_fixture_close(fixture);
    broker_fixture_close(&fixture->broker);
    arena_deinit(&fixture->arena);
    broker_fixture_deinit(&fixture->broker);
}

/* The machine dies with what was not synced, and starts again; nothing is loaded yet. */
static inline void coord_fixture_crash(struct coord_fixture *fixture)
{
    coord_fixture_close(fixture);
    assert_ok(broker_close(fixture->broker.broker, false, NULL));
    mem_disk_crash(fixture->broker.base.disk, MEM_DISK_LOSE_ALL);
    coord_fixture_open(fixture);
}

/* Time passes, timers fire. */
static inline void coord_fixture_pass(struct coord_fixture *fixture, int64_t passed_ms)
{
    fixture->broker.base.time.now_ms += passed_ms;
    coord_step(fixture->coord);
}

/* What a join says beyond the usual. */
struct join_words {
    int16_t version;          /* 0: 3, where a new member needs no id first */
    const char *instance;     /* NULL: dynamic */
    const char *protocols[2]; /* none: "range" */
    const char *metadata;     /* NULL: "m" */
    const char *type;         /* NULL: "consumer" */
    int32_t session_ms;       /* 0: 10,000; rebalance timeout is always 60,000 */
};

static inline struct span text_or_null(const char *text)
{
    return text == NULL ? SPAN_NULL : span_text(text);
}

static inline void client_join(struct coord_fixture *fixture, struct client *client,
                               struct join_words words)
{
    struct span metadata = span_text(words.metadata == NULL ? "m" : words.metadata);
    struct join_group_request_protocol protocols[2] = {
        {.name = span_text(words.protocols[0] == NULL ? "range" : words.protocols[0]),
         .metadata = metadata},
        {.name = text_or_null(words.protocols[1]), .metadata = metadata},
    };
    struct join_group_request request;
    join_group_request_init(&request);
    request.group_id = span_text("g");
    request.session_timeout_ms = words.session_ms == 0 ? 10000 : words.session_ms;
    request.rebalance_timeout_ms = 60000;
    request.member_id = span_text(client->id);
    request.group_instance_id = text_or_null(words.instance);
    request.protocol_type = span_text(words.type == NULL ? "consumer" : words.type);
    request.protocols = protocols;
    request.protocols_count = words.protocols[1] == NULL ? 1 : 2;
    struct coord_client from = {.id = span_text("c"),
                                .host = span_text("/192.0.2.1"),
                                .version = words.version == 0 ? 3 : words.version};
    client->join.done = client_joined;
    coord_join_group(fixture->coord, &request, &from, &client->join);
}

/* Syncs; a leader gives `given` to each of the clients. */
static inline void client_sync(struct coord_fixture *fixture, struct client *client,
                               const char *instance, struct client *const *others, int32_t count)
{
    struct sync_group_request_assignment assignments[8] = {0};
    CHECK(count <= 8);
    for (int32_t i = 0; i < count; i++)
        assignments[i] = (struct sync_group_request_assignment){
            .member_id = span_text(others[i]->id), .assignment = span_text(others[i]->id)};
    struct sync_group_request request;
    sync_group_request_init(&request);
    request.group_id = span_text("g");
    request.generation_id = client->generation;
    request.member_id = span_text(client->id);
    request.group_instance_id = text_or_null(instance);
    request.protocol_type = SPAN_NULL;
    request.protocol_name = SPAN_NULL;
    request.assignments = assignments;
    request.assignments_count = count;
    client->sync.done = client_synced;
    coord_sync_group(fixture->coord, &request, &client->sync);
}

static inline int16_t client_beat(struct coord_fixture *fixture, const struct client *client,
                                  const char *instance)
{
    struct heartbeat_request request;
    heartbeat_request_init(&request);
    request.group_id = span_text("g");
    request.generation_id = client->generation;
    request.member_id = span_text(client->id);
    request.group_instance_id = text_or_null(instance);
    return coord_heartbeat(fixture->coord, &request);
}

/* Brings a new group with these members to Stable; the first leads. */
static inline void clients_settle(struct coord_fixture *fixture, struct client *const *clients,
                                  int32_t count, struct join_words words)
{
    for (int32_t i = 0; i < count; i++)
        client_join(fixture, clients[i], words);
    coord_fixture_pass(fixture, 100);
    coord_fixture_pass(fixture, 100);
    for (int32_t i = count - 1; i >= 0; i--) {
        assert_int_equal(clients[i]->join_code, KAFKA_NONE);
        client_sync(fixture, clients[i], words.instance, clients, i == 0 ? count : 0);
    }
    coord_fixture_flush(fixture);
    for (int32_t i = 0; i < count; i++)
        assert_string_equal(clients[i]->assignment, clients[i]->id);
}

/* The group's state as DescribeGroups tells it; members in *count. */
static inline const char *group_tell(struct coord_fixture *fixture, int32_t *count)
{
    static char state[64];
    struct describe_groups_response_group group = {0};
    arena_reset(&fixture->arena);
    assert_ok(coord_describe_group(fixture->coord, span_text("g"), 5, &fixture->arena, &group));
    client_keep(state, sizeof state, group.group_state);
    if (count != NULL)
        *count = group.members_count;
    return group.error_code == KAFKA_NONE ? state : "error";
}

#endif
