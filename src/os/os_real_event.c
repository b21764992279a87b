/* os_real_event: Linux's eventfd. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_event.h"

struct err os_event_open(int *event)
{
    int opened = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (opened < 0)
        return err_from_errno(errno);
    *event = opened;
    return ERR_NONE;
}

void os_event_close(int event)
{
    CHECK(close(event) == 0);
}

void os_event_set(int event)
{
    const uint64_t one = 1;
    /* EAGAIN: it was set 2^64-2 times, so it is readable. */
    CHECK(write(event, &one, sizeof one) == sizeof one || errno == EAGAIN);
}

void os_event_clear(int event)
{
    uint64_t count;
    CHECK(read(event, &count, sizeof count) == sizeof count || errno == EAGAIN);
}

void os_event_wait(int event, int64_t timeout_ms)
{
    struct pollfd wait = {.fd = event, .events = POLLIN};
    int limited_ms = timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
    (void)poll(&wait, 1, limited_ms); /* whatever it says, everything is looked at */
}
