/*
 * replay: the manifest's entries to logs at start, and logs back to entries for a rewrite.
 *
 * Entries are facts that may be repeated: the end of a rewritten manifest holds entries whose
 * effect its beginning contains already. So what concerns a log or a segment that is not there any
 * more, or is there already, is passed over.
 */
#include <stdlib.h>

#include "base/check.h"
#include "storage/storage_internal.h"

static struct segment *find_base(const struct log *log, int64_t base_offset)
{
    int32_t at = segments_find(&log->segments, base_offset);
    if (at < 0 || log->segments.items[at]->facts.base_offset != base_offset)
        return NULL;
    return log->segments.items[at];
}

static struct err replay_segment(struct log *log, const struct manifest_entry *entry)
{
    struct segment *last = segments_last(&log->segments);
    int64_t base_offset = entry->segment.base_offset;
    if (last != NULL && base_offset <= last->facts.base_offset)
        return ERR_NONE;
    if (last != NULL && base_offset < last->facts.next_offset)
        return err_make(ERR_CORRUPT);
    TRY(segments_reserve(&log->segments));
    struct segment *segment = segment_create(base_offset);
    if (segment == NULL)
        return err_make(ERR_NO_MEMORY);
    if (last != NULL && last->state == SEGMENT_ACTIVE)
        last->state = SEGMENT_SEALING;
    segments_push(&log->segments, segment);
    return ERR_NONE;
}

/* The facts of a segment must not reach into the next one. */
static struct err check_facts(const struct log *log, const struct segment_facts *facts)
{
    int32_t at = segments_find(&log->segments, facts->base_offset);
    CHECK(at >= 0);
    bool is_last = (uint32_t)at + 1 == log->segments.count;
    if (!is_last && log->segments.items[at + 1]->facts.base_offset < facts->next_offset)
        return err_make(ERR_CORRUPT);
    return ERR_NONE;
}

static struct err replay_seal(struct log *log, const struct manifest_entry *entry)
{
    struct segment *segment = find_base(log, entry->segment.base_offset);
    if (segment == NULL)
        return ERR_NONE;
    TRY(check_facts(log, &entry->segment));
    segment_load_facts(segment, &entry->segment);
    segment->state = SEGMENT_SEALED;
    return ERR_NONE;
}

static struct err replay_replace(struct log *log, const struct manifest_entry *entry)
{
    struct segment *segment = find_base(log, entry->segment.base_offset);
    if (segment == NULL)
        return ERR_NONE;
    log_drop_within(log, &entry->segment);
    TRY(check_facts(log, &entry->segment));
    segment_load_facts(segment, &entry->segment);
    segment->copy = (uint8_t)entry->copy;
    segment->is_compacted = true;
    segment->state = SEGMENT_SEALED;
    return ERR_NONE;
}

static void replay_compacted(struct log *log, const struct manifest_entry *entry)
{
    log->compaction.offset = entry->offset;
    log->compaction.horizon_ms = entry->horizon_ms;
}

static struct err replay_checkpoint(struct log *log, const struct manifest_entry *entry)
{
    struct segment *segment = find_base(log, entry->segment.base_offset);
    if (segment == NULL)
        return ERR_NONE;
    if (segment->state != SEGMENT_SEALED) {
        TRY(check_facts(log, &entry->segment));
        segment_load_facts(segment, &entry->segment);
    }
    log->checkpoint = (struct log_checkpoint){
        .exists = true,
        .has_snapshot_file = entry->has_snapshot_file,
        .offset = entry->offset,
        .snapshot_offset = entry->snapshot_offset,
        .facts = entry->segment,
    };
    return epochs_load(&log->epochs, entry->epochs);
}

static struct segment_facts no_facts(int64_t base_offset)
{
    return (struct segment_facts){
        .base_offset = base_offset,
        .next_offset = base_offset,
        .first_timestamp = BATCH_NO_TIMESTAMP,
        .max_timestamp = BATCH_NO_TIMESTAMP,
        .max_timestamp_offset = base_offset,
    };
}

void log_lift_checkpoint(struct log *log)
{
    if (log->segments.count == 0)
        return;
    int64_t base_offset = log->segments.items[0]->facts.base_offset;
    if (log->checkpoint.facts.base_offset >= base_offset)
        return;
    log->checkpoint.offset = base_offset;
    log->checkpoint.facts = no_facts(base_offset);
}

static void replay_start(struct log *log, const struct manifest_entry *entry)
{
    struct segment *dropped;
    if (entry->offset > log->bounds.start)
        log->bounds.start = entry->offset;
    while (log_drop_below_start(log, &dropped, 1) == 1)
        segment_unref(log, dropped);
    epochs_cut_start(&log->epochs, log->bounds.start);
    log_lift_checkpoint(log);
}

void log_lower_compaction(struct log *log, int64_t offset)
{
    if (log->compaction.offset > offset)
        log->compaction.offset = offset;
}

static void replay_truncate(struct log *log, const struct manifest_entry *entry)
{
    struct segment_list *list = &log->segments;
    while (list->count > 1 && segments_last(list)->facts.base_offset >= entry->offset)
        segment_unref(log, list->items[--list->count]);
    struct segment *last = segments_last(list);
    epochs_cut_end(&log->epochs, entry->offset);
    log_lower_compaction(log, entry->offset);
    if (last == NULL)
        return;
    /* Read it again from its begin: its files may be of before or after the cut. */
    const struct segment_facts nothing = no_facts(last->facts.base_offset);
    last->state = SEGMENT_ACTIVE;
    segment_load_facts(last, &nothing);
    if (log->checkpoint.offset > nothing.base_offset)
        log->checkpoint = (struct log_checkpoint){
            .offset = nothing.base_offset, .snapshot_offset = -1, .facts = nothing};
}

static struct err replay_log(struct store *store, struct log *log,
                             const struct manifest_entry *entry)
{
    switch (entry->kind) {
    case MANIFEST_DELETE:
        names_remove(store, log);
        return ERR_NONE;
    case MANIFEST_SEGMENT:
        return replay_segment(log, entry);
    case MANIFEST_SEAL:
        return replay_seal(log, entry);
    case MANIFEST_CHECKPOINT:
        return replay_checkpoint(log, entry);
    case MANIFEST_REPLACE:
        return replay_replace(log, entry);
    case MANIFEST_COMPACTED:
        replay_compacted(log, entry);
        return ERR_NONE;
    case MANIFEST_START:
        replay_start(log, entry);
        return ERR_NONE;
    case MANIFEST_TRUNCATE:
        replay_truncate(log, entry);
        return ERR_NONE;
    case MANIFEST_OPEN:
    case MANIFEST_CLEAN:
    case MANIFEST_CREATE:
    case MANIFEST_KIND_END:
        break;
    }
    return ERR_NONE;
}

struct err replay_entry(void *context, const struct manifest_entry *entry, struct diag *diag)
{
    struct store *store = context;
    if (entry->kind == MANIFEST_OPEN || entry->kind == MANIFEST_CLEAN)
        return ERR_NONE;
    struct log *log = names_find(store, &entry->id);
    struct err err = ERR_NONE;
    if (log != NULL) {
        err = replay_log(store, log, entry);
        log_unref(log);
    } else if (entry->kind == MANIFEST_CREATE) {
        err = names_add(store, &entry->id, entry->name, &log);
        if (!err_failed(err))
            log->has_dir = true;
    }
    if (err_is(err, ERR_CORRUPT))
        return diag_fail(diag, ERR_CORRUPT, "its entries contradict each other");
    return err;
}

struct manifest_entry log_checkpoint_entry(const struct log *log)
{
    return (struct manifest_entry){
        .kind = MANIFEST_CHECKPOINT,
        .id = log->id,
        .offset = log->checkpoint.offset,
        .snapshot_offset = log->checkpoint.snapshot_offset,
        .has_snapshot_file = log->checkpoint.has_snapshot_file,
        .segment = log->checkpoint.facts,
        .epochs = epochs_span(&log->epochs),
    };
}

static struct err emit_segment(const struct log *log, const struct segment *segment,
                               struct buf *out)
{
    struct manifest_entry entry = {.kind = MANIFEST_SEGMENT, .id = log->id};
    entry.segment.base_offset = entry.segment.next_offset = segment->facts.base_offset;
    TRY(manifest_encode(&entry, out));
    if (segment->state != SEGMENT_SEALED)
        return ERR_NONE;
    entry.kind = segment->is_compacted ? MANIFEST_REPLACE : MANIFEST_SEAL;
    entry.copy = segment->copy;
    entry.segment = segment_facts_now(segment);
    return manifest_encode(&entry, out);
}

struct err replay_emit_log(struct log *log, struct buf *out)
{
    if (!log->has_dir || log->state == LOG_DELETED)
        return ERR_NONE;
    struct manifest_entry entry = {
        .kind = MANIFEST_CREATE, .id = log->id, .name = span_text(log->name)};
    TRY(manifest_encode(&entry, out));
    for (uint32_t i = 0; i < log->segments.count; i++)
        TRY(emit_segment(log, log->segments.items[i], out));
    entry =
        (struct manifest_entry){.kind = MANIFEST_START, .id = log->id, .offset = log->bounds.start};
    TRY(manifest_encode(&entry, out));
    entry = (struct manifest_entry){.kind = MANIFEST_COMPACTED,
                                    .id = log->id,
                                    .offset = log->compaction.offset,
                                    .horizon_ms = log->compaction.horizon_ms};
    if (log->compaction.offset != 0)
        TRY(manifest_encode(&entry, out));
    if (!log->checkpoint.exists)
        return ERR_NONE;
    entry = log_checkpoint_entry(log);
    return manifest_encode(&entry, out);
}
