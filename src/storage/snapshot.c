/*
 * snapshot: the owner's producer state at one offset, as a file.
 *
 *     0            8           12       16       24     32
 *     | "HRSNAP\0\0" | version=1 | CRC32C | offset | size | state ...
 *
 * The CRC covers everything behind itself. Numbers have their most significant byte first. A file
 * is written under another name, synced and renamed: it is whole or not there.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storage/storage_internal.h"

#define SNAPSHOT_VERSION 1
#define HEADER_SIZE 32
#define HEADER_AT_VERSION 8
#define HEADER_AT_CRC 12
#define HEADER_AT_OFFSET 16
#define HEADER_AT_SIZE 24

static const char header_magic[8] = "HRSNAP";

static uint32_t compute_crc(const uint8_t *header, struct span state)
{
    uint32_t crc = crc32c(span_make(header + HEADER_AT_OFFSET, HEADER_SIZE - HEADER_AT_OFFSET));
    return crc32c_extend(crc, state);
}

/* Writes the whole file and leaves it open, to be synced. */
static struct err write_file(const struct os_files *files, const char *path, const uint8_t *header,
                             struct span state, int *file)
{
    const struct span spans[] = {span_make(header, HEADER_SIZE), state};
    size_t done;
    TRY(file_open(files, path, OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_TRUNCATE, file));
    return file_write_at(files, *file, spans, 2, 0, &done);
}

struct err snapshot_write(struct log *log, int64_t offset, struct span bytes, bool is_synced,
                          struct diag *diag)
{
    const struct os_files *files = log->store->options.files;
    uint8_t header[HEADER_SIZE];
    memcpy(header, header_magic, sizeof header_magic);
    store_u32(header + HEADER_AT_VERSION, SNAPSHOT_VERSION);
    store_i64(header + HEADER_AT_OFFSET, offset);
    store_u64(header + HEADER_AT_SIZE, bytes.size);
    store_u32(header + HEADER_AT_CRC, compute_crc(header, bytes));
    char path[STORE_PATH_SIZE];
    char path_new[STORE_PATH_SIZE];
    log_path(log, path, offset, ".snapshot");
    log_path(log, path_new, offset, ".snapshot.new");
    int file = OS_FILE_NONE;
    struct err err = write_file(files, path_new, header, bytes, &file);
    struct err synced = !err_failed(err) && is_synced ? file_sync(files, file) : ERR_NONE;
    file_close(files, file);
    if (err_failed(synced))
        return store_fail_sync(log->store, path_new, synced, diag);
    if (!err_failed(err))
        err = file_rename(files, path_new, path);
    return err_failed(err) ? diag_wrap(diag, err, "cannot write %s", path) : err;
}

struct err snapshot_parse(struct span file, int64_t offset, struct span *state)
{
    if (file.size < HEADER_SIZE)
        return err_make(ERR_TRUNCATED);
    const uint8_t *header = file.data;
    struct span rest = span_make(header + HEADER_SIZE, file.size - HEADER_SIZE);
    if (memcmp(header, header_magic, sizeof header_magic) != 0)
        return err_make(ERR_CORRUPT);
    if (load_u32(header + HEADER_AT_VERSION) != SNAPSHOT_VERSION)
        return err_make(ERR_UNSUPPORTED);
    if (load_u64(header + HEADER_AT_SIZE) != rest.size)
        return err_make(ERR_TRUNCATED);
    if (load_u32(header + HEADER_AT_CRC) != compute_crc(header, rest) ||
        load_i64(header + HEADER_AT_OFFSET) != offset)
        return err_make(ERR_CORRUPT);
    *state = rest;
    return ERR_NONE;
}

static struct err read_file(const struct os_files *files, int file, struct buf *out)
{
    int64_t size;
    size_t done;
    TRY(file_size(files, file, &size));
    if (size < 0 || (uint64_t)size >= SNAPSHOT_SIZE_MAX) /* nobody wrote that */
        return err_make(ERR_CORRUPT);
    TRY(buf_reserve(out, (size_t)size + 1));
    TRY(file_read_at(files, file, out->data, (size_t)size, 0, &done));
    out->size = done;
    return ERR_NONE;
}

struct err snapshot_read(struct log *log, int64_t offset, struct buf *out, struct diag *diag)
{
    const struct os_files *files = log->store->options.files;
    char path[STORE_PATH_SIZE];
    int file;
    struct span state;
    buf_clear(out);
    log_path(log, path, offset, ".snapshot");
    struct err err = file_open(files, path, OS_FILE_READ, &file);
    if (!err_failed(err)) {
        err = read_file(files, file, out);
        file_close(files, file);
    }
    if (!err_failed(err))
        err = snapshot_parse(buf_span(out), offset, &state);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot read %s", path);
    buf_consume(out, HEADER_SIZE);
    CHECK(out->size == state.size);
    return ERR_NONE;
}
