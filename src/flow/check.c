/* check: rules between the parts of a flow. */
#include "flow/check.h"

#include <string.h>

#include "base/suggest.h"
#include "flow/sql/filter.h"

#define GROUP_SIZE_MAX 249 /* topics are named after groups, and Kafka's topics end there */

/* Of a file with errors parts are absent: what they would say is not checked. */
static bool is_same(const struct flow_value *a, const char *b)
{
    return a->text != NULL && b != NULL && strcmp(a->text, b) == 0;
}

struct checking {
    const struct flow *flow;
    struct arena *arena;
    struct flow_problems *problems;
};

static bool is_there(const struct flow_value *value)
{
    return value->text != NULL || value->is_wrong;
}

static void check_event_names(const struct checking *checking, const struct flow_list *names,
                              const char *verb)
{
    const struct flow *flow = checking->flow;
    for (size_t i = 0; i < names->count; i++) {
        const struct flow_value *name = &names->items[i];
        struct suggestion near = {0};
        for (size_t j = 0; j < i; j++) {
            if (strcmp(names->items[j].text, name->text) == 0)
                flow_complain(checking->problems, name->place, "%s %s twice", verb, name->text);
        }
        if (name->is_unknown)
            flow_complain(checking->problems, name->place,
                          "what a handler %s must not hang on a variable that is not set", verb);
        if (name->is_unknown || flow_find_event(flow, name->text) != NULL)
            continue;
        for (size_t j = 0; j < flow->events.count; j++)
            suggest_offer(&near, span_text(name->text), flow_event_at(flow, j)->name.text);
        flow_complain(checking->problems, name->place, "there is no event %s%s%s%s", name->text,
                      near.nearest == NULL ? "" : "; did you mean ",
                      near.nearest == NULL ? "" : near.nearest, near.nearest == NULL ? "" : "?");
    }
}

/* Each topic holds the events of one or more types, all with the same key. */
static void check_events(const struct checking *checking)
{
    const struct flow *flow = checking->flow;
    for (size_t i = 0; i < flow->events.count; i++) {
        const struct flow_event *event = flow_event_at(flow, i);
        for (size_t j = 0; j < i; j++) {
            const struct flow_event *other = flow_event_at(flow, j);
            bool has_same_key = (event->key.text == NULL && other->key.text == NULL) ||
                                is_same(&event->key, other->key.text);
            if (is_same(&event->topic, other->topic.text) && !has_same_key)
                flow_complain(checking->problems, event->name.place,
                              "%s and %s share the topic %s and must have the same key",
                              event->name.text, other->name.text, event->topic.text);
        }
    }
}

static void check_circuit(const struct checking *checking, const struct flow_circuit *circuit)
{
    if (circuit == NULL)
        return;
    bool has_count = is_there(&circuit->failures);
    bool has_rate = is_there(&circuit->failure_rate);
    if (has_count == has_rate)
        flow_complain(checking->problems, circuit->open.place,
                      "circuit needs either failures or failure-rate");
    if (!has_rate && circuit->window.text != NULL)
        flow_complain(checking->problems, circuit->window.place,
                      "window belongs to failure-rate, which is not there");
}

static void check_retry(const struct checking *checking, const struct flow_retry *retry)
{
    if (retry != NULL && retry->backoff.number > retry->max.number)
        flow_complain(checking->problems, retry->backoff.place, "backoff is longer than max");
}

static void check_policies(const struct checking *checking)
{
    const struct flow *flow = checking->flow;
    for (size_t i = 0; i < flow->policies.count; i++) {
        const struct flow_policy *policy = flow_policy_at(flow, i);
        bool is_used = false;
        for (size_t j = 0; j < flow->handlers.count; j++) {
            const struct flow_value *name = &flow_handler_at(flow, j)->policy;
            is_used = is_used || is_same(name, policy->name.text);
        }
        if (!is_used && checking->problems->error_count == 0)
            flow_warn(checking->problems, policy->name.place, "no handler has the policy %s",
                      policy->name.text);
        check_circuit(checking, policy->circuit);
        check_retry(checking, policy->retry);
    }
}

static void check_policy_of(const struct checking *checking, const struct flow_handler *handler)
{
    const struct flow_value *name = &handler->policy;
    struct suggestion near = {0};
    if (name->is_unknown)
        flow_complain(checking->problems, name->place,
                      "a handler's policy must not hang on a variable that is not set");
    if (name->text == NULL || name->is_unknown ||
        flow_find_policy(checking->flow, name->text) != NULL)
        return;
    for (size_t i = 0; i < checking->flow->policies.count; i++)
        suggest_offer(&near, span_text(name->text), flow_policy_at(checking->flow, i)->name.text);
    flow_complain(checking->problems, name->place, "there is no policy %s%s%s%s", name->text,
                  near.nearest == NULL ? "" : "; did you mean ",
                  near.nearest == NULL ? "" : near.nearest, near.nearest == NULL ? "" : "?");
}

/* What only an HTTP endpoint has. */
static void check_http(const struct checking *checking, const struct flow_handler *handler)
{
    const struct {
        const char *name;
        const struct flow_value *value;
    } only[] = {{"bearer", &handler->way.bearer}, {"mode", &handler->way.mode}};
    bool is_http = is_there(&handler->way.call);
    for (size_t i = 0; i < sizeof only / sizeof only[0] && !is_http; i++) {
        if (only[i].value->text != NULL)
            flow_complain(checking->problems, only[i].value->place, "%s belongs to call",
                          only[i].name);
    }
    const struct flow_tls *tls = handler->way.tls;
    if (tls == NULL)
        return;
    bool is_https = is_http && (handler->way.call.is_unknown || handler->way.call.is_wrong ||
                                strncmp(handler->way.call.text, "https://", 8) == 0);
    if (!is_https)
        flow_complain(checking->problems, tls->ca.place, "tls belongs to a call of https");
    if ((tls->certificate.text == NULL) != (tls->key.text == NULL))
        flow_complain(checking->problems, tls->ca.place, "certificate and key come together");
}

static void check_way(const struct checking *checking, const struct flow_handler *handler)
{
    int count = is_there(&handler->way.call) + is_there(&handler->way.exec) +
                is_there(&handler->way.library);
    if (count != 1)
        flow_complain(checking->problems, handler->name.place,
                      "%s needs one of call, exec and library, and has %d", handler->name.text,
                      count);
    if (handler->way.function.text != NULL && !is_there(&handler->way.library))
        flow_complain(checking->problems, handler->way.function.place,
                      "function belongs to library");
    check_http(checking, handler);
}

/* A handler that is called with what it emits itself is called for ever. */
static void check_loop(const struct checking *checking, const struct flow_handler *handler)
{
    for (size_t i = 0; i < handler->emits.count; i++) {
        for (size_t j = 0; j < handler->handles.count; j++) {
            if (strcmp(handler->emits.items[i].text, handler->handles.items[j].text) == 0)
                flow_warn(checking->problems, handler->emits.items[i].place,
                          "%s is called with the %s that it emits: see that this ends",
                          handler->name.text, handler->emits.items[i].text);
        }
    }
}

static bool is_event_topic(const struct flow *flow, const char *topic)
{
    for (size_t i = 0; i < flow->events.count; i++) {
        if (is_same(&flow_event_at(flow, i)->topic, topic))
            return true;
    }
    return false;
}

/* Dead letters on a topic of events would be handled again. */
static struct err check_dead_letters(const struct checking *checking,
                                     const struct flow_handler *handler)
{
    const struct flow_event *event =
        handler->handles.count == 0
            ? NULL
            : flow_find_event(checking->flow, handler->handles.items[0].text);
    if (event == NULL || event->topic.text == NULL || event->topic.is_unknown)
        return ERR_NONE;
    const char *topic = flow_dead_letter_topic(checking->flow, handler, checking->arena);
    if (topic == NULL)
        return err_make(ERR_NO_MEMORY);
    bool is_own = handler->dead_letter != NULL && handler->dead_letter->topic.text != NULL;
    if (is_event_topic(checking->flow, topic))
        flow_complain(checking->problems,
                      is_own ? handler->dead_letter->topic.place : handler->name.place,
                      "the dead letters of %s would go to the topic %s, which holds events",
                      handler->name.text, topic);
    return ERR_NONE;
}

/* The expression is compiled, so that a slip is known before the first event. */
static struct err check_where(const struct checking *checking, const struct flow_handler *handler)
{
    const struct flow_value *where = &handler->where;
    struct filter *filter = NULL;
    struct diag diag = {""};
    if (where->text == NULL || where->is_unknown)
        return ERR_NONE;
    struct err err = filter_create(where->text, &filter, &diag);
    filter_destroy(filter);
    if (!err_is(err, ERR_INVALID))
        return err;
    flow_complain(checking->problems, where->place, "where: %s", diag.text);
    return ERR_NONE;
}

static struct err check_handler(const struct checking *checking, const struct flow_handler *handler)
{
    check_event_names(checking, &handler->handles, "handles");
    check_event_names(checking, &handler->emits, "emits");
    check_policy_of(checking, handler);
    check_way(checking, handler);
    check_circuit(checking, handler->circuit);
    check_retry(checking, handler->retry);
    check_loop(checking, handler);
    TRY(check_where(checking, handler));
    const char *flow_name = checking->flow->name.text;
    size_t size = strlen(flow_name == NULL ? "" : flow_name) + 1 + strlen(handler->name.text);
    if (size + strlen(".parked") > GROUP_SIZE_MAX)
        flow_complain(checking->problems, handler->name.place,
                      "%s.%s is too long a name for a group: at most %zu characters", flow_name,
                      handler->name.text, GROUP_SIZE_MAX - strlen(".parked"));
    return check_dead_letters(checking, handler);
}

static bool list_has(const struct flow_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].text, name) == 0)
            return true;
    }
    return false;
}

static void warn_of_unused_events(const struct checking *checking)
{
    const struct flow *flow = checking->flow;
    for (size_t i = 0; i < flow->events.count; i++) {
        const struct flow_event *event = flow_event_at(flow, i);
        bool is_used = false;
        for (size_t j = 0; j < flow->handlers.count && !is_used; j++) {
            const struct flow_handler *handler = flow_handler_at(flow, j);
            is_used = list_has(&handler->handles, event->name.text) ||
                      list_has(&handler->emits, event->name.text);
        }
        if (!is_used)
            flow_warn(checking->problems, event->name.place, "no handler handles or emits %s",
                      event->name.text);
    }
}

struct err flow_check(const struct flow *flow, struct arena *arena, struct flow_problems *problems)
{
    const struct checking checking = {.flow = flow, .arena = arena, .problems = problems};
    check_events(&checking);
    check_policies(&checking);
    for (size_t i = 0; i < flow->handlers.count; i++)
        TRY(check_handler(&checking, flow_handler_at(flow, i)));
    if (problems->error_count == 0) /* a slip elsewhere may be why */
        warn_of_unused_events(&checking);
    return ERR_NONE;
}
