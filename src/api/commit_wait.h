/* commit_wait: parking a request until a change is durable. */
#ifndef HEADRACE_API_COMMIT_WAIT_H
#define HEADRACE_API_COMMIT_WAIT_H

#include "api/request.h"
#include "broker/broker.h"

struct commit_wait {
    struct partition_waiter waiter;
    struct request *request;
    struct err err; /* how it ended, for resume */
};

/*
 * Waits in the request's arena until the partition is durable up to offset. False: that is so
 * already, or never will be (see wait->err); the request is not parked. The caller keeps the
 * partition's topic referenced until resume.
 */
MUST_USE bool commit_wait_park(struct commit_wait *wait, struct partition *partition,
                               int64_t offset, request_resume resume);

/* As above for a change of topics, see broker/admin.h. */
MUST_USE bool commit_wait_park_admin(struct commit_wait *wait, struct broker *broker,
                                     int64_t commit, request_resume resume);

#endif
