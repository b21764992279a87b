/* http: pages made in memory, served to connections handed in. */
#ifndef HEADRACE_HTTP_HTTP_H
#define HEADRACE_HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"

struct http;

/* What a route answers. */
struct http_page {
    unsigned status;          /* 200 */
    const char *content_type; /* a constant */
    struct buf body;
};

/* Fills a page that is empty with status 200 and text/plain. Another thread; must not wait. */
typedef void (*http_fill)(void *context, struct http_page *page);

struct http_route {
    const char *path; /* exact; GET and HEAD */
    http_fill fill;
};

/*
 * Starts serving the routes, an array ended by a NULL path, both outliving the server. Errors:
 * ERR_NO_MEMORY, ERR_LIMIT (descriptors, threads).
 */
MUST_USE struct err http_create(const struct http_route *routes, void *context, struct http **out);

/* Hands over a connected socket, which is the server's from here on, also on failure. Any thread.
 */
MUST_USE struct err http_take(struct http *http, int socket);

/* Ends all connections and frees. NULL is taken and ignored. */
void http_destroy(struct http *http);

#endif
