/* Answers each greeting with its own data in a frame. */
#include <headrace/handler.h>
#include <stdio.h>
#include <stdlib.h>

HEADRACE_HANDLERS

headrace_handler handle;

int handle(const struct headrace_event *event, struct headrace_answer *answer)
{
    char *text = NULL;
    int size = asprintf(&text, "{\"text\":\"Hello!\",\"greeting\":%.*s}", (int)event->data.size,
                        event->data.bytes);
    if (size < 0)
        return headrace_retry(answer, "out of memory");
    int status = headrace_emit(answer, "greeting.answered", text, (size_t)size);
    free(text);
    return status;
}
