/*
 * config_change: what AlterConfigs and IncrementalAlterConfigs share: topics' overrides, replaced.
 *
 *     config_changes_begin -> the handler fills `changes` from its request -> config_changes_apply
 *     -> the handler's resume fills its answer from them
 */
#ifndef HEADRACE_API_CONFIG_CHANGE_H
#define HEADRACE_API_CONFIG_CHANGE_H

#include "api/commit_wait.h"

/* How a config is changed (KIP-339): Kafka's numbers. */
enum config_operation { CONFIG_SET, CONFIG_DELETE, CONFIG_APPEND, CONFIG_SUBTRACT };

/* One edit of one config. The spans are the request's. */
struct config_edit {
    int8_t operation; /* as it came: perhaps none of config_operation */
    struct span name;
    struct span value;
};

/* What is asked of one resource, and what came of it. */
struct config_change {
    int8_t resource_type;
    struct span resource_name;
    struct config_edit *edits;
    int32_t edit_count;
    int16_t error_code;
    struct span error_message; /* null: none */
};

/* All changes of one request; in its arena. */
struct config_changes {
    struct commit_wait wait;
    struct broker *broker;
    bool is_incremental; /* edits what is there; otherwise what is not named goes */
    bool is_validated_only;
    struct config_change *changes;
    int32_t count;
    int64_t commit; /* of the last change recorded; 0: none */
};

/* Makes room for so many changes, in the request's arena. ERR_NO_MEMORY. */
MUST_USE struct err config_changes_begin(struct request *request, struct broker *broker,
                                         int32_t count, struct config_changes **out);

/* Gives a change room for so many edits. ERR_NO_MEMORY. */
MUST_USE struct err config_change_reserve(struct config_changes *changes,
                                          struct config_change *change, int32_t edit_count);

/*
 * Makes each change that is not refused count and calls resume, at once or when all of them are
 * durable; request->parked is not touched.
 */
MUST_USE struct err config_changes_apply(struct config_changes *changes, request_resume resume);

#endif
