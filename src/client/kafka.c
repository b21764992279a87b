/*
 * kafka: the client's vtable over librdkafka: connecting, ending, and what its errors mean.
 *
 * librdkafka goes on trying for ever; a command should not. So opening asks for the brokers in
 * short slices and gives up as soon as all of them have refused, or after the time-out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "client/kafka_internal.h"

/* One try to reach a broker, and how many refusals are believed. */
#define REACH_SLICE_MS 250
#define REACH_REFUSED_COUNT 3

/* Ours where the caller sets nothing: bounded memory, quick first contact, no silent creation, and
 * no second of rest whenever the queue of received messages was full. */
static const struct client_property defaults[] = {
    {"client.id", "headrace"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"topic.metadata.refresh.sparse", "true"},
    {"allow.auto.create.topics", "false"},
    {"log_level", "0"},
};

static const struct client_property sender_defaults[] = {
    {"queue.buffering.max.kbytes", "65536"},
    {"linger.ms", "5"},
};

static const struct client_property receiver_defaults[] = {
    {"group.id", "headrace-cli"},          {"enable.partition.eof", "true"},
    {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "earliest"},
    {"fetch.wait.max.ms", "100"},          {"fetch.queue.backoff.ms", "5"},
};

struct kafka *kafka_of(struct client *client)
{
    struct kafka *kafka = (struct kafka *)client;
    CHECK_MAGIC(kafka, KAFKA_MAGIC);
    return kafka;
}

struct err kafka_fail(rd_kafka_resp_err_t code, const char *text, struct diag *diag)
{
    enum err_code ours = ERR_INVALID;
    /* librdkafka has a hundred codes; only these mean something to a program. */
    if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        ours = ERR_CLOSED;
    else if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
             code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        ours = ERR_TIMEOUT;
    else if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
             code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
             code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
             code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
        ours = ERR_NOT_FOUND;
    else if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        ours = ERR_EXISTS;
    else if (code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP)
        ours = ERR_BUSY;
    else if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
             code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
             code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED)
        ours = ERR_DENIED;
    else if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
             code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
        ours = ERR_LIMIT;
    else if (code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
             code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
             code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS)
        ours = ERR_ABORTED;
    else if (code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR__FATAL ||
             code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        ours = ERR_FENCED;
    else if (code == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT)
        ours = ERR_AGAIN;
    const char *words = text != NULL && text[0] != '\0' ? text : rd_kafka_err2str(code);
    return diag_fail(diag, ours, "%s", words);
}

struct err kafka_fail_error(rd_kafka_error_t *error, struct diag *diag)
{
    if (error == NULL)
        return ERR_NONE;
    struct err err;
    if (rd_kafka_error_is_fatal(error))
        err = diag_fail(diag, ERR_FENCED, "%s", rd_kafka_error_string(error));
    else if (rd_kafka_error_txn_requires_abort(error))
        err = diag_fail(diag, ERR_ABORTED, "%s", rd_kafka_error_string(error));
    else if (rd_kafka_error_is_retriable(error))
        err = diag_fail(diag, ERR_TIMEOUT, "%s", rd_kafka_error_string(error));
    else
        err = kafka_fail(rd_kafka_error_code(error), rd_kafka_error_string(error), diag);
    rd_kafka_error_destroy(error);
    return err;
}

struct err kafka_text(struct arena *arena, const char *text, const char **out)
{
    if (text == NULL) {
        *out = NULL;
        return ERR_NONE;
    }
    const char *copy = arena_copy_text(arena, span_text(text));
    if (copy == NULL)
        return err_make(ERR_NO_MEMORY);
    *out = copy;
    return ERR_NONE;
}

struct err kafka_answer(struct kafka *kafka, rd_kafka_event_t **event, struct diag *diag)
{
    /* librdkafka's own time-out answers first; the second is for its thread to do so. */
    rd_kafka_event_t *answer = rd_kafka_queue_poll(kafka->answers, kafka->timeout_ms + 1000);
    if (answer == NULL)
        return diag_fail(diag, ERR_TIMEOUT, "no answer within %d ms", kafka->timeout_ms);
    rd_kafka_resp_err_t code = rd_kafka_event_error(answer);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        struct err err = kafka_fail(code, rd_kafka_event_error_string(answer), diag);
        rd_kafka_event_destroy(answer);
        return err;
    }
    *event = answer;
    return ERR_NONE;
}

/* Keeps librdkafka's words about connections; called while polling, on the caller's thread. */
static void notice_trouble(rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
    (void)handle;
    struct kafka *kafka = opaque;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        kafka->is_refused = true;
    else
        (void)snprintf(kafka->trouble, sizeof kafka->trouble, "%s", reason);
}

static struct err set_all(rd_kafka_conf_t *conf, const struct client_property *properties,
                          size_t count, struct diag *diag)
{
    char text[256];
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_conf_set(conf, properties[i].name, properties[i].value, text, sizeof text) !=
            RD_KAFKA_CONF_OK)
            return diag_fail(diag, ERR_INVALID, "%s", text);
    return ERR_NONE;
}

#define SET_TABLE(conf, table, diag) set_all(conf, table, sizeof(table) / sizeof(table)[0], diag)

static struct err configure(struct kafka *kafka, const struct client_settings *settings,
                            rd_kafka_conf_t *conf, struct diag *diag)
{
    TRY(SET_TABLE(conf, defaults, diag));
    if (settings->kind == CLIENT_RECEIVER)
        TRY(SET_TABLE(conf, receiver_defaults, diag));
    else
        TRY(SET_TABLE(conf, sender_defaults, diag));
    TRY(set_all(conf, settings->properties, settings->property_count, diag));
    rd_kafka_conf_set_opaque(conf, kafka);
    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_conf_set_error_cb(conf, notice_trouble);
    if (settings->kind == CLIENT_SENDER)
        rd_kafka_conf_set_dr_msg_cb(conf, kafka_delivered);
    else
        rd_kafka_conf_set_rebalance_cb(conf, kafka_rebalanced);
    return ERR_NONE;
}

/* Waits until a broker answers. */
static struct err reach(struct kafka *kafka, struct diag *diag)
{
    int32_t refused_count = 0;
    for (int32_t waited_ms = 0; waited_ms < kafka->timeout_ms; waited_ms += REACH_SLICE_MS) {
        const struct rd_kafka_metadata *metadata;
        kafka->is_refused = false;
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(kafka->handle, 0, NULL, &metadata, REACH_SLICE_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_metadata_destroy(metadata);
            return ERR_NONE;
        }
        (void)rd_kafka_poll(kafka->handle, 0);
        refused_count += kafka->is_refused;
        if (refused_count >= REACH_REFUSED_COUNT ||
            (kafka->trouble[0] != '\0' && waited_ms >= REACH_REFUSED_COUNT * REACH_SLICE_MS))
            return diag_fail(diag, ERR_CLOSED, "%s", kafka->trouble);
    }
    return diag_fail(diag, ERR_TIMEOUT, "no answer within %d ms", kafka->timeout_ms);
}

static struct err start(struct kafka *kafka, const struct client_settings *settings,
                        struct diag *diag)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct err err = configure(kafka, settings, conf, diag);
    if (err_failed(err)) {
        rd_kafka_conf_destroy(conf);
        return err;
    }
    char text[256];
    rd_kafka_type_t type =
        settings->kind == CLIENT_RECEIVER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
    kafka->handle = rd_kafka_new(type, conf, text, sizeof text);
    if (kafka->handle == NULL) {
        rd_kafka_conf_destroy(conf);
        return diag_fail(diag, ERR_INVALID, "%s", text);
    }
    kafka->answers = rd_kafka_queue_new(kafka->handle);
    kafka->options = rd_kafka_AdminOptions_new(kafka->handle, RD_KAFKA_ADMIN_OP_ANY);
    if (rd_kafka_AdminOptions_set_request_timeout(kafka->options, kafka->timeout_ms, text,
                                                  sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return diag_fail(diag, ERR_INVALID, "%s", text);
    TRY(reach(kafka, diag));
    if (settings->kind == CLIENT_RECEIVER)
        (void)rd_kafka_poll_set_consumer(kafka->handle);
    for (size_t i = 0; i < settings->property_count; i++) {
        if (strcmp(settings->properties[i].name, "transactional.id") == 0)
            return kafka_init_transactions(kafka, diag);
    }
    return ERR_NONE;
}

static void kafka_close(struct client *client)
{
    struct kafka *kafka = kafka_of(client);
    kafka->is_closing = true;
    if (kafka->borrowed != NULL)
        rd_kafka_message_destroy(kafka->borrowed);
    if (kafka->stashed != NULL)
        rd_kafka_message_destroy(kafka->stashed);
    if (kafka->woken != NULL) {
        rd_kafka_queue_io_event_enable(kafka->woken, -1, NULL, 0);
        rd_kafka_queue_destroy(kafka->woken);
    }
    if (kafka->places.list != NULL) {
        struct diag ignored;
        (void)err_failed(kafka_release(client, &ignored));
    }
    if (kafka->options != NULL)
        rd_kafka_AdminOptions_destroy(kafka->options);
    if (kafka->answers != NULL)
        rd_kafka_queue_destroy(kafka->answers);
    if (kafka->handle != NULL) {
        if (kafka->is_subscribed)
            (void)rd_kafka_consumer_close(kafka->handle);
        rd_kafka_destroy_flags(kafka->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    kafka->magic = 0;
    free(kafka);
}

static struct err kafka_open(const struct client_settings *settings, struct client **client,
                             struct diag *diag)
{
    CHECK(settings->timeout_ms > 0);
    struct kafka *kafka = calloc(1, sizeof *kafka);
    if (kafka == NULL)
        return err_make(ERR_NO_MEMORY);
    kafka->client.ops = &client_kafka;
    kafka->magic = KAFKA_MAGIC;
    kafka->timeout_ms = settings->timeout_ms;
    struct err err = start(kafka, settings, diag);
    if (err_failed(err)) {
        kafka_close(&kafka->client);
        return err;
    }
    *client = &kafka->client;
    return ERR_NONE;
}

const struct client_ops client_kafka = {
    .open = kafka_open,
    .close = kafka_close,
    .cluster = kafka_cluster,
    .topic_create = kafka_topic_create,
    .topic_delete = kafka_topic_delete,
    .topic_grow = kafka_topic_grow,
    .configs = kafka_configs,
    .configs_change = kafka_configs_change,
    .offsets_find = kafka_offsets_find,
    .groups = kafka_groups,
    .group_describe = kafka_group_describe,
    .group_delete = kafka_group_delete,
    .group_offsets = kafka_group_offsets,
    .group_offsets_set = kafka_group_offsets_set,
    .sender.send = kafka_send,
    .sender.flush = kafka_flush,
    .receiver.assign = kafka_assign,
    .receiver.subscribe = kafka_subscribe,
    .receiver.receive = kafka_receive,
    .receiver.commit = kafka_commit,
    .receiver.join = kafka_join,
    .receiver.take = kafka_take,
    .receiver.release = kafka_release,
    .receiver.pause = kafka_pause,
    .receiver.committed = kafka_committed,
    .receiver.offsets_commit = kafka_offsets_commit,
    .receiver.wake_by = kafka_wake_by,
    .receiver.generation = kafka_generation,
    .sender.begin = kafka_begin,
    .sender.offsets_add = kafka_offsets_add,
    .sender.end = kafka_end,
};
