/*
 * arena: memory for one piece of work, freed all at once.
 *
 * A request's decoded arrays and its answer live in one arena, which is reset after the answer has
 * been sent; the first chunk is kept, so that steady work allocates nothing. One thread at a time.
 */
#ifndef HEADRACE_BASE_ARENA_H
#define HEADRACE_BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *first;
    struct arena_chunk *current;
    size_t size_total; /* bytes handed out since the last reset, padding included */
    size_t size_max;   /* arena_alloc refuses beyond this many */
};

/* Prepares an empty arena on the caller's memory. size_max bounds what one piece of work may take.
 */
void arena_init(struct arena *arena, size_t size_max);

/* Frees everything. The arena may be used again after arena_init. */
void arena_deinit(struct arena *arena);

/* Takes back all that was handed out; keeps the first chunk for the next piece of work. */
void arena_reset(struct arena *arena);

/*
 * Returns size bytes, zeroed and aligned for any type, valid until reset; never NULL for size 0.
 * NULL when the system has no memory left or size_max would be passed.
 */
MUST_USE void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc for count items of size bytes each; NULL also when the product overflows. */
MUST_USE void *arena_alloc_array(struct arena *arena, size_t count, size_t size);

/* Copies the bytes into the arena. *out is valid until reset. A null span stays null. */
MUST_USE struct err arena_copy(struct arena *arena, struct span bytes, struct span *out);

/* Returns a copy that ends with NUL, or NULL when there is no memory. */
MUST_USE char *arena_copy_text(struct arena *arena, struct span bytes);

/* Returns the printed text, or NULL when there is no memory. */
MUST_USE char *arena_print(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
