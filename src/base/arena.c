/* arena: a chain of chunks, each at least twice the last, with a bump pointer in the newest. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/checked.h"
#include "base/limits.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *arena, size_t size_max)
{
    CHECK(arena != NULL);
    *arena = (struct arena){.size_max = size_max};
}

static void chunks_free(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_deinit(struct arena *arena)
{
    chunks_free(arena->first);
    *arena = (struct arena){.size_max = arena->size_max};
}

void arena_reset(struct arena *arena)
{
    if (arena->first != NULL) {
        chunks_free(arena->first->next);
        arena->first->next = NULL;
        arena->first->used = 0;
    }
    arena->current = arena->first;
    arena->size_total = 0;
}

/* Appends a chunk with room for size bytes; false when there is no memory. */
static bool arena_grow(struct arena *arena, size_t size)
{
    size_t capacity = ARENA_CHUNK_SIZE_MIN;
    if (arena->current != NULL)
        capacity = arena->current->capacity * 2;
    if (capacity > ARENA_CHUNK_SIZE_MAX)
        capacity = ARENA_CHUNK_SIZE_MAX;
    if (capacity < size)
        capacity = size;
    struct arena_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk == NULL)
        return false;
    *chunk = (struct arena_chunk){.capacity = capacity};
    if (arena->current == NULL)
        arena->first = chunk;
    else
        arena->current->next = chunk;
    arena->current = chunk;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded;
    if (!checked_add_size(size == 0 ? 1 : size, alignof(max_align_t) - 1, &rounded))
        return NULL;
    rounded &= ~(alignof(max_align_t) - 1);
    if (rounded > arena->size_max || arena->size_total > arena->size_max - rounded)
        return NULL;
    struct arena_chunk *chunk = arena->current;
    if (chunk == NULL || chunk->capacity - chunk->used < rounded) {
        if (!arena_grow(arena, rounded))
            return NULL;
        chunk = arena->current;
    }
    uint8_t *memory = chunk->bytes + chunk->used;
    chunk->used += rounded;
    arena->size_total += rounded;
    CHECK(chunk->used <= chunk->capacity);
    memset(memory, 0, rounded);
    return memory;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    return checked_mul_size(count, size, &total) ? arena_alloc(arena, total) : NULL;
}

struct err arena_copy(struct arena *arena, struct span bytes, struct span *out)
{
    if (span_is_null(bytes)) {
        *out = SPAN_NULL;
        return ERR_NONE;
    }
    uint8_t *copy = arena_alloc(arena, bytes.size);
    if (copy == NULL)
        return err_make(ERR_NO_MEMORY);
    memcpy(copy, bytes.data, bytes.size);
    *out = span_make(copy, bytes.size);
    return ERR_NONE;
}

char *arena_copy_text(struct arena *arena, struct span bytes)
{
    size_t size;
    if (!checked_add_size(bytes.size, 1, &size))
        return NULL;
    char *copy = arena_alloc(arena, size);
    if (copy != NULL && bytes.size != 0)
        memcpy(copy, bytes.data, bytes.size);
    return copy;
}

char *arena_print(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(size >= 0);
    char *text = arena_alloc(arena, (size_t)size + 1);
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return text;
}
