/* log: sentences. */
#include "flow/log.h"

#include <stdarg.h>
#include <stdio.h>

void flow_say(const struct flow_log *log, enum flow_log_level level, const char *handler,
              const char *format, ...)
{
    char text[DIAG_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log->say(log->self, level, handler, text);
}
