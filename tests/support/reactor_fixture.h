/* reactor_fixture: a reactor over sockets in memory and a clock that stands still. */
#ifndef HEADRACE_TESTS_SUPPORT_REACTOR_FIXTURE_H
#define HEADRACE_TESTS_SUPPORT_REACTOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reactor/connection.h"
#include "reactor/listener.h"
#include "support/fake_net.h"
#include "support/mem_disk.h"

struct reactor_fixture {
    struct mem_disk *disk;
    struct fake_net *net;
    struct os_clock clock;
    int64_t now_ms;
    struct os os;
    struct reactor *reactor; /* NULL once the test has destroyed it */
};

static inline void assert_ok(struct err err)
{
    if (err_failed(err))
        fail_msg("%s", err_text(err));
}

static inline int64_t reactor_fixture_us(void *self)
{
    return ((struct reactor_fixture *)self)->now_ms * 1000;
}

static inline int reactor_fixture_setup(void **state)
{
    static struct reactor_fixture fixture;
    fixture = (struct reactor_fixture){.now_ms = 1000000};
    fixture.disk = mem_disk_create(1);
    fixture.net = fake_net_create(mem_disk_files(fixture.disk));
    fixture.clock = (struct os_clock){.self = &fixture, .mono_us = reactor_fixture_us};
    fixture.os = (struct os){.clock = &fixture.clock, .net = fake_net_vtable(fixture.net)};
    assert_ok(reactor_create(&fixture.os, &fixture.reactor));
    *state = &fixture;
    return 0;
}

static inline void reactor_fixture_destroy(struct reactor_fixture *fixture)
{
    reactor_destroy(fixture->reactor);
    fixture->reactor = NULL;
}

/* Nothing that was opened may be open behind the reactor's end. */
static inline int reactor_fixture_teardown(void **state)
{
    struct reactor_fixture *fixture = *state;
    reactor_fixture_destroy(fixture);
    assert_int_equal(fake_net_open_count(fixture->net), 0);
    fake_net_destroy(fixture->net);
    mem_disk_destroy(fixture->disk);
    return 0;
}

static inline void reactor_fixture_step(struct reactor_fixture *fixture)
{
    assert_ok(reactor_step(fixture->reactor, -1));
}

/* Steps until there is nothing left to do at once. */
static inline void reactor_fixture_run(struct reactor_fixture *fixture)
{
    do
        reactor_fixture_step(fixture);
    while (fake_net_slept_ms(fixture->net) == 0);
}

/* Time passes; what is due fires. */
static inline void reactor_fixture_pass(struct reactor_fixture *fixture, int64_t passed_ms)
{
    fixture->now_ms += passed_ms;
    reactor_fixture_run(fixture);
}

#endif
