/* repeats: which names stand in a request more than once. Each addition and question is O(1). */
#ifndef HEADRACE_API_REPEATS_H
#define HEADRACE_API_REPEATS_H

#include "base/map.h"

struct repeats {
    struct map seen;
    struct map repeated;
};

/* seed: from the system's random source, as the names come from outside. */
void repeats_init(struct repeats *repeats, uint64_t seed);
void repeats_deinit(struct repeats *repeats);

/* Takes in one name, whose bytes live as long as repeats does. ERR_NO_MEMORY. */
MUST_USE struct err repeats_add(struct repeats *repeats, struct span name);

/* Whether the name was added more than once. */
bool repeats_has(const struct repeats *repeats, struct span name);

#endif
