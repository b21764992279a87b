/* describe_cluster: the cluster's id and its one broker (KIP-700). */
#include "wire/describe_cluster.h"
#include "api/handlers.h"
#include "api/operations.h"

enum endpoint_type { ENDPOINT_BROKERS = 1 };

struct err describe_cluster_handle(struct request *request, struct broker *broker)
{
    struct describe_cluster_request asked;
    struct describe_cluster_response response;
    TRY(describe_cluster_request_decode(&request->body, request->version, &request->arena, &asked));
    const struct listener_address *address =
        &broker->listeners->addresses[request_listener(request)];
    struct describe_cluster_response_broker self = {
        .broker_id = (int32_t)config_number(broker->config, CONFIG_NODE_ID),
        .host = span_text(address->advertised_host),
        .port = address->advertised_port,
    };
    describe_cluster_response_init(&response);
    response.cluster_id = span_text(broker->cluster_id);
    if (asked.endpoint_type == ENDPOINT_BROKERS) {
        response.controller_id = self.broker_id;
        response.brokers = &self;
        response.brokers_count = 1;
    } else {
        response.error_code = KAFKA_MISMATCHED_ENDPOINT_TYPE;
        response.error_message = span_text("This is a broker; there is no controller to ask.");
    }
    if (asked.include_cluster_authorized_operations)
        response.cluster_authorized_operations = OPERATIONS_CLUSTER;
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(describe_cluster_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
