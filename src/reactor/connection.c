/* connection: reading into the shared scratch or the connection's own tail, writing the queue. */
#include "reactor/connection.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/limits.h"
#include "reactor/reactor_internal.h"

#define CONNECTION_MAGIC 0x434f4e4eU /* "CONN" */

/* Reads of one connection in one step, so that a fast sender does not starve the others. */
#define READS_PER_STEP_MAX 4

enum connection_state { CONNECTION_OPEN, CONNECTION_DRAINING, CONNECTION_CLOSED };

struct connection {
    uint32_t magic;
    enum connection_state state;
    struct watcher watcher;
    struct list link;
    struct reactor *reactor;
    int socket;
    unsigned watched; /* what the poller was last told */
    bool is_paused;
    const struct connection_filter *filter;
    const struct connection_user *vtable;
    void *user;
    struct buf kept; /* bytes come and not done with */
    struct list pieces;
    size_t queued_size;
    struct timer idle;
    struct mail resume;
    bool is_resume_posted;
    int64_t idle_ms;
    int64_t active_ms;
};

static const struct os_net *net_of(const struct connection *connection)
{
    return connection->reactor->os->net;
}

static struct err plain_read(struct connection *connection, void *bytes, size_t size, size_t *done)
{
    return net_read(net_of(connection), connection->socket, bytes, size, done);
}

static struct err plain_write(struct connection *connection, const struct span *spans,
                              size_t span_count, size_t *done)
{
    return net_write(net_of(connection), connection->socket, spans, span_count, done);
}

static struct err plain_send_file(struct connection *connection, int file, int64_t at, size_t size,
                                  size_t *done)
{
    return net_send_file(net_of(connection), connection->socket, file, at, size, done);
}

static const struct connection_filter plain_filter = {
    .read = plain_read,
    .write = plain_write,
    .send_file = plain_send_file,
};

struct connection *connection_from_link(struct list *link)
{
    return LIST_ENTRY(link, struct connection, link);
}

/* Tells the poller what the connection now waits for. */
static void connection_update_watch(struct connection *connection)
{
    unsigned wanted = 0;
    if (connection->state == CONNECTION_OPEN && !connection->is_paused)
        wanted |= OS_READY_READ;
    if (!list_is_empty(&connection->pieces))
        wanted |= OS_READY_WRITE;
    if (wanted == connection->watched)
        return;
    struct err err =
        reactor_watch(connection->reactor, connection->socket, wanted, &connection->watcher);
    if (err_failed(err))
        connection_close(connection);
    else
        connection->watched = wanted;
}

/* Drops done bytes from the front of the queue, releasing pieces that are sent. */
static void pieces_advance(struct connection *connection, size_t done)
{
    CHECK(done <= connection->queued_size);
    connection->queued_size -= done;
    while (!list_is_empty(&connection->pieces)) {
        struct piece *piece = LIST_ENTRY(connection->pieces.next, struct piece, link);
        size_t *left = piece->file == OS_FILE_NONE ? &piece->bytes.size : &piece->file_size;
        size_t part = done < *left ? done : *left;
        *left -= part;
        done -= part;
        if (piece->file == OS_FILE_NONE)
            piece->bytes.data += part;
        else
            piece->file_at += (int64_t)part;
        if (*left != 0)
            return;
        list_remove(&piece->link);
        piece->release(piece);
    }
}

/* Sends once from the front of the queue: a run of memory pieces, or part of a file. */
static struct err pieces_send_once(struct connection *connection, size_t *done)
{
    struct piece *first = LIST_ENTRY(connection->pieces.next, struct piece, link);
    if (first->file != OS_FILE_NONE)
        return connection->filter->send_file(connection, first->file, first->file_at,
                                             first->file_size, done);
    struct span spans[OS_SPAN_COUNT_MAX];
    size_t span_count = 0;
    LIST_EACH (&connection->pieces, link) {
        struct piece *piece = LIST_ENTRY(link, struct piece, link);
        if (piece->file != OS_FILE_NONE || span_count == OS_SPAN_COUNT_MAX)
            break;
        spans[span_count++] = piece->bytes;
    }
    return connection->filter->write(connection, spans, span_count, done);
}

/* Sends until the queue is empty or the peer takes no more. */
static void connection_flush(struct connection *connection)
{
    while (connection->state != CONNECTION_CLOSED && !list_is_empty(&connection->pieces)) {
        size_t done = 0;
        struct err err =
            connection->queued_size == 0 ? ERR_NONE : pieces_send_once(connection, &done);
        if (err_is(err, ERR_AGAIN))
            break;
        if (err_failed(err)) {
            connection_close(connection);
            return;
        }
        connection->active_ms = connection->reactor->now_ms;
        pieces_advance(connection, done);
    }
    if (connection->state == CONNECTION_CLOSED)
        return;
    bool is_empty = list_is_empty(&connection->pieces);
    if (is_empty && connection->state == CONNECTION_DRAINING) {
        connection_close(connection);
        return;
    }
    connection_update_watch(connection);
    bool is_told = is_empty && connection->state == CONNECTION_OPEN;
    if (is_told && connection->vtable != NULL && connection->vtable->drained != NULL)
        connection->vtable->drained(connection->user);
}

/* Offers bytes to the user; returns how many are done with. */
static size_t connection_offer(struct connection *connection, uint8_t *bytes, size_t size,
                               size_t *wanted)
{
    *wanted = 0;
    size_t done = connection->vtable->data(connection->user, bytes, size, wanted);
    CHECK(done <= size);
    return done;
}

/* Keeps what the user is not done with; takes the memory for a begun thing at once. */
static void connection_keep(struct connection *connection, const uint8_t *bytes, size_t size,
                            size_t wanted)
{
    size_t room = wanted > size ? wanted - size : 0;
    struct err err = buf_append(&connection->kept, bytes, size);
    if (!err_failed(err) && room > 0 && room <= READ_AHEAD_SIZE_MAX)
        err = buf_reserve(&connection->kept, room);
    if (err_failed(err))
        connection_close(connection);
}

/* Offers the kept bytes again, after new ones came or reading was resumed. */
static void connection_offer_kept(struct connection *connection)
{
    size_t wanted;
    size_t done =
        connection_offer(connection, connection->kept.data, connection->kept.size, &wanted);
    if (connection->state == CONNECTION_CLOSED)
        return;
    buf_consume(&connection->kept, done);
    if (connection->kept.size == 0) {
        buf_deinit(&connection->kept);
        return;
    }
    size_t room = wanted > connection->kept.size ? wanted - connection->kept.size : 0;
    room = room > READ_AHEAD_SIZE_MAX ? READ_AHEAD_SIZE_MAX : room;
    if (err_failed(buf_reserve(&connection->kept, room)))
        connection_close(connection);
}

/* One read; true when there may be more at once. */
static bool connection_read_once(struct connection *connection)
{
    struct buf *kept = &connection->kept;
    bool uses_scratch = kept->size == 0;
    if (!uses_scratch && kept->capacity == kept->size && err_failed(buf_reserve(kept, 1))) {
        connection_close(connection);
        return false;
    }
    uint8_t *at = uses_scratch ? connection->reactor->scratch : kept->data + kept->size;
    size_t room = uses_scratch ? READ_SCRATCH_SIZE : kept->capacity - kept->size;
    size_t size;
    struct err err = connection->filter->read(connection, at, room, &size);
    if (err_is(err, ERR_AGAIN))
        return false;
    if (err_failed(err)) {
        connection_close(connection);
        return false;
    }
    connection->active_ms = connection->reactor->now_ms;
    if (!uses_scratch) {
        kept->size += size;
        connection_offer_kept(connection);
        return size == room;
    }
    size_t wanted;
    size_t done = connection_offer(connection, at, size, &wanted);
    if (connection->state != CONNECTION_CLOSED && done < size)
        connection_keep(connection, at + done, size - done, wanted);
    return size == room;
}

static void connection_ready(struct watcher *watcher, unsigned ready)
{
    struct connection *connection = LIST_ENTRY(watcher, struct connection, watcher);
    CHECK_MAGIC(connection, CONNECTION_MAGIC);
    if (connection->state == CONNECTION_CLOSED)
        return;
    if ((ready & OS_READY_WRITE) != 0)
        connection_flush(connection);
    bool is_reading = (ready & (OS_READY_READ | OS_READY_CLOSED)) != 0;
    for (int i = 0; i < READS_PER_STEP_MAX && is_reading; i++) {
        if (connection->state != CONNECTION_OPEN || connection->is_paused)
            break;
        is_reading = connection_read_once(connection);
    }
    bool is_hung_up = (ready & OS_READY_CLOSED) != 0;
    if (is_hung_up && connection->state != CONNECTION_CLOSED &&
        (connection->is_paused || connection->state == CONNECTION_DRAINING))
        connection_close(connection);
}

static void connection_idle_fire(struct timer *timer)
{
    struct connection *connection = LIST_ENTRY(timer, struct connection, idle);
    int64_t due_ms = connection->active_ms + connection->idle_ms;
    if (due_ms <= connection->reactor->now_ms)
        connection_close(connection);
    else
        wheel_set(&connection->reactor->wheel, timer, due_ms);
}

struct err connection_open(struct reactor *reactor, int socket, size_t size_max, int64_t idle_ms,
                           struct connection **out)
{
    CHECK_MAGIC(reactor, REACTOR_MAGIC);
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return err_make(ERR_NO_MEMORY);
    connection->magic = CONNECTION_MAGIC;
    connection->watcher.ready = connection_ready;
    connection->reactor = reactor;
    connection->socket = socket;
    connection->filter = &plain_filter;
    buf_init(&connection->kept, size_max);
    list_init(&connection->link);
    list_init(&connection->pieces);
    timer_init(&connection->idle, connection_idle_fire);
    struct err err = reactor_watch(reactor, socket, OS_READY_READ, &connection->watcher);
    if (err_failed(err)) {
        free(connection);
        return err;
    }
    connection->watched = OS_READY_READ;
    connection->idle_ms = idle_ms;
    connection->active_ms = reactor->now_ms;
    if (idle_ms > 0)
        wheel_set(&reactor->wheel, &connection->idle, reactor->now_ms + idle_ms);
    list_append(&reactor->connections, &connection->link);
    atomic_fetch_add(&reactor->connection_count, 1);
    *out = connection;
    return ERR_NONE;
}

void connection_set_user(struct connection *connection, const struct connection_user *vtable,
                         void *user)
{
    CHECK(connection->vtable == NULL);
    connection->vtable = vtable;
    connection->user = user;
}

void connection_send(struct connection *connection, struct piece *piece)
{
    CHECK_MAGIC(connection, CONNECTION_MAGIC);
    if (connection->state == CONNECTION_CLOSED) {
        list_init(&piece->link);
        piece->release(piece);
        return;
    }
    bool was_empty = list_is_empty(&connection->pieces);
    list_append(&connection->pieces, &piece->link);
    connection->queued_size += piece->file == OS_FILE_NONE ? piece->bytes.size : piece->file_size;
    if (was_empty)
        connection_flush(connection);
}

/* Runs in the step after reading was resumed. */
static void connection_resume(struct mail *mail)
{
    struct connection *connection = LIST_ENTRY(mail, struct connection, resume);
    connection->is_resume_posted = false;
    bool is_reading = connection->state == CONNECTION_OPEN && !connection->is_paused;
    if (is_reading && connection->kept.size != 0)
        connection_offer_kept(connection);
}

void connection_pause(struct connection *connection, bool is_paused)
{
    if (connection->state == CONNECTION_CLOSED || connection->is_paused == is_paused)
        return;
    connection->is_paused = is_paused;
    atomic_fetch_add(&connection->reactor->paused_count, is_paused ? 1 : -1);
    connection_update_watch(connection);
    if (is_paused || connection->is_resume_posted)
        return;
    connection->is_resume_posted = true;
    reactor_post(connection->reactor, &connection->resume, connection_resume);
}

void connection_finish(struct connection *connection)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    connection->state = CONNECTION_DRAINING;
    connection_flush(connection);
}

void connection_close(struct connection *connection)
{
    CHECK_MAGIC(connection, CONNECTION_MAGIC);
    if (connection->state == CONNECTION_CLOSED)
        return;
    connection->state = CONNECTION_CLOSED;
    (void)!err_failed(reactor_watch(connection->reactor, connection->socket, 0, NULL));
    net_close(net_of(connection), connection->socket);
    timer_cancel(&connection->idle);
    for (struct list *link = list_pop(&connection->pieces); link != NULL;
         link = list_pop(&connection->pieces)) {
        struct piece *piece = LIST_ENTRY(link, struct piece, link);
        piece->release(piece);
    }
    connection->queued_size = 0;
    list_remove(&connection->link);
    list_append(&connection->reactor->dead, &connection->link);
    atomic_fetch_sub(&connection->reactor->connection_count, 1);
    if (connection->is_paused)
        atomic_fetch_sub(&connection->reactor->paused_count, 1);
    if (connection->vtable != NULL)
        connection->vtable->closed(connection->user);
}

void reactor_bury(struct reactor *reactor)
{
    LIST_EACH (&reactor->dead, link) {
        struct connection *connection = connection_from_link(link);
        if (connection->is_resume_posted)
            continue; /* its mail is on the way: buried in the next step */
        list_remove(link);
        buf_deinit(&connection->kept);
        connection->magic = 0;
        free(connection);
    }
}

bool connection_is_closed(const struct connection *connection)
{
    return connection->state == CONNECTION_CLOSED;
}

size_t connection_queued_size(const struct connection *connection)
{
    return connection->queued_size;
}

struct reactor *connection_reactor(struct connection *connection)
{
    return connection->reactor;
}
