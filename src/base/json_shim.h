/*
 * json_shim: simdjson, which is C++, behind plain C. For json_read.c alone.
 *
 * One thread per shim.
 */
#ifndef HEADRACE_BASE_JSON_SHIM_H
#define HEADRACE_BASE_JSON_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_shim;

enum json_shim_result { JSON_SHIM_FINE, JSON_SHIM_INVALID, JSON_SHIM_NO_MEMORY, JSON_SHIM_STOPPED };

enum json_shim_kind {
    JSON_SHIM_NULL,
    JSON_SHIM_BOOL,
    JSON_SHIM_NUMBER,
    JSON_SHIM_TEXT,
    JSON_SHIM_ARRAY,
    JSON_SHIM_OBJECT
};

/* What is visited: a member of an object or an element of an array (no name). Text is unescaped,
 * anything else as it stands. The bytes live until the visit ends. */
struct json_shim_item {
    const char *name;
    size_t name_size;
    enum json_shim_kind kind;
    const char *text;
    size_t text_size;
};

/* Returns NULL without memory. */
struct json_shim *json_shim_create(void);
void json_shim_destroy(struct json_shim *shim);

/*
 * Checks the whole document, then visits the members or elements of its outermost value, in
 * order; *kind says which it is. visit returns 0 to go on.
 */
enum json_shim_result
json_shim_visit(struct json_shim *shim, const char *text, size_t size, enum json_shim_kind *kind,
                int (*visit)(void *context, const struct json_shim_item *item), void *context);

#ifdef __cplusplus
}
#endif

#endif
