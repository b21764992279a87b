/* dispatch: which handler answers which API, and what it may touch. */
#ifndef HEADRACE_API_DISPATCH_H
#define HEADRACE_API_DISPATCH_H

#include "api/api.h"

/*
 * Hands a request to its handler; versions that are not served are answered as Kafka does. An error
 * ends the connection.
 */
MUST_USE struct err dispatch_request(struct api *api, struct request *request);

/* The versions served of an API, for ApiVersions. False: it is not served at all. */
bool dispatch_versions(int16_t api_key, int16_t *version_min, int16_t *version_max);

#endif
