/* exec_answer: what a child's line means. */
#include <stdio.h>
#include <stdlib.h>

#include "flow/handler/exec_internal.h"

/* Of a line that is no answer: so much is shown. */
#define EXCERPT_SIZE 200

/* The longest number: a status, seconds. */
#define NUMBER_SIZE 24

static void complain(const struct exec_caller *exec, const char *what, struct span line)
{
    int size = line.size < EXCERPT_SIZE ? (int)line.size : EXCERPT_SIZE;
    flow_say(exec->log, FLOW_LOG_ERROR, exec->handler->name.text,
             "a line on its standard output %s: %.*s", what, size, (const char *)line.data);
}

/* The sent call of that event's id. */
static struct exec_call *find_call(const struct exec_caller *exec, struct span id)
{
    LIST_EACH (&exec->sent, link) {
        struct exec_call *call = LIST_ENTRY(link, struct exec_call, link);
        if (span_equal(call->id, id))
            return call;
    }
    return NULL;
}

/* A whole number of the object; what is missing or is none: the preset. */
static int64_t read_number(const struct json_value *object, const char *name, int64_t preset)
{
    const struct json_member *member = json_find(object, name);
    char text[NUMBER_SIZE];
    if (member == NULL || member->kind != JSON_NUMBER || member->text.size >= sizeof text)
        return preset;
    memcpy(text, member->text.data, member->text.size);
    text[member->text.size] = '\0';
    return strtoll(text, NULL, 10);
}

/* The answer's events, from a JSON array. */
static struct err read_events(struct exec_caller *exec, const struct json_member *member,
                              struct answer *answer, struct diag *diag)
{
    struct json_value array;
    struct err err = member->kind == JSON_ARRAY
                         ? json_read(exec->json, member->text, &exec->arena, &array)
                         : err_make(ERR_INVALID);
    if (err_is(err, ERR_INVALID))
        return diag_fail(diag, ERR_INVALID, "its answer's events are no JSON array");
    TRY(err);
    struct cloudevent *events = arena_alloc_array(&exec->arena, array.member_count, sizeof *events);
    if (events == NULL)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < array.member_count; i++) {
        struct json_value one;
        if (array.members[i].kind != JSON_OBJECT)
            return diag_fail(diag, ERR_INVALID, "event %zu of its answer is no JSON object", i + 1);
        TRY(json_read(exec->json, array.members[i].text, &exec->arena, &one));
        TRY(cloudevent_from_json(&one, &exec->arena, &events[i], diag));
    }
    answer->events = events;
    answer->event_count = array.member_count;
    return ERR_NONE;
}

static void read_success(struct exec_caller *exec, const struct json_value *object,
                         struct answer *answer)
{
    const struct json_member *events = json_find(object, "events");
    struct diag diag = {""};
    if (events == NULL || events->kind == JSON_NULL)
        return;
    struct err err = read_events(exec, events, answer, &diag);
    if (!err_failed(err))
        return;
    answer->kind = err_is(err, ERR_INVALID) ? ANSWER_REJECTED : ANSWER_RETRY;
    answer->fault = "contract";
    answer->event_count = 0;
    (void)snprintf(answer->message, sizeof answer->message, "%s",
                   diag.text[0] == '\0' ? err_text(err) : diag.text);
}

bool exec_read_answer(struct exec_caller *exec, struct span line, struct answer *answer)
{
    struct json_value object;
    arena_reset(&exec->arena);
    struct err err = json_read(exec->json, line, &exec->arena, &object);
    const struct json_member *id =
        err_failed(err) || object.kind != JSON_OBJECT ? NULL : json_find(&object, "id");
    if (id == NULL) {
        complain(exec, "is no answer", line);
        return false;
    }
    struct exec_call *call = find_call(exec, id->text);
    if (call == NULL) {
        complain(exec, "answers an event that it was not given", line);
        return false;
    }
    int64_t status = read_number(&object, "status", 200);
    const struct json_member *message = json_find(&object, "message");
    *answer = (struct answer){.call = call->call, .kind = answer_kind_of(status)};
    (void)snprintf(exec->fault, sizeof exec->fault, "status-%d", (int)(status % 1000));
    answer->fault = exec->fault;
    answer->retry_after_ms = read_number(&object, "retry-after", 0) * 1000;
    (void)snprintf(answer->message, sizeof answer->message, "%.*s",
                   message == NULL ? 0 : (int)message->text.size,
                   message == NULL ? "" : (const char *)message->text.data);
    if (answer->kind == ANSWER_DONE)
        read_success(exec, &object, answer);
    exec_free_call(call);
    return true;
}
