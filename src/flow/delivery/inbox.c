/* inbox: a ring of ids, and a table of open addressing into it. */
#include "flow/delivery/inbox.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"

#define CAPACITY_MIN 64

void inbox_init(struct inbox *inbox, int64_t window_ms, uint64_t seed)
{
    *inbox = (struct inbox){.window_ms = window_ms, .seed = seed | 1};
}

void inbox_deinit(struct inbox *inbox)
{
    free(inbox->entries);
    free(inbox->slots);
    *inbox = (struct inbox){0};
}

struct inbox_id inbox_id_of(struct span source, struct span id)
{
    struct inbox_id made = {.high = hash_bytes(id, hash_bytes(source, 0)),
                            .low = hash_bytes(id, hash_bytes(source, 1))};
    if (inbox_id_is_none(made))
        made.low = 1;
    return made;
}

static struct inbox_entry *entry_at(const struct inbox *inbox, uint32_t sequence)
{
    return &inbox->entries[sequence & (inbox->capacity - 1)];
}

static uint32_t slot_mask(const struct inbox *inbox)
{
    return 2 * inbox->capacity - 1;
}

static uint32_t slot_of(const struct inbox *inbox, struct inbox_id id)
{
    return (uint32_t)((id.low ^ id.high) * inbox->seed >> 32) & slot_mask(inbox);
}

static bool is_same(struct inbox_id a, struct inbox_id b)
{
    return a.high == b.high && a.low == b.low;
}

/* The slot of an id, or the free one where it would be put. There is always a free one. */
static uint32_t find_slot(const struct inbox *inbox, struct inbox_id id)
{
    uint32_t at = slot_of(inbox, id);
    while (inbox->slots[at] != 0 && !is_same(entry_at(inbox, inbox->slots[at] - 1)->id, id))
        at = (at + 1) & slot_mask(inbox);
    return at;
}

/* Frees a slot, and moves those behind it up that are not where they belong. */
static void free_slot(struct inbox *inbox, uint32_t at)
{
    uint32_t mask = slot_mask(inbox);
    for (uint32_t next = (at + 1) & mask; inbox->slots[next] != 0; next = (next + 1) & mask) {
        uint32_t home = slot_of(inbox, entry_at(inbox, inbox->slots[next] - 1)->id);
        if (((next - home) & mask) < ((next - at) & mask))
            continue;
        inbox->slots[at] = inbox->slots[next];
        at = next;
    }
    inbox->slots[at] = 0;
}

void inbox_remove(struct inbox *inbox, struct inbox_id id)
{
    if (inbox->count == 0)
        return;
    uint32_t at = find_slot(inbox, id);
    if (inbox->slots[at] == 0)
        return;
    struct inbox_entry *entry = entry_at(inbox, inbox->slots[at] - 1);
    free_slot(inbox, at);
    entry->id = (struct inbox_id){0, 0};
}

/* Forgets the oldest. */
static void drop_first(struct inbox *inbox)
{
    struct inbox_id id = entry_at(inbox, inbox->first)->id;
    if (!inbox_id_is_none(id))
        free_slot(inbox, find_slot(inbox, id));
    inbox->first = (inbox->first + 1) & (inbox->capacity - 1);
    inbox->count--;
}

bool inbox_has(const struct inbox *inbox, struct inbox_id id, int64_t now_ms)
{
    if (inbox->count == 0)
        return false;
    uint32_t slot = inbox->slots[find_slot(inbox, id)];
    return slot != 0 && now_ms - entry_at(inbox, slot - 1)->time_ms < inbox->window_ms;
}

/* Doubles the ring; entries begin at 0 then. */
static struct err grow(struct inbox *inbox)
{
    struct inbox grown = *inbox;
    grown.capacity = inbox->capacity == 0 ? CAPACITY_MIN : 2 * inbox->capacity;
    grown.entries = calloc(grown.capacity, sizeof *grown.entries);
    grown.slots = calloc((size_t)2 * grown.capacity, sizeof *grown.slots);
    if (grown.entries == NULL || grown.slots == NULL) {
        free(grown.entries);
        free(grown.slots);
        return err_make(ERR_NO_MEMORY);
    }
    grown.first = 0;
    for (uint32_t i = 0; i < inbox->count; i++) {
        grown.entries[i] = *entry_at(inbox, inbox->first + i);
        if (!inbox_id_is_none(grown.entries[i].id))
            grown.slots[find_slot(&grown, grown.entries[i].id)] = i + 1;
    }
    free(inbox->entries);
    free(inbox->slots);
    *inbox = grown;
    return ERR_NONE;
}

struct err inbox_add(struct inbox *inbox, struct inbox_id id, int64_t now_ms)
{
    CHECK(!inbox_id_is_none(id));
    inbox_remove(inbox, id); /* it is the newest from now on */
    while (inbox->count > 0 && now_ms - entry_at(inbox, inbox->first)->time_ms >= inbox->window_ms)
        drop_first(inbox);
    if (inbox->count == INBOX_COUNT_MAX)
        drop_first(inbox);
    else if (inbox->count == inbox->capacity)
        TRY(grow(inbox));
    uint32_t sequence = (inbox->first + inbox->count) & (inbox->capacity - 1);
    inbox->entries[sequence] = (struct inbox_entry){id, now_ms};
    inbox->slots[find_slot(inbox, id)] = sequence + 1;
    inbox->count++;
    return ERR_NONE;
}

void inbox_write_id(struct inbox_id id, uint8_t *bytes)
{
    store_u64(bytes, id.high);
    store_u64(bytes + 8, id.low);
}

struct err inbox_load(struct inbox *inbox, struct span ids, int64_t time_ms)
{
    for (size_t at = 0; at + INBOX_ID_SIZE <= ids.size; at += INBOX_ID_SIZE) {
        struct inbox_id id = {load_u64(ids.data + at), load_u64(ids.data + at + 8)};
        if (!inbox_id_is_none(id))
            TRY(inbox_add(inbox, id, time_ms));
    }
    return ERR_NONE;
}

const char *inbox_topic(const char *group, struct arena *arena)
{
    return arena_print(arena, "%s.inbox", group);
}
