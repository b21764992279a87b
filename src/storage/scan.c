/* scan: whole batches through a large aligned buffer, headers through a small window. */
#include "storage/scan.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"

/* What files without page cache ask of addresses, positions and sizes. */
#define SCAN_ALIGN 4096

static int64_t align_down(int64_t position)
{
    return position & ~(int64_t)(SCAN_ALIGN - 1);
}

static int64_t align_up(int64_t position)
{
    return align_down(position + SCAN_ALIGN - 1);
}

void scan_init(struct scan *scan, const struct os_files *files, int file, int64_t position,
               int64_t end)
{
    CHECK(position >= 0 && position <= end);
    *scan = (struct scan){.files = files, .file = file, .position = position, .end = end};
}

void scan_deinit(struct scan *scan)
{
    free(scan->buffer);
    scan->buffer = NULL;
    scan->capacity = 0;
}

/* Loads at least size bytes from position on; fewer only at the end of the file. */
static struct err load(struct scan *scan, size_t size)
{
    int64_t from = align_down(scan->position);
    size_t needed = (size_t)(align_up(scan->position + (int64_t)size) - from);
    size_t rest = (size_t)(align_up(scan->end) - from);
    size_t capacity = needed > SCAN_BUFFER_SIZE ? needed : SCAN_BUFFER_SIZE;
    if (capacity > rest)
        capacity = rest > needed ? rest : needed;
    if (capacity > scan->capacity) {
        free(scan->buffer);
        scan->capacity = 0;
        scan->buffer = aligned_alloc(SCAN_ALIGN, capacity);
        if (scan->buffer == NULL)
            return err_make(ERR_NO_MEMORY);
        scan->capacity = capacity;
    }
    scan->loaded_at = from;
    scan->loaded_size = 0;
    size_t done;
    TRY(file_read_at(scan->files, scan->file, scan->buffer, scan->capacity, from, &done));
    scan->loaded_size = done;
    return ERR_NONE;
}

/* The loaded bytes from position to the end, at least size of them if the file has them. */
static struct err view(struct scan *scan, size_t size, struct span *out)
{
    int64_t loaded_end = scan->loaded_at + (int64_t)scan->loaded_size;
    bool is_loaded = scan->loaded_size != 0 && scan->position >= scan->loaded_at &&
                     scan->position + (int64_t)size <= loaded_end;
    if (!is_loaded) {
        TRY(load(scan, size));
        loaded_end = scan->loaded_at + (int64_t)scan->loaded_size;
    }
    if (scan->position + (int64_t)size > loaded_end)
        return err_make(ERR_TRUNCATED);
    if (loaded_end > scan->end)
        loaded_end = scan->end;
    *out = span_make(scan->buffer + (scan->position - scan->loaded_at),
                     (size_t)(loaded_end - scan->position));
    return ERR_NONE;
}

struct err scan_next(struct scan *scan, struct span *batch, struct batch_header *header,
                     enum batch_fault *fault)
{
    CHECK(scan->position < scan->end);
    int64_t rest = scan->end - scan->position;
    struct span bytes;
    if (rest < BATCH_HEADER_SIZE) {
        *fault = BATCH_FAULT_INCOMPLETE;
        return ERR_NONE;
    }
    TRY(view(scan, BATCH_HEADER_SIZE, &bytes));
    *fault = batch_parse(bytes, header);
    if (*fault == BATCH_FINE && (int64_t)header->size > rest)
        *fault = BATCH_FAULT_INCOMPLETE;
    if (*fault != BATCH_FINE)
        return ERR_NONE;
    TRY(view(scan, header->size, &bytes));
    *fault = batch_check_stored(bytes, header);
    if (*fault != BATCH_FINE)
        return ERR_NONE;
    *batch = span_make(bytes.data, header->size);
    scan->position += header->size;
    return ERR_NONE;
}

void peek_init(struct peek *peek, const struct os_files *files, int file, int64_t position,
               int64_t end)
{
    peek->files = files;
    peek->file = file;
    peek->position = position;
    peek->end = end;
    peek->window_at = 0;
    peek->window_size = 0;
}

struct err peek_next(struct peek *peek, struct batch_header *header)
{
    CHECK(peek->position < peek->end);
    if (peek->position < peek->window_at ||
        peek->position + BATCH_HEADER_SIZE > peek->window_at + (int64_t)peek->window_size) {
        peek->window_at = peek->position;
        peek->window_size = 0;
        TRY(file_read_at(peek->files, peek->file, peek->window, sizeof peek->window, peek->position,
                         &peek->window_size));
    }
    size_t at = (size_t)(peek->position - peek->window_at);
    struct span bytes = span_make(peek->window + at, peek->window_size - at);
    if (peek->window_size < at + BATCH_HEADER_SIZE || batch_parse(bytes, header) != BATCH_FINE ||
        (int64_t)header->size > peek->end - peek->position || header->last_offset_delta < 0 ||
        header->base_offset < 0 || header->base_offset > INT64_MAX - INT32_MAX - 1)
        return err_make(ERR_CORRUPT);
    peek->position += header->size;
    return ERR_NONE;
}
