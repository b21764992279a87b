/*
 * memory: a Kafka cluster inside the process, and clients of it: for tests, and for whoever plays
 * out flows with a clock of his own.
 *
 * It sends, receives, keeps groups' offsets with their metadata, gives topics' partitions to the
 * members of a group in turn, again whenever one comes or goes, and has transactions: readers see
 * what is committed alone, and a transaction's end takes an offset, as Kafka's markers do. Commits
 * of a member that does not know yet that the group has moved on are refused. A message is
 * acknowledged at once. Nothing waits: a receive without messages says so whatever its time-out.
 *
 * Members that subscribed get their share anew as a whole; those that joined give up what others
 * are to have and only then these get it. A group has members of one of these kinds.
 *
 * The end of a partition is where the next message comes, whatever transaction is open before it. A
 * sender with enable.gapless.guarantee takes nothing more once a message has failed.
 *
 * Not as Kafka: a key's partition is not the one that librdkafka would choose; configs, growth,
 * descriptions of groups and deletions are ERR_UNSUPPORTED.
 *
 * Owners: the cluster outlives its clients. One thread for a cluster and all its clients.
 */
#ifndef HEADRACE_CLIENT_MEMORY_H
#define HEADRACE_CLIENT_MEMORY_H

#include "client/client.h"
#include "os/os_clock.h"

struct memory_cluster;

/* Calls that can be made to fail. */
enum memory_call {
    MEMORY_SEND,
    MEMORY_RECEIVE,
    MEMORY_COMMIT,    /* of offsets, by either way */
    MEMORY_COMMITTED, /* the question for them */
    MEMORY_BEGIN,
    MEMORY_ADD,
    MEMORY_END,      /* nothing has happened, or with ERR_ABORTED an abort */
    MEMORY_END_LATE, /* it has happened, and the client is told nothing more than that it failed */
    MEMORY_CALL_COUNT
};

/* An empty cluster; the clock stamps messages. ERR_NO_MEMORY. */
MUST_USE struct err memory_cluster_create(const struct os_clock *clock,
                                          struct memory_cluster **out);

/* Frees it and all that it was sent. NULL is taken and ignored. */
void memory_cluster_destroy(struct memory_cluster *cluster);

/* A client of the cluster; the properties group.id, auto.offset.reset, transactional.id
 * and enable.gapless.guarantee count. As client_open. */
MUST_USE struct err memory_cluster_connect(struct memory_cluster *cluster,
                                           const struct client_settings *settings,
                                           struct client **client, struct diag *diag);

/*
 * The count-th call (from 1) of the kind from now on, of any client, fails once with the code; a
 * message is then lost as one that no server took.
 */
void memory_cluster_fail(struct memory_cluster *cluster, enum memory_call call, uint32_t count,
                         enum err_code code);

/*
 * The client's process dies: it says nothing to anybody, and the client is gone. Its places and
 * its transaction stay as they are until the cluster notices.
 */
void memory_cluster_crash(struct client *client);

/* The session of a member that joined has timed out while it lives on: others get its places. */
void memory_cluster_expel(struct client *client);

/* Notices all deaths: members are taken off their groups, open transactions are aborted. */
void memory_cluster_notice(struct memory_cluster *cluster);

/* Takes the offset's message away, as compaction does. */
void memory_cluster_compact(struct memory_cluster *cluster, const struct client_offset *at);

/* The log now starts at the offset, as after retention. */
void memory_cluster_truncate(struct memory_cluster *cluster, const struct client_offset *start);

#endif
