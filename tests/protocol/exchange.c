/*
 * exchange: the C half of the exchange of random messages with Apache Kafka's own classes.
 *
 *   wire_exchange write FILE SEED ROUNDS   writes that many random messages of each version
 *   wire_exchange check FILE               decodes what the other side wrote, encodes it again, and
 *                                          exits 1 unless each comes out byte for byte the same
 *
 * FILE holds, big-endian: int16 size of the name, name, int16 version, int32 size, message.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/wire_shape.h"

#define ARENA_SIZE_MAX ((size_t)16 * 1024 * 1024)
#define FILE_SIZE_MAX ((size_t)1024 * 1024 * 1024)
#define NAME_SIZE_MAX 64
#define FAILURES_SHOWN_MAX 20

/* One message of the file. */
struct item {
    char name[NAME_SIZE_MAX];
    int16_t version;
    struct span bytes;
};

struct tally {
    size_t message_count;
    size_t failure_count;
};

/* The bytes; those of an empty message are present all the same. */
static struct span message_bytes(const struct buf *buf)
{
    return buf->size == 0 ? SPAN_EMPTY : buf_span(buf);
}

static struct err write_item(struct buf *out, const struct shape_message *message, int16_t version,
                             uint64_t seed)
{
    struct arena arena;
    struct buf body;
    struct writer writer;
    arena_init(&arena, ARENA_SIZE_MAX);
    buf_init(&body, FILE_SIZE_MAX);
    writer_init(&writer, &body, NULL, 0);
    const void *value = shape_fill(message, version, &seed, &arena);
    struct err err =
        value == NULL ? err_make(ERR_NO_MEMORY) : message->encode(&writer, version, value);
    writer_init(&writer, out, NULL, 0);
    if (!err_failed(err))
        err = writer_write_string(&writer, WIRE_CLASSIC, span_text(message->name));
    if (!err_failed(err))
        err = writer_write_int16(&writer, version);
    if (!err_failed(err))
        err = writer_write_bytes(&writer, WIRE_CLASSIC, message_bytes(&body));
    buf_deinit(&body);
    arena_deinit(&arena);
    return err;
}

static struct err write_all(struct buf *out, uint64_t seed, int rounds)
{
    for (size_t i = 0; i < shape_message_count; i++) {
        const struct shape_message *message = &shape_messages[i];
        if (message->kind == SHAPE_KIND_OURS)
            continue;
        for (int16_t version = message->version_min; version <= message->version_max; version++) {
            for (int round = 0; round < rounds; round++)
                TRY(write_item(out, message, version, shape_random(&seed)));
        }
    }
    return ERR_NONE;
}

static struct err read_item(struct reader *reader, struct item *out)
{
    struct span name;
    TRY(reader_read_string(reader, WIRE_CLASSIC, &name));
    if (name.size >= NAME_SIZE_MAX)
        return err_make(ERR_LIMIT);
    memcpy(out->name, name.data, name.size);
    out->name[name.size] = '\0';
    TRY(reader_read_int16(reader, &out->version));
    return reader_read_bytes(reader, WIRE_CLASSIC, &out->bytes);
}

/* Decodes and encodes; the words for what went wrong, or NULL. */
static const char *check_bytes(const struct shape_message *message, const struct item *item,
                               struct arena *arena, struct buf *again)
{
    void *value = arena_alloc(arena, message->shape->size);
    if (value == NULL)
        return "no memory";
    struct reader reader;
    reader_init(&reader, item->bytes);
    if (err_failed(message->decode(&reader, item->version, arena, value)))
        return "not decoded";
    if (reader_remaining(&reader) != 0)
        return "not decoded to its end";
    struct writer writer;
    writer_init(&writer, again, NULL, 0);
    if (err_failed(message->encode(&writer, item->version, value)))
        return "not encoded again";
    if (!span_equal(message_bytes(again), item->bytes))
        return "encoded to other bytes";
    return NULL;
}

static void check_item(const struct item *item, struct tally *tally)
{
    struct arena arena;
    struct buf again;
    arena_init(&arena, ARENA_SIZE_MAX);
    buf_init(&again, FILE_SIZE_MAX);
    const struct shape_message *message = shape_find(item->name);
    const char *failure =
        message == NULL ? "not defined here" : check_bytes(message, item, &arena, &again);
    tally->message_count++;
    if (failure != NULL && tally->failure_count++ < FAILURES_SHOWN_MAX)
        fprintf(stderr, "%s version %d: %s\n", item->name, item->version, failure);
    buf_deinit(&again);
    arena_deinit(&arena);
}

static int check_all(struct span file)
{
    struct tally tally = {0};
    struct reader reader;
    reader_init(&reader, file);
    while (reader_remaining(&reader) != 0) {
        struct item item;
        if (err_failed(read_item(&reader, &item))) {
            fprintf(stderr, "wire_exchange: the file is cut\n");
            return 1;
        }
        check_item(&item, &tally);
    }
    printf("C read %zu messages of Kafka's, %zu differ\n", tally.message_count,
           tally.failure_count);
    return tally.message_count == 0 || tally.failure_count != 0;
}

static int write_file(const char *path, const struct buf *bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes->data, 1, bytes->size, file) != bytes->size) {
        perror(path);
        return 1;
    }
    return fclose(file) == 0 ? 0 : 1;
}

static int read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    uint8_t block[4096];
    size_t size;
    bool failed = false;
    while (!failed && (size = fread(block, 1, sizeof block, file)) > 0)
        failed = err_failed(buf_append(out, block, size));
    failed = failed || ferror(file) != 0;
    (void)fclose(file);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct buf bytes;
    int status = 2;
    buf_init(&bytes, FILE_SIZE_MAX);
    if (argc == 5 && strcmp(argv[1], "write") == 0) {
        uint64_t seed = strtoull(argv[3], NULL, 10);
        int rounds = (int)strtol(argv[4], NULL, 10);
        struct err err = write_all(&bytes, seed, rounds);
        if (err_failed(err))
            fprintf(stderr, "wire_exchange: %s\n", err_text(err));
        status = err_failed(err) ? 1 : write_file(argv[2], &bytes);
    } else if (argc == 3 && strcmp(argv[1], "check") == 0) {
        status = read_file(argv[2], &bytes);
        if (status == 0)
            status = check_all(buf_span(&bytes));
    } else {
        fprintf(stderr, "usage: wire_exchange write FILE SEED ROUNDS | check FILE\n");
    }
    buf_deinit(&bytes);
    return status;
}
