/*
 * memory: a Kafka cluster inside the process, and clients of it: for tests, and for whoever plays
 * out flows with a clock of his own.
 *
 * It sends, receives, keeps groups' offsets, and gives a topic's partitions to the members of a
 * group in turn, again whenever one comes or goes; commits of a member that does not know yet are
 * refused, as Kafka's are. A message is acknowledged at once. Nothing waits: a receive without
 * messages says so whatever its time-out.
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
enum memory_call { MEMORY_SEND, MEMORY_RECEIVE, MEMORY_COMMIT, MEMORY_CALL_COUNT };

/* An empty cluster; the clock stamps messages. ERR_NO_MEMORY. */
MUST_USE struct err memory_cluster_create(const struct os_clock *clock,
                                          struct memory_cluster **out);

/* Frees it and all that it was sent. NULL is taken and ignored. */
void memory_cluster_destroy(struct memory_cluster *cluster);

/* A client of the cluster; the properties group.id and auto.offset.reset count. As client_open. */
MUST_USE struct err memory_cluster_connect(struct memory_cluster *cluster,
                                           const struct client_settings *settings,
                                           struct client **client, struct diag *diag);

/*
 * The count-th call (from 1) of the kind from now on, of any client, fails once with the code; a
 * message is then lost as one that no server took.
 */
void memory_cluster_fail(struct memory_cluster *cluster, enum memory_call call, uint32_t count,
                         enum err_code code);

#endif
