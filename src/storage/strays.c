/*
 * strays: files in a log's directory that the log does not know.
 *
 * What was not yet part of the log when the process died (a compaction's output before its manifest
 * entry), or is not any more (segments and snapshots dropped, not yet removed; or that could not be
 * removed). Without a look they would lie there for ever. Only names that the store itself gives
 * are touched, and none at or above the log's last segment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/compaction.h"

static const char *const segment_suffixes[] = {".log", ".index", ".timeindex"};

/* Takes a file's name apart; NULL where it does not begin with an offset, else what follows it. */
static const char *parse_name(const char *name, int64_t *offset, size_t *digit_count)
{
    *digit_count = strspn(name, "0123456789");
    if (*digit_count != 20 && *digit_count != 21)
        return NULL;
    char *end;
    *offset = strtoll(name, &end, 10); /* saturates: above all that is the log's */
    return end == name + *digit_count ? end : NULL;
}

static bool is_of_segment(const char *suffix)
{
    for (size_t i = 0; i < sizeof segment_suffixes / sizeof segment_suffixes[0]; i++) {
        if (strcmp(suffix, segment_suffixes[i]) == 0)
            return true;
    }
    return false;
}

/* Whether the log knows the file, or is going to. Locked. */
static bool is_stray(const struct log *log, const char *name)
{
    int64_t offset;
    size_t digit_count;
    size_t size = strlen(name);
    static const char removed[] = ".deleted";
    if (size > sizeof removed && strcmp(name + size - (sizeof removed - 1), removed) == 0)
        return true;
    const char *suffix = parse_name(name, &offset, &digit_count);
    if (suffix == NULL || log->segments.count == 0)
        return false;
    if (strcmp(suffix, ".snapshot") == 0)
        return offset < log->checkpoint.snapshot_offset;
    if (!is_of_segment(suffix))
        return false;
    if (offset >= segments_last(&log->segments)->facts.base_offset)
        return false;
    int32_t at = segments_find(&log->segments, offset);
    const struct segment *segment = at < 0 ? NULL : log->segments.items[at];
    return segment == NULL || segment->facts.base_offset != offset ||
           digit_count != (size_t)20 + segment->copy;
}

static struct err look_at(void *context, const char *name, bool is_dir)
{
    struct log *log = context;
    char path[STORE_PATH_SIZE];
    char dir[STORE_PATH_SIZE];
    log_dir_path(log, dir);
    if (is_dir || snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return ERR_NONE;
    struct err err = ERR_NONE;
    os_mutex_lock(&log->lock);
    if (log->state == LOG_OPEN && log->damage == NULL && is_stray(log, name))
        err = file_remove(log->store->options.files, path);
    os_mutex_unlock(&log->lock);
    return err_is(err, ERR_NOT_FOUND) ? ERR_NONE : err;
}

/* Whether there is to be a look; then no other is, until there is a reason again. What a compaction
 * is writing belongs to no log yet, and would be taken for a stray. */
static bool take_reason(struct log *log)
{
    if (log->store->compactor->run.log == log)
        return false;
    os_mutex_lock(&log->lock);
    bool has_reason = log->work.has_strays && log->state == LOG_OPEN;
    log->work.has_strays = false;
    os_mutex_unlock(&log->lock);
    return has_reason;
}

struct err strays_remove(struct log *log, bool *looked, struct diag *diag)
{
    struct store *store = log->store;
    char dir[STORE_PATH_SIZE];
    *looked = take_reason(log);
    if (!*looked)
        return ERR_NONE;
    TRY(store_sync_manifest(store, manifest_last(&store->manifest), diag)); /* W5 */
    log_dir_path(log, dir);
    struct err err = dir_list(store->options.files, dir, look_at, log);
    if (!err_failed(err) || err_is(err, ERR_NOT_FOUND))
        return ERR_NONE;
    store_report(store, "cannot remove what was deleted of %s: %s", log->name, err_text(err));
    os_mutex_lock(&log->lock);
    log->work.has_strays = true;
    os_mutex_unlock(&log->lock);
    return ERR_NONE;
}
