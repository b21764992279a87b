/* os_real: Linux's clock, random source and threads, and the bundle of all of Linux. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "os/os.h"
#include "os/os_real_internal.h"

static int64_t clock_read_us(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_mono_us(void *self)
{
    (void)self;
    return clock_read_us(CLOCK_MONOTONIC);
}

static int64_t real_wall_ms(void *self)
{
    (void)self;
    return clock_read_us(CLOCK_REALTIME) / 1000;
}

static void real_fill(void *self, void *bytes, size_t size)
{
    (void)self;
    uint8_t *at = bytes;
    while (size != 0) {
        ssize_t done = getrandom(at, size, 0);
        CHECK(done > 0 || errno == EINTR);
        if (done > 0) {
            at += done;
            size -= (size_t)done;
        }
    }
}

struct os_thread {
    pthread_t raw;
    void (*run)(void *argument);
    void *argument;
};

static void *thread_main(void *argument)
{
    struct os_thread *thread = argument;
    thread->run(thread->argument);
    return NULL;
}

static struct err real_start(void *self, const char *name, void (*run)(void *argument),
                             void *argument, struct os_thread **thread)
{
    (void)self;
    struct os_thread *made = calloc(1, sizeof *made);
    if (made == NULL)
        return err_make(ERR_NO_MEMORY);
    made->run = run;
    made->argument = argument;
    int number = pthread_create(&made->raw, NULL, thread_main, made);
    if (number != 0) {
        free(made);
        return err_from_errno(number);
    }
    (void)pthread_setname_np(made->raw, name);
    *thread = made;
    return ERR_NONE;
}

static void real_join(void *self, struct os_thread *thread)
{
    (void)self;
    CHECK(pthread_join(thread->raw, NULL) == 0);
    free(thread);
}

void os_mutex_init(struct os_mutex *mutex)
{
    CHECK(pthread_mutex_init(&mutex->raw, NULL) == 0);
}

void os_mutex_deinit(struct os_mutex *mutex)
{
    CHECK(pthread_mutex_destroy(&mutex->raw) == 0);
}

void os_mutex_lock(struct os_mutex *mutex)
{
    CHECK(pthread_mutex_lock(&mutex->raw) == 0);
}

void os_mutex_unlock(struct os_mutex *mutex)
{
    CHECK(pthread_mutex_unlock(&mutex->raw) == 0);
}

void os_signal_init(struct os_signal *signal)
{
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&signal->changed, &attributes) == 0);
    CHECK(pthread_condattr_destroy(&attributes) == 0);
    CHECK(pthread_mutex_init(&signal->lock, NULL) == 0);
    signal->is_set = false;
}

void os_signal_deinit(struct os_signal *signal)
{
    CHECK(pthread_cond_destroy(&signal->changed) == 0);
    CHECK(pthread_mutex_destroy(&signal->lock) == 0);
}

void os_signal_set(struct os_signal *signal)
{
    CHECK(pthread_mutex_lock(&signal->lock) == 0);
    signal->is_set = true;
    CHECK(pthread_cond_signal(&signal->changed) == 0);
    CHECK(pthread_mutex_unlock(&signal->lock) == 0);
}

bool os_signal_wait(struct os_signal *signal, int64_t timeout_ms)
{
    int64_t end_us = clock_read_us(CLOCK_MONOTONIC) + timeout_ms * 1000;
    struct timespec end = {.tv_sec = end_us / 1000000, .tv_nsec = end_us % 1000000 * 1000};
    CHECK(pthread_mutex_lock(&signal->lock) == 0);
    int number = 0;
    while (!signal->is_set && number != ETIMEDOUT) {
        if (timeout_ms < 0)
            number = pthread_cond_wait(&signal->changed, &signal->lock);
        else
            number = pthread_cond_timedwait(&signal->changed, &signal->lock, &end);
        CHECK(number == 0 || number == ETIMEDOUT);
    }
    bool was_set = signal->is_set;
    signal->is_set = false;
    CHECK(pthread_mutex_unlock(&signal->lock) == 0);
    return was_set;
}

const struct os *os_real(void)
{
    static const struct os_clock real_clock = {.mono_us = real_mono_us, .wall_ms = real_wall_ms};
    static const struct os_random real_random = {.fill = real_fill};
    static const struct os_threads real_threads = {.start = real_start, .join = real_join};
    static const struct os real = {
        .clock = &real_clock,
        .random = &real_random,
        .files = &os_real_files,
        .net = &os_real_net,
        .threads = &real_threads,
    };
    return &real;
}
