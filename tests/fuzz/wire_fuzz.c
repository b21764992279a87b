/*
 * Random bytes as every message: the first byte chooses the message, the second its version.
 *
 * Whatever decodes must encode again, and that must decode to the same values.
 */
#include "base/check.h"
#include "support/wire_shape.h"

#define ARENA_SIZE_MAX ((size_t)64 * 1024 * 1024)
#define BUF_SIZE_MAX ((size_t)16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *decode(const struct shape_message *message, int16_t version, struct span bytes,
                    struct arena *arena)
{
    struct reader reader;
    reader_init(&reader, bytes);
    void *value = arena_alloc(arena, message->shape->size);
    CHECK(value != NULL);
    return err_failed(message->decode(&reader, version, arena, value)) ? NULL : value;
}

static void check_again(const struct shape_message *message, int16_t version, const void *value,
                        struct arena *arena)
{
    struct buf buf;
    struct writer writer;
    buf_init(&buf, BUF_SIZE_MAX);
    writer_init(&writer, &buf, NULL, 0);
    CHECK(!err_failed(message->encode(&writer, version, value)));
    const void *again = decode(message, version, buf_span(&buf), arena);
    CHECK(again != NULL);
    CHECK(shape_equal(message->shape, value, again));
    buf_deinit(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct shape_message *message = &shape_messages[data[0] % shape_message_count];
    int version_count = message->version_max - message->version_min + 1;
    int16_t version = (int16_t)(message->version_min + data[1] % version_count);
    struct arena arena;
    arena_init(&arena, ARENA_SIZE_MAX);
    const void *value = decode(message, version, span_make(data + 2, size - 2), &arena);
    if (value != NULL)
        check_again(message, version, value, &arena);
    arena_deinit(&arena);
    return 0;
}
