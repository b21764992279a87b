/* fetch_session: a bounded table of sessions with the longest unused in front. */
#include "api/fetch_session.h"

#include <stdlib.h>

#include "base/check.h"

/* Kafka's: a session that was used within this time is not pushed out by a new one. */
#define SESSION_KEPT_MS (120 * 1000)

struct fetch_sessions {
    struct broker *broker;
    struct os_mutex lock;
    struct map by_id;
    struct list by_use;
    size_t count_max;
};

struct err fetch_sessions_create(struct broker *broker, struct fetch_sessions **out)
{
    struct fetch_sessions *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL)
        return err_make(ERR_NO_MEMORY);
    sessions->broker = broker;
    sessions->count_max = (size_t)config_number(broker->config, CONFIG_FETCH_SESSION_SLOTS_MAX);
    os_mutex_init(&sessions->lock);
    map_init(&sessions->by_id, 0);
    list_init(&sessions->by_use);
    *out = sessions;
    return ERR_NONE;
}

static struct span id_key(const int32_t *id)
{
    return span_make(id, sizeof *id);
}

static void session_free(struct fetch_session *session)
{
    fetch_set_deinit(&session->set);
    free(session);
}

/* Takes the session out of the table; frees it now or when it is released. Under the lock. */
static struct fetch_session *session_drop(struct fetch_sessions *sessions,
                                          struct fetch_session *session)
{
    (void)map_remove(&sessions->by_id, id_key(&session->id));
    list_remove(&session->link);
    session->is_dropped = true;
    return session->is_busy ? NULL : session;
}

void fetch_sessions_destroy(struct fetch_sessions *sessions)
{
    if (sessions == NULL)
        return;
    while (!list_is_empty(&sessions->by_use)) {
        struct fetch_session *session =
            LIST_ENTRY(sessions->by_use.next, struct fetch_session, link);
        CHECK(!session->is_busy);
        session_free(session_drop(sessions, session));
    }
    map_deinit(&sessions->by_id);
    os_mutex_deinit(&sessions->lock);
    free(sessions);
}

int16_t fetch_session_take(struct fetch_sessions *sessions, int32_t id, int32_t epoch,
                           struct fetch_session **out)
{
    int16_t code = KAFKA_NONE;
    os_mutex_lock(&sessions->lock);
    struct fetch_session *session = map_get(&sessions->by_id, id_key(&id));
    if (session == NULL) {
        code = KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    } else if (session->is_busy || session->epoch != epoch) {
        code = KAFKA_INVALID_FETCH_SESSION_EPOCH;
    } else {
        session->is_busy = true;
        session->epoch = epoch == INT32_MAX ? 1 : epoch + 1;
        *out = session;
    }
    os_mutex_unlock(&sessions->lock);
    return code;
}

/* Makes room for one more; *freed is to be freed without the lock. */
static bool make_room(struct fetch_sessions *sessions, int64_t now_ms, struct fetch_session **freed)
{
    if (sessions->by_id.count < sessions->count_max)
        return true;
    if (list_is_empty(&sessions->by_use))
        return false;
    struct fetch_session *oldest = LIST_ENTRY(sessions->by_use.next, struct fetch_session, link);
    if (oldest->is_busy || now_ms - oldest->used_ms < SESSION_KEPT_MS)
        return false;
    *freed = session_drop(sessions, oldest);
    return true;
}

static int32_t choose_id(const struct fetch_sessions *sessions)
{
    int32_t id;
    do
        id = (int32_t)(random_u64(sessions->broker->os->random) & INT32_MAX);
    while (id == 0 || map_get(&sessions->by_id, id_key(&id)) != NULL);
    return id;
}

struct fetch_session *fetch_session_open(struct fetch_sessions *sessions, bool uses_ids)
{
    struct fetch_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    int64_t now_ms = clock_mono_ms(sessions->broker->os->clock);
    struct fetch_session *freed = NULL;
    os_mutex_lock(&sessions->lock);
    bool is_fine = make_room(sessions, now_ms, &freed);
    if (is_fine) {
        session->id = choose_id(sessions);
        session->epoch = 1;
        session->is_busy = true;
        session->used_ms = now_ms;
        is_fine = !err_failed(map_put(&sessions->by_id, id_key(&session->id), session));
    }
    if (is_fine)
        list_append(&sessions->by_use, &session->link);
    os_mutex_unlock(&sessions->lock);
    if (freed != NULL)
        session_free(freed);
    if (!is_fine) {
        free(session);
        return NULL;
    }
    fetch_set_init(&session->set, sessions->broker);
    session->set.uses_ids = uses_ids;
    return session;
}

void fetch_session_release(struct fetch_sessions *sessions, struct fetch_session *session)
{
    os_mutex_lock(&sessions->lock);
    CHECK(session->is_busy);
    session->is_busy = false;
    bool is_over = session->is_dropped;
    if (!is_over) {
        session->used_ms = clock_mono_ms(sessions->broker->os->clock);
        list_remove(&session->link);
        list_append(&sessions->by_use, &session->link);
    }
    os_mutex_unlock(&sessions->lock);
    if (is_over)
        session_free(session);
}

void fetch_session_close(struct fetch_sessions *sessions, int32_t id)
{
    struct fetch_session *freed = NULL;
    os_mutex_lock(&sessions->lock);
    struct fetch_session *session = map_get(&sessions->by_id, id_key(&id));
    if (session != NULL)
        freed = session_drop(sessions, session);
    os_mutex_unlock(&sessions->lock);
    if (freed != NULL)
        session_free(freed);
}

size_t fetch_session_count(struct fetch_sessions *sessions)
{
    os_mutex_lock(&sessions->lock);
    size_t count = sessions->by_id.count;
    os_mutex_unlock(&sessions->lock);
    return count;
}
