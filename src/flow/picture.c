/*
 * picture: a flow as people read it in a terminal, a box for each handler.
 *
 *                               +---------------+
 *     orders -- order.placed -> | reserve-stock | -- stock.reserved -> stock
 *                               |               | .. orders.dlq
 *                               +---------------+
 *
 * (with lines of the box-drawing block). What it handles stands on the left, what it emits and
 * where its dead letters go on the right. Names are ASCII: a byte is a column.
 */
#include <string.h>

#include "flow/graph.h"

#define MARGIN 2

/* Widths in columns. */
struct widths {
    size_t left;
    size_t box;
};

static const char *topic_of(const struct flow *flow, const char *event)
{
    return flow_find_event(flow, event)->topic.text;
}

/* "TOPIC ── EVENT ──▶ ": its columns. */
static size_t left_width(const struct flow *flow, const char *event)
{
    return strlen(topic_of(flow, event)) + strlen(" -- ") + strlen(event) + strlen(" --> ");
}

static struct widths measure(const struct flow *flow)
{
    struct widths widths = {0};
    for (size_t i = 0; i < flow->handlers.count; i++) {
        const struct flow_handler *handler = flow_handler_at(flow, i);
        size_t name = strlen(handler->name.text);
        widths.box = name > widths.box ? name : widths.box;
        for (size_t j = 0; j < handler->handles.count; j++) {
            size_t left = left_width(flow, handler->handles.items[j].text);
            widths.left = left > widths.left ? left : widths.left;
        }
    }
    return widths;
}

static struct err write_border(const struct widths *widths, const char *begin, const char *end,
                               struct buf *out)
{
    TRY(buf_print(out, "%*s%s", (int)(MARGIN + widths->left), "", begin));
    for (size_t i = 0; i < widths->box + 2; i++)
        TRY(buf_print(out, "─"));
    return buf_print(out, "%s\n", end);
}

/* One line of a handler: what comes in by it, the box, what goes out. */
static struct err write_line(const struct flow *flow, const struct widths *widths,
                             const struct flow_handler *handler, size_t at,
                             const char *dead_letters, struct buf *out)
{
    if (at < handler->handles.count) {
        const char *event = handler->handles.items[at].text;
        TRY(buf_print(out, "%*s%s ── %s ──▶ ",
                      (int)(MARGIN + widths->left - left_width(flow, event)), "",
                      topic_of(flow, event), event));
    } else {
        TRY(buf_print(out, "%*s", (int)(MARGIN + widths->left), ""));
    }
    TRY(buf_print(out, "│ %-*s │", (int)widths->box, at == 0 ? handler->name.text : ""));
    if (at < handler->emits.count) {
        const char *event = handler->emits.items[at].text;
        TRY(buf_print(out, " ── %s ──▶ %s", event, topic_of(flow, event)));
    } else if (at == handler->emits.count) {
        TRY(buf_print(out, " ┄┄▶ %s", dead_letters));
    }
    return buf_append(out, "\n", 1);
}

struct err flow_write_picture(const struct flow *flow, struct arena *arena, struct buf *out)
{
    const struct widths widths = measure(flow);
    for (size_t i = 0; i < flow->handlers.count; i++) {
        const struct flow_handler *handler = flow_handler_at(flow, i);
        const char *dead_letters = flow_dead_letter_topic(flow, handler, arena);
        if (dead_letters == NULL)
            return err_make(ERR_NO_MEMORY);
        size_t out_count = handler->emits.count + 1;
        size_t count = handler->handles.count > out_count ? handler->handles.count : out_count;
        TRY(write_border(&widths, "┌", "┐", out));
        for (size_t j = 0; j < count; j++)
            TRY(write_line(flow, &widths, handler, j, dead_letters, out));
        TRY(write_border(&widths, "└", "┘", out));
    }
    return ERR_NONE;
}
