/* mem_disk: inodes with two versions of their bytes or names: as they are, and as a crash sees
 * them. */
#include "support/mem_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "support/fail_alloc.h"

#define SECTOR_SIZE 512
#define FILE_COUNT_MAX 4096
#define NAME_SIZE 300

struct inode;

struct name {
    char text[NAME_SIZE];
    struct inode *inode;
};

struct names {
    struct name *items;
    uint32_t count;
};

struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct inode {
    struct inode *next; /* of all */
    bool is_dir;
    bool is_locked;
    struct bytes now;
    struct bytes synced;
    struct bytes lies; /* a byte for each sector: not 0, it was dirty when a sync failed, and is not
                          any more */
    struct names names_now;
    struct names names_synced;
};

struct mem_disk {
    struct os_files files;
    struct os_mutex lock;
    struct inode *all;
    struct inode *root;
    struct inode *open[FILE_COUNT_MAX];
    bool holds_lock[FILE_COUNT_MAX];
    bool is_direct[FILE_COUNT_MAX];
    uint32_t open_count;
    uint32_t open_count_max;
    bool is_full;
    uint32_t sync_count;
    unsigned fail_calls;
    uint32_t fail_count;
    bool has_failed;
    uint32_t off_at; /* 0: never */
    bool is_off;
    void (*on_sync)(void *context);
    void *on_sync_context;
    uint64_t random;
};

static uint64_t next_random(struct mem_disk *disk)
{
    disk->random ^= disk->random << 13;
    disk->random ^= disk->random >> 7;
    disk->random ^= disk->random << 17;
    return disk->random;
}

/* The disk's own memory, which is not the program's: no countdown counts it. */
static void *disk_realloc(void *memory, size_t size)
{
    fail_alloc_pause();
    void *moved = realloc(memory, size);
    fail_alloc_resume();
    CHECK(moved != NULL);
    return moved;
}

static struct inode *make_inode(struct mem_disk *disk, bool is_dir)
{
    struct inode *inode = disk_realloc(NULL, sizeof *inode);
    *inode = (struct inode){0};
    inode->is_dir = is_dir;
    inode->next = disk->all;
    disk->all = inode;
    return inode;
}

static void resize(struct bytes *bytes, size_t size)
{
    if (size > bytes->capacity) {
        size_t capacity = bytes->capacity == 0 ? 4096 : bytes->capacity;
        while (capacity < size)
            capacity *= 2;
        bytes->data = disk_realloc(bytes->data, capacity);
        bytes->capacity = capacity;
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static void copy_bytes(struct bytes *to, const struct bytes *from)
{
    resize(to, from->size);
    if (from->size != 0)
        memcpy(to->data, from->data, from->size);
}

static void copy_names(struct names *to, const struct names *from)
{
    free(to->items);
    to->items = disk_realloc(NULL, (from->count + 1) * sizeof *to->items);
    if (from->count != 0)
        memcpy(to->items, from->items, from->count * sizeof *to->items);
    to->count = from->count;
}

static struct name *find_name(const struct names *names, const char *text)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i].text, text) == 0)
            return &names->items[i];
    }
    return NULL;
}

static void put_name(struct names *names, const char *text, struct inode *inode)
{
    struct name *there = find_name(names, text);
    if (there != NULL) {
        there->inode = inode;
        return;
    }
    names->items = disk_realloc(names->items, (names->count + 1) * sizeof *names->items);
    CHECK(strlen(text) < NAME_SIZE);
    struct name *name = &names->items[names->count++];
    (void)snprintf(name->text, sizeof name->text, "%s", text);
    name->inode = inode;
}

static void drop_name(struct names *names, const char *text)
{
    struct name *there = find_name(names, text);
    if (there != NULL)
        *there = names->items[--names->count];
}

/* Walks to the directory that holds the last part of the path. */
static struct inode *find_parent(struct mem_disk *disk, const char *path, char last[NAME_SIZE])
{
    struct inode *dir = disk->root;
    CHECK(path[0] == '/');
    for (;;) {
        path++;
        size_t size = strcspn(path, "/");
        CHECK(size > 0 && size < NAME_SIZE);
        memcpy(last, path, size);
        last[size] = '\0';
        path += size;
        if (*path == '\0')
            return dir;
        const struct name *name = find_name(&dir->names_now, last);
        if (name == NULL || !name->inode->is_dir)
            return NULL;
        dir = name->inode;
    }
}

static struct inode *find_inode(struct mem_disk *disk, const char *path)
{
    char last[NAME_SIZE];
    struct inode *dir = find_parent(disk, path, last);
    const struct name *name = dir == NULL ? NULL : find_name(&dir->names_now, last);
    return name == NULL ? NULL : name->inode;
}

/* Whether this call is the one that fails. */
static struct err gate(struct mem_disk *disk, enum mem_disk_call call, enum err_code code)
{
    if (disk->is_off)
        return err_make(ERR_IO);
    if (disk->is_full && code == ERR_NO_SPACE)
        return err_make(code);
    if ((disk->fail_calls & (unsigned)call) != 0 && disk->fail_count > 0 &&
        --disk->fail_count == 0) {
        disk->has_failed = true;
        return err_make(code);
    }
    return ERR_NONE;
}

/* Without the lock. */
static void tell_sync(struct mem_disk *disk)
{
    if (disk->on_sync != NULL)
        disk->on_sync(disk->on_sync_context);
}

static struct err gate_sync(struct mem_disk *disk)
{
    disk->sync_count++;
    if (disk->off_at != 0 && --disk->off_at == 0)
        disk->is_off = true;
    return gate(disk, MEM_DISK_SYNC, ERR_IO);
}

static bool sector_lies(const struct inode *inode, size_t sector)
{
    return sector < inode->lies.size && inode->lies.data[sector] != 0;
}

/* Sectors that are written or cut off are honest again. */
static void forget_lies(struct inode *inode, size_t from, size_t end)
{
    for (size_t i = from / SECTOR_SIZE; i < inode->lies.size && i * SECTOR_SIZE < end; i++)
        inode->lies.data[i] = 0;
}

static struct err open_locked(struct mem_disk *disk, const char *path, unsigned flags, int *file)
{
    char last[NAME_SIZE];
    TRY(gate(disk, MEM_DISK_OPEN, ERR_IO));
    if (disk->open_count >= disk->open_count_max)
        return err_make(ERR_LIMIT);
    struct inode *dir = find_parent(disk, path, last);
    if (dir == NULL)
        return err_make(ERR_NOT_FOUND);
    const struct name *name = find_name(&dir->names_now, last);
    if (name == NULL && (flags & OS_FILE_CREATE) == 0)
        return err_make(ERR_NOT_FOUND);
    if (name != NULL && (flags & OS_FILE_EXCLUSIVE) != 0)
        return err_make(ERR_EXISTS);
    struct inode *inode = name != NULL ? name->inode : make_inode(disk, false);
    CHECK(!inode->is_dir);
    if (name == NULL)
        put_name(&dir->names_now, last, inode);
    if ((flags & OS_FILE_TRUNCATE) != 0) {
        forget_lies(inode, 0, inode->now.size);
        resize(&inode->now, 0);
    }
    for (int i = 0; i < FILE_COUNT_MAX; i++) {
        if (disk->open[i] == NULL) {
            disk->open[i] = inode;
            disk->is_direct[i] = (flags & OS_FILE_DIRECT) != 0;
            disk->open_count++;
            *file = i;
            return ERR_NONE;
        }
    }
    return err_make(ERR_LIMIT);
}

static struct inode *inode_of(struct mem_disk *disk, int file)
{
    CHECK(file >= 0 && file < FILE_COUNT_MAX && disk->open[file] != NULL);
    return disk->open[file];
}

static struct err mem_open(void *self, const char *path, unsigned flags, int *file)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = open_locked(disk, path, flags, file);
    os_mutex_unlock(&disk->lock);
    return err;
}

static void mem_close(void *self, int file)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct inode *inode = inode_of(disk, file);
    if (disk->holds_lock[file])
        inode->is_locked = false;
    disk->holds_lock[file] = false;
    disk->open[file] = NULL;
    disk->open_count--;
    os_mutex_unlock(&disk->lock);
}

static struct err mem_size(void *self, int file, int64_t *size)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    *size = (int64_t)inode_of(disk, file)->now.size;
    os_mutex_unlock(&disk->lock);
    return disk->is_off ? err_make(ERR_IO) : ERR_NONE;
}

static struct err mem_read_at(void *self, int file, void *bytes, size_t size, int64_t at,
                              size_t *done)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = gate(disk, MEM_DISK_READ, ERR_IO);
    const struct inode *inode = inode_of(disk, file);
    size_t end = inode->now.size;
    size_t from = (size_t)at < end ? (size_t)at : end;
    size_t part = size < end - from ? size : end - from;
    for (size_t i = from; i < from + part && !err_failed(err); i++) {
        bool sees_disk = disk->is_direct[file] && sector_lies(inode, i / SECTOR_SIZE);
        uint8_t on_disk = i < inode->synced.size ? inode->synced.data[i] : 0;
        ((uint8_t *)bytes)[i - from] = sees_disk ? on_disk : inode->now.data[i];
    }
    *done = part;
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_write_at(void *self, int file, const struct span *spans, size_t span_count,
                               int64_t at, size_t *done)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = gate(disk, MEM_DISK_WRITE, ERR_NO_SPACE);
    struct inode *inode = inode_of(disk, file);
    struct bytes *now = &inode->now;
    *done = 0;
    for (size_t i = 0; i < span_count && !disk->is_off; i++) {
        size_t part = err_failed(err) ? spans[i].size / 2 : spans[i].size;
        size_t from = (size_t)at + *done;
        if (from + part > now->size)
            resize(now, from + part);
        if (part != 0)
            memcpy(now->data + from, spans[i].data, part);
        forget_lies(inode, from, from + part);
        *done += part;
        if (err_failed(err))
            break;
    }
    os_mutex_unlock(&disk->lock);
    return err;
}

/* Writes back what is dirty. */
static void write_back(struct inode *inode)
{
    resize(&inode->synced, inode->now.size); /* what never was on the disk is zeros */
    for (size_t at = 0; at < inode->now.size; at += SECTOR_SIZE) {
        size_t size = at + SECTOR_SIZE < inode->now.size ? SECTOR_SIZE : inode->now.size - at;
        if (!sector_lies(inode, at / SECTOR_SIZE))
            memcpy(inode->synced.data + at, inode->now.data + at, size);
    }
}

/* A failed sync leaves what was dirty looking clean. */
static void note_lies(struct inode *inode)
{
    resize(&inode->lies, inode->now.size / SECTOR_SIZE + 1);
    for (size_t i = 0; i < inode->now.size; i++) {
        if (i >= inode->synced.size || inode->now.data[i] != inode->synced.data[i])
            inode->lies.data[i / SECTOR_SIZE] = 1;
    }
}

static struct err mem_sync(void *self, int file)
{
    struct mem_disk *disk = self;
    tell_sync(disk);
    os_mutex_lock(&disk->lock);
    struct err err = gate_sync(disk);
    struct inode *inode = inode_of(disk, file);
    if (!err_failed(err))
        write_back(inode);
    else if (!disk->is_off)
        note_lies(inode);
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_sync_file_system(void *self, int file)
{
    struct mem_disk *disk = self;
    tell_sync(disk);
    os_mutex_lock(&disk->lock);
    struct err err = gate_sync(disk);
    (void)inode_of(disk, file);
    for (struct inode *inode = disk->all; inode != NULL && !err_failed(err); inode = inode->next) {
        write_back(inode);
        copy_names(&inode->names_synced, &inode->names_now);
    }
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_truncate(void *self, int file, int64_t size)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = gate(disk, MEM_DISK_TRUNCATE, ERR_IO);
    struct inode *inode = inode_of(disk, file);
    if (!err_failed(err)) {
        forget_lies(inode, (size_t)size, inode->now.size);
        resize(&inode->now, (size_t)size);
    }
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_allocate(void *self, int file, int64_t at, int64_t size)
{
    struct mem_disk *disk = self;
    CHECK(at >= 0 && size > 0);
    os_mutex_lock(&disk->lock);
    struct err err = gate(disk, MEM_DISK_ALLOCATE, ERR_NO_SPACE);
    (void)inode_of(disk, file);
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_lock(void *self, int file)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct inode *inode = inode_of(disk, file);
    bool was_locked = inode->is_locked;
    inode->is_locked = true;
    disk->holds_lock[file] = disk->holds_lock[file] || !was_locked;
    os_mutex_unlock(&disk->lock);
    return was_locked ? err_make(ERR_BUSY) : ERR_NONE;
}

static struct err remove_locked(struct mem_disk *disk, const char *path, bool is_dir)
{
    char last[NAME_SIZE];
    TRY(gate(disk, MEM_DISK_DIR, ERR_IO));
    struct inode *dir = find_parent(disk, path, last);
    const struct name *name = dir == NULL ? NULL : find_name(&dir->names_now, last);
    if (name == NULL || name->inode->is_dir != is_dir)
        return err_make(ERR_NOT_FOUND);
    if (is_dir && name->inode->names_now.count != 0)
        return err_make(ERR_BUSY);
    drop_name(&dir->names_now, last);
    return ERR_NONE;
}

static struct err mem_remove(void *self, const char *path)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = remove_locked(disk, path, false);
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_dir_remove(void *self, const char *path)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = remove_locked(disk, path, true);
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err rename_locked(struct mem_disk *disk, const char *from, const char *to)
{
    char last_from[NAME_SIZE];
    char last_to[NAME_SIZE];
    TRY(gate(disk, MEM_DISK_RENAME, ERR_IO));
    struct inode *dir_from = find_parent(disk, from, last_from);
    struct inode *dir_to = find_parent(disk, to, last_to);
    const struct name *name = dir_from == NULL ? NULL : find_name(&dir_from->names_now, last_from);
    if (name == NULL || dir_to == NULL)
        return err_make(ERR_NOT_FOUND);
    struct inode *inode = name->inode;
    drop_name(&dir_from->names_now, last_from);
    put_name(&dir_to->names_now, last_to, inode);
    return ERR_NONE;
}

static struct err mem_rename(void *self, const char *from, const char *to)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = rename_locked(disk, from, to);
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err dir_make_locked(struct mem_disk *disk, const char *path)
{
    char last[NAME_SIZE];
    TRY(gate(disk, MEM_DISK_DIR, ERR_NO_SPACE));
    struct inode *dir = find_parent(disk, path, last);
    if (dir == NULL)
        return err_make(ERR_NOT_FOUND);
    if (find_name(&dir->names_now, last) != NULL)
        return err_make(ERR_EXISTS);
    put_name(&dir->names_now, last, make_inode(disk, true));
    return ERR_NONE;
}

static struct err mem_dir_make(void *self, const char *path)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = dir_make_locked(disk, path);
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_dir_sync(void *self, const char *path)
{
    struct mem_disk *disk = self;
    tell_sync(disk);
    os_mutex_lock(&disk->lock);
    bool has_descriptor = disk->open_count < disk->open_count_max;
    struct err err = has_descriptor ? gate_sync(disk) : err_make(ERR_LIMIT);
    struct inode *inode = find_inode(disk, path);
    if (!err_failed(err) && (inode == NULL || !inode->is_dir))
        err = err_make(ERR_NOT_FOUND);
    if (!err_failed(err))
        copy_names(&inode->names_synced, &inode->names_now);
    os_mutex_unlock(&disk->lock);
    return err;
}

static struct err mem_dir_list(void *self, const char *path, os_dir_visit visit, void *context)
{
    struct mem_disk *disk = self;
    os_mutex_lock(&disk->lock);
    struct err err = disk->is_off ? err_make(ERR_IO) : ERR_NONE;
    struct inode *inode = find_inode(disk, path);
    struct names names = {0};
    if (inode != NULL && inode->is_dir)
        copy_names(&names, &inode->names_now);
    else if (!err_failed(err))
        err = err_make(ERR_NOT_FOUND);
    os_mutex_unlock(&disk->lock);
    for (uint32_t i = 0; i < names.count && !err_failed(err); i++)
        err = visit(context, names.items[i].text, names.items[i].inode->is_dir);
    free(names.items);
    return err;
}

static struct err mem_dir_space(void *self, const char *path, int64_t *size_free,
                                int64_t *size_total)
{
    (void)self;
    (void)path;
    *size_free = *size_total = (int64_t)1 << 40;
    return ERR_NONE;
}

struct mem_disk *mem_disk_create(uint64_t seed)
{
    struct mem_disk *disk = calloc(1, sizeof *disk);
    CHECK(disk != NULL);
    os_mutex_init(&disk->lock);
    disk->random = seed * 0x9e3779b97f4a7c15u + 1;
    disk->open_count_max = FILE_COUNT_MAX;
    disk->root = make_inode(disk, true);
    put_name(&disk->root->names_now, "data", make_inode(disk, true));
    copy_names(&disk->root->names_synced, &disk->root->names_now);
    disk->files = (struct os_files){
        .self = disk,
        .open = mem_open,
        .close = mem_close,
        .size = mem_size,
        .read_at = mem_read_at,
        .write_at = mem_write_at,
        .sync_data = mem_sync,
        .sync = mem_sync,
        .sync_file_system = mem_sync_file_system,
        .truncate = mem_truncate,
        .allocate = mem_allocate,
        .lock = mem_lock,
        .remove = mem_remove,
        .rename = mem_rename,
        .dir_make = mem_dir_make,
        .dir_remove = mem_dir_remove,
        .dir_sync = mem_dir_sync,
        .dir_list = mem_dir_list,
        .dir_space = mem_dir_space,
    };
    return disk;
}

void mem_disk_destroy(struct mem_disk *disk)
{
    while (disk->all != NULL) {
        struct inode *inode = disk->all;
        disk->all = inode->next;
        free(inode->now.data);
        free(inode->synced.data);
        free(inode->lies.data);
        free(inode->names_now.items);
        free(inode->names_synced.items);
        free(inode);
    }
    os_mutex_deinit(&disk->lock);
    free(disk);
}

const struct os_files *mem_disk_files(struct mem_disk *disk)
{
    return &disk->files;
}

void mem_disk_fail(struct mem_disk *disk, unsigned calls, uint32_t count)
{
    disk->fail_calls = calls;
    disk->fail_count = count;
    disk->has_failed = disk->has_failed && count == 0;
}

bool mem_disk_has_failed(const struct mem_disk *disk)
{
    return disk->has_failed;
}

void mem_disk_set_full(struct mem_disk *disk, bool is_full)
{
    disk->is_full = is_full;
}

void mem_disk_set_open_max(struct mem_disk *disk, uint32_t count)
{
    disk->open_count_max = count;
}

void mem_disk_power_off(struct mem_disk *disk, uint32_t sync_count)
{
    disk->off_at = sync_count;
}

void mem_disk_on_sync(struct mem_disk *disk, void (*hook)(void *context), void *context)
{
    disk->on_sync = hook;
    disk->on_sync_context = context;
}

bool mem_disk_is_off(const struct mem_disk *disk)
{
    return disk->is_off;
}

/* Mixes the two versions sector by sector; the size is one of both. */
static void mix_bytes(struct mem_disk *disk, struct inode *inode, bool garbles)
{
    struct bytes *now = &inode->now;
    struct bytes *synced = &inode->synced;
    size_t size = next_random(disk) % 2 == 0 ? now->size : synced->size;
    resize(now, now->size > synced->size ? now->size : synced->size);
    for (size_t at = 0; at < now->size; at += SECTOR_SIZE) {
        size_t end = at + SECTOR_SIZE < now->size ? at + SECTOR_SIZE : now->size;
        bool keeps_old = next_random(disk) % 2 == 0;
        for (size_t i = at; keeps_old && i < end; i++)
            now->data[i] = i < synced->size ? synced->data[i] : 0;
        bool is_noise = garbles && next_random(disk) % 4 == 0;
        for (size_t i = at; is_noise && i < end; i++) {
            if (i >= synced->size || now->data[i] != synced->data[i])
                now->data[i] = (uint8_t)(next_random(disk) >> 32);
        }
    }
    resize(now, size);
}

/* Takes some of the changes of a directory and leaves others. */
static void mix_names(struct mem_disk *disk, struct inode *inode)
{
    struct names mixed = {0};
    copy_names(&mixed, &inode->names_synced);
    for (uint32_t i = 0; i < inode->names_now.count; i++) {
        const struct name *name = &inode->names_now.items[i];
        if (next_random(disk) % 2 == 0)
            put_name(&mixed, name->text, name->inode);
    }
    for (uint32_t i = 0; i < inode->names_synced.count; i++) {
        const struct name *name = &inode->names_synced.items[i];
        if (find_name(&inode->names_now, name->text) == NULL && next_random(disk) % 2 == 0)
            drop_name(&mixed, name->text);
    }
    copy_names(&inode->names_now, &mixed);
    free(mixed.items);
}

void mem_disk_crash(struct mem_disk *disk, enum mem_disk_loss loss)
{
    memset(disk->open, 0, sizeof disk->open);
    memset(disk->holds_lock, 0, sizeof disk->holds_lock);
    disk->is_full = false;
    disk->open_count = 0;
    disk->is_off = false;
    disk->off_at = 0;
    disk->fail_count = 0;
    for (struct inode *inode = disk->all; inode != NULL; inode = inode->next) {
        inode->is_locked = false;
        if (loss == MEM_DISK_LOSE_ALL) {
            copy_bytes(&inode->now, &inode->synced);
            copy_names(&inode->names_now, &inode->names_synced);
        } else if (loss != MEM_DISK_LOSE_NONE) {
            mix_bytes(disk, inode, loss == MEM_DISK_GARBLE);
            mix_names(disk, inode);
        }
        if (loss != MEM_DISK_LOSE_NONE) {
            copy_bytes(&inode->synced, &inode->now);
            copy_names(&inode->names_synced, &inode->names_now);
            resize(&inode->lies, 0);
        }
    }
}

uint32_t mem_disk_open_count(const struct mem_disk *disk)
{
    return disk->open_count;
}

uint32_t mem_disk_sync_count(const struct mem_disk *disk)
{
    return disk->sync_count;
}

uint8_t *mem_disk_bytes(struct mem_disk *disk, const char *path, size_t *size)
{
    struct inode *inode = find_inode(disk, path);
    if (inode == NULL)
        return NULL;
    *size = inode->now.size;
    return inode->now.data;
}

bool mem_disk_resize(struct mem_disk *disk, const char *path, size_t size)
{
    struct inode *inode = find_inode(disk, path);
    if (inode == NULL)
        return false;
    resize(&inode->now, size);
    copy_bytes(&inode->synced, &inode->now);
    return true;
}
