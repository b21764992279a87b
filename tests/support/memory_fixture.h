/* memory_fixture: a cluster in memory with one topic, and a clock that stands still. */
#ifndef HEADRACE_TESTS_SUPPORT_MEMORY_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_MEMORY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "client/memory.h"

struct memory_fixture {
    struct os_clock clock;
    int64_t now_ms;
    struct memory_cluster *cluster;
    struct arena arena;
    struct diag diag;
};

static inline void assert_ok(struct err err)
{
    if (err_failed(err))
        fail_msg("%s", err_text(err));
}

static inline int64_t memory_fixture_wall_ms(void *self)
{
    return ((struct memory_fixture *)self)->now_ms;
}

/* group: the group it will subscribe in, or NULL. */
static inline struct client *memory_fixture_connect(struct memory_fixture *fixture,
                                                    const char *group)
{
    const struct client_property properties[] = {{"group.id", group}};
    struct client_settings settings = {.properties = properties,
                                       .property_count = group == NULL ? 0 : 1};
    struct client *client;
    assert_ok(memory_cluster_connect(fixture->cluster, &settings, &client, &fixture->diag));
    return client;
}

static inline int memory_fixture_setup(void **state)
{
    static struct memory_fixture fixture;
    fixture = (struct memory_fixture){.now_ms = 1700000000000};
    fixture.clock = (struct os_clock){.self = &fixture, .wall_ms = memory_fixture_wall_ms};
    arena_init(&fixture.arena, 1 << 20);
    assert_ok(memory_cluster_create(&fixture.clock, &fixture.cluster));
    struct client *client = memory_fixture_connect(&fixture, NULL);
    struct client_new_topic topic = {.name = "events", .partition_count = 4};
    assert_ok(client_topic_create(client, &topic, NULL));
    client_close(client);
    *state = &fixture;
    return 0;
}

static inline int memory_fixture_teardown(void **state)
{
    struct memory_fixture *fixture = *state;
    memory_cluster_destroy(fixture->cluster);
    arena_deinit(&fixture->arena);
    return 0;
}

/* Sends one message; key may be NULL. */
static inline void memory_fixture_send(struct client *client, int32_t partition, const char *key,
                                       const char *value)
{
    struct client_message message = {.topic = "events",
                                     .partition = partition,
                                     .key = span_text(key),
                                     .value = span_text(value)};
    assert_ok(client_send(client, &message, NULL));
}

#endif
