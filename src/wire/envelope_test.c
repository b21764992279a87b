/* Headers: which version goes with which request, and what is answered to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/envelope.h"

#define assert_ok(expression) assert_false(err_failed(expression))
#define assert_err(expression, code) assert_true(err_is((expression), (code)))

static void api_table_is_sorted_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < API_COUNT; i++) {
        assert_ptr_equal(api_find(api_table[i].key), &api_table[i]);
        assert_true(api_table[i].version_min <= api_table[i].version_max);
        assert_true(i == 0 || api_table[i - 1].key < api_table[i].key);
    }
    const int16_t unknown[] = {-1, INT16_MIN, INT16_MAX, 4, 5, 6, 7, API_KEY_MAX + 1};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_null(api_find(unknown[i]));
}

static void only_the_last_version_of_init_producer_id_is_unstable(void **state)
{
    (void)state;
    for (size_t i = 0; i < API_COUNT; i++)
        assert_int_equal(api_table[i].unstable, api_table[i].key == API_INIT_PRODUCER_ID);
    assert_int_equal(api_version_max_stable(api_find(API_INIT_PRODUCER_ID)), 5);
    assert_int_equal(api_version_max_stable(api_find(API_FETCH)), 18);
}

/* Reads a header of the given bytes; the rest of the request is the byte 99. */
static struct err read_request(struct span bytes, struct request_header *header,
                               const struct api_info **api)
{
    struct arena arena;
    struct reader reader;
    arena_init(&arena, 1024);
    reader_init(&reader, bytes);
    struct err err = envelope_read_request(&reader, &arena, header, api);
    if (!err_failed(err)) {
        int8_t rest;
        assert_ok(reader_read_int8(&reader, &rest));
        assert_int_equal(rest, 99);
        assert_ok(reader_finish(&reader));
    }
    arena_deinit(&arena);
    return err;
}

static void classic_request_has_header_1(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 18, 0, 2, 0, 0, 0, 7, 0, 2, 'm', 'e', 99};
    struct request_header header;
    const struct api_info *api;
    assert_ok(read_request(span_make(bytes, sizeof bytes), &header, &api));
    assert_int_equal(api->key, API_API_VERSIONS);
    assert_string_equal(api->name, "ApiVersions");
    assert_int_equal(header.request_api_version, 2);
    assert_int_equal(header.correlation_id, 7);
    assert_true(span_equal_text(header.client_id, "me"));
}

static void flexible_request_has_header_2_of_any_version(void **state)
{
    (void)state;
    /* ApiVersions 32767 with one unknown tagged field: its header must be readable. */
    const uint8_t bytes[] = {0, 18, 0x7f, 0xff, 0, 0, 0, 7, 0, 2, 'm', 'e', 1, 5, 2, 'x', 'y', 99};
    struct request_header header;
    const struct api_info *api;
    assert_ok(read_request(span_make(bytes, sizeof bytes), &header, &api));
    assert_int_equal(header.request_api_version, INT16_MAX);
    assert_true(span_equal_text(header.client_id, "me"));
}

static void api_that_is_never_flexible_has_header_1(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 17, 0x7f, 0xff, 0, 0, 0, 7, 0, 0, 99};
    struct request_header header;
    const struct api_info *api;
    assert_ok(read_request(span_make(bytes, sizeof bytes), &header, &api));
    assert_int_equal(api->key, API_SASL_HANDSHAKE);
}

static void null_client_id_reads_as_empty(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 99};
    struct request_header header;
    const struct api_info *api;
    assert_ok(read_request(span_make(bytes, sizeof bytes), &header, &api));
    assert_false(span_is_null(header.client_id));
    assert_int_equal(header.client_id.size, 0);
}

static void unknown_api_and_short_header_are_refused(void **state)
{
    (void)state;
    const uint8_t unknown[] = {0x7f, 0xff, 0, 0, 0, 0, 0, 7, 0, 0, 99};
    const uint8_t known[] = {0, 3, 0, 9, 0, 0, 0, 7, 0, 1, 'a', 0};
    struct request_header header;
    const struct api_info *api;
    assert_err(read_request(span_make(unknown, sizeof unknown), &header, &api), ERR_UNSUPPORTED);
    for (size_t size = 0; size < sizeof known; size++)
        assert_err(read_request(span_make(known, size), &header, &api), ERR_TRUNCATED);
}

static size_t response_header_size(int16_t key, int16_t version)
{
    struct buf buf;
    struct writer writer;
    buf_init(&buf, 64);
    writer_init(&writer, &buf, NULL, 0);
    assert_ok(envelope_write_response(&writer, api_find(key), version, 0x01020304));
    assert_int_equal(load_i32(buf.data), 0x01020304);
    size_t size = buf.size;
    buf_deinit(&buf);
    return size;
}

static void response_header_is_tagged_where_flexible_but_for_api_versions(void **state)
{
    (void)state;
    assert_int_equal(response_header_size(API_METADATA, 8), 4);
    assert_int_equal(response_header_size(API_METADATA, 9), 5);
    assert_int_equal(response_header_size(API_SASL_HANDSHAKE, 1), 4);
    assert_int_equal(response_header_size(API_API_VERSIONS, 0), 4);
    assert_int_equal(response_header_size(API_API_VERSIONS, 4), 4);
}

static void written_request_is_read_back(void **state)
{
    (void)state;
    struct buf buf;
    struct writer writer;
    buf_init(&buf, 64);
    writer_init(&writer, &buf, NULL, 0);
    struct request_header sent;
    request_header_init(&sent);
    sent.request_api_key = API_FETCH;
    sent.request_api_version = 13;
    sent.correlation_id = 12;
    sent.client_id = span_text("bench");
    assert_ok(envelope_write_request(&writer, &sent));
    assert_ok(writer_write_int8(&writer, 99));
    struct request_header header;
    const struct api_info *api;
    assert_ok(read_request(buf_span(&buf), &header, &api));
    assert_int_equal(api->key, API_FETCH);
    assert_int_equal(header.correlation_id, 12);
    assert_true(span_equal_text(header.client_id, "bench"));
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_table_is_sorted_and_found),
        cmocka_unit_test(only_the_last_version_of_init_producer_id_is_unstable),
        cmocka_unit_test(classic_request_has_header_1),
        cmocka_unit_test(flexible_request_has_header_2_of_any_version),
        cmocka_unit_test(api_that_is_never_flexible_has_header_1),
        cmocka_unit_test(null_client_id_reads_as_empty),
        cmocka_unit_test(unknown_api_and_short_header_are_refused),
        cmocka_unit_test(response_header_is_tagged_where_flexible_but_for_api_versions),
        cmocka_unit_test(written_request_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
