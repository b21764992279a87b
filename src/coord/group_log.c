/* group_log: a group's record in __consumer_offsets, written and read back. */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "coord/offsets_internal.h"
#include "wire/records/group_metadata.h"
#include "wire/records/offset_commit.h"

/* Packs key and value into bytes; *key_size says where the value begins. */
static struct err pack_group(const struct group *group, struct buf *bytes, size_t *key_size)
{
    struct group_metadata_value_member *members =
        calloc((size_t)group->member_count + 1, sizeof *members);
    if (members == NULL)
        return err_make(ERR_NO_MEMORY);
    struct group_metadata_value value;
    group_metadata_value_init(&value);
    value.protocol_type = span_is_null(group->protocol_type) ? span_text("") : group->protocol_type;
    value.generation = group->generation;
    value.protocol = group->protocol_name;
    value.leader = group->leader == NULL ? SPAN_NULL : group->leader->id;
    value.current_state_timestamp = group->state_ms;
    value.members = members;
    LIST_EACH (&group->members, link) {
        const struct member *member = LIST_ENTRY(link, struct member, link);
        struct span assignment = member->assignment;
        members[value.members_count++] = (struct group_metadata_value_member){
            .member_id = member->id,
            .group_instance_id = member->instance_id,
            .client_id = member->traits.client_id,
            .client_host = member->traits.client_host,
            .rebalance_timeout = member->traits.rebalance_timeout_ms,
            .session_timeout = member->traits.session_timeout_ms,
            .subscription = member_metadata(member, group->protocol_name),
            .assignment = span_is_null(assignment) ? span_text("") : assignment,
        };
    }
    struct group_metadata_key key = {.group = group->id};
    struct writer writer;
    writer_init(&writer, bytes, NULL, 0);
    struct err err = group_metadata_key_pack(&writer, &key);
    *key_size = bytes->size;
    if (!err_failed(err))
        err = group_metadata_value_pack(&writer, GROUP_METADATA_VALUE_VERSION_MAX, &value);
    free(members);
    return err;
}

/* Adds a record of packed key and value, unless packing failed with err; frees the bytes. */
static struct err add_packed(struct internal_batch *batch, struct buf *bytes, size_t key_size,
                             struct err err)
{
    if (!err_failed(err))
        err = internal_batch_add(batch, span_make(bytes->data, key_size),
                                 span_make(bytes->data + key_size, bytes->size - key_size));
    buf_deinit(bytes);
    return err;
}

struct err group_log_write(struct group *group, int64_t *end_offset)
{
    struct coord *coord = group->coord;
    struct buf bytes;
    size_t key_size = 0;
    struct internal_batch batch;
    buf_init(&bytes, INTERNAL_BATCH_SIZE_MAX);
    internal_batch_init(&batch, clock_wall_ms(coord->clock));
    struct err err = pack_group(group, &bytes, &key_size);
    err = add_packed(&batch, &bytes, key_size, err);
    if (!err_failed(err))
        err = internal_batch_append(&batch, coord_partition(coord, group->partition_index),
                                    end_offset, NULL);
    internal_batch_deinit(&batch);
    return err;
}

struct err group_log_add_offset(struct span group_id, const struct topic *topic, int32_t partition,
                                const struct committed_value *committed,
                                struct internal_batch *batch)
{
    struct offset_commit_key key = {
        .group = group_id, .topic = topic->name, .partition = partition};
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = committed->offset;
    value.leader_epoch = committed->leader_epoch;
    value.metadata = committed->metadata;
    value.commit_timestamp = committed->commit_ms;
    value.expire_timestamp = committed->expire_ms;
    value.topic_id = topic->id;
    struct buf bytes;
    struct writer writer;
    buf_init(&bytes, INTERNAL_BATCH_SIZE_MAX);
    writer_init(&writer, &bytes, NULL, 0);
    struct err err = offset_commit_key_pack(&writer, &key);
    size_t key_size = bytes.size;
    /* Only version 1 has a time of expiry; what it lacks is given up, as in Kafka. */
    int16_t version = committed->expire_ms < 0 ? OFFSET_COMMIT_VALUE_VERSION_MAX : 1;
    if (!err_failed(err))
        err = offset_commit_value_pack(&writer, version, &value);
    return add_packed(batch, &bytes, key_size, err);
}

/* Adds a tombstone for a packed key, unless packing failed with err; frees the key. */
static struct err add_tombstone(struct internal_batch *batch, struct buf *key, struct err err)
{
    if (!err_failed(err))
        err = internal_batch_add(batch, buf_span(key), SPAN_NULL);
    buf_deinit(key);
    return err;
}

struct err group_log_add_tombstone(struct group *group, struct internal_batch *batch)
{
    struct group_metadata_key key = {.group = group->id};
    struct buf bytes;
    struct writer writer;
    buf_init(&bytes, INTERNAL_BATCH_SIZE_MAX);
    writer_init(&writer, &bytes, NULL, 0);
    return add_tombstone(batch, &bytes, group_metadata_key_pack(&writer, &key));
}

struct err group_log_add_offset_tombstone(struct group *group, struct span topic, int32_t partition,
                                          struct internal_batch *batch)
{
    struct offset_commit_key key = {.group = group->id, .topic = topic, .partition = partition};
    struct buf bytes;
    struct writer writer;
    buf_init(&bytes, INTERNAL_BATCH_SIZE_MAX);
    writer_init(&writer, &bytes, NULL, 0);
    return add_tombstone(batch, &bytes, offset_commit_key_pack(&writer, &key));
}

/* Finds the group while loading, making it where it is missing. */
static struct err loading_group(struct coord_loading *loading, struct span id, bool is_wanted,
                                struct group **out)
{
    struct coord *coord = loading->coord;
    *out = map_get(&coord->groups, id);
    if (*out != NULL || !is_wanted)
        return ERR_NONE;
    TRY(group_create(coord, id, loading->partition_index, out));
    struct err err = map_put(&coord->groups, (*out)->id, *out);
    if (err_failed(err))
        group_destroy(*out);
    return err;
}

static struct err load_member(struct group *group, const struct group_metadata_value *value,
                              const struct group_metadata_value_member *loaded)
{
    struct join_group_request_protocol protocol = {.name = value->protocol,
                                                   .metadata = loaded->subscription};
    struct join_group_request request;
    join_group_request_init(&request);
    request.session_timeout_ms = loaded->session_timeout;
    request.rebalance_timeout_ms = loaded->rebalance_timeout;
    request.protocol_type = value->protocol_type;
    request.protocols = &protocol;
    request.protocols_count = 1;
    struct coord_client client = {.id = loaded->client_id, .host = loaded->client_host};
    struct member_setup setup = {.id = loaded->member_id,
                                 .instance_id = loaded->group_instance_id,
                                 .request = &request,
                                 .client = &client};
    struct member *member;
    TRY(group_add_member(group, &setup, &member));
    member->is_new = false;
    member->has_synced = true;
    if (span_equal(loaded->member_id, value->leader))
        group->leader = member;
    return blob_copy(loaded->assignment, &member->assignment);
}

/* Replaces a group's members and generation by what the record says. */
static struct err load_value(struct group *group, struct span bytes, struct arena *arena)
{
    struct group_metadata_value value;
    struct reader reader;
    reader_init(&reader, bytes);
    TRY(group_metadata_value_unpack(&reader, arena, &value));
    while (!list_is_empty(&group->members))
        group_remove_member(group, LIST_ENTRY(group->members.next, struct member, link));
    bool is_usable = value.members_count == 0 || !span_is_null(value.protocol);
    if (!is_usable)
        return err_make(ERR_CORRUPT);
    group->generation = value.generation;
    TRY(blob_replace(&group->protocol_type, value.protocol_type));
    TRY(blob_replace(&group->protocol_name, value.protocol));
    for (int32_t i = 0; i < value.members_count; i++)
        TRY(load_member(group, &value, &value.members[i]));
    group->state = value.members_count == 0 ? GROUP_EMPTY : GROUP_STABLE;
    if (value.current_state_timestamp >= 0)
        group->state_ms = value.current_state_timestamp;
    return ERR_NONE;
}

static struct err visit_group(struct coord_loading *loading, struct reader *key,
                              const struct record *record)
{
    struct group_metadata_key decoded;
    TRY(group_metadata_key_decode(key, 0, &loading->arena, &decoded));
    struct group *group;
    bool is_tombstone = span_is_null(record->value);
    TRY(loading_group(loading, decoded.group, !is_tombstone, &group));
    if (!is_tombstone)
        return load_value(group, record->value, &loading->arena);
    if (group != NULL) {
        (void)map_remove(&loading->coord->groups, group->id);
        group_destroy(group);
    }
    return ERR_NONE;
}

static struct err visit_offset(struct coord_loading *loading, struct reader *key,
                               const struct batch_header *header, const struct record *record)
{
    struct offset_commit_key decoded;
    TRY(offset_commit_key_decode(key, 0, &loading->arena, &decoded));
    struct group *group;
    TRY(loading_group(loading, decoded.group, !span_is_null(record->value), &group));
    if (group == NULL || decoded.topic.size > TOPIC_NAME_SIZE_MAX)
        return ERR_NONE;
    return offsets_replay(group, decoded.topic, decoded.partition, header, record);
}

struct err group_log_visit_marker(void *context, const struct batch_header *header, bool is_commit)
{
    struct coord_loading *loading = context;
    coord_lock(loading->coord);
    offsets_transaction_end(loading->coord, loading->partition_index, header->producer_id,
                            is_commit, batch_last_offset(header) + 1);
    coord_unlock(loading->coord);
    return ERR_NONE;
}

struct err group_log_visit(void *context, const struct batch_header *header,
                           const struct record *record)
{
    struct coord_loading *loading = context;
    struct reader key;
    int16_t type;
    reader_init(&key, record->key);
    TRY(reader_read_int16(&key, &type));
    arena_reset(&loading->arena);
    struct err err = ERR_NONE;
    coord_lock(loading->coord);
    if (type == OFFSET_COMMIT_KEY_TYPE || type == 0)
        err = visit_offset(loading, &key, header, record);
    else if (type == GROUP_METADATA_KEY_TYPE)
        err = visit_group(loading, &key, record);
    coord_unlock(loading->coord); /* other kinds belong to protocols not served here */
    return err;
}
