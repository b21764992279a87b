/* json: texts and bytes as JSON. */
#ifndef HEADRACE_BASE_JSON_H
#define HEADRACE_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/*
 * Appends the bytes as a JSON string; null as null; what is not UTF-8 as {"base64":"..."}. Errors
 * as buf_append.
 */
MUST_USE struct err json_write_bytes(struct buf *out, struct span bytes);

/* As json_write_bytes, of a C string. */
MUST_USE struct err json_write_text(struct buf *out, const char *text);

#endif
