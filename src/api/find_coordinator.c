/*
 * find_coordinator: the one broker coordinates all (KIP-699 asks for several keys at once).
 *
 * The first one to ask makes the topic that holds the state of groups, or of transactions; the
 * answer waits until that is durable.
 */
#include "wire/find_coordinator.h"
#include "api/commit_wait.h"
#include "api/handlers.h"
#include "coord/transactions.h"

enum key_type { KEY_GROUP = 0, KEY_TRANSACTION = 1, KEY_SHARE = 2 };

struct coordinator_found {
    int16_t error_code;
    struct span message; /* null: none */
    int32_t node_id;
    struct span host;
    int32_t port;
};

struct find_work {
    struct commit_wait wait;
    struct api *api;
    struct find_coordinator_request asked;
};

static struct coordinator_found refuse(int16_t code, const char *message)
{
    return (struct coordinator_found){.error_code = code,
                                      .message = span_text(message),
                                      .node_id = -1,
                                      .host = span_text(""),
                                      .port = -1};
}

/* Makes the topic that the coordinators of that kind keep their state in. */
static struct err prepare(struct api *api, int8_t key_type, int64_t *commit)
{
    return key_type == KEY_GROUP
               ? coord_prepare(api->coord, commit, NULL)
               : transactions_prepare(coord_transactions(api->coord), commit, NULL);
}

static struct coordinator_found find(struct request *request, struct api *api, int8_t key_type)
{
    if (key_type != KEY_GROUP && key_type != KEY_TRANSACTION)
        return refuse(KAFKA_INVALID_REQUEST,
                      "Only groups and transactions have coordinators here.");
    int64_t unused; /* waited for before */
    if (err_failed(prepare(api, key_type, &unused)))
        return refuse(KAFKA_COORDINATOR_NOT_AVAILABLE, NULL);
    const struct listener_address *address =
        &api->broker->listeners->addresses[request_listener(request)];
    return (struct coordinator_found){
        .node_id = (int32_t)config_number(api->broker->config, CONFIG_NODE_ID),
        .host = span_text(address->advertised_host),
        .port = address->advertised_port,
    };
}

static struct err fill_several(struct request *request,
                               const struct find_coordinator_request *asked,
                               const struct coordinator_found *found,
                               struct find_coordinator_response *response)
{
    size_t count = (size_t)asked->coordinator_keys_count;
    response->coordinators =
        arena_alloc_array(&request->arena, count, sizeof *response->coordinators);
    if (response->coordinators == NULL)
        return err_make(ERR_NO_MEMORY);
    response->coordinators_count = asked->coordinator_keys_count;
    for (size_t i = 0; i < count; i++) {
        struct find_coordinator_response_coordinator *one = &response->coordinators[i];
        one->key = asked->coordinator_keys[i];
        one->node_id = found->node_id;
        one->host = found->host;
        one->port = found->port;
        one->error_code = found->error_code;
        one->error_message = found->message;
    }
    return ERR_NONE;
}

static struct err find_resume(struct request *request)
{
    struct find_work *work = request->parked;
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    struct coordinator_found found = find(request, work->api, work->asked.key_type);
    if (request->version >= 4) {
        TRY(fill_several(request, &work->asked, &found, &response));
    } else {
        response.node_id = found.node_id;
        response.host = found.host;
        response.port = found.port;
        response.error_code = found.error_code;
        response.error_message = found.message;
    }
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(find_coordinator_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}

struct err find_coordinator_handle(struct request *request, struct api *api)
{
    struct find_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(find_coordinator_request_decode(&request->body, request->version, &request->arena,
                                        &work->asked));
    work->wait.request = request;
    work->api = api;
    request->parked = work;
    int64_t commit;
    bool is_served = work->asked.key_type == KEY_GROUP || work->asked.key_type == KEY_TRANSACTION;
    if (is_served && err_is(prepare(api, work->asked.key_type, &commit), ERR_AGAIN) &&
        commit_wait_park_admin(&work->wait, api->broker, commit, find_resume))
        return ERR_NONE;
    return find_resume(request);
}
