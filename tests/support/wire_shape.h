/*
 * wire_shape: fills and compares any generated message without knowing it.
 *
 * tools/gen.py writes for each struct of the codec where its fields lie and in which versions they
 * exist; the tests of all messages walk these tables. Random messages come from a seed alone.
 */
#ifndef HEADRACE_TESTS_SUPPORT_WIRE_SHAPE_H
#define HEADRACE_TESTS_SUPPORT_WIRE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "wire/cursor.h"

enum shape_type {
    SHAPE_BOOL,
    SHAPE_INT8,
    SHAPE_INT16,
    SHAPE_UINT16,
    SHAPE_INT32,
    SHAPE_UINT32,
    SHAPE_INT64,
    SHAPE_FLOAT64,
    SHAPE_UUID,
    SHAPE_STRING,
    SHAPE_BYTES,
    SHAPE_RECORDS,
    SHAPE_STRUCT,
};

struct shape_field {
    const char *name;
    enum shape_type type;
    bool array;   /* a pointer to elements, and a count of -1 for null */
    bool pointer; /* a struct behind a pointer that may be NULL */
    int16_t version_min;
    int16_t version_max;
    int16_t null_min; /* above null_max where the field is never null */
    int16_t null_max;
    size_t offset;
    size_t count_offset;
    const struct shape *shape; /* of a struct */
};

struct shape {
    size_t size;
    const struct shape_field *fields;
    size_t field_count;
    void (*init)(void *out);
};

enum shape_kind {
    SHAPE_KIND_REQUEST,
    SHAPE_KIND_OURS,  /* Kafka does not know it */
    SHAPE_KIND_OTHER, /* an answer, a header, a record */
};

struct shape_message {
    const char *name; /* Kafka's, unless it is ours */
    enum shape_kind kind;
    int16_t number; /* of requests and answers the API's key */
    int16_t version_min;
    int16_t version_max;
    const struct shape *shape;
    struct err (*decode)(struct reader *reader, int16_t version, struct arena *arena, void *out);
    struct err (*encode)(struct writer *writer, int16_t version, const void *in);
};

extern const size_t shape_message_count;
extern const struct shape_message shape_messages[];

/* Returns the message of that name, or NULL. */
const struct shape_message *shape_find(const char *name);

/* The next number of the sequence that *state began (SplitMix64). */
uint64_t shape_random(uint64_t *state);

/*
 * Returns a message in the arena: fields of the version random, all others at their defaults; NULL
 * when the arena is full. Text is valid UTF-8.
 */
void *shape_fill(const struct shape_message *message, int16_t version, uint64_t *state,
                 struct arena *arena);

/* Whether two messages hold the same values, in all fields whatever the version. */
bool shape_equal(const struct shape *shape, const void *a, const void *b);

#endif
