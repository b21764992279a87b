/* flow_run: `headrace flow run`: makes the flow's topics and drives its handlers with events. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/ending.h"
#include "cli/flow_file.h"
#include "cli/flow_worker.h"
#include "flow/handler/curl_library.h"
#include "flow/handler/library.h"
#include "flow/topics.h"

enum key { KEY_NO_CREATE = 1000, KEY_LOG };

/* One line of the log, escaped. */
#define LOG_LINE_SIZE_MAX 16384

struct flow_run {
    struct session session; /* first */
    bool may_not_create;
    bool is_log_told; /* by an option */
    bool is_log_json;
    const struct flow *flow;
    struct flow_log log;
    struct os_mutex log_lock;
    struct curl_library curl; /* where a handler needs it */
    struct flow_worker **workers;
    size_t worker_count;
};

static const struct argp_option options[] = {
    {"no-create", KEY_NO_CREATE, NULL, 0, "Fail where a topic is missing", 0},
    {"log", KEY_LOG, "text|json", 0,
     "How to write the log (text on a terminal; otherwise json, Elastic Common Schema)", 0},
    {0},
};

static struct flow_run *run_of(struct session *session)
{
    return (struct flow_run *)session;
}

static struct err option(struct session *session, int key, char *argument)
{
    struct flow_run *run = run_of(session);
    if (key == KEY_NO_CREATE) {
        run->may_not_create = true;
        return ERR_NONE;
    }
    if (key != KEY_LOG)
        return err_make(ERR_UNSUPPORTED);
    bool is_json = strcmp(argument, "json") == 0;
    if (!is_json && strcmp(argument, "text") != 0)
        return diag_fail(&session->diag, ERR_INVALID, "--log is text or json, not %s", argument);
    run->is_log_json = is_json;
    run->is_log_told = true;
    return ERR_NONE;
}

/* --- the log ------------------------------------------------------------------------------ */

static const char *const level_names[] = {"error", "warn", "info"};

/* UTC with milliseconds, RFC 3339. */
static void print_now(char *out, size_t size)
{
    int64_t now_ms = clock_wall_ms(os_real()->clock);
    time_t seconds = now_ms / 1000;
    struct tm parts;
    char text[32] = "";
    if (gmtime_r(&seconds, &parts) != NULL)
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out, size, "%s.%03dZ", text, (int)(now_ms % 1000));
}

/* A line in the Elastic Common Schema. */
static struct err write_json(const struct flow_run *run, enum flow_log_level level,
                             const char *handler, const char *text, struct buf *out)
{
    char now[64];
    print_now(now, sizeof now);
    TRY(buf_print(out, "{\"@timestamp\":\"%s\",\"log.level\":\"%s\",\"message\":", now,
                  level_names[level]));
    TRY(json_write_text(out, text));
    TRY(buf_print(out, ",\"service.name\":"));
    TRY(json_write_text(out, run->flow->name.text));
    TRY(buf_print(out, ",\"headrace.handler\":"));
    TRY(json_write_text(out, handler));
    return buf_print(out, ",\"ecs.version\":\"8.11.0\"}\n");
}

static void say(void *self, enum flow_log_level level, const char *handler, const char *text)
{
    struct flow_run *run = self;
    struct buf line;
    char now[64];
    buf_init(&line, LOG_LINE_SIZE_MAX);
    print_now(now, sizeof now);
    struct err err = run->is_log_json ? write_json(run, level, handler, text, &line)
                                      : buf_print(&line, "%.12s %-5s %s: %s\n", now + 11,
                                                  level_names[level], handler, text);
    os_mutex_lock(&run->log_lock);
    if (!err_failed(err))
        (void)fwrite(line.data, 1, line.size, stderr);
    os_mutex_unlock(&run->log_lock);
    buf_deinit(&line);
}

/* --- topics ------------------------------------------------------------------------------- */

static struct err show_plan(struct flow_run *run, const struct flow_topics *topics)
{
    struct session *session = &run->session;
    if (topics->missing_count == 0)
        return ERR_NONE;
    TRY(buf_print(&session->out, "topics %s:\n", run->may_not_create ? "missing" : "to be made"));
    for (size_t i = 0; i < topics->count; i++) {
        const struct flow_topic *topic = &topics->items[i];
        if (topic->is_there)
            continue;
        TRY(buf_print(&session->out, "  %s (%s), ", topic->name, topic->use));
        if (topic->partition_count < 0)
            TRY(buf_print(&session->out, "the server's number of partitions\n"));
        else
            TRY(buf_print(&session->out, "%d partition%s\n", topic->partition_count,
                          topic->partition_count == 1 ? "" : "s"));
    }
    return session_print(session);
}

static struct err have_topics(struct flow_run *run)
{
    struct session *session = &run->session;
    struct flow_topics topics;
    TRY(flow_topics_plan(run->flow, session->client, &session->arena, &topics, &session->diag));
    TRY(show_plan(run, &topics));
    if (topics.missing_count == 0)
        return ERR_NONE;
    if (run->may_not_create)
        return diag_fail(&session->diag, ERR_NOT_FOUND, "%zu topics are missing",
                         topics.missing_count);
    return flow_topics_create(&topics, session->client, &session->diag);
}

/* --- workers ------------------------------------------------------------------------------ */

static struct err start_workers(struct flow_run *run, const char *cluster)
{
    struct session *session = &run->session;
    size_t count = run->flow->handlers.count;
    run->workers = arena_alloc_array(&session->arena, count, sizeof(struct flow_worker *));
    if (run->workers == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        const struct flow_worker_settings settings = {
            .os = os_real(),
            .flow = run->flow,
            .handler = flow_handler_at(run->flow, i),
            .cluster = cluster,
            .properties = session->properties,
            .property_count = session->property_count,
            .log = &run->log,
            .curl = &run->curl,
        };
        TRY(diag_wrap(&session->diag, flow_worker_start(&settings, &run->workers[i]), "starting %s",
                      settings.handler->name.text));
        run->worker_count++;
    }
    return ERR_NONE;
}

/* What the handler asks for and this version does not do; NULL: nothing. */
static const char *find_missing(const struct flow_handler *handler)
{
    const struct {
        bool is_asked;
        const char *name;
    } missing[] = {
        {handler->way.batch != NULL, "batch"},
        {handler->dead_letter != NULL && handler->dead_letter->hold_key.number != 0, "hold-key"},
    };
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        if (missing[i].is_asked)
            return missing[i].name;
    }
    return NULL;
}

/* Loads it once, so that a flow whose library is missing does not begin. */
static struct err try_library(struct flow_run *run, const struct flow_handler *handler)
{
    struct caller *caller = NULL;
    struct err err = library_caller_create(handler, &caller, &run->session.diag);
    caller_destroy(caller);
    return diag_wrap(&run->session.diag, err, "handler %s", handler->name.text);
}

/* Better no flow than one that leaves out what was asked for. */
static struct err check_ways(struct flow_run *run)
{
    for (size_t i = 0; i < run->flow->handlers.count; i++) {
        const struct flow_handler *handler = flow_handler_at(run->flow, i);
        const char *missing = find_missing(handler);
        if (missing != NULL)
            return diag_fail(&run->session.diag, ERR_UNSUPPORTED,
                             "handler %s: %s cannot be run yet", handler->name.text, missing);
        if (handler->way.library.text != NULL)
            TRY(try_library(run, handler));
    }
    return ERR_NONE;
}

static struct err run_all(struct flow_run *run)
{
    struct session *session = &run->session;
    struct client_cluster cluster;
    ending_prepare();
    TRY(client_cluster(session->client, NULL, &session->arena, &cluster, &session->diag));
    TRY(have_topics(run));
    struct err err = start_workers(run, cluster.id);
    if (!err_failed(err)) {
        (void)printf("flow %s running: %zu handler%s\n", run->flow->name.text, run->worker_count,
                     run->worker_count == 1 ? "" : "s");
        (void)fflush(stdout);
        ending_wait();
    }
    for (size_t i = 0; i < run->worker_count; i++)
        flow_worker_stop(run->workers[i]);
    for (size_t i = 0; i < run->worker_count; i++)
        flow_worker_join(run->workers[i]);
    return err;
}

static struct err load_curl(struct flow_run *run)
{
    for (size_t i = 0; i < run->flow->handlers.count; i++) {
        if (flow_handler_at(run->flow, i)->way.call.text != NULL)
            return curl_library_load(&run->curl, &run->session.diag);
    }
    return ERR_NONE;
}

static struct err run(struct session *session)
{
    struct flow_run *run = run_of(session);
    struct flow *flow;
    TRY(flow_file_load(session, session->words[0], false, &flow));
    run->flow = flow;
    run->log = (struct flow_log){run, say};
    if (!run->is_log_told)
        run->is_log_json = isatty(STDERR_FILENO) != 1;
    TRY(check_ways(run));
    TRY(load_curl(run));
    os_mutex_init(&run->log_lock);
    struct err err = run_all(run);
    os_mutex_deinit(&run->log_lock);
    curl_library_unload(&run->curl);
    return err;
}

const struct command flow_run_command = {
    .words = "flow run",
    .arguments = "FILE",
    .summary = "Drive a flow's handlers with events.",
    .doc = "Topics that are missing are shown and made first. Any number of copies share the work. "
           "SIGTERM and Ctrl-C end it: calls under way are waited for, up to the file's drain.",
    .options = options,
    .word_count_min = 1,
    .word_count_max = 1,
    .size = sizeof(struct flow_run),
    .kind = CLIENT_SENDER,
    .option = option,
    .run = run,
};
