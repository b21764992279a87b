/* flow_templates: the files of examples/start, for `headrace flow init`; written by tools/embed.py.
 */
#ifndef HEADRACE_CLI_FLOW_TEMPLATES_H
#define HEADRACE_CLI_FLOW_TEMPLATES_H

#include <stddef.h>

struct flow_template {
    const char *language; /* NULL ends the list */
    const char *name;     /* below the user's folder; may have one folder of its own in front */
    const char *text;
};

extern const struct flow_template flow_templates[];

#endif
