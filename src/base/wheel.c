/* wheel: see the header for the shape; slots are found by shifting the due time. */
#include "base/wheel.h"

#include "base/check.h"

#define SLOT_BITS 6
#define SLOT_MASK (WHEEL_SLOT_COUNT - 1)

void wheel_init(struct wheel *wheel, int64_t now_ms)
{
    *wheel = (struct wheel){.now_ms = now_ms};
    for (int level = 0; level < WHEEL_LEVEL_COUNT; level++) {
        for (int slot = 0; slot < WHEEL_SLOT_COUNT; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
    *timer = (struct timer){.fire = fire};
    list_init(&timer->link);
}

/* Puts an unlinked timer, due now or later, into its slot. */
static void wheel_place(struct wheel *wheel, struct timer *timer)
{
    int64_t earliest = wheel->now_ms + (wheel->is_turning ? 1 : 0);
    int64_t due = timer->due_ms < earliest ? earliest : timer->due_ms;
    int level = 0;
    while (level < WHEEL_LEVEL_COUNT - 1 &&
           (due >> (SLOT_BITS * (level + 1))) != (wheel->now_ms >> (SLOT_BITS * (level + 1))))
        level++;
    int64_t reach = (int64_t)1 << (SLOT_BITS * WHEEL_LEVEL_COUNT);
    if (due - wheel->now_ms >= reach) /* two years ahead: parked in the last slot, placed again */
        due = wheel->now_ms + reach - 1;
    int64_t slot = (due >> (SLOT_BITS * level)) & SLOT_MASK;
    list_append(&wheel->slots[level][slot], &timer->link);
    wheel->used[level] |= (uint64_t)1 << slot;
}

void wheel_set(struct wheel *wheel, struct timer *timer, int64_t due_ms)
{
    CHECK(timer->fire != NULL);
    list_remove(&timer->link);
    timer->due_ms = due_ms;
    wheel_place(wheel, timer);
}

void timer_cancel(struct timer *timer)
{
    list_remove(&timer->link);
}

bool timer_is_set(const struct timer *timer)
{
    return !list_is_empty(&timer->link);
}

/* Empties a slot into taken. */
static void slot_take(struct wheel *wheel, int level, int64_t slot, struct list *taken)
{
    wheel->used[level] &= ~((uint64_t)1 << slot);
    list_move_all(taken, &wheel->slots[level][slot]);
}

/* The next moment after now_ms at which a used slot begins, or limit_ms when that is earlier. */
static int64_t wheel_next_ms(const struct wheel *wheel, int64_t limit_ms)
{
    int64_t next = limit_ms;
    for (int level = 0; level < WHEEL_LEVEL_COUNT; level++) {
        int shift = SLOT_BITS * level;
        int64_t current = (wheel->now_ms >> shift) & SLOT_MASK;
        for (int64_t ahead = level == 0 ? 0 : 1; ahead < WHEEL_SLOT_COUNT; ahead++) {
            int64_t slot = (current + ahead) & SLOT_MASK;
            if ((wheel->used[level] >> slot & 1) == 0)
                continue;
            int64_t start = ((wheel->now_ms >> shift) + ahead) << shift;
            if (start < next)
                next = start;
            break;
        }
    }
    return next;
}

/* Fires or moves down all that the slots beginning at now_ms hold. */
static void wheel_turn(struct wheel *wheel)
{
    struct list taken;
    list_init(&taken);
    wheel->is_turning = true;
    for (int level = WHEEL_LEVEL_COUNT - 1; level >= 0; level--) {
        int64_t slot = (wheel->now_ms >> (SLOT_BITS * level)) & SLOT_MASK;
        bool begins = (wheel->now_ms & (((int64_t)1 << (SLOT_BITS * level)) - 1)) == 0;
        if (begins || level == 0)
            slot_take(wheel, level, slot, &taken);
    }
    for (struct list *link = list_pop(&taken); link != NULL; link = list_pop(&taken)) {
        struct timer *timer = LIST_ENTRY(link, struct timer, link);
        if (timer->due_ms <= wheel->now_ms)
            timer->fire(timer);
        else
            wheel_place(wheel, timer);
    }
    wheel->is_turning = false;
}

void wheel_advance(struct wheel *wheel, int64_t now_ms)
{
    wheel_turn(wheel);
    while (wheel->now_ms < now_ms) {
        wheel->now_ms = wheel_next_ms(wheel, now_ms);
        wheel_turn(wheel);
    }
}

int64_t wheel_wait_ms(const struct wheel *wheel)
{
    int64_t next = wheel_next_ms(wheel, INT64_MAX);
    return next == INT64_MAX ? -1 : next - wheel->now_ms;
}
