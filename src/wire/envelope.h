/*
 * envelope: the header in front of every request and every answer, and which version of it.
 *
 *   request   header v1 | body            header v2 (with tagged fields) | body, where flexible
 *   answer    header v0 | body            header v1 (with tagged fields) | body, where flexible
 *
 * The answer to ApiVersions always has header v0: its asker does not know yet what the broker
 * speaks (KIP-511). No state; any thread.
 */
#ifndef HEADRACE_WIRE_ENVELOPE_H
#define HEADRACE_WIRE_ENVELOPE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "wire/api_table.h"
#include "wire/cursor.h"
#include "wire/header.h"

/* Returns the API's row, valid for ever, or NULL for a number that protocol/ does not define. */
const struct api_info *api_find(int16_t key);

/* Whether bodies of that version end their structs with tagged fields. Any version may be asked. */
bool api_is_flexible(const struct api_info *api, int16_t version);

/* The highest version to advertise and to accept: one that may still change is left out. */
int16_t api_version_max_stable(const struct api_info *api);

/*
 * Reads a request's header; the reader then stands at the body. *api is never NULL. The version
 * may be one that the API does not have: the header is readable all the same, and the caller
 * answers as Kafka does. A null client id becomes an empty one. Spans live as long as the
 * reader's bytes. ERR_UNSUPPORTED for an unknown API, whose header nobody can read; ERR_TRUNCATED,
 * ERR_CORRUPT, ERR_LIMIT.
 */
MUST_USE struct err envelope_read_request(struct reader *reader, struct arena *arena,
                                          struct request_header *out, const struct api_info **api);

/* Writes a request's header for the API and version that it names, which must be defined. */
MUST_USE struct err envelope_write_request(struct writer *writer,
                                           const struct request_header *header);

/* Writes the header of the answer to a request of that API and version. */
MUST_USE struct err envelope_write_response(struct writer *writer, const struct api_info *api,
                                            int16_t version, int32_t correlation_id);

#endif
