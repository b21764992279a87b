/* serve: the parts of a running server, for the files of this command. */
#ifndef HEADRACE_CLI_SERVE_H
#define HEADRACE_CLI_SERVE_H

#include <stdatomic.h>

#include "api/server.h"
#include "http/http.h"

struct serve {
    const struct os *os;
    struct config config;
    struct listeners listeners;
    struct server *server;
    struct broker *broker;
    struct coord *coord;
    struct api *api;
    struct http *http;
    struct listener *http_door;
    uint16_t http_port;
    struct os_signal flush_needed;
    struct os_signal work_needed;
    atomic_bool is_stopping; /* reactors end their loops */
    atomic_bool is_ready;    /* groups are loaded, the ready line is out */
    atomic_bool is_offline;  /* storage failed */
};

/* The options of the command line, checked. Errors are printed; the exit code is returned, or -1 to
 * go on. */
int serve_parse(int argc, char **argv, struct config *config);

/* The pages /healthz, /readyz and /metrics; context is the struct serve. */
extern const struct http_route serve_routes[];

/* Writes a line for people to standard error, stamped. Any thread. */
void serve_say(const struct os_clock *clock, const char *sentence);

#endif
