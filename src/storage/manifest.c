/* manifest: the journal's file: read whole at start, appended to, synced, now and then rewritten.
 */
#include "storage/manifest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "storage/manifest_internal.h"

#define MANIFEST_VERSION 1
#define HEADER_SIZE 16
#define HEADER_AT_VERSION 8
#define HEADER_AT_CRC 12

static const char header_magic[8] = "HRMANIF";

static void make_header(uint8_t header[HEADER_SIZE])
{
    memcpy(header, header_magic, sizeof header_magic);
    store_u32(header + HEADER_AT_VERSION, MANIFEST_VERSION);
    store_u32(header + HEADER_AT_CRC, crc32c(span_make(header, HEADER_AT_CRC)));
}

static struct err check_header(struct span bytes, struct diag *diag)
{
    if (bytes.size < HEADER_SIZE || memcmp(bytes.data, header_magic, sizeof header_magic) != 0 ||
        load_u32(bytes.data + HEADER_AT_CRC) != crc32c(span_make(bytes.data, HEADER_AT_CRC)))
        return diag_fail(diag, ERR_CORRUPT, "the manifest's first %d bytes are damaged",
                         HEADER_SIZE);
    uint32_t version = load_u32(bytes.data + HEADER_AT_VERSION);
    if (version != MANIFEST_VERSION)
        return diag_fail(diag, ERR_UNSUPPORTED,
                         "the manifest has version %u; this program knows version %d", version,
                         MANIFEST_VERSION);
    return ERR_NONE;
}

/* The whole, intact frame at the front of bytes: kind and body, the synced size, the padded size.
 */
static bool read_frame(struct span bytes, struct span *body, uint64_t *size_synced, size_t *size)
{
    if (bytes.size < FRAME_SIZE + 1)
        return false;
    size_t body_size = load_u32(bytes.data);
    if (body_size == 0 || body_size > bytes.size - FRAME_SIZE)
        return false;
    size_t size_padded = frame_pad(FRAME_SIZE + body_size);
    if (size_padded > bytes.size)
        return false;
    struct span covered =
        span_make(bytes.data + FRAME_AT_SYNCED, FRAME_SIZE - FRAME_AT_SYNCED + body_size);
    if (crc32c(covered) != load_u32(bytes.data + FRAME_AT_CRC))
        return false;
    *body = span_make(bytes.data + FRAME_SIZE, body_size);
    *size_synced = load_u64(bytes.data + FRAME_AT_SYNCED);
    *size = size_padded;
    return true;
}

/* Whether some intact frame behind `from` knew more than `from` bytes to be synced: then the bytes
 * there are not torn but damaged. */
static bool is_damage_at(struct span bytes, size_t from)
{
    for (size_t at = from; at < bytes.size; at += FRAME_ALIGN) {
        struct span body;
        uint64_t size_synced;
        size_t size;
        struct span rest = span_make(bytes.data + at, bytes.size - at);
        if (read_frame(rest, &body, &size_synced, &size) && size_synced > from)
            return true;
    }
    return false;
}

struct err manifest_parse(struct span bytes, manifest_visit visit, void *context,
                          size_t *size_whole, struct diag *diag)
{
    TRY(check_header(bytes, diag));
    size_t at = HEADER_SIZE;
    struct span body;
    uint64_t size_synced;
    size_t size;
    while (read_frame(span_make(bytes.data + at, bytes.size - at), &body, &size_synced, &size)) {
        struct manifest_entry entry;
        if (!manifest_decode(body, &entry))
            return diag_fail(diag, ERR_CORRUPT,
                             "the manifest's entry at byte %zu means nothing to this program", at);
        TRY(visit(context, &entry, diag));
        at += size;
    }
    if (is_damage_at(bytes, at))
        return diag_fail(diag, ERR_CORRUPT,
                         "the manifest is damaged at byte %zu, below what was synced", at);
    *size_whole = at;
    return ERR_NONE;
}

/* Watches the entries go by, for the summary. */
struct load {
    manifest_visit visit;
    void *context;
    struct manifest_summary *summary;
};

static struct err load_visit(void *context, const struct manifest_entry *entry, struct diag *diag)
{
    struct load *load = context;
    load->summary->is_clean = entry->kind == MANIFEST_CLEAN;
    if (entry->kind == MANIFEST_OPEN && entry->leader_epoch > load->summary->leader_epoch)
        load->summary->leader_epoch = entry->leader_epoch;
    return load->visit(load->context, entry, diag);
}

/* Reads the whole file. The buffer is the caller's to free. */
static struct err read_whole(struct manifest *manifest, struct buf *bytes, struct diag *diag)
{
    int64_t size;
    size_t done = 0;
    struct err err = file_size(manifest->files, manifest->file, &size);
    if (!err_failed(err) && (uint64_t)size > MANIFEST_SIZE_MAX)
        return diag_fail(diag, ERR_LIMIT, "%s is larger than %zu bytes", manifest->path,
                         (size_t)MANIFEST_SIZE_MAX);
    if (!err_failed(err))
        err = buf_reserve(bytes, (size_t)size);
    if (!err_failed(err) && size != 0)
        err = file_read_at(manifest->files, manifest->file, bytes->data, (size_t)size, 0, &done);
    bytes->size = done;
    return err_failed(err) ? diag_wrap(diag, err, "cannot read %s", manifest->path) : err;
}

static struct err write_whole(struct manifest *manifest, int file, struct span bytes, int64_t at)
{
    size_t done;
    return file_write_at(manifest->files, file, &bytes, 1, at, &done);
}

/* Writes a file of these bytes under the new name, synced, and puts it in place. */
static struct err make_anew(struct manifest *manifest, struct span bytes)
{
    file_close(manifest->files, manifest->file);
    manifest->file = OS_FILE_NONE;
    TRY(file_open(manifest->files, manifest->path_new,
                  OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_TRUNCATE,
                  &manifest->file));
    TRY(write_whole(manifest, manifest->file, bytes, 0));
    TRY(file_sync(manifest->files, manifest->file));
    TRY(file_rename(manifest->files, manifest->path_new, manifest->path));
    TRY(dir_sync(manifest->files, manifest->dir));
    manifest->size = manifest->size_synced = (int64_t)bytes.size;
    return ERR_NONE;
}

static struct err make_empty(struct manifest *manifest)
{
    uint8_t header[HEADER_SIZE];
    make_header(header);
    return make_anew(manifest, span_make(header, sizeof header));
}

/* Cuts off a torn end. Pages that a failed sync may have left falsely clean would be lost behind
 * entries that are synced later: then what was read is written to a new file (W7). */
static struct err settle(struct manifest *manifest, struct span whole, size_t size_read,
                         bool distrusts_pages)
{
    manifest->size = manifest->size_rewritten = (int64_t)whole.size;
    if (distrusts_pages)
        return make_anew(manifest, whole);
    return size_read == whole.size ? ERR_NONE
                                   : file_truncate(manifest->files, manifest->file, manifest->size);
}

static struct err load_entries(struct manifest *manifest, struct load *load, bool distrusts_pages,
                               struct diag *diag)
{
    struct buf bytes;
    buf_init(&bytes, MANIFEST_SIZE_MAX);
    size_t size_whole = 0;
    struct err err = read_whole(manifest, &bytes, diag);
    if (!err_failed(err)) {
        err = manifest_parse(buf_span(&bytes), load_visit, load, &size_whole, diag);
        if (err_failed(err))
            err = diag_wrap(diag, err, "%s", manifest->path);
    }
    if (!err_failed(err)) {
        load->summary->size_torn = (int64_t)(bytes.size - size_whole);
        struct span whole = span_make(bytes.data, size_whole);
        err = settle(manifest, whole, bytes.size, distrusts_pages);
    }
    if (!err_failed(err) && load->summary->size_torn != 0)
        load->summary->is_clean = false;
    buf_deinit(&bytes);
    return err;
}

static struct err init_paths(struct manifest *manifest, const char *dir)
{
    if (asprintf(&manifest->path, "%s/manifest", dir) < 0)
        manifest->path = NULL;
    if (asprintf(&manifest->path_new, "%s/manifest.new", dir) < 0)
        manifest->path_new = NULL;
    bool has_both = manifest->path != NULL && manifest->path_new != NULL;
    return has_both ? ERR_NONE : err_make(ERR_NO_MEMORY);
}

void manifest_init(struct manifest *manifest)
{
    *manifest = (struct manifest){.file = OS_FILE_NONE, .file_retired = OS_FILE_NONE};
    os_mutex_init(&manifest->lock);
    buf_init(&manifest->scratch, MANIFEST_ENTRY_SIZE_MAX);
    buf_init(&manifest->tail, MANIFEST_SIZE_MAX);
}

struct err manifest_open(struct manifest *manifest, const struct manifest_setup *setup,
                         struct manifest_summary *summary, struct diag *diag)
{
    manifest->files = setup->files;
    manifest->dir = setup->dir;
    TRY(init_paths(manifest, setup->dir));
    *summary = (struct manifest_summary){.leader_epoch = -1};
    struct load load = {.visit = setup->visit, .context = setup->context, .summary = summary};
    struct err err =
        file_open(manifest->files, manifest->path, OS_FILE_READ | OS_FILE_WRITE, &manifest->file);
    if (err_is(err, ERR_NOT_FOUND)) {
        summary->is_new = true;
        err = make_empty(manifest);
    } else if (!err_failed(err)) {
        return load_entries(manifest, &load, setup->distrusts_pages, diag);
    }
    return err_failed(err) ? diag_wrap(diag, err, "cannot open %s", manifest->path) : err;
}

void manifest_deinit(struct manifest *manifest)
{
    CHECK(manifest->sync_count == 0 && !manifest->is_rewriting);
    if (manifest->files != NULL) {
        file_close(manifest->files, manifest->file);
        file_close(manifest->files, manifest->file_retired);
    }
    buf_deinit(&manifest->scratch);
    buf_deinit(&manifest->tail);
    os_mutex_deinit(&manifest->lock);
    free(manifest->path);
    free(manifest->path_new);
}

/* Writes the frames in scratch behind the last entry. Locked. */
static struct err append_scratch(struct manifest *manifest)
{
    struct span frames = buf_span(&manifest->scratch);
    if (manifest->size + (int64_t)frames.size > (int64_t)MANIFEST_SIZE_MAX)
        return err_make(ERR_LIMIT);
    if (manifest->is_rewriting)
        TRY(buf_append(&manifest->tail, frames.data, frames.size));
    manifest_seal_frames(frames, manifest->scratch.data, manifest->size_synced);
    struct err err = write_whole(manifest, manifest->file, frames, manifest->size);
    if (err_failed(err)) {
        /* W1: if even this fails, the next entry is written over the rest. */
        struct err ignored = file_truncate(manifest->files, manifest->file, manifest->size);
        (void)ignored;
        if (manifest->is_rewriting)
            manifest->tail.size -= frames.size;
        return err;
    }
    manifest->size += (int64_t)frames.size;
    manifest->ticket_last++;
    return ERR_NONE;
}

struct err manifest_append(struct manifest *manifest, const struct manifest_entry *entry,
                           uint64_t *ticket)
{
    os_mutex_lock(&manifest->lock);
    buf_clear(&manifest->scratch);
    struct err err = manifest_encode(entry, &manifest->scratch);
    if (!err_failed(err))
        err = append_scratch(manifest);
    if (!err_failed(err) && ticket != NULL)
        *ticket = manifest->ticket_last;
    os_mutex_unlock(&manifest->lock);
    return err;
}

uint64_t manifest_durable(struct manifest *manifest)
{
    os_mutex_lock(&manifest->lock);
    uint64_t ticket = manifest->ticket_durable;
    os_mutex_unlock(&manifest->lock);
    return ticket;
}

uint64_t manifest_last(struct manifest *manifest)
{
    os_mutex_lock(&manifest->lock);
    uint64_t ticket = manifest->ticket_last;
    os_mutex_unlock(&manifest->lock);
    return ticket;
}

struct err manifest_sync(struct manifest *manifest)
{
    os_mutex_lock(&manifest->lock);
    uint64_t ticket = manifest->ticket_last;
    int64_t size = manifest->size;
    int file = manifest->file;
    bool is_needed = ticket > manifest->ticket_durable;
    manifest->sync_count += is_needed;
    os_mutex_unlock(&manifest->lock);
    if (!is_needed)
        return ERR_NONE;
    struct err err = file_sync_data(manifest->files, file);
    int file_unused = OS_FILE_NONE;
    os_mutex_lock(&manifest->lock);
    manifest->has_failed = manifest->has_failed || err_failed(err);
    if (manifest->has_failed && !err_failed(err))
        err = err_make(ERR_IO); /* the kernel tells of a failure once, and not perhaps to us */
    if (!err_failed(err) && ticket > manifest->ticket_durable) {
        manifest->ticket_durable = ticket;
        manifest->size_synced = size;
    }
    if (--manifest->sync_count == 0) {
        file_unused = manifest->file_retired;
        manifest->file_retired = OS_FILE_NONE;
    }
    os_mutex_unlock(&manifest->lock);
    file_close(manifest->files, file_unused);
    return err;
}

bool manifest_wants_rewrite(struct manifest *manifest)
{
    os_mutex_lock(&manifest->lock);
    bool wants = manifest->size - manifest->size_rewritten >
                 manifest->size_rewritten + (int64_t)MANIFEST_GROWTH_SIZE;
    os_mutex_unlock(&manifest->lock);
    return wants;
}

/* Writes header and facts to the new file. */
static struct err write_facts(struct manifest *manifest, int file, struct buf *facts, int64_t *size)
{
    uint8_t header[HEADER_SIZE];
    make_header(header);
    TRY(write_whole(manifest, file, span_make(header, sizeof header), 0));
    manifest_seal_frames(buf_span(facts), facts->data, 0);
    TRY(write_whole(manifest, file, buf_span(facts), HEADER_SIZE));
    *size = HEADER_SIZE + (int64_t)facts->size;
    return file_sync(manifest->files, file);
}

/* Adds what was written meanwhile and puts the new file in place. Locked, so that nothing is
 * written in between; the entries of one rewrite are few. */
static struct err replace_file(struct manifest *manifest, int file, int64_t size)
{
    struct buf *tail = &manifest->tail;
    manifest_seal_frames(buf_span(tail), tail->data, 0);
    if (tail->size != 0) {
        TRY(write_whole(manifest, file, buf_span(tail), size));
        TRY(file_sync(manifest->files, file));
    }
    TRY(file_rename(manifest->files, manifest->path_new, manifest->path));
    manifest->file_retired = manifest->file;
    manifest->file = file;
    manifest->size = manifest->size_rewritten = size + (int64_t)tail->size;
    TRY(dir_sync(manifest->files, manifest->dir));
    manifest->size_synced = manifest->size;
    manifest->ticket_durable = manifest->ticket_last;
    return ERR_NONE;
}

/* Ends a rewrite, well or not. *file_unused: to be closed by the caller. */
static struct err finish_rewrite(struct manifest *manifest, struct err err, int file, int64_t size,
                                 int *file_unused)
{
    os_mutex_lock(&manifest->lock);
    if (!err_failed(err))
        err = replace_file(manifest, file, size);
    /* Renamed, the new file is in use even where the directory could not be synced. */
    *file_unused = manifest->file == file ? OS_FILE_NONE : file;
    if (manifest->file == file && manifest->sync_count == 0) {
        *file_unused = manifest->file_retired;
        manifest->file_retired = OS_FILE_NONE;
    }
    manifest->is_rewriting = false;
    buf_deinit(&manifest->tail);
    os_mutex_unlock(&manifest->lock);
    return err;
}

struct err manifest_rewrite(struct manifest *manifest, manifest_emit emit, void *context,
                            bool *is_renamed)
{
    *is_renamed = false;
    os_mutex_lock(&manifest->lock);
    bool is_possible = !manifest->is_rewriting && manifest->file_retired == OS_FILE_NONE;
    manifest->is_rewriting = manifest->is_rewriting || is_possible;
    os_mutex_unlock(&manifest->lock);
    if (!is_possible)
        return err_make(ERR_AGAIN);
    struct buf facts;
    buf_init(&facts, MANIFEST_SIZE_MAX);
    int file = OS_FILE_NONE;
    int64_t size = 0;
    struct err err = emit(context, &facts);
    if (!err_failed(err))
        err = file_open(manifest->files, manifest->path_new,
                        OS_FILE_READ | OS_FILE_WRITE | OS_FILE_CREATE | OS_FILE_TRUNCATE, &file);
    if (!err_failed(err))
        err = write_facts(manifest, file, &facts, &size);
    buf_deinit(&facts);
    int file_unused;
    err = finish_rewrite(manifest, err, file, size, &file_unused);
    *is_renamed = file != OS_FILE_NONE && file_unused != file;
    file_close(manifest->files, file_unused);
    return err;
}
