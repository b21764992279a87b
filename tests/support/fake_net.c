/* fake_net: an array of sockets, two buffers each. */
#include "support/fake_net.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "support/fail_alloc.h"

#define SOCKET_COUNT_MAX 512
#define POLLER_COUNT_MAX 4
#define FIRST_PORT 10000
#define WINDOW_SIZE ((size_t)1 << 20)

struct fake_socket {
    bool is_open; /* the server's side */
    bool is_listening;
    bool is_waiting; /* at a listener, to be accepted */
    bool is_ended;
    bool is_reset;
    uint16_t port;
    size_t window;
    struct buf coming; /* to the server */
    struct buf going;  /* to the peer */
    int poller;
    unsigned watched;
    void *tag;
};

struct fake_net {
    struct os_net vtable;
    const struct os_files *files;
    struct fake_socket sockets[SOCKET_COUNT_MAX];
    int socket_count;
    bool is_woken[POLLER_COUNT_MAX];
    int poller_count;
    size_t size_max; /* of one call */
    bool is_watching_refused;
    bool is_accepting_refused;
    uint32_t fail_count; /* calls until one fails; 0: none does */
    bool has_failed;
    int slept_ms;
};

/* Whether this call is the one that fails. */
static struct err gate(struct fake_net *net, enum err_code code)
{
    if (net->fail_count == 0 || --net->fail_count != 0)
        return ERR_NONE;
    net->has_failed = true;
    return err_make(code);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct fake_socket *socket_at(struct fake_net *net, int socket)
{
    CHECK(socket >= 0 && socket < net->socket_count);
    return &net->sockets[socket];
}

static struct fake_socket *open_socket_at(struct fake_net *net, int socket)
{
    struct fake_socket *found = socket_at(net, socket);
    CHECK(found->is_open);
    return found;
}

static int make_socket(struct fake_net *net, uint16_t port)
{
    CHECK(net->socket_count < SOCKET_COUNT_MAX);
    struct fake_socket *made = &net->sockets[net->socket_count];
    *made = (struct fake_socket){.is_open = true, .port = port, .window = WINDOW_SIZE};
    buf_init(&made->coming, SIZE_MAX);
    buf_init(&made->going, SIZE_MAX);
    return net->socket_count++;
}

static struct err fake_listen(void *self, const char *address, uint16_t port, int *socket)
{
    struct fake_net *net = self;
    (void)address;
    if (port == 0)
        port = (uint16_t)(FIRST_PORT + net->socket_count);
    *socket = make_socket(net, port);
    net->sockets[*socket].is_listening = true;
    return ERR_NONE;
}

static struct err fake_local_port(void *self, int socket, uint16_t *port)
{
    *port = open_socket_at(self, socket)->port;
    return ERR_NONE;
}

/* The next peer that waits at the listener, or OS_SOCKET_NONE. */
static int next_waiting(const struct fake_net *net, const struct fake_socket *listener)
{
    for (int i = 0; i < net->socket_count; i++) {
        if (net->sockets[i].is_waiting && net->sockets[i].port == listener->port)
            return i;
    }
    return OS_SOCKET_NONE;
}

static struct err fake_accept(void *self, int listener, int *socket, char peer[OS_PEER_TEXT_SIZE])
{
    struct fake_net *net = self;
    int found = next_waiting(net, open_socket_at(net, listener));
    if (net->is_accepting_refused)
        return err_make(ERR_LIMIT);
    TRY(gate(net, ERR_LIMIT));
    if (found == OS_SOCKET_NONE)
        return err_make(ERR_AGAIN);
    net->sockets[found].is_waiting = false;
    (void)snprintf(peer, OS_PEER_TEXT_SIZE, "192.0.2.%d", found % 256);
    *socket = found;
    return ERR_NONE;
}

static struct err fake_read(void *self, int socket, void *bytes, size_t size, size_t *done)
{
    struct fake_net *net = self;
    struct fake_socket *from = open_socket_at(net, socket);
    CHECK(size > 0);
    TRY(gate(net, ERR_IO));
    if (from->is_reset || (from->coming.size == 0 && from->is_ended))
        return err_make(ERR_CLOSED);
    if (from->coming.size == 0)
        return err_make(ERR_AGAIN);
    *done = least(least(size, net->size_max), from->coming.size);
    memcpy(bytes, from->coming.data, *done);
    buf_consume(&from->coming, *done);
    return ERR_NONE;
}

/* How much the peer takes of size bytes now. */
static struct err take_room(const struct fake_net *net, const struct fake_socket *to, size_t size,
                            size_t *room)
{
    if (to->is_reset)
        return err_make(ERR_CLOSED);
    if (size > 0 && to->going.size >= to->window)
        return err_make(ERR_AGAIN);
    *room = least(least(size, net->size_max), to->window - to->going.size);
    return ERR_NONE;
}

/* The net's own memory, which is not the program's: no countdown counts it. */
static void reserve(struct buf *buf, size_t size)
{
    fail_alloc_pause();
    struct err err = buf_reserve(buf, size);
    fail_alloc_resume();
    CHECK(!err_failed(err));
}

static void append(struct buf *buf, const void *bytes, size_t size)
{
    reserve(buf, size);
    struct err err = buf_append(buf, bytes, size);
    CHECK(!err_failed(err));
}

static struct err fake_write(void *self, int socket, const struct span *spans, size_t span_count,
                             size_t *done)
{
    struct fake_socket *to = open_socket_at(self, socket);
    CHECK(span_count <= OS_SPAN_COUNT_MAX);
    size_t size = 0;
    for (size_t i = 0; i < span_count; i++)
        size += spans[i].size;
    size_t room;
    TRY(gate(self, ERR_IO));
    TRY(take_room(self, to, size, &room));
    *done = room;
    for (size_t i = 0; i < span_count && room > 0; i++) {
        size_t part = least(spans[i].size, room);
        append(&to->going, spans[i].data, part);
        room -= part;
    }
    return ERR_NONE;
}

static struct err fake_send_file(void *self, int socket, int file, int64_t at, size_t size,
                                 size_t *done)
{
    struct fake_net *net = self;
    struct fake_socket *to = open_socket_at(net, socket);
    size_t room;
    TRY(gate(net, ERR_IO));
    TRY(take_room(net, to, size, &room));
    reserve(&to->going, room);
    TRY(file_read_at(net->files, file, to->going.data + to->going.size, room, at, done));
    to->going.size += *done;
    return *done == 0 && size != 0 ? err_make(ERR_TRUNCATED) : ERR_NONE;
}

static void fake_close(void *self, int socket)
{
    struct fake_socket *closed = open_socket_at(self, socket);
    CHECK(closed->watched == 0);
    closed->is_open = false;
}

static struct err fake_poller_open(void *self, int *poller)
{
    struct fake_net *net = self;
    if (net->poller_count == POLLER_COUNT_MAX)
        return err_make(ERR_LIMIT);
    *poller = net->poller_count++;
    return ERR_NONE;
}

static void fake_poller_close(void *self, int poller)
{
    const struct fake_net *net = self;
    for (int i = 0; i < net->socket_count; i++)
        CHECK(net->sockets[i].poller != poller || net->sockets[i].watched == 0);
}

static struct err fake_poller_set(void *self, int poller, int socket, unsigned ready, void *tag)
{
    struct fake_net *net = self;
    struct fake_socket *watched = open_socket_at(net, socket);
    CHECK(ready == 0 || tag != NULL);
    if (ready != 0 && net->is_watching_refused)
        return err_make(ERR_LIMIT);
    if (ready != 0)
        TRY(gate(net, ERR_LIMIT));
    watched->poller = poller;
    watched->watched = ready;
    watched->tag = tag;
    return ERR_NONE;
}

static unsigned readiness(const struct fake_net *net, const struct fake_socket *socket)
{
    unsigned ready = 0;
    if (socket->is_listening)
        return next_waiting(net, socket) == OS_SOCKET_NONE ? 0 : OS_READY_READ;
    if (socket->coming.size > 0 || socket->is_ended || socket->is_reset)
        ready |= OS_READY_READ;
    if (socket->going.size < socket->window || socket->is_reset)
        ready |= OS_READY_WRITE;
    return socket->is_reset ? ready | OS_READY_CLOSED : ready;
}

static struct err fake_poller_wait(void *self, int poller, int timeout_ms, struct os_event *events,
                                   size_t *event_count)
{
    struct fake_net *net = self;
    size_t room = *event_count;
    *event_count = 0;
    if (net->is_woken[poller] && room > 0)
        events[(*event_count)++] = (struct os_event){.ready = OS_READY_READ};
    net->is_woken[poller] = false;
    for (int i = 0; i < net->socket_count && *event_count < room; i++) {
        const struct fake_socket *socket = &net->sockets[i];
        unsigned told = socket->watched | OS_READY_CLOSED;
        unsigned ready = readiness(net, socket) & told;
        if (socket->watched != 0 && socket->poller == poller && ready != 0)
            events[(*event_count)++] = (struct os_event){.tag = socket->tag, .ready = ready};
    }
    net->slept_ms = *event_count > 0 ? 0 : timeout_ms;
    return ERR_NONE;
}

static void fake_poller_wake(void *self, int poller)
{
    ((struct fake_net *)self)->is_woken[poller] = true;
}

struct fake_net *fake_net_create(const struct os_files *files)
{
    struct fake_net *net = calloc(1, sizeof *net);
    CHECK(net != NULL);
    net->files = files;
    net->size_max = SIZE_MAX;
    net->vtable = (struct os_net){
        .self = net,
        .listen = fake_listen,
        .local_port = fake_local_port,
        .accept = fake_accept,
        .read = fake_read,
        .write = fake_write,
        .send_file = fake_send_file,
        .close = fake_close,
        .poller_open = fake_poller_open,
        .poller_close = fake_poller_close,
        .poller_set = fake_poller_set,
        .poller_wait = fake_poller_wait,
        .poller_wake = fake_poller_wake,
    };
    return net;
}

void fake_net_destroy(struct fake_net *net)
{
    for (int i = 0; i < net->socket_count; i++) {
        buf_deinit(&net->sockets[i].coming);
        buf_deinit(&net->sockets[i].going);
    }
    free(net);
}

const struct os_net *fake_net_vtable(struct fake_net *net)
{
    return &net->vtable;
}

int fake_net_connect(struct fake_net *net, uint16_t port)
{
    int socket = make_socket(net, port);
    net->sockets[socket].is_waiting = port != 0;
    return socket;
}

void fake_net_send(struct fake_net *net, int socket, struct span bytes)
{
    append(&socket_at(net, socket)->coming, bytes.data, bytes.size);
}

size_t fake_net_take(struct fake_net *net, int socket, void *bytes, size_t size)
{
    struct buf *going = &socket_at(net, socket)->going;
    size = least(size, going->size);
    if (size > 0 && bytes != NULL)
        memcpy(bytes, going->data, size);
    buf_consume(going, size);
    return size;
}

struct span fake_net_look(const struct fake_net *net, int socket)
{
    CHECK(socket >= 0 && socket < net->socket_count);
    return buf_span(&net->sockets[socket].going);
}

void fake_net_end(struct fake_net *net, int socket)
{
    socket_at(net, socket)->is_ended = true;
}

void fake_net_reset(struct fake_net *net, int socket)
{
    socket_at(net, socket)->is_reset = true;
}

void fake_net_set_pace(struct fake_net *net, size_t size_max)
{
    CHECK(size_max > 0);
    net->size_max = size_max;
}

void fake_net_set_window(struct fake_net *net, int socket, size_t size_max)
{
    socket_at(net, socket)->window = size_max;
}

bool fake_net_fail(struct fake_net *net, uint32_t count)
{
    bool has_failed = net->has_failed;
    net->fail_count = count;
    net->has_failed = false;
    return has_failed;
}

void fake_net_refuse_watching(struct fake_net *net, bool is_refused)
{
    net->is_watching_refused = is_refused;
}

void fake_net_refuse_accepting(struct fake_net *net, bool is_refused)
{
    net->is_accepting_refused = is_refused;
}

bool fake_net_is_open(const struct fake_net *net, int socket)
{
    CHECK(socket >= 0 && socket < net->socket_count);
    return net->sockets[socket].is_open;
}

size_t fake_net_open_count(const struct fake_net *net)
{
    size_t count = 0;
    for (int i = 0; i < net->socket_count; i++)
        count += net->sockets[i].is_open ? 1 : 0;
    return count;
}

int fake_net_slept_ms(const struct fake_net *net)
{
    return net->slept_ms;
}
