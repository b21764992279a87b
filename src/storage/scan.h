/*
 * scan: the batches of a file, one after the other.
 *
 * struct scan reads whole batches and checks them: for recovery. struct peek reads headers alone,
 * through a small window: for finding a place. One thread at a time each.
 */
#ifndef HEADRACE_STORAGE_SCAN_H
#define HEADRACE_STORAGE_SCAN_H

#include "os/os_file.h"
#include "record/batch.h"

struct scan {
    const struct os_files *files;
    int file;
    int64_t position; /* of the next batch */
    int64_t end;      /* of what is looked at */
    uint8_t *buffer;  /* aligned, as files opened with OS_FILE_DIRECT need */
    size_t capacity;
    int64_t loaded_at;
    size_t loaded_size;
};

/* Begins at position. Allocates nothing yet; scan_deinit afterwards. */
void scan_init(struct scan *scan, const struct os_files *files, int file, int64_t position,
               int64_t end);
void scan_deinit(struct scan *scan);

/*
 * Gives the next batch, whole and checked, valid until the next call, and moves behind it. *fault:
 * why the bytes at scan->position are no intact batch (position stays). Not called at the end.
 * Errors: ERR_IO, ERR_NO_MEMORY, ERR_TRUNCATED (the file is shorter than end).
 */
MUST_USE struct err scan_next(struct scan *scan, struct span *batch, struct batch_header *header,
                              enum batch_fault *fault);

/* Enough for the headers of the small batches between two index entries. */
#define PEEK_WINDOW_SIZE 4096

struct peek {
    const struct os_files *files;
    int file;
    int64_t position; /* of the next batch */
    int64_t end;
    int64_t window_at;
    size_t window_size;
    uint8_t window[PEEK_WINDOW_SIZE];
};

void peek_init(struct peek *peek, const struct os_files *files, int file, int64_t position,
               int64_t end);

/* Gives the next header and moves behind its batch. Not called at the end. ERR_CORRUPT where there
 * is no header or the batch reaches beyond the end; ERR_IO. */
MUST_USE struct err peek_next(struct peek *peek, struct batch_header *header);

#endif
