/*
 * strays: files that a crash has left in a log's directory.
 *
 * What was not yet part of the log (a compaction's output before its manifest entry), or is not
 * any more (segments dropped, not yet removed). Without a look they would lie there for ever. Only
 * names that the store itself gives are touched, and none at or above the log's last segment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/storage_internal.h"

static const char *const segment_suffixes[] = {".log", ".index", ".timeindex"};

/* Takes a segment file's name apart; false where it is none. */
static bool parse_name(const char *name, int64_t *offset, size_t *digit_count)
{
    *digit_count = strspn(name, "0123456789");
    if (*digit_count != 20 && *digit_count != 21)
        return false;
    const char *suffix = name + *digit_count;
    for (size_t i = 0; i < sizeof segment_suffixes / sizeof segment_suffixes[0]; i++) {
        if (strcmp(suffix, segment_suffixes[i]) != 0)
            continue;
        char *end;
        long long number = strtoll(name, &end, 10); /* saturates: above all that is the log's */
        *offset = number;
        return end == suffix;
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
    if (!parse_name(name, &offset, &digit_count) || log->segments.count == 0)
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

struct err strays_remove(struct log *log)
{
    char dir[STORE_PATH_SIZE];
    log_dir_path(log, dir);
    return dir_list(log->store->options.files, dir, look_at, log);
}
