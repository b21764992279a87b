/* delete_topics: topics by name or id, and with them the offsets committed for them. */
#include "wire/delete_topics.h"
#include "api/error_map.h"
#include "api/handlers.h"
#include "api/repeats.h"
#include "broker/admin.h"

/* One topic on its way out. */
struct delete_wait {
    struct span name; /* as asked; null: by id */
    struct uuid id;   /* as asked; zero: by name */
    struct deletion_observer observer;
    struct delete_work *work;
    struct delete_topics_response_topic *answer;
};

/* One request's work; in its arena. */
struct delete_work {
    struct request *request;
    struct api *api;
    struct delete_topics_request asked;
    struct delete_topics_response response;
    struct delete_wait *waits; /* by topic */
    struct repeats names;
    struct repeats ids;
    atomic_int waiting; /* deletions not over, and one for the handler itself */
};

static void delete_done(struct deletion_observer *observer, struct err err)
{
    struct delete_wait *wait = LIST_ENTRY(observer, struct delete_wait, observer);
    struct delete_work *work = wait->work;
    if (err_failed(err))
        wait->answer->error_code = error_map_partition(err);
    else /* not earlier: until it is recorded, a crash brings the topic back, with its offsets */
        coord_forget_topic(work->api->coord, wait->answer->name);
    if (atomic_fetch_sub(&work->waiting, 1) == 1)
        request_wake(work->request);
}

/* Deletes a topic that exists. */
static int16_t delete_topic(struct delete_work *work, struct topic *topic, struct delete_wait *wait)
{
    if (!config_bool(work->api->broker->config, CONFIG_DELETE_TOPIC_ENABLE))
        return KAFKA_TOPIC_DELETION_DISABLED;
    if (span_equal_text(topic->name, TOPIC_METADATA) || span_equal_text(topic->name, TOPIC_OFFSETS))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    atomic_fetch_add(&work->waiting, 1);
    struct err err = admin_delete_topic(work->api->broker, topic, &wait->observer, NULL);
    if (err_failed(err)) {
        atomic_fetch_sub(&work->waiting, 1);
        return error_map_partition(err);
    }
    return KAFKA_NONE;
}

/* What is wrong with the entry itself; NULL: nothing. */
static const char *check_target(const struct delete_work *work, const struct delete_wait *target)
{
    bool has_name = !span_is_null(target->name);
    bool has_id = !uuid_is_zero(target->id);
    if (has_name && has_id)
        return "You may not specify both topic name and topic id.";
    if (!has_name && !has_id)
        return "Neither topic name nor id were specified.";
    if (has_name && repeats_has(&work->names, target->name))
        return "Duplicate topic name.";
    if (has_id && repeats_has(&work->ids, span_make(target->id.bytes, sizeof target->id.bytes)))
        return "Duplicate topic id.";
    return NULL;
}

static struct err answer_topic(struct delete_work *work, struct delete_wait *wait)
{
    struct request *request = work->request;
    struct delete_topics_response_topic *answer = wait->answer;
    answer->name = wait->name;
    answer->topic_id = wait->id;
    const char *fault = check_target(work, wait);
    if (fault != NULL) {
        answer->error_code = KAFKA_INVALID_REQUEST;
        answer->error_message = span_text(fault);
        return ERR_NONE;
    }
    bool is_by_id = span_is_null(wait->name);
    struct broker *broker = work->api->broker;
    struct topic *topic = is_by_id ? broker_find_topic_by_id(broker, wait->id)
                                   : broker_find_topic(broker, wait->name);
    if (topic == NULL) {
        answer->error_code = is_by_id ? KAFKA_UNKNOWN_TOPIC_ID : KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return ERR_NONE;
    }
    struct err err = arena_copy(&request->arena, topic->name, &answer->name);
    answer->topic_id = topic->id;
    int16_t code = err_failed(err) ? KAFKA_NONE : delete_topic(work, topic, wait);
    if (code != KAFKA_NONE) /* else the observer may have written it already */
        answer->error_code = code;
    topic_unref(topic);
    return err;
}

static struct err delete_resume(struct request *request)
{
    const struct delete_work *work = request->parked;
    struct writer *writer;
    TRY(request_begin_reply(request, 0, &writer));
    TRY(delete_topics_response_encode(writer, request->version, &work->response));
    return request_end_reply(request);
}

/* Notes what is named more than once. */
static struct err note_repeats(struct delete_work *work, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const struct delete_wait *wait = &work->waits[i];
        if (!span_is_null(wait->name))
            TRY(repeats_add(&work->names, wait->name));
        if (!uuid_is_zero(wait->id))
            TRY(repeats_add(&work->ids, span_make(wait->id.bytes, sizeof wait->id.bytes)));
    }
    return ERR_NONE;
}

/* Deletes all that is named. ERR_NO_MEMORY: nothing was deleted. */
static struct err delete_all(struct delete_work *work)
{
    struct arena *arena = &work->request->arena;
    bool has_ids = work->request->version >= 6;
    int32_t count = has_ids ? work->asked.topics_count : work->asked.topic_names_count;
    struct delete_topics_response_topic *answers =
        arena_alloc_array(arena, (size_t)count, sizeof *answers);
    work->waits = arena_alloc_array(arena, (size_t)count, sizeof *work->waits);
    if (answers == NULL || work->waits == NULL)
        return err_make(ERR_NO_MEMORY);
    work->response.responses = answers;
    work->response.responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        delete_topics_response_topic_init(&answers[i]);
        work->waits[i] = (struct delete_wait){
            .name = has_ids ? work->asked.topics[i].name : work->asked.topic_names[i],
            .id = has_ids ? work->asked.topics[i].topic_id : UUID_ZERO,
            .observer = {.done = delete_done},
            .work = work,
            .answer = &answers[i],
        };
    }
    TRY(note_repeats(work, count));
    for (int32_t i = 0; i < count; i++) {
        struct err err = answer_topic(work, &work->waits[i]);
        if (err_failed(err))
            work->waits[i].answer->error_code = error_map_admin(err);
    }
    return ERR_NONE;
}

struct err delete_topics_handle(struct request *request, struct api *api)
{
    struct delete_work *work = arena_alloc(&request->arena, sizeof *work);
    if (work == NULL)
        return err_make(ERR_NO_MEMORY);
    TRY(request_keep_body(request));
    TRY(delete_topics_request_decode(&request->body, request->version, &request->arena,
                                     &work->asked));
    work->request = request;
    work->api = api;
    atomic_init(&work->waiting, 1);
    request->parked = work;
    delete_topics_response_init(&work->response);
    request_park(request, delete_resume);
    repeats_init(&work->names, random_u64(api->os->random));
    repeats_init(&work->ids, random_u64(api->os->random));
    struct err err = delete_all(work);
    repeats_deinit(&work->names);
    repeats_deinit(&work->ids);
    if (atomic_fetch_sub(&work->waiting, 1) > 1)
        return ERR_NONE; /* the last deletion wakes the request */
    request_unpark(request);
    return err_failed(err) ? err : delete_resume(request);
}
