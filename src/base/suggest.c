/* suggest: optimal string alignment distance over three rows. */
#include "base/suggest.h"

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(struct span a, struct span b, size_t limit)
{
    if (a.size > SUGGEST_WORD_SIZE_MAX || b.size > SUGGEST_WORD_SIZE_MAX)
        return limit + 1;
    size_t rows[3][SUGGEST_WORD_SIZE_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t replaced = above[j - 1] + (a.data[i - 1] != b.data[j - 1]);
            row[j] = min2(replaced, min2(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = min2(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return min2(rows[a.size % 3][b.size], limit + 1);
}

void suggest_offer(struct suggestion *suggestion, struct span wanted, const char *word)
{
    size_t limit = wanted.size < 3 ? 1 : wanted.size / 3;
    size_t distance = suggest_distance(wanted, span_text(word), limit);
    if (distance > limit || (suggestion->nearest != NULL && distance >= suggestion->distance))
        return;
    suggestion->nearest = word;
    suggestion->distance = distance;
}
