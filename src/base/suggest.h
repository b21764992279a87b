/* suggest: what a misspelt word probably meant. */
#ifndef HEADRACE_BASE_SUGGEST_H
#define HEADRACE_BASE_SUGGEST_H

#include <stddef.h>

#include "base/span.h"

/* The longest words compared; longer ones have no near neighbour worth naming. */
#define SUGGEST_WORD_SIZE_MAX 96

/* Edits (insert, delete, replace, swap of neighbours) from a to b, or limit + 1 when more. */
size_t suggest_distance(struct span a, struct span b, size_t limit);

/* Keeps the nearest of the words offered. Start with {0}; nearest is NULL while none is near. */
struct suggestion {
    const char *nearest; /* the offered pointer */
    size_t distance;
};

/* Offers one word. Near means at most a third of the wanted word's letters, and at least one,
 * differ. */
void suggest_offer(struct suggestion *suggestion, struct span wanted, const char *word);

#endif
