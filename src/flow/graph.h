/* graph: the picture of a flow: topics, the handlers between them, and where dead letters go. */
#ifndef HEADRACE_FLOW_GRAPH_H
#define HEADRACE_FLOW_GRAPH_H

#include "base/buf.h"
#include "flow/flow.h"

/* Appends the flow as a Mermaid flowchart. Errors as buf_append. */
MUST_USE struct err flow_write_mermaid(const struct flow *flow, struct arena *arena,
                                       struct buf *out);

/* Appends it as a picture for a terminal. Errors as buf_append. */
MUST_USE struct err flow_write_picture(const struct flow *flow, struct arena *arena,
                                       struct buf *out);

#endif
