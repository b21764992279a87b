/* What every generated codec promises, shown on messages that have the case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "wire/describe_topic_partitions.h"
#include "wire/fetch.h"
#include "wire/metadata.h"
#include "wire/produce.h"
#include "wire/records/consumer_protocol.h"
#include "wire/records/metadata.h"
#include "wire/records/offset_commit.h"

#define ARENA_SIZE_MAX (64 * 1024)
#define BUF_SIZE_MAX (64 * 1024)

#define assert_ok(expression) assert_false(err_failed(expression))
#define assert_err(expression, code) assert_true(err_is((expression), (code)))

struct fixture {
    struct buf buf;
    struct writer writer;
    struct wire_splice splice;
    struct reader reader;
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    buf_init(&f->buf, BUF_SIZE_MAX);
    arena_init(&f->arena, ARENA_SIZE_MAX);
    writer_init(&f->writer, &f->buf, &f->splice, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->buf);
    arena_deinit(&f->arena);
    free(f);
    return 0;
}

static void read_back(struct fixture *f)
{
    reader_init(&f->reader, buf_span(&f->buf));
}

static void defaults_are_kafkas(void **state)
{
    (void)state;
    struct fetch_request request;
    fetch_request_init(&request);
    assert_true(span_is_null(request.cluster_id));
    assert_int_equal(request.max_bytes, INT32_MAX);
    assert_int_equal(request.session_epoch, -1);
    assert_int_equal(request.replica_state.replica_epoch, -1);
    assert_false(span_is_null(request.rack_id));
    struct fetch_request_partition partition;
    fetch_request_partition_init(&partition);
    assert_true(partition.high_watermark == INT64_MAX);
    struct metadata_request metadata;
    metadata_request_init(&metadata);
    assert_true(metadata.allow_auto_topic_creation);
}

static void fields_a_version_lacks_keep_their_defaults(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    metadata_request_init(&request);
    assert_ok(metadata_request_encode(&f->writer, 0, &request));
    read_back(f);
    memset(&request, 0xff, sizeof request);
    assert_ok(metadata_request_decode(&f->reader, 0, &f->arena, &request));
    assert_int_equal(request.topics_count, 0);
    assert_true(request.allow_auto_topic_creation);
    assert_false(request.include_topic_authorized_operations);
}

static void value_a_version_cannot_carry_is_unsupported(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    metadata_request_init(&request);
    request.allow_auto_topic_creation = false;
    assert_err(metadata_request_encode(&f->writer, 3, &request), ERR_UNSUPPORTED);
    assert_ok(metadata_request_encode(&f->writer, 4, &request));
}

static void tagged_value_a_version_cannot_carry_is_unsupported(void **state)
{
    struct fixture *f = *state;
    struct fetch_request request;
    fetch_request_init(&request);
    request.replica_state.replica_id = 3;
    assert_err(fetch_request_encode(&f->writer, 14, &request), ERR_UNSUPPORTED);
    assert_ok(fetch_request_encode(&f->writer, 15, &request));
}

static void ignorable_value_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct fetch_request request;
    fetch_request_init(&request);
    request.cluster_id = span_text("here");
    request.rack_id = span_text("near");
    assert_ok(fetch_request_encode(&f->writer, 10, &request));
    read_back(f);
    assert_ok(fetch_request_decode(&f->reader, 10, &f->arena, &request));
    assert_true(span_is_null(request.cluster_id));
    assert_int_equal(request.rack_id.size, 0);
}

static void null_where_the_version_has_none_is_invalid(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    metadata_request_init(&request);
    request.topics_count = -1;
    assert_err(metadata_request_encode(&f->writer, 0, &request), ERR_INVALID);
    buf_clear(&f->buf);
    assert_ok(metadata_request_encode(&f->writer, 1, &request));
    read_back(f);
    assert_err(metadata_request_decode(&f->reader, 0, &f->arena, &request), ERR_CORRUPT);
    read_back(f);
    assert_ok(metadata_request_decode(&f->reader, 1, &f->arena, &request));
    assert_int_equal(request.topics_count, -1);
    assert_null(request.topics);
}

static void claimed_elements_take_no_memory(void **state)
{
    struct fixture *f = *state;
    /* 1,000,000 topics are claimed, one byte follows; then as many as Kafka lets be claimed. */
    const uint8_t claims[] = {0x00, 0x0f, 0x42, 0x40, 0x00};
    struct metadata_request request;
    reader_init(&f->reader, span_make(claims, sizeof claims));
    assert_err(metadata_request_decode(&f->reader, 1, &f->arena, &request), ERR_TRUNCATED);
    const uint8_t absurd[] = {0x7f, 0xff, 0xff, 0xff, 0x00};
    reader_init(&f->reader, span_make(absurd, sizeof absurd));
    assert_err(metadata_request_decode(&f->reader, 1, &f->arena, &request), ERR_LIMIT);
    assert_int_equal(f->arena.size_total, 0);
}

static void bytes_behind_the_message_are_the_callers(void **state)
{
    struct fixture *f = *state;
    struct produce_request request;
    produce_request_init(&request);
    assert_ok(produce_request_encode(&f->writer, 3, &request));
    assert_ok(writer_write_int32(&f->writer, 42));
    read_back(f);
    assert_ok(produce_request_decode(&f->reader, 3, &f->arena, &request));
    assert_int_equal(reader_remaining(&f->reader), 4);
}

static void unknown_tagged_fields_are_skipped(void **state)
{
    struct fixture *f = *state;
    struct metadata_request request;
    metadata_request_init(&request);
    assert_ok(metadata_request_encode(&f->writer, 9, &request));
    assert_int_equal(f->buf.data[f->buf.size - 1], 0);
    f->buf.data[f->buf.size - 1] = 1;
    const uint8_t field[] = {0x50, 0x03, 'x', 'y', 'z'};
    assert_ok(buf_append(&f->buf, field, sizeof field));
    read_back(f);
    assert_ok(metadata_request_decode(&f->reader, 9, &f->arena, &request));
    assert_ok(reader_finish(&f->reader));
}

static void known_tag_of_wrong_size_is_corrupt(void **state)
{
    struct fixture *f = *state;
    struct fetch_request request;
    fetch_request_init(&request);
    assert_ok(fetch_request_encode(&f->writer, 12, &request));
    f->buf.data[f->buf.size - 1] = 1;
    const uint8_t field[] = {0x00, 0x03, 0x02, 'x', 'y'}; /* a text of one byte, and a byte more */
    assert_ok(buf_append(&f->buf, field, sizeof field));
    read_back(f);
    assert_err(fetch_request_decode(&f->reader, 12, &f->arena, &request), ERR_CORRUPT);
}

static void tagged_fields_at_their_defaults_are_not_sent(void **state)
{
    struct fixture *f = *state;
    struct fetch_response_partition partition;
    struct fetch_response_topic topic;
    struct fetch_response response;
    fetch_response_partition_init(&partition);
    fetch_response_topic_init(&topic);
    fetch_response_init(&response);
    response.responses = &topic;
    response.responses_count = 1;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.records.bytes = SPAN_EMPTY;
    assert_ok(fetch_response_encode(&f->writer, 12, &response));
    size_t size_without = f->buf.size;
    buf_clear(&f->buf);
    partition.current_leader.leader_epoch = 5;
    assert_ok(fetch_response_encode(&f->writer, 12, &response));
    assert_int_equal(f->buf.size, size_without + 1 + 1 + 4 + 4 + 1); /* tag, size, ids, no tags */
    read_back(f);
    assert_ok(fetch_response_decode(&f->reader, 12, &f->arena, &response));
    assert_int_equal(response.responses[0].partitions[0].current_leader.leader_epoch, 5);
    assert_int_equal(response.responses[0].partitions[0].snapshot_id.epoch, -1);
}

static void fetched_records_are_spliced(void **state)
{
    struct fixture *f = *state;
    struct fetch_response_partition partition;
    struct fetch_response_topic topic = {.partitions = &partition, .partitions_count = 1};
    struct fetch_response response;
    int file;
    fetch_response_partition_init(&partition);
    fetch_response_init(&response);
    response.responses = &topic;
    response.responses_count = 1;
    partition.records = (struct wire_records){.slice = &file, .slice_size = 10};
    assert_ok(fetch_response_encode(&f->writer, 13, &response));
    assert_int_equal(f->writer.splice_count, 1);
    assert_int_equal(writer_size(&f->writer), f->buf.size + 10);

    /* Sent as the connection does: the slice between what is before and behind it. */
    struct buf sent;
    buf_init(&sent, BUF_SIZE_MAX);
    size_t offset = f->splice.offset;
    assert_ok(buf_append(&sent, f->buf.data, offset));
    assert_ok(buf_append(&sent, "0123456789", 10));
    assert_ok(buf_append(&sent, f->buf.data + offset, f->buf.size - offset));
    reader_init(&f->reader, buf_span(&sent));
    assert_ok(fetch_response_decode(&f->reader, 13, &f->arena, &response));
    assert_ok(reader_finish(&f->reader));
    assert_true(span_equal_text(response.responses[0].partitions[0].records.bytes, "0123456789"));
    buf_deinit(&sent);
}

static void nullable_struct_is_a_pointer(void **state)
{
    struct fixture *f = *state;
    struct describe_topic_partitions_request request;
    describe_topic_partitions_request_init(&request);
    assert_null(request.cursor);
    assert_ok(describe_topic_partitions_request_encode(&f->writer, 0, &request));
    read_back(f);
    assert_ok(describe_topic_partitions_request_decode(&f->reader, 0, &f->arena, &request));
    assert_null(request.cursor);
    struct describe_topic_partitions_request_cursor cursor = {span_text("t"), 4};
    request.cursor = &cursor;
    buf_clear(&f->buf);
    assert_ok(describe_topic_partitions_request_encode(&f->writer, 0, &request));
    read_back(f);
    assert_ok(describe_topic_partitions_request_decode(&f->reader, 0, &f->arena, &request));
    assert_int_equal(request.cursor->partition_index, 4);
}

static void record_keys_begin_with_their_type(void **state)
{
    struct fixture *f = *state;
    struct offset_commit_key key = {span_text("g"), span_text("t"), 3};
    assert_ok(offset_commit_key_pack(&f->writer, &key));
    read_back(f);
    int16_t type;
    assert_ok(reader_read_int16(&f->reader, &type));
    assert_int_equal(type, OFFSET_COMMIT_KEY_TYPE);
    assert_ok(offset_commit_key_decode(&f->reader, 0, &f->arena, &key));
    assert_int_equal(key.partition, 3);
}

static void record_values_begin_with_their_version(void **state)
{
    struct fixture *f = *state;
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = 77;
    assert_ok(offset_commit_value_pack(&f->writer, 3, &value));
    assert_int_equal(load_i16(f->buf.data), 3);
    read_back(f);
    assert_ok(offset_commit_value_unpack(&f->reader, &f->arena, &value));
    assert_true(value.offset == 77);
    f->buf.data[1] = OFFSET_COMMIT_VALUE_VERSION_MAX + 1;
    read_back(f);
    assert_err(offset_commit_value_unpack(&f->reader, &f->arena, &value), ERR_UNSUPPORTED);
}

static void newer_subscription_is_read_as_the_newest_known(void **state)
{
    struct fixture *f = *state;
    struct consumer_protocol_subscription subscription;
    consumer_protocol_subscription_init(&subscription);
    subscription.generation_id = 9;
    assert_ok(consumer_protocol_subscription_pack(&f->writer, 3, &subscription));
    store_i16(f->buf.data, INT16_MAX);
    read_back(f);
    assert_ok(consumer_protocol_subscription_unpack(&f->reader, &f->arena, &subscription));
    assert_int_equal(subscription.generation_id, 9);
    store_i16(f->buf.data, -1);
    read_back(f);
    assert_err(consumer_protocol_subscription_unpack(&f->reader, &f->arena, &subscription),
               ERR_UNSUPPORTED);
}

static void metadata_entry_begins_with_type_and_version(void **state)
{
    struct fixture *f = *state;
    struct metadata_topic_created entry;
    metadata_topic_created_init(&entry);
    entry.name = span_text("orders");
    entry.partition_count = 6;
    assert_ok(metadata_topic_created_pack(&f->writer, 0, &entry));
    read_back(f);
    int16_t type;
    assert_ok(reader_read_int16(&f->reader, &type));
    assert_int_equal(type, METADATA_TOPIC_CREATED_TYPE);
    assert_ok(metadata_topic_created_unpack(&f->reader, &f->arena, &entry));
    assert_ok(reader_finish(&f->reader));
    assert_true(span_equal_text(entry.name, "orders"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_kafkas),
        TEST(fields_a_version_lacks_keep_their_defaults),
        TEST(value_a_version_cannot_carry_is_unsupported),
        TEST(tagged_value_a_version_cannot_carry_is_unsupported),
        TEST(ignorable_value_is_left_out),
        TEST(null_where_the_version_has_none_is_invalid),
        TEST(claimed_elements_take_no_memory),
        TEST(bytes_behind_the_message_are_the_callers),
        TEST(unknown_tagged_fields_are_skipped),
        TEST(known_tag_of_wrong_size_is_corrupt),
        TEST(tagged_fields_at_their_defaults_are_not_sent),
        TEST(fetched_records_are_spliced),
        TEST(nullable_struct_is_a_pointer),
        TEST(record_keys_begin_with_their_type),
        TEST(record_values_begin_with_their_version),
        TEST(newer_subscription_is_read_as_the_newest_known),
        TEST(metadata_entry_begins_with_type_and_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
