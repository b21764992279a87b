/*
 * fetch_session: fetch sets that outlive a request (KIP-227), so that a consumer of many partitions
 * names only what has changed, and is told only what is new.
 *
 * A session is used by one request at a time. When there are as many as
 * max.incremental.fetch.session.cache.slots, a new one takes the place of the one unused longest,
 * if that was two minutes ago or more; otherwise the client does without.
 */
#ifndef HEADRACE_API_FETCH_SESSION_H
#define HEADRACE_API_FETCH_SESSION_H

#include "api/fetch_set.h"

struct fetch_sessions;

struct fetch_session {
    struct list link; /* by last use, the longest unused first */
    int32_t id;
    int32_t epoch; /* of the next request */
    bool is_busy;  /* a request uses the set */
    bool is_dropped;
    int64_t used_ms;
    struct fetch_set set;
};

MUST_USE struct err fetch_sessions_create(struct broker *broker, struct fetch_sessions **out);
void fetch_sessions_destroy(struct fetch_sessions *sessions);

/*
 * Takes the session of a request that continues it. KAFKA_NONE and *out, to be given back by
 * fetch_session_release; or the error code: unknown id, wrong epoch, or in use.
 */
int16_t fetch_session_take(struct fetch_sessions *sessions, int32_t id, int32_t epoch,
                           struct fetch_session **out);

/* Makes a session for a first full fetch and takes it. NULL where there is no room or memory. */
struct fetch_session *fetch_session_open(struct fetch_sessions *sessions, bool uses_ids);

/* Gives the session back. */
void fetch_session_release(struct fetch_sessions *sessions, struct fetch_session *session);

/* Ends a session; harmless where it does not exist. */
void fetch_session_close(struct fetch_sessions *sessions, int32_t id);

size_t fetch_session_count(struct fetch_sessions *sessions);

#endif
