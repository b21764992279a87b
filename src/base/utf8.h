/* utf8: where sequences begin and end (RFC 3629). */
#ifndef HEADRACE_BASE_UTF8_H
#define HEADRACE_BASE_UTF8_H

#include "base/span.h"

/* The size of the UTF-8 sequence at the front of text, which is not empty; 0 where there is none.
 */
size_t utf8_size(struct span text);

/* Whether the text is sequences from end to end. */
bool utf8_is_valid(struct span text);

#endif
