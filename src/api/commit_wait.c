/* commit_wait: one waiter, one wake. */
#include "api/commit_wait.h"

#include "broker/admin.h"

static void wait_done(struct partition_waiter *waiter, struct err err)
{
    struct commit_wait *wait = LIST_ENTRY(waiter, struct commit_wait, waiter);
    wait->err = err;
    request_wake(wait->request);
}

bool commit_wait_park(struct commit_wait *wait, struct partition *partition, int64_t offset,
                      request_resume resume)
{
    wait->waiter = (struct partition_waiter){.offset = offset, .done = wait_done};
    request_park(wait->request, resume);
    struct err err;
    if (!partition_wait(partition, &wait->waiter, &err))
        return true;
    wait->err = err;
    request_unpark(wait->request);
    return false;
}

bool commit_wait_park_admin(struct commit_wait *wait, struct broker *broker, int64_t commit,
                            request_resume resume)
{
    wait->waiter = (struct partition_waiter){.done = wait_done};
    request_park(wait->request, resume);
    struct err err;
    if (!admin_wait(broker, commit, &wait->waiter, &err))
        return true;
    wait->err = err;
    request_unpark(wait->request);
    return false;
}
