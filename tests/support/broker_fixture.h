/* broker_fixture: a broker over a disk in memory, for the tests of broker, coord and api. */
#ifndef HEADRACE_TESTS_SUPPORT_BROKER_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_BROKER_FIXTURE_H

#include "support/store_fixture.h"

#include "base/list.h"
#include "broker/admin.h"
#include "broker/broker.h"

struct broker_fixture {
    struct fixture base; /* disk, clock and random; base.store is the broker's */
    struct os os;
    struct config config;
    struct listeners listeners;
    struct broker *broker;
    uint32_t offline_count;
};

static inline void broker_fixture_set(struct broker_fixture *fixture, const char *name,
                                      const char *value)
{
    diag_clear(&fixture->base.diag);
    struct err err = config_set(&fixture->config, span_text(name), span_text(value),
                                CONFIG_FROM_FLAG, 0, &fixture->base.diag);
    if (err_failed(err))
        fail_msg("%s", fixture->base.diag.text);
}

static inline void broker_fixture_init(struct broker_fixture *fixture, uint64_t seed)
{
    *fixture = (struct broker_fixture){0};
    fixture_init(&fixture->base, seed);
    fixture->os = (struct os){.clock = &fixture->base.time.clock,
                              .random = &fixture->base.random,
                              .files = mem_disk_files(fixture->base.disk)};
    assert_ok(config_init(&fixture->config));
    broker_fixture_set(fixture, "log.dirs", "/data");
    broker_fixture_set(fixture, "offsets.topic.num.partitions", "3");
}

static inline void broker_fixture_deinit(struct broker_fixture *fixture)
{
    config_deinit(&fixture->config);
    fixture_deinit(&fixture->base);
}

static inline void broker_fixture_offline(void *context, const char *sentence)
{
    (void)sentence;
    ((struct broker_fixture *)context)->offline_count++;
}

/* False: it could not be opened, which diag says why. */
static inline bool broker_fixture_try_open(struct broker_fixture *fixture)
{
    struct broker_setup setup = {
        .os = &fixture->os,
        .config = &fixture->config,
        .listeners = &fixture->listeners,
        .events = {.context = fixture, .offline = broker_fixture_offline},
    };
    diag_clear(&fixture->base.diag);
    struct err err = broker_create(&setup, &fixture->broker, &fixture->base.diag);
    if (err_failed(err))
        return false;
    fixture->base.store = fixture->broker->store;
    return true;
}

static inline void broker_fixture_open(struct broker_fixture *fixture)
{
    if (!broker_fixture_try_open(fixture))
        fail_msg("%s", fixture->base.diag.text);
}

static inline void broker_fixture_close(struct broker_fixture *fixture)
{
    assert_ok(broker_close(fixture->broker, true, &fixture->base.diag));
    fixture->broker = NULL;
    fixture->base.store = NULL;
}

/* The machine dies and starts again. */
static inline void broker_fixture_crash(struct broker_fixture *fixture, enum mem_disk_loss loss)
{
    assert_ok(broker_close(fixture->broker, false, NULL));
    mem_disk_crash(fixture->base.disk, loss);
    broker_fixture_open(fixture);
}

/* Makes a topic; *commit: where that becomes durable. Not to be seen before. The caller unrefs it.
 */
static inline struct topic *broker_fixture_create(struct broker_fixture *fixture, const char *name,
                                                  int32_t partition_count, int64_t *commit)
{
    struct topic_overrides overrides;
    topic_overrides_init(&overrides);
    struct admin_create create = {
        .name = span_text(name), .partition_count = partition_count, .overrides = &overrides};
    struct topic *topic = NULL;
    diag_clear(&fixture->base.diag);
    struct err err =
        admin_create_topic(fixture->broker, &create, &topic, commit, &fixture->base.diag);
    if (err_failed(err))
        fail_msg("%s: %s", err_text(err), fixture->base.diag.text);
    return topic;
}

/* The same, durable and so to be seen. */
static inline struct topic *broker_fixture_make(struct broker_fixture *fixture, const char *name,
                                                int32_t partition_count)
{
    int64_t commit;
    struct topic *topic = broker_fixture_create(fixture, name, partition_count, &commit);
    fixture_flush(&fixture->base);
    return topic;
}

static inline bool broker_fixture_has(struct broker_fixture *fixture, const char *name)
{
    struct topic *topic = broker_find_topic(fixture->broker, span_text(name));
    topic_unref(topic);
    return topic != NULL;
}

/* Appends one batch of records with values of 100 bytes; returns where it becomes durable. */
static inline int64_t broker_fixture_append(struct partition *partition, int32_t record_count)
{
    uint8_t value[100] = {7};
    struct buf buf;
    buf_init(&buf, 1 << 20);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    batch_build_begin(&builder, &options, &buf);
    for (int32_t i = 0; i < record_count; i++) {
        const struct record record = {.timestamp = 1700000000000,
                                      .value = span_make(value, sizeof value)};
        assert_ok(batch_build_add(&builder, &record));
    }
    struct span batch;
    struct batch_header header;
    assert_ok(batch_build_end(&builder, &batch, &header));
    struct append_result result;
    partition_append(partition, buf.data + (batch.data - buf.data), &header, NULL, &result, NULL);
    assert_int_equal(result.verdict, APPEND_DONE);
    buf_deinit(&buf);
    return result.end_offset;
}

/* Someone who waits, and how often they were called. */
struct counted_wait {
    struct partition_waiter waiter;
    int count;
    struct err err;
};

static inline void counted_done(struct partition_waiter *waiter, struct err err)
{
    struct counted_wait *wait = LIST_ENTRY(waiter, struct counted_wait, waiter);
    wait->count++;
    wait->err = err;
}

/* What broker_fixture_configure puts in the place of what there was. */
struct fixture_edit {
    struct topic_edit edit;
    struct topic_overrides *overrides;
};

static inline struct err fixture_edit_apply(struct topic_edit *edit,
                                            struct topic_overrides *overrides, struct diag *diag)
{
    (void)diag;
    struct fixture_edit *self = LIST_ENTRY(edit, struct fixture_edit, edit);
    topic_overrides_deinit(overrides);
    *overrides = *self->overrides;
    topic_overrides_init(self->overrides);
    return ERR_NONE;
}

/* Replaces the topic's overrides (taken: empty afterwards), as admin_configure_topic. */
MUST_USE static inline struct err broker_fixture_configure(struct broker *broker,
                                                           struct topic *topic,
                                                           struct topic_overrides *overrides,
                                                           int64_t *commit)
{
    struct fixture_edit edit = {.edit.apply = fixture_edit_apply, .overrides = overrides};
    struct err err = admin_configure_topic(broker, topic, &edit.edit, commit, NULL);
    topic_overrides_deinit(overrides);
    return err;
}

#endif
