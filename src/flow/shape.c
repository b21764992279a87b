/* shape: the table of a flow file's keys. */
#include "flow/shape.h"

#define SECOND ((int64_t)1000)
#define DAY (24 * 3600 * SECOND)
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Bounds: none is a limit of the machine; beyond them is a slip of the pen. */
#define ATTEMPTS_MAX 1000
#define CONCURRENCY_MAX 10000
#define WINDOW_MAX 10000
#define EVENTS_MAX 1000000
#define BYTES_MAX ((int64_t)1 << 34)
#define RATE_MAX 100000000
#define PARTITIONS_MAX 100000

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct shape_field event_fields[] = {
    {.name = "topic",
     .kind = SHAPE_NAME,
     .is_required = true,
     AT(flow_event, topic),
     .doc = "The topic that holds its records."},
    {.name = "key",
     .kind = SHAPE_NAME,
     AT(flow_event, key),
     .doc = "The field of its data that becomes the record's key, and with it its order."},
    {.name = "partitions",
     .kind = SHAPE_COUNT,
     AT(flow_event, partitions),
     .min = 1,
     .max = PARTITIONS_MAX,
     .doc = "How many its topic gets when it is made, instead of the server's default."},
};

static const struct shape shape_event = {
    .title = "an event",
    .size = sizeof(struct flow_event),
    .fields = event_fields,
    .field_count = COUNT_OF(event_fields),
};

static const struct shape_field retry_fields[] = {
    {.name = "attempts",
     .kind = SHAPE_COUNT,
     AT(flow_retry, attempts),
     .min = 1,
     .max = ATTEMPTS_MAX,
     .preset = "5",
     .doc = "Calls in all, the first one included; then the event is a dead letter."},
    {.name = "backoff",
     .kind = SHAPE_DURATION,
     AT(flow_retry, backoff),
     .min = 1,
     .max = DAY,
     .preset = "200ms",
     .doc = "The pause before the second call; it doubles from call to call, with full jitter."},
    {.name = "max",
     .kind = SHAPE_DURATION,
     AT(flow_retry, max),
     .min = 1,
     .max = 30 * DAY,
     .preset = "30s",
     .doc = "No pause is longer."},
};

const struct shape shape_retry = {
    .title = "retry",
    .size = sizeof(struct flow_retry),
    .fields = retry_fields,
    .field_count = COUNT_OF(retry_fields),
};

static const struct shape_field circuit_fields[] = {
    {.name = "failures",
     .kind = SHAPE_COUNT,
     AT(flow_circuit, failures),
     .min = 1,
     .max = WINDOW_MAX,
     .doc = "Opens after so many failed calls in a row."},
    {.name = "failure-rate",
     .kind = SHAPE_PERCENT,
     AT(flow_circuit, failure_rate),
     .min = 1,
     .max = 100,
     .doc = "Opens when so many of the last calls have failed."},
    {.name = "window",
     .kind = SHAPE_COUNT,
     AT(flow_circuit, window),
     .min = 2,
     .max = WINDOW_MAX,
     .preset = "20",
     .doc = "How many calls failure-rate looks back."},
    {.name = "open",
     .kind = SHAPE_DURATION,
     AT(flow_circuit, open),
     .min = 1,
     .max = DAY,
     .preset = "10s",
     .doc = "For so long nothing is called; that spends no attempts."},
    {.name = "probes",
     .kind = SHAPE_COUNT,
     AT(flow_circuit, probes),
     .min = 1,
     .max = WINDOW_MAX,
     .preset = "1",
     .doc = "Calls that are let through then; when they succeed, it closes."},
};

const struct shape shape_circuit = {
    .title = "circuit",
    .size = sizeof(struct flow_circuit),
    .fields = circuit_fields,
    .field_count = COUNT_OF(circuit_fields),
};

#define TIMEOUT_FIELD(type)                                                                        \
    {                                                                                              \
        .name = "timeout", .kind = SHAPE_DURATION, AT(type, timeout), .min = 1, .max = DAY,        \
        .doc = "A call that takes longer has failed (10s where neither the handler nor its "       \
               "policy says)."                                                                     \
    }
#define RETRY_FIELD(type)                                                                          \
    {                                                                                              \
        .name = "retry", .kind = SHAPE_OBJECT, AT(type, retry), .of = &shape_retry,                \
        .doc = "How often and when a failed call is made again."                                   \
    }
#define CIRCUIT_FIELD(type)                                                                        \
    {                                                                                              \
        .name = "circuit", .kind = SHAPE_OBJECT, AT(type, circuit), .of = &shape_circuit,          \
        .doc = "When to stop calling for a while."                                                 \
    }

static const struct shape_field policy_fields[] = {
    TIMEOUT_FIELD(flow_policy),
    RETRY_FIELD(flow_policy),
    CIRCUIT_FIELD(flow_policy),
};

static const struct shape shape_policy = {
    .title = "a policy",
    .size = sizeof(struct flow_policy),
    .fields = policy_fields,
    .field_count = COUNT_OF(policy_fields),
};

static const struct shape_field dead_letter_fields[] = {
    {.name = "topic",
     .kind = SHAPE_NAME,
     AT(flow_dead_letter, topic),
     .doc = "Where they go, instead of <topic>.dlq."},
    {.name = "hold-key",
     .kind = SHAPE_SWITCH,
     AT(flow_dead_letter, hold_key),
     .preset = "false",
     .doc = "Sends the later events of a dead letter's key after it, until it is cleared."},
};

static const struct shape shape_dead_letter = {
    .title = "dead-letter",
    .size = sizeof(struct flow_dead_letter),
    .fields = dead_letter_fields,
    .field_count = COUNT_OF(dead_letter_fields),
};

static const struct shape_field batch_fields[] = {
    {.name = "events",
     .kind = SHAPE_COUNT,
     .is_required = true,
     AT(flow_batch, events),
     .min = 2,
     .max = CONCURRENCY_MAX,
     .doc = "At most so many events in one call."},
    {.name = "wait",
     .kind = SHAPE_DURATION,
     AT(flow_batch, wait),
     .min = 1,
     .max = 60 * SECOND,
     .preset = "20ms",
     .doc = "How long the first of them waits for others."},
};

static const struct shape shape_batch = {
    .title = "batch",
    .size = sizeof(struct flow_batch),
    .fields = batch_fields,
    .field_count = COUNT_OF(batch_fields),
};

static const struct shape_field in_flight_fields[] = {
    {.name = "events",
     .kind = SHAPE_COUNT,
     AT(flow_in_flight, events),
     .min = 1,
     .max = EVENTS_MAX,
     .preset = "10000",
     .doc = "Events that were read and are not finished."},
    {.name = "bytes",
     .kind = SHAPE_SIZE,
     AT(flow_in_flight, bytes),
     .min = 1024,
     .max = BYTES_MAX,
     .preset = "64MiB",
     .doc = "Their bytes."},
};

const struct shape shape_in_flight = {
    .title = "in-flight",
    .size = sizeof(struct flow_in_flight),
    .fields = in_flight_fields,
    .field_count = COUNT_OF(in_flight_fields),
};

static const struct shape_field tls_fields[] = {
    {.name = "ca",
     .kind = SHAPE_TEXT,
     AT(flow_tls, ca),
     .doc = "A file of certificates to trust, instead of the system's."},
    {.name = "certificate",
     .kind = SHAPE_TEXT,
     AT(flow_tls, certificate),
     .doc = "The file of the client's certificate."},
    {.name = "key", .kind = SHAPE_TEXT, AT(flow_tls, key), .doc = "The file of its key."},
};

static const struct shape shape_tls = {
    .title = "tls",
    .size = sizeof(struct flow_tls),
    .fields = tls_fields,
    .field_count = COUNT_OF(tls_fields),
};

static const struct shape_field handler_fields[] = {
    {.name = "handles",
     .kind = SHAPE_NAMES,
     .is_required = true,
     AT(flow_handler, handles),
     .doc = "The events it is called with."},
    {.name = "where",
     .kind = SHAPE_TEXT,
     AT(flow_handler, where),
     .doc = "An SQL expression over the event; others are passed over."},
    {.name = "call",
     .kind = SHAPE_URL,
     AT(flow_handler, way.call),
     .doc = "The HTTP endpoint that gets each event as a CloudEvent."},
    {.name = "exec",
     .kind = SHAPE_TEXT,
     AT(flow_handler, way.exec),
     .doc = "A command that reads events from its standard input, one JSON object a line."},
    {.name = "library",
     .kind = SHAPE_TEXT,
     AT(flow_handler, way.library),
     .doc = "A shared object on the C SDK."},
    {.name = "function",
     .kind = SHAPE_NAME,
     AT(flow_handler, way.function),
     .preset = "handle",
     .doc = "The library's function."},
    {.name = "emits",
     .kind = SHAPE_NAMES,
     AT(flow_handler, emits),
     .doc = "The events that its answers may hold."},
    {.name = "order",
     .kind = SHAPE_CHOICE,
     AT(flow_handler, order),
     .preset = "key",
     .choices = "key|partition|none",
     .doc = "What is handled one after the other."},
    {.name = "guarantee",
     .kind = SHAPE_CHOICE,
     AT(flow_handler, guarantee),
     .preset = "exactly-once",
     .choices = "exactly-once|at-least-once",
     .doc = "Whether what it emits and its place are one transaction, or each is written as soon "
            "as it can be."},
    {.name = "concurrency",
     .kind = SHAPE_COUNT,
     AT(flow_handler, concurrency),
     .min = 1,
     .max = CONCURRENCY_MAX,
     .preset = "16",
     .doc = "Calls at a time, in each process."},
    {.name = "in-flight",
     .kind = SHAPE_OBJECT,
     AT(flow_handler, in_flight),
     .of = &shape_in_flight,
     .doc = "Bounds on what is held in memory."},
    {.name = "rate",
     .kind = SHAPE_RATE,
     AT(flow_handler, rate),
     .min = 1,
     .max = RATE_MAX,
     .doc = "No more calls than that, in each process."},
    {.name = "policy",
     .kind = SHAPE_NAME,
     AT(flow_handler, policy),
     .doc = "The policy that holds where the handler itself says nothing."},
    TIMEOUT_FIELD(flow_handler),
    RETRY_FIELD(flow_handler),
    CIRCUIT_FIELD(flow_handler),
    {.name = "inbox",
     .kind = SHAPE_DURATION,
     AT(flow_handler, inbox),
     .min = SECOND,
     .max = 30 * DAY,
     .doc = "For so long an event with the same source and id is taken for the same."},
    {.name = "dead-letter",
     .kind = SHAPE_OBJECT,
     AT(flow_handler, dead_letter),
     .of = &shape_dead_letter,
     .doc = "What becomes of events that cannot be handled."},
    {.name = "from",
     .kind = SHAPE_START,
     AT(flow_handler, from),
     .preset = "earliest",
     .doc = "Where a new handler begins."},
    {.name = "mode",
     .kind = SHAPE_CHOICE,
     AT(flow_handler, way.mode),
     .preset = "binary",
     .choices = "binary|structured",
     .doc = "How CloudEvents travel: attributes as headers, or all in one JSON object."},
    {.name = "batch",
     .kind = SHAPE_OBJECT,
     AT(flow_handler, way.batch),
     .of = &shape_batch,
     .doc = "Several events in one call."},
    {.name = "bearer",
     .kind = SHAPE_TEXT,
     AT(flow_handler, way.bearer),
     .doc = "The token of the Authorization header."},
    {.name = "tls",
     .kind = SHAPE_OBJECT,
     AT(flow_handler, way.tls),
     .of = &shape_tls,
     .doc = "For https: whom to trust, and who calls."},
    {.name = "instance",
     .kind = SHAPE_NAME,
     AT(flow_handler, instance),
     .doc = "A name of this process that survives its restarts: its partitions then wait for it."},
};

static const struct shape shape_handler = {
    .title = "a handler",
    .size = sizeof(struct flow_handler),
    .fields = handler_fields,
    .field_count = COUNT_OF(handler_fields),
};

static const struct shape_field flow_fields[] = {
    {.name = "flow",
     .kind = SHAPE_NAME,
     .is_required = true,
     AT(flow, name),
     .doc = "The flow's name; each handler is the consumer group <flow>.<handler>."},
    {.name = "events",
     .kind = SHAPE_MAP,
     .is_required = true,
     AT(flow, events),
     .of = &shape_event,
     .doc = "The types of events, by name."},
    {.name = "policies",
     .kind = SHAPE_MAP,
     AT(flow, policies),
     .of = &shape_policy,
     .doc = "What happens when calls fail, by name."},
    {.name = "handlers",
     .kind = SHAPE_MAP,
     .is_required = true,
     AT(flow, handlers),
     .of = &shape_handler,
     .doc = "Who is called with which events, by name."},
    {.name = "drain",
     .kind = SHAPE_DURATION,
     AT(flow, drain),
     .min = 1,
     .max = 3600 * SECOND,
     .preset = "30s",
     .doc = "How long an end waits for calls that are under way."},
};

const struct shape shape_flow = {
    .title = "a flow file",
    .size = sizeof(struct flow),
    .fields = flow_fields,
    .field_count = COUNT_OF(flow_fields),
};

const struct shape_field *shape_find(const struct shape *shape, struct span key)
{
    for (size_t i = 0; i < shape->field_count; i++) {
        if (span_equal_text(key, shape->fields[i].name))
            return &shape->fields[i];
    }
    return NULL;
}
