/* alter_configs: replaces all overrides of a topic by those given. */
#include "wire/alter_configs.h"
#include "api/config_change.h"
#include "api/handlers.h"

struct alter_work {
    struct commit_wait wait;
    struct broker *broker;
    struct alter_configs_request asked;
    struct alter_configs_response response;
    int64_t commit;
};

static struct err answer_resource(struct alter_work *work,
                                  const struct alter_configs_request_resource *asked,
                                  struct alter_configs_response_resource *answer)
{
    struct config_change change = {
        .broker = work->broker,
        .arena = &work->wait.request->arena,
        .is_validated_only = work->asked.validate_only,
        .resource_type = asked->resource_type,
        .resource_name = asked->resource_name,
    };
    struct err err = config_change_begin(&change, false);
    for (int32_t i = 0; i < asked->configs_count && !err_failed(err); i++)
        err =
            config_change_add(&change, CONFIG_SET, asked->configs[i].name, asked->configs[i].value);
    struct err ended = config_change_end(&change, &work->commit);
    answer->resource_type = asked->resource_type;
    answer->resource_name = asked->resource_name;
    answer->error_code = change.error_code;
    answer->error_message = change.error_message;
    return err_failed(err) ? err : ended;
}

static struct err alter_resume(struct request *request)
{
    struct alter_work *work = request->parked;
    TRY(work->wait.err);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(alter_configs_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

struct err alter_configs_handle(struct request *request, struct broker *broker)
{
    struct alter_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(alter_configs_request_decode(&request->body, request->version, &request->arena,
                                     &work->asked));
    work->wait.request = request;
    work->broker = broker;
    request->parked = work;
    alter_configs_response_init(&work->response);
    int32_t count = work->asked.resources_count;
    work->response.responses =
        arena_alloc_array(&request->arena, (size_t)count, sizeof *work->response.responses);
    if (work->response.responses == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.responses_count = count;
    for (int32_t i = 0; i < count; i++)
        TRY(answer_resource(work, &work->asked.resources[i], &work->response.responses[i]));
    if (work->commit > 0 && commit_wait_park_admin(&work->wait, broker, work->commit, alter_resume))
        return ERR_NONE;
    return alter_resume(request);
}
