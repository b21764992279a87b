/* topic_read: begins, ends, and what lies between. */
#include "cli/topic_read.h"

/* One wait for records. */
#define RECEIVE_SLICE_MS 200

/* Where reading of a topic ends. */
struct ends {
    struct client_offset *items; /* offset -1: reached */
    size_t count;
    size_t open_count;
};

/* Reads the topic's partitions from their begin; ends: where they end now. */
static struct err begin(struct session *session, const char *topic, struct ends *ends)
{
    struct client_cluster cluster;
    TRY(client_cluster(session->client, topic, &session->arena, &cluster, &session->diag));
    size_t count = cluster.topics[0].partition_count;
    struct client_offset *starts = arena_alloc_array(&session->arena, count, sizeof *starts);
    *ends = (struct ends){.items = arena_alloc_array(&session->arena, count, sizeof *starts)};
    if (starts == NULL || ends->items == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        starts[i] = (struct client_offset){
            .topic = topic, .partition = (int32_t)i, .offset = CLIENT_OFFSET_EARLIEST};
        ends->items[i] = starts[i];
        ends->items[i].offset = CLIENT_OFFSET_LATEST;
    }
    TRY(client_offsets_find(session->client, starts, count, &session->diag));
    TRY(client_offsets_find(session->client, ends->items, count, &session->diag));
    for (size_t i = 0; i < count; i++) {
        if (starts[i].offset >= ends->items[i].offset)
            continue;
        starts[ends->count] = starts[i];
        ends->items[ends->count++] = ends->items[i];
    }
    ends->open_count = ends->count;
    return client_assign(session->client, starts, ends->count, &session->diag);
}

/* Notes how far the partition was read. */
static void reach(struct ends *ends, int32_t partition, int64_t offset)
{
    for (size_t i = 0; i < ends->count; i++) {
        struct client_offset *end = &ends->items[i];
        if (end->partition != partition || end->offset < 0 || offset < end->offset)
            continue;
        end->offset = -1;
        ends->open_count--;
    }
}

struct err topic_read(struct session *session, const char *topic,
                      struct err (*take)(void *context, const struct client_message *record),
                      void *context)
{
    struct client_event event;
    struct ends ends;
    TRY(begin(session, topic, &ends));
    while (ends.open_count > 0) {
        TRY(client_receive(session->client, RECEIVE_SLICE_MS, &event, &session->diag));
        const struct client_message *record = &event.message;
        if (event.kind == CLIENT_EVENT_MESSAGE) {
            TRY(take(context, record));
            reach(&ends, record->partition, record->offset + 1);
        } else if (event.kind == CLIENT_EVENT_END) {
            reach(&ends, record->partition, record->offset);
        }
    }
    return ERR_NONE;
}
