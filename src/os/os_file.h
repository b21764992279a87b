/*
 * os_file: files and directories, and when they are safe.
 *
 * Fault model that callers must live with, and that the simulated disk of tests/sim plays out:
 *
 * - A write may be short, and what was written may be lost, kept or garbled sector by sector until
 *   file_sync_data or file_sync of that file has returned without error.
 * - A created, renamed or removed name may come back as it was until dir_sync of its directory has
 *   returned without error.
 * - After a failed sync the pages may look clean and be lost: no retry can save them.
 *
 * Errors are ERR_NOT_FOUND, ERR_EXISTS, ERR_NO_SPACE, ERR_DENIED, ERR_LIMIT (descriptors), ERR_BUSY
 * and ERR_IO, each with errno beside it.
 */
#ifndef HEADRACE_OS_OS_FILE_H
#define HEADRACE_OS_OS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* How a file is opened. */
enum os_file_flag {
    OS_FILE_READ = 1,
    OS_FILE_WRITE = 2,
    OS_FILE_CREATE = 4,    /* make it where it is missing */
    OS_FILE_EXCLUSIVE = 8, /* with CREATE: ERR_EXISTS where it is there */
    OS_FILE_TRUNCATE = 16,
    OS_FILE_DIRECT = 32, /* past the page cache; ERR_INVALID or ERR_UNSUPPORTED where refused */
};

/* The number of an open file. */
#define OS_FILE_NONE (-1)

/* The most spans that one file_write_at takes. */
#define OS_SPAN_COUNT_MAX 64

/* Called for each name in a directory, "." and ".." left out. An error ends the listing. */
typedef struct err (*os_dir_visit)(void *context, const char *name, bool is_dir);

struct os_files {
    void *self;
    struct err (*open)(void *self, const char *path, unsigned flags, int *file);
    void (*close)(void *self, int file);
    struct err (*size)(void *self, int file, int64_t *size);
    struct err (*read_at)(void *self, int file, void *bytes, size_t size, int64_t at, size_t *done);
    struct err (*write_at)(void *self, int file, const struct span *spans, size_t span_count,
                           int64_t at, size_t *done);
    struct err (*sync_data)(void *self, int file);
    struct err (*sync)(void *self, int file);
    struct err (*sync_file_system)(void *self, int file);
    struct err (*truncate)(void *self, int file, int64_t size);
    struct err (*allocate)(void *self, int file, int64_t at, int64_t size);
    struct err (*lock)(void *self, int file);
    struct err (*remove)(void *self, const char *path);
    struct err (*rename)(void *self, const char *from, const char *to);
    struct err (*dir_make)(void *self, const char *path);
    struct err (*dir_remove)(void *self, const char *path);
    struct err (*dir_sync)(void *self, const char *path);
    struct err (*dir_list)(void *self, const char *path, os_dir_visit visit, void *context);
    struct err (*dir_space)(void *self, const char *path, int64_t *size_free, int64_t *size_total);
};

/* Opens path. flags: a sum of os_file_flag. The caller closes *file. */
MUST_USE static inline struct err file_open(const struct os_files *files, const char *path,
                                            unsigned flags, int *file)
{
    return files->open(files->self, path, flags, file);
}

/* Closes the file; OS_FILE_NONE is taken and ignored. Does not sync. */
static inline void file_close(const struct os_files *files, int file)
{
    if (file != OS_FILE_NONE)
        files->close(files->self, file);
}

/* The file's size in bytes. */
MUST_USE static inline struct err file_size(const struct os_files *files, int file, int64_t *size)
{
    return files->size(files->self, file, size);
}

/* Reads up to size bytes at the given place; *done < size only at the end of the file. */
MUST_USE static inline struct err file_read_at(const struct os_files *files, int file, void *bytes,
                                               size_t size, int64_t at, size_t *done)
{
    return files->read_at(files->self, file, bytes, size, at, done);
}

/*
 * Writes the spans one after the other at the given place. On an error *done says how many bytes
 * were written before it; the caller cuts them off or writes them again. At most OS_SPAN_COUNT_MAX.
 */
MUST_USE static inline struct err file_write_at(const struct os_files *files, int file,
                                                const struct span *spans, size_t span_count,
                                                int64_t at, size_t *done)
{
    return files->write_at(files->self, file, spans, span_count, at, done);
}

/* Makes the file's bytes, and the size needed to read them back, safe (fdatasync). */
MUST_USE static inline struct err file_sync_data(const struct os_files *files, int file)
{
    return files->sync_data(files->self, file);
}

/* As file_sync_data, with all of the file's metadata (fsync). */
MUST_USE static inline struct err file_sync(const struct os_files *files, int file)
{
    return files->sync(files->self, file);
}

/* Makes every file of the file system that holds this file safe (syncfs). */
MUST_USE static inline struct err file_sync_file_system(const struct os_files *files, int file)
{
    return files->sync_file_system(files->self, file);
}

/* Cuts the file, or fills it with zeros, to size bytes. */
MUST_USE static inline struct err file_truncate(const struct os_files *files, int file,
                                                int64_t size)
{
    return files->truncate(files->self, file, size);
}

/* Reserves disk space without changing the file's size. ERR_UNSUPPORTED where there is no such
 * call. */
MUST_USE static inline struct err file_allocate(const struct os_files *files, int file, int64_t at,
                                                int64_t size)
{
    return files->allocate(files->self, file, at, size);
}

/* Takes the file for this process alone until it is closed. ERR_BUSY where another holds it. */
MUST_USE static inline struct err file_lock(const struct os_files *files, int file)
{
    return files->lock(files->self, file);
}

/* Removes the name. Open files live on until closed. */
MUST_USE static inline struct err file_remove(const struct os_files *files, const char *path)
{
    return files->remove(files->self, path);
}

/* Puts a file or directory in the place of another name at once. Safe only after dir_sync. */
MUST_USE static inline struct err file_rename(const struct os_files *files, const char *from,
                                              const char *to)
{
    return files->rename(files->self, from, to);
}

/* Makes one directory; its parent exists. */
MUST_USE static inline struct err dir_make(const struct os_files *files, const char *path)
{
    return files->dir_make(files->self, path);
}

/* Removes an empty directory. */
MUST_USE static inline struct err dir_remove(const struct os_files *files, const char *path)
{
    return files->dir_remove(files->self, path);
}

/* Makes the names in the directory safe. */
MUST_USE static inline struct err dir_sync(const struct os_files *files, const char *path)
{
    return files->dir_sync(files->self, path);
}

/* Visits each name in the directory in no particular order. */
MUST_USE static inline struct err dir_list(const struct os_files *files, const char *path,
                                           os_dir_visit visit, void *context)
{
    return files->dir_list(files->self, path, visit, context);
}

/* Free and whole size in bytes of the file system that holds the directory. */
MUST_USE static inline struct err dir_space(const struct os_files *files, const char *path,
                                            int64_t *size_free, int64_t *size_total)
{
    return files->dir_space(files->self, path, size_free, size_total);
}

#endif
