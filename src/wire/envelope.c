/* envelope: headers of requests and answers. */
#include "wire/envelope.h"

const struct api_info *api_find(int16_t key)
{
    size_t low = 0;
    size_t high = API_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (api_table[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == API_COUNT || api_table[low].key != key)
        return NULL;
    return &api_table[low];
}

bool api_is_flexible(const struct api_info *api, int16_t version)
{
    return api->flexible_min != API_FLEXIBLE_NEVER && version >= api->flexible_min;
}

int16_t api_version_max_stable(const struct api_info *api)
{
    CHECK(!api->unstable || api->version_max > api->version_min);
    return api->unstable ? (int16_t)(api->version_max - 1) : api->version_max;
}

static int16_t request_header_version(const struct api_info *api, int16_t version)
{
    return api_is_flexible(api, version) ? 2 : 1;
}

struct err envelope_read_request(struct reader *reader, struct arena *arena,
                                 struct request_header *out, const struct api_info **api)
{
    struct reader ahead = *reader;
    int16_t key;
    int16_t version;
    TRY(reader_read_int16(&ahead, &key));
    TRY(reader_read_int16(&ahead, &version));
    const struct api_info *found = api_find(key);
    if (found == NULL)
        return err_make(ERR_UNSUPPORTED);
    struct request_header header;
    TRY(request_header_decode(reader, request_header_version(found, version), arena, &header));
    CHECK(header.request_api_key == key);
    if (span_is_null(header.client_id))
        header.client_id = SPAN_EMPTY;
    *out = header;
    *api = found;
    return ERR_NONE;
}

struct err envelope_write_request(struct writer *writer, const struct request_header *header)
{
    const struct api_info *api = api_find(header->request_api_key);
    CHECK(api != NULL);
    int16_t version = request_header_version(api, header->request_api_version);
    return request_header_encode(writer, version, header);
}

struct err envelope_write_response(struct writer *writer, const struct api_info *api,
                                   int16_t version, int32_t correlation_id)
{
    struct response_header header;
    response_header_init(&header);
    header.correlation_id = correlation_id;
    bool tagged = api_is_flexible(api, version) && api->key != API_API_VERSIONS;
    return response_header_encode(writer, tagged ? 1 : 0, &header);
}
