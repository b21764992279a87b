/*
 * shape: what a flow file may hold, as one table for reading it and for its JSON Schema.
 *
 * A shape is a mapping with the keys of its fields. A field says where in the struct its value
 * goes, of what kind it is, and, for people, what it means.
 */
#ifndef HEADRACE_FLOW_SHAPE_H
#define HEADRACE_FLOW_SHAPE_H

#include "flow/flow.h"

enum shape_kind {
    /* struct flow_value */
    SHAPE_TEXT,
    SHAPE_NAME,     /* letters, digits, '.', '_' and '-' */
    SHAPE_URL,      /* http or https */
    SHAPE_DURATION, /* 250ms, 10s, 5m, 2h, 7d */
    SHAPE_COUNT,
    SHAPE_PERCENT, /* 50% */
    SHAPE_SIZE,    /* 4096, 64KiB, 1MiB */
    SHAPE_RATE,    /* 100/s, 30/m */
    SHAPE_SWITCH,  /* true, false */
    SHAPE_CHOICE,  /* one of the words of `choices` */
    SHAPE_START,   /* earliest, latest, a time as RFC 3339 has it */
    SHAPE_KIND_SCALAR_COUNT,
    /* struct flow_list */
    SHAPE_NAMES = SHAPE_KIND_SCALAR_COUNT, /* a name or a list of them */
    /* a pointer to the shape's struct */
    SHAPE_OBJECT,
    /* struct flow_map of the shape's structs; their keys are NAMEs */
    SHAPE_MAP,
};

struct shape;

struct shape_field {
    const char *name;
    enum shape_kind kind;
    bool is_required;
    size_t offset; /* in the shape's struct */
    int64_t min;   /* of the number, where max is not 0 */
    int64_t max;
    const char *preset;  /* what holds where it is absent, as one would write it; NULL: nothing */
    const char *choices; /* CHOICE: "key|partition|none" */
    const struct shape *of; /* OBJECT, MAP */
    const char *doc;        /* one sentence */
};

struct shape {
    const char *title; /* "a handler" */
    size_t size;       /* of its struct */
    const struct shape_field *fields;
    size_t field_count;
};

/* The file as a whole: struct flow. */
extern const struct shape shape_flow;

/* struct flow_retry, struct flow_circuit. */
extern const struct shape shape_retry;
extern const struct shape shape_circuit;
extern const struct shape shape_in_flight;

/* The field of that key; NULL: none. */
const struct shape_field *shape_find(const struct shape *shape, struct span key);

#endif
