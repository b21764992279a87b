/* os: the bundle of all vtables, made once by cli (or a test) and handed down in parts. */
#ifndef HEADRACE_OS_OS_H
#define HEADRACE_OS_OS_H

#include "os/os_clock.h"
#include "os/os_file.h"
#include "os/os_net.h"
#include "os/os_random.h"
#include "os/os_thread.h"

struct os {
    const struct os_clock *clock;
    const struct os_random *random;
    const struct os_files *files;
    const struct os_net *net;
    const struct os_threads *threads;
};

/* Linux itself. Valid for the life of the process; every vtable may be used by any thread. */
const struct os *os_real(void);

#endif
