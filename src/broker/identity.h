/*
 * identity: the data folder's meta.properties, in Kafka's format: which cluster and node it belongs
 * to.
 *
 *     version=1
 *     cluster.id=<22 characters>
 *     node.id=<number>
 *     directory.id=<22 characters>
 */
#ifndef HEADRACE_BROKER_IDENTITY_H
#define HEADRACE_BROKER_IDENTITY_H

#include "base/uuid.h"
#include "broker/config.h"
#include "os/os.h"

/*
 * Reads the identity of the configured data folder, or writes a new one where there is none.
 * ERR_INVALID where the folder belongs to another cluster or node than the config says;
 * ERR_CORRUPT; errors of files. Each with one sentence.
 */
MUST_USE struct err identity_open(const struct os *os, const struct config *config,
                                  char cluster_id[UUID_TEXT_SIZE], struct diag *diag);

#endif
