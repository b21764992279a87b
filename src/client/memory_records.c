/*
 * memory_records: sending to and receiving from a cluster in memory.
 *
 *  1. A message that was given out is done with when the next one is asked for, or at a commit.
 *  2. A member's places are its share of the group's generation; when that has moved on, the next
 *     receive takes the new share, from the committed offsets on, and a commit is refused.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "client/memory_internal.h"

/* Copies what a partition keeps of a message. */
static struct err keep_message(struct memory_cluster *cluster, const struct client_message *from,
                               struct client_message *to)
{
    struct arena *arena = &cluster->arena;
    *to = (struct client_message){.timestamp_ms = from->timestamp_ms,
                                  .header_count = from->header_count};
    if (to->timestamp_ms == 0)
        to->timestamp_ms = clock_wall_ms(cluster->clock);
    TRY(arena_copy(arena, from->key, &to->key));
    TRY(arena_copy(arena, from->value, &to->value));
    struct client_header *headers = arena_alloc_array(arena, from->header_count, sizeof *headers);
    if (headers == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < from->header_count; i++) {
        headers[i].name = arena_copy_text(arena, span_text(from->headers[i].name));
        if (headers[i].name == NULL)
            return err_make(ERR_NO_MEMORY);
        TRY(arena_copy(arena, from->headers[i].value, &headers[i].value));
    }
    to->headers = headers;
    return ERR_NONE;
}

/* Makes room for one more message, doubling; the arena keeps the old array until its end. */
static struct err make_room(struct memory_cluster *cluster, struct memory_partition *partition)
{
    if (partition->count < partition->capacity)
        return ERR_NONE;
    size_t capacity = partition->capacity == 0 ? 16 : 2 * partition->capacity;
    const struct client_message **messages =
        arena_alloc_array(&cluster->arena, capacity, sizeof(struct client_message *));
    if (messages == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < partition->count; i++)
        messages[i] = partition->messages[i];
    partition->messages = messages;
    partition->capacity = capacity;
    return ERR_NONE;
}

static int32_t choose_partition(struct memory_cluster *cluster, const struct memory_topic *topic,
                                const struct client_message *message)
{
    if (message->partition >= 0)
        return message->partition;
    uint64_t choice = span_is_null(message->key) ? cluster->turn++ : hash_bytes(message->key, 0);
    return (int32_t)(choice % (uint64_t)topic->partition_count);
}

static struct err append(struct memory_cluster *cluster, const struct client_message *message)
{
    TRY(memory_count_call(cluster, MEMORY_SEND));
    struct memory_topic *topic = memory_find_topic(cluster, message->topic);
    if (topic == NULL)
        return err_make(ERR_NOT_FOUND);
    int32_t index = choose_partition(cluster, topic, message);
    if (index >= topic->partition_count)
        return err_make(ERR_NOT_FOUND);
    struct memory_partition *partition = &topic->partitions[index];
    struct client_message *kept = arena_alloc(&cluster->arena, sizeof *kept);
    if (kept == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(keep_message(cluster, message, kept));
    TRY(make_room(cluster, partition));
    kept->topic = topic->name;
    kept->partition = index;
    kept->offset = (int64_t)partition->count;
    partition->messages[partition->count++] = kept;
    return ERR_NONE;
}

struct err memory_send(struct client *client, const struct client_message *message,
                       struct diag *diag)
{
    struct memory *memory = memory_of(client);
    (void)diag;
    struct err err = append(memory->cluster, message);
    if (err_failed(err)) {
        memory->counts.failed++;
        if (!err_failed(memory->failure))
            memory->failure = err;
    } else {
        memory->counts.acknowledged++;
    }
    return ERR_NONE; /* flush tells */
}

struct err memory_flush(struct client *client, int32_t timeout_ms, struct client_counts *counts,
                        struct diag *diag)
{
    const struct memory *memory = memory_of(client);
    (void)timeout_ms;
    *counts = memory->counts;
    if (!err_failed(memory->failure))
        return ERR_NONE;
    return diag_fail(diag, memory->failure.code, "a message was lost: %s",
                     err_text(memory->failure));
}

/* Makes room for places, none of them filled. */
static struct err begin_places(struct memory *memory, size_t count_max)
{
    struct memory_place *places = calloc(count_max == 0 ? 1 : count_max, sizeof *places);
    if (places == NULL)
        return err_make(ERR_NO_MEMORY);
    free(memory->places);
    memory->places = places;
    memory->place_count = 0;
    memory->next_place = 0;
    memory->is_received = false;
    return ERR_NONE;
}

static void add_place(struct memory *memory, const struct memory_topic *topic, int32_t partition,
                      int64_t offset)
{
    memory->places[memory->place_count++] = (struct memory_place){.topic = topic,
                                                                  .partition = partition,
                                                                  .offset = offset,
                                                                  .told_end = -1,
                                                                  .committed = offset};
}

struct err memory_assign(struct client *client, const struct client_offset *offsets, size_t count,
                         struct diag *diag)
{
    struct memory *memory = memory_of(client);
    CHECK(memory->group == NULL);
    TRY(begin_places(memory, count));
    for (size_t i = 0; i < count; i++) {
        const struct memory_topic *topic = memory_find_topic(memory->cluster, offsets[i].topic);
        if (topic == NULL || offsets[i].partition >= topic->partition_count)
            return diag_fail(diag, ERR_NOT_FOUND, "there is no partition %d of %s",
                             offsets[i].partition, offsets[i].topic);
        add_place(memory, topic, offsets[i].partition, offsets[i].offset);
    }
    return ERR_NONE;
}

struct err memory_subscribe(struct client *client, const char *topic, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    CHECK(memory->group == NULL);
    if (memory->group_id == NULL)
        return diag_fail(diag, ERR_INVALID, "subscribing needs group.id");
    const char *name = arena_copy_text(&memory->cluster->arena, span_text(topic));
    if (name == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(memory_make_group(memory->cluster, memory->group_id, &memory->group));
    memory->subscribed = name;
    memory->generation = memory->group->generation++; /* no share of it is known yet */
    list_append(&memory->group->members, &memory->link);
    return ERR_NONE;
}

/* Takes every count-th partition of the topic, in the order in which members came. */
static struct err take_share(struct memory *memory)
{
    const struct memory_group *group = memory->group;
    const struct memory_topic *topic = memory_find_topic(memory->cluster, memory->subscribed);
    int32_t count = 0;
    int32_t mine = 0;
    LIST_EACH (&group->members, link) {
        mine = link == &memory->link ? count : mine;
        count++;
    }
    int32_t partition_count = topic == NULL ? 0 : topic->partition_count;
    TRY(begin_places(memory, (size_t)partition_count));
    for (int32_t i = mine; i < partition_count; i += count) {
        int64_t offset = memory_committed(group, topic->name, i);
        if (offset < 0)
            offset = memory->is_reset_to_end ? (int64_t)topic->partitions[i].count : 0;
        add_place(memory, topic, i, offset);
    }
    memory->generation = group->generation;
    return ERR_NONE;
}

/* What was given out last is done with. */
static void give_back(struct memory *memory)
{
    if (memory->is_received) {
        memory->places[memory->next_place].offset++;
        memory->next_place = (memory->next_place + 1) % memory->place_count;
    }
    memory->is_received = false;
}

/* What the place has to tell: a message, its end once, or nothing. */
static bool look_at(struct memory_place *place, struct client_event *event)
{
    const struct memory_partition *partition = &place->topic->partitions[place->partition];
    int64_t end = (int64_t)partition->count;
    if (place->offset < end) {
        event->kind = CLIENT_EVENT_MESSAGE;
        event->message = *partition->messages[place->offset];
        return true;
    }
    if (place->told_end == end)
        return false;
    place->told_end = end;
    event->kind = CLIENT_EVENT_END;
    event->message = (struct client_message){
        .topic = place->topic->name, .partition = place->partition, .offset = end};
    return true;
}

struct err memory_receive(struct client *client, int32_t timeout_ms, struct client_event *event,
                          struct diag *diag)
{
    struct memory *memory = memory_of(client);
    (void)timeout_ms;
    (void)diag;
    give_back(memory);
    *event = (struct client_event){.kind = CLIENT_EVENT_NONE};
    TRY(memory_count_call(memory->cluster, MEMORY_RECEIVE));
    if (memory->group != NULL && memory->generation != memory->group->generation)
        TRY(take_share(memory));
    for (size_t i = 0; i < memory->place_count; i++) {
        if (look_at(&memory->places[memory->next_place], event)) {
            memory->is_received = event->kind == CLIENT_EVENT_MESSAGE;
            return ERR_NONE;
        }
        memory->next_place = (memory->next_place + 1) % memory->place_count;
    }
    return ERR_NONE;
}

struct err memory_commit(struct client *client, struct diag *diag)
{
    struct memory *memory = memory_of(client);
    CHECK(memory->group != NULL);
    give_back(memory);
    TRY(memory_count_call(memory->cluster, MEMORY_COMMIT));
    if (memory->generation != memory->group->generation)
        return diag_fail(diag, ERR_INVALID, "the partitions have gone to other members meanwhile");
    for (size_t i = 0; i < memory->place_count; i++) {
        struct memory_place *place = &memory->places[i];
        if (place->offset == place->committed)
            continue;
        struct client_offset at = {place->topic->name, place->partition, place->offset};
        TRY(memory_set_committed(memory->cluster, memory->group, &at));
        place->committed = place->offset;
    }
    return ERR_NONE;
}
