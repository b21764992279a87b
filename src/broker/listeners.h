/*
 * listeners: where the broker listens and what it tells clients to connect to.
 *
 * "NAME://HOST:PORT,...", as in Kafka. An empty host or 0.0.0.0 or [::] means all addresses and
 * needs an advertised address; "localhost" means 127.0.0.1 and ::1. Port 0 is advertised as the
 * port that the system chose.
 */
#ifndef HEADRACE_BROKER_LISTENERS_H
#define HEADRACE_BROKER_LISTENERS_H

#include <stdint.h>

#include "base/err.h"
#include "broker/config.h"

/* Listeners of one broker: inside, outside and a few networks. */
#define LISTENER_COUNT_MAX 8

/* RFC 1123's longest host name and NUL. */
#define LISTENER_HOST_SIZE 256

#define LISTENER_NAME_SIZE 64

struct listener_address {
    char name[LISTENER_NAME_SIZE];
    char host[LISTENER_HOST_SIZE]; /* "" means all addresses */
    uint16_t port;
    char advertised_host[LISTENER_HOST_SIZE];
    uint16_t advertised_port; /* 0: the port the system chose */
};

struct listeners {
    struct listener_address addresses[LISTENER_COUNT_MAX];
    size_t count;
};

/* Reads HOST:PORT, [V6]:PORT or :PORT. ERR_INVALID with a sentence. */
MUST_USE struct err listener_parse_address(struct span text, char host[LISTENER_HOST_SIZE],
                                           uint16_t *port, struct diag *diag);

/* The listeners of a config, controllers' left out. ERR_INVALID with a sentence. */
MUST_USE struct err listeners_from_config(const struct config *config, struct listeners *listeners,
                                          struct diag *diag);

/* Whether the host stands for all addresses of the machine. */
bool listener_is_wildcard(const char *host);

#endif
