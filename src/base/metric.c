/* metric: histograms with a bucket for each power of two. */
#include "base/metric.h"

#include "base/check.h"

uint64_t metric_bucket_bound(unsigned bucket)
{
    CHECK(bucket < METRIC_BUCKET_COUNT);
    return bucket == METRIC_BUCKET_COUNT - 1 ? UINT64_MAX
                                             : (uint64_t)1 << (bucket + METRIC_BUCKET_SHIFT);
}

void metric_observe(struct metric_histogram *histogram, uint64_t value)
{
    unsigned bucket = 0;
    while (value > metric_bucket_bound(bucket))
        bucket++;
    metric_add(&histogram->buckets[bucket], 1);
    metric_add(&histogram->sum, value);
}
