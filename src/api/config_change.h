/* config_change: what AlterConfigs and IncrementalAlterConfigs share: a topic's overrides,
 * replaced. */
#ifndef HEADRACE_API_CONFIG_CHANGE_H
#define HEADRACE_API_CONFIG_CHANGE_H

#include "api/commit_wait.h"
#include "broker/admin.h"

/* How a change is made (KIP-339). */
enum config_operation { CONFIG_SET, CONFIG_DELETE, CONFIG_APPEND, CONFIG_SUBTRACT };

struct config_change {
    struct broker *broker;
    struct arena *arena; /* for sentences */
    bool is_validated_only;
    int8_t resource_type;
    struct span resource_name;
    struct topic *topic; /* a reference while the change is under way */
    struct topic_overrides overrides;
    int16_t error_code;
    struct span error_message;
};

/*
 * Finds the resource and takes its overrides, or none of them when is_incremental is false. On
 * refusal error_code and message are set and the change does nothing.
 */
MUST_USE struct err config_change_begin(struct config_change *change, bool is_incremental);

/* Adds one operation. */
MUST_USE struct err config_change_add(struct config_change *change, enum config_operation operation,
                                      struct span name, struct span value);

/* Makes the change count, unless it was refused. *commit is raised where something was recorded. */
MUST_USE struct err config_change_end(struct config_change *change, int64_t *commit);

#endif
