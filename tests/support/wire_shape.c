/* wire_shape: walks the generated tables. */
#include "support/wire_shape.h"

#include <string.h>

#include "base/check.h"

/* Arrays and texts stay small, so that many messages can be tried; some cross a length's bytes. */
#define ELEMENT_COUNT_MAX 3
#define SHORT_SIZE_MAX 12
#define LONG_SIZE_MAX 300

struct filling {
    uint64_t *state;
    struct arena *arena;
    int16_t version;
    bool failed; /* the arena was full */
};

const struct shape_message *shape_find(const char *name)
{
    for (size_t i = 0; i < shape_message_count; i++) {
        if (strcmp(shape_messages[i].name, name) == 0)
            return &shape_messages[i];
    }
    return NULL;
}

uint64_t shape_random(uint64_t *state)
{
    uint64_t value = *state += 0x9e3779b97f4a7c15U;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    return value ^ value >> 31;
}

/* A number below bound. */
static size_t pick(struct filling *filling, size_t bound)
{
    return (size_t)(shape_random(filling->state) % bound);
}

static bool within(int16_t version, int16_t low, int16_t high)
{
    return low <= version && version <= high;
}

static size_t type_size(const struct shape_field *field)
{
    static const size_t sizes[] = {
        [SHAPE_BOOL] = sizeof(bool),         [SHAPE_INT8] = sizeof(int8_t),
        [SHAPE_INT16] = sizeof(int16_t),     [SHAPE_UINT16] = sizeof(uint16_t),
        [SHAPE_INT32] = sizeof(int32_t),     [SHAPE_UINT32] = sizeof(uint32_t),
        [SHAPE_INT64] = sizeof(int64_t),     [SHAPE_FLOAT64] = sizeof(double),
        [SHAPE_UUID] = sizeof(struct uuid),  [SHAPE_STRING] = sizeof(struct span),
        [SHAPE_BYTES] = sizeof(struct span), [SHAPE_RECORDS] = sizeof(struct wire_records),
    };
    return field->type == SHAPE_STRUCT ? field->shape->size : sizes[field->type];
}

static size_t pick_size(struct filling *filling)
{
    size_t bound = pick(filling, 16) == 0 ? LONG_SIZE_MAX : SHORT_SIZE_MAX;
    return pick(filling, bound + 1);
}

/* Whole characters of one to four bytes, about as many bytes as asked. */
static struct span random_text(struct filling *filling)
{
    static const char *const characters[] = {
        "a", "Z", "0", "-", "\n", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    size_t size_wanted = pick_size(filling);
    uint8_t *bytes = arena_alloc(filling->arena, size_wanted + 4);
    if (bytes == NULL) {
        filling->failed = true;
        return SPAN_EMPTY;
    }
    size_t size = 0;
    while (size < size_wanted) {
        const char *character = characters[pick(filling, sizeof characters / sizeof characters[0])];
        memcpy(bytes + size, character, strlen(character));
        size += strlen(character);
    }
    return span_make(bytes, size);
}

static struct span random_bytes(struct filling *filling)
{
    size_t size = pick_size(filling);
    uint8_t *bytes = arena_alloc(filling->arena, size);
    if (bytes == NULL) {
        filling->failed = true;
        return SPAN_EMPTY;
    }
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)shape_random(filling->state);
    return span_make(bytes, size);
}

/* Ends of the ranges come up as often as numbers from within. */
static int64_t random_number(struct filling *filling)
{
    static const int64_t ends[] = {0,         1,         -1,        INT8_MAX,  INT8_MIN, INT16_MAX,
                                   INT16_MIN, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    if (pick(filling, 2) == 0)
        return ends[pick(filling, sizeof ends / sizeof ends[0])];
    return (int64_t)shape_random(filling->state);
}

static void fill_struct(struct filling *filling, const struct shape *shape, void *out);

static void fill_scalar(struct filling *filling, const struct shape_field *field, void *at)
{
    int64_t number = random_number(filling);
    if (field->type == SHAPE_BOOL) {
        *(bool *)at = (number & 1) != 0;
    } else if (field->type == SHAPE_UUID) {
        uint64_t halves[2] = {shape_random(filling->state), shape_random(filling->state)};
        memcpy(at, halves, sizeof halves);
    } else if (field->type == SHAPE_FLOAT64) {
        *(double *)at = (double)number;
    } else {
        memcpy(at, &number, type_size(field)); /* the low bytes come first on this machine */
    }
}

static void fill_value(struct filling *filling, const struct shape_field *field, bool nullable,
                       void *at)
{
    bool null = nullable && pick(filling, 4) == 0;
    if (field->type == SHAPE_STRUCT)
        fill_struct(filling, field->shape, at);
    else if (field->type == SHAPE_STRING)
        *(struct span *)at = null ? SPAN_NULL : random_text(filling);
    else if (field->type == SHAPE_BYTES)
        *(struct span *)at = null ? SPAN_NULL : random_bytes(filling);
    else if (field->type == SHAPE_RECORDS)
        *(struct wire_records *)at =
            (struct wire_records){.bytes = null ? SPAN_NULL : random_bytes(filling)};
    else
        fill_scalar(filling, field, at);
}

static void fill_array(struct filling *filling, const struct shape_field *field, bool nullable,
                       uint8_t *out)
{
    int32_t count = (int32_t)pick(filling, ELEMENT_COUNT_MAX + 1);
    if (nullable && pick(filling, 4) == 0)
        count = -1;
    uint8_t *items = NULL;
    if (count > 0) {
        items = arena_alloc_array(filling->arena, (size_t)count, type_size(field));
        if (items == NULL) {
            filling->failed = true;
            return;
        }
    }
    for (int32_t i = 0; i < count; i++)
        fill_value(filling, field, false, items + (size_t)i * type_size(field));
    memcpy(out + field->offset, &items, sizeof items);
    memcpy(out + field->count_offset, &count, sizeof count);
}

static void fill_pointer(struct filling *filling, const struct shape_field *field, bool nullable,
                         uint8_t *out)
{
    if (nullable && pick(filling, 2) == 0)
        return;
    void *inner = arena_alloc(filling->arena, field->shape->size);
    if (inner == NULL) {
        filling->failed = true;
        return;
    }
    fill_struct(filling, field->shape, inner);
    memcpy(out + field->offset, &inner, sizeof inner);
}

static void fill_struct(struct filling *filling, const struct shape *shape, void *out)
{
    uint8_t *base = out;
    shape->init(out);
    for (size_t i = 0; i < shape->field_count && !filling->failed; i++) {
        const struct shape_field *field = &shape->fields[i];
        bool nullable = within(filling->version, field->null_min, field->null_max);
        if (!within(filling->version, field->version_min, field->version_max))
            continue;
        if (field->array)
            fill_array(filling, field, nullable, base);
        else if (field->pointer)
            fill_pointer(filling, field, nullable, base);
        else
            fill_value(filling, field, nullable, base + field->offset);
    }
}

void *shape_fill(const struct shape_message *message, int16_t version, uint64_t *state,
                 struct arena *arena)
{
    CHECK(within(version, message->version_min, message->version_max));
    struct filling filling = {.state = state, .arena = arena, .version = version};
    void *out = arena_alloc(arena, message->shape->size);
    if (out == NULL)
        return NULL;
    fill_struct(&filling, message->shape, out);
    return filling.failed ? NULL : out;
}

static bool value_equal(const struct shape_field *field, const void *a, const void *b)
{
    if (field->type == SHAPE_STRUCT)
        return shape_equal(field->shape, a, b);
    if (field->type == SHAPE_STRING || field->type == SHAPE_BYTES)
        return span_equal(*(const struct span *)a, *(const struct span *)b);
    if (field->type == SHAPE_RECORDS) {
        const struct wire_records *left = a;
        const struct wire_records *right = b;
        return span_equal(left->bytes, right->bytes) && left->slice == right->slice;
    }
    return memcmp(a, b, type_size(field)) == 0;
}

static bool array_equal(const struct shape_field *field, const uint8_t *a, const uint8_t *b)
{
    int32_t count;
    const uint8_t *a_items;
    const uint8_t *b_items;
    if (memcmp(a + field->count_offset, b + field->count_offset, sizeof count) != 0)
        return false;
    memcpy(&count, a + field->count_offset, sizeof count);
    memcpy(&a_items, a + field->offset, sizeof a_items);
    memcpy(&b_items, b + field->offset, sizeof b_items);
    for (int32_t i = 0; i < count; i++) {
        size_t offset = (size_t)i * type_size(field);
        if (!value_equal(field, a_items + offset, b_items + offset))
            return false;
    }
    return true;
}

static bool pointer_equal(const struct shape_field *field, const uint8_t *a, const uint8_t *b)
{
    const void *a_inner;
    const void *b_inner;
    memcpy(&a_inner, a + field->offset, sizeof a_inner);
    memcpy(&b_inner, b + field->offset, sizeof b_inner);
    if (a_inner == NULL || b_inner == NULL)
        return a_inner == b_inner;
    return shape_equal(field->shape, a_inner, b_inner);
}

bool shape_equal(const struct shape *shape, const void *a, const void *b)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    for (size_t i = 0; i < shape->field_count; i++) {
        const struct shape_field *field = &shape->fields[i];
        bool equal;
        if (field->array)
            equal = array_equal(field, left, right);
        else if (field->pointer)
            equal = pointer_equal(field, left, right);
        else
            equal = value_equal(field, left + field->offset, right + field->offset);
        if (!equal)
            return false;
    }
    return true;
}
