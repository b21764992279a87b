/* http: libmicrohttpd without a listening socket. */
#include "http/http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"

#define CONNECTION_TIMEOUT_S 10

struct http {
    struct MHD_Daemon *daemon;
    const struct http_route *routes;
    void *context;
};

static enum MHD_Result send_page(struct MHD_Connection *connection, struct http_page *page)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->body.size, page->body.data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", page->content_type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    enum MHD_Result result = MHD_queue_response(connection, page->status, response);
    MHD_destroy_response(response);
    return result;
}

static const struct http_route *route_find(const struct http *http, const char *path)
{
    for (const struct http_route *route = http->routes; route->path != NULL; route++) {
        if (strcmp(route->path, path) == 0)
            return route;
    }
    return NULL;
}

static void page_say(struct http_page *page, unsigned status, const char *sentence)
{
    page->status = status;
    struct err ignored = buf_print(&page->body, "%s\n", sentence); /* an empty page then */
    (void)ignored;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    const struct http *http = context;
    (void)version;
    (void)upload;
    if (*state == NULL) { /* the headers alone: an answer this early would end the connection */
        *state = connection;
        return MHD_YES;
    }
    if (*upload_size != 0) { /* no route takes a body: read it and forget it */
        *upload_size = 0;
        return MHD_YES;
    }
    struct http_page page = {.status = MHD_HTTP_OK, .content_type = "text/plain; charset=utf-8"};
    buf_init(&page.body, HTTP_PAGE_SIZE_MAX);
    const struct http_route *route = route_find(http, url);
    bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (route == NULL)
        page_say(&page, MHD_HTTP_NOT_FOUND, "There is nothing here.");
    else if (!is_read)
        page_say(&page, MHD_HTTP_METHOD_NOT_ALLOWED, "This page can only be read.");
    else
        route->fill(http->context, &page);
    enum MHD_Result result = send_page(connection, &page);
    buf_deinit(&page.body);
    return result;
}

struct err http_create(const struct http_route *routes, void *context, struct http **out)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return err_make(ERR_NO_MEMORY);
    http->routes = routes;
    http->context = context;
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC;
    http->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, answer, http, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)HTTP_CONNECTION_COUNT_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)(8 * 1024), MHD_OPTION_END);
    if (http->daemon == NULL) {
        free(http);
        return err_make(ERR_LIMIT);
    }
    *out = http;
    return ERR_NONE;
}

struct err http_take(struct http *http, int socket)
{
    struct sockaddr_storage peer; /* libmicrohttpd wants one; nobody looks at it */
    memset(&peer, 0, sizeof peer);
    peer.ss_family = AF_INET;
    if (MHD_add_connection(http->daemon, socket, (const struct sockaddr *)&peer,
                           sizeof(struct sockaddr_storage)) != MHD_YES)
        return err_make(ERR_LIMIT);
    return ERR_NONE;
}

void http_destroy(struct http *http)
{
    if (http == NULL)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
