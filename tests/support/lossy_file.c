/*
 * lossy_file: Linux's files, less what was not synced when the process died.
 *
 * The binary headrace_lossy has this file's vtable in the place of os_real_file's. A kill leaves
 * the kernel alive, and with it all that was written; here the next start puts the data folder back
 * to what the syncs that returned have promised, and to nothing more.
 *
 *     $HEADRACE_LOSSY            the data folder: what the process reads and writes, sendfile too
 *     $HEADRACE_LOSSY.durable/   what survives a kill: `ID` holds the bytes of a file as last
 *                                synced, `ID.names` a folder's names as last synced
 *     $HEADRACE_LOSSY.broken     while there is such a file, every sync fails
 *
 * Invariants:
 * 1. Bytes and sizes reach `ID` only by a sync of that file that began after they were written.
 * 2. Names reach `ID.names` only by a sync of their folder, all at once; the file's bytes need a
 *    sync of their own.
 * 3. An inode keeps its ID under every name and across starts, so a rename loses no synced byte.
 *
 * $HEADRACE_LOSSY_KEEP, in percent, breaks 1 and 2 as kernels do: that share of unsynced sectors
 * and changes of names survives all the same, in no order. The data folder's own name is taken to
 * be durable. Errors of this file's own work end the process: it is a test's tool.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/map.h"
#include "os/os_real_internal.h"

/* Linux's own vtable, of os_real_file.c compiled with this name. */
extern const struct os_files os_disk_files;

/* A disk takes its time: what is answered before the sync has returned can then be lost. */
#define SYNC_NS 1000000

#define SECTOR_SIZE 512
#define PATH_SIZE 1024
#define COPY_SIZE 65536
#define OPEN_COUNT_MAX 65536 /* twice the descriptors that a broker asks for */
#define ROOT_ID 1
#define WALK_FD_COUNT 16
#define MODE 0700

/* One inode of the data folder. Never freed: open files may outlive the name. */
struct node {
    struct node *next;
    ino_t number;
    uint64_t id;
    pthread_mutex_t sync_lock; /* held over a sync: a second one returns after the first */
    int64_t dirty_from;        /* unsynced bytes lie in [dirty_from, dirty_end) */
    int64_t dirty_end;
};

struct lossy {
    pthread_mutex_t lock; /* all below, and changes of names */
    bool is_started;
    const char *live; /* NULL: nothing is lossy */
    size_t live_size;
    char durable[PATH_SIZE];
    uint64_t keep_percent;
    uint64_t random;
    uint64_t id_last;
    struct map by_number;
    struct node *all;
    struct node *open[OPEN_COUNT_MAX];
};

static bool chance(struct lossy *disk)
{
    disk->random ^= disk->random << 13;
    disk->random ^= disk->random >> 7;
    disk->random ^= disk->random << 17;
    return disk->random % 100 < disk->keep_percent;
}

static struct node *node_add(struct lossy *disk, const struct stat *status, uint64_t id)
{
    struct node *node = calloc(1, sizeof *node);
    CHECK(node != NULL);
    CHECK(pthread_mutex_init(&node->sync_lock, NULL) == 0);
    node->number = status->st_ino;
    node->id = id;
    node->dirty_from = INT64_MAX;
    node->next = disk->all;
    disk->all = node;
    struct span key = span_make(&node->number, sizeof node->number);
    CHECK(!err_failed(map_put(&disk->by_number, key, node)));
    return node;
}

/* The inode's node; a new one with a new ID where it has none. */
static struct node *node_of(struct lossy *disk, const struct stat *status)
{
    struct node *node =
        map_get(&disk->by_number, span_make(&status->st_ino, sizeof status->st_ino));
    return node != NULL ? node : node_add(disk, status, ++disk->id_last);
}

/* The name is going away and with it the inode: its number may come again as another file's. */
static void node_forget(struct lossy *disk, const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0)
        (void)map_remove(&disk->by_number, span_make(&status.st_ino, sizeof status.st_ino));
}

static void durable_path(const struct lossy *disk, uint64_t id, const char *suffix,
                         char path[PATH_SIZE])
{
    int size =
        snprintf(path, PATH_SIZE, "%s/%llu%s", disk->durable, (unsigned long long)id, suffix);
    CHECK(size > 0 && size < PATH_SIZE);
}

static int durable_open(const struct lossy *disk, uint64_t id)
{
    char path[PATH_SIZE];
    durable_path(disk, id, "", path);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, MODE);
    CHECK(file >= 0);
    return file;
}

static void copy_bytes(int from, int to, int64_t at, int64_t end)
{
    static _Thread_local char bytes[COPY_SIZE];
    while (at < end) {
        size_t want = end - at < COPY_SIZE ? (size_t)(end - at) : COPY_SIZE;
        ssize_t size = pread(from, bytes, want, at);
        CHECK(size >= 0);
        if (size == 0)
            return;
        CHECK(pwrite(to, bytes, (size_t)size, at) == size);
        at += size;
    }
}

/* Reads by a descriptor of its own: the caller's may be for writing only. */
static int reopen(int file)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int other = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(other >= 0);
    return other;
}

static void sync_wait(void)
{
    struct timespec rest = {.tv_nsec = SYNC_NS};
    while (nanosleep(&rest, &rest) != 0) {
    }
}

static void sync_bytes(struct lossy *disk, struct node *node, int file)
{
    CHECK(pthread_mutex_lock(&node->sync_lock) == 0);
    struct stat status;
    CHECK(pthread_mutex_lock(&disk->lock) == 0);
    CHECK(fstat(file, &status) == 0);
    int64_t from = node->dirty_from;
    int64_t end = node->dirty_end < status.st_size ? node->dirty_end : status.st_size;
    bool is_dirty = node->dirty_from != INT64_MAX;
    node->dirty_from = INT64_MAX;
    node->dirty_end = 0;
    CHECK(pthread_mutex_unlock(&disk->lock) == 0);
    sync_wait();
    if (is_dirty) {
        int source = reopen(file);
        int target = durable_open(disk, node->id);
        copy_bytes(source, target, from, end);
        CHECK(ftruncate(target, status.st_size) == 0);
        CHECK(close(source) == 0 && close(target) == 0);
    }
    CHECK(pthread_mutex_unlock(&node->sync_lock) == 0);
}

static void mark_dirty(struct lossy *disk, int file, int64_t from, int64_t end)
{
    CHECK(pthread_mutex_lock(&disk->lock) == 0);
    struct node *node = disk->open[file];
    if (node != NULL && from < node->dirty_from)
        node->dirty_from = from;
    if (node != NULL && end > node->dirty_end)
        node->dirty_end = end;
    CHECK(pthread_mutex_unlock(&disk->lock) == 0);
}

/* With the lock. */
static void sync_names(struct lossy *disk, const char *path)
{
    char names[PATH_SIZE];
    char fresh[PATH_SIZE];
    struct stat status;
    CHECK(stat(path, &status) == 0);
    uint64_t id = node_of(disk, &status)->id;
    durable_path(disk, id, ".names", names);
    durable_path(disk, id, ".new", fresh);
    FILE *out = fopen(fresh, "we");
    DIR *dir = opendir(path);
    CHECK(out != NULL && dir != NULL);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        bool is_name = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        if (!is_name || fstatat(dirfd(dir), entry->d_name, &status, 0) != 0)
            continue;
        (void)fprintf(out, "%c %llu %s\n", S_ISDIR(status.st_mode) ? 'd' : 'f',
                      (unsigned long long)node_of(disk, &status)->id, entry->d_name);
    }
    CHECK(closedir(dir) == 0 && fclose(out) == 0);
    CHECK(rename(fresh, names) == 0);
}

/* With the lock: a change of names in the path's folder that may survive unsynced. */
static void keep_name(struct lossy *disk, const char *path)
{
    char folder[PATH_SIZE];
    if (!chance(disk))
        return;
    CHECK((size_t)snprintf(folder, sizeof folder, "%s", path) < sizeof folder);
    char *slash = strrchr(folder, '/');
    CHECK(slash != NULL);
    *slash = '\0';
    sync_names(disk, folder);
}

/* Sectors that a kernel happened to write back before the kill. */
static void keep_sectors(struct lossy *disk, int file, int64_t from, int64_t end)
{
    CHECK(pthread_mutex_lock(&disk->lock) == 0);
    const struct node *node = disk->open[file];
    if (node != NULL && disk->keep_percent != 0) {
        int source = reopen(file);
        int target = durable_open(disk, node->id);
        for (int64_t at = from / SECTOR_SIZE * SECTOR_SIZE; at < end; at += SECTOR_SIZE)
            if (chance(disk))
                copy_bytes(source, target, at, at + SECTOR_SIZE < end ? at + SECTOR_SIZE : end);
        CHECK(close(source) == 0 && close(target) == 0);
    }
    CHECK(pthread_mutex_unlock(&disk->lock) == 0);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void restore_file(struct lossy *disk, const char *path, uint64_t id)
{
    struct stat status;
    int target = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    int source = durable_open(disk, id);
    CHECK(target >= 0 && fstat(source, &status) == 0);
    copy_bytes(source, target, 0, status.st_size);
    CHECK(ftruncate(target, status.st_size) == 0 && fstat(target, &status) == 0);
    (void)node_add(disk, &status, id);
    CHECK(close(source) == 0 && close(target) == 0);
}

static void restore_dir(struct lossy *disk, const char *path, uint64_t id) /* NOLINT(misc-*) */
{
    char names[PATH_SIZE];
    char line[PATH_SIZE];
    char child[PATH_SIZE];
    struct stat status;
    CHECK(mkdir(path, MODE) == 0 && stat(path, &status) == 0);
    (void)node_add(disk, &status, id);
    durable_path(disk, id, ".names", names);
    FILE *in = fopen(names, "re");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *name = NULL;
        uint64_t child_id = strtoull(line + 2, &name, 10);
        int size = snprintf(child, sizeof child, "%s/%s", path, name + 1);
        CHECK(size > 0 && (size_t)size < sizeof child);
        if (line[0] == 'd')
            restore_dir(disk, child, child_id);
        else
            restore_file(disk, child, child_id);
    }
    if (in != NULL)
        (void)fclose(in);
}

/* IDs go on behind the last one ever given. */
static void find_last_id(struct lossy *disk)
{
    DIR *dir = opendir(disk->durable);
    CHECK(dir != NULL);
    disk->id_last = ROOT_ID;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        uint64_t id = strtoull(entry->d_name, NULL, 10);
        disk->id_last = id > disk->id_last ? id : disk->id_last;
    }
    CHECK(closedir(dir) == 0);
}

/* The power comes back: the data folder is what was synced. */
static void start(struct lossy *disk)
{
    const char *keep = getenv("HEADRACE_LOSSY_KEEP");
    disk->is_started = true;
    disk->live = getenv("HEADRACE_LOSSY");
    if (disk->live == NULL)
        return;
    disk->live_size = strlen(disk->live);
    disk->keep_percent = keep == NULL ? 0 : strtoull(keep, NULL, 10);
    disk->random = (uint64_t)getpid() * 0x9e3779b97f4a7c15U;
    map_init(&disk->by_number, disk->random);
    CHECK((size_t)snprintf(disk->durable, PATH_SIZE, "%s.durable", disk->live) < PATH_SIZE);
    (void)mkdir(disk->durable, MODE);
    (void)nftw(disk->live, remove_one, WALK_FD_COUNT, FTW_DEPTH | FTW_PHYS);
    find_last_id(disk);
    restore_dir(disk, disk->live, ROOT_ID);
}

/* Whether the path lies in the data folder. Takes the lock; pair with leave. */
static bool enter(struct lossy *disk, const char *path)
{
    CHECK(pthread_mutex_lock(&disk->lock) == 0);
    if (!disk->is_started)
        start(disk);
    return disk->live != NULL && strncmp(path, disk->live, disk->live_size) == 0 &&
           (path[disk->live_size] == '/' || path[disk->live_size] == '\0');
}

static void leave(struct lossy *disk)
{
    CHECK(pthread_mutex_unlock(&disk->lock) == 0);
}

static struct err lossy_open(void *self, const char *path, unsigned flags, int *file)
{
    struct lossy *disk = self;
    bool is_ours = enter(disk, path);
    struct stat status;
    bool was_there = stat(path, &status) == 0;
    struct err err = file_open(&os_disk_files, path, flags, file);
    if (!err_failed(err) && is_ours) {
        CHECK(*file < OPEN_COUNT_MAX && fstat(*file, &status) == 0);
        struct node *node = node_of(disk, &status);
        disk->open[*file] = node;
        if ((flags & OS_FILE_TRUNCATE) != 0)
            node->dirty_from = 0;
        if (!was_there)
            keep_name(disk, path);
    }
    leave(disk);
    return err;
}

static void lossy_close(void *self, int file)
{
    struct lossy *disk = self;
    CHECK(pthread_mutex_lock(&disk->lock) == 0);
    disk->open[file] = NULL;
    file_close(&os_disk_files, file);
    leave(disk);
}

static struct err lossy_size(void *self, int file, int64_t *size)
{
    (void)self;
    return file_size(&os_disk_files, file, size);
}

static struct err lossy_read_at(void *self, int file, void *bytes, size_t size, int64_t at,
                                size_t *done)
{
    (void)self;
    return file_read_at(&os_disk_files, file, bytes, size, at, done);
}

static struct err lossy_write_at(void *self, int file, const struct span *spans, size_t span_count,
                                 int64_t at, size_t *done)
{
    struct err err = file_write_at(&os_disk_files, file, spans, span_count, at, done);
    mark_dirty(self, file, at, at + (int64_t)*done);
    keep_sectors(self, file, at, at + (int64_t)*done);
    return err;
}

/* Whether the disk has broken: somebody says so by a file. */
static bool is_broken(const struct lossy *disk)
{
    char path[PATH_SIZE];
    if (disk->live == NULL)
        return false;
    CHECK((size_t)snprintf(path, sizeof path, "%s.broken", disk->live) < sizeof path);
    return access(path, F_OK) == 0;
}

static struct err lossy_sync(void *self, int file)
{
    struct lossy *disk = self;
    if (is_broken(disk))
        return err_make(ERR_IO);
    CHECK(pthread_mutex_lock(&disk->lock) == 0);
    struct node *node = disk->open[file];
    leave(disk);
    if (node != NULL)
        sync_bytes(disk, node, file);
    return ERR_NONE;
}

static int sync_one(const char *path, const struct stat *status, int kind, struct FTW *walk);

static struct err lossy_sync_file_system(void *self, int file)
{
    struct lossy *disk = self;
    (void)file;
    CHECK(disk->live != NULL);
    if (is_broken(disk))
        return err_make(ERR_IO);
    CHECK(nftw(disk->live, sync_one, WALK_FD_COUNT, FTW_PHYS) == 0);
    return ERR_NONE;
}

static struct err lossy_truncate(void *self, int file, int64_t size)
{
    int64_t before = 0;
    TRY(file_size(&os_disk_files, file, &before));
    struct err err = file_truncate(&os_disk_files, file, size);
    mark_dirty(self, file, size < before ? size : before, size);
    return err;
}

static struct err lossy_allocate(void *self, int file, int64_t at, int64_t size)
{
    (void)self;
    return file_allocate(&os_disk_files, file, at, size);
}

static struct err lossy_lock(void *self, int file)
{
    (void)self;
    return file_lock(&os_disk_files, file);
}

static struct err lossy_remove(void *self, const char *path)
{
    struct lossy *disk = self;
    bool is_ours = enter(disk, path);
    if (is_ours)
        node_forget(disk, path);
    struct err err = file_remove(&os_disk_files, path);
    if (is_ours && !err_failed(err))
        keep_name(disk, path);
    leave(disk);
    return err;
}

static struct err lossy_rename(void *self, const char *from, const char *to)
{
    struct lossy *disk = self;
    bool is_ours = enter(disk, to);
    if (is_ours)
        node_forget(disk, to);
    struct err err = file_rename(&os_disk_files, from, to);
    if (is_ours && !err_failed(err))
        keep_name(disk, to);
    leave(disk);
    return err;
}

static struct err lossy_dir_make(void *self, const char *path)
{
    struct lossy *disk = self;
    bool is_ours = enter(disk, path);
    struct err err = dir_make(&os_disk_files, path);
    if (is_ours && !err_failed(err))
        keep_name(disk, path);
    leave(disk);
    return err;
}

static struct err lossy_dir_remove(void *self, const char *path)
{
    struct lossy *disk = self;
    bool is_ours = enter(disk, path);
    struct stat status;
    bool was_there = is_ours && stat(path, &status) == 0;
    struct err err = dir_remove(&os_disk_files, path);
    if (was_there && !err_failed(err))
        (void)map_remove(&disk->by_number, span_make(&status.st_ino, sizeof status.st_ino));
    leave(disk);
    return err;
}

static struct err lossy_dir_sync(void *self, const char *path)
{
    struct lossy *disk = self;
    sync_wait();
    if (is_broken(disk))
        return err_make(ERR_IO);
    bool is_ours = enter(disk, path);
    if (is_ours)
        sync_names(disk, path);
    leave(disk);
    return is_ours ? ERR_NONE : dir_sync(&os_disk_files, path);
}

static struct err lossy_dir_list(void *self, const char *path, os_dir_visit visit, void *context)
{
    struct lossy *disk = self;
    (void)enter(disk, path);
    leave(disk);
    return dir_list(&os_disk_files, path, visit, context);
}

static struct err lossy_dir_space(void *self, const char *path, int64_t *size_free,
                                  int64_t *size_total)
{
    struct lossy *disk = self;
    (void)enter(disk, path);
    leave(disk);
    return dir_space(&os_disk_files, path, size_free, size_total);
}

static struct lossy the_disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int sync_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)walk;
    (void)enter(&the_disk, path);
    struct node *node = node_of(&the_disk, status);
    if (kind == FTW_D)
        sync_names(&the_disk, path);
    leave(&the_disk);
    int file = kind == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        sync_bytes(&the_disk, node, file);
        CHECK(close(file) == 0);
    }
    return 0;
}

const struct os_files os_real_files = {
    .self = &the_disk,
    .open = lossy_open,
    .close = lossy_close,
    .size = lossy_size,
    .read_at = lossy_read_at,
    .write_at = lossy_write_at,
    .sync_data = lossy_sync,
    .sync = lossy_sync,
    .sync_file_system = lossy_sync_file_system,
    .truncate = lossy_truncate,
    .allocate = lossy_allocate,
    .lock = lossy_lock,
    .remove = lossy_remove,
    .rename = lossy_rename,
    .dir_make = lossy_dir_make,
    .dir_remove = lossy_dir_remove,
    .dir_sync = lossy_dir_sync,
    .dir_list = lossy_dir_list,
    .dir_space = lossy_dir_space,
};
