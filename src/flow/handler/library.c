/*
 * library: loading, calling, and the answers until they are asked for.
 *
 * As many answers wait as calls were begun in one turn of the engine; each has an arena's worth of
 * events, so they are kept in a list and given out in order.
 */
#include "flow/handler/library.h"

#include <dlfcn.h>
#include <headrace/handler.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "os/os_event.h"

#define LIBRARY_MAGIC 0x6c696272 /* "libr" */

/* The flow file's. */
#define FUNCTION_PRESET "handle"

/* Events of one answer, at the beginning; it doubles. */
#define EVENT_CAPACITY 4

/* A call that has returned. */
struct library_answer {
    struct list link;
    struct call *call;
    int status;
    bool is_out_of_memory;
    struct arena arena;
    struct cloudevent *events;
    size_t event_count;
    size_t event_capacity;
    char message[ANSWER_MESSAGE_SIZE];
};

struct library_caller {
    struct caller caller; /* first: the vtable's functions get a pointer to it */
    uint32_t magic;
    const struct flow_handler *handler;
    void *library;
    headrace_handler *function;
    struct list answers;
    struct list idle;
    struct library_answer *given; /* whose events the engine may still read */
    char fault[ANSWER_FAULT_SIZE];
};

static struct library_caller *library_of(struct caller *caller)
{
    struct library_caller *library = (struct library_caller *)caller;
    CHECK_MAGIC(library, LIBRARY_MAGIC);
    return library;
}

/* --- what the function gets --------------------------------------------------------------- */

static struct headrace_bytes to_bytes(struct span span)
{
    return (struct headrace_bytes){(const char *)span.data, span.size};
}

static struct headrace_bytes find_attribute(const struct headrace_event *event, const char *name)
{
    return to_bytes(cloudevent_attribute(event->attributes, name));
}

/* Makes room for one more event; the arena keeps the old array until it is reset. */
static bool make_room(struct library_answer *answer)
{
    if (answer->event_count < answer->event_capacity)
        return true;
    size_t capacity = answer->event_capacity == 0 ? EVENT_CAPACITY : 2 * answer->event_capacity;
    struct cloudevent *events = arena_alloc_array(&answer->arena, capacity, sizeof *events);
    if (events == NULL)
        return false;
    for (size_t i = 0; i < answer->event_count; i++)
        events[i] = answer->events[i];
    answer->events = events;
    answer->event_capacity = capacity;
    return true;
}

static int emit(struct headrace_answer *to, const char *type, const void *data, size_t size)
{
    struct library_answer *answer = to->context;
    struct cloudevent event = {0};
    const char *content_type = to->content_type == NULL ? "application/json" : to->content_type;
    if (!make_room(answer) ||
        err_failed(arena_copy(&answer->arena, span_text(type), &event.type)) ||
        err_failed(arena_copy(&answer->arena, span_text(content_type), &event.content_type)) ||
        err_failed(arena_copy(&answer->arena, span_make(data, size), &event.data))) {
        answer->is_out_of_memory = true;
        return HEADRACE_RETRY;
    }
    answer->events[answer->event_count++] = event;
    return HEADRACE_DONE;
}

static void say(struct headrace_answer *to, const char *message)
{
    struct library_answer *answer = to->context;
    (void)snprintf(answer->message, sizeof answer->message, "%s", message);
}

/* --- calls -------------------------------------------------------------------------------- */

static struct err take_answer_room(struct library_caller *library, struct library_answer **out)
{
    struct list *idle = list_pop(&library->idle);
    if (idle != NULL) {
        *out = LIST_ENTRY(idle, struct library_answer, link);
        return ERR_NONE;
    }
    struct library_answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return err_make(ERR_NO_MEMORY);
    list_init(&answer->link);
    arena_init(&answer->arena, LIBRARY_EMIT_SIZE_MAX);
    *out = answer;
    return ERR_NONE;
}

static void put_answer_room(struct library_caller *library, struct library_answer *answer)
{
    arena_reset(&answer->arena);
    answer->events = NULL;
    answer->event_count = 0;
    answer->event_capacity = 0;
    answer->is_out_of_memory = false;
    answer->message[0] = '\0';
    list_append(&library->idle, &answer->link);
}

static struct err begin(struct caller *caller, struct call *call, const struct cloudevent *event,
                        struct diag *diag)
{
    struct library_caller *library = library_of(caller);
    const struct delivery *delivery = call->delivery;
    struct library_answer *answer;
    (void)diag;
    TRY(take_answer_room(library, &answer));
    const struct headrace_event given = {
        .id = to_bytes(event->id),
        .source = to_bytes(event->source),
        .type = to_bytes(event->type),
        .content_type = to_bytes(event->content_type),
        .data = to_bytes(event->data),
        .key = to_bytes(delivery->message.key),
        .topic = delivery->message.topic,
        .partition = delivery->message.partition,
        .offset = delivery->message.offset,
        .attempt = delivery->attempts + 1,
        .attributes = event,
        .find_attribute = find_attribute,
    };
    struct headrace_answer taken = {.context = answer, .emit = emit, .say = say};
    answer->call = call;
    answer->status = library->function(&given, &taken);
    call->place = answer;
    list_append(&library->answers, &answer->link);
    return ERR_NONE;
}

static void cancel(struct caller *caller, struct call *call)
{
    struct library_caller *library = library_of(caller);
    struct library_answer *answer = call->place;
    CHECK(answer->call == call);
    list_remove(&answer->link);
    put_answer_room(library, answer);
}

static bool next(struct caller *caller, struct answer *out)
{
    struct library_caller *library = library_of(caller);
    if (library->given != NULL)
        put_answer_room(library, library->given);
    library->given = NULL;
    struct list *first = list_pop(&library->answers);
    if (first == NULL)
        return false;
    struct library_answer *answer = LIST_ENTRY(first, struct library_answer, link);
    library->given = answer;
    *out = (struct answer){.call = answer->call, .kind = answer_kind_of(answer->status)};
    (void)snprintf(library->fault, sizeof library->fault, "status-%d", answer->status % 1000);
    out->fault = library->fault;
    (void)snprintf(out->message, sizeof out->message, "%s", answer->message);
    if (answer->is_out_of_memory)
        out->kind = ANSWER_RETRY;
    if (out->kind == ANSWER_DONE) {
        out->events = answer->events;
        out->event_count = answer->event_count;
    }
    return true;
}

/* Answers are there at once: whoever waits, waits for something else. */
static void wait_for_answer(struct caller *caller, int event, int64_t timeout_ms)
{
    const struct library_caller *library = library_of(caller);
    if (list_is_empty(&library->answers))
        os_event_wait(event, timeout_ms);
}

static void free_answers(struct list *answers)
{
    struct list *link;
    while ((link = list_pop(answers)) != NULL) {
        struct library_answer *answer = LIST_ENTRY(link, struct library_answer, link);
        arena_deinit(&answer->arena);
        free(answer);
    }
}

static void destroy(struct caller *caller)
{
    struct library_caller *library = library_of(caller);
    CHECK(list_is_empty(&library->answers));
    if (library->given != NULL)
        put_answer_room(library, library->given);
    free_answers(&library->idle);
    if (library->library != NULL)
        (void)dlclose(library->library);
    library->magic = 0;
    free(library);
}

static const struct caller_ops library_ops = {
    .begin = begin,
    .cancel = cancel,
    .next = next,
    .wait = wait_for_answer,
    .destroy = destroy,
};

static struct err load(struct library_caller *library, struct diag *diag)
{
    const struct flow_way *way = &library->handler->way;
    const char *function = way->function.text == NULL ? FUNCTION_PRESET : way->function.text;
    library->library = dlopen(way->library.text, RTLD_NOW | RTLD_LOCAL);
    if (library->library == NULL)
        return diag_fail(diag, ERR_NOT_FOUND, "%s", dlerror());
    const int *version = dlsym(library->library, "headrace_handler_version");
    if (version == NULL)
        return diag_fail(diag, ERR_INVALID, "%s does not say HEADRACE_HANDLERS", way->library.text);
    if (*version != HEADRACE_HANDLER_VERSION)
        return diag_fail(diag, ERR_INVALID,
                         "%s was built for version %d of headrace/handler.h, "
                         "this is %d",
                         way->library.text, *version, HEADRACE_HANDLER_VERSION);
    /* POSIX lets a function's address travel as an object's. */
    *(void **)(&library->function) = dlsym(library->library, function);
    if (library->function == NULL)
        return diag_fail(diag, ERR_INVALID, "%s has no function %s", way->library.text, function);
    return ERR_NONE;
}

struct err library_caller_create(const struct flow_handler *handler, struct caller **out,
                                 struct diag *diag)
{
    struct library_caller *library = calloc(1, sizeof *library);
    if (library == NULL)
        return err_make(ERR_NO_MEMORY);
    library->caller.ops = &library_ops;
    library->magic = LIBRARY_MAGIC;
    library->handler = handler;
    list_init(&library->answers);
    list_init(&library->idle);
    struct err err = load(library, diag);
    if (err_failed(err)) {
        destroy(&library->caller);
        return err;
    }
    *out = &library->caller;
    return ERR_NONE;
}
