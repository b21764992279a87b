/* batch_test: what batch_validate finds, in which order, and what the patches leave intact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "record/build.h"

#define NOW_MS 1700000000000

static struct buf made;

static int begin(void **state)
{
    (void)state;
    buf_init(&made, 1 << 24);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_deinit(&made);
    return 0;
}

/* A batch of count records with key "key" and value "value", a millisecond apart, in `made`. */
static uint8_t *make(const struct batch_options *options, int32_t count)
{
    struct batch_builder builder;
    struct span batch;
    buf_clear(&made);
    batch_build_begin(&builder, options, &made);
    for (int32_t i = 0; i < count; i++) {
        const struct record record = {
            .timestamp = NOW_MS + i, .key = span_text("key"), .value = span_text("value")};
        assert_false(err_failed(batch_build_add(&builder, &record)));
    }
    assert_false(err_failed(batch_build_end(&builder, &batch, NULL)));
    return made.data;
}

static uint8_t *make_plain(int32_t count)
{
    const struct batch_options options = BATCH_OPTIONS_DEFAULT;
    return make(&options, count);
}

static void fix_crc(uint8_t *batch)
{
    size_t size = load_u32(batch + BATCH_AT_LENGTH) + BATCH_PREFIX_SIZE;
    store_u32(batch + BATCH_AT_CRC,
              crc32c(span_make(batch + BATCH_AT_ATTRIBUTES, size - BATCH_AT_ATTRIBUTES)));
}

static const struct batch_rules lax = {
    .size_max = 1 << 20,
    .decompressed_size_max = 1 << 20,
    .codecs = 0x1f,
    .now_ms = NOW_MS,
    .before_ms_max = INT64_MAX,
    .after_ms_max = 3600 * 1000,
};

static struct batch_report report;

static enum batch_fault check(const struct batch_rules *rules)
{
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    enum batch_fault fault = batch_validate(buf_span(&made), rules, &scratch, &report);
    buf_deinit(&scratch);
    return fault;
}

static void fine_batch_is_fine(void **state)
{
    (void)state;
    make_plain(3);
    assert_int_equal(check(&lax), BATCH_FINE);
    assert_true(report.was_walked);
    assert_false(report.is_max_timestamp_wrong);
    assert_int_equal(report.header.record_count, 3);
    assert_int_equal(report.header.last_offset_delta, 2);
    assert_int_equal(report.max_timestamp, NOW_MS + 2);
    assert_int_equal(report.size_ignored, 0);
}

static void every_cut_is_incomplete(void **state)
{
    (void)state;
    make_plain(3);
    size_t size = made.size;
    for (size_t i = 0; i < size; i++) {
        made.size = i;
        assert_int_equal(check(&lax), BATCH_FAULT_INCOMPLETE);
    }
}

static void every_flipped_bit_behind_the_crc_is_found(void **state)
{
    (void)state;
    make_plain(3);
    for (size_t at = BATCH_AT_CRC; at < made.size; at++) {
        made.data[at] ^= 4;
        assert_int_equal(check(&lax), BATCH_FAULT_CRC);
        made.data[at] ^= 4;
    }
}

static void magic_and_length_are_checked_before_all_else(void **state)
{
    (void)state;
    uint8_t *batch = make_plain(1);
    batch[BATCH_AT_MAGIC] = 1;
    assert_int_equal(check(&lax), BATCH_FAULT_MAGIC_OLD);
    batch[BATCH_AT_MAGIC] = 3;
    assert_int_equal(check(&lax), BATCH_FAULT_MAGIC);
    batch = make_plain(1);
    store_i32(batch + BATCH_AT_LENGTH, -1);
    assert_int_equal(check(&lax), BATCH_FAULT_LENGTH);
    store_i32(batch + BATCH_AT_LENGTH, BATCH_HEADER_SIZE - BATCH_PREFIX_SIZE - 1);
    assert_int_equal(check(&lax), BATCH_FAULT_LENGTH);
    store_i32(batch + BATCH_AT_LENGTH, INT32_MAX);
    assert_int_equal(check(&lax), BATCH_FAULT_INCOMPLETE);
}

static void second_batch_is_refused_and_a_stump_is_ignored(void **state)
{
    (void)state;
    make_plain(1);
    size_t size = made.size;
    assert_false(err_failed(buf_reserve(&made, size)));
    memcpy(made.data + size, made.data, size);
    made.size = 2 * size;
    assert_int_equal(check(&lax), BATCH_FAULT_SEVERAL);
    made.size = 2 * size - 1;
    assert_int_equal(check(&lax), BATCH_FINE);
    assert_int_equal(report.size_ignored, size - 1);
    made.data[size + BATCH_AT_MAGIC] = 9;
    assert_int_equal(check(&lax), BATCH_FAULT_MAGIC);
}

/* One field of a fine batch is set to a value. */
struct flaw {
    size_t at;
    unsigned size;
    int64_t value;
    enum batch_fault fault;
};

static void each_flaw_of_a_header_has_its_fault(void **state)
{
    (void)state;
    static const struct flaw flaws[] = {
        {BATCH_AT_BASE_OFFSET, 8, 1, BATCH_FAULT_BASE_OFFSET},
        {BATCH_AT_ATTRIBUTES, 2, 5, BATCH_FAULT_CODEC},
        {BATCH_AT_ATTRIBUTES, 2, 7, BATCH_FAULT_CODEC},
        {BATCH_AT_ATTRIBUTES, 2, 0x08, BATCH_FAULT_TIMESTAMP_TYPE},
        {BATCH_AT_ATTRIBUTES, 2, 0x10, BATCH_FAULT_PRODUCER},
        {BATCH_AT_ATTRIBUTES, 2, 0x20, BATCH_FAULT_CONTROL},
        {BATCH_AT_ATTRIBUTES, 2, 0x40, BATCH_FAULT_ATTRIBUTES},
        {BATCH_AT_ATTRIBUTES, 2, 0x80, BATCH_FAULT_ATTRIBUTES},
        {BATCH_AT_ATTRIBUTES, 2, 0x4000, BATCH_FAULT_ATTRIBUTES},
        {BATCH_AT_LAST_OFFSET_DELTA, 4, 1, BATCH_FAULT_COUNT},
        {BATCH_AT_LAST_OFFSET_DELTA, 4, 3, BATCH_FAULT_COUNT},
        {BATCH_AT_LAST_OFFSET_DELTA, 4, -1, BATCH_FAULT_COUNT},
        {BATCH_AT_LAST_OFFSET_DELTA, 4, INT32_MAX, BATCH_FAULT_COUNT},
        {BATCH_AT_RECORD_COUNT, 4, 0, BATCH_FAULT_COUNT},
        {BATCH_AT_RECORD_COUNT, 4, -1, BATCH_FAULT_COUNT},
        {BATCH_AT_RECORD_COUNT, 4, INT32_MIN, BATCH_FAULT_COUNT},
        {BATCH_AT_PRODUCER_ID, 8, 5, BATCH_FAULT_PRODUCER},
        {BATCH_AT_PRODUCER_ID, 8, -2, BATCH_FAULT_PRODUCER},
        {BATCH_AT_BASE_TIMESTAMP, 8, INT64_MAX, BATCH_FAULT_TIMESTAMP},
    };
    for (size_t i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        uint8_t *batch = make_plain(3);
        uint8_t bytes[8];
        store_i64(bytes, flaws[i].value);
        memcpy(batch + flaws[i].at, bytes + 8 - flaws[i].size, flaws[i].size);
        fix_crc(batch);
        assert_int_equal(check(&lax), flaws[i].fault);
    }
}

static void counts_that_agree_but_lie_are_found_by_walking(void **state)
{
    (void)state;
    for (int32_t lie = 2; lie <= 4; lie += 2) {
        uint8_t *batch = make_plain(3);
        store_i32(batch + BATCH_AT_RECORD_COUNT, lie);
        store_i32(batch + BATCH_AT_LAST_OFFSET_DELTA, lie - 1);
        fix_crc(batch);
        assert_int_equal(check(&lax), BATCH_FAULT_RECORDS);
    }
}

/* Every byte of the records takes every value: found or harmless, never out of bounds. */
static void damaged_records_are_faults_or_other_records(void **state)
{
    (void)state;
    for (size_t at = BATCH_AT_RECORDS; at < make_plain(2)[BATCH_AT_LENGTH + 3] + 12u; at++) {
        for (int value = 0; value < 256; value++) {
            uint8_t *batch = make_plain(2);
            batch[at] = (uint8_t)value;
            fix_crc(batch);
            enum batch_fault fault = check(&lax);
            assert_true(fault == BATCH_FINE || fault == BATCH_FAULT_RECORDS ||
                        fault == BATCH_FAULT_TIMESTAMP);
        }
    }
}

static void overlong_varint_is_refused(void **state)
{
    (void)state;
    uint8_t *batch = make_plain(1);
    /* The record: length, attributes, timestamp delta, offset delta, ... */
    size_t at = BATCH_AT_RECORDS + 3;
    static const uint8_t overlong[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    assert_int_equal(batch[at], 0);
    size_t more = sizeof overlong - 1;
    assert_false(err_failed(buf_reserve(&made, more)));
    batch = made.data;
    memmove(batch + at + sizeof overlong, batch + at + 1, made.size - at - 1);
    memcpy(batch + at, overlong, sizeof overlong);
    made.size += more;
    batch[BATCH_AT_RECORDS] = (uint8_t)(batch[BATCH_AT_RECORDS] + 2 * more);
    store_u32(batch + BATCH_AT_LENGTH, (uint32_t)(made.size - BATCH_PREFIX_SIZE));
    fix_crc(batch);
    assert_int_equal(check(&lax), BATCH_FAULT_RECORDS);
}

static void wrong_max_timestamp_is_reported_and_patched(void **state)
{
    (void)state;
    uint8_t *batch = make_plain(3);
    store_i64(batch + BATCH_AT_MAX_TIMESTAMP, NOW_MS + 999);
    fix_crc(batch);
    assert_int_equal(check(&lax), BATCH_FINE);
    assert_true(report.is_max_timestamp_wrong);
    assert_int_equal(report.max_timestamp, NOW_MS + 2);
    struct batch_header header = report.header;
    batch_patch_timestamp(batch, &header, report.max_timestamp, false);
    assert_int_equal(check(&lax), BATCH_FINE);
    assert_false(report.is_max_timestamp_wrong);
    assert_memory_equal(&header, &report.header, sizeof header);
}

static void patches_keep_the_batch_intact(void **state)
{
    (void)state;
    uint8_t *batch = make_plain(3);
    struct batch_header header;
    struct batch_header read_back;
    assert_int_equal(batch_parse(buf_span(&made), &header), BATCH_FINE);
    batch_patch_offset(batch, &header, (int64_t)1 << 40, 77);
    assert_int_equal(batch_check_stored(buf_span(&made), &read_back), BATCH_FINE);
    assert_int_equal(read_back.base_offset, (int64_t)1 << 40);
    assert_int_equal(read_back.leader_epoch, 77);
    batch_patch_timestamp(batch, &header, 5, true);
    assert_int_equal(batch_check_stored(buf_span(&made), &read_back), BATCH_FINE);
    assert_int_equal(read_back.max_timestamp, 5);
    assert_int_equal(read_back.attributes, BATCH_LOG_APPEND_TIME);
}

static void timestamps_out_of_range_are_refused(void **state)
{
    (void)state;
    struct batch_rules rules = lax;
    make_plain(3);
    rules.now_ms = NOW_MS - 10;
    rules.after_ms_max = 11;
    assert_int_equal(check(&rules), BATCH_FAULT_TIMESTAMP);
    assert_int_equal(report.record_index, 2);
    rules.after_ms_max = 12;
    assert_int_equal(check(&rules), BATCH_FINE);
    rules.now_ms = NOW_MS + 10;
    rules.before_ms_max = 9;
    assert_int_equal(check(&rules), BATCH_FAULT_TIMESTAMP);
    assert_int_equal(report.record_index, 0);
    rules.log_append_time = true;
    assert_int_equal(check(&rules), BATCH_FINE);
}

static void compressed_batches_are_walked_only_when_asked(void **state)
{
    (void)state;
    for (int codec = 1; codec < COMPRESSION_COUNT; codec++) {
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        options.codec = (enum compression)codec;
        uint8_t *batch = make(&options, 50);
        struct batch_rules rules = lax;
        assert_int_equal(check(&rules), BATCH_FINE);
        assert_false(report.was_walked);
        rules.full = true;
        assert_int_equal(check(&rules), BATCH_FINE);
        assert_true(report.was_walked);
        rules.decompressed_size_max = 100;
        assert_int_equal(check(&rules), BATCH_FAULT_BOMB);
        rules = lax;
        rules.codecs = 0x1fu & ~(1u << codec);
        assert_int_equal(check(&rules), BATCH_FAULT_CODEC_REFUSED);
        rules = lax;
        rules.full = true;
        memset(batch + BATCH_AT_RECORDS, 0xee, 8);
        fix_crc(batch);
        assert_int_equal(check(&rules), BATCH_FAULT_DECOMPRESS);
    }
}

static void compacted_topics_want_keys(void **state)
{
    (void)state;
    struct batch_builder builder;
    struct span batch;
    const struct batch_options options = BATCH_OPTIONS_DEFAULT;
    batch_build_begin(&builder, &options, &made);
    for (int i = 0; i < 3; i++) {
        const struct record record = {.timestamp = NOW_MS,
                                      .key = i == 1 ? SPAN_NULL : span_text("")};
        assert_false(err_failed(batch_build_add(&builder, &record)));
    }
    assert_false(err_failed(batch_build_end(&builder, &batch, NULL)));
    struct batch_rules rules = lax;
    assert_int_equal(check(&rules), BATCH_FINE);
    rules.needs_keys = true;
    assert_int_equal(check(&rules), BATCH_FAULT_NO_KEY);
    assert_int_equal(report.record_index, 1);
}

static void producers_must_be_consistent(void **state)
{
    (void)state;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = 9;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    make(&options, 1);
    assert_int_equal(check(&lax), BATCH_FINE);
    options.is_transactional = true;
    make(&options, 1);
    assert_int_equal(check(&lax), BATCH_FINE);
    options.base_sequence = -1;
    make(&options, 1);
    assert_int_equal(check(&lax), BATCH_FAULT_PRODUCER);
    options.base_sequence = 0;
    options.producer_epoch = -1;
    make(&options, 1);
    assert_int_equal(check(&lax), BATCH_FAULT_PRODUCER);
}

static void size_bound_comes_before_the_crc(void **state)
{
    (void)state;
    uint8_t *batch = make_plain(3);
    batch[BATCH_AT_CRC] ^= 1;
    struct batch_rules rules = lax;
    rules.size_max = made.size - 1;
    assert_int_equal(check(&rules), BATCH_FAULT_TOO_LARGE);
    rules.size_max = made.size;
    assert_int_equal(check(&rules), BATCH_FAULT_CRC);
}

/* Written by kafka-clients 4.3.1 (MemoryRecords.builder): producer 9, epoch 2, sequence 5; a record
 * at 1000 with key "k", value "v" and header "h" = null, one at 1003 without key, with value "". */
static const uint8_t java_batch[] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x44, 0xff, 0xff, 0xff, 0xff,
    0x02, 0x6b, 0x81, 0xac, 0x62, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x03, 0xe8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xeb, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x09, 0x00, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x02, 0x16, 0x00, 0x00,
    0x00, 0x02, 0x6b, 0x02, 0x76, 0x02, 0x02, 0x68, 0x01, 0x0c, 0x00, 0x06, 0x02, 0x01, 0x00, 0x00,
};

static void batch_of_the_java_client_is_made_byte_for_byte(void **state)
{
    (void)state;
    struct buf headers;
    buf_init(&headers, 1000);
    assert_false(err_failed(record_header_append(&headers, span_text("h"), SPAN_NULL)));
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.leader_epoch = -1;
    options.producer_id = 9;
    options.producer_epoch = 2;
    options.base_sequence = 5;
    struct batch_builder builder;
    struct span batch;
    batch_build_begin(&builder, &options, &made);
    const struct record first = {.timestamp = 1000,
                                 .key = span_text("k"),
                                 .value = span_text("v"),
                                 .headers = buf_span(&headers),
                                 .header_count = 1};
    const struct record second = {.timestamp = 1003, .value = span_text("")};
    assert_false(err_failed(batch_build_add(&builder, &first)));
    assert_false(err_failed(batch_build_add(&builder, &second)));
    assert_false(err_failed(batch_build_end(&builder, &batch, NULL)));
    buf_deinit(&headers);
    assert_int_equal(batch.size, sizeof java_batch);
    assert_memory_equal(batch.data, java_batch, sizeof java_batch);
    assert_int_equal(check(&lax), BATCH_FINE);
}

static void every_fault_has_words(void **state)
{
    (void)state;
    for (int fault = 0; fault < BATCH_FAULT_KIND_COUNT; fault++)
        assert_non_null(batch_fault_text((enum batch_fault)fault));
}

#define BATCH_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCH_TEST(fine_batch_is_fine),
        BATCH_TEST(every_cut_is_incomplete),
        BATCH_TEST(every_flipped_bit_behind_the_crc_is_found),
        BATCH_TEST(magic_and_length_are_checked_before_all_else),
        BATCH_TEST(second_batch_is_refused_and_a_stump_is_ignored),
        BATCH_TEST(each_flaw_of_a_header_has_its_fault),
        BATCH_TEST(counts_that_agree_but_lie_are_found_by_walking),
        BATCH_TEST(damaged_records_are_faults_or_other_records),
        BATCH_TEST(overlong_varint_is_refused),
        BATCH_TEST(wrong_max_timestamp_is_reported_and_patched),
        BATCH_TEST(patches_keep_the_batch_intact),
        BATCH_TEST(timestamps_out_of_range_are_refused),
        BATCH_TEST(compressed_batches_are_walked_only_when_asked),
        BATCH_TEST(compacted_topics_want_keys),
        BATCH_TEST(producers_must_be_consistent),
        BATCH_TEST(size_bound_comes_before_the_crc),
        BATCH_TEST(batch_of_the_java_client_is_made_byte_for_byte),
        BATCH_TEST(every_fault_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
