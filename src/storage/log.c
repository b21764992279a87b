/* log: references, positions, settings, epochs: all that needs no file. */
#include "storage/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "storage/storage_internal.h"

void log_ref(struct log *log)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    CHECK(atomic_fetch_add(&log->ref_count, 1) > 0);
}

static void log_destroy(struct log *log)
{
    CHECK(!log->flush.is_running && !log->flush.is_queued);
    CHECK(log->work.urgency == WORK_NONE);
    for (uint32_t i = 0; i < log->segments.count; i++)
        segment_unref(log, log->segments.items[i]);
    free(log->segments.items);
    epochs_deinit(&log->epochs);
    free(log->damage);
    os_mutex_deinit(&log->lock);
    if (log->listener.released != NULL)
        log->listener.released(log->listener.context);
    log->magic = 0;
    free(log);
}

void log_unref(struct log *log)
{
    if (log == NULL)
        return;
    CHECK_MAGIC(log, LOG_MAGIC);
    uint32_t before = atomic_fetch_sub(&log->ref_count, 1);
    CHECK(before > 0);
    if (before == 1)
        log_destroy(log);
}

static struct log_bounds bounds_of(struct log *log)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    os_mutex_lock(&log->lock);
    struct log_bounds bounds = log->bounds;
    os_mutex_unlock(&log->lock);
    CHECK(bounds.start <= bounds.end && bounds.durable <= bounds.end);
    return bounds;
}

int64_t log_start_offset(struct log *log)
{
    return bounds_of(log).start;
}

int64_t log_end_offset(struct log *log)
{
    return bounds_of(log).end;
}

int64_t log_durable_offset(struct log *log)
{
    return bounds_of(log).durable;
}

int64_t log_size(struct log *log)
{
    return bounds_of(log).size;
}

uint64_t log_compaction_count(struct log *log)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    os_mutex_lock(&log->lock);
    uint64_t count = log->compaction.count;
    os_mutex_unlock(&log->lock);
    return count;
}

bool log_damage(struct log *log, struct diag *diag)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    os_mutex_lock(&log->lock);
    bool is_damaged = log->damage != NULL;
    if (is_damaged && diag != NULL)
        (void)snprintf(diag->text, sizeof diag->text, "%s", log->damage);
    os_mutex_unlock(&log->lock);
    return is_damaged;
}

void log_quarantine(struct log *log, const char *format, ...)
{
    if (log->damage != NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&log->damage, format, arguments) < 0)
        log->damage = strdup("damaged");
    va_end(arguments);
    /* Without memory for a word the damage would be forgotten, and the log written on. */
    CHECK(log->damage != NULL);
}

struct err log_check_readable(const struct log *log, struct diag *diag)
{
    if (log->state == LOG_DELETED)
        return diag_fail(diag, ERR_CLOSED, "%s is deleted", log->name);
    if (log->damage != NULL)
        return diag_fail(diag, ERR_CORRUPT, "%s", log->damage);
    return ERR_NONE;
}

struct err log_check_writable(const struct log *log, struct diag *diag)
{
    if (atomic_load_explicit(&log->store->is_offline, memory_order_relaxed))
        return diag_fail(diag, ERR_OFFLINE, "%s is offline after a failed sync", log->store->dir);
    return log_check_readable(log, diag);
}

void log_configure(struct log *log, const struct log_config *config)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    CHECK(config->segment_size > 0 && config->segment_size <= INT32_MAX);
    os_mutex_lock(&log->lock);
    log->config = *config;
    os_mutex_unlock(&log->lock);
}

void log_epoch_end(struct log *log, int32_t wanted, int32_t *epoch, int64_t *end_offset)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    os_mutex_lock(&log->lock);
    int32_t current = log->store->leader_epoch;
    if (wanted < 0) {
        *epoch = -1;
        *end_offset = -1;
    } else if (wanted == current) {
        *epoch = wanted;
        *end_offset = log->bounds.end;
    } else {
        epochs_find_end(&log->epochs, wanted, current, log->bounds.end, epoch, end_offset);
    }
    os_mutex_unlock(&log->lock);
}

int32_t log_epoch_at(struct log *log, int64_t offset)
{
    CHECK_MAGIC(log, LOG_MAGIC);
    os_mutex_lock(&log->lock);
    bool is_end = offset >= log->bounds.end;
    int32_t epoch = is_end ? log->store->leader_epoch : epochs_at(&log->epochs, offset);
    os_mutex_unlock(&log->lock);
    return epoch;
}
