/*
 * api_versions: what this broker speaks (KIP-35, KIP-511, KIP-584).
 *
 * Three traps: Produce is advertised from version 0, though 0 to 2 are refused, because librdkafka
 * otherwise turns compression off (KAFKA-18659). A version of ApiVersions that is not known gets a
 * version 0 answer. Features whose lowest level is 0 are left out below version 4 (KAFKA-17011).
 */
#include "wire/api_versions.h"
#include "api/dispatch.h"
#include "api/handlers.h"

struct feature {
    const char *name;
    int16_t level_min;
    int16_t level_max; /* the finalised level, too */
};

/* metadata.version 30 is Kafka 4.3's; group.version 1 stands for the group coordinator of KIP-848;
 * transaction.version 2 makes clients follow KIP-890. */
static const struct feature features[] = {
    {"metadata.version", 7, 30},
    {"group.version", 0, 1},
    {"transaction.version", 0, 2},
};

#define FEATURE_COUNT (sizeof features / sizeof features[0])

struct versions_tables {
    struct api_versions_response_api apis[API_COUNT];
    struct api_versions_response_supported_feature supported[FEATURE_COUNT];
    struct api_versions_response_finalized_feature finalized[FEATURE_COUNT];
};

static void fill_apis(struct api_versions_response *response, struct versions_tables *tables)
{
    response->api_keys = tables->apis;
    for (int16_t key = 0; key <= API_KEY_MAX; key++) {
        int16_t version_min;
        int16_t version_max;
        if (!dispatch_versions(key, &version_min, &version_max))
            continue;
        tables->apis[response->api_keys_count++] = (struct api_versions_response_api){
            .api_key = key,
            .min_version = key == API_PRODUCE ? 0 : version_min,
            .max_version = version_max,
        };
    }
}

static void fill_features(struct api_versions_response *response, struct versions_tables *tables,
                          int16_t version)
{
    response->supported_features = tables->supported;
    response->finalized_features = tables->finalized;
    response->finalized_features_epoch = 0;
    for (size_t i = 0; i < FEATURE_COUNT; i++) {
        struct span name = span_text(features[i].name);
        if (features[i].level_min > 0 || version >= 4) {
            tables->supported[response->supported_features_count++] =
                (struct api_versions_response_supported_feature){
                    .name = name,
                    .min_version = features[i].level_min,
                    .max_version = features[i].level_max,
                };
        }
        tables->finalized[response->finalized_features_count++] =
            (struct api_versions_response_finalized_feature){
                .name = name,
                .max_version_level = features[i].level_max,
                .min_version_level = features[i].level_max,
            };
    }
}

struct err api_versions_handle(struct request *request, struct api *api)
{
    (void)api;
    struct api_versions_response response;
    struct versions_tables *tables = arena_alloc(&request->arena, sizeof *tables);
    if (tables == NULL)
        return err_make(ERR_NO_MEMORY);
    api_versions_response_init(&response);
    int16_t version_min;
    int16_t version_max;
    bool is_known = dispatch_versions(API_API_VERSIONS, &version_min, &version_max) &&
                    request->version >= version_min && request->version <= version_max;
    if (is_known) {
        struct api_versions_request asked;
        TRY(api_versions_request_decode(&request->body, request->version, &request->arena, &asked));
    } else {
        request->version = 0;
        response.error_code = KAFKA_UNSUPPORTED_VERSION;
    }
    fill_apis(&response, tables);
    if (request->version >= 3)
        fill_features(&response, tables, request->version);
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(api_versions_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}
