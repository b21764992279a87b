/* Lines of JSON (jansson) with bytes as base64, null as null. */
#ifndef HEADRACE_TESTS_INTEROP_CLIENTS_LIBRDKAFKA_WIRE_H
#define HEADRACE_TESTS_INTEROP_CLIENTS_LIBRDKAFKA_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes that may be null: data is NULL then. Owned by whoever decoded them; free(data). */
struct bytes {
    void *data;
    size_t size;
};

/* Reads the next command; NULL at the end of stdin. The caller owns the result. */
json_t *wire_read(void);

/* True when stdin has a line, or its end, to read. Only valid between two wire_read calls. */
bool wire_waiting(void);

/* Writes one line and takes the reference. */
void wire_send(json_t *line);

struct bytes wire_decode(const json_t *text);
json_t *wire_encode(const void *data, size_t size);

const char *wire_text(const json_t *command, const char *name);

#endif
