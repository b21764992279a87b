/* server: sockets to reactors, in turn. */
#include "api/server.h"

#include <stdlib.h>

#include "api/session.h"
#include "base/check.h"
#include "reactor/listener.h"

/* Each listener may stand on an IPv4 and an IPv6 address. */
#define SOCKET_COUNT_MAX (2 * LISTENER_COUNT_MAX)

/* How often a draining reactor looks whether its sessions have ended. */
#define DRAIN_STEP_MS 5

/* A reactor and the sessions on it. */
struct shard {
    struct server *server;
    struct reactor *reactor;
    struct list sessions;
    struct mail drain;
    struct timer drain_again;
    atomic_bool is_drained;
};

/* One listening socket. */
struct door {
    struct server *server;
    int socket;
    size_t listener; /* index of what it belongs to */
    struct listener *accepting;
};

struct server {
    const struct os *os;
    struct api *api;
    struct shard *shards;
    size_t shard_count;
    size_t next_shard;
    struct door doors[SOCKET_COUNT_MAX];
    size_t door_count;
    int64_t connection_count_max;
};

/* A peer on its way to its reactor. */
struct arrival {
    struct mail mail;
    struct shard *shard;
    int socket;
    size_t listener;
    char peer[OS_PEER_TEXT_SIZE];
};

static void arrival_run(struct mail *mail)
{
    struct arrival *arrival = LIST_ENTRY(mail, struct arrival, mail);
    struct shard *shard = arrival->shard;
    struct session_setup setup = {
        .api = shard->server->api,
        .reactor = shard->reactor,
        .sessions = &shard->sessions,
        .socket = arrival->socket,
        .listener = arrival->listener,
        .peer = arrival->peer,
    };
    struct err err = session_create(&setup);
    if (err_failed(err))
        api_report(shard->server->api, "no memory for a new connection");
    free(arrival);
}

static void door_accept(void *context, int socket, const char peer[OS_PEER_TEXT_SIZE])
{
    struct door *door = context;
    struct server *server = door->server;
    struct arrival *arrival = NULL;
    if (server_connection_count(server) < server->connection_count_max)
        arrival = calloc(1, sizeof *arrival);
    if (arrival == NULL) {
        api_report(server->api, "refused a connection: max.connections are open");
        net_close(server->os->net, socket);
        return;
    }
    arrival->shard = &server->shards[server->next_shard];
    arrival->socket = socket;
    arrival->listener = door->listener;
    memcpy(arrival->peer, peer, sizeof arrival->peer);
    server->next_shard = (server->next_shard + 1) % server->shard_count;
    reactor_post(arrival->shard->reactor, &arrival->mail, arrival_run);
}

static struct err bind_door(struct server *server, size_t index, const char *address,
                            struct listener_address *listener, struct diag *diag)
{
    CHECK(server->door_count < SOCKET_COUNT_MAX);
    int socket;
    struct err err = net_listen(server->os->net, address, listener->port, &socket);
    if (err_failed(err))
        return diag_wrap(diag, err, "listening on %s port %u", address, listener->port);
    server->doors[server->door_count++] =
        (struct door){.server = server, .socket = socket, .listener = index};
    return net_local_port(server->os->net, socket, &listener->port);
}

/* localhost is both loopback addresses; an empty host is all addresses of both kinds. */
static struct err bind_listener(struct server *server, size_t index,
                                struct listener_address *listener, struct diag *diag)
{
    const char *first = listener->host;
    const char *second = NULL;
    if (strcmp(listener->host, "localhost") == 0) {
        first = "127.0.0.1";
        second = "::1";
    } else if (listener->host[0] == '\0') {
        first = "0.0.0.0";
        second = "::";
    }
    TRY(bind_door(server, index, first, listener, diag));
    if (second != NULL) {
        struct diag unused;
        struct err err = bind_door(server, index, second, listener, &unused);
        if (err_is(err, ERR_BUSY)) /* a machine without IPv6 is fine, a port taken is not */
            return diag_wrap(diag, err, "listening on %s port %u", second, listener->port);
    }
    if (listener->advertised_port == 0)
        listener->advertised_port = listener->port;
    return ERR_NONE;
}

static void drain_step(struct shard *shard)
{
    LIST_EACH (&shard->sessions, link)
        (void)session_drain(LIST_ENTRY(link, struct session, link));
    if (list_is_empty(&shard->sessions))
        atomic_store(&shard->is_drained, true);
    else
        wheel_set(reactor_wheel(shard->reactor), &shard->drain_again,
                  reactor_now_ms(shard->reactor) + DRAIN_STEP_MS);
}

static void drain_timer(struct timer *timer)
{
    drain_step(LIST_ENTRY(timer, struct shard, drain_again));
}

static void drain_mail(struct mail *mail)
{
    struct shard *shard = LIST_ENTRY(mail, struct shard, drain);
    struct server *server = shard->server;
    for (size_t i = 0; i < server->door_count && shard == &server->shards[0]; i++) {
        listener_destroy(server->doors[i].accepting);
        server->doors[i].accepting = NULL;
        server->doors[i].socket = OS_SOCKET_NONE;
    }
    drain_step(shard);
}

static struct err make_shards(struct server *server, size_t count)
{
    server->shards = calloc(count, sizeof *server->shards);
    if (server->shards == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = &server->shards[i];
        shard->server = server;
        list_init(&shard->sessions);
        timer_init(&shard->drain_again, drain_timer);
        TRY(reactor_create(server->os, &shard->reactor));
        server->shard_count++;
    }
    return ERR_NONE;
}

struct err server_bind(const struct os *os, struct listeners *listeners, size_t reactor_count,
                       struct server **out, struct diag *diag)
{
    CHECK(reactor_count > 0);
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return err_make(ERR_NO_MEMORY);
    server->os = os;
    struct err err = make_shards(server, reactor_count);
    for (size_t i = 0; i < listeners->count && !err_failed(err); i++)
        err = bind_listener(server, i, &listeners->addresses[i], diag);
    if (err_failed(err)) {
        server_destroy(server);
        return err;
    }
    *out = server;
    return ERR_NONE;
}

struct err server_start(struct server *server, struct api *api)
{
    server->api = api;
    server->connection_count_max = config_number(api->broker->config, CONFIG_MAX_CONNECTIONS);
    for (size_t i = 0; i < server->door_count; i++) {
        struct door *door = &server->doors[i];
        TRY(listener_create(server->shards[0].reactor, server->os->net, door->socket, door_accept,
                            door, &door->accepting));
    }
    return ERR_NONE;
}

size_t server_reactor_count(const struct server *server)
{
    return server->shard_count;
}

struct reactor *server_reactor(struct server *server, size_t index)
{
    CHECK(index < server->shard_count);
    return server->shards[index].reactor;
}

int64_t server_connection_count(const struct server *server)
{
    int64_t count = 0;
    for (size_t i = 0; i < server->shard_count; i++)
        count += reactor_connection_count(server->shards[i].reactor);
    return count;
}

int64_t server_paused_count(const struct server *server)
{
    int64_t count = 0;
    for (size_t i = 0; i < server->shard_count; i++)
        count += reactor_paused_count(server->shards[i].reactor);
    return count;
}

void server_drain(struct server *server)
{
    for (size_t i = 0; i < server->shard_count; i++)
        reactor_post(server->shards[i].reactor, &server->shards[i].drain, drain_mail);
}

bool server_is_drained(const struct server *server)
{
    for (size_t i = 0; i < server->shard_count; i++) {
        if (!atomic_load(&server->shards[i].is_drained))
            return false;
    }
    return true;
}

void server_destroy(struct server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->door_count; i++) {
        if (server->doors[i].accepting != NULL)
            listener_destroy(server->doors[i].accepting);
        else
            net_close(server->os->net, server->doors[i].socket);
    }
    for (size_t i = 0; i < server->shard_count; i++)
        reactor_destroy(server->shards[i].reactor);
    free(server->shards);
    free(server);
}
