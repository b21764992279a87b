/*
 * exec: calls on their way to a child, and its life. Answers are read in exec_answer.c.
 *
 * A call waits until the child takes its line, is sent, and is answered. While a suspect is among
 * them, one call at a time is sent.
 */
#include "flow/handler/exec.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "flow/handler/exec_internal.h"

#define EXEC_MAGIC 0x65786563 /* "exec" */

/* Read from the child at once. */
#define PIECE_SIZE 65536

/* Of a line that is no answer: so much is shown. */
#define EXCERPT_SIZE 200

static struct exec_caller *exec_of(struct caller *caller)
{
    struct exec_caller *exec = (struct exec_caller *)caller;
    CHECK_MAGIC(exec, EXEC_MAGIC);
    return exec;
}

void exec_free_call(struct exec_call *call)
{
    list_remove(&call->link);
    buf_deinit(&call->line);
    free(call);
}

static void say(const struct exec_caller *exec, enum flow_log_level level, const char *what,
                struct span words)
{
    int size = words.size < EXCERPT_SIZE ? (int)words.size : EXCERPT_SIZE;
    flow_say(exec->log, level, exec->handler->name.text, "%s%.*s", what, size,
             (const char *)words.data);
}

/* --- the child's life --------------------------------------------------------------------- */

/* Nobody is there for those that wait. */
static void lose_waiting(struct exec_caller *exec)
{
    list_move_all(&exec->lost, &exec->waiting);
}

static void start(struct exec_caller *exec)
{
    struct err err = os_process_start(exec->handler->way.exec.text, &exec->child);
    exec->is_running = !err_failed(err);
    if (exec->is_running)
        return;
    exec->death_count = EXEC_DEATH_COUNT_MAX + 1;
    exec->not_before_ms = clock_mono_ms(exec->clock) + EXEC_RESTART_MS_MAX;
    say(exec, FLOW_LOG_ERROR, "its command cannot be started: ", span_text(err_text(err)));
    lose_waiting(exec);
}

/* What the child was sent is for its successor. */
static void resend(struct exec_caller *exec, bool are_suspects)
{
    while (!list_is_empty(&exec->sent)) {
        struct list *last = exec->sent.prev;
        struct exec_call *call = LIST_ENTRY(last, struct exec_call, link);
        list_remove(last);
        call->is_suspect = call->is_suspect || are_suspects;
        call->call->restart(call->call);
        list_prepend(&exec->waiting, last);
    }
    LIST_EACH (&exec->waiting, link)
        LIST_ENTRY(link, struct exec_call, link)->written = 0;
}

/* The child is gone. */
static void close_child(struct exec_caller *exec)
{
    os_process_end(&exec->child, exec->crash);
    exec->is_running = false;
    exec->not_before_ms = clock_mono_ms(exec->clock);
    buf_clear(&exec->output);
}

static bool is_outage(const struct exec_caller *exec)
{
    return exec->death_count > EXEC_DEATH_COUNT_MAX;
}

/* The child has ended: one call alone is the cause, several are suspects; unless it is the command
 * that is to blame. */
static void mourn(struct exec_caller *exec)
{
    bool is_alone = !list_is_empty(&exec->sent) && exec->sent.next->next == &exec->sent;
    close_child(exec);
    say(exec, FLOW_LOG_ERROR, "its process has ended: ", span_text(exec->crash));
    exec->death_count++;
    if (is_alone && !is_outage(exec))
        exec->crashed = LIST_ENTRY(list_pop(&exec->sent), struct exec_call, link);
    resend(exec, true);
    if (!is_outage(exec)) {
        exec->restart_ms = EXEC_RESTART_MS;
        return;
    }
    exec->not_before_ms += exec->restart_ms;
    exec->restart_ms =
        2 * exec->restart_ms < EXEC_RESTART_MS_MAX ? 2 * exec->restart_ms : EXEC_RESTART_MS_MAX;
}

/* Whether the next waiting call may be sent: amid suspects, one at a time. */
static bool may_send(const struct exec_caller *exec)
{
    if (list_is_empty(&exec->waiting))
        return false;
    bool is_careful = LIST_ENTRY(exec->waiting.next, struct exec_call, link)->is_suspect;
    LIST_EACH (&exec->sent, link)
        is_careful = is_careful || LIST_ENTRY(link, struct exec_call, link)->is_suspect;
    return !is_careful || list_is_empty(&exec->sent);
}

/* Sends as much as the child takes. */
static void send_waiting(struct exec_caller *exec)
{
    if (!exec->is_running && !list_is_empty(&exec->waiting)) {
        if (clock_mono_ms(exec->clock) >= exec->not_before_ms)
            start(exec);
        else if (is_outage(exec))
            lose_waiting(exec);
    }
    while (exec->is_running && may_send(exec)) {
        struct exec_call *call = LIST_ENTRY(exec->waiting.next, struct exec_call, link);
        size_t done;
        struct span rest =
            span_make(call->line.data + call->written, call->line.size - call->written);
        if (err_failed(os_process_write(&exec->child, rest, &done)))
            return; /* full, or dead: its output's end will tell */
        call->written += done;
        if (call->written < call->line.size)
            return;
        list_remove(&call->link);
        list_append(&exec->sent, &call->link);
        call->call->restart(call->call);
    }
}

/* --- what it says ------------------------------------------------------------------------- */

/* The first line of the buf; false: there is none yet. */
static bool first_line(const struct buf *from, struct span *line)
{
    const uint8_t *end = from->size == 0 ? NULL : memchr(from->data, '\n', from->size);
    if (end == NULL)
        return false;
    *line = span_make(from->data, (size_t)(end - from->data));
    return true;
}

static void log_errors(struct exec_caller *exec)
{
    char piece[PIECE_SIZE / 16];
    size_t done;
    struct span line;
    while (!err_failed(os_process_read(exec->child.err, piece, sizeof piece, &done))) {
        if (err_failed(buf_append(&exec->errors, piece, done)))
            buf_clear(&exec->errors); /* a line of no end */
        while (first_line(&exec->errors, &line)) {
            say(exec, FLOW_LOG_INFO, "", line);
            buf_consume(&exec->errors, line.size + 1);
        }
    }
}

/* Reads a piece of its answers; false: there is nothing to read now. */
static bool read_output(struct exec_caller *exec)
{
    char piece[PIECE_SIZE / 8];
    size_t done;
    if (!exec->is_running)
        return false;
    log_errors(exec);
    struct err err = os_process_read(exec->child.out, piece, sizeof piece, &done);
    if (err_is(err, ERR_AGAIN))
        return false;
    if (!err_failed(err))
        err = buf_append(&exec->output, piece, done);
    if (!err_failed(err))
        return true;
    log_errors(exec);
    mourn(exec); /* it has ended; or it wrote a line without end */
    return false;
}

/* An answer that is no word of the child's. */
static bool next_own(struct exec_caller *exec, struct answer *answer)
{
    struct exec_call *call = exec->crashed;
    *answer = (struct answer){.kind = ANSWER_RETRY, .fault = "crash"};
    (void)snprintf(answer->message, sizeof answer->message, "its process died of it: %s",
                   exec->crash);
    if (call == NULL && !list_is_empty(&exec->lost)) {
        call = LIST_ENTRY(exec->lost.next, struct exec_call, link);
        answer->kind = ANSWER_UNREACHABLE;
        (void)snprintf(answer->message, sizeof answer->message, "its process does not run: %s",
                       exec->crash);
    }
    if (call == NULL)
        return false;
    answer->call = call->call;
    exec->crashed = call == exec->crashed ? NULL : exec->crashed;
    exec_free_call(call);
    return true;
}

static bool next(struct caller *caller, struct answer *answer)
{
    struct exec_caller *exec = exec_of(caller);
    struct span line;
    do {
        while (first_line(&exec->output, &line)) {
            bool is_answer = exec_read_answer(exec, line, answer);
            buf_consume(&exec->output, line.size + 1);
            exec->death_count = is_answer ? 0 : exec->death_count;
            if (is_answer)
                return true;
        }
    } while (read_output(exec));
    send_waiting(exec);
    return next_own(exec, answer);
}

/* --- calls -------------------------------------------------------------------------------- */

/* The event in one line: line ends within JSON are mere space. */
static struct err write_line(struct exec_caller *exec, const struct cloudevent *event,
                             struct buf *line)
{
    arena_reset(&exec->arena);
    TRY(cloudevent_write_json(event, exec->json, &exec->arena, line));
    for (size_t i = 0; i < line->size; i++) {
        if (line->data[i] == '\n' || line->data[i] == '\r')
            line->data[i] = ' ';
    }
    return buf_append(line, "\n", 1);
}

static struct err begin(struct caller *caller, struct call *call, const struct cloudevent *event,
                        struct diag *diag)
{
    struct exec_caller *exec = exec_of(caller);
    struct exec_call *made = calloc(1, sizeof *made + event->id.size);
    if (made == NULL)
        return err_make(ERR_NO_MEMORY);
    list_init(&made->link);
    buf_init(&made->line, EXEC_LINE_SIZE_MAX);
    made->call = call;
    made->id = span_make(made + 1, event->id.size);
    memcpy(made + 1, event->id.data, event->id.size);
    struct err err = write_line(exec, event, &made->line);
    if (err_failed(err)) {
        exec_free_call(made);
        return diag_wrap(diag, err, "the event cannot be written");
    }
    call->place = made;
    list_append(&exec->waiting, &made->link);
    send_waiting(exec);
    return ERR_NONE;
}

static void cancel(struct caller *caller, struct call *call)
{
    struct exec_caller *exec = exec_of(caller);
    struct exec_call *made = call->place;
    CHECK(made->call == call);
    bool is_with_child = made->written > 0 && made != exec->crashed;
    exec->crashed = made == exec->crashed ? NULL : exec->crashed;
    exec_free_call(made);
    if (!exec->is_running || !is_with_child)
        return;
    close_child(exec); /* it may be stuck, and half a line must not be followed by another */
    resend(exec, false);
}

static void wait_for_answer(struct caller *caller, int event, int64_t timeout_ms)
{
    const struct exec_caller *exec = exec_of(caller);
    int64_t restart_in_ms = exec->not_before_ms - clock_mono_ms(exec->clock);
    struct span line;
    if (first_line(&exec->output, &line) || exec->crashed != NULL || !list_is_empty(&exec->lost))
        return;
    if (!exec->is_running && !list_is_empty(&exec->waiting)) {
        restart_in_ms = restart_in_ms < 0 ? 0 : restart_in_ms;
        timeout_ms = timeout_ms < 0 || restart_in_ms < timeout_ms ? restart_in_ms : timeout_ms;
    }
    os_process_wait(exec->is_running ? &exec->child : NULL, may_send(exec), event, timeout_ms);
}

/* Lets it finish what it does at the end of its input, for a while. */
static void wait_for_end(struct exec_caller *exec)
{
    char piece[PIECE_SIZE / 16];
    size_t done;
    int64_t end_ms = clock_mono_ms(exec->clock) + EXEC_END_MS;
    for (int64_t now_ms = 0; now_ms < end_ms; now_ms = clock_mono_ms(exec->clock)) {
        log_errors(exec);
        struct err err = os_process_read(exec->child.out, piece, sizeof piece, &done);
        if (err_failed(err) && !err_is(err, ERR_AGAIN))
            break; /* it has closed its standard output */
        if (err_failed(err))
            os_process_wait(&exec->child, false, -1, end_ms - clock_mono_ms(exec->clock));
    }
    log_errors(exec);
}

static void destroy(struct caller *caller)
{
    struct exec_caller *exec = exec_of(caller);
    char ignored[OS_PROCESS_END_SIZE];
    CHECK(list_is_empty(&exec->waiting) && list_is_empty(&exec->sent));
    if (exec->is_running) {
        os_process_close_input(&exec->child);
        wait_for_end(exec);
        os_process_end(&exec->child, ignored);
    }
    buf_deinit(&exec->output);
    buf_deinit(&exec->errors);
    json_reader_destroy(exec->json);
    arena_deinit(&exec->arena);
    exec->magic = 0;
    free(exec);
}

static const struct caller_ops exec_ops = {
    .begin = begin,
    .cancel = cancel,
    .next = next,
    .wait = wait_for_answer,
    .destroy = destroy,
};

struct err exec_caller_create(const struct flow_handler *handler, const struct os_clock *clock,
                              const struct flow_log *log, struct caller **out)
{
    struct exec_caller *exec = calloc(1, sizeof *exec);
    if (exec == NULL)
        return err_make(ERR_NO_MEMORY);
    exec->caller.ops = &exec_ops;
    exec->magic = EXEC_MAGIC;
    exec->handler = handler;
    exec->clock = clock;
    exec->log = log;
    exec->restart_ms = EXEC_RESTART_MS;
    list_init(&exec->waiting);
    list_init(&exec->sent);
    list_init(&exec->lost);
    buf_init(&exec->output, EXEC_LINE_SIZE_MAX);
    buf_init(&exec->errors, PIECE_SIZE);
    arena_init(&exec->arena, EXEC_ARENA_SIZE_MAX);
    struct err err = json_reader_create(&exec->json);
    if (err_failed(err)) {
        destroy(&exec->caller);
        return err;
    }
    *out = &exec->caller;
    return ERR_NONE;
}
