/*
 * wire_seeds: one random message of each version, as the fuzzers of the codec read them.
 *
 *   wire_seeds WIRE_DIR REQUEST_DIR    seeds of wire_fuzz, and of request_fuzz; both folders exist
 */
#include <stdio.h>
#include <string.h>

#include "support/wire_shape.h"
#include "wire/envelope.h"
#include "wire/frame.h"

#define ARENA_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define BUF_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define PATH_SIZE_MAX 4096

static int write_seed(const char *folder, const struct shape_message *message, int16_t version,
                      const struct buf *buf)
{
    char path[PATH_SIZE_MAX];
    (void)snprintf(path, sizeof path, "%s/%s-%d", folder, message->name, version);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(buf->data, 1, buf->size, file) != buf->size) {
        perror(path);
        return 1;
    }
    return fclose(file) == 0 ? 0 : 1;
}

/* The choice of message and version, then the message. */
static struct err encode_chosen(struct writer *writer, size_t index, int16_t version,
                                const void *value)
{
    const struct shape_message *message = &shape_messages[index];
    TRY(writer_write_int8(writer, (int8_t)index));
    TRY(writer_write_int8(writer, (int8_t)(version - message->version_min)));
    return message->encode(writer, version, value);
}

/* A frame with header and request. */
static struct err encode_framed(struct writer *writer, const struct shape_message *message,
                                int16_t version, const void *value)
{
    struct frame_mark mark;
    struct request_header header;
    request_header_init(&header);
    header.request_api_key = message->number;
    header.request_api_version = version;
    header.client_id = span_text("fuzz");
    TRY(frame_begin(writer, &mark));
    TRY(envelope_write_request(writer, &header));
    TRY(message->encode(writer, version, value));
    return frame_end(writer, mark);
}

static int write_seeds(char **folders, size_t index, int16_t version, struct arena *arena,
                       struct buf *buf)
{
    const struct shape_message *message = &shape_messages[index];
    struct writer writer;
    uint64_t state = index * 100 + (uint64_t)version;
    const void *value = shape_fill(message, version, &state, arena);
    writer_init(&writer, buf, NULL, 0);
    if (value == NULL || err_failed(encode_chosen(&writer, index, version, value)) ||
        write_seed(folders[0], message, version, buf) != 0)
        return 1;
    if (message->kind != SHAPE_KIND_REQUEST)
        return 0;
    buf_clear(buf);
    if (err_failed(encode_framed(&writer, message, version, value)))
        return 1;
    return write_seed(folders[1], message, version, buf);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: wire_seeds WIRE_DIR REQUEST_DIR\n");
        return 2;
    }
    int status = 0;
    for (size_t i = 0; i < shape_message_count && status == 0; i++) {
        const struct shape_message *message = &shape_messages[i];
        for (int16_t v = message->version_min; v <= message->version_max && status == 0; v++) {
            struct arena arena;
            struct buf buf;
            arena_init(&arena, ARENA_SIZE_MAX);
            buf_init(&buf, BUF_SIZE_MAX);
            status = write_seeds(argv + 1, i, v, &arena, &buf);
            buf_deinit(&buf);
            arena_deinit(&arena);
        }
    }
    return status;
}
