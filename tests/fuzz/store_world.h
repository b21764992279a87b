/* store_world: a small data folder in memory, one of whose files a fuzzer replaces. */
#ifndef HEADRACE_TESTS_FUZZ_STORE_WORLD_H
#define HEADRACE_TESTS_FUZZ_STORE_WORLD_H

#include "storage/storage.h"
#include "support/mem_disk.h"

#define WORLD_LOG_PATH "/data/topic-0/00000000000000000000.log"
#define WORLD_INDEX_PATH "/data/topic-0/00000000000000000000.index"
#define WORLD_TIME_INDEX_PATH "/data/topic-0/00000000000000000000.timeindex"
#define WORLD_MANIFEST_PATH "/data/manifest"
#define WORLD_SNAPSHOT_PATH "/data/topic-0/00000000000000000023.snapshot"
#define WORLD_END_OFFSET 23
#define MANIFEST_HEADER_SIZE 16

static const struct uuid world_topic_id = {{1}};

/* A disk with one log of 23 offsets in 10 batches, closed cleanly or killed. */
struct mem_disk *world_create(bool is_clean);

/* Opens what is there, reads, asks, appends and closes, as far as it lets itself. */
void world_use(struct mem_disk *disk);

/* Puts the bytes in the place of a file's. */
void world_replace(struct mem_disk *disk, const char *path, struct span bytes);

#endif
