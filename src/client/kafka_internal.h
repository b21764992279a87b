/* kafka_internal: what the files share that fill the client's vtable with librdkafka. */
#ifndef HEADRACE_CLIENT_KAFKA_INTERNAL_H
#define HEADRACE_CLIENT_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>

#include "client/client.h"

#define KAFKA_MAGIC 0x6b61666b

/* What librdkafka has said of places, and waits to be answered. */
struct kafka_places {
    rd_kafka_topic_partition_list_t *list; /* NULL: nothing */
    struct client_offset *views;           /* the same for the caller */
    enum client_event_kind kind;
    bool is_told; /* the caller has received the event */
};

struct kafka {
    struct client client; /* first: the vtable's functions get a pointer to it */
    uint32_t magic;
    int32_t timeout_ms;
    rd_kafka_t *handle;
    rd_kafka_queue_t *answers;                             /* of admin requests, one at a time */
    rd_kafka_AdminOptions_t *options;                      /* the time-out */
    rd_kafka_message_t *borrowed;                          /* the last received */
    struct client_header headers[CLIENT_HEADER_COUNT_MAX]; /* of borrowed */
    struct client_counts counts;
    rd_kafka_resp_err_t failure; /* of the first message that failed */
    bool is_subscribed;
    bool is_joined;              /* the caller minds its places */
    bool is_closing;             /* and minds them no more */
    struct kafka_places places;  /* that came or go */
    rd_kafka_message_t *stashed; /* came with their event, and is the next */
    rd_kafka_queue_t *woken;     /* by client_wake_by */
    bool is_refused;             /* every broker known is down */
    char trouble[256];           /* librdkafka's last words about a connection */
};

/* The librdkafka side of a client made by kafka.c. */
struct kafka *kafka_of(struct client *client);

/* The error for librdkafka's code. text: its words, or NULL for the code's own. */
MUST_USE struct err kafka_fail(rd_kafka_resp_err_t code, const char *text, struct diag *diag);

/*
 * Waits for the answer to the admin request just made. On success the caller destroys *event. An
 * error of the request as a whole is returned; those of its parts are the caller's to find.
 */
MUST_USE struct err kafka_answer(struct kafka *kafka, rd_kafka_event_t **event, struct diag *diag);

/* Copies a C string into the arena; NULL stays NULL. */
MUST_USE struct err kafka_text(struct arena *arena, const char *text, const char **out);

struct err kafka_cluster(struct client *client, const char *topic, struct arena *arena,
                         struct client_cluster *out, struct diag *diag);
struct err kafka_topic_create(struct client *client, const struct client_new_topic *topic,
                              struct diag *diag);
struct err kafka_topic_delete(struct client *client, const char *topic, struct diag *diag);
struct err kafka_topic_grow(struct client *client, const char *topic, int32_t partition_count,
                            struct diag *diag);
struct err kafka_configs(struct client *client, const char *topic, struct arena *arena,
                         struct client_config **out, size_t *count, struct diag *diag);
struct err kafka_configs_change(struct client *client, const char *topic,
                                const struct client_property *changes, size_t count,
                                struct diag *diag);
struct err kafka_offsets_find(struct client *client, struct client_offset *offsets, size_t count,
                              struct diag *diag);
struct err kafka_groups(struct client *client, struct arena *arena, struct client_group **out,
                        size_t *count, struct diag *diag);
struct err kafka_group_describe(struct client *client, const char *group, struct arena *arena,
                                struct client_group_detail *out, struct diag *diag);
struct err kafka_group_delete(struct client *client, const char *group, struct diag *diag);
struct err kafka_group_offsets(struct client *client, const char *group, struct arena *arena,
                               struct client_offset **out, size_t *count, struct diag *diag);
struct err kafka_group_offsets_set(struct client *client, const char *group,
                                   const struct client_offset *offsets, size_t count,
                                   struct diag *diag);
struct err kafka_send(struct client *client, const struct client_message *message,
                      struct diag *diag);
struct err kafka_flush(struct client *client, int32_t timeout_ms, struct client_counts *counts,
                       struct diag *diag);
struct err kafka_assign(struct client *client, const struct client_offset *offsets, size_t count,
                        struct diag *diag);
struct err kafka_subscribe(struct client *client, const char *topic, struct diag *diag);
struct err kafka_receive(struct client *client, int32_t timeout_ms, struct client_event *event,
                         struct diag *diag);
struct err kafka_commit(struct client *client, struct diag *diag);

/* The error for librdkafka's error object, which is destroyed; NULL is none. */
MUST_USE struct err kafka_fail_error(rd_kafka_error_t *error, struct diag *diag);

/* The places as librdkafka wants them; the caller destroys the list. */
rd_kafka_topic_partition_list_t *kafka_place_list(const struct client_offset *offsets,
                                                  size_t count);

/* librdkafka's word that places come or go; called while polling. */
void kafka_rebalanced(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                      rd_kafka_topic_partition_list_t *places, void *opaque);

/* Fills in the event that the caller has to be told, if there is one. ERR_NO_MEMORY. */
MUST_USE struct err kafka_tell_places(struct kafka *kafka, struct client_event *event);

/* Fences older senders of the transactional id. Errors as client_begin. */
MUST_USE struct err kafka_init_transactions(struct kafka *kafka, struct diag *diag);

struct err kafka_join(struct client *client, const char *const *topics, size_t count,
                      struct diag *diag);
struct err kafka_take(struct client *client, const struct client_offset *offsets, size_t count,
                      struct diag *diag);
struct err kafka_release(struct client *client, struct diag *diag);
struct err kafka_pause(struct client *client, const struct client_offset *places, size_t count,
                       bool is_paused, struct diag *diag);
struct err kafka_committed(struct client *client, struct client_offset *offsets, size_t count,
                           struct arena *arena, struct diag *diag);
struct err kafka_offsets_commit(struct client *client, const struct client_offset *offsets,
                                size_t count, struct diag *diag);
void kafka_wake_by(struct client *client, int fd);
int32_t kafka_generation(struct client *client);
struct err kafka_begin(struct client *client, struct diag *diag);
struct err kafka_offsets_add(struct client *client, struct client *receiver,
                             const struct client_offset *offsets, size_t count, struct diag *diag);
struct err kafka_end(struct client *client, bool is_commit, struct diag *diag);

/* Counts what became of a sent message; called while polling. */
void kafka_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque);

#endif
