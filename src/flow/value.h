/* value: one word of a flow file: ${...} filled in, and what it means as a duration, a rate ... */
#ifndef HEADRACE_FLOW_VALUE_H
#define HEADRACE_FLOW_VALUE_H

#include "flow/shape.h"
#include "flow/yaml.h"

/* The longest name: a topic's, of which names of groups and companion topics are made. */
#define FLOW_NAME_SIZE_MAX 200

/* Whether the text is a NAME: letters, digits, '.', '_' and '-', FLOW_NAME_SIZE_MAX at most. */
bool flow_is_name(struct span text);

/*
 * Reads the word at node as the field wants it into *out; complains where it is not so, and *out is
 * then as absent. ERR_NO_MEMORY.
 */
MUST_USE struct err flow_read_value(const struct shape_field *field, const struct yaml_node *node,
                                    const struct flow_source *source, struct arena *arena,
                                    struct flow_problems *problems, struct flow_value *out);

/* The number that the field of that name has by preset. */
int64_t flow_preset_number(const struct shape *shape, const char *name);

/* What holds where the field is absent: its preset, with text NULL. */
struct flow_value flow_preset(const struct shape_field *field, struct flow_place place);

#endif
