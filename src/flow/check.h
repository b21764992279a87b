/* check: what holds between the parts of a flow, and no table can say. */
#ifndef HEADRACE_FLOW_CHECK_H
#define HEADRACE_FLOW_CHECK_H

#include "flow/flow.h"

/* The flow may be one with errors, parts of which are absent. Complains of names that do not exist,
 * choices that exclude each other, and topics that would meet themselves; warns of what is declared
 * and never used. ERR_NO_MEMORY. */
MUST_USE struct err flow_check(const struct flow *flow, struct arena *arena,
                               struct flow_problems *problems);

#endif
