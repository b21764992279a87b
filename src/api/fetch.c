/*
 * fetch: record batches to consumers (Fetch v4 to v18), from a session or from scratch.
 *
 *     resolve the set -> read what is dirty -> enough? answer
 *                                          -> else park until enough has come, or max_wait_ms
 *
 * Records leave as they lie on disk: small slices are copied into the answer, large ones are sent
 * from their files.
 */
#include "wire/fetch.h"
#include "api/error_map.h"
#include "api/fetch_session.h"
#include "api/handlers.h"
#include "base/check.h"
#include "base/limits.h"

/* One fetch; in its request's arena. */
struct fetch_work {
    struct request *request;
    struct fetch_sessions *sessions;
    struct fetch_session *session; /* NULL: own_set, for this request alone */
    struct fetch_set own_set;
    struct fetch_set *set; /* NULL until it is known that the request is fine */
    struct fetch_limits limits;
    int64_t min_size;
    int64_t deadline_ms;
    struct timer timer;
};

static void work_end(struct fetch_work *work)
{
    timer_cancel(&work->timer);
    if (work->session != NULL)
        fetch_session_release(work->sessions, work->session);
    else if (work->set != NULL)
        fetch_set_deinit(work->set);
    work->set = NULL;
}

/* Answers with an error of the whole request. */
static struct err reply_error(struct request *request, int16_t code)
{
    struct fetch_response response;
    struct writer *writer;
    fetch_response_init(&response);
    response.error_code = code;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(fetch_response_encode(writer, request->version, &response));
    return request_end_reply(request);
}

/* Gives the entry's slice to the answer: copied when small, else passed on. */
static struct err fill_records(struct fetch_entry *entry, struct arena *arena)
{
    struct fetch_response_partition *answer = &entry->answer;
    if (entry->slice.size == 0)
        return ERR_NONE;
    if (entry->slice.size <= FETCH_COPY_SIZE_MAX) {
        uint8_t *bytes = arena_alloc(arena, entry->slice.size);
        if (bytes == NULL)
            return err_make(ERR_NO_MEMORY);
        struct err err = slice_read(&entry->slice, 0, bytes, entry->slice.size);
        if (err_failed(err))
            answer->error_code = error_map_partition(err);
        else
            answer->records.bytes = span_make(bytes, entry->slice.size);
        slice_unref(&entry->slice);
        return ERR_NONE;
    }
    struct log_slice *passed = arena_alloc(arena, sizeof *passed);
    if (passed == NULL)
        return err_make(ERR_NO_MEMORY);
    *passed = entry->slice;
    entry->slice = LOG_SLICE_EMPTY;
    answer->records.slice = passed;
    answer->records.slice_size = (uint32_t)passed->size;
    return ERR_NONE;
}

static bool same_topic(const struct fetch_entry *a, const struct fetch_entry *b)
{
    return a->set->uses_ids ? uuid_equal(a->topic_id, b->topic_id)
                            : span_equal(fetch_entry_name(a), fetch_entry_name(b));
}

/* Groups the found entries by topic, in order; neighbours of one topic share a group. */
static struct err fill_topics(struct fetch_found *found, struct arena *arena,
                              struct fetch_response *response)
{
    struct fetch_response_topic *topics = arena_alloc_array(arena, found->count, sizeof *topics);
    struct fetch_response_partition *partitions =
        arena_alloc_array(arena, found->count, sizeof *partitions);
    if (topics == NULL || partitions == NULL)
        return err_make(ERR_NO_MEMORY);
    response->responses = topics; /* at once, so that drop_passed finds what was passed */
    for (size_t i = 0; i < found->count; i++) {
        struct fetch_entry *entry = found->entries[i];
        TRY(fill_records(entry, arena));
        if (i == 0 || !same_topic(entry, found->entries[i - 1])) {
            struct fetch_response_topic *made = &topics[response->responses_count++];
            made->topic = fetch_entry_name(entry);
            made->topic_id = entry->topic_id;
            made->partitions = &partitions[i];
        }
        partitions[i] = entry->answer;
        topics[response->responses_count - 1].partitions_count++;
        entry->told_watermark = entry->answer.high_watermark;
        entry->told_start = entry->answer.log_start_offset;
    }
    return ERR_NONE;
}

/* Slices that were passed to an answer which then could not be made. */
static void drop_passed(const struct fetch_response *response)
{
    for (int32_t i = 0; i < response->responses_count && response->responses != NULL; i++) {
        const struct fetch_response_topic *topic = &response->responses[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            if (topic->partitions[j].records.slice != NULL)
                slice_unref(topic->partitions[j].records.slice);
        }
    }
}

static struct err reply_found(struct fetch_work *work, struct fetch_found *found)
{
    struct request *request = work->request;
    struct fetch_response response;
    struct writer *writer;
    fetch_response_init(&response);
    response.session_id = work->session == NULL ? 0 : work->session->id;
    struct err err = fill_topics(found, &request->arena, &response);
    if (!err_failed(err))
        err = request_begin_reply(request, found->count + 1, &writer);
    if (!err_failed(err))
        err = fetch_response_encode(writer, request->version, &response);
    if (err_failed(err))
        drop_passed(&response);
    fetch_found_drop(found);
    work_end(work);
    TRY(err);
    return request_end_reply(request);
}

static struct err fetch_go_on(struct request *request);

/* The time is over: goes on with what there is, unless somebody has woken the request already. */
static void fetch_timer_fired(struct timer *timer)
{
    struct fetch_work *work = LIST_ENTRY(timer, struct fetch_work, timer);
    work->min_size = 0;
    if (fetch_set_stop_waiting(work->set))
        request_wake(work->request);
}

/* The connection is gone: the request need not wait any longer. */
static void fetch_cancel(struct request *request)
{
    struct fetch_work *work = request->parked;
    work->min_size = 0;
    if (fetch_set_stop_waiting(work->set))
        request_wake(request);
}

/* Parks until size more bytes have come; false where they have come already. */
static bool fetch_park(struct fetch_work *work, int64_t size)
{
    struct request *request = work->request;
    request_park(request, fetch_go_on);
    request->cancel = fetch_cancel;
    if (fetch_set_wait(work->set, request, size)) {
        wheel_set(reactor_wheel(request_reactor(request)), &work->timer, work->deadline_ms);
        return true;
    }
    request_unpark(request);
    return false;
}

static struct err fetch_go_on(struct request *request)
{
    struct fetch_work *work = request->parked;
    for (;;) {
        struct fetch_found found;
        struct err err = fetch_set_read(work->set, &work->limits, &request->arena, &found);
        if (err_failed(err)) {
            work_end(work);
            return err;
        }
        int64_t missing = work->min_size - found.size;
        bool is_late = clock_mono_ms(work->set->broker->os->clock) >= work->deadline_ms;
        if (missing <= 0 || found.has_error || is_late)
            return reply_found(work, &found);
        fetch_found_drop(&found);
        if (fetch_park(work, missing))
            return ERR_NONE;
    }
}

/* Takes what the request names into the set. */
static struct err fill_set(struct fetch_set *set, const struct fetch_request *asked)
{
    for (int32_t i = 0; i < asked->topics_count; i++) {
        for (int32_t j = 0; j < asked->topics[i].partitions_count; j++)
            TRY(fetch_set_put(set, &asked->topics[i], &asked->topics[i].partitions[j]));
    }
    for (int32_t i = 0; i < asked->forgotten_topics_data_count; i++) {
        const struct fetch_request_forgotten_topic *topic = &asked->forgotten_topics_data[i];
        for (int32_t j = 0; j < topic->partitions_count; j++)
            fetch_set_forget(set, topic->topic, topic->topic_id, topic->partitions[j]);
    }
    return ERR_NONE;
}

/* Finds or makes the set that the request is about. Returns Kafka's code. */
static int16_t resolve_set(struct fetch_work *work, struct broker *broker,
                           const struct fetch_request *asked)
{
    bool uses_ids = work->request->version >= 13;
    bool is_full = asked->session_epoch == 0 || asked->session_epoch == -1;
    if (!is_full) {
        int16_t code = fetch_session_take(work->sessions, asked->session_id, asked->session_epoch,
                                          &work->session);
        if (code != KAFKA_NONE)
            return code;
        work->set = &work->session->set;
        work->limits.is_incremental = true;
        return work->set->uses_ids == uses_ids ? KAFKA_NONE : KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    }
    if (asked->session_id != 0)
        fetch_session_close(work->sessions, asked->session_id);
    if (asked->session_epoch == 0 && asked->topics_count > 0)
        work->session = fetch_session_open(work->sessions, uses_ids);
    if (work->session != NULL) {
        work->set = &work->session->set;
        return KAFKA_NONE;
    }
    fetch_set_init(&work->own_set, broker);
    work->own_set.uses_ids = uses_ids;
    work->set = &work->own_set;
    return KAFKA_NONE;
}

struct err fetch_handle(struct request *request, struct api *api)
{
    struct fetch_request asked;
    TRY(fetch_request_decode(&request->body, request->version, &request->arena, &asked));
    struct fetch_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    int64_t size_max = config_number(api->broker->config, CONFIG_FETCH_MAX_BYTES);
    int64_t wait_ms = asked.max_wait_ms > 0 ? asked.max_wait_ms : 0;
    work->request = request;
    work->sessions = api->fetch_sessions;
    work->limits.size_max = asked.max_bytes < size_max ? asked.max_bytes : size_max;
    work->limits.is_committed_only = asked.isolation_level == 1;
    work->min_size = asked.min_bytes;
    work->deadline_ms = clock_mono_ms(api->os->clock) + wait_ms;
    timer_init(&work->timer, fetch_timer_fired);
    request->parked = work;
    int16_t code = resolve_set(work, api->broker, &asked);
    if (code == KAFKA_NONE)
        fetch_set_isolate(work->set, work->limits.is_committed_only);
    struct err err = code == KAFKA_NONE ? fill_set(work->set, &asked) : ERR_NONE;
    if (code != KAFKA_NONE || err_failed(err)) {
        work_end(work);
        return err_failed(err) ? err : reply_error(request, code);
    }
    bool is_empty_full = !work->limits.is_incremental && asked.topics_count == 0;
    if (is_empty_full)
        work->min_size = 0;
    return fetch_go_on(request);
}
