/* Every message, every version: what is encoded is decoded, and half of it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/wire_shape.h"

#define ROUNDS 20
#define ARENA_SIZE_MAX (1024 * 1024)
#define BUF_SIZE_MAX (1024 * 1024)

/* Each seed is one message: print it where a check fails. */
static uint64_t seed_of(int16_t version, int round)
{
    return (uint64_t)version * 1000 + (uint64_t)round;
}

static void encode(const struct shape_message *message, int16_t version, const void *value,
                   struct buf *buf)
{
    struct writer writer;
    buf_clear(buf);
    writer_init(&writer, buf, NULL, 0);
    assert_false(err_failed(message->encode(&writer, version, value)));
    assert_int_equal(writer_size(&writer), buf->size);
}

static struct err decode(const struct shape_message *message, int16_t version, struct span bytes,
                         struct arena *arena, void **out)
{
    struct reader reader;
    reader_init(&reader, bytes);
    *out = arena_alloc(arena, message->shape->size);
    if (*out == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(message->decode(&reader, version, arena, *out));
    assert_int_equal(reader_remaining(&reader), 0);
    return ERR_NONE;
}

static void check_same_after_round_trip(const struct shape_message *message, int16_t version,
                                        uint64_t seed)
{
    struct arena arena;
    struct buf first;
    struct buf second;
    arena_init(&arena, ARENA_SIZE_MAX);
    buf_init(&first, BUF_SIZE_MAX);
    buf_init(&second, BUF_SIZE_MAX);
    const void *sent = shape_fill(message, version, &seed, &arena);
    assert_non_null(sent);
    encode(message, version, sent, &first);
    void *received;
    assert_false(err_failed(decode(message, version, buf_span(&first), &arena, &received)));
    assert_true(shape_equal(message->shape, sent, received));
    encode(message, version, received, &second);
    assert_true(span_equal(buf_span(&first), buf_span(&second)));
    buf_deinit(&second);
    buf_deinit(&first);
    arena_deinit(&arena);
}

/* Each prefix lacks something, and each is an error without a read beyond its end. */
static void check_prefixes_are_refused(const struct shape_message *message, int16_t version,
                                       uint64_t seed)
{
    struct arena arena;
    struct buf buf;
    arena_init(&arena, ARENA_SIZE_MAX);
    buf_init(&buf, BUF_SIZE_MAX);
    const void *sent = shape_fill(message, version, &seed, &arena);
    assert_non_null(sent);
    encode(message, version, sent, &buf);
    for (size_t size = 0; size < buf.size; size++) {
        struct arena scratch;
        arena_init(&scratch, ARENA_SIZE_MAX);
        uint8_t *exact = malloc(size + (size == 0));
        assert_non_null(exact);
        memcpy(exact, buf.data, size);
        void *received;
        struct err err = decode(message, version, span_make(exact, size), &scratch, &received);
        assert_true(err_failed(err));
        assert_false(err_is(err, ERR_NO_MEMORY));
        free(exact);
        arena_deinit(&scratch);
    }
    buf_deinit(&buf);
    arena_deinit(&arena);
}

/* With less room than the message needs, both ways fail cleanly, wherever the room ends. */
static void check_lack_of_room_is_an_error(const struct shape_message *message, int16_t version,
                                           uint64_t seed)
{
    struct arena arena;
    struct buf whole;
    arena_init(&arena, ARENA_SIZE_MAX);
    buf_init(&whole, BUF_SIZE_MAX);
    const void *sent = shape_fill(message, version, &seed, &arena);
    assert_non_null(sent);
    encode(message, version, sent, &whole);
    for (size_t room = 0; room < whole.size; room++) {
        struct buf tight;
        struct writer writer;
        buf_init(&tight, room);
        writer_init(&writer, &tight, NULL, 0);
        assert_true(err_is(message->encode(&writer, version, sent), ERR_LIMIT));
        buf_deinit(&tight);
    }
    struct err err = err_make(ERR_NO_MEMORY);
    for (size_t room = 0; err_failed(err); room += 16) {
        struct arena tight;
        void *received;
        arena_init(&tight, room);
        err = decode(message, version, buf_span(&whole), &tight, &received);
        assert_true(!err_failed(err) || err_is(err, ERR_NO_MEMORY));
        arena_deinit(&tight);
    }
    buf_deinit(&whole);
    arena_deinit(&arena);
}

/* A test's state is its message's place in the table. */
static const struct shape_message *message_of(void **state)
{
    const size_t *index = *state;
    return &shape_messages[*index];
}

static void message_survives_every_version(void **state)
{
    const struct shape_message *message = message_of(state);
    for (int16_t version = message->version_min; version <= message->version_max; version++) {
        for (int round = 0; round < ROUNDS; round++)
            check_same_after_round_trip(message, version, seed_of(version, round));
        check_prefixes_are_refused(message, version, seed_of(version, 0));
        check_lack_of_room_is_an_error(message, version, seed_of(version, 0));
    }
}

static void unknown_versions_are_refused(void **state)
{
    const struct shape_message *message = message_of(state);
    struct arena arena;
    arena_init(&arena, ARENA_SIZE_MAX);
    struct buf buf;
    buf_init(&buf, BUF_SIZE_MAX);
    void *value = arena_alloc(&arena, message->shape->size);
    assert_non_null(value);
    message->shape->init(value);
    const int versions[] = {message->version_min - 1, message->version_max + 1, INT16_MIN,
                            INT16_MAX};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct reader reader;
        struct writer writer;
        reader_init(&reader, SPAN_EMPTY);
        writer_init(&writer, &buf, NULL, 0);
        int16_t version = (int16_t)versions[i];
        assert_true(err_is(message->decode(&reader, version, &arena, value), ERR_UNSUPPORTED));
        assert_true(err_is(message->encode(&writer, version, value), ERR_UNSUPPORTED));
    }
    buf_deinit(&buf);
    arena_deinit(&arena);
}

/* The tests of one message, and what they point to. */
struct message_tests {
    size_t index;
    char survives_name[96];
    char refused_name[96];
};

static void describe(struct message_tests *own, size_t index, struct CMUnitTest *tests)
{
    const char *name = shape_messages[index].name;
    own->index = index;
    (void)snprintf(own->survives_name, sizeof own->survives_name, "%s_survives_every_version",
                   name);
    (void)snprintf(own->refused_name, sizeof own->refused_name, "%s_of_unknown_version_is_refused",
                   name);
    tests[0] = (struct CMUnitTest){.name = own->survives_name,
                                   .test_func = message_survives_every_version,
                                   .initial_state = &own->index};
    tests[1] = (struct CMUnitTest){.name = own->refused_name,
                                   .test_func = unknown_versions_are_refused,
                                   .initial_state = &own->index};
}

int main(void)
{
    struct message_tests *own = calloc(shape_message_count, sizeof *own);
    struct CMUnitTest *tests = calloc(shape_message_count * 2, sizeof *tests);
    if (own == NULL || tests == NULL)
        return 1;
    for (size_t i = 0; i < shape_message_count; i++)
        describe(&own[i], i, &tests[2 * i]);
    int failed = _cmocka_run_group_tests("roundtrip", tests, shape_message_count * 2, NULL, NULL);
    free(tests);
    free(own);
    return failed;
}
