/* produce: what a topic makes of the batches that come. */
#include "support/api_fixture.h"

#include "wire/fetch.h"
#include "wire/produce.h"

static int setup(void **state)
{
    static struct api_fixture fixture;
    api_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    api_fixture_deinit(*state);
    return 0;
}

static void configure(struct api_fixture *fixture, const char *name, const char *value)
{
    struct broker *broker = fixture->coord.broker.broker;
    struct topic *topic = broker_find_topic(broker, span_text("events"));
    struct topic_overrides overrides;
    int64_t commit;
    assert_ok(topic_read_recorded(topic, &overrides));
    assert_ok(topic_overrides_set(&overrides, span_text(name), span_text(value), NULL));
    assert_ok(broker_fixture_configure(broker, topic, &overrides, &commit));
    topic_unref(topic);
    coord_fixture_flush(&fixture->coord);
}

/* A value of so many equal bytes, as one batch to events-0. */
static int16_t produce(struct api_fixture *fixture, enum compression codec, size_t size)
{
    struct buf bytes;
    struct batch_builder builder;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct span batch;
    static uint8_t value[10000];
    CHECK(size <= sizeof value);
    buf_init(&bytes, 1 << 20);
    options.codec = codec;
    batch_build_begin(&builder, &options, &bytes);
    assert_ok(batch_build_add(
        &builder, &(struct record){.timestamp = 1700000000000, .value = span_make(value, size)}));
    assert_ok(batch_build_end(&builder, &batch, NULL));
    struct produce_request_partition data = {.records.bytes = batch};
    struct produce_request_topic topic = {
        .name = span_text("events"), .partition_data = &data, .partition_data_count = 1};
    struct produce_request asked;
    struct produce_response answer;
    produce_request_init(&asked);
    asked.acks = -1;
    asked.topic_data = &topic;
    asked.topic_data_count = 1;
    API_ASK(fixture, API_PRODUCE, produce, 9, &asked, &answer);
    buf_deinit(&bytes);
    return answer.responses[0].partition_responses[0].error_code;
}

/* The codec of the batch at the offset, which is whole and of one record. */
static enum compression codec_at(struct api_fixture *fixture, int64_t offset)
{
    struct fetch_request_partition partition = {.fetch_offset = offset,
                                                .partition_max_bytes = 1 << 20,
                                                .current_leader_epoch = -1,
                                                .last_fetched_epoch = -1};
    struct fetch_request_topic topic = {
        .topic = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct fetch_request asked;
    struct fetch_response answer;
    struct batch_header header;
    fetch_request_init(&asked);
    asked.max_bytes = 1 << 20;
    asked.session_epoch = -1;
    asked.topics = &topic;
    asked.topics_count = 1;
    API_ASK(fixture, API_FETCH, fetch, 11, &asked, &answer);
    assert_int_equal(batch_check_stored(answer.responses[0].partitions[0].records.bytes, &header),
                     BATCH_FINE);
    assert_int_equal(header.base_offset, offset);
    assert_int_equal(header.record_count, 1);
    return batch_codec(&header);
}

static void topic_stores_batches_under_its_own_codec(void **state)
{
    struct api_fixture *fixture = *state;
    static const struct {
        const char *type;
        enum compression codec;
    } kinds[] = {{"gzip", COMPRESSION_GZIP},
                 {"snappy", COMPRESSION_SNAPPY},
                 {"lz4", COMPRESSION_LZ4},
                 {"zstd", COMPRESSION_ZSTD},
                 {"uncompressed", COMPRESSION_NONE}};
    int64_t offset = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        configure(fixture, "compression.type", kinds[i].type);
        for (enum compression from = COMPRESSION_NONE; from < COMPRESSION_COUNT; from++) {
            assert_int_equal(produce(fixture, from, 100), KAFKA_NONE);
            assert_int_equal(codec_at(fixture, offset++), kinds[i].codec);
        }
    }
    configure(fixture, "compression.type", "producer");
    assert_int_equal(produce(fixture, COMPRESSION_LZ4, 100), KAFKA_NONE);
    assert_int_equal(codec_at(fixture, offset), COMPRESSION_LZ4);
}

static void batch_too_large_once_uncompressed_is_refused(void **state)
{
    struct api_fixture *fixture = *state;
    configure(fixture, "max.message.bytes", "5000");
    assert_int_equal(produce(fixture, COMPRESSION_GZIP, 10000), KAFKA_NONE);
    configure(fixture, "compression.type", "uncompressed");
    assert_int_equal(produce(fixture, COMPRESSION_GZIP, 10000), KAFKA_MESSAGE_TOO_LARGE);
}

static void levels_out_of_their_codecs_range_are_refused(void **state)
{
    (void)state;
    struct topic_overrides overrides;
    static const char *const refused[][2] = {{"compression.gzip.level", "0"},
                                             {"compression.gzip.level", "10"},
                                             {"compression.lz4.level", "0"},
                                             {"compression.lz4.level", "18"},
                                             {"compression.zstd.level", "23"}};
    topic_overrides_init(&overrides);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_true(err_is(topic_overrides_set(&overrides, span_text(refused[i][0]),
                                               span_text(refused[i][1]), NULL),
                           ERR_INVALID));
    assert_ok(topic_overrides_set(&overrides, span_text("compression.gzip.level"), span_text("-1"),
                                  NULL));
    topic_overrides_deinit(&overrides);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(topic_stores_batches_under_its_own_codec),
        TEST(batch_too_large_once_uncompressed_is_refused),
        TEST(levels_out_of_their_codecs_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
