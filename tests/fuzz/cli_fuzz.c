/*
 * Random bytes as what people write and what messages hold: a place, a pattern, and a message that
 * the pattern prints. The first byte says where the pattern ends and the message begins.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cli/message_format.h"
#include "cli/places.h"

#define OUT_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define NOW_MS ((int64_t)1700000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const char *pattern, struct span bytes)
{
    const struct client_header header = {"h", bytes};
    const struct client_message message = {
        .topic = "t", .key = bytes, .value = bytes, .headers = &header, .header_count = 1};
    struct buf out;
    struct diag diag = {""};
    buf_init(&out, OUT_SIZE_MAX);
    if (!err_failed(message_format_check(pattern, &diag))) {
        struct err err = message_format_write(pattern, &message, &out);
        CHECK(!err_failed(err) || err_is(err, ERR_LIMIT));
    }
    buf_clear(&out);
    CHECK(!err_failed(message_format_json(&message, &out)));
    CHECK(out.data[out.size - 1] == '\n');
    CHECK(memchr(out.data, '\n', out.size) == out.data + out.size - 1);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t pattern_size = data[0] < size - 1 ? data[0] : size - 1;
    char *pattern = strndup((const char *)data + 1, pattern_size);
    CHECK(pattern != NULL);
    struct range range = {.from = {.kind = PLACE_EARLIEST}};
    struct diag diag = {""};
    if (!err_failed(range_parse(pattern, NOW_MS, &range, &diag)))
        CHECK(range.from.value >= 0 && range.to.value >= 0);
    print(pattern, span_make(data + 1 + pattern_size, size - 1 - pattern_size));
    free(pattern);
    return 0;
}
