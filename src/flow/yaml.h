/*
 * yaml: a YAML 1.2 document as a tree (libfyaml reads, this keeps).
 *
 * A flow file is data for people: one document, and of YAML what JSON has, comments and plain
 * words. Refused, each with its place: anchors, aliases and tags; keys that are no words or come
 * twice; tabs as indentation; bytes that are not UTF-8; more than the bounds below.
 */
#ifndef HEADRACE_FLOW_YAML_H
#define HEADRACE_FLOW_YAML_H

#include "base/arena.h"
#include "flow/problem.h"

/* Deeper than any flow nests, and no strain on the stack. */
#define YAML_DEPTH_MAX 16

/* Keys and values of a flow of some thousand handlers. */
#define YAML_NODE_COUNT_MAX 100000

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    struct flow_place place;
    struct span text;            /* SCALAR */
    bool is_plain;               /* SCALAR: not in quotes */
    struct span key;             /* where it is a mapping's value */
    struct flow_place key_place; /* as above */
    struct yaml_node *first;     /* SEQUENCE, MAPPING: its children in order */
    struct yaml_node *next;
    size_t count; /* of children */
};

/*
 * Reads text; *root is NULL where it holds nothing, or cannot be read, which problems tell. All is
 * in the arena and does not refer to text. ERR_NO_MEMORY; else ERR_NONE.
 */
MUST_USE struct err yaml_read(struct span text, struct arena *arena, struct flow_problems *problems,
                              struct yaml_node **root);

/* "a word", "a list", "a mapping", "nothing". */
const char *yaml_kind_text(enum yaml_kind kind);

#endif
