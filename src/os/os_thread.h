/*
 * os_thread: threads and locks.
 *
 * Threads are started and waited for by cli only. Everything below it is called by whoever runs it,
 * and guards what several threads share with an os_mutex, held briefly.
 */
#ifndef HEADRACE_OS_OS_THREAD_H
#define HEADRACE_OS_OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct os_thread;

struct os_threads {
    void *self;
    struct err (*start)(void *self, const char *name, void (*run)(void *argument), void *argument,
                        struct os_thread **thread);
    void (*join)(void *self, struct os_thread *thread);
};

/* Starts a thread that runs run(argument). name: up to 15 characters, shown by the system's tools.
 */
MUST_USE static inline struct err thread_start(const struct os_threads *threads, const char *name,
                                               void (*run)(void *argument), void *argument,
                                               struct os_thread **thread)
{
    return threads->start(threads->self, name, run, argument, thread);
}

/* Waits for the thread's end and frees it. NULL is taken and ignored. */
static inline void thread_join(const struct os_threads *threads, struct os_thread *thread)
{
    if (thread != NULL)
        threads->join(threads->self, thread);
}

/* A lock between threads of this process; real also in the simulator, where nobody contends. */
struct os_mutex {
    pthread_mutex_t raw;
};

void os_mutex_init(struct os_mutex *mutex);
void os_mutex_deinit(struct os_mutex *mutex);
void os_mutex_lock(struct os_mutex *mutex);
void os_mutex_unlock(struct os_mutex *mutex);

/*
 * A flag to wait for. Setting it wakes the waiter, or lets the next wait return at once; a wait
 * that returns true has cleared it. Only cli waits.
 */
struct os_signal {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_set;
};

void os_signal_init(struct os_signal *signal);
void os_signal_deinit(struct os_signal *signal);

/* Any thread. */
void os_signal_set(struct os_signal *signal);

/* Waits at most timeout_ms (-1: for ever). False when the time has passed. */
bool os_signal_wait(struct os_signal *signal, int64_t timeout_ms);

#endif
