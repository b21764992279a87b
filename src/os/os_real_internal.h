/* os_real_internal: the parts of Linux that have files of their own. */
#ifndef HEADRACE_OS_OS_REAL_INTERNAL_H
#define HEADRACE_OS_OS_REAL_INTERNAL_H

#include "os/os_file.h"
#include "os/os_net.h"

extern const struct os_files os_real_files;
extern const struct os_net os_real_net;

#endif
