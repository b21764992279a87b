/*
 * metric: numbers that are counted everywhere and read by whoever shows them.
 *
 * Adding is one relaxed atomic operation; a reader sees each number for itself, not all of one
 * moment.
 */
#ifndef HEADRACE_BASE_METRIC_H
#define HEADRACE_BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

struct metric_counter {
    atomic_uint_fast64_t value;
};

/* Bucket b counts values up to 2^(b + METRIC_BUCKET_SHIFT); the last has no bound. */
#define METRIC_BUCKET_COUNT 20
#define METRIC_BUCKET_SHIFT 4

struct metric_histogram {
    struct metric_counter buckets[METRIC_BUCKET_COUNT];
    struct metric_counter sum;
};

static inline void metric_add(struct metric_counter *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(&counter->value, amount, memory_order_relaxed);
}

static inline uint64_t metric_read(const struct metric_counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

/* Counts one observed value. */
void metric_observe(struct metric_histogram *histogram, uint64_t value);

/* The bound of a bucket, inclusive; UINT64_MAX for the last. */
uint64_t metric_bucket_bound(unsigned bucket);

#endif
