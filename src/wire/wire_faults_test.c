/* wire_faults: memory is refused somewhere while messages are written and read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/fail_alloc.h"
#include "wire/create_topics.h"
#include "wire/envelope.h"
#include "wire/frame.h"

#define TOPIC_COUNT 40
#define VERSION 7
#define MESSAGE_SIZE_MAX (1 << 20)

static struct err write_request(struct buf *out)
{
    struct create_topics_request_config config = {.name = span_text("retention.ms"),
                                                  .value = span_text("12345")};
    struct create_topics_request_topic topics[TOPIC_COUNT];
    struct create_topics_request request;
    struct request_header header;
    struct frame_mark mark;
    struct writer writer;
    request_header_init(&header);
    header.request_api_key = API_CREATE_TOPICS;
    header.request_api_version = VERSION;
    header.client_id = span_text("client");
    create_topics_request_init(&request);
    request.topics = topics;
    request.topics_count = TOPIC_COUNT;
    for (int i = 0; i < TOPIC_COUNT; i++)
        topics[i] = (struct create_topics_request_topic){.name = span_text("topic"),
                                                         .num_partitions = 1,
                                                         .replication_factor = 1,
                                                         .configs = &config,
                                                         .configs_count = 1};
    writer_init(&writer, out, NULL, 0);
    TRY(frame_begin(&writer, &mark));
    TRY(envelope_write_request(&writer, &header));
    TRY(create_topics_request_encode(&writer, VERSION, &request));
    return frame_end(&writer, mark);
}

static struct err read_request(struct span bytes, struct arena *arena,
                               struct create_topics_request *request)
{
    struct frame frame;
    struct reader reader;
    struct request_header header;
    const struct api_info *api;
    TRY(frame_parse(bytes, MESSAGE_SIZE_MAX, &frame));
    assert_true(frame.complete);
    reader_init(&reader, frame.body);
    TRY(envelope_read_request(&reader, arena, &header, &api));
    return create_topics_request_decode(&reader, header.request_api_version, arena, request);
}

/* A message is written and read whole, or refused; then it can be written or read again. */
static bool write_and_read(void *context, uint32_t count)
{
    struct buf bytes;
    struct arena arena;
    struct create_topics_request request;
    (void)context;
    buf_init(&bytes, MESSAGE_SIZE_MAX);
    arena_init(&arena, MESSAGE_SIZE_MAX);
    fail_alloc_arm(count);
    struct err err = write_request(&bytes);
    assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
    if (err_failed(err)) {
        buf_clear(&bytes);
        assert_false(err_failed(write_request(&bytes)));
    }
    err = read_request(buf_span(&bytes), &arena, &request);
    assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
    if (err_failed(err)) {
        arena_reset(&arena);
        assert_false(err_failed(read_request(buf_span(&bytes), &arena, &request)));
    }
    bool has_failed = fail_alloc_disarm();
    assert_int_equal(request.topics_count, TOPIC_COUNT);
    for (int i = 0; i < TOPIC_COUNT; i++) {
        assert_true(span_equal_text(request.topics[i].name, "topic"));
        assert_true(span_equal_text(request.topics[i].configs[0].value, "12345"));
    }
    arena_deinit(&arena);
    buf_deinit(&bytes);
    return has_failed;
}

static void a_message_is_whole_or_refused(void **state)
{
    (void)state;
    assert_true(fail_each(write_and_read, NULL) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
