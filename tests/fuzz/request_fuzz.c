/* Random bytes as a connection: frames, headers, and the requests that they announce. */
#include "base/check.h"
#include "support/wire_shape.h"
#include "wire/envelope.h"
#include "wire/frame.h"

#define ARENA_SIZE_MAX ((size_t)64 * 1024 * 1024)
#define FRAME_SIZE_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct shape_message *request_find(int16_t key)
{
    for (size_t i = 0; i < shape_message_count; i++) {
        if (shape_messages[i].kind == SHAPE_KIND_REQUEST && shape_messages[i].number == key)
            return &shape_messages[i];
    }
    return NULL;
}

static struct err read_request(struct span body, struct arena *arena)
{
    struct reader reader;
    struct request_header header;
    const struct api_info *api;
    reader_init(&reader, body);
    TRY(envelope_read_request(&reader, arena, &header, &api));
    const struct shape_message *message = request_find(api->key);
    CHECK(message != NULL);
    void *value = arena_alloc(arena, message->shape->size);
    CHECK(value != NULL);
    return message->decode(&reader, header.request_api_version, arena, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct frame frame;
    size_t position = 0;
    arena_init(&arena, ARENA_SIZE_MAX);
    while (!err_failed(
               frame_parse(span_make(data + position, size - position), FRAME_SIZE_MAX, &frame)) &&
           frame.complete) {
        struct err err = read_request(frame.body, &arena);
        CHECK(err.code < ERR_CODE_COUNT);
        arena_reset(&arena);
        position += frame.size_total;
    }
    arena_deinit(&arena);
    return 0;
}
