/* compaction_input: what a run reads, and the keys it finds there. */
#include "base/check.h"
#include "record/walk.h"
#include "storage/compaction.h"

void compaction_seek(struct compaction *run, uint32_t at)
{
    struct compaction_input *input = &run->input;
    CHECK(at <= input->count);
    scan_deinit(&input->scan);
    file_cache_unref(input->file);
    input->file = NULL;
    input->at = at;
}

static struct err open_segment(struct compaction *run, struct diag *diag)
{
    struct log *log = run->log;
    struct compaction_input *input = &run->input;
    CHECK(input->at < input->count);
    struct segment *segment = input->segments[input->at];
    os_mutex_lock(&log->lock);
    int64_t size = segment->facts.size;
    os_mutex_unlock(&log->lock);
    struct err err = segment_open(log, segment, size, &input->file);
    if (err_failed(err))
        return diag_wrap(diag, err, "cannot open segment %lld",
                         (long long)segment->facts.base_offset);
    scan_init(&input->scan, log->store->options.files, input->file->file, 0, size);
    return ERR_NONE;
}

struct err compaction_read(struct compaction *run, struct span *batch, struct batch_header *header,
                           bool *is_end, struct diag *diag)
{
    struct compaction_input *input = &run->input;
    if (input->file == NULL)
        TRY(open_segment(run, diag));
    *is_end = input->scan.position == input->scan.end;
    if (*is_end)
        return ERR_NONE;
    enum batch_fault fault;
    struct err err = scan_next(&input->scan, batch, header, &fault);
    if (!err_failed(err) && fault != BATCH_FINE)
        err = err_make(ERR_CORRUPT);
    atomic_ullong *read_size = &run->log->store->counters.compaction_read_size;
    if (!err_failed(err)) {
        atomic_fetch_add(read_size, header->size);
        return ERR_NONE;
    }
    return diag_wrap(diag, err, "segment %lld at byte %lld%s%s",
                     (long long)input->segments[input->at]->facts.base_offset,
                     (long long)input->scan.position, err_is(err, ERR_CORRUPT) ? ", " : "",
                     err_is(err, ERR_CORRUPT) ? batch_fault_text(fault) : "");
}

/* Notes the keys of a batch's records from dirty_from on, until the map is full. */
static struct err map_records(struct compaction *run, struct batch_walk *walk, bool *is_full)
{
    for (;;) {
        struct record record;
        bool is_end;
        TRY(batch_walk_next(walk, &record, &is_end));
        if (is_end)
            return ERR_NONE;
        if (record.offset < run->dirty_from || span_is_null(record.key))
            continue;
        if (!offset_map_put(&run->map, record.key, record.offset)) {
            run->end = record.offset;
            *is_full = true;
            return ERR_NONE;
        }
    }
}

struct err compaction_map_batch(struct compaction *run, struct span batch,
                                const struct batch_header *header, bool *is_full)
{
    *is_full = false;
    if (batch_is_control(header) || batch_last_offset(header) < run->dirty_from ||
        compaction_is_aborted(run, header))
        return ERR_NONE;
    struct batch_walk walk;
    struct err err = batch_walk_begin(&walk, batch, &run->scratch);
    if (!err_failed(err))
        err = map_records(run, &walk, is_full);
    /* C5: what cannot be read stays; its keys are not known. */
    return err_is(err, ERR_NO_MEMORY) ? err : ERR_NONE;
}
