/* dead_letter: headers, read and taken off. */
#include "flow/dead_letter.h"

#include <inttypes.h>

#include "base/number.h"

static struct span find(const struct client_message *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++) {
        if (strcmp(record->headers[i].name, name) == 0)
            return record->headers[i].value;
    }
    return SPAN_NULL;
}

/* Names of topics and groups: such as end up as C strings. */
static bool is_name(struct span text)
{
    return text.size > 0 && memchr(text.data, '\0', text.size) == NULL;
}

bool dead_letter_read(const struct client_message *record, struct dead_letter *out)
{
    *out = (struct dead_letter){
        .group = find(record, DEAD_LETTER_PREFIX "group"),
        .handler = find(record, DEAD_LETTER_PREFIX "handler"),
        .fault = find(record, DEAD_LETTER_PREFIX "class"),
        .message = find(record, DEAD_LETTER_PREFIX "message"),
        .time = find(record, DEAD_LETTER_PREFIX "time"),
        .topic = find(record, DEAD_LETTER_PREFIX "topic"),
    };
    (void)number_read(find(record, DEAD_LETTER_PREFIX "delivery.count"), &out->calls);
    (void)number_read(find(record, DEAD_LETTER_JOURNEYS), &out->journeys);
    return is_name(out->group) && is_name(out->topic) &&
           number_read(find(record, DEAD_LETTER_PREFIX "partition"), &out->partition) &&
           out->partition <= INT32_MAX &&
           number_read(find(record, DEAD_LETTER_PREFIX "offset"), &out->offset);
}

struct err dead_letter_restore(const struct client_message *record,
                               const struct dead_letter *letter, struct arena *arena,
                               struct client_message *out)
{
    struct client_header *headers =
        arena_alloc_array(arena, record->header_count + 1, sizeof *headers);
    const char *topic = arena_copy_text(arena, letter->topic);
    int64_t journeys = letter->journeys < INT64_MAX ? letter->journeys + 1 : INT64_MAX;
    const char *count = arena_print(arena, "%" PRId64, journeys);
    if (headers == NULL || topic == NULL || count == NULL)
        return err_make(ERR_NO_MEMORY);
    *out = (struct client_message){.topic = topic,
                                   .partition = (int32_t)letter->partition,
                                   .offset = letter->offset,
                                   .timestamp_ms = record->timestamp_ms,
                                   .key = record->key,
                                   .value = record->value,
                                   .headers = headers};
    for (size_t i = 0; i < record->header_count; i++) {
        const char *name = record->headers[i].name;
        if (strncmp(name, DEAD_LETTER_PREFIX, strlen(DEAD_LETTER_PREFIX)) != 0 &&
            strcmp(name, DEAD_LETTER_JOURNEYS) != 0)
            headers[out->header_count++] = record->headers[i];
    }
    headers[out->header_count++] = (struct client_header){DEAD_LETTER_JOURNEYS, span_text(count)};
    return ERR_NONE;
}
