/*
 * flow_worker: threads around an engine.
 *
 * Locks: `lock` guards commit, result and is_over, through which the two threads hand commits back
 * and forth; nobody waits with it held. The receiver is used by the delivering thread; the writer
 * only reads its group's metadata, which librdkafka allows. The sender is the writer's.
 */
#include "cli/flow_worker.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "flow/delivery/engine.h"
#include "flow/handler/exec.h"
#include "flow/handler/http.h"
#include "flow/handler/library.h"
#include "os/os_event.h"

/* Records taken between two looks at answers and timers. */
#define RECEIVE_COUNT_MAX 1000

/* One request of a client; several make a commit or a place's begin. */
#define REQUEST_TIMEOUT_MS 5000

/* After a failure that ended the clients. */
#define RESTART_MS 1000

/* Beyond the drain, for a last commit. */
#define STOP_EXTRA_MS 5000

#define PROPERTY_COUNT_MAX 64
#define GROUP_SIZE_MAX 520

struct flow_worker {
    struct flow_worker_settings settings;
    char group[GROUP_SIZE_MAX];
    char transactional_id[GROUP_SIZE_MAX + 20];
    const char **topics;
    size_t topic_count;
    int event; /* wakes the delivering thread */
    struct os_thread *deliverer;
    struct os_thread *writer;
    struct os_signal commit_needed;
    struct os_mutex lock;
    const struct commit *commit; /* to be written */
    bool has_result;
    struct commit_result result;
    atomic_bool is_stopping;
    atomic_bool is_over; /* the writer is to end */
    struct client *receiver;
    struct client *reader; /* of companion topics */
    struct caller *caller;
    struct engine *engine;
    struct client *sender;
};

static const char *name_of(const struct flow_worker *worker)
{
    return worker->settings.handler->name.text;
}

static void say_failure(const struct flow_worker *worker, const char *what, struct err err,
                        const struct diag *diag)
{
    flow_say(worker->settings.log, FLOW_LOG_ERROR, name_of(worker), "%s: %s", what,
             diag->text[0] == '\0' ? err_text(err) : diag->text);
}

/* --- clients ------------------------------------------------------------------------------ */

/* The user's properties, and ours that outrank them: the promises of a flow rest on these. */
static struct err open_client(const struct flow_worker *worker, enum client_kind kind,
                              const struct client_property *own, size_t own_count,
                              struct client **out, struct diag *diag)
{
    struct client_property properties[PROPERTY_COUNT_MAX];
    size_t count = 0;
    if (worker->settings.property_count + own_count > PROPERTY_COUNT_MAX)
        return diag_fail(diag, ERR_LIMIT, "more than %d properties", PROPERTY_COUNT_MAX);
    for (size_t i = 0; i < worker->settings.property_count; i++)
        properties[count++] = worker->settings.properties[i];
    for (size_t i = 0; i < own_count; i++)
        properties[count++] = own[i];
    const struct client_settings settings = {.kind = kind,
                                             .properties = properties,
                                             .property_count = count,
                                             .timeout_ms = REQUEST_TIMEOUT_MS};
    return client_open(&client_kafka, &settings, out, diag);
}

static struct err open_receiver(struct flow_worker *worker, struct diag *diag)
{
    const struct client_property own[] = {
        {"client.id", worker->group},
        {"group.id", worker->group},
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "error"}, /* what is gone is said aloud, and not skipped */
        {"isolation.level", "read_committed"},
        {"partition.assignment.strategy", "cooperative-sticky"},
        {"session.timeout.ms", "10000"},
        {"heartbeat.interval.ms", "500"}, /* by its answer a member learns that others come or go */
        {"queued.max.messages.kbytes", "16384"},
        {"group.instance.id", worker->settings.handler->instance.text},
    };
    size_t count = sizeof own / sizeof own[0] - (worker->settings.handler->instance.text == NULL);
    TRY(open_client(worker, CLIENT_RECEIVER, own, count, &worker->receiver, diag));
    client_wake_by(worker->receiver, worker->event);
    return client_join(worker->receiver, worker->topics, worker->topic_count, diag);
}

static struct err open_reader(struct flow_worker *worker, struct diag *diag)
{
    const struct client_property own[] = {
        {"client.id", worker->group},
        {"auto.offset.reset", "earliest"}, /* compaction may take what a place was found at */
        {"isolation.level", "read_committed"},
        {"queued.max.messages.kbytes", "16384"},
    };
    TRY(open_client(worker, CLIENT_RECEIVER, own, sizeof own / sizeof own[0], &worker->reader,
                    diag));
    client_wake_by(worker->reader, worker->event);
    return ERR_NONE;
}

static struct err open_sender(struct flow_worker *worker, struct diag *diag)
{
    bool is_once = worker->settings.handler->guarantee.number == FLOW_EXACTLY_ONCE;
    const struct client_property own[] = {
        {"client.id", worker->group},
        {"enable.idempotence", "true"},
        {"message.max.bytes", "100000000"}, /* the topic's limit counts */
        /* What a failed output is followed by must not come before it when it is written again. */
        {"enable.gapless.guarantee", is_once ? "false" : "true"},
        {"transaction.timeout.ms", "10000"},
        {"transactional.id", worker->transactional_id},
    };
    size_t count = sizeof own / sizeof own[0] - (is_once ? 0 : 2);
    return open_client(worker, CLIENT_SENDER, own, count, &worker->sender, diag);
}

/* --- the writing thread ------------------------------------------------------------------- */

/* Opens a sender until it is there, or the worker is over. */
static void have_sender(struct flow_worker *worker)
{
    bool is_told = false;
    while (worker->sender == NULL && !atomic_load(&worker->is_over)) {
        struct diag diag = {""};
        struct err err = open_sender(worker, &diag);
        if (!err_failed(err))
            return;
        if (!is_told)
            say_failure(worker, "commits wait", err, &diag);
        is_told = true;
        (void)os_signal_wait(&worker->commit_needed, RESTART_MS);
    }
}

static void write_commit(struct flow_worker *worker, const struct commit *commit)
{
    struct commit_result result = {.fate = COMMIT_FAILED};
    have_sender(worker);
    if (worker->sender != NULL && worker->settings.handler->guarantee.number == FLOW_EXACTLY_ONCE)
        commit_write_once(commit, worker->sender, worker->receiver, &result);
    else if (worker->sender != NULL)
        commit_write_at_least_once(commit, worker->sender, worker->receiver, REQUEST_TIMEOUT_MS,
                                   &result);
    if (result.is_sender_over) {
        client_close(worker->sender);
        worker->sender = NULL;
        have_sender(worker);
    }
    os_mutex_lock(&worker->lock);
    worker->result = result;
    worker->has_result = true;
    os_mutex_unlock(&worker->lock);
    os_event_set(worker->event);
}

static void writer_run(void *argument)
{
    struct flow_worker *worker = argument;
    have_sender(worker); /* early: the first commit need not wait for it */
    while (!atomic_load(&worker->is_over)) {
        os_mutex_lock(&worker->lock);
        const struct commit *commit = worker->commit;
        worker->commit = NULL;
        os_mutex_unlock(&worker->lock);
        if (commit != NULL)
            write_commit(worker, commit);
        else
            (void)os_signal_wait(&worker->commit_needed, -1);
    }
    client_close(worker->sender);
    worker->sender = NULL;
}

static struct err start_writer(struct flow_worker *worker)
{
    worker->commit = NULL;
    worker->has_result = false;
    atomic_store(&worker->is_over, false);
    return thread_start(worker->settings.os->threads, "flow-commit", writer_run, worker,
                        &worker->writer);
}

static void end_writer(struct flow_worker *worker)
{
    atomic_store(&worker->is_over, true);
    os_signal_set(&worker->commit_needed);
    thread_join(worker->settings.os->threads, worker->writer);
    worker->writer = NULL;
}

/* --- the delivering thread ---------------------------------------------------------------- */

static struct err receive_some(struct flow_worker *worker, bool *is_more, struct diag *diag)
{
    struct client_event event;
    *is_more = false;
    for (int i = 0; i < RECEIVE_COUNT_MAX && engine_may_receive(worker->engine); i++) {
        struct err err = client_receive(worker->receiver, 0, &event, diag);
        if (err_is(err, ERR_FENCED) || err_is(err, ERR_DENIED))
            return err;
        if (err_failed(err)) { /* librdkafka mends these itself */
            say_failure(worker, "receiving", err, diag);
            return ERR_NONE;
        }
        if (event.kind == CLIENT_EVENT_NONE)
            return ERR_NONE;
        TRY(engine_take(worker->engine, &event, diag));
    }
    *is_more = engine_may_receive(worker->engine);
    return ERR_NONE;
}

/* Takes the last commit's result, and hands out the next commit. */
static struct err exchange_commits(struct flow_worker *worker)
{
    struct commit_result result;
    os_mutex_lock(&worker->lock);
    bool has_result = worker->has_result;
    if (has_result)
        result = worker->result;
    worker->has_result = false;
    os_mutex_unlock(&worker->lock);
    if (has_result)
        engine_committed(worker->engine, &result);
    const struct commit *commit;
    struct err err = engine_commit(worker->engine, &commit);
    if (err_failed(err) || commit == NULL)
        return err;
    os_mutex_lock(&worker->lock);
    CHECK(worker->commit == NULL);
    worker->commit = commit;
    os_mutex_unlock(&worker->lock);
    os_signal_set(&worker->commit_needed);
    return ERR_NONE;
}

/* Delivers until the end, or a failure. */
static struct err deliver(struct flow_worker *worker, struct diag *diag)
{
    const struct os_clock *clock = worker->settings.os->clock;
    int64_t end_ms = INT64_MAX;
    while (!engine_is_drained(worker->engine) && clock_mono_ms(clock) < end_ms) {
        bool is_more;
        os_event_clear(worker->event);
        if (atomic_load(&worker->is_stopping) && end_ms == INT64_MAX) {
            end_ms = clock_mono_ms(clock) + worker->settings.flow->drain.number + STOP_EXTRA_MS;
            engine_drain(worker->engine);
        }
        TRY(receive_some(worker, &is_more, diag));
        TRY(engine_step(worker->engine, diag));
        TRY(exchange_commits(worker));
        caller_wait(worker->caller, worker->event, is_more ? 0 : engine_wait_ms(worker->engine));
    }
    return ERR_NONE;
}

static struct err create_caller(struct flow_worker *worker, struct diag *diag)
{
    const struct flow_handler *handler = worker->settings.handler;
    const struct os_clock *clock = worker->settings.os->clock;
    if (handler->way.exec.text != NULL)
        return exec_caller_create(handler, clock, worker->settings.log, &worker->caller);
    if (handler->way.library.text != NULL)
        return library_caller_create(handler, &worker->caller, diag);
    return http_caller_create(handler, worker->settings.curl, clock, &worker->caller);
}

static struct err open_all(struct flow_worker *worker, struct diag *diag)
{
    const struct os *os = worker->settings.os;
    TRY(create_caller(worker, diag));
    TRY(open_reader(worker, diag));
    TRY(open_receiver(worker, diag));
    const struct engine_settings settings = {.flow = worker->settings.flow,
                                             .handler = worker->settings.handler,
                                             .cluster = worker->settings.cluster,
                                             .receiver = worker->receiver,
                                             .reader = worker->reader,
                                             .caller = worker->caller,
                                             .clock = os->clock,
                                             .random = os->random,
                                             .log = worker->settings.log};
    TRY(engine_create(&settings, &worker->engine));
    return start_writer(worker);
}

static void say_counts(const struct flow_worker *worker)
{
    const struct engine_counts *counts = engine_counts(worker->engine);
    flow_say(worker->settings.log, FLOW_LOG_INFO, name_of(worker),
             "ended: %" PRIu64 " events done, %" PRIu64 " of them done before, %" PRIu64
             " passed over, %" PRIu64 " parked, %" PRIu64 " calls failed, %" PRIu64
             " dead letters, %" PRIu64 " records written in %" PRIu64 " commits, %" PRIu64
             " commits made again",
             metric_read(&counts->processed), metric_read(&counts->repeated),
             metric_read(&counts->skipped), metric_read(&counts->parked),
             metric_read(&counts->failed), metric_read(&counts->dead_lettered),
             metric_read(&counts->emitted), metric_read(&counts->commits),
             metric_read(&counts->commits_failed));
}

/* Whatever was opened; a commit that is being written is waited for. */
static void close_all(struct flow_worker *worker)
{
    if (worker->writer != NULL)
        end_writer(worker);
    if (worker->engine != NULL && worker->commit != NULL)
        worker->result = (struct commit_result){.fate = COMMIT_FAILED};
    if (worker->engine != NULL && (worker->has_result || worker->commit != NULL))
        engine_committed(worker->engine, &worker->result);
    if (worker->engine != NULL)
        say_counts(worker);
    engine_destroy(worker->engine);
    caller_destroy(worker->caller);
    client_close(worker->receiver);
    client_close(worker->reader);
    worker->engine = NULL;
    worker->caller = NULL;
    worker->receiver = NULL;
    worker->reader = NULL;
}

static void deliverer_run(void *argument)
{
    struct flow_worker *worker = argument;
    while (!atomic_load(&worker->is_stopping)) {
        struct diag diag = {""};
        struct err err = open_all(worker, &diag);
        if (!err_failed(err))
            err = deliver(worker, &diag);
        close_all(worker);
        if (!err_failed(err))
            continue;
        say_failure(worker, "it begins anew", err, &diag);
        struct os_signal *pause = &worker->commit_needed;
        if (!atomic_load(&worker->is_stopping))
            (void)os_signal_wait(pause, RESTART_MS);
    }
}

/* --- outside ------------------------------------------------------------------------------ */

/* The topics of what it handles, each once. */
static struct err list_topics(struct flow_worker *worker)
{
    const struct flow_list *handles = &worker->settings.handler->handles;
    worker->topics = calloc(handles->count, sizeof *worker->topics);
    if (worker->topics == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < handles->count; i++) {
        const char *topic =
            flow_find_event(worker->settings.flow, handles->items[i].text)->topic.text;
        size_t at = 0;
        while (at < worker->topic_count && strcmp(worker->topics[at], topic) != 0)
            at++;
        worker->topics[at] = topic;
        worker->topic_count += at == worker->topic_count;
    }
    return ERR_NONE;
}

static void destroy(struct flow_worker *worker)
{
    if (worker->event >= 0)
        os_event_close(worker->event);
    os_signal_deinit(&worker->commit_needed);
    os_mutex_deinit(&worker->lock);
    free(worker->topics);
    free(worker);
}

struct err flow_worker_start(const struct flow_worker_settings *settings, struct flow_worker **out)
{
    struct flow_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return err_make(ERR_NO_MEMORY);
    worker->settings = *settings;
    worker->event = -1;
    os_signal_init(&worker->commit_needed);
    os_mutex_init(&worker->lock);
    (void)snprintf(worker->group, sizeof worker->group, "%s.%s", settings->flow->name.text,
                   settings->handler->name.text);
    (void)snprintf(worker->transactional_id, sizeof worker->transactional_id, "%s-%016" PRIx64,
                   worker->group, random_u64(settings->os->random));
    struct err err = list_topics(worker);
    if (!err_failed(err))
        err = os_event_open(&worker->event);
    if (!err_failed(err))
        err = thread_start(settings->os->threads, "flow-deliver", deliverer_run, worker,
                           &worker->deliverer);
    if (err_failed(err)) {
        destroy(worker);
        return err;
    }
    *out = worker;
    return ERR_NONE;
}

void flow_worker_stop(struct flow_worker *worker)
{
    atomic_store(&worker->is_stopping, true);
    os_event_set(worker->event);
    os_signal_set(&worker->commit_needed);
}

void flow_worker_join(struct flow_worker *worker)
{
    if (worker == NULL)
        return;
    thread_join(worker->settings.os->threads, worker->deliverer);
    destroy(worker);
}
