/*
 * graph: a flow as a Mermaid flowchart.
 *
 * Topics are rounded, handlers are boxes, dead letters are flags. An arrow is named after the event
 * that takes it. Names are letters, digits, '.', '_' and '-': nothing of them has to be escaped in
 * a quoted label; ids are numbers.
 */
#include "flow/graph.h"

#include <string.h>

/* The topic's number: of the first event that has it. */
static size_t topic_id(const struct flow *flow, const char *topic)
{
    size_t at = 0;
    while (strcmp(flow_event_at(flow, at)->topic.text, topic) != 0)
        at++;
    return at;
}

static struct err write_topics(const struct flow *flow, struct buf *out)
{
    for (size_t i = 0; i < flow->events.count; i++) {
        const char *topic = flow_event_at(flow, i)->topic.text;
        if (topic_id(flow, topic) == i)
            TRY(buf_print(out, "    topic%zu([\"%s\"])\n", i, topic));
    }
    return ERR_NONE;
}

static struct err write_handler(const struct flow *flow, size_t at, struct arena *arena,
                                struct buf *out)
{
    const struct flow_handler *handler = flow_handler_at(flow, at);
    TRY(buf_print(out, "    handler%zu[\"%s\"]\n", at, handler->name.text));
    for (size_t i = 0; i < handler->handles.count; i++) {
        const char *name = handler->handles.items[i].text;
        const struct flow_event *event = flow_find_event(flow, name);
        TRY(buf_print(out, "    topic%zu -->|\"%s\"| handler%zu\n",
                      topic_id(flow, event->topic.text), name, at));
    }
    for (size_t i = 0; i < handler->emits.count; i++) {
        const char *name = handler->emits.items[i].text;
        const struct flow_event *event = flow_find_event(flow, name);
        TRY(buf_print(out, "    handler%zu -->|\"%s\"| topic%zu\n", at, name,
                      topic_id(flow, event->topic.text)));
    }
    const char *dead_letters = flow_dead_letter_topic(flow, handler, arena);
    if (dead_letters == NULL)
        return err_make(ERR_NO_MEMORY);
    return buf_print(out, "    handler%zu -.-> dead%zu>\"%s\"]\n", at, at, dead_letters);
}

struct err flow_write_mermaid(const struct flow *flow, struct arena *arena, struct buf *out)
{
    TRY(buf_print(out, "flowchart LR\n"));
    TRY(write_topics(flow, out));
    for (size_t i = 0; i < flow->handlers.count; i++)
        TRY(write_handler(flow, i, arena, out));
    return ERR_NONE;
}
