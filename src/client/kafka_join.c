/*
 * kafka_join: a member of a group that minds its places itself, by librdkafka.
 *
 * librdkafka tells of places by a callback inside its poll, and waits, heartbeating, until assign
 * or unassign is called. The callback only keeps the word; kafka_receive hands it to the caller as
 * an event, and the caller's answer calls what librdkafka waits for. While nobody minds places (a
 * member that subscribed, or one that is closing) the callback answers by itself.
 */
#include <stdlib.h>

#include "base/check.h"
#include "client/kafka_internal.h"

rd_kafka_topic_partition_list_t *kafka_place_list(const struct client_offset *offsets, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, offsets[i].topic, offsets[i].partition)->offset =
            offsets[i].offset;
    return list;
}

static bool is_cooperative(rd_kafka_t *handle)
{
    const char *protocol = rd_kafka_rebalance_protocol(handle);
    return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

static struct err assign(rd_kafka_t *handle, const rd_kafka_topic_partition_list_t *places,
                         struct diag *diag)
{
    if (is_cooperative(handle))
        return kafka_fail_error(rd_kafka_incremental_assign(handle, places), diag);
    rd_kafka_resp_err_t code = rd_kafka_assign(handle, places);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERR_NONE : kafka_fail(code, NULL, diag);
}

static struct err unassign(rd_kafka_t *handle, const rd_kafka_topic_partition_list_t *places,
                           struct diag *diag)
{
    if (is_cooperative(handle))
        return kafka_fail_error(rd_kafka_incremental_unassign(handle, places), diag);
    rd_kafka_resp_err_t code = rd_kafka_assign(handle, NULL);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERR_NONE : kafka_fail(code, NULL, diag);
}

void kafka_rebalanced(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *places, void *opaque)
{
    struct kafka *kafka = opaque;
    bool is_given = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (!kafka->is_joined || kafka->is_closing || places->cnt == 0) {
        /* An assignment that librdkafka refuses is one that has changed again; it calls anew. */
        struct diag ignored;
        (void)err_failed(is_given ? assign(handle, places, &ignored)
                                  : unassign(handle, places, &ignored));
        return;
    }
    CHECK(kafka->places.list == NULL);
    kafka->places.list = rd_kafka_topic_partition_list_copy(places);
    kafka->places.is_told = false;
    kafka->places.kind = CLIENT_EVENT_REVOKED;
    if (is_given)
        kafka->places.kind = CLIENT_EVENT_ASSIGNED;
    else if (rd_kafka_assignment_lost(handle))
        kafka->places.kind = CLIENT_EVENT_LOST;
}

struct err kafka_tell_places(struct kafka *kafka, struct client_event *event)
{
    if (kafka->places.list == NULL || kafka->places.is_told)
        return ERR_NONE;
    size_t count = (size_t)kafka->places.list->cnt;
    kafka->places.views = calloc(count, sizeof *kafka->places.views);
    if (kafka->places.views == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        kafka->places.views[i] =
            (struct client_offset){.topic = kafka->places.list->elems[i].topic,
                                   .partition = kafka->places.list->elems[i].partition};
    *event = (struct client_event){
        .kind = kafka->places.kind, .places = kafka->places.views, .place_count = count};
    kafka->places.is_told = true;
    return ERR_NONE;
}

/* The event is answered. */
static void forget_places(struct kafka *kafka)
{
    rd_kafka_topic_partition_list_destroy(kafka->places.list);
    free(kafka->places.views);
    kafka->places.list = NULL;
    kafka->places.views = NULL;
    kafka->places.kind = CLIENT_EVENT_NONE;
}

static struct err enter(struct kafka *kafka, const char *const *topics, size_t count,
                        struct diag *diag)
{
    CHECK(!kafka->is_subscribed);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(kafka->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(code, NULL, diag);
    kafka->is_subscribed = true;
    return ERR_NONE;
}

struct err kafka_subscribe(struct client *client, const char *topic, struct diag *diag)
{
    return enter(kafka_of(client), &topic, 1, diag);
}

struct err kafka_join(struct client *client, const char *const *topics, size_t count,
                      struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    kafka->is_joined = true;
    return enter(kafka, topics, count, diag);
}

/* Goes on at other offsets in places that it has. */
static struct err seek(struct kafka *kafka, rd_kafka_topic_partition_list_t *places,
                       struct diag *diag)
{
    TRY(kafka_fail_error(rd_kafka_seek_partitions(kafka->handle, places, kafka->timeout_ms), diag));
    for (int i = 0; i < places->cnt; i++) {
        if (places->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return kafka_fail(places->elems[i].err, NULL, diag);
    }
    return ERR_NONE;
}

struct err kafka_take(struct client *client, const struct client_offset *offsets, size_t count,
                      struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_partition_list_t *list = kafka_place_list(offsets, count);
    bool is_answer = kafka->places.list != NULL && kafka->places.kind == CLIENT_EVENT_ASSIGNED;
    struct err err = is_answer ? assign(kafka->handle, list, diag) : seek(kafka, list, diag);
    rd_kafka_topic_partition_list_destroy(list);
    if (is_answer)
        forget_places(kafka);
    return err;
}

struct err kafka_release(struct client *client, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    CHECK(kafka->places.list != NULL);
    struct err err = ERR_NONE;
    if (kafka->places.kind ==
        CLIENT_EVENT_ASSIGNED) /* never taken, at a close: nothing to give up */
        err = assign(kafka->handle, kafka->places.list, diag);
    else
        err = unassign(kafka->handle, kafka->places.list, diag);
    forget_places(kafka);
    return err;
}

struct err kafka_pause(struct client *client, const struct client_offset *places, size_t count,
                       bool is_paused, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_partition_list_t *list = kafka_place_list(places, count);
    rd_kafka_resp_err_t code = is_paused ? rd_kafka_pause_partitions(kafka->handle, list)
                                         : rd_kafka_resume_partitions(kafka->handle, list);
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        code = list->elems[i].err;
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERR_NONE : kafka_fail(code, NULL, diag);
}

/* One partition's answer. */
static struct err take_committed(const rd_kafka_topic_partition_t *from, struct arena *arena,
                                 struct client_offset *to, struct diag *diag)
{
    if (from->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_fail(from->err, NULL, diag);
    to->offset = from->offset < 0 ? -1 : from->offset;
    to->metadata = NULL;
    if (from->metadata_size == 0)
        return ERR_NONE;
    to->metadata = arena_copy_text(arena, span_make(from->metadata, from->metadata_size));
    return to->metadata == NULL ? err_make(ERR_NO_MEMORY) : ERR_NONE;
}

struct err kafka_committed(struct client *client, struct client_offset *offsets, size_t count,
                           struct arena *arena, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_partition_list_t *list = kafka_place_list(offsets, count);
    rd_kafka_resp_err_t code = rd_kafka_committed(kafka->handle, list, kafka->timeout_ms);
    struct err err = code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERR_NONE : kafka_fail(code, NULL, diag);
    for (size_t i = 0; i < count && !err_failed(err); i++)
        err = take_committed(&list->elems[i], arena, &offsets[i], diag);
    rd_kafka_topic_partition_list_destroy(list);
    return err;
}

/* The places with their metadata, to be committed. NULL: no memory. */
static rd_kafka_topic_partition_list_t *commit_list(const struct client_offset *offsets,
                                                    size_t count)
{
    rd_kafka_topic_partition_list_t *list = kafka_place_list(offsets, count);
    for (size_t i = 0; i < count; i++) {
        if (offsets[i].metadata == NULL)
            continue;
        list->elems[i].metadata = strdup(offsets[i].metadata); /* the list frees it */
        if (list->elems[i].metadata == NULL) {
            rd_kafka_topic_partition_list_destroy(list);
            return NULL;
        }
        list->elems[i].metadata_size = strlen(offsets[i].metadata);
    }
    return list;
}

struct err kafka_offsets_commit(struct client *client, const struct client_offset *offsets,
                                size_t count, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_partition_list_t *list = commit_list(offsets, count);
    if (list == NULL)
        return err_make(ERR_NO_MEMORY);
    rd_kafka_resp_err_t code = rd_kafka_commit(kafka->handle, list, 0);
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        code = list->elems[i].err;
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ERR_NONE : kafka_fail(code, NULL, diag);
}

int32_t kafka_generation(struct client *client)
{
    rd_kafka_consumer_group_metadata_t *group =
        rd_kafka_consumer_group_metadata(kafka_of(client)->handle);
    if (group == NULL)
        return -1;
    int32_t generation = rd_kafka_consumer_group_metadata_generation_id(group);
    rd_kafka_consumer_group_metadata_destroy(group);
    return generation;
}

void kafka_wake_by(struct client *client, int fd)
{
    static const uint64_t one = 1;
    struct kafka *kafka = kafka_of(client);
    CHECK(kafka->woken == NULL);
    kafka->woken = rd_kafka_queue_get_consumer(kafka->handle);
    rd_kafka_queue_io_event_enable(kafka->woken, fd, &one, sizeof one);
}

struct err kafka_offsets_add(struct client *client, struct client *receiver,
                             const struct client_offset *offsets, size_t count, struct diag *diag)
{
    struct kafka *kafka = kafka_of(client);
    rd_kafka_topic_partition_list_t *list = commit_list(offsets, count);
    if (list == NULL)
        return err_make(ERR_NO_MEMORY);
    rd_kafka_consumer_group_metadata_t *group =
        rd_kafka_consumer_group_metadata(kafka_of(receiver)->handle);
    CHECK(group != NULL); /* it has a group.id, or it would not have joined */
    struct err err;
    /* Without a generation the group would take them from anybody, as from clients before KIP-447.
     */
    if (rd_kafka_consumer_group_metadata_generation_id(group) < 0 ||
        rd_kafka_consumer_group_metadata_member_id(group)[0] == '\0')
        err = diag_fail(diag, ERR_ABORTED, "the receiver is no member of its group now");
    else
        err = kafka_fail_error(
            rd_kafka_send_offsets_to_transaction(kafka->handle, list, group, kafka->timeout_ms),
            diag);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_group_metadata_destroy(group);
    return err;
}
