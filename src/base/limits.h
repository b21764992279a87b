/*
 * limits: every bound of the program that is not a user's setting, with the reason for its value.
 */
#ifndef HEADRACE_BASE_LIMITS_H
#define HEADRACE_BASE_LIMITS_H

/* Arena chunks: the first holds a usual request; doubling stops where one allocation is cheap. */
#define ARENA_CHUNK_SIZE_MIN 2048
#define ARENA_CHUNK_SIZE_MAX (1024 * 1024)

/* Below this a growing buffer would be moved for nearly every append. */
#define BUF_CAPACITY_MIN 256

/* Array elements and tagged fields in one message, as Apache Kafka 4.4 bounds them. */
#define WIRE_ARRAY_COUNT_MAX 1000000
#define WIRE_TAGGED_FIELD_COUNT_MAX 10000

/* All texts of a broker's configuration: Kafka's own example file is 7 KiB. */
#define CONFIG_SIZE_MAX (1024 * 1024)

/* Steps of matching a client's regular expression against one name: far more than an honest one
 * needs, a few milliseconds. */
#define REGEX_STEP_COUNT_MAX 100000

/* One batch of an internal topic: a group of 10,000 members and their assignments. */
#define INTERNAL_BATCH_SIZE_MAX (64 * 1024 * 1024)

/* Records of the metadata log since its last snapshot before another is worth it: replaying so many
 * takes a millisecond. */
#define METADATA_SNAPSHOT_RECORD_COUNT_MIN 1000

/* Decoded form of one request: 1,000,000 array elements of the widest common kind. */
#define REQUEST_ARENA_SIZE_MAX (256 * 1024 * 1024)

/* Assignment protocols that one member of a group knows: clients ship four and users add a few. A
 * join compares each with those before it. */
#define MEMBER_PROTOCOL_COUNT_MAX 64

/* HTTP: scrapers, probes and a few people at once. */
#define HTTP_CONNECTION_COUNT_MAX 64

/* The metrics of 10,000 partitions are about 5 MiB. */
#define HTTP_PAGE_SIZE_MAX (64 * 1024 * 1024)

/* One batch decompressed: as much as the largest request, against bombs. */
#define DECOMPRESSED_SIZE_MAX (128 * 1024 * 1024)

/* Record slices of an answer up to this size are copied into it; sendfile pays beyond. Measured:
 * the border lies near 64 KiB. */
#define FETCH_COPY_SIZE_MAX (64 * 1024)

/* One answer in memory: a fetch of socket.request.max.bytes and its metadata; larger parts are
 * sent from their files. */
#define RESPONSE_SIZE_MAX (512 * 1024 * 1024)

/* Requests of one connection under way at once. Java clients use 5, librdkafka many. */
#define SESSION_REQUEST_COUNT_MAX 256

/* Bytes of answers waiting for one slow reader before its requests are left unread. */
#define SESSION_QUEUED_SIZE_MAX (16 * 1024 * 1024)

/* One buffer per reactor into which idle connections read: a few usual requests in one call. */
#define READ_SCRATCH_SIZE (256 * 1024)

/* Memory taken ahead for a begun request that claims to be long; the rest follows its bytes. */
#define READ_AHEAD_SIZE_MAX (1024 * 1024)

/* The offsets of one commit with their metadata: 10,000 partitions at 4 KiB and some more. */
#define COMMIT_SIZE_MAX ((size_t)64 * 1024 * 1024)

/* All that a cluster in memory was sent: a simulated run keeps every message until its end. */
#define MEMORY_CLUSTER_SIZE_MAX ((size_t)256 * 1024 * 1024)

/* Open segment files: half of the usual limit of 1,024 descriptors; sockets need the rest. serve
 * raises it with the process's own limit. */
#define STORE_OPEN_FILE_COUNT_DEFAULT 512

/* Recovery reads at most about this much per log: 64 MiB take 30 ms from the page cache. */
#define STORE_CHECKPOINT_SIZE_DEFAULT (64 * 1024 * 1024)

/* Beyond so many dirty logs one syncfs is cheaper than a fdatasync for each. */
#define STORE_SYNCFS_COUNT 500

/* Beyond so many logs to checkpoint at the end, one syncfs is cheaper than a few syncs for each. */
#define CHECKPOINT_SYNCFS_COUNT 32

/* The whole manifest: 1,000,000 segments take about 100 MB. */
#define MANIFEST_SIZE_MAX ((size_t)512 * 1024 * 1024)

/* One entry: a checkpoint with 100,000 leader epochs. */
#define MANIFEST_ENTRY_SIZE_MAX ((size_t)2 * 1024 * 1024)

/* The journal is rewritten when it has doubled and grown by this: seldom for small stores. */
#define MANIFEST_GROWTH_SIZE ((size_t)1024 * 1024)

/* A directory's name: 249 characters of a topic, a partition and what deletion appends. */
#define STORE_NAME_SIZE_MAX 255

/* Paths below the data directory. */
#define STORE_PATH_SIZE 4096

/* Disk space reserved ahead of a growing segment: none for small ones, and at most what a disk can
 * spare for each of many. */
#define PREALLOCATE_SIZE_MIN (64 * 1024)
#define PREALLOCATE_SIZE_MAX (128 * 1024 * 1024)

/* Read at once by recovery: large enough for the disk, small enough for the processor's cache. */
#define SCAN_BUFFER_SIZE ((size_t)1024 * 1024)

/* A producer snapshot: 1,000,000 producers with five batches each. */
#define SNAPSHOT_SIZE_MAX ((size_t)256 * 1024 * 1024)

/* The broker's own background work (producers that expire, deletions to try again): what is a
 * minute late bothers nobody, and a look at 10,000 partitions takes a millisecond. */
#define BROKER_STEP_MS 60000

/* Idempotent producers that one partition remembers: ten times what a busy topic has, in 2.5 MB.
 * The one that wrote longest ago is forgotten for a new one, as Redpanda does
 * (max_concurrent_producer_ids). */
#define PRODUCER_COUNT_MAX 10000

/* How often a reader whose segment was removed under its hands looks again. */
#define READ_RETRY_COUNT_MAX 8

/* What one step of a compaction reads: a few milliseconds' worth. */
#define COMPACTION_PIECE_SIZE (1024 * 1024)

/* Written at once by a compaction. */
#define COMPACTION_BUFFER_SIZE ((size_t)1024 * 1024)

/* A compaction's memory for one batch, decompressed and built anew. */
#define COMPACTION_BATCH_SIZE_MAX ((size_t)DECOMPRESSED_SIZE_MAX)

/* A log whose compaction has failed is left alone so long: a full disk takes a while to mend. */
#define COMPACTION_RETRY_MS (5 * 60 * 1000)

/* What background work costs as bytes of disk traffic: a piece with a sync or two; a mere look. */
#define BACKGROUND_PIECE_SIZE (64 * 1024)
#define BACKGROUND_LOOK_SIZE 1024

#endif
