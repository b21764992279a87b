/* os_real_net: Linux's sockets and epoll. A poller is an epoll whose wake is an eventfd inside it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_file.h"
#include "os/os_real_internal.h"

/* The kernel caps it at net.core.somaxconn; a burst of reconnecting clients must fit. */
#define LISTEN_BACKLOG 4096

/* What one sendfile call may move, so that one connection does not hold up the others. */
#define SEND_FILE_SIZE_MAX ((size_t)1 << 20)

/* Events taken from the kernel in one call. */
#define POLL_EVENT_COUNT_MAX 128

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct err err_last(void)
{
    return err_from_errno(errno);
}

/* Asks the system's resolver; blocks. */
static struct err address_look_up(const char *name, uint16_t port, union address *out,
                                  socklen_t *size)
{
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, NULL, &wanted, &found) != 0 || found == NULL)
        return err_make(ERR_NOT_FOUND);
    bool is_known = found->ai_addrlen <= sizeof *out &&
                    (found->ai_family == AF_INET || found->ai_family == AF_INET6);
    if (is_known) {
        memcpy(out, found->ai_addr, found->ai_addrlen);
        *size = found->ai_addrlen;
        if (found->ai_family == AF_INET)
            out->v4.sin_port = htons(port);
        else
            out->v6.sin6_port = htons(port);
    }
    freeaddrinfo(found);
    return is_known ? ERR_NONE : err_make(ERR_NOT_FOUND);
}

static struct err address_parse(const char *text, uint16_t port, union address *out,
                                socklen_t *size)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *size = sizeof out->v4;
        return ERR_NONE;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *size = sizeof out->v6;
        return ERR_NONE;
    }
    return address_look_up(text, port, out, size);
}

static struct err real_listen(void *self, const char *text, uint16_t port, int *out)
{
    (void)self;
    union address address;
    socklen_t size;
    TRY(address_parse(text, port, &address, &size));
    int made = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return err_last();
    int on = 1;
    bool ok = setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (ok && address.any.sa_family == AF_INET6)
        ok = setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    ok = ok && bind(made, &address.any, size) == 0 && listen(made, LISTEN_BACKLOG) == 0;
    if (!ok) {
        struct err err = err_last();
        (void)close(made);
        return err;
    }
    *out = made;
    return ERR_NONE;
}

static struct err real_local_port(void *self, int socket, uint16_t *port)
{
    (void)self;
    union address address;
    socklen_t size = sizeof address;
    if (getsockname(socket, &address.any, &size) != 0)
        return err_last();
    *port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return ERR_NONE;
}

static struct err real_accept(void *self, int listener, int *out, char peer[OS_PEER_TEXT_SIZE])
{
    (void)self;
    union address address;
    socklen_t size = sizeof address;
    int made = accept4(listener, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made < 0) {
        bool is_passing = errno == EINTR || errno == ECONNABORTED || errno == EPROTO;
        return is_passing ? err_make(ERR_AGAIN) : err_last();
    }
    int on = 1;
    (void)setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const void *raw = address.any.sa_family == AF_INET ? (const void *)&address.v4.sin_addr
                                                       : (const void *)&address.v6.sin6_addr;
    if (inet_ntop(address.any.sa_family, raw, peer, OS_PEER_TEXT_SIZE) == NULL)
        peer[0] = '\0';
    *out = made;
    return ERR_NONE;
}

static struct err real_read(void *self, int socket, void *bytes, size_t size, size_t *done)
{
    (void)self;
    ssize_t part;
    do
        part = recv(socket, bytes, size, 0);
    while (part < 0 && errno == EINTR);
    if (part < 0)
        return err_last();
    if (part == 0)
        return err_make(ERR_CLOSED);
    *done = (size_t)part;
    return ERR_NONE;
}

static struct err real_write(void *self, int socket, const struct span *spans, size_t span_count,
                             size_t *done)
{
    (void)self;
    CHECK(span_count <= OS_SPAN_COUNT_MAX);
    struct iovec vector[OS_SPAN_COUNT_MAX];
    memset(vector, 0, sizeof vector);
    for (size_t i = 0; i < span_count; i++) {
        memcpy(&vector[i].iov_base, &spans[i].data, sizeof vector[i].iov_base);
        vector[i].iov_len = spans[i].size;
    }
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = span_count};
    ssize_t part;
    do
        part = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (part < 0 && errno == EINTR);
    if (part < 0)
        return err_last();
    *done = (size_t)part;
    return ERR_NONE;
}

static struct err real_send_file(void *self, int socket, int file, int64_t at, size_t size,
                                 size_t *done)
{
    (void)self;
    off_t from = at;
    ssize_t part;
    do
        part = sendfile(socket, file, &from, size < SEND_FILE_SIZE_MAX ? size : SEND_FILE_SIZE_MAX);
    while (part < 0 && errno == EINTR);
    if (part < 0)
        return err_last();
    if (part == 0 && size != 0)
        return err_make(ERR_TRUNCATED);
    *done = (size_t)part;
    return ERR_NONE;
}

static void real_close(void *self, int socket)
{
    (void)self;
    (void)close(socket);
}

/*
 * A poller's number packs its two descriptors, the epoll low and the waking eventfd high. Pollers
 * are opened at start, when descriptors are small.
 */
#define POLLER_FD_BITS 15
#define POLLER_FD_MAX ((1 << POLLER_FD_BITS) - 1)

static int poller_epoll(int poller)
{
    return poller & POLLER_FD_MAX;
}

static int poller_event(int poller)
{
    return poller >> POLLER_FD_BITS;
}

static struct err real_poller_open(void *self, int *poller)
{
    (void)self;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return err_last();
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event interest = {.events = EPOLLIN, .data.ptr = NULL};
    bool ok = event >= 0 && epoll <= POLLER_FD_MAX && event <= POLLER_FD_MAX &&
              epoll_ctl(epoll, EPOLL_CTL_ADD, event, &interest) == 0;
    if (!ok) {
        struct err err = errno != 0 ? err_last() : err_make(ERR_LIMIT);
        if (event >= 0)
            (void)close(event);
        (void)close(epoll);
        return err;
    }
    *poller = epoll | (event << POLLER_FD_BITS);
    return ERR_NONE;
}

static void real_poller_close(void *self, int poller)
{
    (void)self;
    (void)close(poller_event(poller));
    (void)close(poller_epoll(poller));
}

static struct err real_poller_set(void *self, int poller, int socket, unsigned ready, void *tag)
{
    (void)self;
    int epoll = poller_epoll(poller);
    struct epoll_event interest = {.data.ptr = tag};
    CHECK(tag != NULL || ready == 0);
    if ((ready & OS_READY_READ) != 0)
        interest.events |= EPOLLIN;
    if ((ready & OS_READY_WRITE) != 0)
        interest.events |= EPOLLOUT;
    if (ready == 0) {
        if (epoll_ctl(epoll, EPOLL_CTL_DEL, socket, &interest) != 0 && errno != ENOENT)
            return err_last();
        return ERR_NONE;
    }
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &interest) == 0)
        return ERR_NONE;
    if (errno != ENOENT || epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &interest) != 0)
        return err_last();
    return ERR_NONE;
}

static struct os_event event_from_epoll(const struct epoll_event *raw)
{
    struct os_event event = {.tag = raw->data.ptr};
    if ((raw->events & EPOLLIN) != 0)
        event.ready |= OS_READY_READ;
    if ((raw->events & EPOLLOUT) != 0)
        event.ready |= OS_READY_WRITE;
    if ((raw->events & (EPOLLHUP | EPOLLERR)) != 0)
        event.ready |= OS_READY_CLOSED;
    return event;
}

static struct err real_poller_wait(void *self, int poller, int timeout_ms, struct os_event *events,
                                   size_t *event_count)
{
    (void)self;
    struct epoll_event raw[POLL_EVENT_COUNT_MAX];
    int room = *event_count < POLL_EVENT_COUNT_MAX ? (int)*event_count : POLL_EVENT_COUNT_MAX;
    int count = epoll_wait(poller_epoll(poller), raw, room, timeout_ms);
    if (count < 0 && errno != EINTR)
        return err_last();
    *event_count = 0;
    for (int i = 0; i < count; i++) {
        events[*event_count] = event_from_epoll(&raw[i]);
        if (events[*event_count].tag == NULL) {
            uint64_t wakes;
            (void)!read(poller_event(poller), &wakes, sizeof wakes);
        }
        (*event_count)++;
    }
    return ERR_NONE;
}

static void real_poller_wake(void *self, int poller)
{
    (void)self;
    uint64_t one = 1;
    (void)!write(poller_event(poller), &one, sizeof one);
}

const struct os_net os_real_net = {
    .listen = real_listen,
    .local_port = real_local_port,
    .accept = real_accept,
    .read = real_read,
    .write = real_write,
    .send_file = real_send_file,
    .close = real_close,
    .poller_open = real_poller_open,
    .poller_close = real_poller_close,
    .poller_set = real_poller_set,
    .poller_wait = real_poller_wait,
    .poller_wake = real_poller_wake,
};
