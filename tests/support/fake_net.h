/*
 * fake_net: sockets in memory, with all the liberties that os/os_net.h allows: short reads and
 * writes, peers that take nothing, that hang up or reset, calls that fail.
 *
 * The vtable is the server's side; the functions here are the peer's. Nothing waits: a poller that
 * has nothing to tell returns at once and notes how long it would have slept. What the interface
 * forbids (closing a socket that is still watched, using a closed one) ends the test.
 *
 * One thread.
 */
#ifndef HEADRACE_TESTS_SUPPORT_FAKE_NET_H
#define HEADRACE_TESTS_SUPPORT_FAKE_NET_H

#include <stdbool.h>

#include "os/os_file.h"
#include "os/os_net.h"

struct fake_net;

/* files: what send_file reads; NULL where nobody sends files. Never fails. */
struct fake_net *fake_net_create(const struct os_files *files);
void fake_net_destroy(struct fake_net *net);

/* The vtable; valid until fake_net_destroy. */
const struct os_net *fake_net_vtable(struct fake_net *net);

/* A new peer: waiting to be accepted at the port, or, for port 0, connected. Returns its socket. */
int fake_net_connect(struct fake_net *net, uint16_t port);

/*
 * The peer sends; takes what has come to it, into bytes or, when that is NULL, to forget it
 * (returns how much); looks at what it could take.
 */
void fake_net_send(struct fake_net *net, int socket, struct span bytes);
size_t fake_net_take(struct fake_net *net, int socket, void *bytes, size_t size);
struct span fake_net_look(const struct fake_net *net, int socket);

/* The peer sends no more; the connection breaks. */
void fake_net_end(struct fake_net *net, int socket);
void fake_net_reset(struct fake_net *net, int socket);

/* One call reads and writes at most so many bytes; no bound at first. */
void fake_net_set_pace(struct fake_net *net, size_t size_max);

/* So many bytes may wait for the peer; 1 MiB at first. */
void fake_net_set_window(struct fake_net *net, int socket, size_t size_max);

/* Calls that fail with ERR_LIMIT while it is set: watching a socket; accepting. */
void fake_net_refuse_watching(struct fake_net *net, bool is_refused);
void fake_net_refuse_accepting(struct fake_net *net, bool is_refused);

/*
 * The count-th call of the server (from 1) that may fail does, once: accepting and watching with
 * ERR_LIMIT, reading and writing with ERR_IO. 0: none does any more; then whether one has failed.
 */
bool fake_net_fail(struct fake_net *net, uint32_t count);

/* Whether the server's side is open; how many are. */
bool fake_net_is_open(const struct fake_net *net, int socket);
size_t fake_net_open_count(const struct fake_net *net);

/* How long the last poller_wait would have slept: -1 for ever, 0 where there was something. */
int fake_net_slept_ms(const struct fake_net *net);

#endif
