/* schema: the shape of a flow file as a JSON Schema (draft 2020-12), for editors and for CI. */
#ifndef HEADRACE_FLOW_SCHEMA_H
#define HEADRACE_FLOW_SCHEMA_H

#include "base/buf.h"

/* Appends the schema, indented, with a line end. Errors as buf_append. */
MUST_USE struct err flow_write_schema(struct buf *out);

#endif
