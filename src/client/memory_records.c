/*
 * memory_records: sending to and receiving from a cluster in memory.
 *
 * A message that was given out is done with when the next one is asked for, or at a commit.
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
    struct memory_slot *slots = arena_alloc_array(&cluster->arena, capacity, sizeof *slots);
    if (slots == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < partition->count; i++)
        slots[i] = partition->slots[i];
    partition->slots = slots;
    partition->capacity = capacity;
    return ERR_NONE;
}

struct err memory_append(struct memory_cluster *cluster, struct memory_partition *partition,
                         const struct client_message *message,
                         const struct memory_transaction *transaction)
{
    TRY(make_room(cluster, partition));
    partition->slots[partition->count++] = (struct memory_slot){message, transaction};
    return ERR_NONE;
}

size_t memory_stable_end(const struct memory_partition *partition)
{
    size_t end = partition->start;
    while (end < partition->count && (partition->slots[end].transaction == NULL ||
                                      partition->slots[end].transaction->fate != MEMORY_OPEN))
        end++;
    return end;
}

static int32_t choose_partition(struct memory_cluster *cluster, const struct memory_topic *topic,
                                const struct client_message *message)
{
    if (message->partition >= 0)
        return message->partition;
    uint64_t choice = span_is_null(message->key) ? cluster->turn++ : hash_bytes(message->key, 0);
    return (int32_t)(choice % (uint64_t)topic->partition_count);
}

static struct err append(struct memory *memory, const struct client_message *message)
{
    struct memory_cluster *cluster = memory->cluster;
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
    kept->topic = topic->name;
    kept->partition = index;
    kept->offset = (int64_t)partition->count;
    return memory_append(cluster, partition, kept, memory->transaction);
}

struct err memory_send(struct client *client, const struct client_message *message,
                       struct diag *diag)
{
    struct memory *memory = memory_of(client);
    if (memory->transactional_id != NULL && memory->transaction == NULL)
        return diag_fail(diag, ERR_INVALID, "no transaction was begun");
    struct err err;
    if (memory->is_fenced || (memory->is_gapless && err_failed(memory->failure)))
        err = err_make(ERR_FENCED);
    else
        err = append(memory, message);
    if (!err_failed(err)) {
        memory->counts.acknowledged++;
        return ERR_NONE;
    }
    memory->counts.failed++;
    if (!err_failed(memory->failure)) {
        memory->failure = err;
        memory->counts.failed_tag = message->tag;
    }
    return ERR_NONE; /* flush and end tell */
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

struct err memory_reserve_places(struct memory *memory, size_t count_max)
{
    struct memory_place *places = calloc(count_max == 0 ? 1 : count_max, sizeof *places);
    if (places == NULL)
        return err_make(ERR_NO_MEMORY);
    CHECK(count_max >= memory->place_count);
    for (size_t i = 0; i < memory->place_count; i++)
        places[i] = memory->places[i];
    free(memory->places);
    memory->places = places;
    return ERR_NONE;
}

void memory_add_place(struct memory *memory, const struct memory_topic *topic, int32_t partition,
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
    CHECK(memory->member.group == NULL);
    memory->place_count = 0;
    memory->next_place = 0;
    memory->is_received = false;
    TRY(memory_reserve_places(memory, count));
    for (size_t i = 0; i < count; i++) {
        const struct memory_topic *topic = memory_find_topic(memory->cluster, offsets[i].topic);
        if (topic == NULL || offsets[i].partition >= topic->partition_count)
            return diag_fail(diag, ERR_NOT_FOUND, "there is no partition %d of %s",
                             offsets[i].partition, offsets[i].topic);
        int64_t offset = offsets[i].offset;
        if (offset == CLIENT_OFFSET_EARLIEST)
            offset = (int64_t)topic->partitions[offsets[i].partition].start;
        memory_add_place(memory, topic, offsets[i].partition, offset);
    }
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

/* Steps over what readers do not see; false where nothing is left before the end. */
static bool find_visible(struct memory_place *place, size_t end)
{
    const struct memory_partition *partition = &place->topic->partitions[place->partition];
    for (; place->offset < (int64_t)end; place->offset++) {
        const struct memory_slot *slot = &partition->slots[place->offset];
        if (slot->message != NULL &&
            (slot->transaction == NULL || slot->transaction->fate == MEMORY_COMMITTED_ALL))
            return true;
    }
    return false;
}

/* What the place has to tell: a message, its end once, or nothing. */
static bool look_at(struct memory_place *place, struct client_event *event)
{
    if (place->is_paused || place->is_revoked || place->is_given)
        return false;
    const struct memory_partition *partition = &place->topic->partitions[place->partition];
    size_t end = memory_stable_end(partition);
    event->message =
        (struct client_message){.topic = place->topic->name, .partition = place->partition};
    if (place->offset < (int64_t)partition->start) {
        event->kind = CLIENT_EVENT_RESET;
        place->is_given = true; /* nothing comes of it until it is taken again */
        return true;
    }
    if (find_visible(place, end)) {
        event->kind = CLIENT_EVENT_MESSAGE;
        event->message = *partition->slots[place->offset].message;
        return true;
    }
    if (place->told_end == (int64_t)end)
        return false;
    place->told_end = (int64_t)end;
    event->kind = CLIENT_EVENT_END;
    event->message.offset = (int64_t)end;
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
    TRY(memory_settle(memory, event));
    for (size_t i = 0; i < memory->place_count && event->kind == CLIENT_EVENT_NONE; i++) {
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
    CHECK(memory->member.group != NULL && !memory->member.is_joined);
    give_back(memory);
    TRY(memory_count_call(memory->cluster, MEMORY_COMMIT));
    if (memory->member.generation != memory->member.group->generation)
        return diag_fail(diag, ERR_INVALID, "the partitions have gone to other members meanwhile");
    for (size_t i = 0; i < memory->place_count; i++) {
        struct memory_place *place = &memory->places[i];
        if (place->offset == place->committed)
            continue;
        struct client_offset at = {
            .topic = place->topic->name, .partition = place->partition, .offset = place->offset};
        TRY(memory_set_committed(memory->cluster, memory->member.group, &at));
        place->committed = place->offset;
    }
    return ERR_NONE;
}
