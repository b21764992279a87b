/*
 * coord_seeds: what a coordinator really wrote, as coord_fuzz reads it.
 *
 *   coord_seeds DIR    writes one seed into the folder, which exists
 */
#include "support/coord_fixture.h"

#include "broker/internal_log.h"

#define PATH_SIZE_MAX 4096

static void append_span(struct buf *out, struct span bytes)
{
    if (bytes.size > 0)
        assert_ok(buf_append(out, bytes.data, bytes.size));
}

static struct err append_record(void *context, const struct record *record)
{
    struct buf *out = context;
    uint8_t sizes[4];
    store_u16(sizes, span_is_null(record->key) ? UINT16_MAX : (uint16_t)record->key.size);
    store_u16(sizes + 2, span_is_null(record->value) ? UINT16_MAX : (uint16_t)record->value.size);
    append_span(out, span_make(sizes, sizeof sizes));
    append_span(out, record->key);
    append_span(out, record->value);
    return ERR_NONE;
}

static void commit(struct coord_fixture *fixture)
{
    struct offset_commit_request_partition partition;
    offset_commit_request_partition_init(&partition);
    partition.committed_offset = 42;
    partition.committed_metadata = span_text("note");
    struct offset_commit_request_topic topic = {
        .name = span_text("events"), .partitions = &partition, .partitions_count = 1};
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = span_text("simple");
    request.topics = &topic;
    request.topics_count = 1;
    struct offset_commit_response response;
    struct coord_commit done;
    assert_ok(coord_commit_offsets(fixture->coord, &request, &fixture->arena, &response, &done));
    topic_unref(done.topic);
}

/* A group that comes, changes and goes, and offsets that are committed and forgotten. */
static void live(struct coord_fixture *fixture)
{
    struct client *leader = client_make(fixture);
    struct client *fixed = client_make(fixture);
    commit(fixture);
    clients_settle(fixture, (struct client *const[]){leader, fixed}, 2,
                   (struct join_words){.version = 3});
    coord_forget_topic(fixture->coord, span_text("events"));
    coord_fixture_pass(fixture, 60000); /* the members are gone */
    struct coord_commit deleted = {.topic = NULL};
    assert_int_equal(coord_delete_group(fixture->coord, span_text("g"), &deleted), KAFKA_NONE);
    topic_unref(deleted.topic);
    coord_fixture_flush(fixture);
}

int main(int argc, char **argv)
{
    static struct coord_fixture fixture;
    struct buf out;
    char path[PATH_SIZE_MAX];
    if (argc != 2)
        return 2;
    coord_fixture_init(&fixture);
    live(&fixture);
    buf_init(&out, SIZE_MAX);
    struct topic *topic = broker_find_topic(fixture.broker.broker, span_text("__consumer_offsets"));
    for (int32_t i = 0; i < topic_partition_count(topic); i++)
        assert_ok(internal_log_replay(topic_partition(topic, i), append_record, &out, NULL));
    topic_unref(topic);
    coord_fixture_deinit(&fixture);
    (void)snprintf(path, sizeof path, "%s/life", argv[1]);
    FILE *file = fopen(path, "wb");
    if (file == NULL || out.size == 0 || fwrite(out.data, 1, out.size, file) != out.size) {
        perror(path);
        return 1;
    }
    buf_deinit(&out);
    return fclose(file) == 0 ? 0 : 1;
}
