/* kafka_records: sending and receiving by librdkafka. */
#include "base/check.h"
#include "client/kafka_internal.h"

/* One wait for room in the queue. */
#define ROOM_SLICE_MS 100

void kafka_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    struct kafka *kafka = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->counts.acknowledged++;
        return;
    }
    kafka->counts.failed++;
    if (kafka->failure == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->failure = message->err;
        kafka->counts.failed_tag = message->_private;
    }
}

/* The headers as librdkafka wants them; the caller owns *out, NULL where there are none. */
static struct err make_headers(const struct client_message *message, rd_kafka_headers_t **out,
                               struct diag *diag)
{
    *out = NULL;
    if (message->header_count == 0)
        return ERR_NONE;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(message->header_count);
    for (size_t i = 0; i < message->header_count; i++) {
        const struct client_header *header = &message->headers[i];
        rd_kafka_resp_err_t code = rd_kafka_header_add(
            headers, header->name, -1, header->value.data, (ssize_t)header->value.size);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_headers_destroy(headers);
            return kafka_fail(code, NULL, diag);
        }
    }
    *out = headers;
    return ERR_NONE;
}

/* One try. librdkafka takes the headers only where it takes the message. */
static rd_kafka_resp_err_t try_send(struct kafka *kafka, const struct client_message *message,
                                    rd_kafka_headers_t *headers)
{
    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = message->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = message->partition},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = message->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {.ptr = span_writable(message->key), .size = message->key.size}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = span_writable(message->value), .size = message->value.size}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = message->tag},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = sizeof parts / sizeof parts[0] - (headers == NULL);
    rd_kafka_error_t *error = rd_kafka_produceva(kafka->handle, parts, count);
    if (error == NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return code;
}

struct err kafka_send(struct client *client, const struct client_message *message,
                      struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_headers_t *headers;
    TRY(make_headers(message, &headers, diag));
    rd_kafka_resp_err_t code = try_send(kafka, message, headers);
    for (int32_t waited_ms = 0;
         code == RD_KAFKA_RESP_ERR__QUEUE_FULL && waited_ms < kafka->timeout_ms;
         waited_ms += ROOM_SLICE_MS) {
        (void)rd_kafka_poll(kafka->handle, ROOM_SLICE_MS);
        code = try_send(kafka, message, headers);
    }
    (void)rd_kafka_poll(kafka->handle, 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return ERR_NONE;
    if (headers != NULL)
        rd_kafka_headers_destroy(headers);
    return kafka_fail(code, NULL, diag);
}

struct err kafka_flush(struct client *client, int32_t timeout_ms, struct client_counts *counts,
                       struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    if (timeout_ms == 0)
        (void)rd_kafka_poll(kafka->handle, 0);
    else
        (void)rd_kafka_flush(kafka->handle, timeout_ms);
    *counts = kafka->counts;
    counts->waiting = rd_kafka_outq_len(kafka->handle);
    if (kafka->failure != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(kafka->failure, NULL, diag);
    return ERR_NONE;
}

struct err kafka_assign(struct client *client, const struct client_offset *offsets, size_t count,
                        struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_partition_list_t *list = kafka_place_list(offsets, count);
    rd_kafka_resp_err_t code = rd_kafka_assign(kafka->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERR_NONE : kafka_fail(code, NULL, diag);
}

/* Lets the borrowed message go; in a group it counts as done. */
static void give_back(struct kafka *kafka)
{
    if (kafka->borrowed == NULL)
        return;
    if (kafka->is_subscribed && !kafka->is_joined &&
        kafka->borrowed->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        /* Refused when the partition has gone to another member meanwhile, rightly. */
        rd_kafka_error_t *error = rd_kafka_offset_store_message(kafka->borrowed);
        if (error != NULL)
            rd_kafka_error_destroy(error);
    }
    rd_kafka_message_destroy(kafka->borrowed);
    kafka->borrowed = NULL;
}

static size_t take_headers(struct kafka *kafka, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t count = 0;
    const void *value;
    size_t size;
    while (count < CLIENT_HEADER_COUNT_MAX &&
           rd_kafka_header_get_all(headers, count, &kafka->headers[count].name, &value, &size) ==
               RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka->headers[count++].value = span_make(value, size);
    return count;
}

static void take_message(struct kafka *kafka, const rd_kafka_message_t *message,
                         struct client_event *event)
{
    struct client_message *to = &event->message;
    to->topic = rd_kafka_topic_name(message->rkt);
    to->partition = message->partition;
    to->offset = message->offset;
    if (event->kind != CLIENT_EVENT_MESSAGE)
        return;
    rd_kafka_timestamp_type_t type;
    to->timestamp_ms = rd_kafka_message_timestamp(message, &type);
    to->key = span_make(message->key, message->key_len);
    to->value = span_make(message->payload, message->len);
    to->headers = kafka->headers;
    to->header_count = take_headers(kafka, message);
}

/* librdkafka repairs these by itself: the next receive goes on. */
static bool is_passing(const struct kafka *kafka, rd_kafka_resp_err_t code)
{
    /* Topics of a member may still come; that it was too slow, LOST tells. */
    if (kafka->is_joined && (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                             code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED))
        return true;
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
           code == RD_KAFKA_RESP_ERR__RESOLVE || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

/* What the received message, borrowed from now on, has to tell. */
static struct err take_received(struct kafka *kafka, rd_kafka_message_t *message,
                                struct client_event *event, struct diag *diag)
{
    kafka->borrowed = message;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        event->kind = CLIENT_EVENT_MESSAGE;
    else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        event->kind = CLIENT_EVENT_END;
    else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && kafka->is_joined)
        event->kind = CLIENT_EVENT_RESET;
    else if (is_passing(kafka, message->err))
        return ERR_NONE;
    else
        return kafka_fail(message->err, rd_kafka_message_errstr(message), diag);
    take_message(kafka, message, event);
    return ERR_NONE;
}

struct err kafka_receive(struct client *client, int32_t timeout_ms, struct client_event *event,
                         struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    give_back(kafka);
    *event = (struct client_event){.kind = CLIENT_EVENT_NONE};
    if (kafka->stashed == NULL)
        kafka->stashed = rd_kafka_consumer_poll(kafka->handle, timeout_ms);
    /* Whoever learns that a place goes must not have to deal with its message first. */
    TRY(kafka_tell_places(kafka, event));
    rd_kafka_message_t *message = kafka->stashed;
    if (event->kind != CLIENT_EVENT_NONE || message == NULL)
        return ERR_NONE;
    kafka->stashed = NULL;
    return take_received(kafka, message, event, diag);
}

struct err kafka_commit(struct client *client, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    CHECK(kafka->is_subscribed);
    give_back(kafka);
    rd_kafka_resp_err_t code = rd_kafka_commit(kafka->handle, NULL, 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__NO_OFFSET)
        return ERR_NONE;
    return kafka_fail(code, NULL, diag);
}
