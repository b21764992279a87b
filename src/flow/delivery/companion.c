/* companion: which partitions are read, from where, and how far. */
#include "flow/delivery/companion.h"

#include <stdlib.h>

#include "base/check.h"

/* After a failure. */
#define RETRY_MS 100

void companion_init(struct companion *companion, struct client *reader)
{
    *companion = (struct companion){.reader = reader};
    list_init(&companion->parts);
}

void companion_deinit(struct companion *companion)
{
    struct list *link;
    while ((link = list_pop(&companion->parts)) != NULL)
        free(LIST_ENTRY(link, struct companion_part, link));
}

static struct companion_part *find(const struct companion *companion, const char *topic,
                                   int32_t partition)
{
    LIST_EACH (&companion->parts, link) {
        struct companion_part *part = LIST_ENTRY(link, struct companion_part, link);
        if (part->partition == partition && strcmp(part->topic, topic) == 0)
            return part;
    }
    return NULL;
}

struct err companion_want(struct companion *companion, const char *topic, int32_t partition,
                          int64_t from)
{
    struct companion_part *part = find(companion, topic, partition);
    if (part == NULL) {
        part = calloc(1, sizeof *part);
        if (part == NULL)
            return err_make(ERR_NO_MEMORY);
        part->topic = topic;
        part->partition = partition;
        list_append(&companion->parts, &part->link);
    }
    part->use_count++;
    part->from = from;
    part->position = -1;
    companion->has_changed = true;
    companion->due_ms = 0;
    return ERR_NONE;
}

void companion_want_no(struct companion *companion, const char *topic, int32_t partition)
{
    struct companion_part *part = find(companion, topic, partition);
    CHECK(part != NULL && part->use_count > 0);
    if (--part->use_count > 0)
        return;
    list_remove(&part->link);
    free(part);
    companion->has_changed = true;
}

/* The highest partition of the topic that is to be found; -1: the part is not the first of its
 * topic that is. */
static int32_t highest_partition(const struct companion *companion,
                                 const struct companion_part *part)
{
    int32_t highest = -1;
    LIST_EACH (&companion->parts, link) {
        const struct companion_part *other = LIST_ENTRY(link, struct companion_part, link);
        if (other->position >= 0 || strcmp(other->topic, part->topic) != 0)
            continue;
        if (highest < 0 && other != part)
            return -1;
        if (other->partition > highest)
            highest = other->partition;
    }
    return highest;
}

/* Makes partitions that topics lack: those that they belong to have grown. */
static struct err grow(struct companion *companion, struct arena *arena, struct diag *diag)
{
    struct client_cluster cluster;
    LIST_EACH (&companion->parts, link) {
        const struct companion_part *part = LIST_ENTRY(link, struct companion_part, link);
        int32_t highest = part->position < 0 ? highest_partition(companion, part) : -1;
        if (highest < 0)
            continue;
        TRY(client_cluster(companion->reader, part->topic, arena, &cluster, diag));
        if ((size_t)highest >= cluster.topics[0].partition_count)
            TRY(client_topic_grow(companion->reader, part->topic, highest + 1, diag));
    }
    return ERR_NONE;
}

/* Finds where those begin and end that are to be found. room: for as many as there are. */
static struct err locate(struct companion *companion, struct client_offset *room,
                         struct client_offset *ends, struct diag *diag)
{
    size_t count = 0;
    LIST_EACH (&companion->parts, link) {
        const struct companion_part *part = LIST_ENTRY(link, struct companion_part, link);
        if (part->position >= 0)
            continue;
        room[count] = (struct client_offset){
            .topic = part->topic, .partition = part->partition, .offset = part->from};
        ends[count] = room[count];
        ends[count++].offset = CLIENT_OFFSET_LATEST;
    }
    if (count == 0)
        return ERR_NONE;
    TRY(client_offsets_find(companion->reader, room, count, diag));
    TRY(client_offsets_find(companion->reader, ends, count, diag));
    count = 0;
    LIST_EACH (&companion->parts, link) {
        struct companion_part *part = LIST_ENTRY(link, struct companion_part, link);
        if (part->position >= 0)
            continue;
        part->end = ends[count].offset;
        part->position = room[count].offset < 0 ? part->end : room[count].offset;
        count++;
    }
    return ERR_NONE;
}

static struct err read_wanted(struct companion *companion, struct arena *arena, struct diag *diag)
{
    size_t count = 0;
    LIST_EACH (&companion->parts, link)
        count++;
    struct client_offset *places = arena_alloc_array(arena, count, sizeof *places);
    struct client_offset *ends = arena_alloc_array(arena, count, sizeof *ends);
    if (places == NULL || ends == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(grow(companion, arena, diag));
    TRY(locate(companion, places, ends, diag));
    count = 0;
    LIST_EACH (&companion->parts, link) {
        const struct companion_part *part = LIST_ENTRY(link, struct companion_part, link);
        places[count++] = (struct client_offset){
            .topic = part->topic, .partition = part->partition, .offset = part->position};
    }
    return client_assign(companion->reader, places, count, diag);
}

struct err companion_step(struct companion *companion, int64_t now_ms, struct diag *diag)
{
    if (!companion->has_changed || now_ms < companion->due_ms)
        return ERR_NONE;
    struct arena arena;
    arena_init(&arena, COMPANION_ARENA_SIZE_MAX);
    struct err err = read_wanted(companion, &arena, diag);
    arena_deinit(&arena);
    companion->has_changed = err_failed(err);
    companion->due_ms = err_failed(err) ? now_ms + RETRY_MS : 0;
    return err;
}

struct err companion_receive(struct companion *companion, const struct client_message **message,
                             bool *is_again, struct diag *diag)
{
    struct client_event event;
    *message = NULL;
    if (companion->has_changed || list_is_empty(&companion->parts))
        return ERR_NONE; /* what comes now may be of another begin */
    do {
        TRY(client_receive(companion->reader, 0, &event, diag));
        if (event.kind != CLIENT_EVENT_MESSAGE && event.kind != CLIENT_EVENT_END)
            return ERR_NONE;
        struct companion_part *part = find(companion, event.message.topic, event.message.partition);
        if (part == NULL)
            continue;
        bool is_end = event.kind == CLIENT_EVENT_END;
        *is_again = event.message.offset < part->seen;
        part->position = event.message.offset + (is_end ? 0 : 1);
        if (part->seen < part->position)
            part->seen = part->position;
    } while (event.kind == CLIENT_EVENT_END);
    companion->message = event.message;
    *message = &companion->message;
    return ERR_NONE;
}

bool companion_is_loaded(const struct companion *companion, const char *topic, int32_t partition)
{
    const struct companion_part *part = find(companion, topic, partition);
    CHECK(part != NULL);
    return part->position >= part->end && part->position >= 0;
}

int64_t companion_seen(const struct companion *companion, const char *topic, int32_t partition)
{
    const struct companion_part *part = find(companion, topic, partition);
    CHECK(part != NULL);
    return part->seen;
}

int64_t companion_wait_ms(const struct companion *companion, int64_t now_ms)
{
    if (!companion->has_changed)
        return -1;
    return companion->due_ms <= now_ms ? 0 : companion->due_ms - now_ms;
}
