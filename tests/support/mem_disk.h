/*
 * mem_disk: a disk in memory that plays out the fault model of os/os_file.h.
 *
 * Each file has its bytes as written and as last synced; each directory its names likewise. A crash
 * brings back what was synced, or, sector by sector and name by name, a random mixture of both.
 * Single calls can be made to fail, the disk can be full, descriptors short, and the power can go
 * out at a chosen sync. After a failed sync the file's pages lie, as Linux's do: they read as
 * written, a later sync passes over them, and only OS_FILE_DIRECT shows what the disk holds.
 *
 * Any thread may use the vtable; the functions here are for the test's own thread.
 */
#ifndef HEADRACE_TESTS_SUPPORT_MEM_DISK_H
#define HEADRACE_TESTS_SUPPORT_MEM_DISK_H

#include "os/os.h"

struct mem_disk;

/* Which calls a countdown counts. */
enum mem_disk_call {
    MEM_DISK_OPEN = 1,
    MEM_DISK_WRITE = 2, /* fails with ERR_NO_SPACE behind half of its bytes */
    MEM_DISK_SYNC = 4,  /* any sync; fails with ERR_IO */
    MEM_DISK_RENAME = 8,
    MEM_DISK_TRUNCATE = 16,
    MEM_DISK_ALLOCATE = 32,
    MEM_DISK_DIR = 64, /* make, remove */
    MEM_DISK_READ = 128,
    MEM_DISK_ALL = 255,
};

/* What is left of unsynced bytes and names after a crash. */
enum mem_disk_loss {
    MEM_DISK_LOSE_ALL,
    MEM_DISK_LOSE_SOME, /* by sector and by name, as the seed decides */
    MEM_DISK_GARBLE,    /* the same, and some of the bytes that were being written are noise */
    MEM_DISK_LOSE_NONE, /* the process died, the machine lives */
};

/* A disk with an empty root directory "/data". Never fails. */
struct mem_disk *mem_disk_create(uint64_t seed);
void mem_disk_destroy(struct mem_disk *disk);

/* The vtable; valid until mem_disk_destroy. */
const struct os_files *mem_disk_files(struct mem_disk *disk);

/* The count-th call (from 1) of the given kinds from now on fails once; 0: none does. */
void mem_disk_fail(struct mem_disk *disk, unsigned calls, uint32_t count);

/* True when the call chosen by mem_disk_fail has failed. */
bool mem_disk_has_failed(const struct mem_disk *disk);

/* While full, whatever needs space fails with ERR_NO_SPACE: writes (behind half of their bytes),
 * reservations, new directories. */
void mem_disk_set_full(struct mem_disk *disk, bool is_full);

/* At most so many files are open at once, then ERR_LIMIT; folders need one to be synced. */
void mem_disk_set_open_max(struct mem_disk *disk, uint32_t count);

/* From the count-th sync on (from 1), before it takes effect, every call fails: the power is out.
 */
void mem_disk_power_off(struct mem_disk *disk, uint32_t sync_count);
bool mem_disk_is_off(const struct mem_disk *disk);

/* Calls the hook before each sync takes effect: other threads, so to say. NULL: nobody. */
void mem_disk_on_sync(struct mem_disk *disk, void (*hook)(void *context), void *context);

/* Closes all files, loses what a crash loses, and turns the power on. */
void mem_disk_crash(struct mem_disk *disk, enum mem_disk_loss loss);

/* How many files are open; how many syncs there have been. */
uint32_t mem_disk_open_count(const struct mem_disk *disk);
uint32_t mem_disk_sync_count(const struct mem_disk *disk);

/* The present bytes of a file, to look at or to damage; NULL where there is none. */
uint8_t *mem_disk_bytes(struct mem_disk *disk, const char *path, size_t *size);

/* Sets a file's size, as somebody with an editor would: synced. False where there is none. */
bool mem_disk_resize(struct mem_disk *disk, const char *path, size_t size);

#endif
