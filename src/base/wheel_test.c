/* wheel: timers fire once, in time, and never early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/wheel.h"

struct probe {
    struct timer timer;
    struct wheel *wheel;
    int64_t fired_ms;
    int fired_count;
};

static void probe_fired(struct timer *timer)
{
    struct probe *probe = LIST_ENTRY(timer, struct probe, timer);
    probe->fired_ms = probe->wheel->now_ms;
    probe->fired_count++;
}

static void probe_set(struct probe *probe, struct wheel *wheel, int64_t due_ms)
{
    *probe = (struct probe){.wheel = wheel};
    timer_init(&probe->timer, probe_fired);
    wheel_set(wheel, &probe->timer, due_ms);
}

static void timer_fires_exactly_when_due_at_every_distance(void **state)
{
    (void)state;
    static const int64_t distances[] = {0, 1, 63, 64, 65, 4095, 4096, 4097, 262144, 16777217};
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        struct wheel wheel;
        struct probe probe;
        wheel_init(&wheel, 1000003);
        probe_set(&probe, &wheel, 1000003 + distances[i]);
        if (distances[i] > 0)
            wheel_advance(&wheel, 1000003 + distances[i] - 1);
        assert_int_equal(probe.fired_count, 0);
        wheel_advance(&wheel, 1000003 + distances[i]);
        assert_int_equal(probe.fired_count, 1);
        assert_int_equal(probe.fired_ms, 1000003 + distances[i]);
        assert_int_equal(wheel_wait_ms(&wheel), -1);
    }
}

static void cancelled_timer_never_fires(void **state)
{
    (void)state;
    struct wheel wheel;
    struct probe probe;
    wheel_init(&wheel, 0);
    probe_set(&probe, &wheel, 100);
    timer_cancel(&probe.timer);
    assert_false(timer_is_set(&probe.timer));
    wheel_advance(&wheel, 1000);
    assert_int_equal(probe.fired_count, 0);
}

static void wait_never_reaches_beyond_the_next_timer(void **state)
{
    (void)state;
    struct wheel wheel;
    struct probe probe;
    wheel_init(&wheel, 0);
    probe_set(&probe, &wheel, 10000);
    while (probe.fired_count == 0) {
        int64_t wait_ms = wheel_wait_ms(&wheel);
        assert_true(wait_ms >= 0 && wheel.now_ms + wait_ms <= 10000);
        wheel_advance(&wheel, wheel.now_ms + wait_ms);
    }
    assert_int_equal(probe.fired_ms, 10000);
}

static void again_fired(struct timer *timer)
{
    struct probe *probe = LIST_ENTRY(timer, struct probe, timer);
    struct wheel *wheel = probe->wheel;
    probe->fired_count++;
    wheel_set(wheel, timer, wheel->now_ms);
}

static void timer_set_again_while_firing_waits_a_millisecond(void **state)
{
    (void)state;
    struct wheel wheel;
    struct probe probe = {.wheel = &wheel};
    wheel_init(&wheel, 0);
    timer_init(&probe.timer, again_fired);
    wheel_set(&wheel, &probe.timer, 5);
    wheel_advance(&wheel, 10);
    assert_int_equal(probe.fired_count, 6); /* at 5, 6, 7, 8, 9 and 10 */
}

#define MODEL_TIMER_COUNT 200

/* Against a model that knows only due times: random sets, moves, cancels and leaps. */
static void wheel_agrees_with_a_list_of_due_times(void **state)
{
    (void)state;
    static struct probe probes[MODEL_TIMER_COUNT];
    int64_t due_ms[MODEL_TIMER_COUNT];
    struct wheel wheel;
    srandom(20261123);
    wheel_init(&wheel, 0);
    for (int i = 0; i < MODEL_TIMER_COUNT; i++) {
        probe_set(&probes[i], &wheel, INT64_MAX);
        timer_cancel(&probes[i].timer);
        due_ms[i] = -1;
    }
    for (int step = 0; step < 20000; step++) {
        int i = (int)(random() % MODEL_TIMER_COUNT);
        if (random() % 4 == 0) {
            timer_cancel(&probes[i].timer);
            due_ms[i] = -1;
        } else {
            due_ms[i] = wheel.now_ms + random() % (1 << (random() % 20));
            probes[i].fired_count = 0;
            wheel_set(&wheel, &probes[i].timer, due_ms[i]);
        }
        wheel_advance(&wheel, wheel.now_ms + random() % (1 << (random() % 12)));
        for (int t = 0; t < MODEL_TIMER_COUNT; t++) {
            bool is_due = due_ms[t] >= 0 && due_ms[t] <= wheel.now_ms;
            assert_int_equal(timer_is_set(&probes[t].timer), due_ms[t] >= 0 && !is_due);
            if (is_due) {
                assert_int_equal(probes[t].fired_count, 1);
                due_ms[t] = -1;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_fires_exactly_when_due_at_every_distance),
        cmocka_unit_test(cancelled_timer_never_fires),
        cmocka_unit_test(wait_never_reaches_beyond_the_next_timer),
        cmocka_unit_test(timer_set_again_while_firing_waits_a_millisecond),
        cmocka_unit_test(wheel_agrees_with_a_list_of_due_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
