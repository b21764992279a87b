/* os_real_file: Linux's files. Interrupted calls are repeated here, once for all callers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_real_internal.h"

/* Who may read what we make: the owner alone, as a log holds other people's data. */
#define FILE_MODE 0600
#define DIR_MODE 0700

/* A read ends elsewhere than at a multiple of a sector only at the file's end. */
#define READ_UNIT 512

static struct err err_last(void)
{
    return err_from_errno(errno);
}

static struct err err_unless_zero(int result)
{
    return result == 0 ? ERR_NONE : err_last();
}

static struct err real_open(void *self, const char *path, unsigned flags, int *file)
{
    (void)self;
    int how = O_CLOEXEC;
    bool reads = (flags & OS_FILE_READ) != 0;
    bool writes = (flags & OS_FILE_WRITE) != 0;
    CHECK(reads || writes);
    how |= reads && writes ? O_RDWR : reads ? O_RDONLY : O_WRONLY;
    how |= (flags & OS_FILE_CREATE) != 0 ? O_CREAT : 0;
    how |= (flags & OS_FILE_EXCLUSIVE) != 0 ? O_EXCL : 0;
    how |= (flags & OS_FILE_TRUNCATE) != 0 ? O_TRUNC : 0;
    how |= (flags & OS_FILE_DIRECT) != 0 ? O_DIRECT : 0;
    int opened;
    do
        opened = open(path, how, FILE_MODE);
    while (opened < 0 && errno == EINTR);
    if (opened < 0)
        return err_last();
    *file = opened;
    return ERR_NONE;
}

static void real_close(void *self, int file)
{
    (void)self;
    (void)close(file);
}

static struct err real_size(void *self, int file, int64_t *size)
{
    (void)self;
    struct stat status;
    TRY(err_unless_zero(fstat(file, &status)));
    *size = status.st_size;
    return ERR_NONE;
}

static struct err real_read_at(void *self, int file, void *bytes, size_t size, int64_t at,
                               size_t *done)
{
    (void)self;
    size_t total = 0;
    while (total < size) {
        ssize_t part = pread(file, (uint8_t *)bytes + total, size - total, at + (int64_t)total);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return err_last();
        total += (size_t)part;
        /* The end; asking again past it is an error for files opened with OS_FILE_DIRECT. */
        if (part == 0 || (size_t)part % READ_UNIT != 0)
            break;
    }
    *done = total;
    return ERR_NONE;
}

/* Drops done bytes from the front of the vector. */
static void iovec_advance(struct iovec **vector, int *count, size_t done)
{
    while (*count > 0 && done >= (*vector)->iov_len) {
        done -= (*vector)->iov_len;
        (*vector)++;
        (*count)--;
    }
    if (*count > 0) {
        (*vector)->iov_base = (uint8_t *)(*vector)->iov_base + done;
        (*vector)->iov_len -= done;
    }
}

static struct err real_write_at(void *self, int file, const struct span *spans, size_t span_count,
                                int64_t at, size_t *done)
{
    (void)self;
    CHECK(span_count <= OS_SPAN_COUNT_MAX);
    struct iovec storage[OS_SPAN_COUNT_MAX];
    memset(storage, 0, sizeof storage);
    for (size_t i = 0; i < span_count; i++) {
        memcpy(&storage[i].iov_base, &spans[i].data, sizeof storage[i].iov_base);
        storage[i].iov_len = spans[i].size;
    }
    struct iovec *vector = storage;
    int count = (int)span_count;
    *done = 0;
    iovec_advance(&vector, &count, 0);
    while (count > 0) {
        ssize_t part = pwritev(file, vector, count, at + (int64_t)*done);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return err_last();
        *done += (size_t)part;
        iovec_advance(&vector, &count, (size_t)part);
    }
    return ERR_NONE;
}

static struct err real_sync_data(void *self, int file)
{
    (void)self;
    return err_unless_zero(fdatasync(file));
}

static struct err real_sync(void *self, int file)
{
    (void)self;
    return err_unless_zero(fsync(file));
}

static struct err real_sync_file_system(void *self, int file)
{
    (void)self;
    return err_unless_zero(syncfs(file));
}

static struct err real_truncate(void *self, int file, int64_t size)
{
    (void)self;
    return err_unless_zero(ftruncate(file, size));
}

static struct err real_allocate(void *self, int file, int64_t at, int64_t size)
{
    (void)self;
    return err_unless_zero(fallocate(file, FALLOC_FL_KEEP_SIZE, at, size));
}

static struct err real_lock(void *self, int file)
{
    (void)self;
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        return ERR_NONE;
    return errno == EWOULDBLOCK ? err_make(ERR_BUSY) : err_last();
}

static struct err real_remove(void *self, const char *path)
{
    (void)self;
    return err_unless_zero(unlink(path));
}

static struct err real_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return err_unless_zero(rename(from, to));
}

static struct err real_dir_make(void *self, const char *path)
{
    (void)self;
    return err_unless_zero(mkdir(path, DIR_MODE));
}

static struct err real_dir_remove(void *self, const char *path)
{
    (void)self;
    return err_unless_zero(rmdir(path));
}

static struct err real_dir_sync(void *self, const char *path)
{
    (void)self;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_last();
    struct err err = err_unless_zero(fsync(dir));
    (void)close(dir);
    return err;
}

static bool entry_is_dir(DIR *dir, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    struct stat status;
    return fstatat(dirfd(dir), entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static struct err real_dir_list(void *self, const char *path, os_dir_visit visit, void *context)
{
    (void)self;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return err_last();
    struct err err = ERR_NONE;
    while (!err_failed(err)) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0)
                err = err_last();
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = visit(context, entry->d_name, entry_is_dir(dir, entry));
    }
    (void)closedir(dir);
    return err;
}

static struct err real_dir_space(void *self, const char *path, int64_t *size_free,
                                 int64_t *size_total)
{
    (void)self;
    struct statvfs status;
    TRY(err_unless_zero(statvfs(path, &status)));
    *size_free = (int64_t)(status.f_bavail * status.f_frsize);
    *size_total = (int64_t)(status.f_blocks * status.f_frsize);
    return ERR_NONE;
}

const struct os_files os_real_files = {
    .open = real_open,
    .close = real_close,
    .size = real_size,
    .read_at = real_read_at,
    .write_at = real_write_at,
    .sync_data = real_sync_data,
    .sync = real_sync,
    .sync_file_system = real_sync_file_system,
    .truncate = real_truncate,
    .allocate = real_allocate,
    .lock = real_lock,
    .remove = real_remove,
    .rename = real_rename,
    .dir_make = real_dir_make,
    .dir_remove = real_dir_remove,
    .dir_sync = real_dir_sync,
    .dir_list = real_dir_list,
    .dir_space = real_dir_space,
};
