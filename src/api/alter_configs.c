/* alter_configs: replaces all overrides of a topic by those given. */
#include "wire/alter_configs.h"
#include "api/config_change.h"
#include "api/handlers.h"

static struct err alter_resume(struct request *request)
{
    const struct config_changes *changes = request->parked;
    TRY(changes->wait.err);
    struct alter_configs_response response;
    alter_configs_response_init(&response);
    response.responses_count = changes->count;
    response.responses =
        arena_alloc_array(&request->arena, (size_t)changes->count, sizeof *response.responses);
    if (response.responses == NULL)
        return err_make(ERR_NO_MEMORY);
    for (int32_t i = 0; i < changes->count; i++)
        response.responses[i] = (struct alter_configs_response_resource){
            .error_code = changes->changes[i].error_code,
            .error_message = changes->changes[i].error_message,
            .resource_type = changes->changes[i].resource_type,
            .resource_name = changes->changes[i].resource_name,
        };
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(alter_configs_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}

static struct err take_resource(struct config_changes *changes, struct config_change *change,
                                const struct alter_configs_request_resource *asked)
{
    TRY(config_change_reserve(changes, change, asked->configs_count));
    change->resource_type = asked->resource_type;
    change->resource_name = asked->resource_name;
    for (int32_t i = 0; i < asked->configs_count; i++)
        change->edits[i] = (struct config_edit){.operation = CONFIG_SET,
                                                .name = asked->configs[i].name,
                                                .value = asked->configs[i].value};
    return ERR_NONE;
}

struct err alter_configs_handle(struct request *request, struct broker *broker)
{
    struct alter_configs_request asked;
    struct config_changes *changes;
    TRY(request_keep_body(request));
    TRY(alter_configs_request_decode(&request->body, request->version, &request->arena, &asked));
    TRY(config_changes_begin(request, broker, asked.resources_count, &changes));
    changes->is_incremental = false;
    changes->is_validated_only = asked.validate_only;
    for (int32_t i = 0; i < asked.resources_count; i++)
        TRY(take_resource(changes, &changes->changes[i], &asked.resources[i]));
    request->parked = changes;
    return config_changes_apply(changes, alter_resume);
}
