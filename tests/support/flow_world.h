/*
 * flow_world: processes of one handler on a cluster in memory, with a virtual clock and handlers
 * whose answers the test decides.
 *
 * A process has what `flow run` gives it: a receiver, a sender, an engine, a caller; but nothing
 * moves unless the test steps it. Deaths are deaths: nothing is said to the cluster.
 */
#ifndef HEADRACE_TESTS_SUPPORT_FLOW_WORLD_H
#define HEADRACE_TESTS_SUPPORT_FLOW_WORLD_H

#include "flow/delivery/engine.h"
#include "support/fail_alloc.h"
#include "support/flow_fixture.h"
#include "support/memory_fixture.h"

#define WORLD_PROCESS_COUNT_MAX 4
#define WORLD_CALL_COUNT_MAX 256
#define WORLD_TOPIC_COUNT 5

/* What a call is answered with, and when. */
struct world_plan {
    int64_t delay_ms; /* -1: never */
    enum answer_kind kind;
    int64_t retry_after_ms;
    size_t event_count; /* of type "done", with the cause's data */
};

struct world;
struct world_process;

struct world_call {
    struct call *call;
    struct world_process *process;
    int64_t due_ms;
    struct world_plan plan;
    char key[32];
    char data[64];
};

struct world_process {
    struct world *world;
    bool is_alive;
    int number;
    struct client *receiver;
    struct client *reader;
    struct client *sender;
    struct engine *engine;
    struct caller caller;
    const struct commit *commit; /* handed out, and not written yet */
    int64_t commit_due_ms;
};

struct world {
    struct flow_fixture *file;
    struct os_clock clock;
    struct os_random random;
    struct flow_log log;
    int64_t now_us;
    uint64_t seed;
    struct memory_cluster *cluster;
    struct client *admin;
    struct world_process processes[WORLD_PROCESS_COUNT_MAX];
    struct world_call calls[WORLD_CALL_COUNT_MAX];
    size_t call_count;
    struct cloudevent event; /* the one that the caller gives out last */
    char event_data[64];
    /* Decides a call's answer; data is its event's. */
    struct world_plan (*plan)(struct world *world, const struct world_process *process,
                              const char *key, const char *data);
    void *test; /* the test's own */
    bool is_loud;
};

static inline uint64_t world_random(struct world *world)
{
    world->seed += 0x9e3779b97f4a7c15;
    uint64_t x = world->seed;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* True once in so many. */
static inline bool world_chance(struct world *world, uint64_t one_in)
{
    return world_random(world) % one_in == 0;
}

static inline int64_t world_mono_us(void *self)
{
    return ((struct world *)self)->now_us;
}

static inline int64_t world_wall_ms(void *self)
{
    return 1700000000000 + ((struct world *)self)->now_us / 1000;
}

static inline void world_fill(void *self, void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)world_random(self);
}

static inline void world_say(void *self, enum flow_log_level level, const char *handler,
                             const char *text)
{
    const struct world *world = self;
    if (world->is_loud)
        (void)fprintf(stderr, "%8.3f %d %s: %s\n", (double)world->now_us / 1e6, (int)level, handler,
                      text);
}

/* --- the caller --------------------------------------------------------------------------- */

static inline struct world_process *world_process_of(struct caller *caller)
{
    return (struct world_process *)((char *)caller - offsetof(struct world_process, caller));
}

static inline void world_text(struct span span, char *out, size_t size)
{
    size_t count = span.size < size - 1 ? span.size : size - 1;
    if (count > 0)
        memcpy(out, span.data, count);
    out[count] = '\0';
}

static inline struct err world_begin(struct caller *caller, struct call *call,
                                     const struct cloudevent *event, struct diag *diag)
{
    struct world_process *process = world_process_of(caller);
    struct world *world = process->world;
    (void)diag;
    assert_true(world->call_count < WORLD_CALL_COUNT_MAX);
    struct world_call *made = &world->calls[world->call_count++];
    *made = (struct world_call){.call = call, .process = process};
    world_text(call->delivery->message.key, made->key, sizeof made->key);
    world_text(event->data, made->data, sizeof made->data);
    made->plan = world->plan(world, process, made->key, made->data);
    made->due_ms = made->plan.delay_ms < 0 ? INT64_MAX : world->now_us / 1000 + made->plan.delay_ms;
    return ERR_NONE;
}

static inline void world_remove_call(struct world *world, size_t at)
{
    world->calls[at] = world->calls[--world->call_count];
}

static inline void world_cancel(struct caller *caller, struct call *call)
{
    struct world *world = world_process_of(caller)->world;
    for (size_t i = 0; i < world->call_count; i++) {
        if (world->calls[i].call == call) {
            world_remove_call(world, i);
            return;
        }
    }
    fail_msg("a call that is not under way was cancelled");
}

static inline bool world_next(struct caller *caller, struct answer *answer)
{
    struct world_process *process = world_process_of(caller);
    struct world *world = process->world;
    for (size_t i = 0; i < world->call_count; i++) {
        const struct world_call made = world->calls[i];
        if (made.process != process || made.due_ms > world->now_us / 1000)
            continue;
        memcpy(world->event_data, made.data, sizeof world->event_data);
        world->event = (struct cloudevent){.data = span_text(world->event_data)};
        *answer = (struct answer){.call = made.call,
                                  .kind = made.plan.kind,
                                  .retry_after_ms = made.plan.retry_after_ms,
                                  .events = &world->event,
                                  .event_count = made.plan.event_count,
                                  .fault = "planned",
                                  .message = "as planned"};
        world_remove_call(world, i);
        return true;
    }
    return false;
}

static const struct caller_ops world_caller_ops = {
    .begin = world_begin, .cancel = world_cancel, .next = world_next};

/* --- processes ---------------------------------------------------------------------------- */

static inline bool world_is_once(const struct world *world)
{
    return flow_handler_at(world->file->flow, 0)->guarantee.number == FLOW_EXACTLY_ONCE;
}

static inline void world_open_sender(struct world_process *process)
{
    char id[32];
    (void)snprintf(id, sizeof id, "f.h.%d", process->number);
    const struct client_property once[] = {{"transactional.id", id}};
    const struct client_property at_least_once[] = {{"enable.gapless.guarantee", "true"}};
    struct client_settings settings = {
        .properties = world_is_once(process->world) ? once : at_least_once, .property_count = 1};
    assert_ok(memory_cluster_connect(process->world->cluster, &settings, &process->sender, NULL));
}

static inline void world_start(struct world *world, int number)
{
    struct world_process *process = &world->processes[number];
    assert_false(process->is_alive);
    *process = (struct world_process){.world = world, .is_alive = true, .number = number};
    process->caller.ops = &world_caller_ops;
    const struct client_property properties[] = {{"group.id", "f.h"}};
    struct client_settings settings = {.properties = properties, .property_count = 1};
    assert_ok(memory_cluster_connect(world->cluster, &settings, &process->receiver, NULL));
    settings.property_count = 0;
    assert_ok(memory_cluster_connect(world->cluster, &settings, &process->reader, NULL));
    world_open_sender(process);
    const char *const topics[] = {"things"};
    assert_ok(client_join(process->receiver, topics, 1, NULL));
    struct engine_settings wanted = {.flow = world->file->flow,
                                     .handler = flow_handler_at(world->file->flow, 0),
                                     .cluster = "memory",
                                     .receiver = process->receiver,
                                     .reader = process->reader,
                                     .caller = &process->caller,
                                     .clock = &world->clock,
                                     .random = &world->random,
                                     .log = &world->log};
    assert_ok(engine_create(&wanted, &process->engine));
}

/* Hands out what a commit has become; a sender that is over is replaced before. */
static inline void world_write_commit(struct world_process *process)
{
    struct commit_result result;
    const struct commit *commit = process->commit;
    process->commit = NULL;
    if (world_is_once(process->world))
        commit_write_once(commit, process->sender, process->receiver, &result);
    else
        commit_write_at_least_once(commit, process->sender, process->receiver, 0, &result);
    if (result.is_sender_over) {
        client_close(process->sender);
        memory_cluster_notice(process->world->cluster);
        world_open_sender(process);
    }
    engine_committed(process->engine, &result);
}

/* One turn of a process's loop; commits take commit_ms. Errors: the engine's. */
MUST_USE static inline struct err world_try_step(struct world_process *process, int receive_max,
                                                 int64_t commit_ms)
{
    struct client_event event;
    struct diag diag = {""};
    for (int i = 0; i < receive_max && engine_may_receive(process->engine); i++) {
        fail_alloc_pause(); /* what the cluster in memory needs is not the engine's */
        struct err err = client_receive(process->receiver, 0, &event, &diag);
        fail_alloc_resume();
        if (err_failed(err) || event.kind == CLIENT_EVENT_NONE)
            break;
        TRY(engine_take(process->engine, &event, &diag));
    }
    TRY(engine_step(process->engine, &diag));
    if (process->commit == NULL) {
        TRY(engine_commit(process->engine, &process->commit));
        process->commit_due_ms = process->world->now_us / 1000 + commit_ms;
    }
    if (process->commit != NULL && process->commit_due_ms <= process->world->now_us / 1000)
        world_write_commit(process);
    return ERR_NONE;
}

static inline void world_step(struct world_process *process, int receive_max, int64_t commit_ms)
{
    assert_ok(world_try_step(process, receive_max, commit_ms));
}

/* Its last words are unsaid. */
static inline void world_kill(struct world_process *process)
{
    if (process->commit != NULL) {
        struct commit_result result = {.fate = COMMIT_FAILED};
        engine_committed(process->engine, &result);
    }
    engine_destroy(process->engine);
    memory_cluster_crash(process->receiver);
    memory_cluster_crash(process->reader);
    memory_cluster_crash(process->sender);
    process->is_alive = false;
    process->commit = NULL;
}

/* One that has drained leaves. */
static inline void world_close(struct world_process *process)
{
    engine_destroy(process->engine);
    client_close(process->receiver);
    client_close(process->reader);
    client_close(process->sender);
    process->is_alive = false;
}

/* As SIGTERM: drains, and leaves the group. */
static inline void world_stop(struct world_process *process)
{
    engine_drain(process->engine);
    for (int i = 0; !engine_is_drained(process->engine); i++) {
        assert_true(i < 100000);
        process->world->now_us += 1000;
        world_step(process, 10, 0);
    }
    world_close(process);
}

/* --- the world ---------------------------------------------------------------------------- */

static inline void world_init(struct world *world, struct flow_fixture *file, const char *text,
                              int32_t partition_count)
{
    static const char *const topics[WORLD_TOPIC_COUNT] = {"things", "results", "things.dlq",
                                                          "f.h.parked", "f.h.inbox"};
    world->file = file;
    (void)flow_fixture_take(file, text);
    world->clock = (struct os_clock){world, world_mono_us, world_wall_ms};
    world->random = (struct os_random){world, world_fill};
    world->log = (struct flow_log){world, world_say};
    world->now_us = 1000000;
    assert_ok(memory_cluster_create(&world->clock, &world->cluster));
    struct client_settings settings = {.property_count = 0};
    assert_ok(memory_cluster_connect(world->cluster, &settings, &world->admin, NULL));
    for (size_t i = 0; i < WORLD_TOPIC_COUNT; i++) {
        struct client_new_topic topic = {.name = topics[i], .partition_count = partition_count};
        assert_ok(client_topic_create(world->admin, &topic, NULL));
    }
}

static inline void world_deinit(struct world *world)
{
    for (int i = 0; i < WORLD_PROCESS_COUNT_MAX; i++) {
        if (world->processes[i].is_alive)
            world_kill(&world->processes[i]);
    }
    client_close(world->admin);
    memory_cluster_notice(world->cluster);
    memory_cluster_destroy(world->cluster);
}

/* Sends a message, until it is there: a fault that was meant for a process may meet it. */
static inline void world_send_message(struct world *world, const struct client_message *message)
{
    struct client_counts before;
    struct client_counts after;
    (void)err_failed(client_flush(world->admin, 0, &before, NULL));
    do {
        assert_ok(client_send(world->admin, message, NULL));
        (void)err_failed(client_flush(world->admin, 0, &after, NULL));
    } while (after.acknowledged == before.acknowledged);
}

/* Sends a thing: a plain record, whose data is JSON. */
static inline void world_send(struct world *world, const char *key, const char *data)
{
    const struct client_message message = {
        .topic = "things", .partition = -1, .key = span_text(key), .value = span_text(data)};
    world_send_message(world, &message);
}

/* Sends a thing that is a CloudEvent with an id of its own. */
static inline void world_send_event(struct world *world, const char *key, const char *id,
                                    const char *data)
{
    const struct client_header headers[] = {{"ce_specversion", span_text("1.0")},
                                            {"ce_id", span_text(id)},
                                            {"ce_source", span_text("/world")},
                                            {"ce_type", span_text("made")}};
    const struct client_message message = {.topic = "things",
                                           .partition = -1,
                                           .key = span_text(key),
                                           .value = span_text(data),
                                           .headers = headers,
                                           .header_count = sizeof headers / sizeof headers[0]};
    world_send_message(world, &message);
}

/* Steps all that live, a millisecond at a time. */
static inline void world_run(struct world *world, int64_t ms)
{
    for (; ms > 0; ms--) {
        for (int i = 0; i < WORLD_PROCESS_COUNT_MAX; i++) {
            if (world->processes[i].is_alive)
                world_step(&world->processes[i], 100, 0);
        }
        world->now_us += 1000;
    }
}

/* Calls visit with each committed record of the topic, partition by partition. */
static inline void world_read(struct world *world, const char *topic,
                              void (*visit)(void *context, const struct client_message *message),
                              void *context)
{
    struct client_settings settings = {.property_count = 0};
    struct client *reader;
    struct client_cluster told;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    assert_ok(client_cluster(world->admin, topic, &arena, &told, NULL));
    for (size_t i = 0; i < told.topics[0].partition_count; i++) {
        struct client_offset from = {.topic = topic, .partition = (int32_t)i};
        struct client_event event;
        assert_ok(memory_cluster_connect(world->cluster, &settings, &reader, NULL));
        assert_ok(client_assign(reader, &from, 1, NULL));
        do {
            assert_ok(client_receive(reader, 0, &event, NULL));
            if (event.kind == CLIENT_EVENT_MESSAGE)
                visit(context, &event.message);
        } while (event.kind != CLIENT_EVENT_END);
        client_close(reader);
    }
    arena_deinit(&arena);
}

static inline void world_count_one(void *context, const struct client_message *message)
{
    (void)message;
    ++*(int *)context;
}

static inline int world_count(struct world *world, const char *topic)
{
    int count = 0;
    world_read(world, topic, world_count_one, &count);
    return count;
}

/* What the group has committed of things, all partitions together. */
static inline int64_t world_committed(struct world *world)
{
    struct arena arena;
    struct client_offset *offsets = NULL;
    size_t count;
    int64_t sum = 0;
    arena_init(&arena, 1 << 20);
    assert_ok(client_group_offsets(world->admin, "f.h", &arena, &offsets, &count, NULL));
    for (size_t i = 0; i < count; i++)
        sum += offsets[i].offset;
    arena_deinit(&arena);
    return sum;
}

#endif
