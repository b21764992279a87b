/*
 * batch_fuzz: random bytes as the records of a Produce request, and as a stored batch.
 *
 * The first byte chooses the topic's rules and whether the CRC is made right, without which no
 * random change would get past it.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "record/build.h"

#define SCRATCH_SIZE_MAX ((size_t)1024 * 1024)
#define NOW_MS 1700000000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Walks a batch to its end or to its first fault. */
static void walk_all(struct span batch, struct buf *scratch)
{
    struct batch_walk walk;
    struct record record;
    bool is_end = false;
    struct err err = batch_walk_begin(&walk, batch, scratch);
    while (!err_failed(err) && !is_end) {
        err = batch_walk_next(&walk, &record, &is_end);
        struct record_header header;
        int32_t header_count = 0;
        while (!err_failed(err) && !is_end && record_header_next(&record.headers, &header))
            header_count++;
        CHECK(err_failed(err) || is_end || header_count == record.header_count);
    }
    enum control_kind kind;
    int32_t epoch;
    (void)!err_failed(batch_read_marker(batch, &kind, &epoch));
}

static void fix_crc(uint8_t *bytes, size_t size)
{
    struct batch_header header;
    if (batch_parse(span_make(bytes, size), &header) != BATCH_FINE || header.size > size)
        return;
    store_u32(bytes + BATCH_AT_CRC,
              crc32c(span_make(bytes + BATCH_AT_ATTRIBUTES, header.size - BATCH_AT_ATTRIBUTES)));
}

/* What was found fine once patched stays fine. */
static void check_patches(uint8_t *bytes, const struct batch_report *report)
{
    struct batch_header header = report->header;
    struct batch_header stored;
    batch_patch_offset(bytes, &header, 1000, 7);
    if (report->is_max_timestamp_wrong)
        batch_patch_timestamp(bytes, &header, report->max_timestamp, false);
    CHECK(batch_check_stored(span_make(bytes, header.size), &stored) == BATCH_FINE);
    CHECK(stored.max_timestamp == report->max_timestamp && stored.base_offset == 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct buf payload;
    struct buf scratch;
    buf_init(&payload, size);
    buf_init(&scratch, SCRATCH_SIZE_MAX);
    CHECK(!err_failed(buf_append(&payload, data + 1, size - 1)));
    if ((data[0] & 1) != 0)
        fix_crc(payload.data, payload.size);
    const struct batch_rules rules = {
        .size_max = SCRATCH_SIZE_MAX,
        .decompressed_size_max = SCRATCH_SIZE_MAX,
        .codecs = 0x1f,
        .full = (data[0] & 2) != 0,
        .needs_keys = (data[0] & 4) != 0,
        .log_append_time = (data[0] & 8) != 0,
        .now_ms = NOW_MS,
        .before_ms_max = INT64_MAX,
        .after_ms_max = (data[0] & 16) != 0 ? 1000 : INT64_MAX,
    };
    struct batch_report report;
    struct batch_header header;
    if (batch_validate(buf_span(&payload), &rules, &scratch, &report) == BATCH_FINE)
        check_patches(payload.data, &report);
    if (batch_check_stored(buf_span(&payload), &header) == BATCH_FINE)
        walk_all(buf_span(&payload), &scratch);
    buf_deinit(&payload);
    buf_deinit(&scratch);
    return 0;
}
