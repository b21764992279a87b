/*
 * index: a segment's two sparse indexes, in Kafka's formats.
 *
 *     .index      { offset - base (4 bytes) | position (4 bytes) } ...
 *     .timeindex  { timestamp (8 bytes) | offset - base (4 bytes) } ...
 *
 * Offsets are the last ones of a batch, position is where that batch begins; both rise. An entry
 * follows every index.interval.bytes of batches. A time entry says that no record up to its offset
 * is later than its timestamp, which the batch of that offset has.
 *
 * A table has its first filed_count entries in its file and the younger ones in memory, encoded, so
 * that an active segment costs memory only for what came since its last checkpoint and a sealed one
 * costs none. Lookups in the file read a few entries and one block.
 *
 * The log's lock guards the tables; a copy of struct index_file may be searched without it.
 */
#ifndef HEADRACE_STORAGE_INDEX_H
#define HEADRACE_STORAGE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "os/os_file.h"

#define OFFSET_ENTRY_SIZE 8
#define TIME_ENTRY_SIZE 12

struct index_table {
    uint8_t *entries; /* those not in the file */
    uint32_t count;   /* of them */
    uint32_t capacity;
    uint32_t filed_count;
    uint32_t entry_size;
};

struct index {
    struct index_table offsets;
    struct index_table times;
    int64_t size_since;     /* bytes of batches since the last entry */
    int64_t timestamp_last; /* of the last time entry, -1: none */
};

/* What an appended batch adds. position, size: of the batch in the file. */
struct index_batch {
    int64_t base_offset; /* of the segment */
    int64_t last_offset;
    int64_t position;
    int64_t size;
    int64_t interval_size; /* index.interval.bytes */
    int64_t
        max_timestamp; /* of the segment, this batch included; and the last offset of its batch */
    int64_t max_timestamp_offset;
};

void index_init(struct index *index);
void index_deinit(struct index *index);

/* Makes room for what one batch or index_add_final may add. ERR_NO_MEMORY. */
MUST_USE struct err index_reserve(struct index *index);

/* Counts a batch that was written; room was reserved. */
void index_add(struct index *index, const struct index_batch *batch);

/* At seal: the time entry of the segment's maximum, unless it is there. Room was reserved. */
void index_add_final(struct index *index, const struct index_batch *batch);

/* All entries of a table, filed and not. */
static inline uint32_t index_table_count(const struct index_table *table)
{
    return table->filed_count + table->count;
}

/* The filed entries of a table: count in an open file. */
struct index_file {
    const struct os_files *files;
    int file;
    uint32_t count;
    uint32_t entry_size;
};

/* The fields that rise from entry to entry, so that a search may go by them. */
enum index_field {
    INDEX_OFFSET,     /* .index: offset - base */
    INDEX_POSITION,   /* .index */
    INDEX_TIMESTAMP,  /* .timeindex */
    INDEX_TIME_OFFSET /* .timeindex: offset - base */
};

/* Whether the field belongs to .timeindex. */
static inline bool index_field_is_time(enum index_field field)
{
    return field == INDEX_TIMESTAMP || field == INDEX_TIME_OFFSET;
}

/*
 * The last entry of the file whose field is <= wanted. *found false where there is none. ERR_IO,
 * ERR_TRUNCATED where the file is shorter than count entries.
 */
MUST_USE struct err index_file_find(const struct index_file *index, enum index_field field,
                                    int64_t wanted, uint8_t entry[TIME_ENTRY_SIZE], bool *found);

/* The same in a table's memory; NULL where there is none. */
const uint8_t *index_table_find(const struct index_table *table, enum index_field field,
                                int64_t wanted);

/* Decoded fields of entries. */
int64_t index_entry_offset(const uint8_t *entry);      /* .index: offset - base */
int64_t index_entry_position(const uint8_t *entry);    /* .index */
int64_t index_entry_timestamp(const uint8_t *entry);   /* .timeindex */
int64_t index_entry_time_offset(const uint8_t *entry); /* .timeindex: offset - base */

/*
 * Writes the first count entries of memory behind the filed ones (file open for writing) and cuts
 * the file there; syncs nothing. The table is unchanged: index_table_filed says afterwards, under
 * the lock, that they may leave memory. entries: a copy or the table's own, stable during the call.
 */
MUST_USE struct err index_file_write(const struct index_file *index, const uint8_t *entries,
                                     uint32_t count);

/* Moves the first count entries of memory to the filed ones; frees memory that got empty. */
void index_table_filed(struct index_table *table, uint32_t count);

#endif
