/*
 * client: a connection to a Kafka cluster.
 *
 * A vtable, so that a simulator can stand in for the cluster; client_kafka is librdkafka's.
 *
 * Owners: whoever opened a client closes it. Answers are built in the caller's arena and live as
 * long as it is not reset; sent messages are copied; a received one is borrowed until the next
 * receive or close. Threads: one at a time per client.
 *
 * Errors of every function that asks: ERR_CLOSED (no server is there), ERR_TIMEOUT, ERR_NOT_FOUND
 * (topic, partition or group), ERR_EXISTS (topic), ERR_BUSY (the group has members), ERR_DENIED,
 * ERR_NO_MEMORY, ERR_LIMIT (the arena is full, a message is too large), and ERR_INVALID with the
 * server's own words.
 */
#ifndef HEADRACE_CLIENT_CLIENT_H
#define HEADRACE_CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* A property of Kafka's clients by its usual name, as bootstrap.servers. A topic's config too. */
struct client_property {
    const char *name;
    const char *value; /* in a change: NULL goes back to the default */
};

enum client_kind { CLIENT_SENDER, CLIENT_RECEIVER };

struct client_settings {
    enum client_kind kind;
    const struct client_property *properties; /* the later of two of one name wins */
    size_t property_count;
    int32_t timeout_ms; /* for each request, and for finding a server */
};

struct client_partition {
    int32_t id;
    int32_t leader; /* -1: none */
    size_t replica_count;
    size_t insync_count;
};

struct client_topic {
    const char *name;
    struct client_partition *partitions; /* by id, from 0 */
    size_t partition_count;
};

struct client_broker {
    int32_t id;
    int32_t port;
    const char *host;
};

struct client_cluster {
    const char *id; /* "" where the server names none */
    int32_t controller;
    struct client_broker *brokers;
    size_t broker_count;
    struct client_topic *topics;
    size_t topic_count;
};

struct client_new_topic {
    const char *name;
    int32_t partition_count;    /* -1: the server's default */
    int32_t replication_factor; /* -1: the server's default */
    const struct client_property *configs;
    size_t config_count;
};

struct client_config {
    const char *name;
    const char *value;  /* NULL: none, or hidden */
    const char *source; /* "topic", "broker", "default" ... */
    bool is_default;
};

struct client_group {
    const char *name;
    const char *state; /* "Stable", "Empty" ... as Kafka's tools write it */
    const char *type;  /* "Classic", "Consumer" */
};

/* A place in a partition, as answer or as question. */
struct client_offset {
    const char *topic;
    int32_t partition;
    int64_t offset; /* asked: see CLIENT_OFFSET_; otherwise a time in ms. Answered: -1 is none */
    const char *metadata; /* committed with the offset, up to 4,096 bytes; NULL: none */
};

#define CLIENT_OFFSET_LATEST (-1)
#define CLIENT_OFFSET_EARLIEST (-2)

struct client_member {
    const char *id;
    const char *client_id;
    const char *host;
    struct client_offset *assigned; /* offset unused */
    size_t assigned_count;
};

struct client_group_detail {
    const char *state;
    const char *assignor;
    int32_t coordinator;
    struct client_member *members;
    size_t member_count;
};

struct client_header {
    const char *name;
    struct span value;
};

/* Headers of one message that are kept; a longer list is cut. */
#define CLIENT_HEADER_COUNT_MAX 256

struct client_message {
    const char *topic;
    int32_t partition; /* sent: -1 lets the key, or chance, decide */
    int64_t offset;
    int64_t timestamp_ms; /* sent: 0 is now; received: -1 is none */
    struct span key;
    struct span value;
    const struct client_header *headers;
    size_t header_count;
    void *tag; /* sent: comes back in client_counts when this message has failed */
};

/* The last three and RESET come to clients that joined alone; each of ASSIGNED, REVOKED and LOST
 * is to be answered before the next of them comes. */
enum client_event_kind {
    CLIENT_EVENT_NONE,     /* the time has passed */
    CLIENT_EVENT_MESSAGE,  /* message is whole */
    CLIENT_EVENT_END,      /* message has topic, partition and the end's offset alone */
    CLIENT_EVENT_RESET,    /* message has topic and partition: nothing is at its offset any more */
    CLIENT_EVENT_ASSIGNED, /* places are given: answer with client_take */
    CLIENT_EVENT_REVOKED,  /* places are asked back: commit, then answer with client_release */
    CLIENT_EVENT_LOST      /* places are another's already: answer with client_release */
};

struct client_event {
    enum client_event_kind kind;
    struct client_message message;
    const struct client_offset *places; /* offsets unused; until the answer */
    size_t place_count;
};

/* What became of the messages of one sender. */
struct client_counts {
    int64_t acknowledged;
    int64_t failed;
    int64_t waiting;
    void *failed_tag; /* of the first that failed */
};

struct client {
    const struct client_ops *ops;
};

struct client_sender_ops {
    struct err (*send)(struct client *client, const struct client_message *message,
                       struct diag *diag);
    struct err (*flush)(struct client *client, int32_t timeout_ms, struct client_counts *counts,
                        struct diag *diag);
    struct err (*begin)(struct client *client, struct diag *diag);
    struct err (*offsets_add)(struct client *client, struct client *receiver,
                              const struct client_offset *offsets, size_t count, struct diag *diag);
    struct err (*end)(struct client *client, bool is_commit, struct diag *diag);
};

struct client_receiver_ops {
    struct err (*assign)(struct client *client, const struct client_offset *offsets, size_t count,
                         struct diag *diag);
    struct err (*subscribe)(struct client *client, const char *topic, struct diag *diag);
    struct err (*receive)(struct client *client, int32_t timeout_ms, struct client_event *event,
                          struct diag *diag);
    struct err (*commit)(struct client *client, struct diag *diag);
    struct err (*join)(struct client *client, const char *const *topics, size_t count,
                       struct diag *diag);
    struct err (*take)(struct client *client, const struct client_offset *offsets, size_t count,
                       struct diag *diag);
    struct err (*release)(struct client *client, struct diag *diag);
    struct err (*pause)(struct client *client, const struct client_offset *places, size_t count,
                        bool is_paused, struct diag *diag);
    struct err (*committed)(struct client *client, struct client_offset *offsets, size_t count,
                            struct arena *arena, struct diag *diag);
    struct err (*offsets_commit)(struct client *client, const struct client_offset *offsets,
                                 size_t count, struct diag *diag);
    void (*wake_by)(struct client *client, int fd);
    int32_t (*generation)(struct client *client);
};

struct client_ops {
    struct err (*open)(const struct client_settings *settings, struct client **client,
                       struct diag *diag);
    void (*close)(struct client *client);
    struct err (*cluster)(struct client *client, const char *topic, struct arena *arena,
                          struct client_cluster *out, struct diag *diag);
    struct err (*topic_create)(struct client *client, const struct client_new_topic *topic,
                               struct diag *diag);
    struct err (*topic_delete)(struct client *client, const char *topic, struct diag *diag);
    struct err (*topic_grow)(struct client *client, const char *topic, int32_t partition_count,
                             struct diag *diag);
    struct err (*configs)(struct client *client, const char *topic, struct arena *arena,
                          struct client_config **out, size_t *count, struct diag *diag);
    struct err (*configs_change)(struct client *client, const char *topic,
                                 const struct client_property *changes, size_t count,
                                 struct diag *diag);
    struct err (*offsets_find)(struct client *client, struct client_offset *offsets, size_t count,
                               struct diag *diag);
    struct err (*groups)(struct client *client, struct arena *arena, struct client_group **out,
                         size_t *count, struct diag *diag);
    struct err (*group_describe)(struct client *client, const char *group, struct arena *arena,
                                 struct client_group_detail *out, struct diag *diag);
    struct err (*group_delete)(struct client *client, const char *group, struct diag *diag);
    struct err (*group_offsets)(struct client *client, const char *group, struct arena *arena,
                                struct client_offset **out, size_t *count, struct diag *diag);
    struct err (*group_offsets_set)(struct client *client, const char *group,
                                    const struct client_offset *offsets, size_t count,
                                    struct diag *diag);
    struct client_sender_ops sender;
    struct client_receiver_ops receiver;
};

/* librdkafka. Constant. */
extern const struct client_ops client_kafka;

/*
 * Connects and waits until a server answers. ERR_INVALID: an unknown or ill-typed property; beside
 * the errors above. The caller closes *client.
 */
MUST_USE static inline struct err client_open(const struct client_ops *ops,
                                              const struct client_settings *settings,
                                              struct client **client, struct diag *diag)
{
    return ops->open(settings, client, diag);
}

/* Ends the connection; a group is left in order. Unsent messages are dropped. NULL is ignored. */
static inline void client_close(struct client *client)
{
    if (client != NULL)
        client->ops->close(client);
}

/* Brokers and topics: all, or the named one alone (ERR_NOT_FOUND). Creates nothing. */
MUST_USE static inline struct err client_cluster(struct client *client, const char *topic,
                                                 struct arena *arena, struct client_cluster *out,
                                                 struct diag *diag)
{
    return client->ops->cluster(client, topic, arena, out, diag);
}

MUST_USE static inline struct err
client_topic_create(struct client *client, const struct client_new_topic *topic, struct diag *diag)
{
    return client->ops->topic_create(client, topic, diag);
}

MUST_USE static inline struct err client_topic_delete(struct client *client, const char *topic,
                                                      struct diag *diag)
{
    return client->ops->topic_delete(client, topic, diag);
}

/* Makes the topic's partitions partition_count in all. */
MUST_USE static inline struct err client_topic_grow(struct client *client, const char *topic,
                                                    int32_t partition_count, struct diag *diag)
{
    return client->ops->topic_grow(client, topic, partition_count, diag);
}

/* The topic's configs, sorted by name. */
MUST_USE static inline struct err client_configs(struct client *client, const char *topic,
                                                 struct arena *arena, struct client_config **out,
                                                 size_t *count, struct diag *diag)
{
    return client->ops->configs(client, topic, arena, out, count, diag);
}

/* Sets the given configs and leaves the others; all or none. */
MUST_USE static inline struct err client_configs_change(struct client *client, const char *topic,
                                                        const struct client_property *changes,
                                                        size_t count, struct diag *diag)
{
    return client->ops->configs_change(client, topic, changes, count, diag);
}

/* Replaces each question by its offset: earliest, latest, or the first at or after a time in ms. */
MUST_USE static inline struct err client_offsets_find(struct client *client,
                                                      struct client_offset *offsets, size_t count,
                                                      struct diag *diag)
{
    return client->ops->offsets_find(client, offsets, count, diag);
}

/* All groups, sorted by name. */
MUST_USE static inline struct err client_groups(struct client *client, struct arena *arena,
                                                struct client_group **out, size_t *count,
                                                struct diag *diag)
{
    return client->ops->groups(client, arena, out, count, diag);
}

MUST_USE static inline struct err client_group_describe(struct client *client, const char *group,
                                                        struct arena *arena,
                                                        struct client_group_detail *out,
                                                        struct diag *diag)
{
    return client->ops->group_describe(client, group, arena, out, diag);
}

MUST_USE static inline struct err client_group_delete(struct client *client, const char *group,
                                                      struct diag *diag)
{
    return client->ops->group_delete(client, group, diag);
}

/* The group's committed offsets, sorted by topic and partition; none where it never committed. */
MUST_USE static inline struct err client_group_offsets(struct client *client, const char *group,
                                                       struct arena *arena,
                                                       struct client_offset **out, size_t *count,
                                                       struct diag *diag)
{
    return client->ops->group_offsets(client, group, arena, out, count, diag);
}

/* Commits offsets for a group without members. */
MUST_USE static inline struct err client_group_offsets_set(struct client *client, const char *group,
                                                           const struct client_offset *offsets,
                                                           size_t count, struct diag *diag)
{
    return client->ops->group_offsets_set(client, group, offsets, count, diag);
}

/*
 * Queues one message; waits while the queue is full, up to the settings' time-out. What becomes of
 * it, client_flush tells. ERR_LIMIT: the message is too large.
 */
MUST_USE static inline struct err
client_send(struct client *client, const struct client_message *message, struct diag *diag)
{
    return client->ops->sender.send(client, message, diag);
}

/*
 * Waits until all messages are acknowledged or failed, at most timeout_ms (0: only looks). counts
 * is always filled. An error is the first failed message's.
 */
MUST_USE static inline struct err client_flush(struct client *client, int32_t timeout_ms,
                                               struct client_counts *counts, struct diag *diag)
{
    return client->ops->sender.flush(client, timeout_ms, counts, diag);
}

/* Receives from these places on, without a group. */
MUST_USE static inline struct err client_assign(struct client *client,
                                                const struct client_offset *offsets, size_t count,
                                                struct diag *diag)
{
    return client->ops->receiver.assign(client, offsets, count, diag);
}

/* Receives as a member of the group that the property group.id names. */
MUST_USE static inline struct err client_subscribe(struct client *client, const char *topic,
                                                   struct diag *diag)
{
    return client->ops->receiver.subscribe(client, topic, diag);
}

/* The next event, waiting up to timeout_ms. Asking for it says that the one before is done with. */
MUST_USE static inline struct err client_receive(struct client *client, int32_t timeout_ms,
                                                 struct client_event *event, struct diag *diag)
{
    return client->ops->receiver.receive(client, timeout_ms, event, diag);
}

/* Commits all that was received, the last message included. */
MUST_USE static inline struct err client_commit(struct client *client, struct diag *diag)
{
    return client->ops->receiver.commit(client, diag);
}

/*
 * Receives as a member of the group that the property group.id names, whose places the caller
 * minds: they come and go by events (cooperative rebalancing, KIP-429), and nothing is committed
 * but by client_offsets_commit and client_offsets_add. topics: some of them may not exist yet.
 */
MUST_USE static inline struct err client_join(struct client *client, const char *const *topics,
                                              size_t count, struct diag *diag)
{
    return client->ops->receiver.join(client, topics, count, diag);
}

/* Answers ASSIGNED: receives all its places from these offsets on. Again for a place that it has
 * (after RESET): goes on from there. */
MUST_USE static inline struct err client_take(struct client *client,
                                              const struct client_offset *offsets, size_t count,
                                              struct diag *diag)
{
    return client->ops->receiver.take(client, offsets, count, diag);
}

/* Answers REVOKED and LOST: the event's places are let go, and no message of theirs comes. */
MUST_USE static inline struct err client_release(struct client *client, struct diag *diag)
{
    return client->ops->receiver.release(client, diag);
}

/* Stops or resumes what comes of these places, all of them the client's own. Messages that were
 * not received yet come after the resumption, each once. */
MUST_USE static inline struct err client_pause(struct client *client,
                                               const struct client_offset *places, size_t count,
                                               bool is_paused, struct diag *diag)
{
    return client->ops->receiver.pause(client, places, count, is_paused, diag);
}

/*
 * Fills in what the client's group has committed: offset (-1: nothing) and metadata (in the
 * arena). ERR_AGAIN or ERR_TIMEOUT: a transaction about one of them has not ended yet (KIP-447).
 */
MUST_USE static inline struct err client_committed(struct client *client,
                                                   struct client_offset *offsets, size_t count,
                                                   struct arena *arena, struct diag *diag)
{
    return client->ops->receiver.committed(client, offsets, count, arena, diag);
}

/* Commits these offsets as a member. ERR_ABORTED: the group has moved on meanwhile; the next
 * receive tells. */
MUST_USE static inline struct err client_offsets_commit(struct client *client,
                                                        const struct client_offset *offsets,
                                                        size_t count, struct diag *diag)
{
    return client->ops->receiver.offsets_commit(client, offsets, count, diag);
}

/* The generation of the member's group, as it knows it; -1: it is no member now. */
static inline int32_t client_generation(struct client *client)
{
    return client->ops->receiver.generation(client);
}

/* From now on 8 bytes are written to the descriptor (an eventfd) when something may be there to be
 * received. The descriptor outlives the client. */
static inline void client_wake_by(struct client *client, int fd)
{
    client->ops->receiver.wake_by(client, fd);
}

/*
 * Transactions (KIP-98), of a sender with the property transactional.id: what is sent between
 * begin and a successful end is seen as a whole, with the offsets added, or not at all. Opening
 * such a sender fences older ones of its id and ends their transactions.
 *
 * Errors: ERR_TIMEOUT: make the same call again. ERR_ABORTED: end it by aborting, then begin anew.
 * ERR_FENCED: this sender is of no use any more; close it.
 */
MUST_USE static inline struct err client_begin(struct client *client, struct diag *diag)
{
    return client->ops->sender.begin(client, diag);
}

/*
 * Adds offsets of the receiver's group, as of its generation now: when the group has moved on
 * since, ERR_ABORTED. The receiver may be in use by another thread.
 */
MUST_USE static inline struct err client_offsets_add(struct client *client, struct client *receiver,
                                                     const struct client_offset *offsets,
                                                     size_t count, struct diag *diag)
{
    return client->ops->sender.offsets_add(client, receiver, offsets, count, diag);
}

/* Commits, once all that was sent is acknowledged, or aborts. A message that failed aborts. */
MUST_USE static inline struct err client_end(struct client *client, bool is_commit,
                                             struct diag *diag)
{
    return client->ops->sender.end(client, is_commit, diag);
}

#endif
