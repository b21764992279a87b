/* log: what a running flow has to say, to whoever runs it. */
#ifndef HEADRACE_FLOW_LOG_H
#define HEADRACE_FLOW_LOG_H

#include "base/err.h"

enum flow_log_level { FLOW_LOG_ERROR, FLOW_LOG_WARN, FLOW_LOG_INFO };

struct flow_log {
    void *self;
    /* handler: whom it is about. Any thread. */
    void (*say)(void *self, enum flow_log_level level, const char *handler, const char *text);
};

/* Prints a sentence, up to DIAG_TEXT_MAX characters. */
void flow_say(const struct flow_log *log, enum flow_log_level level, const char *handler,
              const char *format, ...) PRINTF_LIKE(4, 5);

#endif
