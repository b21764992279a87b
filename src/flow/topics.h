/*
 * topics: which topics a flow needs, and which of them are to be made.
 *
 * Those of its events, and for each handler its own, with as many partitions as the topics that it
 * handles have at most: dead letters, with room for a record and the words about its failure, kept
 * until they are dealt with; parked events, compacted; and its inbox, if it has one.
 */
#ifndef HEADRACE_FLOW_TOPICS_H
#define HEADRACE_FLOW_TOPICS_H

#include "client/client.h"
#include "flow/flow.h"

/* Topics of a handler alone. */
#define FLOW_HANDLER_TOPIC_COUNT 3

enum flow_topic_kind {
    FLOW_TOPIC_EVENTS,
    FLOW_TOPIC_DEAD_LETTERS,
    FLOW_TOPIC_PARKED,
    FLOW_TOPIC_INBOX
};

struct flow_topic {
    const char *name;
    const char *use;         /* "order.placed", "dead letters of reserve-stock" */
    bool is_there;           /* in the cluster */
    int32_t partition_count; /* it has, or is to get; -1: the server's default */
    enum flow_topic_kind kind;
    const char *retention; /* FLOW_TOPIC_INBOX: in ms */
};

struct flow_topics {
    struct flow_topic *items; /* in the order of the file */
    size_t count;
    size_t missing_count;
};

/* Compares the flow with the cluster. *out: in the arena. Errors: the client's. */
MUST_USE struct err flow_topics_plan(const struct flow *flow, struct client *client,
                                     struct arena *arena, struct flow_topics *out,
                                     struct diag *diag);

/* Makes those that are not there. One that somebody else has made meanwhile is fine. Errors: the
 * client's; those made before it stay. */
MUST_USE struct err flow_topics_create(const struct flow_topics *topics, struct client *client,
                                       struct diag *diag);

#endif
